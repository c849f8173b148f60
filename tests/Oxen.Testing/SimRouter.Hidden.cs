using System.Buffers;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Wire;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;

namespace Oxen.Testing;

// Hidden services in the simulation: relays keep introsets and are introduction relays and rendezvous; clients host services whose
// streams are echoed, and reach services of others.
internal sealed partial class SimRouter : IHiddenEvents
{
    private readonly RequestDispatcher? _requests;
    private readonly bool _echoesStreams;
    private readonly Dictionary<(QuicConnection, long), SimRequest> _serving = [];
    private readonly Dictionary<(QuicConnection, long), SimEcho> _hiddenEchoes = [];

    /// <summary>A client's; null for a relay.</summary>
    public HiddenSessions? Hidden { get; private set; }

    /// <summary>A relay's; null for a client.</summary>
    public RendezvousSessions? Rendezvous { get; }

    /// <summary>Packets that crossed over at this relay: by the session thread, and on a shard.</summary>
    public (long Session, long Shards) Crossed => (Rendezvous?.Crossed ?? 0, _shards.Sum(s => s.Crossed));

    /// <summary>Streams that services of this router echo now.</summary>
    public int HiddenEchoes => _hiddenEchoes.Count;

    /// <summary>Changes a relay's answer to a request about introsets: method, request body, answer. Null: no answer at all.</summary>
    public Func<string, byte[], byte[], byte[]?>? Lies { get; set; }

    /// <summary>Requests about introsets that this relay answered, by method.</summary>
    public Dictionary<string, int> Asked { get; } = [];

    /// <summary>Sees each content before the sessions do.</summary>
    public SimDeliveryTap? DeliveryTap { get; set; }

    /// <summary>UDP records that came back from services' echoes.</summary>
    public List<byte[]> HiddenUdp { get; } = [];

    /// <summary>IP packets that services sent back.</summary>
    public List<byte[]> HiddenPackets { get; } = [];

    public HiddenService Host(HiddenServiceOptions options)
    {
        HiddenService service = Hidden!.Host(options, _network.Now);
        _network.Wake(this);
        return service;
    }

    public HiddenClient Reach(ServiceAddress address, byte[]? clientSecret = null)
    {
        HiddenClient client = Hidden!.ClientOf(address, clientSecret: clientSecret);
        client.Open(_network.Now);
        _network.Wake(this);
        return client;
    }

    /// <summary>Sends bytes to the service's echo; the client must be ready.</summary>
    public SimTransfer Transfer(HiddenClient client, long bytes)
    {
        if (!client.Quic!.TryOpenStream(bidirectional: true, out long stream)) throw new InvalidOperationException("no stream");
        var transfer = new SimTransfer(client.Quic, stream, bytes, _network.Now);
        Transfers.Add(transfer);
        transfer.OnWritable();
        _network.Wake(this);
        return transfer;
    }

    private HiddenSessions NewHidden(NodeDirectory directory)
    {
        var entropy = new SeededEntropy(Options.Seed ^ 0x41DD_E400);
        return new HiddenSessions(new HiddenContext
        {
            Paths = new HiddenPaths(_outlets, this, entropy, SessionDrops),
            Requests = new RelayRequests(Client!, this),
            Directory = directory,
            Clock = Clock,
            Randomness = ServicePeriod.OfNetwork(new byte[32]),
            Transport = HiddenSessions.TransportOf(RouterNode.PathTransport),
            Events = this,
            Entropy = entropy,
            Drops = SessionDrops,
        });
    }

    /// <summary>Gives the sessions a content that no path brought; whoever drives the network wakes this router afterwards.</summary>
    public void Inject(int shard, in PacketTag tag, Span<byte> content) => Hand(shard, tag, content, _network.Now);

    private void Deliver(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        DeliveryTap?.Invoke(shard, tag, content);
        Hand(shard, tag, content, now);
    }

    private void Hand(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        if (Rendezvous is not null && tag.Command is EndCommand.Joined or EndCommand.Meeting && Client is null) Rendezvous.HandleDelivery(shard, tag, content, now);
        else if (Hidden is not null && Hidden.Owns(shard, tag)) Hidden.HandleDelivery(shard, tag, content, now);
        else if (Client is not null) Client.HandleDelivery(shard, tag, content, now);
        else Exit!.HandleDelivery(shard, tag, content, now);
    }

    private void ServeRequest(in QuicEvent happened)
    {
        QuicConnection quic = happened.Connection;
        if (happened.Kind == QuicEventKind.Closed)
        {
            foreach ((QuicConnection Quic, long Stream) key in _serving.Keys.Where(k => k.Item1 == quic).ToArray()) _serving.Remove(key);
            return;
        }

        if (happened.Kind == QuicEventKind.StreamOpened) _serving[(quic, happened.StreamId)] = new SimRequest(this, quic, happened.StreamId);
        if (_serving.TryGetValue((quic, happened.StreamId), out SimRequest? request)) request.Move();
    }

    // ---- the hidden machines say ----

    void IHiddenPathEvents.WantPath(int group, RouterId terminal, bool once, Instant now) => _toControl.Enqueue(t => Control.Client!.WantPath(group, terminal, PathPurpose.Hidden, once, t));

    void IHiddenPathEvents.DropPath(int group, Instant now) => _toControl.Enqueue(_ => Control.Client!.Drop(group));

    void IHiddenPathEvents.OnPathFailed(PathRef path, string reason, int suspect, Instant now)
    {
        Story.Add((now, $"hidden path {path.Number.Row} failed: {reason}, suspect {suspect}"));
        _toControl.Enqueue(t => Control.Client!.OnPathFailed(path, suspect, t));
    }

    void IRelayRequestEvents.WantSession(int group, RouterId relay, Instant now) => _toControl.Enqueue(t => Control.Client!.WantPath(group, relay, PathPurpose.Session, once: true, t));

    void IRelayRequestEvents.DropSession(int group, Instant now) => _toControl.Enqueue(_ => Control.Client!.Drop(group));

    void IHiddenEvents.OnHiddenQuic(in QuicEvent happened, Instant now)
    {
        QuicConnection quic = happened.Connection;
        if (happened.Kind == QuicEventKind.Closed)
        {
            Story.Add((now, $"a hidden connection closed: {quic.Stats.CloseReason}"));
            foreach ((QuicConnection Quic, long Stream) key in _hiddenEchoes.Keys.Where(k => k.Item1 == quic).ToArray()) _hiddenEchoes.Remove(key);
            foreach (SimTransfer t in Transfers.Where(t => t.Quic == quic)) t.OnLost();
            return;
        }

        long stream = happened.StreamId;
        if (quic.IsServer)
        {
            if (happened.Kind == QuicEventKind.StreamOpened) _hiddenEchoes[(quic, stream)] = new SimEcho(quic, stream);
            if (!_hiddenEchoes.TryGetValue((quic, stream), out SimEcho? echo)) return;
            echo.Move();
            if (echo.Done || happened.Kind is QuicEventKind.StreamReset or QuicEventKind.StreamStopped) _hiddenEchoes.Remove((quic, stream));
            return;
        }

        SimTransfer? transfer = Transfers.Find(t => t.Quic == quic && t.Stream == stream);
        if (happened.Kind == QuicEventKind.StreamReadable) transfer?.OnReadable(now);
        else if (happened.Kind == QuicEventKind.StreamWritable) transfer?.OnWritable();
        else if (happened.Kind is QuicEventKind.StreamReset or QuicEventKind.StreamStopped) transfer?.OnLost();
    }

    void IHiddenEvents.OnHiddenUdp(HiddenClient client, ReadOnlySpan<byte> record, Instant now) => HiddenUdp.Add(record.ToArray());

    void IHiddenEvents.OnServiceUdp(HiddenServiceSession session, ReadOnlySpan<byte> record, Instant now)
    {
        record.CopyTo(_late);
        session.Service.Send(session.Number, RecordType.Udp, _late.AsSpan(0, record.Length), now);
    }

    void IHiddenEvents.OnHiddenPacket(HiddenClient client, Span<byte> record, Instant now) => HiddenPackets.Add(record.ToArray());

    // Its service answers with what came.
    void IHiddenEvents.OnServicePacket(HiddenServiceSession session, Span<byte> record, Instant now) => session.Service.Send(session.Number, RecordType.Ip, record.ToArray(), now);

    void IHiddenEvents.OnServiceSessionEnded(HiddenServiceSession session) => Story.Add((Instant.Zero, $"session {session.Number} of a service ended"));

    void IHiddenEvents.OnHiddenClientReady(HiddenClient client, Instant now) => Story.Add((now, $"reached {client.Address.ToString()[..6]} by way of {client.Rendezvous.ToString()[..6]}"));

    void IHiddenEvents.OnHiddenClientLost(HiddenClient client, string reason, Instant now) => Story.Add((now, $"lost {client.Address.ToString()[..6]}: {reason}; before that: {client.LastTrouble}"));

    void IHiddenEvents.OnServicePublished(HiddenService service, Instant now) => Story.Add((now, $"published {service.Address.ToString()[..6]}, introduced by {string.Join(' ', service.IntroductionRelays.Select(r => r.ToString()[..6]))}"));

    /// <summary>One request to this relay's plug-ins, on a stream.</summary>
    private sealed class SimRequest(SimRouter router, QuicConnection quic, long stream)
    {
        private readonly byte[] _input = new byte[32 * 1024];
        private int _received;
        private byte[]? _output;
        private int _sent;
        private bool _finished;

        public void Move()
        {
            while (_output is null)
            {
                int read = quic.Read(stream, _input.AsSpan(_received), out bool end);
                _received += read;
                if (end && (_output = Serve()) is null) (_output, _finished) = ([], true);
                else if (!end && read == 0) return;
            }

            if (_finished) return;
            if (_sent < _output.Length) _sent += quic.Write(stream, _output.AsSpan(_sent));
            if (_sent < _output.Length) return;
            quic.Finish(stream);
            _finished = true;
        }

        private byte[]? Serve()
        {
            ReadOnlySpan<byte> bytes = _input.AsSpan(0, _received);
            if (bytes.IsEmpty || bytes[0] != (byte)StreamKind.Request) return [];
            bytes = bytes[1..];
            if (RequestFraming.ReadRequestHead(bytes, out ReadOnlySpan<byte> method, out uint length, out int consumed) != WireResult.Complete || bytes.Length - consumed != length) return [];
            byte[] body = bytes[consumed..].ToArray();
            string name = Encoding.ASCII.GetString(method);
            router.Asked[name] = router.Asked.GetValueOrDefault(name) + 1;
            ValueTask<byte[]> served = router._requests!.DispatchAsync(
                Encoding.ASCII.GetBytes(name), new ReadOnlySequence<byte>(body), RequestOrigin.Path, 0,
                static (code, answer, _) =>
                {
                    byte[] framed = new byte[RequestFraming.ResponseHeadBytes + answer.Length];
                    RequestFraming.WriteResponseHead(code, answer.Length, framed);
                    answer.Span.CopyTo(framed.AsSpan(RequestFraming.ResponseHeadBytes));
                    return ValueTask.FromResult(framed);
                },
                CancellationToken.None);
            byte[] answer = served.AsTask().GetAwaiter().GetResult(); // complete: our handlers wait for nothing
            return router.Lies is { } lies ? lies(name, body, answer) : answer;
        }
    }

    /// <summary>What plug-ins get: the simulation's clock.</summary>
    private sealed class SimServices(SimRouter router) : IRouterServices
    {
        private readonly SeededEntropy _entropy = new(router.Options.Seed ^ 0x5E51);

        public TimeProvider Time { get; } = new SimTime(router);

        public void FillRandom(Span<byte> destination) => _entropy.FillSecret(destination);
    }

    private sealed class SimTime(SimRouter router) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch.AddTicks(router.Clock.UnixNanoseconds(router._network.Now) / 100);
    }
}
