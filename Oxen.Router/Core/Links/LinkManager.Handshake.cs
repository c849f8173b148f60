using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Core.Links;

// Agreement on keys, and continuation. Initiator's lines on the left:
//
//   OPEN (suites, shards, time, proof)   ->
//                                        <-   ACCEPT (suite, shards, time, proof, indexes)
//   installs keys                              has its receivers installed already
//   READY (indexes)                      ->   installs its senders: up
internal sealed partial class LinkManager
{
    private static readonly byte[] KeyLabel = System.Text.Encoding.ASCII.GetBytes(LinkKeys.ExporterLabel);

    // Two relays that dial each other within this time have crossed on the way.
    private static readonly TimeSpan DialRace = TimeSpan.FromSeconds(2);

    private static ReadOnlySpan<byte> ContinueLabel => "EXPORTER-oxen-link-continue"u8;

    private void StartHello(LinkConnection connection, Instant now)
    {
        if (!connection.Quic.TryOpenStream(bidirectional: true, out long stream))
        {
            Abandon(connection, LinkError.ProtocolViolation, "the peer allows no streams", now);
            return;
        }

        connection.ControlStream = stream;
        connection.ContinuationSecret = Exported(connection, ContinueLabel, []);
        byte[] proof = [];
        if (connection.Link is { } link && link.Next == connection && link.Current is { } old)
            proof = ContinuationProof(old.ContinuationSecret, connection.ContinuationSecret, byInitiator: true);

        SendControl(connection, new LinkHello
        {
            Shards = (byte)_dataPlane.Shards,
            UnixMilliseconds = (ulong)(_clock.UnixNanoseconds(now) / 1_000_000),
            Suites = _options.Suites,
            Proof = proof,
        }.ToOpen());
    }

    private void HandleControlMessage(LinkConnection connection, LinkMessageType type, ReadOnlySpan<byte> body, Instant now)
    {
        switch (type)
        {
            case LinkMessageType.Open when !connection.Initiator && connection.Link is null:
                HandleOpen(connection, body, now);
                return;
            case LinkMessageType.Accept when connection.Initiator && !connection.KeysInstalled:
                HandleAccept(connection, body, now);
                return;
            case LinkMessageType.Ready when !connection.Initiator && connection.Link is not null && !connection.KeysInstalled:
                HandleReady(connection, body, now);
                return;
            case LinkMessageType.PathClose when connection.KeysInstalled && body.Length == PathHandle.Bytes + 1:
                _events.OnPathClose(connection.Link!, PathHandle.Read(body), (PathCloseReason)body[PathHandle.Bytes], now);
                return;
            default:
                Abandon(connection, LinkError.ProtocolViolation, "the peer sent a control message out of order", now);
                return;
        }
    }

    private void HandleOpen(LinkConnection connection, ReadOnlySpan<byte> body, Instant now)
    {
        if (!LinkHello.TryParseOpen(body, out LinkHello open, out byte version))
        {
            Abandon(connection, version != LinkHello.Version ? LinkError.Version : LinkError.ProtocolViolation, "malformed OPEN", now);
            return;
        }

        byte suite = _options.Suites.FirstOrDefault(s => open.Suites.Contains(s));
        if (suite == 0)
        {
            Abandon(connection, LinkError.NoCommonSuite, LinkError.TextOf(LinkError.NoCommonSuite), now);
            return;
        }

        var key = new RouterId(connection.Quic.PeerPublicKey);
        LinkPeer peer = _directory.IsMember(key) ? LinkPeer.Relay : LinkPeer.Client;
        TimeSpan ahead = PeerAhead(connection, open.UnixMilliseconds, now);
        connection.ContinuationSecret = Exported(connection, ContinueLabel, []);
        if (peer == LinkPeer.Client && open.Shards > _options.MaxClientShards)
        {
            Abandon(connection, LinkError.Busy, LinkError.TextOf(LinkError.Busy), now);
            return;
        }

        Link link;
        byte[] proof = [];
        if (open.Proof.Length == 32 && FindByKey(key) is { State: LinkState.Up, Initiator: false, Current: { } old } candidate
            && CryptographicOperations.FixedTimeEquals(open.Proof, ContinuationProof(old.ContinuationSecret, connection.ContinuationSecret, byInitiator: true)))
        {
            link = candidate;
            if (link.Next is { } stale) Abandon(stale, LinkError.Replaced, "replaced by a newer handshake", now);
            link.Next = connection;
            proof = ContinuationProof(old.ContinuationSecret, connection.ContinuationSecret, byInitiator: false);
        }
        else
        {
            // Whoever dials anew without a proof has forgotten the link that it dialled before: it is dead, with its paths.
            if (FindByKey(key) is { State: LinkState.Up } dead) Close(dead, LinkError.Replaced, "the peer has forgotten this link and dialled anew", now);
            link = new Link { Number = _nextNumber++, Peer = peer, PeerKey = key, Initiator = false, Current = connection };
        }

        connection.Link = link;
        connection.Suite = suite;
        connection.PeerShards = open.Shards;

        // A client corrects its clock by ours; a relay that is off would make every path through it lose packets.
        if (peer == LinkPeer.Relay)
        {
            _events.OnPeerClock(link, ahead, now);
            connection.ClockOff = ahead.Duration() > _options.ClockTolerance;
        }

        // A peer whose clock is off hears our time all the same, so that it can find out who of us is wrong. Behind the indexes
        // in that answer is nothing. If the peer does not leave by itself, its READY or the deadline ends the connection.
        if (!connection.ClockOff && !InstallReceivers(connection))
        {
            Abandon(connection, LinkError.Busy, LinkError.TextOf(LinkError.Busy), now);
            return;
        }

        SendControl(connection, new LinkHello
        {
            Shards = (byte)_dataPlane.Shards,
            UnixMilliseconds = (ulong)(_clock.UnixNanoseconds(now) / 1_000_000),
            Suites = [suite],
            Proof = proof,
            Indexes = connection.ClockOff ? [.. Enumerable.Range(1, _dataPlane.Shards * open.Shards).Select(i => (uint)i)] : connection.OwnIndexes,
        }.ToAccept());
    }

    private void HandleAccept(LinkConnection connection, ReadOnlySpan<byte> body, Instant now)
    {
        Link link = connection.Link!;
        if (!LinkHello.TryParseAccept(body, _dataPlane.Shards, out LinkHello accept) || !_options.Suites.Contains(accept.Suites[0]))
        {
            Abandon(connection, LinkError.ProtocolViolation, "malformed ACCEPT", now);
            return;
        }

        bool renews = link.Next == connection;
        if (renews)
        {
            byte[] expected = ContinuationProof(link.Current!.ContinuationSecret, connection.ContinuationSecret, byInitiator: false);
            if (accept.Proof.Length != 32 || !CryptographicOperations.FixedTimeEquals(accept.Proof, expected))
            {
                // The peer has forgotten the old link (a restart): its handles are gone there, so they are gone here.
                LinkConnection forgotten = link.Current;
                Abandon(connection, LinkError.Replaced, "the peer no longer knows this link", now);
                Abandon(forgotten, LinkError.Replaced, "the peer no longer knows this link", now);
                return;
            }
        }

        connection.Suite = accept.Suites[0];
        connection.PeerShards = accept.Shards;
        TimeSpan ahead = PeerAhead(connection, accept.UnixMilliseconds, now);
        _events.OnPeerClock(link, ahead, now);
        if (_identity is not null && ahead.Duration() > _options.ClockTolerance)
        {
            Abandon(connection, LinkError.ClockOff, ClockText(ahead), now);
            return;
        }

        if (!InstallReceivers(connection))
        {
            Abandon(connection, LinkError.Busy, "no receiver index is left", now);
            return;
        }

        InstallSenders(connection, accept.Indexes);
        SendControl(connection, LinkHello.ToReady(connection.OwnIndexes));
        Up(connection, now);
    }

    private void HandleReady(LinkConnection connection, ReadOnlySpan<byte> body, Instant now)
    {
        if (connection.ClockOff)
        {
            Abandon(connection, LinkError.ClockOff, LinkError.TextOf(LinkError.ClockOff), now);
            return;
        }

        if (!LinkHello.TryParseReady(body, _dataPlane.Shards * connection.PeerShards, out uint[] indexes))
        {
            Abandon(connection, LinkError.ProtocolViolation, "malformed READY", now);
            return;
        }

        InstallSenders(connection, indexes);
        Up(connection, now);
    }

    private void Up(LinkConnection connection, Instant now)
    {
        Link link = connection.Link!;
        connection.KeysInstalled = true;
        connection.Deadline = Instant.Never;
        link.RenewAt = now + _options.RenewAfter;
        Due(link.RenewAt);
        if (link.Next == connection)
        {
            LinkConnection old = link.Current!;
            link.Current = connection;
            link.Next = null;
            old.RetireAt = now + _options.Overlap + 3 * ProbeTimeout(old.Quic);
            Due(old.RetireAt);
            StartWaitingRequests(connection, now);
            OpenWaitingRequests(connection, now);
            return;
        }

        link.State = LinkState.Up;
        link.UpSince = now;

        // A relay that dials us although a link of ours to it has stood for a while does not know that link any more.
        if (link.Peer == LinkPeer.Relay && !_byPeer.TryAdd(link.PeerKey, link) && _byPeer[link.PeerKey] is { Initiator: true, State: LinkState.Up } ours && ours != link && now - ours.UpSince > DialRace)
            _byPeer[link.PeerKey] = link;
        _events.OnLinkUp(link, now);
        StartWaitingRequests(connection, now);
        OpenWaitingRequests(connection, now);
    }

    private void Renew(Link link, Instant now)
    {
        link.RenewAt = Instant.Never;
        if (!_directory.TryGet(link.PeerKey, out RouterContact? contact)) return;
        link.Next = Connect(link, contact.Addresses[0], now);
    }

    /// <summary>Takes the keys of a replaced connection away and closes it.</summary>
    private void Retire(LinkConnection connection, Instant now)
    {
        connection.RetireAt = Instant.Never;
        connection.Closed = true;
        _connections.Remove(connection);
        FailRequests(connection, now);
        RemoveKeys(connection);
        CryptographicOperations.ZeroMemory(connection.ContinuationSecret);
        connection.Quic.Close(LinkError.Replaced, "", now);
    }

    private Link? FindByKey(RouterId key)
    {
        foreach (LinkConnection connection in _connections)
            if (connection.Link is { } link && link.Current == connection && link.PeerKey == key && !link.Initiator) return link;
        return null;
    }

    // ---- keys ----

    /// <summary>Whether there is no room for this newcomer: of all links a part is the relays', of the clients' each prefix has its own.</summary>
    private bool IsCrowded(QuicConnection newcomer)
    {
        if (_directory.IsMember(new RouterId(newcomer.PeerPublicKey))) return _connections.Count >= _options.MaxLinks;
        if (_connections.Count >= (long)_options.MaxLinks * _options.ClientPermille / 1000) return true;
        int near = 0;
        ulong prefix = PrefixOf(newcomer.RemoteAddress);
        foreach (LinkConnection connection in _connections)
        {
            if (!connection.Initiator && connection.Link is not { Peer: LinkPeer.Relay } && PrefixOf(connection.Quic.RemoteAddress) == prefix) near++;
        }

        return near >= _options.MaxClientLinksPerPrefix;

        static ulong PrefixOf(in UdpAddress address) => address.Family == UdpFamily.IPv4 ? address.High >> 40 : address.High >> 8 | 1UL << 63;
    }

    /// <returns>False when a shard has no index left for one of the pairs; those that were drawn go with the connection.</returns>
    private bool InstallReceivers(LinkConnection connection)
    {
        int keepFree = connection.Link!.Peer == LinkPeer.Client ? _dataPlane.ReceiversPerShard * (1000 - _options.ClientPermille) / 1000 : 0;
        int own = _dataPlane.Shards, theirs = connection.PeerShards;
        byte[] exported = Exported(connection, KeyLabel, [], LinkKeys.ExporterBytes);
        ReadOnlySpan<byte> theirSecret = LinkKeys.SendingSecret(exported, ofClient: !connection.Initiator);
        connection.OwnIndexes = new uint[own * theirs];
        for (int sender = 0; sender < theirs; sender++)
        {
            for (int receiver = 0; receiver < own; receiver++)
            {
                if (!_dataPlane.TryAddReceiver(connection.Link.Number, receiver, sender, connection.Quic.RemoteAddress, connection.Suite, theirSecret, out uint index, keepFree))
                {
                    CryptographicOperations.ZeroMemory(exported);
                    return false;
                }

                connection.OwnIndexes[sender * own + receiver] = index;
            }
        }

        CryptographicOperations.ZeroMemory(exported);
        return true;
    }

    private void InstallSenders(LinkConnection connection, ReadOnlySpan<uint> peerIndexes)
    {
        int own = _dataPlane.Shards, theirs = connection.PeerShards;
        byte[] exported = Exported(connection, KeyLabel, [], LinkKeys.ExporterBytes);
        ReadOnlySpan<byte> ourSecret = LinkKeys.SendingSecret(exported, ofClient: connection.Initiator);
        for (int sender = 0; sender < own; sender++)
        {
            for (int receiver = 0; receiver < theirs; receiver++)
                _dataPlane.AddSender(connection.Link!.Number, sender, receiver, peerIndexes[sender * theirs + receiver], connection.Quic.RemoteAddress, connection.Suite, ourSecret);
        }

        CryptographicOperations.ZeroMemory(exported);
    }

    private void RemoveKeys(LinkConnection connection)
    {
        foreach (uint index in connection.OwnIndexes) if (index != 0) _dataPlane.RemoveReceiver(index);
        connection.OwnIndexes = [];
    }

    /// <summary>A generous probe time-out (RFC 9002 section 6.2.1) from what the connection tells of its round trips.</summary>
    private static TimeSpan ProbeTimeout(Quic.QuicConnection quic) => 3 * quic.Stats.SmoothedRtt + TimeSpan.FromMilliseconds(50);

    private static byte[] Exported(LinkConnection connection, ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, int length = 32)
    {
        byte[] secret = new byte[length];
        connection.Quic.Export(label, context, secret);
        return secret;
    }

    private static byte[] ContinuationProof(ReadOnlySpan<byte> oldSecret, ReadOnlySpan<byte> newSecret, bool byInitiator)
    {
        Span<byte> input = stackalloc byte[9 + 32];
        "continue"u8.CopyTo(input);
        input[8] = byInitiator ? (byte)0 : (byte)1;
        newSecret.CopyTo(input[9..]);
        return HMACSHA256.HashData(oldSecret, input);
    }

    private TimeSpan PeerAhead(LinkConnection connection, ulong peerUnixMilliseconds, Instant now)
    {
        if (peerUnixMilliseconds > 32_503_680_000_000) return TimeSpan.FromDays(365_000); // after the year 3000: nonsense, and no overflow below
        long own = _clock.UnixNanoseconds(now) / 1_000_000;
        return TimeSpan.FromMilliseconds((long)peerUnixMilliseconds - own) + connection.Quic.Stats.SmoothedRtt / 2;
    }

    private static string ClockText(TimeSpan ahead) =>
        $"the clocks differ by {Math.Abs(ahead.TotalSeconds):F1} s (the peer's is {(ahead > TimeSpan.Zero ? "ahead" : "behind")})";
}
