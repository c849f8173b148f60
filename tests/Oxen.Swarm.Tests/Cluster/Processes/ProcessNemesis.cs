namespace Oxen.Swarm.Tests.Cluster.Processes;

/// <summary>Breaks one or two members at a time, in every way there is, each about equally often; the next fault begins when all serve again.</summary>
internal sealed class ProcessNemesis(NodeCluster cluster, HistoryClients clients, Random dice)
{
    private readonly Queue<Func<int[], TimeSpan, Task>> _next = new();

    /// <summary>What was done, by name.</summary>
    public List<string> Strikes { get; } = [];

    public async Task StrikeAsync()
    {
        if (_next.Count == 0)
        {
            Func<int[], TimeSpan, Task>[] all = cluster.HasCables ? [KillAsync, WipeAsync, FreezeAsync, SkewAsync, ExchangeAsync, UnplugAsync, SplitAsync] : [KillAsync, WipeAsync, FreezeAsync, SkewAsync, ExchangeAsync];
            dice.Shuffle(all);
            foreach (Func<int[], TimeSpan, Task> one in all) _next.Enqueue(one);
        }

        int[] victims = [.. cluster.Current.OrderBy(_ => dice.Next()).Take(1 + dice.Next(2))];
        Interlocked.Increment(ref clients.Faults);
        await _next.Dequeue()(victims, TimeSpan.FromMilliseconds(300 + dice.Next(1500)));
        await cluster.ReadyAsync();
        Interlocked.Decrement(ref clients.Faults);
        await Task.Delay(300 + dice.Next(700)); // a little calm
    }

    private async Task KillAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("SIGKILL");
        await Task.WhenAll(victims.Select(cluster.KillAsync));
        await Task.Delay(pause);
        await Task.WhenAll(victims.Select(cluster.StartAsync));
    }

    private async Task WipeAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("disk wiped");
        await Task.WhenAll(victims.Select(cluster.KillAsync));
        foreach (int victim in victims) cluster.Wipe(victim);
        await Task.Delay(pause);
        await Task.WhenAll(victims.Select(cluster.StartAsync));
    }

    private async Task FreezeAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("SIGSTOP");
        foreach (int victim in victims) cluster.Stop(victim);
        await Task.Delay(2 * pause);
        foreach (int victim in victims) cluster.Continue(victim);
    }

    private async Task SkewAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("clock");
        foreach (int victim in victims) cluster.SetClock(victim, TimeSpan.FromSeconds(dice.Next(-600, 601)));
        await Task.Delay(2 * pause);
        foreach (int victim in victims) cluster.SetClock(victim, TimeSpan.Zero);
    }

    private async Task ExchangeAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("membership");
        cluster.Exchange(dice.Next(NodeCluster.Members));
        await Task.Delay(pause);
    }

    private async Task UnplugAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("unplugged");
        foreach (int victim in victims) cluster.Plug(victim, connected: false);
        await Task.Delay(2 * pause);
        foreach (int victim in victims) cluster.Plug(victim, connected: true);
    }

    private async Task SplitAsync(int[] victims, TimeSpan pause)
    {
        Strikes.Add("partition");
        int[] others = [.. cluster.Current.Except(victims)];
        Each(apart: true);
        await Task.Delay(2 * pause);
        Each(apart: false);

        void Each(bool apart)
        {
            foreach (int a in victims) foreach (int b in others) cluster.Part(a, b, apart);
        }
    }
}
