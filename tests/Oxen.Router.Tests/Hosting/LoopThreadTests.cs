using Oxen.Router.Core;
using Oxen.Router.Hosting;
using Oxen.Router.Udp;

namespace Oxen.Router.Tests.Hosting;

public sealed class LoopThreadTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Work_runs_in_order_on_the_loops_own_thread_and_answers()
    {
        using var loop = new Loop();
        loop.Start();
        var order = new List<int>();
        for (int i = 0; i < 1000; i++)
        {
            int n = i;
            loop.Post(_ => order.Add(n));
        }

        Assert.True(await loop.InvokeAsync(_ => loop.IsLoopThread).WaitAsync(Patience));
        Assert.Equal(Enumerable.Range(0, 1000), order);
        Assert.False(loop.IsLoopThread);
    }

    [Fact]
    public async Task An_exception_costs_its_turn_is_reported_and_the_loop_goes_on()
    {
        using var loop = new Loop();
        loop.Start();
        loop.Post(_ => throw new InvalidDataException("work"));
        Assert.Equal("work", (await loop.Faults.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Message);
        loop.Break = true;
        loop.Wake();
        Assert.Equal("turn", (await loop.Faults.Reader.ReadAsync().AsTask().WaitAsync(Patience)).Message);
        await Assert.ThrowsAsync<InvalidDataException>(() => loop.InvokeAsync<int>(_ => throw new InvalidDataException("asked")).WaitAsync(Patience));
        Assert.Equal(7, await loop.InvokeAsync(_ => 7).WaitAsync(Patience));
    }

    [Fact]
    public async Task A_deadline_wakes_the_loop_without_a_post()
    {
        using var loop = new Loop();
        loop.Start();
        await loop.InvokeAsync(now => loop.Due = now + TimeSpan.FromMilliseconds(30)).WaitAsync(Patience);
        await loop.DueSeen.Task.WaitAsync(Patience);
    }

    [Fact]
    public void After_its_end_posting_is_harmless_and_nothing_runs()
    {
        var loop = new Loop();
        loop.Start();
        loop.Dispose();
        bool ran = false;
        loop.Post(_ => ran = true);
        loop.Wake();
        loop.Dispose();
        Assert.False(ran);
    }

    [Fact]
    public void A_loop_that_never_started_ends_too()
    {
        var loop = new Loop();
        loop.Post(_ => { });
        loop.Dispose();
    }

    [Fact]
    public void A_loop_may_end_itself()
    {
        var loop = new Loop();
        using var ended = new ManualResetEventSlim();
        loop.Start();
        loop.Post(_ =>
        {
            loop.Dispose();
            ended.Set();
        });
        Assert.True(ended.Wait(Patience));
    }

    private sealed class Loop : LoopThread
    {
        public Loop()
            : this(System.Threading.Channels.Channel.CreateUnbounded<Exception>())
        {
        }

        private Loop(System.Threading.Channels.Channel<Exception> faults)
            : base("test loop", new MonotonicClock(TimeProvider.System), (_, e) => faults.Writer.TryWrite(e)) => Faults = faults;

        public System.Threading.Channels.Channel<Exception> Faults { get; }

        public bool Break { get; set; }

        public Instant Due { get; set; } = Instant.Never;

        public TaskCompletionSource DueSeen { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override Instant NextDeadline => Due;

        protected override bool Turn(Instant now)
        {
            if (Due <= now)
            {
                Due = Instant.Never;
                DueSeen.SetResult();
            }

            if (!Break) return false;
            Break = false;
            throw new InvalidDataException("turn");
        }
    }
}
