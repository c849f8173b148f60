using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Hosting;

/// <summary>One service of this router: reads the headers of its streams, and queues what is well made for whoever serves it.</summary>
internal sealed class HostedService : IHostedService
{
    private const int QueuedStreams = 256;
    private const int QueuedDatagrams = 1024;

    // All streams of this process; each may hold the two pipes of a bridge.
    private const int MaxStreams = 8192;

    private static readonly TimeSpan HeaderTime = TimeSpan.FromSeconds(10);

    private readonly HiddenHost _host;
    private readonly SessionLoop _sessions;
    private readonly TimeProvider _time;
    private readonly SharedDropCounters _drops;
    private readonly Channel<ServiceStream> _streams = Channel.CreateBounded<ServiceStream>(QueuedStreams);
    private readonly Channel<ServiceDatagram> _datagrams;
    private readonly TaskCompletionSource _published = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationToken _end;
    private volatile IServicePacketTaker? _packets;

    public HostedService(HiddenHost host, SessionLoop sessions, HiddenService machine, TimeProvider time, SharedDropCounters drops)
    {
        _host = host;
        _sessions = sessions;
        _time = time;
        _drops = drops;
        Machine = machine;
        _end = _ended.Token;
        Address = machine.Address;
        _datagrams = Channel.CreateBounded<ServiceDatagram>(
            new BoundedChannelOptions(QueuedDatagrams) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true },
            _ => drops.Count(DropReason.SlowReader));
    }

    /// <summary>Session thread only.</summary>
    public HiddenService Machine { get; }

    public ServiceAddress Address { get; }

    public ChannelReader<ServiceStream> Streams => _streams.Reader;

    public ChannelReader<ServiceDatagram> Datagrams => _datagrams.Reader;

    public Task WaitPublishedAsync(CancellationToken cancel) => _published.Task.WaitAsync(cancel);

    public bool TrySend(long client, ushort association, ushort port, ReadOnlySpan<byte> payload)
    {
        if (payload.Length > ServiceUdp.MaxPayloadBytes)
        {
            _drops.Count(DropReason.TooLarge);
            return false;
        }

        Span<byte> record = stackalloc byte[JointSeal.MaxRecordBytes];
        if (_sessions.TrySendService(Machine, client, RecordType.Udp, record[..ServiceUdp.Write(association, port, payload, record)])) return true;
        _drops.Count(DropReason.OriginationQueueFull);
        return false;
    }

    public void TakePackets(IServicePacketTaker taker) => _packets = taker;

    public bool TrySendPacket(long client, ReadOnlySpan<byte> packet)
    {
        if (packet.Length <= TunnelConstants.InnerMtu && _sessions.TrySendService(Machine, client, RecordType.Ip, packet)) return true;
        _drops.Count(DropReason.OriginationQueueFull);
        return false;
    }

    public Task<HostedServiceView> ReadViewAsync() => _sessions.InvokeAsync(_ => new HostedServiceView(
        Address, Machine.IsPublished, Machine.Keepers.Kept, Machine.Keepers.Asked,
        [.. Machine.IntroductionRelays.Select(r => r.ToString())],
        Machine.SessionCount, Machine.MeetingCount, Machine.Sessions.Sum(s => _sessions.StreamsOf(s.Quic))));

    public async ValueTask DisposeAsync() => await _sessions.InvokeAsync(now =>
    {
        _host.Stop(this, now);
        return true;
    }).ConfigureAwait(false);

    // ---- session thread ----

    public void OnPublished() => _published.TrySetResult();

    public void OnStream(HiddenServiceSession session, StreamBridge bridge)
    {
        long client = session.Number;
        bool room = _sessions.OpenStreams <= MaxStreams;
        _ = Task.Run(() => ReceiveAsync(client, bridge, room));
    }

    public void OnUdp(HiddenServiceSession session, ReadOnlySpan<byte> record)
    {
        if (ServiceUdp.TryRead(record, out ushort association, out ushort port, out ReadOnlySpan<byte> payload) && (port != ServiceUdp.Outside || Machine.IsExit)) _datagrams.Writer.TryWrite(new ServiceDatagram(session.Number, association, port, payload.ToArray()));
        else _drops.Count(DropReason.BadRecord);
    }

    public void OnPacket(HiddenServiceSession session, Span<byte> record)
    {
        if (_packets is { } taker) taker.OnPacket(session.Number, record);
        else _drops.Count(DropReason.SlowReader);
    }

    public void OnSessionEnded(HiddenServiceSession session) => _packets?.OnClientGone(session.Number);

    public void End()
    {
        _ended.Cancel();
        _ended.Dispose();
        _streams.Writer.TryComplete();
        _datagrams.Writer.TryComplete();
        _published.TrySetException(new OnionUnavailableException("the service ended before it was published"));
        _ = _published.Task.Exception; // whoever did not wait is not to be told
        while (_streams.Reader.TryRead(out ServiceStream? waiting)) waiting.Abort();
    }

    // ---- the pool ----

    private async Task ReceiveAsync(long client, StreamBridge bridge, bool room)
    {
        try
        {
            (WireResult result, StreamKind kind, ProxyDestination target) = await StreamHeader.ReadAsync(bridge.Transport.Input, HeaderTime, _time, _end).ConfigureAwait(false);
            var stream = new ServiceStream(bridge, target, client);
            if (result == WireResult.Incomplete) await StreamOpening.AbandonAsync(bridge).ConfigureAwait(false);
            else if (stream.IsOutward && !Machine.IsExit) await stream.RefuseAsync(ProxyStatus.PolicyRefused, _end).ConfigureAwait(false);
            else if (result == WireResult.Malformed) await stream.RefuseAsync(ProxyStatus.Malformed, _end).ConfigureAwait(false);
            else if (kind != StreamKind.Connect) await stream.RefuseAsync(ProxyStatus.NotOffered, _end).ConfigureAwait(false);
            else if (!room || !_streams.Writer.TryWrite(stream)) await stream.RefuseAsync(ProxyStatus.Limit, _end).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            await StreamOpening.AbandonAsync(bridge).ConfigureAwait(false);
        }
    }
}
