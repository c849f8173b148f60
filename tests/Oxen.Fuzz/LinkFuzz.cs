using System.Globalization;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>A peer behind the handshake of a link, who says on the control stream and on request streams what it likes: as one that dials a relay, and as a relay that is dialled.</summary>
public sealed class LinkFuzz(ITestOutputHelper output) : IDisposable
{
    private const int Messages = 1_000_000;
    private const int Batch = 160;

    private readonly SimWorld _world = new(SimWorld.SeedOr(87), relays: 2, exits: 1, link: new SimLink { Delay = TimeSpan.FromMicroseconds(100) });
    private readonly SeededEntropy _dice = new(SimWorld.SeedOr(870));
    private readonly TlsIdentity _identity = TlsIdentity.Create(new SeededEntropy(871));
    private readonly List<QuicNode> _nodes = [];
    private long _messages, _good;

    public void Dispose()
    {
        _world.Dispose();
        foreach (QuicNode node in _nodes) node.Endpoint.Dispose();
        _identity.Dispose();
    }

    [Fact]
    public void A_relay_takes_any_messages_of_who_dials_it()
    {
        SimRouter relay = _world.Routers[0];
        int up = 0, connections = 0, messages = ParserFuzz.InputsOr(Messages);
        for (; _messages < messages; connections++)
        {
            QuicNode node = NewNode(connections, null);
            QuicConnection quic = node.Endpoint.Connect(relay.Address, new TlsClientOptions { Identity = _identity, PinnedServerKey = relay.Id.ToArray(), Alpn = [LinkOptions.Alpn] }, null, _world.Now);
            _world.Network.Wake(node);
            _world.Network.RunUntil(() => quic.IsEstablished || quic.IsClosed, TimeSpan.FromSeconds(2));
            if (quic.TryOpenStream(bidirectional: true, out long stream))
            {
                // Most agree on the link, and then say much.
                Say(node, quic, stream, OneIn(12) ? Mutated(Open()) : Open());
                Say(node, quic, stream, OneIn(12) ? Mutated(LinkHello.ToReady([4711])) : LinkHello.ToReady([4711]));
                if (relay.Control.Links.Links.Any(l => l.State == LinkState.Up && l.Peer == LinkPeer.Client)) up++;
                Chat(node, quic, stream);
            }

                End(node, quic);
            if (quic.IsClosed) _world.Network.Detach(node.Address); // the others are silent from now on
        }

        _world.Run(20);
        Report($"a relay that is dialled: {connections} links, {up} of them up");
        Assert.True(up > connections / 2);
        Assert.InRange(relay.Control.Links.ConnectionCount, 0, 1);
        Assert.Equal(0, relay.DataPlane.InUse.Handles);
        Assert.InRange(relay.Control.Links.Quic.ConnectionCount, 0, 4);
    }

    [Fact]
    public void Who_dials_takes_any_messages_of_the_relay()
    {
        SimRouter client = _world.AddClient();
        var address = UdpAddress.FromBytes([198, 51, 100, 1], 1090);
        var id = new RouterId(_identity.PublicKey);
        long most = 0;
        int up = 0, connections = 0, messages = ParserFuzz.InputsOr(Messages);
        QuicNode node = NewNode(0, new TlsServerOptions { Identity = _identity, RequestClientKey = true, RequireClientKey = true, Alpn = [LinkOptions.Alpn] }, address);
        for (; _messages < messages; connections++)
        {
            Link? link = null;
            client.Post(now => link = client.Control.Links.DialAt(id, address, now));
            _world.Network.RunUntil(() => node.Accepted.Count > 0 || link is { State: LinkState.Closed }, TimeSpan.FromSeconds(5));
            Assert.NotEmpty(node.Accepted);
            QuicConnection quic = node.Accepted[0];
            _world.Network.RunUntil(() => node.Events.Any(e => e.Kind == QuicEventKind.StreamOpened) || quic.IsClosed, TimeSpan.FromSeconds(2));
            long stream = node.Events.Where(e => e.Kind == QuicEventKind.StreamOpened).Select(e => e.StreamId).FirstOrDefault(-1);
            if (stream >= 0)
            {
                byte[] accept = new LinkHello { Shards = (byte)(1 + _dice.Next(2)), UnixMilliseconds = UnixMilliseconds(), Suites = [1], Proof = [], Indexes = [1] }.ToAccept();
                if (accept[4] == 2) accept = new LinkHello { Shards = 2, UnixMilliseconds = UnixMilliseconds(), Suites = [1], Proof = [], Indexes = [5, 6] }.ToAccept();
                Say(node, quic, stream, OneIn(12) ? Mutated(accept) : accept);
                if (link is { State: LinkState.Up }) up++;
                Chat(node, quic, stream);
            }

            End(node, quic);
            if (link is { State: not LinkState.Closed } silent) client.Post(now => client.Control.Links.Close(silent, LinkError.None, "over", now));
            Turn(node);
            node.Accepted.Clear();
            node.Events.Clear();
            most = Math.Max(most, client.Control.Links.ConnectionCount);
        }

        _world.Run(20);
        Report($"who dials: {connections} links, {up} of them up");
        Assert.True(up > connections / 2);
        Assert.InRange(most, 0, 16);
    }

    // Many messages at once, cut into writes anywhere; now and then a request stream beside.
    private void Chat(QuicNode node, QuicConnection quic, long control)
    {
        for (int writes = 0; writes < 40 && !quic.IsClosed; writes++)
        {
            var bytes = new List<byte>();
            for (int n = 0; n < Batch; n++) bytes.AddRange(Control());
            int cut = _dice.Next(bytes.Count);
            Write(quic, control, [.. bytes[..cut]]);
            if (OneIn(4)) Turn(node);
            Write(quic, control, [.. bytes[cut..]]);
            _messages += Batch;
            if (OneIn(3) && quic.TryOpenStream(bidirectional: true, out long request))
            {
                byte[] message = new byte[_dice.Next(OneIn(10) ? 12_000 : 200)];
                _dice.FillPublic(message);
                if (message.Length > 0) message[0] = (byte)(OneIn(4) ? message[0] : 1 + _dice.Next(3));
                Write(quic, request, message);
                if (OneIn(2)) quic.Finish(request);
                else if (OneIn(3)) quic.Reset(request, (ulong)_dice.Next(9));
                _messages++;
            }

            Turn(node);
            if (!quic.IsClosed) _good += Batch;
        }
    }

    // A message that there is, nearly always: what is none ends the link.
    private byte[] Control()
    {
        if (OneIn(2000)) return Mutated(OneIn(2) ? Open() : LinkHello.ToReady([1, 2]));
        byte[] body = new byte[PathHandle.Bytes + 1];
        _dice.FillPublic(body);
        if (OneIn(2)) body.AsSpan(0, 6).Clear(); // a handle near those that are given out
        byte[] message = LinkHello.Message(LinkMessageType.PathClose, body);
        if (OneIn(3000)) message[_dice.Next(3)] = (byte)_dice.Next(256);
        return message;
    }

    private byte[] Mutated(byte[] message)
    {
        byte[] bytes = [.. message];
        for (int n = 1 + _dice.Next(3); n > 0; n--) bytes[_dice.Next(bytes.Length)] = (byte)_dice.Next(256);
        return OneIn(4) ? bytes[.._dice.Next(bytes.Length)] : bytes;
    }

    private void Say(QuicNode node, QuicConnection quic, long stream, byte[] bytes)
    {
        Write(quic, stream, bytes);
        Turn(node);
        _messages++;
    }

    private static void Write(QuicConnection quic, long stream, byte[] bytes)
    {
        if (!quic.IsClosed) quic.Write(stream, bytes);
    }

    private void Turn(QuicNode node)
    {
        _world.Network.Wake(node);
        _world.Run(0.002);
    }

    private void End(QuicNode node, QuicConnection quic)
    {
        if (!quic.IsClosed && !OneIn(8)) quic.Close(0, "", _world.Now); // else it goes without a word
        Turn(node);
    }

    private QuicNode NewNode(int number, TlsServerOptions? server, UdpAddress? address = null)
    {
        var node = new QuicNode(_world.Network, address ?? UdpAddress.FromBytes([192, (byte)(number >> 16), (byte)(number >> 8), (byte)number], 5000), new QuicEndpointOptions { Transport = new LinkOptions().Transport, Server = server }, 40 + (ulong)number);
        _nodes.Add(node);
        return node;
    }

    private ulong UnixMilliseconds() => (ulong)(SimClock.StartUnixNanoseconds / 1_000_000 + _world.Now.Nanoseconds / 1_000_000);

    private byte[] Open() => new LinkHello { Shards = 1, UnixMilliseconds = UnixMilliseconds(), Suites = [1], Proof = [] }.ToOpen();

    private void Report(string who)
    {
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{who}; {_messages} messages, {100.0 * _good / _messages:F0} % on a link that stood after them"));
        Assert.True(_good >= 0.3 * _messages, "too many of the messages came to a link that was over");
    }

    private bool OneIn(int n) => _dice.Next(n) == 0;
}
