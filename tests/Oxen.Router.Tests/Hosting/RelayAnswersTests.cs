using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Relay;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Tests.Hosting;

/// <summary>One relay finds out whether another answers, over real sockets: what a judge of nodes looks at.</summary>
public sealed class RelayAnswersTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly RouterIdentity _one = RouterIdentity.Create(new SystemEntropy()), _other = RouterIdentity.Create(new SystemEntropy());
    private readonly RouterNode _judge, _judged;

    public RelayAnswersTests() => (_judge, _judged) = (Start(_one, "judge"), Start(_other, "judged"));

    public async ValueTask DisposeAsync()
    {
        await _judge.DisposeAsync();
        await _judged.DisposeAsync();
        _one.Dispose();
        _other.Dispose();
    }

    [Fact]
    public async Task A_relay_that_the_directory_dropped_is_found_at_the_address_of_its_last_proof()
    {
        using var limit = new CancellationTokenSource(Patience);
        Assert.True(await _judge.TestRelayAsync(_other.Id, _judged.LocalAddress, limit.Token));
        Assert.True(await _judge.TestRelayAsync(_other.Id, _judged.LocalAddress, limit.Token)); // over a link of its own, the first one being closed or not
    }

    [Fact]
    public async Task Nobody_at_no_address_and_somebody_else_at_this_one_do_not_answer()
    {
        using var limit = new CancellationTokenSource(Patience);
        using RouterIdentity nobody = RouterIdentity.Create(new SystemEntropy());
        Assert.False(await _judge.TestRelayAsync(nobody.Id, default, limit.Token));
        Assert.False(await _judge.TestRelayAsync(nobody.Id, _judged.LocalAddress, limit.Token)); // it shows another key
        Assert.False(await _judge.TestRelayAsync(_one.Id, _judge.LocalAddress, limit.Token)); // a judge does not ask itself
    }

    [Fact]
    public async Task A_relay_that_died_does_not_answer()
    {
        using var limit = new CancellationTokenSource(Patience);
        Assert.True(await _judge.TestRelayAsync(_other.Id, _judged.LocalAddress, limit.Token));
        _judged.Kill();
        Assert.False(await _judge.TestRelayAsync(_other.Id, _judged.LocalAddress, limit.Token));
    }

    private static RouterNode Start(RouterIdentity identity, string name)
    {
        var node = new RouterNode(new RouterNodeOptions
        {
            Name = name,
            Listen = UdpAddress.FromBytes([127, 0, 0, 1], 0),
            Identity = identity,
            OnionKeys = new OnionKeyRing(OnionKeyPair.Create(new SystemEntropy()), Instant.Zero),
            Plugins = [new PingPlugin()],
            Shard = new ShardOptions { ReplayFilterBytes = 4 << 20, MaxPaths = 1024 },
        });
        node.Start(NodeDirectory.Empty);
        return node;
    }
}
