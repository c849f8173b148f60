using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Links;

/// <summary>What a link is not to be used for, and what it may cost: clients and relays that mean no good.</summary>
public sealed class LinkAbuseTests : IDisposable
{
    private readonly List<QuicNode> _nodes = [];
    private readonly List<TlsIdentity> _identities = [];
    private SimWorld? _world;

    [Fact]
    public void A_client_is_never_a_next_hop()
    {
        SimWorld world = _world = new SimWorld(21, relays: 1, exits: 1);
        (_, TlsIdentity identity) = LinkUp(world.Routers[0]);
        Assert.Equal(LinkPeer.Client, world.Routers[0].Control.Links.Links.Single().Peer);
        Assert.Null(world.Routers[0].Control.Links.Dial(new RouterId(identity.PublicKey), world.Now));
    }

    [Fact]
    public void A_peer_that_gives_us_no_stream_keeps_neither_requests_nor_paths()
    {
        var stingy = new LinkOptions
        {
            Transport = new QuicTransportOptions { MaxDatagramBytes = 1252, MaxBidiStreams = 1, MaxUniStreams = 0, IdleTimeout = TimeSpan.FromSeconds(15), KeepAlive = TimeSpan.FromSeconds(4), AmplificationFactor = 1 },
        };
        SimWorld world = _world = new SimWorld(22, relays: 2, exits: 1, adjust: (i, o) => i == 1 ? o with { Links = stingy } : o);
        SimRouter a = world.Routers[0], b = world.Routers[1];
        Link? link = null;
        a.Post(now => link = a.Control.Links.Dial(b.Id, now));
        world.Until(() => link is { State: LinkState.Up }, 5, "the link");
        int taken = 0;
        a.Post(now =>
        {
            for (int i = 0; i < 300; i++) taken += a.Control.Links.Send(link!, new byte[BuildMessage.RequestBytes], BuildMessage.ReplyBytes + 1, now) is null ? 0 : 1;
        });
        world.Run(1);
        Assert.Equal(new LinkOptions().MaxWaitingRequests, taken);
        Assert.NotEmpty(link!.Current!.Unopened);
        world.Run(10);
        Assert.Empty(link.Current!.Unopened);
    }

    [Fact]
    public void A_request_that_is_never_finished_loses_its_stream()
    {
        SimWorld world = _world = new SimWorld(23, relays: 1, exits: 1);
        ((QuicNode node, QuicConnection quic, _), _) = LinkUp(world.Routers[0]);
        Assert.True(quic.TryOpenStream(bidirectional: true, out long stream));
        Write(node, quic, stream, [(byte)RequestKind.Build]);
        LinkConnection connection = world.Routers[0].Control.Links.Links.Single().Current!;
        Assert.Single(connection.Requests);
        world.Run(11);
        Assert.Empty(connection.Requests);
        Assert.False(quic.IsClosed);
    }

    [Theory]
    [InlineData(5, LinkError.Busy)]
    [InlineData(17, LinkError.ProtocolViolation)]
    public void A_client_with_many_shards_does_not_take_the_receiver_indexes(byte shards, ulong error)
    {
        SimWorld world = _world = new SimWorld(24, relays: 1, exits: 1);
        (QuicNode node, QuicConnection quic, long stream) = Connect(world.Routers[0], NewIdentity());
        Write(node, quic, stream, Open(shards));
        Assert.True(quic.IsClosed);
        Assert.Equal(error, quic.Stats.CloseError);
        Assert.Equal(0, world.Routers[0].DataPlane.InUse.Indexes);
    }

    [Fact]
    public void Clients_leave_receiver_indexes_for_relays()
    {
        SimWorld world = _world = new SimWorld(25, relays: 2, exits: 1, adjust: (_, o) => o with { Shard = o.Shard with { MaxReceivers = 8 } });
        SimRouter relay = world.Routers[0];
        for (int i = 0; i < 3; i++)
        {
            (QuicNode node, QuicConnection quic, long stream) = Connect(relay, NewIdentity());
            Write(node, quic, stream, Open(shards: 3));
            Assert.Equal(i == 2, quic.IsClosed);
        }

        Assert.Equal(6, relay.DataPlane.InUse.Indexes);
        Link? link = null;
        world.Routers[1].Post(now => link = world.Routers[1].Control.Links.Dial(relay.Id, now));
        world.Until(() => link is { State: LinkState.Up }, 3, "a relay's link");
    }

    [Fact]
    public void One_prefix_does_not_take_all_links_and_clients_do_not_take_the_relays()
    {
        var few = new LinkOptions { MaxLinks = 4, MaxClientLinksPerPrefix = 2 };
        SimWorld world = _world = new SimWorld(26, relays: 2, exits: 1, adjust: (i, o) => i == 0 ? o with { Links = few } : o);
        SimRouter relay = world.Routers[0];
        QuicConnection[] near = [.. Enumerable.Range(0, 3).Select(_ => Connect(relay, NewIdentity(), fails: true).Quic)];
        Assert.Equal([false, false, true], near.Select(q => q.IsClosed));
        QuicConnection[] far = [.. Enumerable.Range(0, 2).Select(_ => Connect(relay, NewIdentity(), network: 100, fails: true).Quic)];
        Assert.Equal([false, true], far.Select(q => q.IsClosed));
        Link? link = null;
        world.Routers[1].Post(now => link = world.Routers[1].Control.Links.Dial(relay.Id, now));
        world.Until(() => link is { State: LinkState.Up }, 3, "a relay's link");
    }

    [Fact]
    public void One_relay_does_not_set_a_clients_clock()
    {
        SimWorld world = _world = new SimWorld(27, relays: 4, exits: 1, adjust: (i, o) => i == 0 ? o with { ClockSkew = TimeSpan.FromSeconds(60) } : o);
        SimRouter client = world.AddClient();
        Link? link = null;
        client.Post(now => link = client.Control.Links.Dial(world.Routers[0].Id, now));
        world.Until(() => link is { State: LinkState.Up }, 3, "the link");
        Assert.Equal(SimClock.StartUnixNanoseconds, client.Clock.Offset);
    }

    [Fact]
    public void What_a_neighbour_gives_as_reason_for_closing_a_path_is_not_passed_on()
    {
        SimWorld world = _world = new SimWorld(28, relays: 3, exits: 1);
        SimRouter client = world.AddClient();
        PathEgress first = PathEgress.None;
        client.DataPlane.Watch = (_, command) =>
        {
            if (command is AddClientPath path) first = path.First;
        };
        client.Want(0);
        world.Until(() => client.IsReady(), 10, "ready");
        Link link = client.Control.Links.Links.Single(l => l.Number == first.Link);
        client.Post(_ => client.Control.Links.SendPathClose(link, first.Handle, (PathCloseReason)0x5A));
        world.Run(1);
        string[] gone = [.. world.Routers[^1].Story.Select(s => s.What).Where(w => w.StartsWith("path at its end gone", StringComparison.Ordinal))];
        Assert.NotEmpty(gone);
        Assert.All(gone, g => Assert.EndsWith(nameof(PathCloseReason.Finished), g, StringComparison.Ordinal));
    }

    [Fact]
    public void One_clients_link_has_only_so_many_paths()
    {
        SimWorld world = _world = new SimWorld(29, relays: 1, exits: 1, adjust: (_, o) => o with { Budget = new BuildBudgetOptions { PathsPerClientLink = 1 } });
        SimRouter client = world.AddClient(new ClientPathOptions { Hops = 2 });
        client.Want(0);
        world.Until(() => client.IsReady(), 10, "ready");
        world.Run(5);
        Assert.Equal(1, world.Routers[0].Control.Relay!.Count);
        client.CloseGroup(0);
        world.Run(1);
        Assert.Equal(0, world.Routers[0].Control.Relay!.Count);
        client.Want(1);
        world.Until(() => client.IsReady(1), 20, "ready again");
    }

    [Fact]
    public void An_index_given_twice_is_refused()
    {
        Assert.True(LinkHello.TryParseReady(LinkHello.ToReady([5, 7, 6]).AsSpan(3), 3, out _));
        Assert.False(LinkHello.TryParseReady(LinkHello.ToReady([5, 7, 5]).AsSpan(3), 3, out _));
    }

    public void Dispose()
    {
        _world?.Dispose();
        foreach (QuicNode node in _nodes) node.Endpoint.Dispose();
        foreach (TlsIdentity identity in _identities) identity.Dispose();
    }

    private ((QuicNode Node, QuicConnection Quic, long Stream) Link, TlsIdentity Identity) LinkUp(SimRouter relay)
    {
        TlsIdentity identity = NewIdentity();
        (QuicNode node, QuicConnection quic, long stream) = Connect(relay, identity);
        Write(node, quic, stream, Open(1));
        Write(node, quic, stream, LinkHello.ToReady([4711]));
        Assert.Equal(LinkState.Up, relay.Control.Links.Links.Single().State);
        return ((node, quic, stream), identity);
    }

    private TlsIdentity NewIdentity()
    {
        TlsIdentity identity = TlsIdentity.Create(new SeededEntropy(900 + (ulong)_identities.Count));
        _identities.Add(identity);
        return identity;
    }

    private (QuicNode Node, QuicConnection Quic, long Stream) Connect(SimRouter relay, TlsIdentity identity, byte network = 2, bool fails = false)
    {
        var node = new QuicNode(_world!.Network, UdpAddress.FromBytes([192, 0, network, (byte)(1 + _nodes.Count)], 5000), new QuicEndpointOptions { Transport = new LinkOptions().Transport }, 40 + (ulong)_nodes.Count);
        _nodes.Add(node);
        QuicConnection quic = node.Endpoint.Connect(relay.Address, new TlsClientOptions { Identity = identity, PinnedServerKey = relay.Id.ToArray(), Alpn = [LinkOptions.Alpn] }, null, _world.Now);
        _world.Network.Wake(node);
        _world.Until(() => quic.IsEstablished || (fails && quic.IsClosed), 2, "the handshake");
        _world.Run(0.1);
        long stream = -1;
        if (!fails) Assert.True(quic.TryOpenStream(bidirectional: true, out stream));
        return (node, quic, stream);
    }

    private void Write(QuicNode node, QuicConnection quic, long stream, ReadOnlySpan<byte> bytes)
    {
        quic.Write(stream, bytes);
        _world!.Network.Wake(node);
        _world.Run(0.05);
    }

    private byte[] Open(byte shards) =>
        new LinkHello { Shards = shards, UnixMilliseconds = (ulong)((SimClock.StartUnixNanoseconds + _world!.Now.Nanoseconds) / 1_000_000), Suites = [1], Proof = [] }.ToOpen();
}
