using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Links;

/// <summary>A stranger speaks to a real relay on the control stream of a link, byte by byte as he likes.</summary>
public sealed class LinkControlTests : IDisposable
{
    private readonly SimWorld _world = new(7, relays: 1, exits: 1);
    private readonly TlsIdentity _identity = TlsIdentity.Create(new SeededEntropy(9));
    private readonly List<QuicNode> _nodes = [];

    private SimRouter Relay => _world.Routers[0];

    [Fact]
    public void A_link_comes_up_by_open_accept_ready()
    {
        (QuicNode node, QuicConnection quic, long stream) = Connect();
        Write(node, quic, stream, Open());
        LinkHello accept = ReadAccept(quic, stream);
        Assert.Single(accept.Indexes);
        Assert.Empty(accept.Proof);
        Assert.Equal(LinkState.Connecting, Relay.Control.Links.Links.Single().State);
        Write(node, quic, stream, Ready());
        Assert.Equal(LinkState.Up, Relay.Control.Links.Links.Single().State);
        Assert.False(quic.IsClosed);
    }

    [Fact]
    public void A_message_cut_into_single_bytes_is_the_same_message()
    {
        (QuicNode node, QuicConnection quic, long stream) = Connect();
        foreach (byte b in Open()) Write(node, quic, stream, [b]);
        ReadAccept(quic, stream);
        foreach (byte b in Ready()) Write(node, quic, stream, [b]);
        Assert.Equal(LinkState.Up, Relay.Control.Links.Links.Single().State);
    }

    [Theory]
    [InlineData("ready")]
    [InlineData("accept")]
    [InlineData("close")]
    [InlineData("unknown")]
    [InlineData("long")]
    [InlineData("malformed")]
    public void A_first_message_other_than_open_ends_the_link(string what)
    {
        byte[] message = what switch
        {
            "ready" => Ready(),
            "accept" => [(byte)LinkMessageType.Accept, 0, 0],
            "close" => [(byte)LinkMessageType.PathClose, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0],
            "unknown" => [9, 0, 0],
            "long" => [(byte)LinkMessageType.Open, 0xFF, 0xFF],
            _ => [(byte)LinkMessageType.Open, 0, 1, LinkHello.Version],
        };
        Assert.Equal(LinkError.ProtocolViolation, ErrorAfter(message));
    }

    [Fact]
    public void Open_twice_and_ready_twice_end_the_link()
    {
        Assert.Equal(LinkError.ProtocolViolation, ErrorAfter(Open(), Open()));
        Assert.Equal(LinkError.ProtocolViolation, ErrorAfter(Open(), Ready(), Ready()));
    }

    [Fact]
    public void Another_version_and_foreign_suites_are_named()
    {
        byte[] version = Open();
        version[3] = 2;
        Assert.Equal(LinkError.Version, ErrorAfter(version));
        Assert.Equal(LinkError.NoCommonSuite, ErrorAfter(Open(suites: [77])));
    }

    [Fact]
    public void A_proof_of_nothing_continues_nothing()
    {
        (QuicNode node, QuicConnection quic, long stream) = Connect();
        Write(node, quic, stream, Open());
        ReadAccept(quic, stream);
        Write(node, quic, stream, Ready());
        int first = Relay.Control.Links.Links.Single().Number;

        (QuicNode other, QuicConnection again, long control) = Connect();
        Write(other, again, control, Open(proof: new byte[32]));
        LinkHello accept = ReadAccept(again, control);
        Assert.Empty(accept.Proof);
        Write(other, again, control, Ready());

        // The same key dialled anew and could not prove the old link: that one is over, the new one shares nothing with it.
        Link link = Relay.Control.Links.Links.Single();
        Assert.NotEqual(first, link.Number);
        Assert.Equal(LinkState.Up, link.State);
        Assert.Equal(LinkError.Replaced, quic.Stats.CloseError);
    }

    [Fact]
    public void A_close_for_a_path_that_is_not_there_is_ignored()
    {
        (QuicNode node, QuicConnection quic, long stream) = Connect();
        Write(node, quic, stream, Open());
        ReadAccept(quic, stream);
        Write(node, quic, stream, Ready());
        Write(node, quic, stream, [(byte)LinkMessageType.PathClose, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
        Assert.False(quic.IsClosed);
    }

    [Fact]
    public void A_link_that_is_never_agreed_on_is_given_up()
    {
        (_, QuicConnection quic, _) = Connect();
        _world.Run(6);
        Assert.True(quic.IsClosed);
        Assert.Equal(0, Relay.Control.Links.ConnectionCount);
        Assert.Equal(0, Relay.DataPlane.InUse.Indexes);
    }

    public void Dispose()
    {
        _world.Dispose();
        foreach (QuicNode node in _nodes) node.Endpoint.Dispose();
        _identity.Dispose();
    }

    private ulong ErrorAfter(params byte[][] messages)
    {
        (QuicNode node, QuicConnection quic, long stream) = Connect();
        foreach (byte[] message in messages) Write(node, quic, stream, message);
        Assert.True(quic.IsClosed);
        Assert.Equal(QuicCloseReason.Peer, quic.Stats.CloseReason);
        Assert.Equal(0, Relay.DataPlane.InUse.Indexes);
        return quic.Stats.CloseError;
    }

    private (QuicNode Node, QuicConnection Quic, long Stream) Connect()
    {
        var node = new QuicNode(_world.Network, UdpAddress.FromBytes([192, 0, 2, (byte)(1 + _nodes.Count)], 5000), new QuicEndpointOptions { Transport = new LinkOptions().Transport }, 40 + (ulong)_nodes.Count);
        _nodes.Add(node);
        QuicConnection quic = node.Endpoint.Connect(Relay.Address, new TlsClientOptions { Identity = _identity, PinnedServerKey = Relay.Id.ToArray(), Alpn = [LinkOptions.Alpn] }, null, _world.Now);
        _world.Network.Wake(node);
        _world.Until(() => quic.IsEstablished, 2, "the handshake");
        _world.Run(0.1);
        Assert.True(quic.TryOpenStream(bidirectional: true, out long stream));
        return (node, quic, stream);
    }

    private void Write(QuicNode node, QuicConnection quic, long stream, ReadOnlySpan<byte> bytes)
    {
        quic.Write(stream, bytes);
        _world.Network.Wake(node);
        _world.Run(0.05);
    }

    private static LinkHello ReadAccept(QuicConnection quic, long stream)
    {
        byte[] buffer = new byte[1000];
        int read = quic.Read(stream, buffer, out _);
        Assert.Equal((byte)LinkMessageType.Accept, buffer[0]);
        Assert.True(LinkHello.TryParseAccept(buffer.AsSpan(3, read - 3), 1, out LinkHello accept));
        return accept;
    }

    private byte[] Open(byte[]? suites = null, byte[]? proof = null) =>
        new LinkHello { Shards = 1, UnixMilliseconds = (ulong)(SimClock.StartUnixNanoseconds / 1_000_000 + _world.Now.Nanoseconds / 1_000_000), Suites = suites ?? [1], Proof = proof ?? [] }.ToOpen();

    private static byte[] Ready() => LinkHello.ToReady([4711]);
}
