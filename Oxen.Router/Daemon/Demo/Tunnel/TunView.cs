using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>The running laboratory on the screen: paths, rates, drops, the last lines of the client's log.</summary>
internal sealed class TunView(TunNetwork network, TunLog log)
{
    private long _down, _up, _packets, _at = Stopwatch.GetTimestamp();

    public async Task ShowAsync(Screen screen, DemoOptions options, CancellationToken stop)
    {
        if (screen.Interactive && !options.Json) await screen.Console().Live(new Text("")).AutoClear(false).StartAsync(live => LoopAsync(TimeSpan.FromSeconds(1), now => live.UpdateTarget(Render(now)), stop)).ConfigureAwait(false);
        else await LoopAsync(TimeSpan.FromSeconds(5), now => Print(screen, options, now), stop).ConfigureAwait(false);
    }

    public static IEnumerable<string> Hops(TunNetwork network, PathStatus path) =>
        path.Hops.Select((id, i) => $"{network.Names.GetValueOrDefault(id, "?")} ({Milliseconds(path.HopMilliseconds[i])})");

    public static async Task<SortedDictionary<string, long>> DropsAsync(TunNetwork network, CancellationToken cancel)
    {
        StatusReport? client = await network.AskClientAsync(cancel).ConfigureAwait(false);
        return Drops((await network.ReadFiguresAsync().ConfigureAwait(false)).Concat(client?.Routers ?? []));
    }

    private sealed record Moment(StatusReport? Client, SortedDictionary<string, long> Drops, double Down, double Up, double PacketsPerSecond);

    private async Task LoopAsync(TimeSpan every, Action<Moment> show, CancellationToken stop)
    {
        while (true)
        {
            show(await TakeAsync(stop).ConfigureAwait(false));
            await Task.Delay(every, stop).ConfigureAwait(false);
        }
    }

    private async Task<Moment> TakeAsync(CancellationToken stop)
    {
        StatusReport? client = await network.AskClientAsync(stop).ConfigureAwait(false);
        RouterFigures[] all = [.. await network.ReadFiguresAsync().ConfigureAwait(false), .. client?.Routers ?? []];
        long down = client?.Routers.Sum(f => f.BytesReceived) ?? _down, up = client?.Routers.Sum(f => f.BytesSent) ?? _up, packets = all.Sum(f => f.DatagramsReceived);
        double seconds = Stopwatch.GetElapsedTime(_at).TotalSeconds;
        _at = Stopwatch.GetTimestamp();
        var now = new Moment(client, Drops(all), (down - _down) * 8e-6 / seconds, (up - _up) * 8e-6 / seconds, (packets - _packets) / seconds);
        (_down, _up, _packets) = (down, up, packets);
        return now;
    }

    private Rows Render(Moment now)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumn("path").AddColumn("hops, with round trip").AddColumn("packets up").AddColumn("packets down").AddColumn("lasts");
        foreach (PathStatus path in now.Client?.Paths ?? [])
        {
            table.AddRow((path.Tunnel ? "tunnel " : "proxies ") + (path.Active ? "[green]in use[/]" : "[grey]spare[/]"), Markup.Escape(string.Join(" → ", Hops(network, path))), $"{path.PacketsUp:N0}", $"{path.PacketsDown:N0}", $"{TimeSpan.FromSeconds(path.SecondsLeft):mm\\:ss}");
        }

        return new Rows(
            table,
            new Markup(string.Create(CultureInfo.InvariantCulture, $"[grey]client[/] down [bold]{now.Down:F1}[/] Mbit/s, up [bold]{now.Up:F1}[/] Mbit/s   [grey]all routers[/] {now.PacketsPerSecond:N0} packets/s")),
            new Markup($"[grey]drops[/] {Markup.Escape(InWords(now.Drops))}"),
            new Text(string.Join('\n', log.Lines)));
    }

    private void Print(Screen screen, DemoOptions options, Moment now)
    {
        if (options.Json) return;
        foreach (PathStatus path in (now.Client?.Paths ?? []).Where(p => p.Tunnel && p.Active))
            screen.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"path {string.Join(" ", Hops(network, path))}  down {now.Down:F1} Mbit/s up {now.Up:F1} Mbit/s  drops {InWords(now.Drops)}"));
        screen.Output.Flush();
    }

    private static SortedDictionary<string, long> Drops(IEnumerable<RouterFigures> all)
    {
        var sum = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach ((string reason, long count) in all.SelectMany(f => f.Drops)) sum[reason] = sum.GetValueOrDefault(reason) + count;
        return sum;
    }

    private static string InWords(SortedDictionary<string, long> drops) => drops.Count == 0 ? "none" : string.Join(", ", drops.Select(d => $"{d.Key} {d.Value}"));

    private static string Milliseconds(double time) => time == 0 ? "-" : string.Create(CultureInfo.InvariantCulture, $"{time:F1} ms");
}
