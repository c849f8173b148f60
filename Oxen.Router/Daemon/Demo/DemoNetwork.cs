using System.Net;
using Oxen.Ons;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Transport;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Swarm;

namespace Oxen.Router.Daemon.Demo;

/// <summary>What a demo network is made of.</summary>
internal sealed record DemoNetworkOptions
{
    public int Relays { get; init; } = 8;

    public int Exits { get; init; } = 2;

    public ClientPathOptions Paths { get; init; } = new();

    /// <summary>What the exits may reach although their policy refuses loopback: the demo's own targets.</summary>
    public IReadOnlyList<ExitRule> Exceptions { get; init; } = [];

    /// <summary>A source of random bytes for each thread that needs one.</summary>
    public Func<IEntropy> Entropy { get; init; } = static () => new SystemEntropy();

    public Action<RouterNotice>? OnNotice { get; init; }

    /// <summary>Each relay and exit in a process of its own.</summary>
    public bool Processes { get; init; }

    /// <summary>The routers' ledger; open already if they are processes of their own. Null: none.</summary>
    public DemoLedger? Ledger { get; init; }

    /// <summary>Which routers, by name, have the ledger and answer look-ups.</summary>
    public Func<string, bool> Answering { get; init; } = static _ => true;
}

/// <summary>
/// A whole network on loopback: relays and exits, each with its own address, socket and keys, a signed contact list, and a client.
/// Addresses are 127.11.0.1, 127.12.0.1, …: every router in a /16 of its own, so the diversity rules stay on.
/// </summary>
internal sealed class DemoNetwork : IAsyncDisposable
{
    public const string Network = "oxen-demo";
    private const long Hour = 3600;
    private const long Day = 24 * Hour;

    // A demo's relay sees one client's traffic: a small replay filter serves.
    private static readonly ShardOptions Shard = new() { ReplayFilterBytes = 4 << 20, MaxPaths = 1024 };

    /// <summary>A client's: it may reach hidden services, or be one.</summary>
    public static ShardOptions ClientShard { get; } = Shard with { MaxClientPaths = 128 };

    private readonly DemoNetworkOptions _options;
    private readonly List<IDemoRouter> _routers = [];
    private readonly List<RouterContact> _contacts = [];
    private readonly List<IDisposable> _keys = [];
    private readonly List<DemoSlot> _slots = [];

    private DemoNetwork(DemoNetworkOptions options)
    {
        _options = options;
    }

    /// <summary>Relays first, exits after them.</summary>
    public IReadOnlyList<IDemoRouter> Routers => _routers;

    public RouterNode Client { get; private set; } = null!;

    public NodeDirectory Directory { get; private set; } = NodeDirectory.Empty;

    /// <summary>Places for storage nodes at routers of this process.</summary>
    public IReadOnlyList<DemoSlot> Slots => _slots;

    /// <summary>The contact list, and with a process for each router their files.</summary>
    public DemoDirectory Files { get; } = new();

    /// <summary>The key that the contact list is signed with.</summary>
    public RouterId ListKey { get; private set; }

    /// <summary>How another program joins this network, keeping its state in a directory of its own.</summary>
    public OxenClientOptions JoinOptions(string program, int hops)
    {
        var options = new OxenClientOptions
        {
            Contacts = Files.ContactsFile,
            ContactsKey = ListKey.ToString(),
            Network = Network,
            State = Path.Combine(Files.Root, program, "state"),
            Hops = hops,
        };
        return _options.Ledger is null ? options : options.UseNames(Files.GenesisFile);
    }

    public DemoLedger? Ledger => _options.Ledger;

    /// <summary>Identities and addresses of the relays and exits, in their order.</summary>
    public List<(RouterIdentity Identity, IPEndPoint Address)> Members { get; } = [];

    /// <summary>Router names by id, for the screen: this network is our own, nobody is betrayed by it.</summary>
    public Dictionary<string, string> Names { get; } = new(StringComparer.Ordinal);

    public static async Task<DemoNetwork> StartAsync(DemoNetworkOptions options, CancellationToken cancel)
    {
        var network = new DemoNetwork(options);
        try
        {
            await network.BeginAsync(cancel).ConfigureAwait(false);
            return network;
        }
        catch
        {
            await network.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public IDemoRouter? Find(string routerId) => Names.TryGetValue(routerId, out string? name) ? _routers.Find(r => r.Name == name) : null;

    public Task<RouterFigures[]> ReadFiguresAsync() => Task.WhenAll(_routers.Select(r => r.ReadFiguresAsync()));

    public async ValueTask DisposeAsync()
    {
        if (Client is not null) await Client.DisposeAsync().ConfigureAwait(false);
        await Task.WhenAll(_routers.Select(r => r.DisposeAsync().AsTask())).ConfigureAwait(false);
        foreach (IDisposable key in _keys) key.Dispose();
        Files.Dispose();
    }

    private async Task BeginAsync(CancellationToken cancel)
    {
        if (_options.Ledger is { } ledger) Files.SetLedger(ledger, _options.Processes ? ledger.Rpc : null);
        IEntropy entropy = _options.Entropy();
        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        ListKey = listKey.Id;
        int count = _options.Relays + _options.Exits;
        var starts = new List<Action>();
        for (int i = 0; i < count; i++)
        {
            bool exit = i >= _options.Relays;
            string name = exit ? $"exit-{i - _options.Relays + 1}" : $"relay-{i + 1}";
            string operatorLabel = $"operator-{i + 1}";
            var address = new IPAddress([127, (byte)(11 + i), 0, 1]);
            starts.Add(_options.Processes ? Launch(name, address, exit, operatorLabel, entropy) : Host(name, address, exit, operatorLabel, entropy));
        }

        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        ContactWords.TryNetworkId(Network, out byte[] networkId);
        ContactList list = ContactList.Create(listKey, networkId, _contacts, unix - 60, unix + 7 * Day);
        if (ContactList.TryOpen(list.Encoded, listKey.Id, networkId, unix, out ContactList? opened) != ContactFault.None) throw new InvalidOperationException("the demo's own contact list is refused");
        Directory = NodeDirectory.From(opened!, unix);
        Files.SetContacts(list);

        foreach (Action start in starts) start();
        await Task.WhenAll(_routers.OfType<ProcessRouter>().Select(r => r.WaitReadyAsync(cancel))).ConfigureAwait(false);
        Client = new RouterNode(new RouterNodeOptions
        {
            Name = "client",
            Listen = UdpAddress.FromBytes([127, 10, 0, 1], 0),
            Client = _options.Paths,
            NetworkId = networkId,
            Shard = ClientShard,
            Entropy = _options.Entropy,
            OnNotice = _options.OnNotice,
        });
        Client.Start(Directory);
    }

    // Both give what is to be done once the contact list stands.

    private Action Host(string name, IPAddress address, bool exit, string operatorLabel, IEntropy entropy)
    {
        RouterIdentity identity = Keep(RouterIdentity.Create(entropy));
        OnionKeyPair onion = OnionKeyPair.Create(entropy);
        OnionKeyRing ring = Keep(new OnionKeyRing(onion, Instant.Zero));
        var slot = new DemoSlot(identity);
        _slots.Add(slot);
        var node = new RouterNode(new RouterNodeOptions
        {
            Name = name,
            Listen = UdpAddress.From(new IPEndPoint(address, 0)),
            Identity = identity,
            OnionKeys = ring,
            ExitPolicy = exit ? ExitPolicy.CreateDefault(_options.Exceptions) : null,
            Plugins = [new PingPlugin(), new IntrosetPlugin(), new SwarmPlugin(() => slot.Node), .. Answers(name) ? new IRouterPlugin[] { _options.Ledger!.Plugin } : []],
            Shard = Shard,
            Entropy = _options.Entropy,
            OnNotice = _options.OnNotice,
        });
        _routers.Add(new HostedRouter(node));
        Publish(name, identity, onion, exit, node.LocalAddress, operatorLabel);
        return () => node.Start(Directory);
    }

    private Action Launch(string name, IPAddress address, bool exit, string operatorLabel, IEntropy entropy)
    {
        IPEndPoint listen = DemoDirectory.FreeEndPoint(address);
        byte[] seed = new byte[OnionKeyPair.SeedBytes];
        entropy.FillSecret(seed);
        RouterIdentity identity = Keep(RouterIdentity.Create(entropy));
        using var onion = new OnionKeyPair(seed);
        Files.AddKeys(name, identity, seed);
        (string config, string status) = Files.AddConfig(name, listen, operatorLabel, ListKey, Network, exit ? _options.Exceptions : null, Answers(name));
        Publish(name, identity, onion, exit, UdpAddress.From(listen), operatorLabel);
        return () => _routers.Add(new ProcessRouter(name, config, status));
    }

    private void Publish(string name, RouterIdentity identity, OnionKeyPair onion, bool exit, UdpAddress address, string operatorLabel)
    {
        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Names.Add(identity.Id.ToString(), name);
        Members.Add((identity, address.ToIPEndPoint()));
        RouterCapabilities capabilities = (exit ? RouterCapabilities.Exit : RouterCapabilities.Relay) | (Answers(name) ? RouterCapabilities.Names : RouterCapabilities.None);
        _contacts.Add(RouterContact.Create(identity, onion, capabilities, [address], "demo", operatorLabel, unix - Hour, unix + 30 * Day));
    }

    private bool Answers(string name) => _options.Ledger is not null && _options.Answering(name);

    private T Keep<T>(T key)
        where T : IDisposable
    {
        _keys.Add(key);
        return key;
    }
}
