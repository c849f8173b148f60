using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

/// <summary>
/// All hidden services of a client's router, and all that it is a client of: the one thing that a session thread calls. Beside
/// <see cref="ClientSessions"/>, whose sessions carry the requests about introsets.
/// </summary>
internal sealed class HiddenSessions : IDisposable
{
    private readonly HiddenContext _context;
    private readonly QuicEndpoint _quic;
    private readonly List<HiddenService> _services = [];
    private readonly Dictionary<int, HiddenClient> _clients = [];
    private readonly Dictionary<(ServiceAddress Address, UInt128 Isolation), HiddenClient> _byAddress = [];
    private readonly byte[] _transmit = new byte[64 * 1024];
    private int _nextClient;

    public HiddenSessions(HiddenContext context)
    {
        _context = context;
        _quic = new QuicEndpoint(new QuicEndpointOptions { Transport = context.Transport }, context.Entropy);
    }

    /// <summary>QUIC between client and service: what a session with an exit has, with the datagram that fits into a joint.</summary>
    public static QuicTransportOptions TransportOf(QuicTransportOptions path) => new()
    {
        MaxDatagramBytes = JointSeal.MaxRecordBytes,
        MaxReceiveBytes = JointSeal.MaxRecordBytes,
        InitialMaxData = path.InitialMaxData,
        InitialMaxStreamData = path.InitialMaxStreamData,
        MaxBidiStreams = path.MaxBidiStreams,
        MaxUniStreams = path.MaxUniStreams,
        SendBufferBytes = path.SendBufferBytes,
        IdleTimeout = path.IdleTimeout,
        KeepAlive = path.KeepAlive,
        InitialRtt = 2 * path.InitialRtt, // two paths, one after the other
        MaxProbeInterval = path.MaxProbeInterval,
        AckDelay = path.AckDelay,
        AckEvery = path.AckEvery,
        Congestion = path.Congestion,
        InitialWindowPackets = path.InitialWindowPackets,
        PacingBurst = path.PacingBurst,
        MaxCongestionWindow = path.MaxCongestionWindow,
    };

    public IReadOnlyList<HiddenService> Services => _services;

    public IReadOnlyCollection<HiddenClient> Clients => _clients.Values;

    public HiddenPaths Paths => _context.Paths;

    public RelayRequests Requests => _context.Requests;

    public Instant NextDeadline
    {
        get
        {
            Instant next = Instant.Earlier(Instant.Earlier(_quic.NextDeadline, _context.Paths.NextDeadline), _context.Requests.NextDeadline);
            foreach (HiddenService service in _services) next = Instant.Earlier(next, service.NextDeadline);
            foreach (HiddenClient client in _clients.Values) next = Instant.Earlier(next, client.NextDeadline);
            return next;
        }
    }

    // ---- commands ----

    public HiddenService Host(HiddenServiceOptions options, Instant now)
    {
        var service = new HiddenService(options, _context, now);
        _services.Add(service);
        return service;
    }

    /// <summary>The client of this address under this isolation key, made if there is none; Open it then.</summary>
    public HiddenClient ClientOf(ServiceAddress address, UInt128 isolation = default, ReadOnlySpan<byte> clientSecret = default)
    {
        if (_byAddress.TryGetValue((address, isolation), out HiddenClient? client)) return client;
        client = new HiddenClient(++_nextClient, address, isolation, _context, _quic, clientSecret);
        _clients.Add(client.Number, client);
        _byAddress.Add((address, isolation), client);
        return client;
    }

    public void Forget(HiddenClient client, Instant now)
    {
        client.Close(now);
        _clients.Remove(client.Number);
        _byAddress.Remove((client.Address, client.Isolation));
        client.Dispose();
    }

    public void Stop(HiddenService service, Instant now)
    {
        service.Close(now);
        _services.Remove(service);
        service.Dispose();
    }

    /// <summary>The network looks otherwise than before.</summary>
    /// <param name="directory">Ours from now on: nobody else changes it.</param>
    public void OnDirectoryChanged(NodeDirectory directory, Instant now)
    {
        _context.Directory = directory;
        foreach (HiddenService service in _services) service.OnDirectoryChanged(now);
    }

    // ---- the world speaks ----

    public void OnPathReady(PathReady ready, Instant now)
    {
        _context.Paths.OnPathReady(ready, now);
        DrainQuic(now);
    }

    public void OnPathGone(PathGone gone, Instant now) => _context.Paths.OnPathGone(gone, now);

    /// <summary>Whether a delivery on this path is ours.</summary>
    public bool Owns(int shard, in PacketTag tag) => _context.Paths.Owns(new PathRef(shard, new PathNumber(tag.Subject, tag.Generation)));

    public void HandleDelivery(int shard, in PacketTag tag, Span<byte> content, Instant now)
    {
        _context.Paths.HandleDelivery(shard, tag, content, now);
        DrainQuic(now);
    }

    public void HandleTimeout(Instant now)
    {
        _quic.HandleTimeout(now);
        _context.Requests.HandleTimeout(now);
        _context.Paths.HandleTimeout(now);
        foreach (HiddenService service in _services.ToArray()) service.HandleTimeout(now);
        foreach (HiddenClient client in _clients.Values.ToArray()) client.HandleTimeout(now);
        DrainQuic(now);
    }

    /// <summary>Moves what is to be sent into the rings, as far as there is room.</summary>
    public void Transmit(Instant now)
    {
        while (HasRoom() && _quic.TryTransmit(_transmit, out int bytes, out int segment, out UdpAddress to, now))
        {
            _clients.TryGetValue((int)to.High, out HiddenClient? client);
            for (int at = 0; at < bytes; at += segment)
                if (client?.SendQuic(_transmit.AsSpan(at, Math.Min(segment, bytes - at)), now) != true) _context.Drops.Count(DropReason.NoPath);
        }

        foreach (HiddenClient client in _clients.Values) client.Flush();
        foreach (HiddenService service in _services) service.Transmit(now);
        foreach (PathOutlet outlet in _context.Paths.Outlets) outlet.Flush();
    }

    public void Dispose()
    {
        foreach (HiddenClient client in _clients.Values) client.Dispose();
        foreach (HiddenService service in _services) service.Dispose();
        _quic.Dispose();
    }

    // ---- inside ----

    private void DrainQuic(Instant now)
    {
        while (_quic.TryTakeEvent(out QuicEvent happened))
        {
            _context.Events.OnHiddenQuic(happened, now);
            if (happened.Connection.Tag is HiddenClient client) client.OnQuic(happened, now);
        }
    }

    private bool HasRoom()
    {
        foreach (PathOutlet outlet in _context.Paths.Outlets) if (!outlet.HasRoom(64)) return false;
        return true;
    }
}
