using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Core.Links;

/// <summary>What stands at the other end, decided once, at the handshake, by a look-up in the directory.</summary>
internal enum LinkPeer : byte
{
    /// <summary>A relay of the directory: may be asked to carry paths, may carry paths to us.</summary>
    Relay,

    /// <summary>Anybody else: may build paths through us within a budget, nothing more.</summary>
    Client,
}

internal enum LinkState : byte
{
    Connecting,
    Up,
    Closed,
}

/// <summary>
/// A link to another router. It outlives its QUIC connections: once an hour a new handshake brings new keys, and if both
/// sides prove that they knew the old ones the link, with all path handles on it, goes on (docs/protocol/link.md#continuation).
/// </summary>
internal sealed class Link
{
    /// <summary>Row in the shards' link tables.</summary>
    public required int Number { get; init; }

    public required LinkPeer Peer { get; init; }

    /// <summary>The relay's id; for a client the key that it shows on this link alone.</summary>
    public required RouterId PeerKey { get; init; }

    public required bool Initiator { get; init; }

    public LinkState State { get; set; } = LinkState.Connecting;

    /// <summary>The connection whose keys are in use; requests go over it.</summary>
    public LinkConnection? Current { get; set; }

    /// <summary>A handshake that is to replace <see cref="Current"/>.</summary>
    public LinkConnection? Next { get; set; }

    public Instant UpSince { get; set; }

    /// <summary>When the initiator is to make a new handshake.</summary>
    public Instant RenewAt { get; set; } = Instant.Never;

    /// <summary>Why it is closed, in words for our own operator.</summary>
    public string CloseReason { get; set; } = "";

    /// <summary>It was closed because the relay showed another key than its contact pins.</summary>
    public bool ShowedWrongKey { get; set; }

    /// <summary>Shards of the peer; a path direction there belongs to one of them.</summary>
    public int PeerShards => Current?.PeerShards ?? 0;

    public UdpAddress Address => Current?.Quic.RemoteAddress ?? default;

    /// <summary>Whatever the owner of the paths wants to find again quickly.</summary>
    public object? Tag { get; set; }
}

/// <summary>One QUIC connection of a link, with the negotiation of its keys and the requests that run on it.</summary>
internal sealed class LinkConnection(QuicConnection quic, bool initiator)
{
    public QuicConnection Quic { get; } = quic;

    public bool Initiator { get; } = initiator;

    /// <summary>Null for an inbound connection until its OPEN has been read.</summary>
    public Link? Link { get; set; }

    /// <summary>The dialler's own fresh identity, wiped with the connection; a relay's lasting one is not ours to wipe.</summary>
    public IDisposable? Identity { get; set; }

    public long ControlStream { get; set; } = -1;

    /// <summary>The dialler's clock differs by more than we tolerate: the link will not come up.</summary>
    public bool ClockOff { get; set; }

    public bool KeysInstalled { get; set; }

    public bool Closed { get; set; }

    public int PeerShards { get; set; }

    public byte Suite { get; set; }

    /// <summary>Receiver indexes that we gave out, at (sender shard * our shards + our shard).</summary>
    public uint[] OwnIndexes { get; set; } = [];

    /// <summary>Secret from the TLS exporter that proves, at the next handshake, that both ends are still the same.</summary>
    public byte[] ContinuationSecret { get; set; } = [];

    /// <summary>When keys that were replaced are taken away.</summary>
    public Instant RetireAt { get; set; } = Instant.Never;

    public Instant Deadline { get; set; } = Instant.Never;

    public byte[] ControlInput { get; } = new byte[3 + LinkHello.MaxBytes];

    public int ControlInputLength { get; set; }

    public Queue<byte[]> ControlOutput { get; } = new();

    public int ControlOutputSent { get; set; }

    public Dictionary<long, LinkRequest> Requests { get; } = [];

    /// <summary>Request streams that arrived before the keys were in place.</summary>
    public List<long> Waiting { get; } = [];

    /// <summary>Replies that were written and whose stream is not yet read to its end, and requests that wait for a free stream.</summary>
    public Queue<LinkRequest> Unopened { get; } = new();
}

/// <summary>One request and its reply on a bidirectional stream of a link.</summary>
internal sealed class LinkRequest
{
    public required ulong Id { get; init; }

    public required bool Outgoing { get; init; }

    public required LinkConnection Connection { get; init; }

    public long Stream { get; set; } = -1;

    public byte[] Output { get; set; } = [];

    public int OutputSent { get; set; }

    public bool OutputFinished { get; set; }

    public byte[] Input { get; set; } = [];

    public int InputLength { get; set; }

    /// <summary>The whole message was handed on.</summary>
    public bool Delivered { get; set; }

    public Instant Deadline { get; set; } = Instant.Never;

    /// <summary>When the peer must have shown any sign of life since <see cref="PacketsAtStart"/>.</summary>
    public Instant SilenceDeadline { get; set; } = Instant.Never;

    public long PacketsAtStart { get; set; }
}
