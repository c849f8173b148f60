using System.Globalization;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Testing;

/// <summary>A network of simulated routers: relays, exits and clients over one <see cref="SimNetwork"/>, all from one seed.</summary>
/// <example>
/// <code>
/// using var world = new SimWorld(seed) { };
/// SimRouter client = world.AddClient();
/// client.Want(0);
/// world.Until(() => client.IsReady(), 5, "ready");
/// SimTransfer transfer = client.Transfer(1_000_000);
/// world.Until(() => transfer.Over, 60, "transfer");
/// </code>
/// </example>
internal sealed class SimWorld : IDisposable
{
    private readonly List<(RouterIdentity Identity, OnionKeyRing Keys)> _secrets = [];
    private readonly Dictionary<string, (string Where, string Kind)> _installed = [];
    private readonly List<SimRouter> _all = [];
    private readonly SeededEntropy _entropy;
    private int _incarnations;

    public SimWorld(ulong seed, int relays = 8, int exits = 2, SimLink? link = null, Func<int, SimRouterOptions, SimRouterOptions>? adjust = null, bool tunnels = false, bool gossip = false, Func<int, (UdpAddress Address, string Operator)>? place = null)
    {
        Seed = seed;
        _entropy = new SeededEntropy(seed ^ 0x5EED);
        Network = new SimNetwork(seed) { Default = link ?? SimLink.Perfect };
        var contacts = new List<RouterContact>();
        var options = new List<SimRouterOptions>();
        const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;
        for (int i = 0; i < relays + exits; i++)
        {
            RouterIdentity identity = RouterIdentity.Create(_entropy);
            OnionKeyPair onion = OnionKeyPair.Create(_entropy);
            (UdpAddress address, string operatorLabel) = place?.Invoke(i) ?? (UdpAddress.FromBytes([10, (byte)(i + 1), 0, 1], 1090), "");
            RouterCapabilities can = i < relays ? RouterCapabilities.Relay : tunnels ? RouterCapabilities.Exit | RouterCapabilities.Tunnel : RouterCapabilities.Exit;
            contacts.Add(RouterContact.Create(identity, onion, can, [address], "test-1", operatorLabel, Now - 86_400, Now + 86_400));
            var ring = new OnionKeyRing(onion, Instant.Zero);
            _secrets.Add((identity, ring));
            options.Add(new SimRouterOptions { Name = i < relays ? $"relay{i}" : $"exit{i - relays}", Address = address, Seed = NextSeed(), Identity = identity, OnionKeys = ring, Tunnel = i < relays || !tunnels ? null : SimTunnel.Exit(i) });
        }

        using RouterIdentity listKey = RouterIdentity.Create(_entropy);
        byte[] network = new byte[32];
        ContactList list = ContactList.Create(listKey, network, contacts, Now - 86_400, Now + 86_400);
        if (ContactList.TryOpen(list.Encoded, listKey.Id, network, Now, out ContactList? opened) != ContactFault.None) throw new InvalidOperationException("the list does not open");
        Directory = NodeDirectory.From(opened!, Now);
        Contacts = contacts;
        Roster = RelayRoster.From(opened!);
        if (gossip)
        {
            for (int i = 0; i < options.Count; i++)
            {
                var own = new OwnRouter { Capabilities = contacts[i].Capabilities, Addresses = contacts[i].Addresses.ToArray(), Region = "test-1", Operator = contacts[i].Operator, StoreOnionKey = static _ => true };
                options[i] = options[i] with { Directory = new DirectoryOptions { Roster = Roster, Contacts = contacts, Own = own } };
            }
        }

        for (int i = 0; i < options.Count; i++) Routers.Add(Start(adjust is null ? options[i] : adjust(i, options[i])));
    }

    public ulong Seed { get; }

    public SimNetwork Network { get; }

    public NodeDirectory Directory { get; }

    /// <summary>What the list says of each router, and who is on it.</summary>
    public IReadOnlyList<RouterContact> Contacts { get; }

    public RelayRoster Roster { get; }

    /// <summary>Relays, then exits: those that run now. A restarted one takes the place of its predecessor.</summary>
    public List<SimRouter> Routers { get; } = [];

    public List<SimRouter> Clients { get; } = [];

    /// <summary>A secret that was installed twice where it must not be; empty when all is well.</summary>
    public string KeyReuse { get; private set; } = "";

    public Instant Now => Network.Now;

    /// <summary>The seed to run with: OXEN_SEED when set.</summary>
    public static ulong SeedOr(ulong usual) =>
        ulong.TryParse(Environment.GetEnvironmentVariable("OXEN_SEED"), CultureInfo.InvariantCulture, out ulong seed) ? seed : usual;

    public SimRouter AddClient(ClientPathOptions? paths = null, TimeSpan skew = default, Func<SimRouterOptions, SimRouterOptions>? adjust = null)
    {
        int number = Clients.Count;
        var options = new SimRouterOptions
        {
            Name = $"client{number}", Address = UdpAddress.FromBytes([172, (byte)(16 + number), 0, 1], 4000), Seed = NextSeed(), Client = paths ?? new ClientPathOptions(), ClockSkew = skew,
        };
        SimRouter client = Start(adjust is null ? options : adjust(options));
        Clients.Add(client);
        return client;
    }

    public SimRouter ById(RouterId id) => Routers.Find(r => r.Id == id) ?? throw new ArgumentException("no such router", nameof(id));

    /// <summary>A new process with the same identity at the same address.</summary>
    public SimRouter Restart(SimRouter old)
    {
        old.Kill();
        SimRouter fresh = Start(old.Options with { Seed = NextSeed(), Builds = old.Options.Builds with { FirstEpoch = 0 } });
        Routers[Routers.IndexOf(old)] = fresh;
        return fresh;
    }

    /// <summary>Runs until `done`, or throws with the story of the world.</summary>
    public void Until(Func<bool> done, double seconds, string what)
    {
        Instant began = Now;
        bool ended;
        try
        {
            ended = Network.RunUntil(done, TimeSpan.FromSeconds(seconds));
        }
        catch (Exception e)
        {
            throw new SimFailure($"{what}: {e.Message}\n{Story()}", e);
        }

        if (!ended) throw new SimFailure($"not within {seconds} s since {began}: {what}\n{Story()}");
    }

    public void Run(double seconds)
    {
        Instant end = Now + TimeSpan.FromSeconds(seconds);
        Until(() => Now >= end, seconds + 0.001, "running");
    }

    public void Check(bool holds, string what)
    {
        if (!holds) throw new SimFailure($"does not hold: {what}\n{Story()}");
    }

    public long Dropped(DropReason reason) => _all.Where(r => !r.IsDead).Sum(r => r.Dropped(reason));

    public SortedDictionary<string, long> Drops()
    {
        var sum = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (SimRouter router in _all)
            foreach ((string name, long count) in router.Drops()) sum[name] = sum.GetValueOrDefault(name) + count;
        return sum;
    }

    public string Story()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"OXEN_SEED={Seed}, now {Now}, drops {string.Join(", ", Drops().Select(d => $"{d.Key} {d.Value}"))}");
        text.AppendLine().Append(CultureInfo.InvariantCulture, $"network: sent {Network.Sent}, delivered {Network.Delivered}, lost {Network.Lost}");
        if (KeyReuse.Length > 0) text.AppendLine().Append(KeyReuse);
        foreach (SimRouter router in _all)
        {
            text.AppendLine().Append(CultureInfo.InvariantCulture, $"{router.Name} {router.Id.ToString()[..6]}{(router.IsDead ? " (dead)" : "")}:");
            if (router.Client is not null && !router.IsDead)
                text.Append(CultureInfo.InvariantCulture, $" trouble \"{router.Control.Client!.Trouble}\", groups {string.Join(", ", router.Client.Groups.Select(g => $"{g.Number} {g.State} {g.Paths.Count} paths, {g.Quic?.Stats}"))}");
            foreach ((Instant at, string what) in router.Story.TakeLast(router.Client is null ? 12 : 60)) text.AppendLine().Append(CultureInfo.InvariantCulture, $"  {at} {what}");
        }

        foreach (SimRouter client in Clients)
            foreach (SimTransfer transfer in client.Transfers.TakeLast(3)) text.AppendLine().Append(transfer.ToString());
        return text.ToString();
    }

    public void Dispose()
    {
        foreach (SimRouter router in _all) router.Dispose();
        foreach ((RouterIdentity identity, OnionKeyRing keys) in _secrets)
        {
            identity.Dispose();
            keys.Dispose();
        }
    }

    private ulong NextSeed() => (Seed * 1_000_003) + (ulong)++_incarnations;

    private SimRouter Start(SimRouterOptions options)
    {
        var router = new SimRouter(Network, options, Directory);
        string where = $"{options.Name} #{_all.Count}";
        router.DataPlane.Watch = (_, command) =>
        {
            if (command is AddLinkSender sender) router.Malice?.Learn(sender);
            Watch(where, command);
        };
        _all.Add(router);
        return router;
    }

    // One secret is installed once as a sender's and once as a receiver's; a hop's chain once at the hop and once at the client.
    private void Watch(string where, ShardCommand command)
    {
        switch (command)
        {
            case AddLinkReceiver c:
                Note(where, "receiver", c.Secret);
                break;
            case AddLinkSender c:
                Note(where, "sender", c.Secret);
                break;
            case AddTransitPath c:
                Note(where, "hop", c.Keys.ChainUpstream);
                Note(where, "hop", c.Keys.ChainDownstream);
                break;
            case AddTerminalPath c:
                Note(where, "hop", c.Keys.ChainUpstream);
                Note(where, "hop", c.Keys.ChainDownstream);
                break;
            case AddClientPath c:
                foreach (HopChains hop in c.Hops)
                {
                    Note(where, "client", hop.ChainUpstream);
                    Note(where, "client", hop.ChainDownstream);
                }

                break;
        }
    }

    private void Note(string where, string kind, byte[] secret)
    {
        string key = kind + Convert.ToHexString(secret);
        if (!_installed.TryAdd(key, (where, kind))) KeyReuse = $"a {kind} secret installed at {_installed[key].Where} was installed again at {where}";
    }
}

/// <summary>A simulation did not do what it should; the message tells the seed and the story.</summary>
internal sealed class SimFailure(string message, Exception? inner = null) : Exception(message, inner);
