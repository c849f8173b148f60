using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Hosting;

namespace Oxen.Router.Tests.Hosting;

/// <summary>A client that knows no router: everything waits, nothing may pile up.</summary>
public sealed class ClientServiceTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly RouterNode _node = new(new RouterNodeOptions
    {
        Name = "client",
        Listen = UdpAddress.FromBytes([127, 0, 0, 1], 0),
        Client = new ClientPathOptions(),
        Shard = new ShardOptions { ReplayFilterBytes = 4 << 20, MaxPaths = 1024 },
    });

    public ClientServiceTests() => _node.Start(NodeDirectory.Empty);

    private ClientService Client => _node.Client!;

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task An_opening_that_is_given_up_waits_no_longer()
    {
        using var cancel = new CancellationTokenSource();
        Task<OnionStream>[] openings = [.. Enumerable.Range(0, 50).Select(_ => Client.OpenAsync(default, cancel.Token).AsTask())];
        Assert.Equal(50, (await Client.ReadViewAsync(false).WaitAsync(Patience)).WaitingStreams);
        await cancel.CancelAsync();
        foreach (Task<OnionStream> opening in openings) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(Patience));
        Assert.Equal(0, (await Client.ReadViewAsync(false).WaitAsync(Patience)).WaitingStreams);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Client.OpenAsync(default, cancel.Token).AsTask().WaitAsync(Patience));
        Assert.Equal(0, (await Client.ReadViewAsync(false).WaitAsync(Patience)).OpenStreams);
    }

    [Fact]
    public async Task Too_many_different_user_names_are_refused_with_a_remedy_and_the_known_ones_go_on_waiting()
    {
        using var cancel = new CancellationTokenSource();
        Task<OnionStream>[] openings = [.. Enumerable.Range(1, 31).Select(i => Client.OpenAsync(new IsolationKey((ulong)i, 1), cancel.Token).AsTask())];
        var refused = await Assert.ThrowsAsync<OnionUnavailableException>(() => Client.OpenAsync(new IsolationKey(99, 1), cancel.Token).AsTask().WaitAsync(Patience));
        Assert.Contains("user names", refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<OnionUnavailableException>(() => Client.AssociateAsync(new IsolationKey(98, 1), cancel.Token).AsTask().WaitAsync(Patience));
        Assert.All(openings, o => Assert.False(o.IsCompleted));
        Assert.Equal(32, (await Client.ReadViewAsync(false).WaitAsync(Patience)).Groups.Count);
        await cancel.CancelAsync();
        await Task.WhenAll(openings).ContinueWith(_ => { }, TaskScheduler.Default).WaitAsync(Patience);
    }

    [Fact]
    public async Task An_association_that_waits_for_a_path_can_be_given_up()
    {
        using var cancel = new CancellationTokenSource();
        Task<IOnionAssociation> waiting = Client.AssociateAsync(default, cancel.Token).AsTask();
        await Client.ReadViewAsync(false).WaitAsync(Patience);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
    }
}
