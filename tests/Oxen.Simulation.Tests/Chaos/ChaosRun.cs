using System.Globalization;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>One world from its first packet to its last: storms and calms, with everything watched that must hold.</summary>
internal sealed class ChaosRun : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan TurnEvery = TimeSpan.FromMilliseconds(100);

    private readonly ChaosPlan _plan;
    private readonly SimWorld _world;
    private readonly ChaosWatch _watch;
    private readonly ChaosFaults _faults;
    private readonly List<ChaosCustomer> _customers = [];
    private Instant _calmSince = Instant.Zero;
    private bool _isCalm = true;

    public ChaosRun(ChaosPlan plan)
    {
        _plan = plan;
        var dice = new SeededEntropy(plan.Seed ^ 0xBAD0);
        _world = new SimWorld(
            plan.Seed,
            plan.Relays,
            plan.Exits,
            new SimLink { Delay = TimeSpan.FromMilliseconds(7), Jitter = TimeSpan.FromMilliseconds(3), BitsPerSecond = 10_000_000 },
            (i, o) => i < plan.Relays && plan.OneBadOf > 0 && i % plan.OneBadOf == plan.OneBadOf - 1 ? o with { Malice = Badness(dice) } : o,
            gossip: true,
            place: Place);
        _watch = new ChaosWatch(_world);
        for (int i = 0; i < plan.Clients + (2 * plan.Services); i++) _watch.Add(AddClient(i));
        _faults = new ChaosFaults(plan, _world, _watch);
        for (int i = 0; i < plan.Clients; i++) _customers.Add(new ChaosCustomer(plan, _world, _world.Clients[i], null));
        for (int i = 0; i < plan.Services; i++)
        {
            HiddenService service = _world.Clients[plan.Clients + (2 * i)].Host(new HiddenServiceOptions { Seed = [.. Enumerable.Repeat((byte)(i + 1), 32)], Ports = [new ServicePort(6, 80)] });
            _customers.Add(new ChaosCustomer(plan, _world, _world.Clients[plan.Clients + (2 * i) + 1], service.Address));
        }
    }

    public SimWorld World => _world;

    public ulong TraceHash => _world.Network.TraceHash;

    public int Faults => _faults.Count;

    /// <summary>The longest time from the end of a storm until every client was served again.</summary>
    public TimeSpan SlowestHealing { get; private set; }

    public void Run()
    {
        try
        {
            _world.Network.Schedule(_world.Now + LookEvery, Look);
            _world.Network.Schedule(_world.Now + TurnEvery, Turn);
            Serve(_plan.HealWithin, "at the beginning");
            for (int storm = 0; storm < _plan.Storms; storm++)
            {
                _isCalm = false;
                _faults.Rage(_plan.Storm);
                _world.Run(_plan.Storm.TotalSeconds);
                _faults.Heal();
                _isCalm = true;
                _calmSince = _world.Now;
                Serve(_plan.HealWithin, $"after storm {storm + 1}");
                TimeSpan healed = _world.Now - _calmSince;
                if (healed > SlowestHealing) SlowestHealing = healed;
                _world.Run(_plan.Calm.TotalSeconds);
            }

            if (_plan.CountLeftovers) CountLeftovers();
        }
        catch (Exception e) when (e is not ChaosFailure)
        {
            throw new ChaosFailure(_plan, _faults.Count, $"{e.Message}\nfaults: {string.Join("\n  ", _faults.Log.TakeLast(30))}", e);
        }
    }

    public string Report()
    {
        SimNetwork net = _world.Network;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"seed {_plan.Seed}: {_plan.Nodes} nodes, {(_world.Now - Instant.Zero).TotalSeconds:F0} s, {Faults} faults, {net.Sent} datagrams, {_watch.Paths} paths, {_customers.Sum(c => c.Completed)} transfers complete, ");
        text.Append(CultureInfo.InvariantCulture, $"{_customers.Sum(c => c.Lost)} lost with their session, slowest healing {SlowestHealing.TotalSeconds:F1} s; drops {string.Join(", ", _world.Drops().Select(d => $"{d.Key} {d.Value}"))}");
        var deeds = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach ((string what, long count) in _world.Routers.SelectMany(r => r.Malice?.Deeds ?? [])) deeds[what] = deeds.GetValueOrDefault(what) + count;
        text.Append(CultureInfo.InvariantCulture, $"; bad deeds {string.Join(", ", deeds.Select(d => $"{d.Key} {d.Value}"))}; trace {TraceHash:x16}");
        return text.ToString();
    }

    public void Dispose() => _world.Dispose();

    // Everybody is ready and transfers: two further complete transfers for each, of which the second began after the healing did.
    private void Serve(TimeSpan within, string when)
    {
        int[] before = [.. _customers.Select(c => c.Completed)];
        _world.Until(() => Enumerable.Range(0, _customers.Count).All(i => _customers[i].IsReady && _customers[i].Completed >= before[i] + 2), within.TotalSeconds, $"every client is served {when}");
    }

    private void Look()
    {
        _watch.Look();
        _world.Network.Schedule(_world.Now + LookEvery, Look);
    }

    private void Turn()
    {
        foreach (ChaosCustomer customer in _customers) customer.Turn(_isCalm);
        _world.Network.Schedule(_world.Now + TurnEvery, Turn);
    }

    private void CountLeftovers()
    {
        _customers.Clear();
        for (int i = 0; i < _plan.Clients; i++) _world.Clients[i].CloseGroup(0);
        _world.Run(10);
        for (int i = 0; i < _plan.Clients; i++)
        {
            SimRouter client = _world.Clients[i];
            _world.Check(client.Client!.Groups.Count == 0, $"{client.Name} has a group left");
            _world.Check(client.Control.Client!.ReadyCount == 0 && client.DataPlane.PathCount == 0, $"{client.Name} has {client.DataPlane.PathCount} paths left");
            _world.Check(client.DataPlane.InUse.Handles == 0, $"{client.Name} has handles left");
        }

        foreach (SimRouter client in _world.Clients) client.Stop();

        // What relays keep of paths whose closing was lost ends with the links or with its lifetime.
        _world.Run(21 * 60);
        foreach (SimRouter router in _world.Routers)
        {
            _world.Check(router.DataPlane.PathCount == 0, $"{router.Name} has {router.DataPlane.PathCount} paths left");
            _world.Check(router.DataPlane.InUse.Handles == 0, $"{router.Name} has {router.DataPlane.InUse.Handles} handles left");
            _world.Check(router.Exit!.Count == 0 && router.Exit.PathCount == 0, $"{router.Name} has {router.Exit.Count} sessions left");
            _world.Check(router.Echoes == 0, $"{router.Name} has {router.Echoes} streams left");
            _world.Check(router.Control.Relay!.PendingCount == 0, $"{router.Name} has builds left");
            _world.Check(router.DataPlane.InUse.Indexes == router.Control.Links.ConnectionCount, $"{router.Name} has {router.DataPlane.InUse.Indexes} receiver indexes for {router.Control.Links.ConnectionCount} connections");
        }
    }

    private SimRouter AddClient(int number)
    {
        byte[] address = [.. ChaosWatch.ClientPrefix, .. new byte[6]];
        address[^1] = (byte)number;
        address[^2] = (byte)(number >> 8);
        return _world.AddClient(adjust: o => o with
        {
            Address = UdpAddress.FromBytes(address, 4000),
            Shard = o.Shard with { MaxClientPaths = 64 },
            Directory = new DirectoryOptions { Roster = _world.Roster, RosterUntilUnixSeconds = (SimClock.StartUnixNanoseconds / 1_000_000_000) + 86_400, Contacts = _world.Contacts },
        });
    }

    // Every fourth router shares an operator with another one, every sixth a /16.
    private (UdpAddress Address, string Operator) Place(int i)
    {
        int network = i % 6 == 5 ? i - 1 : i;
        return (UdpAddress.FromBytes([(byte)(10 + (network / 250)), (byte)((network % 250) + 1), (byte)(i % 6), 1], 1090), i % 4 < 2 ? $"operator-{i / 4}" : $"operator-of-{i}");
    }

    private static SimMaliceOptions Badness(SeededEntropy dice) => dice.Next(6) switch
    {
        0 => new SimMaliceOptions { Drop = 0.3, Lies = true },
        1 => new SimMaliceOptions { Tamper = 0.05, Lies = true },
        2 => new SimMaliceOptions { Replay = 0.3, Misroute = 0.02 },
        3 => new SimMaliceOptions { Delay = 0.1, Lies = true },
        4 => new SimMaliceOptions { Drop = 0.02, Tamper = 0.01, Replay = 0.1, Misroute = 0.01, Delay = 0.05, Lies = true },
        _ => new SimMaliceOptions { Drop = 1 },
    };
}

/// <summary>An invariant was broken; says how to see it again.</summary>
internal sealed class ChaosFailure(ChaosPlan plan, int faults, string message, Exception? inner)
    : Exception(string.Create(CultureInfo.InvariantCulture, $"OXEN_SEED={plan.Seed} OXEN_CHAOS_FAULTS={Math.Min(faults, plan.MaxFaults)}: {message}"), inner)
{
    public int Faults { get; } = faults;
}
