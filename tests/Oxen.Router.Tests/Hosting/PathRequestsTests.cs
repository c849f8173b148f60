using System.Collections.Concurrent;
using System.IO.Pipelines;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Client;
using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Testing;

namespace Oxen.Router.Tests.Hosting;

/// <summary>Where requests through paths end.</summary>
public sealed class PathRequestsTests : IDisposable
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    private readonly Relays _relays = new();
    private readonly FakeTimeProvider _time = new();
    private readonly PathRequests _requests;

    public PathRequestsTests() => _requests = new PathRequests(_relays, RouterCapabilities.Names, "names", _time);

    public void Dispose() => _requests.Dispose();

    private async Task<PathResponse> AskAsync(int path) => await _requests.AskAsync(path, "ons_resolve", new byte[] { 1 }, 64, Cancel);

    [Fact]
    public async Task Each_path_ends_at_another_relay_that_says_it_answers_and_stays_there()
    {
        _relays.Answering = [Id(1), Id(2), Id(3), Id(4), Id(5), Id(6)];
        for (int round = 0; round < 3; round++) for (int path = 0; path < 4; path++) Assert.Equal(ResponseCode.Ok, (await AskAsync(path)).Code);
        (RouterId Relay, IsolationKey Isolation)[] asked = [.. _relays.Asked];
        Assert.Equal(12, asked.Length);
        Assert.Equal(4, asked.Distinct().Count());
        Assert.Equal(4, asked.Select(a => a.Relay).Distinct().Count());
        Assert.Equal(4, asked.Select(a => a.Isolation).Distinct().Count());
        Assert.DoesNotContain(asked, a => a.Isolation.IsShared || a.Relay.IsNone);
    }

    [Fact]
    public async Task With_few_relays_several_paths_end_at_one_and_share_nothing_else()
    {
        _relays.Answering = [Id(1), Id(2)];
        for (int path = 0; path < 4; path++) await AskAsync(path);
        Assert.Equal(2, _relays.Asked.Select(a => a.Relay).Distinct().Count());
        Assert.Equal(4, _relays.Asked.Select(a => a.Isolation).Distinct().Count());
    }

    [Fact]
    public async Task Where_no_relay_says_so_a_path_ends_at_an_exit()
    {
        Assert.Equal(ResponseCode.Ok, (await AskAsync(0)).Code);
        Assert.True(Assert.Single(_relays.Asked).Relay.IsNone);
    }

    [Fact]
    public async Task A_relay_that_is_not_reached_goes_behind_the_others_for_a_while()
    {
        _relays.Answering = [Id(1), Id(2), Id(3)];
        await AskAsync(0);
        RouterId first = Assert.Single(_relays.Asked).Relay;
        _relays.Unreachable = first;
        IOException e = await Assert.ThrowsAsync<IOException>(() => AskAsync(0));
        Assert.Contains("no path to it", e.Message, StringComparison.Ordinal);
        await AskAsync(0);
        Assert.NotEqual(first, _relays.Asked.Last().Relay);
        _relays.Unreachable = default;
        _time.Advance(TimeSpan.FromMinutes(11));
        await AskAsync(0);
        Assert.Equal(first, _relays.Asked.Last().Relay);
    }

    private static RouterId Id(byte number) => new([.. Enumerable.Repeat(number, RouterId.Bytes)]);

    private sealed class Relays : IRelayStreams
    {
        private readonly FakeOnion _onion = new(AnswerAsync);

        public IReadOnlyList<RouterId> Answering { get; set; } = [];

        public RouterId Unreachable { get; set; }

        public ConcurrentQueue<(RouterId Relay, IsolationKey Isolation)> Asked { get; } = new();

        public Task<IReadOnlyList<RouterId>> FindRelaysAsync(RouterCapabilities capability, CancellationToken cancel) => Task.FromResult(capability == RouterCapabilities.Names ? Answering : []);

        public ValueTask<OnionStream> OpenAsync(IsolationKey isolation, CancellationToken cancel) => OpenToRelayAsync(default, isolation, cancel);

        public ValueTask<OnionStream> OpenToRelayAsync(RouterId relay, IsolationKey isolation, CancellationToken cancel)
        {
            Asked.Enqueue((relay, isolation));
            if (relay == Unreachable && !relay.IsNone) throw new OnionUnavailableException("there is no path to it");
            return _onion.OpenAsync(isolation, cancel);
        }

        private static async Task AnswerAsync(IDuplexPipe stream)
        {
            while (true)
            {
                ReadResult read = await stream.Input.ReadAsync(Cancel);
                stream.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) break;
            }

            byte[] head = new byte[RequestFraming.ResponseHeadBytes];
            RequestFraming.WriteResponseHead(ResponseCode.Ok, 0, head);
            await stream.Output.WriteAsync(head, Cancel);
            await stream.Output.CompleteAsync();
        }
    }
}
