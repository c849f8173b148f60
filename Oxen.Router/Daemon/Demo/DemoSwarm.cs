using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Oxen.Ons.Rpc;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;
using Oxen.Swarm;
using Oxen.Swarm.Clients;
using Oxen.Swarm.Nodes;

namespace Oxen.Router.Daemon.Demo;

/// <summary>A place for a storage node at a router of the demo: the router's plug-in asks here.</summary>
internal sealed class DemoSlot(RouterIdentity identity)
{
    public RouterIdentity Identity => identity;

    public volatile SwarmNode? Node;
}

/// <summary>
/// The demo's storage: 24 nodes in four swarms, in this process. The first of them belong to the demo's routers and are asked
/// through paths that end there, the others by their HTTPS doors, through an exit.
/// </summary>
internal sealed class DemoSwarm : IAsyncDisposable
{
    public const int Nodes = 24, Swarms = 4;
    private const int FirstNet = 131;
    private const long MaxBytes = 64 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-demo-swarm-").FullName; // mode 0700
    private readonly Roster _roster = new();
    private readonly Member[] _members;

    private readonly DemoLedger _ledger;

    private DemoSwarm(IReadOnlyList<DemoSlot> slots, DemoLedger ledger)
    {
        _ledger = ledger;
        _members = [.. Enumerable.Range(0, Nodes).Select(i => new Member(i, i < slots.Count ? slots[i] : null))];
    }

    private sealed class Member
    {
        public Member(int number, DemoSlot? slot)
        {
            Slot = slot;
            Swarm = (ulong)(number % Swarms) * (ulong.MaxValue / Swarms);
            Listen = new IPEndPoint(AddressOf(number), 0);
            if (slot is not null)
            {
                Identity = new SwarmIdentity(slot.Identity.Seed);
                return;
            }

            byte[] seed = RandomNumberGenerator.GetBytes(SwarmIdentity.SeedBytes);
            Identity = new SwarmIdentity(seed);
            CryptographicOperations.ZeroMemory(seed);
        }

        public DemoSlot? Slot { get; }

        public ulong Swarm { get; }

        public IPEndPoint Listen { get; }

        public SwarmIdentity Identity { get; }

        public SwarmNode? Node { get; set; }

        public SwarmMember Contact { get; set; } = null!;

        public string Url => $"https://{Contact.Address}:{Contact.HttpsPort}";
    }

    private sealed class Roster : ISwarmDirectory
    {
        public event Action? Changed;

        public SwarmRoster Current { get; private set; } = new([], 0);

        public void Set(SwarmRoster roster)
        {
            Current = roster;
            Changed?.Invoke();
        }
    }

    /// <summary>The exits' exceptions for the doors.</summary>
    public static IEnumerable<ExitRule> Exceptions => Enumerable.Range(0, Nodes).Select(i => ExitRule.Parse($"allow {AddressOf(i)}:* tcp"));

    /// <summary>Every node of the demo, as a client would learn them from a contact list.</summary>
    public IReadOnlyList<SwarmMember> All => _roster.Current.Members;

    /// <summary>Starts all nodes; they are ready when they have agreed that there is nothing yet.</summary>
    public static async Task<DemoSwarm> StartAsync(IReadOnlyList<DemoSlot> slots, DemoLedger ledger, CancellationToken cancel)
    {
        var swarm = new DemoSwarm(slots, ledger);
        try
        {
            await Parallel.ForEachAsync(swarm._members, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancel }, async (member, _) => await swarm.StartAsync(member).ConfigureAwait(false)).ConfigureAwait(false);
            swarm._roster.Set(new SwarmRoster([.. swarm._members.Select(m => m.Contact)], 1));
            // A node tells that it has caught up only when asked, as clients learn it; every 20 ms costs nothing beside its first comparison.
            while (swarm._members.Any(m => m.Node!.NotReady.Count > 0)) await Task.Delay(TimeSpan.FromMilliseconds(20), cancel).ConfigureAwait(false);
            return swarm;
        }
        catch
        {
            await swarm.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Nodes at routers through paths of their own, the others through the proxy and an exit.</summary>
    public ISwarmRoute RouteThrough(ClientService client, IPEndPoint socks) => new OnionRoute(this, client, socks);

    /// <summary>Stops members of an account's swarm, those at routers and others, as if their machines had lost power. Their ids.</summary>
    public async Task<IReadOnlyList<string>> KillAsync(AccountId account, int count)
    {
        var ring = new SwarmRing(All.Select(m => m.SwarmId));
        ring.TryFind(account, out ulong id);
        Member[] victims = [.. _members.Where(m => m.Swarm == id && m.Node is not null).Take(count)];
        foreach (Member victim in victims) await StopAsync(victim).ConfigureAwait(false);
        return [.. victims.Select(v => Convert.ToHexStringLower(v.Identity.Ed25519.Span))];
    }

    public void WriteEndpoints(Utf8JsonWriter json)
    {
        json.WriteString("seed", _members[0].Url);
        json.WriteStartArray("swarm");
        foreach (Member member in _members)
        {
            json.WriteStartObject();
            json.WriteString("url", member.Url);
            json.WriteString("quic", $"{member.Contact.Address}:{member.Contact.QuicPort}");
            json.WriteString("ed25519", Convert.ToHexStringLower(member.Identity.Ed25519.Span));
            json.WriteString("x25519", Convert.ToHexStringLower(member.Identity.X25519.Span));
            json.WriteString("swarm", SwarmRing.ToHex(member.Swarm));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>An address to try things with.</summary>
    public string FirstUrl => _members[0].Url;

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_members.Select(StopAsync)).ConfigureAwait(false);
        foreach (Member member in _members) member.Identity.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static IPAddress AddressOf(int number) => new([127, (byte)(FirstNet + number), 0, 1]);

    private async Task StartAsync(Member member)
    {
        member.Node = await SwarmNode.StartAsync(new SwarmNodeOptions
        {
            Identity = member.Identity,
            Directory = _roster,
            DatabasePath = Path.Combine(_folder, $"{member.Listen.Address}.db"),
            Listen = member.Listen,
            ListenQuic = member.Listen,
            Seed = true,
            MaxBytes = MaxBytes,
            Ledger = new SwarmLedger(async (method, parameters, stop) => await LedgerCalls.To(new LedgerRpc(await _ledger.Opening.WaitAsync(stop).ConfigureAwait(false)))(method, parameters, stop).ConfigureAwait(false)),
            SyncInterval = TimeSpan.FromSeconds(2),
        }).ConfigureAwait(false);
        member.Contact = new SwarmMember(member.Identity.Ed25519, member.Swarm, member.Listen.Address, member.Node.HttpsPort, member.Node.QuicPort);
        if (member.Slot is { } slot) slot.Node = member.Node;
    }

    private static async Task StopAsync(Member member)
    {
        if (member.Slot is { } slot) slot.Node = null;
        if (member.Node is { } node) await node.DisposeAsync().ConfigureAwait(false);
        member.Node = null;
    }

    private sealed class OnionRoute(DemoSwarm swarm, ClientService client, IPEndPoint socks) : ISwarmRoute, IDisposable
    {
        private readonly OnionSwarmRoute _paths = new(client, default);
        private readonly HttpsSwarmRoute _exits = new(Patience, new WebProxy($"socks5://{socks}"));

        public Task<SwarmAnswer> AskAsync(SwarmMember node, ReadOnlyMemory<byte> request, CancellationToken cancel)
        {
            bool atRouter = Array.Exists(swarm._members, m => m.Slot is not null && m.Identity.Ed25519.Span.SequenceEqual(node.Ed25519.Span));
            return (atRouter ? (ISwarmRoute)_paths : _exits).AskAsync(node, request, cancel);
        }

        public void Dispose() => _exits.Dispose();
    }
}
