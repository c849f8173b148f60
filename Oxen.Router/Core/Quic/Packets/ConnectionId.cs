using System.Buffers.Binary;

namespace Oxen.Router.Core.Quic.Packets;

/// <summary>A connection id of 0 to 20 bytes as a value: the bytes in network order in three words, zero filled.</summary>
internal readonly record struct ConnectionId
{
    public const int MaxBytes = 20;

    private readonly ulong _a;
    private readonly ulong _b;
    private readonly uint _c;
    private readonly byte _length;

    public ConnectionId(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > MaxBytes) throw new ArgumentException("a connection id has at most 20 bytes", nameof(bytes));
        Span<byte> full = stackalloc byte[24];
        full.Clear();
        bytes.CopyTo(full);
        _a = BinaryPrimitives.ReadUInt64BigEndian(full);
        _b = BinaryPrimitives.ReadUInt64BigEndian(full[8..]);
        _c = BinaryPrimitives.ReadUInt32BigEndian(full[16..]);
        _length = (byte)bytes.Length;
    }

    public int Length => _length;

    /// <summary>The first eight bytes: the whole of an id that this engine issued.</summary>
    public ulong Head => _a;

    public int Write(Span<byte> to)
    {
        Span<byte> full = stackalloc byte[24];
        BinaryPrimitives.WriteUInt64BigEndian(full, _a);
        BinaryPrimitives.WriteUInt64BigEndian(full[8..], _b);
        BinaryPrimitives.WriteUInt32BigEndian(full[16..], _c);
        full[.._length].CopyTo(to);
        return _length;
    }

    public byte[] ToArray()
    {
        byte[] bytes = new byte[_length];
        Write(bytes);
        return bytes;
    }

    public bool Matches(ReadOnlySpan<byte> bytes) => bytes.Length == _length && new ConnectionId(bytes) == this;

    public override string ToString() => Convert.ToHexStringLower(ToArray());
}
