using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Core.Links;

// Links of one router, on its control thread:
//   1 dial or accept a QUIC connection (relays pinned by the directory, clients with a fresh key per link)
//   2 OPEN, ACCEPT, READY on its first stream agree on shards, suite and receiver indexes
//   3 keys from the TLS exporter go to the shards: sealed datagrams may flow
//   4 requests (path builds, plug-ins) ride one stream each
//   5 once an hour a new handshake continues the link with new keys
// LinkManager.Handshake.cs has 2, 3 and 5; LinkManager.Requests.cs has 4.

/// <summary>
/// The links of one router, sans-IO: datagrams and time in, datagrams and <see cref="ILinkEvents"/> out. Four families:
/// `Handle*` (the world speaks), `TryTransmit` (we speak), <see cref="NextDeadline"/>, and commands.
/// </summary>
internal sealed partial class LinkManager : IDisposable
{
    private readonly LinkOptions _options;
    private readonly RouterIdentity? _identity;
    private readonly NodeDirectory _directory;
    private readonly NetworkClock _clock;
    private readonly IEntropy _entropy;
    private readonly DataPlane _dataPlane;
    private readonly ILinkEvents _events;
    private readonly QuicEndpoint _quic;
    private readonly Dictionary<RouterId, Link> _byPeer = [];
    private readonly List<LinkConnection> _connections = [];
    private readonly TlsIdentity? _tls;
    private int _nextNumber;
    private ulong _nextRequest;
    private bool _stopping;

    // No deadline of a connection or request lies before this; exact after each HandleTimeout that looked at them.
    private Instant _soonest = Instant.Never;

    /// <param name="identity">A relay's lasting key; null for a client, which dials with a fresh key per link and accepts nobody.</param>
    public LinkManager(LinkOptions options, RouterIdentity? identity, NodeDirectory directory, NetworkClock clock, DataPlane dataPlane, ILinkEvents events, IEntropy entropy)
    {
        _options = options;
        _identity = identity;
        _tls = identity is null ? null : TlsIdentity.FromSeed(identity.Seed);
        _directory = directory;
        _clock = clock;
        _dataPlane = dataPlane;
        _events = events;
        _entropy = entropy;
        _quic = new QuicEndpoint(
            new QuicEndpointOptions
            {
                Transport = options.Transport,
                Retry = options.Retry,
                Server = _tls is null ? null : new TlsServerOptions
                {
                    Identity = _tls,
                    RequestClientKey = true,
                    RequireClientKey = true,
                    Alpn = [LinkOptions.Alpn],
                },
            },
            entropy);
    }

    /// <summary>Links by number; a copy, for status pages.</summary>
    public IReadOnlyCollection<Link> Links => [.. _connections.Where(c => c.Link is not null).Select(c => c.Link!).Distinct()];

    public QuicEndpoint Quic => _quic;

    /// <summary>Links and requests under way, for tests and metrics.</summary>
    public int ConnectionCount => _connections.Count;

    public Instant NextDeadline => Instant.Earlier(_quic.NextDeadline, _soonest);

    // ---- the world speaks ----

    public void HandleDatagram(Span<byte> datagram, in UdpAddress from, Instant now)
    {
        _quic.HandleDatagram(datagram, from, now);
        DrainQuic(now);
    }

    public void HandleTimeout(Instant now)
    {
        _quic.HandleTimeout(now);
        DrainQuic(now);
        if (_soonest > now) return;
        for (int i = _connections.Count - 1; i >= 0; i--)
        {
            if (i >= _connections.Count) continue; // ending one may have ended others with it
            LinkConnection connection = _connections[i];
            if (connection.Deadline <= now)
            {
                Abandon(connection, LinkError.None, "no answer to the handshake in time", now);
                continue;
            }

            if (connection.RetireAt <= now)
            {
                Retire(connection, now);
                continue;
            }

            ExpireRequests(connection, now);
            if (!connection.Closed && connection.Link is { Initiator: true, Next: null } link && link.Current == connection && link.RenewAt <= now) Renew(link, now);
        }

        _soonest = Instant.Never;
        foreach (LinkConnection connection in _connections)
        {
            Due(connection.Deadline);
            Due(connection.RetireAt);
            if (connection.Link is { Initiator: true, Next: null } link && link.Current == connection) Due(link.RenewAt);
            foreach (LinkRequest request in connection.Requests.Values) Due(Instant.Earlier(request.Deadline, request.SilenceDeadline));
            if (connection.Unopened.TryPeek(out LinkRequest? first)) Due(first.Deadline);
        }
    }

    private void Due(Instant when) => _soonest = Instant.Earlier(_soonest, when);

    // ---- we speak ----

    public bool TryTransmit(Span<byte> buffer, out int bytes, out int segmentBytes, out UdpAddress to, Instant now) =>
        _quic.TryTransmit(buffer, out bytes, out segmentBytes, out to, now);

    // ---- commands ----

    /// <summary>
    /// The link to a relay of the directory: the one that is up, the one being made, or a new one. Null when the directory
    /// does not know the relay, it is ourselves, or there are too many links.
    /// </summary>
    public Link? Dial(RouterId relay, Instant now)
    {
        // The directory first: a client's key is a name as well, and a client is never a next hop.
        if (!_directory.TryGet(relay, out RouterContact? contact)) return null;
        if (_byPeer.TryGetValue(relay, out Link? known) && known.State != LinkState.Closed) return known;
        if (_stopping || (_identity is not null && relay == _identity.Id)) return null;

        return Begin(relay, contact.Addresses[0], now);
    }

    /// <summary>The same for a router that the directory may not know (any more), at an address that the caller has from elsewhere. The caller closes it.</summary>
    public Link? DialAt(RouterId relay, UdpAddress address, Instant now)
    {
        if (_byPeer.TryGetValue(relay, out Link? known) && known.State != LinkState.Closed) return known;
        return _stopping || (_identity is not null && relay == _identity.Id) ? null : Begin(relay, address, now);
    }

    private Link Begin(RouterId relay, UdpAddress address, Instant now)
    {
        var link = new Link { Number = _nextNumber++, Peer = LinkPeer.Relay, PeerKey = relay, Initiator = true };
        link.Current = Connect(link, address, now);
        _byPeer[relay] = link;
        return link;
    }

    /// <summary>Tells the neighbour that a path ended; `handle` is the one that the neighbour gave to us.</summary>
    public void SendPathClose(Link link, PathHandle handle, PathCloseReason reason)
    {
        if (link.State != LinkState.Up || link.Current is not { } connection) return;
        Span<byte> body = stackalloc byte[PathHandle.Bytes + 1];
        handle.Write(body);
        body[PathHandle.Bytes] = (byte)reason;
        SendControl(connection, LinkHello.Message(LinkMessageType.PathClose, body));
    }

    public void Close(Link link, ulong code, string reason, Instant now)
    {
        link.CloseReason = reason;
        foreach (LinkConnection connection in _connections.Where(c => c.Link == link).ToArray()) Abandon(connection, code, reason, now);
    }

    /// <summary>Closes every link; what was queued for sending still goes out by <see cref="TryTransmit"/>.</summary>
    public void Stop(Instant now)
    {
        _stopping = true;
        foreach (LinkConnection connection in _connections.ToArray()) Abandon(connection, LinkError.Shutdown, "we are stopping", now);
    }

    public void Dispose()
    {
        foreach (LinkConnection connection in _connections)
        {
            CryptographicOperations.ZeroMemory(connection.ContinuationSecret);
            connection.Identity?.Dispose();
        }

        _tls?.Dispose();
        _quic.Dispose();
    }

    // ---- inside ----

    private LinkConnection Connect(Link link, UdpAddress address, Instant now)
    {
        // A client shows a fresh key per link, and the same one when the link is continued, else the edge could not know it again.
        TlsIdentity own = _tls ?? (link.Current?.Identity as TlsIdentity) ?? TlsIdentity.Create(_entropy);
        QuicConnection quic = _quic.Connect(
            address,
            new TlsClientOptions { Identity = own, PinnedServerKey = link.PeerKey.ToArray(), Alpn = [LinkOptions.Alpn] },
            null,
            now);
        var connection = new LinkConnection(quic, initiator: true) { Link = link, Deadline = now + _options.HandshakeTimeout };
        Due(connection.Deadline);
        if (_tls is null) connection.Identity = own;
        quic.Tag = connection;
        _connections.Add(connection);
        return connection;
    }

    private void DrainQuic(Instant now)
    {
        while (_quic.TryAccept(out QuicConnection? accepted))
        {
            if (_stopping || IsCrowded(accepted))
            {
                accepted.Close(LinkError.Busy, "", now);
                continue;
            }

            var connection = new LinkConnection(accepted, initiator: false) { Deadline = now + _options.HandshakeTimeout };
            accepted.Tag = connection;
            Due(connection.Deadline);
            _connections.Add(connection);
        }

        while (_quic.TryTakeEvent(out QuicEvent happened))
        {
            if (happened.Connection.Tag is not LinkConnection connection || connection.Closed) continue;
            switch (happened.Kind)
            {
                case QuicEventKind.Connected when connection.Initiator:
                    StartHello(connection, now);
                    break;
                case QuicEventKind.StreamOpened:
                    OnStreamOpened(connection, happened.StreamId, now);
                    break;
                case QuicEventKind.StreamReadable:
                    OnStreamReadable(connection, happened.StreamId, now);
                    break;
                case QuicEventKind.StreamWritable:
                    OnStreamWritable(connection, happened.StreamId);
                    break;
                case QuicEventKind.StreamReset or QuicEventKind.StreamStopped:
                    OnStreamEnded(connection, happened.StreamId, now);
                    break;
                case QuicEventKind.StreamsAvailable:
                    OpenWaitingRequests(connection, now);
                    break;
                case QuicEventKind.Closed:
                    OnConnectionClosed(connection, now);
                    break;
            }
        }
    }

    private void OnConnectionClosed(LinkConnection connection, Instant now)
    {
        if (connection.Link is { } link && IsWrongKey(connection.Quic.Stats)) link.ShowedWrongKey = true;
        Abandon(connection, LinkError.None, WhyClosed(connection.Quic), now);
    }

    // Our TLS gives this alert for nothing but a key that is not the pinned one.
    private static bool IsWrongKey(in QuicStats stats) =>
        stats.CloseReason == QuicCloseReason.LocalError && stats.CloseError == QuicError.CryptoBase + TlsAlert.CertificateUnknown;

    private static string WhyClosed(QuicConnection quic)
    {
        QuicStats stats = quic.Stats;
        return stats.CloseReason switch
        {
            QuicCloseReason.Peer => LinkError.TextOf(stats.CloseError),
            _ when IsWrongKey(stats) => "the router showed another key than its contact pins",
            _ => $"{stats.CloseReason} (QUIC error 0x{stats.CloseError:x})",
        };
    }

    /// <summary>Ends one connection. The link goes with it unless another connection carries it.</summary>
    private void Abandon(LinkConnection connection, ulong code, string reason, Instant now)
    {
        if (connection.Closed) return;
        connection.Closed = true;
        _connections.Remove(connection);
        connection.Quic.Close(code, "", now);
        FailRequests(connection, now);
        RemoveKeys(connection);
        CryptographicOperations.ZeroMemory(connection.ContinuationSecret);
        if (connection.Link is not { } link) return;

        if (link.Next == connection)
        {
            // The renewal failed; the old keys still serve. Try again in a while.
            link.Next = null;
            link.RenewAt = now + TimeSpan.FromSeconds(60);
            Due(link.RenewAt);
            if (link.Current is null || link.Current.Closed) Down(link, reason, now);
            return;
        }

        if (link.Current != connection) return;
        connection.Identity?.Dispose();
        if (link.Next is { } next)
        {
            Abandon(next, code, reason, now);
        }

        Down(link, reason, now);
    }

    private void Down(Link link, string reason, Instant now)
    {
        if (link.State == LinkState.Closed) return;
        link.State = LinkState.Closed;
        if (link.CloseReason.Length == 0) link.CloseReason = reason;
        if (_byPeer.TryGetValue(link.PeerKey, out Link? known) && known == link)
        {
            // Both may have dialled at once: then the other link serves on.
            if (link.Peer == LinkPeer.Relay && UpLinkWith(link.PeerKey) is { } other) _byPeer[link.PeerKey] = other;
            else _byPeer.Remove(link.PeerKey);
        }

        _dataPlane.RemoveLink(link.Number);
        _events.OnLinkDown(link, now);
    }

    private Link? UpLinkWith(RouterId key)
    {
        foreach (LinkConnection connection in _connections)
            if (connection.Link is { State: LinkState.Up } link && link.Current == connection && link.PeerKey == key) return link;
        return null;
    }
}
