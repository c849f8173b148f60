using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Links;

// Messages of a link's control stream (the first bidirectional stream, opened by the initiator), and the kinds of
// request streams. docs/protocol/link.md#control
//
//  0        1          3
//  +--------+----------+------------+
//  | type 1 | length 2 | body       |     all integers big-endian
//  +--------+----------+------------+
//
//  0x01 OPEN    version 1 | shards 1 | unix time in ms 8 | suite count 1 | suite ids | proof length 1 (0 or 32) | continuation proof
//  0x02 ACCEPT  version 1 | shards 1 | unix time in ms 8 | suite 1 | proof length 1 (0 or 32) | proof | indexes 4 each
//  0x03 READY   indexes 4 each                       (index of (sender shard s, receiver shard r) stands at s * receivers + r)
//  0x04 CLOSE   path handle 8 | reason 1             (the handle that the receiver of this message gave out)

internal enum LinkMessageType : byte
{
    Open = 1,
    Accept = 2,
    Ready = 3,
    PathClose = 4,
}

/// <summary>First byte of a request stream.</summary>
internal enum RequestKind : byte
{
    Build = 1,
    Plugin = 2,

    /// <summary>Of the directory: docs/protocol/directory.md#requests.</summary>
    Directory = 3,
}

/// <summary>Why a path is closed, as neighbours tell it to each other; says nothing about who or where.</summary>
internal enum PathCloseReason : byte
{
    Finished = 0,
    LinkLost = 1,
    Tampering = 2,
    Expired = 3,
    Shutdown = 4,
    Refused = 5,
}

/// <summary>Application error codes of the link's QUIC connection.</summary>
internal static class LinkError
{
    public const ulong None = 0x00;
    public const ulong ProtocolViolation = 0x01;
    public const ulong Version = 0x02;
    public const ulong NoCommonSuite = 0x03;
    public const ulong ClockOff = 0x04;
    public const ulong Shutdown = 0x05;
    public const ulong Busy = 0x06;
    public const ulong Replaced = 0x07;

    public static string TextOf(ulong code) => code switch
    {
        None => "closed",
        ProtocolViolation => "the peer broke the link protocol",
        Version => "no common link protocol version",
        NoCommonSuite => "no common cipher suite",
        ClockOff => "the two clocks differ by more than 2 s",
        Shutdown => "the router is stopping",
        Busy => "the router is too busy",
        Replaced => "replaced by a newer link",
        _ => "closed with an unknown code",
    };
}

/// <summary>OPEN and ACCEPT in one shape; OPEN has several suites and no indexes.</summary>
internal sealed class LinkHello
{
    public const byte Version = 1;
    public const int MaxShards = 16; // as many as there are number ranges (docs/protocol/onion.md#numbers-and-the-ten-zeros)
    public const int MaxSuites = 16;
    public const int MaxBytes = 3 + 12 + MaxSuites + 33 + 4 * MaxShards * MaxShards;

    public required byte Shards { get; init; }

    public required ulong UnixMilliseconds { get; init; }

    public required byte[] Suites { get; init; }

    /// <summary>Empty, or 32 bytes that prove knowledge of the older link's secret (docs/protocol/link.md#continuation).</summary>
    public required byte[] Proof { get; init; }

    public uint[] Indexes { get; init; } = [];

    public static bool TryParseOpen(ReadOnlySpan<byte> body, out LinkHello hello, out byte version)
    {
        var reader = new WireReader(body);
        version = reader.Byte();
        byte shards = reader.Byte();
        ulong time = reader.UInt64();
        int count = reader.Byte();
        hello = null!;
        if (reader.Failed || version != Version || shards is 0 or > MaxShards || count is 0 or > MaxSuites) return false;
        byte[] suites = reader.Take(count).ToArray();
        if (!TryProof(ref reader, out byte[] proof) || !reader.EndedWell) return false;
        hello = new LinkHello { Shards = shards, UnixMilliseconds = time, Suites = suites, Proof = proof };
        return true;
    }

    /// <param name="ownShards">Shards of the reader of this message: the senders that the indexes are for.</param>
    public static bool TryParseAccept(ReadOnlySpan<byte> body, int ownShards, out LinkHello hello)
    {
        var reader = new WireReader(body);
        byte version = reader.Byte();
        byte shards = reader.Byte();
        ulong time = reader.UInt64();
        byte suite = reader.Byte();
        hello = null!;
        if (reader.Failed || version != Version || shards is 0 or > MaxShards) return false;
        if (!TryProof(ref reader, out byte[] proof)) return false;
        if (!TryParseIndexes(ref reader, ownShards * shards, out uint[] indexes)) return false;
        hello = new LinkHello { Shards = shards, UnixMilliseconds = time, Suites = [suite], Proof = proof, Indexes = indexes };
        return true;
    }

    public static bool TryParseReady(ReadOnlySpan<byte> body, int count, out uint[] indexes)
    {
        var reader = new WireReader(body);
        return TryParseIndexes(ref reader, count, out indexes);
    }

    public static byte[] Message(LinkMessageType type, ReadOnlySpan<byte> body)
    {
        byte[] message = new byte[3 + body.Length];
        var writer = new WireWriter(message);
        writer.Byte((byte)type);
        writer.UInt16((ushort)body.Length);
        writer.Put(body);
        return message;
    }

    public byte[] ToOpen()
    {
        byte[] body = new byte[12 + Suites.Length + Proof.Length];
        var writer = new WireWriter(body);
        writer.Byte(Version);
        writer.Byte(Shards);
        writer.UInt64(UnixMilliseconds);
        writer.Byte((byte)Suites.Length);
        writer.Put(Suites);
        writer.Byte((byte)Proof.Length);
        writer.Put(Proof);
        return Message(LinkMessageType.Open, body);
    }

    public byte[] ToAccept()
    {
        byte[] body = new byte[12 + Proof.Length + 4 * Indexes.Length];
        var writer = new WireWriter(body);
        writer.Byte(Version);
        writer.Byte(Shards);
        writer.UInt64(UnixMilliseconds);
        writer.Byte(Suites[0]);
        writer.Byte((byte)Proof.Length);
        writer.Put(Proof);
        foreach (uint index in Indexes) writer.UInt32(index);
        return Message(LinkMessageType.Accept, body);
    }

    public static byte[] ToReady(ReadOnlySpan<uint> indexes)
    {
        byte[] body = new byte[4 * indexes.Length];
        var writer = new WireWriter(body);
        foreach (uint index in indexes) writer.UInt32(index);
        return Message(LinkMessageType.Ready, body);
    }

    private static bool TryProof(ref WireReader reader, out byte[] proof)
    {
        int length = reader.Byte();
        proof = [];
        if (length is not (0 or 32)) return false;
        proof = reader.Take(length).ToArray();
        return !reader.Failed;
    }

    private static bool TryParseIndexes(ref WireReader reader, int count, out uint[] indexes)
    {
        indexes = [];
        if (reader.Failed || reader.Remaining != 4 * count) return false;
        indexes = new uint[count];
        for (int i = 0; i < count; i++) indexes[i] = reader.UInt32();
        if (!reader.EndedWell) return false;

        // Each names a key of its own, whose counter begins at 0: the same one twice would be the same key twice.
        uint[] sorted = [.. indexes.Order()];
        if (sorted[0] == 0) return false;
        for (int i = 1; i < sorted.Length; i++) if (sorted[i] == sorted[i - 1]) return false;
        return true;
    }
}
