using System.Buffers.Binary;

namespace Oxen.Ons.Ledger;

// The ledger's own binary form: little-endian numbers of fixed size, varints (7 bits a byte, low first, shortest form only) and
// blobs (varint length, bytes). One value has one encoding. docs/protocol/ledger.md#encoding

/// <summary>Writes the ledger's binary form into a buffer that grows.</summary>
internal sealed class LedgerWriter
{
    private byte[] _buffer;
    private int _length;

    public LedgerWriter(int capacity = 256) => _buffer = new byte[capacity];

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public int Length => _length;

    public void Clear() => _length = 0;

    public byte[] ToArray() => Written.ToArray();

    public LedgerWriter U8(byte value)
    {
        Take(1)[0] = value;
        return this;
    }

    public LedgerWriter Flag(bool value) => U8(value ? (byte)1 : (byte)0);

    public LedgerWriter U16(ushort value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(Take(2), value);
        return this;
    }

    public LedgerWriter U32(uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(Take(4), value);
        return this;
    }

    public LedgerWriter U64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(Take(8), value);
        return this;
    }

    public LedgerWriter Varint(ulong value)
    {
        while (value >= 0x80)
        {
            U8((byte)(value | 0x80));
            value >>= 7;
        }

        return U8((byte)value);
    }

    public LedgerWriter Bytes(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Take(bytes.Length));
        return this;
    }

    public LedgerWriter Bytes(Bytes32 value)
    {
        value.CopyTo(Take(Bytes32.Length));
        return this;
    }

    public LedgerWriter Blob(ReadOnlySpan<byte> bytes) => Varint((ulong)bytes.Length).Bytes(bytes);

    private Span<byte> Take(int count)
    {
        if (_buffer.Length - _length < count) Array.Resize(ref _buffer, Math.Max(2 * _buffer.Length, _length + count));
        _length += count;
        return _buffer.AsSpan(_length - count, count);
    }
}
