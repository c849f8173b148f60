using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// A whole network on loopback: relays and exits, each with its own address, socket, keys and threads, a signed contact list,
/// and a client. Addresses are 127.11.0.1, 127.12.0.1, …: every router in a /16 of its own, so the diversity rules stay on.
/// </summary>
internal sealed class DemoNetwork : IAsyncDisposable
{
    private readonly List<RouterNode> _relays = [];
    private readonly List<IDisposable> _keys = [];

    private DemoNetwork()
    {
    }

    /// <summary>Relays first, exits after them.</summary>
    public IReadOnlyList<RouterNode> Relays => _relays;

    public RouterNode Client { get; private set; } = null!;

    public NodeDirectory Directory { get; private set; } = NodeDirectory.Empty;

    /// <summary>Router names by id, for the screen: this network is our own, nobody is betrayed by it.</summary>
    public Dictionary<string, string> Names { get; } = new(StringComparer.Ordinal);

    /// <param name="exceptions">What the exits may reach although their policy refuses loopback: the demo's own targets.</param>
    public static DemoNetwork Start(int relays, int exits, ClientPathOptions paths, IReadOnlyList<ExitRule> exceptions, IEntropy entropy, Action<RouterNotice>? onNotice)
    {
        var network = new DemoNetwork();
        try
        {
            network.Begin(relays, exits, paths, exceptions, entropy, onNotice);
            return network;
        }
        catch
        {
            network.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }
    }

    public RouterNode? Find(string routerId) => Names.TryGetValue(routerId, out string? name) ? _relays.Find(r => r.Name == name) : null;

    public async ValueTask DisposeAsync()
    {
        if (Client is not null) await Client.DisposeAsync().ConfigureAwait(false);
        await Task.WhenAll(_relays.Select(r => r.DisposeAsync().AsTask())).ConfigureAwait(false);
        foreach (IDisposable key in _keys) key.Dispose();
    }

    private void Begin(int relays, int exits, ClientPathOptions paths, IReadOnlyList<ExitRule> exceptions, IEntropy entropy, Action<RouterNotice>? onNotice)
    {
        // A demo's relay sees one client's traffic: a small replay filter serves.
        var shard = new ShardOptions { ReplayFilterBytes = 4 << 20, MaxPaths = 1024 };
        var contacts = new List<RouterContact>();
        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        ExitPolicy policy = ExitPolicy.CreateDefault(exceptions);
        for (int i = 0; i < relays + exits; i++)
        {
            bool exit = i >= relays;
            string name = exit ? $"exit-{i - relays + 1}" : $"relay-{i + 1}";
            RouterIdentity identity = Keep(RouterIdentity.Create(entropy));
            OnionKeyPair onionKey = OnionKeyPair.Create(entropy);
            OnionKeyRing ring = Keep(new OnionKeyRing(onionKey, Instant.Zero));
            var node = new RouterNode(new RouterNodeOptions
            {
                Name = name,
                Listen = UdpAddress.FromBytes([127, (byte)(11 + i), 0, 1], 0),
                Identity = identity,
                OnionKeys = ring,
                ExitPolicy = exit ? policy : null,
                Plugins = [new PingPlugin()],
                Shard = shard,
                Entropy = entropy,
                OnNotice = onNotice,
            });
            _relays.Add(node);
            Names.Add(identity.Id.ToString(), name);
            contacts.Add(RouterContact.Create(
                identity,
                onionKey,
                exit ? RouterCapabilities.Exit : RouterCapabilities.Relay,
                [node.LocalAddress],
                "demo",
                $"operator-{i + 1}",
                unix - 3600,
                unix + 30L * 24 * 3600));
        }

        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        byte[] networkId = new byte[ContactList.NetworkIdBytes];
        "oxen demo"u8.CopyTo(networkId);
        ContactList list = ContactList.Create(listKey, networkId, contacts, unix - 60, unix + 7L * 24 * 3600);
        if (ContactList.TryOpen(list.Encoded, listKey.Id, networkId, unix, out ContactList? opened) != ContactFault.None) throw new InvalidOperationException("the demo's own contact list is refused");
        Directory = NodeDirectory.From(opened!, unix);

        Client = new RouterNode(new RouterNodeOptions
        {
            Name = "client",
            Listen = UdpAddress.FromBytes([127, 10, 0, 1], 0),
            Client = paths,
            Shard = shard,
            Entropy = entropy,
            OnNotice = onNotice,
        });
        foreach (RouterNode relay in _relays) relay.Start(Directory);
        Client.Start(Directory);
    }

    private T Keep<T>(T key)
        where T : IDisposable
    {
        _keys.Add(key);
        return key;
    }
}
