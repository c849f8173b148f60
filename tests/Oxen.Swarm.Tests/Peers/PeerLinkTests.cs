using System.Collections.Concurrent;
using System.Net;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Peers;

public class PeerLinkTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(5);
    private static readonly SwarmMember Peer = new(new byte[32], 0, IPAddress.Loopback, 1, 0);

    // A peer that answers when the test says so, each message with itself.
    private sealed class Wire : IPeerTransport
    {
        public BlockingCollection<(List<object> Messages, TaskCompletionSource<byte[]?> Answer)> Requests { get; } = [];

        public async Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel)
        {
            Assert.True(BtEncoding.TryRead(request, out object? value));
            var answer = new TaskCompletionSource<byte[]?>(TaskCreationOptions.RunContinuationsAsynchronously);
            Requests.Add(((List<object>)value!, answer), cancel);
            return await answer.Task.WaitAsync(cancel);
        }

        public (List<object> Messages, TaskCompletionSource<byte[]?> Answer) Next()
        {
            Assert.True(Requests.TryTake(out (List<object>, TaskCompletionSource<byte[]?>) next, 60_000), "no request came");
            return next;
        }
    }

    [Fact]
    public async Task What_comes_while_a_request_is_under_way_leaves_as_one_request_when_its_answer_is_there()
    {
        var wire = new Wire();
        await using var link = new PeerLink(Peer, wire, Long, gather: Long);
        Task<object?> first = link.SendAsync(1L, 10);
        (List<object> messages, TaskCompletionSource<byte[]?> answer) = wire.Next();
        Assert.Equal([1L], messages);
        Task<object?>[] others = [.. Enumerable.Range(2, 50).Select(i => link.SendAsync((long)i, 10))];
        Assert.Empty(wire.Requests);
        answer.SetResult(BtEncoding.Write(messages));
        Assert.Equal(1L, await first);
        (messages, answer) = wire.Next();
        Assert.Equal(Enumerable.Range(2, 50).Select(i => (object)(long)i), messages);
        answer.SetResult(BtEncoding.Write(messages));
        Assert.Equal(Enumerable.Range(2, 50).Select(i => (object)(long)i), (await Task.WhenAll(others))!);
        Assert.False(link.IsSilent);
    }

    [Fact]
    public async Task A_slow_answer_holds_nothing_up_for_longer_than_the_gathering()
    {
        var wire = new Wire();
        await using var link = new PeerLink(Peer, wire, Long, gather: TimeSpan.FromMilliseconds(1));
        Task<object?> first = link.SendAsync(1L, 10);
        (List<object> one, TaskCompletionSource<byte[]?> slow) = wire.Next();
        Task<object?> second = link.SendAsync(2L, 10);
        (List<object> two, TaskCompletionSource<byte[]?> fast) = wire.Next();
        fast.SetResult(BtEncoding.Write(two));
        Assert.Equal(2L, await second);
        Assert.False(first.IsCompleted);
        slow.SetResult(BtEncoding.Write(one));
        Assert.Equal(1L, await first);
    }

    [Fact]
    public async Task Whoever_does_not_answer_is_silent_and_what_is_left_at_the_end_has_no_answer()
    {
        var wire = new Wire();
        var link = new PeerLink(Peer, wire, Long, gather: Long);
        Task<object?> first = link.SendAsync(1L, 10);
        wire.Next().Answer.SetResult(null);
        Assert.Null(await first);
        Assert.True(link.IsSilent);
        Assert.Null(await link.SendAsync(2L, 10));
        Task<object?> probe = link.ProbeAsync(new WireMap { ["k"] = "ping" }, Long);
        (List<object> messages, TaskCompletionSource<byte[]?> answer) = wire.Next();
        answer.SetResult(BtEncoding.Write(messages));
        Assert.NotNull(await probe);
        Task<object?> sent = link.SendAsync(3L, 10);
        wire.Next();
        Task<object?> waiting = link.SendAsync(4L, 10);
        await link.DisposeAsync();
        Assert.Null(await sent);
        Assert.Null(await waiting);
        Assert.Null(await link.SendAsync(5L, 10));
    }
}
