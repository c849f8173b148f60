using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Chaos;

/// <summary>
/// What must hold at every moment, whatever happens. A breach throws with the story of the world; the seed repeats it.
/// </summary>
internal sealed class ChaosWatch
{
    private readonly SimWorld _world;
    /// <summary>The addresses of all clients begin with this, and nothing else does.</summary>
    public static readonly byte[] ClientPrefix = [0xFD, 0x0C, 0x4F, 0x58, 0x45, 0x4E, 0x9A, 0x31, 0xC7, 0x05];

    private const int SearchSlabsEvery = 5;

    private readonly List<SimRouter> _clients = [];
    private readonly Dictionary<UdpAddress, SimRouter> _byAddress = [];
    private readonly Dictionary<RouterId, RouterContact> _contacts;
    private readonly Dictionary<SimRouter, HashSet<RouterId>> _guards = [];

    public ChaosWatch(SimWorld world)
    {
        _world = world;
        _contacts = world.Contacts.ToDictionary(c => c.Id);
        world.Network.Tap = OnWire;
    }

    /// <summary>Paths that were looked at.</summary>
    public long Paths { get; private set; }

    /// <summary>Datagrams on the wire that were searched for addresses of clients.</summary>
    public long Searched { get; private set; }

    public long Looks { get; private set; }

    public void Add(SimRouter client)
    {
        byte[] address = new byte[16];
        client.Address.WriteAddress(address);
        if (!address.AsSpan().StartsWith(ClientPrefix)) throw new ArgumentException("its address does not stand out", nameof(client));
        _clients.Add(client);
        _byAddress.Add(client.Address, client);
        _guards[client] = [];
        client.PathBuilt = OnPath;
    }

    /// <summary>A router that has just been started.</summary>
    public void Follow(SimRouter router) => router.ContentTap = OnContent;

    /// <summary>To be called now and then, between two events.</summary>
    public void Look()
    {
        Looks++;
        _world.Check(_world.KeyReuse.Length == 0, _world.KeyReuse);
        SimNetwork net = _world.Network;
        _world.Check(net.Sent + net.Duplicated == net.Delivered + net.Unreachable + net.Lost + net.QueueDrops + net.InFlight, "the network accounts for every datagram");
        foreach (SimRouter router in _world.Routers.Concat(_world.Clients))
        {
            if (router.IsDead) continue;
            _world.Check(router.Vanished == 0, $"{router.Name}: {router.Vanished} sealed datagrams went without a trace or a reason");
            if (router.Frozen) continue;
            foreach (ShardCore shard in router.Shards)
                _world.Check(shard.Control.IsEmpty && shard.Deliveries.IsEmpty && shard.Originations.IsEmpty && shard.Transmits.Count == 0, $"{router.Name} holds slots of its slab while it is at rest");
        }

        foreach (SimRouter client in _clients) _guards[client].UnionWith(client.Control.Client!.Guards.Sample); // now or before: a link may outlive the choice
        foreach (SimRouter router in _world.Routers) OnlyGuardsKnow(router);
        if (Looks % SearchSlabsEvery != 0) return;
        foreach (SimRouter router in _world.Routers)
        {
            if (router.IsDead) continue;
            foreach (ShardCore shard in router.Shards) _world.Check(shard.Slab.Span.IndexOf(ClientPrefix) < 0, $"{router.Name} holds the address of a client among its packets");
        }
    }

    private void OnlyGuardsKnow(SimRouter router)
    {
        if (router.IsDead) return;
        foreach (Link link in router.Control.Links.Links)
        {
            if (_byAddress.TryGetValue(link.Address, out SimRouter? client) && !_guards[client].Contains(router.Id))
                throw new SimFailure($"{router.Name} has a link with {client.Name} and is none of its guards");
        }
    }

    private void OnWire(UdpAddress from, UdpAddress to, ReadOnlyMemory<byte> datagram)
    {
        Searched++;
        if (datagram.Span.IndexOf(ClientPrefix) >= 0) throw new SimFailure($"the address of a client is readable on the way from {from} to {to}");
    }

    private static void OnContent(SimRouter at, ReadOnlySpan<byte> content)
    {
        if (content.IndexOf(ClientPrefix) >= 0) throw new SimFailure($"the address of a client was read by {at.Name}");
    }

    private void OnPath(RouterId[] hops)
    {
        Paths++;
        RouterContact[] contacts = [.. hops.Select(h => _contacts[h])];
        for (int i = 0; i < contacts.Length; i++)
        {
            for (int j = 0; j < i; j++)
            {
                RouterContact a = contacts[i], b = contacts[j];
                _world.Check(a.Id != b.Id, "a path goes through one relay twice");
                _world.Check(a.Operator.Length == 0 || a.Operator != b.Operator, $"a path goes through two relays of {a.Operator}");
                _world.Check(a.Addresses[0].High >> 48 != b.Addresses[0].High >> 48, $"a path goes through two relays of one /16: {a.Addresses[0]} and {b.Addresses[0]}");
            }
        }
    }
}
