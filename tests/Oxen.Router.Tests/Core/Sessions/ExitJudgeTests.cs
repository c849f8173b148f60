using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Tests.Core.Sessions;

/// <summary>When an exit that answers every probe is left all the same.</summary>
public sealed class ExitJudgeTests
{
    private static readonly RouterId A = Id(1), B = Id(2);
    private readonly ExitJudge<RouterId> _judge = new();
    private Instant _now = Instant.Zero;

    [Fact]
    public void An_exit_that_reaches_nobody_is_left()
    {
        Fail(A, 1, 2, 3);
        Assert.False(Condemned(A, idle: true)); // three may be chance
        Fail(A, 1);
        Assert.True(Condemned(A, idle: true, out string reason));
        Assert.Contains("its last 4 connections", reason, StringComparison.Ordinal);
        Assert.False(Condemned(A, idle: true)); // not twice for the same
    }

    [Fact]
    public void One_host_that_is_down_says_nothing_of_the_exit()
    {
        for (int i = 0; i < 50; i++) Fail(A, 1, 2);
        Assert.False(Condemned(A, idle: true));
    }

    [Fact]
    public void Whoever_was_reached_speaks_for_the_exit()
    {
        Fail(A, 1, 2, 3);
        _judge.OnRefused(A);
        Fail(A, 4, 5, 6);
        Assert.False(Condemned(A, idle: true));
        _judge.OnConnected(A, TimeSpan.FromSeconds(0.1), _now);
        Fail(A, 7, 8, 9);
        Assert.False(Condemned(A, idle: true));
        Assert.False(Condemned(B, idle: true)); // of whom nothing is known
    }

    [Fact]
    public void What_is_open_is_given_half_a_minute()
    {
        Fail(A, 1, 2, 3, 4);
        Assert.False(Condemned(A, idle: false));
        _now += TimeSpan.FromSeconds(29);
        Assert.False(Condemned(A, idle: false));
        _now += TimeSpan.FromSeconds(1);
        Assert.True(Condemned(A, idle: false));
    }

    [Fact]
    public void A_slow_exit_is_left_for_one_that_was_quicker_and_only_when_nothing_is_open()
    {
        Connect(B, 0.2, 4);
        Connect(A, 0.79, 8);
        Assert.False(Condemned(A, idle: true)); // not four times as slow
        Connect(A, 0.9, 8);
        Assert.False(Condemned(A, idle: false));
        Assert.True(Condemned(A, idle: true, out string reason));
        Assert.Equal("the exit is slow: a connection through it takes 0.9 s, through another one 0.2 s", reason);
    }

    [Fact]
    public void A_few_slow_connections_are_the_hosts()
    {
        Connect(B, 0.2, 8);
        Connect(A, 0.2, 5);
        Connect(A, 20, 3);
        Assert.False(Condemned(A, idle: true));
    }

    [Fact]
    public void Below_half_a_second_no_exit_is_slow()
    {
        Connect(B, 0.01, 8);
        Connect(A, 0.5, 8);
        Assert.False(Condemned(A, idle: true));
    }

    [Fact]
    public void Without_another_to_compare_it_must_be_very_slow()
    {
        Connect(A, 3, 8);
        Assert.False(Condemned(A, idle: true));
        Connect(A, 3.1, 8);
        Assert.True(Condemned(A, idle: true));

        // The next one is as slow: then it is not the exit.
        _now += TimeSpan.FromMinutes(2);
        Connect(B, 3.1, 8);
        Assert.False(Condemned(B, idle: true));

        // What was an hour ago does not count any more.
        _now += TimeSpan.FromMinutes(61);
        Connect(B, 3.1, 8);
        Assert.True(Condemned(B, idle: true));
    }

    [Fact]
    public void Where_all_exits_are_alike_one_a_minute_is_left()
    {
        Fail(A, 1, 2, 3, 4);
        Assert.True(Condemned(A, idle: true));
        Fail(B, 1, 2, 3, 4);
        Assert.False(Condemned(B, idle: true));
        _now += TimeSpan.FromSeconds(60);
        Assert.True(Condemned(B, idle: true));
    }

    [Fact]
    public void A_thousand_exits_and_a_million_answers_take_no_more_room()
    {
        for (int i = 0; i < 1_000_000; i++)
        {
            RouterId exit = Id(i % 1000);
            if (i % 2 == 0) _judge.OnConnected(exit, TimeSpan.FromMilliseconds(i % 700), _now);
            else _judge.OnNotReached(exit, i, _now);
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
        {
            _judge.OnConnected(Id(999), TimeSpan.FromMilliseconds(i), _now);
            _judge.OnNotReached(Id(999), i, _now);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000); // the ids of this test
    }

    private static RouterId Id(int number)
    {
        byte[] bytes = new byte[32];
        BitConverter.TryWriteBytes(bytes, number + 1);
        return new RouterId(bytes);
    }

    private void Fail(RouterId exit, params int[] hosts)
    {
        foreach (int host in hosts) _judge.OnNotReached(exit, host, _now);
    }

    private void Connect(RouterId exit, double seconds, int times)
    {
        for (int i = 0; i < times; i++) _judge.OnConnected(exit, TimeSpan.FromSeconds(seconds), _now);
    }

    private bool Condemned(RouterId exit, bool idle) => Condemned(exit, idle, out _);

    private bool Condemned(RouterId exit, bool idle, out string reason) => _judge.TryCondemn(exit, idle, _now, out reason);
}
