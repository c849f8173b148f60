using System.Buffers.Binary;

namespace Oxen.Ons.Ledger;

/// <summary>
/// Reads the ledger's binary form from a stranger's bytes. The first thing that is wrong sets <see cref="Failed"/>, and from then on
/// everything reads as zero: callers look once, at the end.
/// </summary>
internal ref struct LedgerReader(ReadOnlySpan<byte> data)
{
    private ReadOnlySpan<byte> _rest = data;

    public bool Failed { get; private set; }

    /// <summary>True if nothing was wrong and nothing is left over.</summary>
    public readonly bool Done => !Failed && _rest.IsEmpty;

    public readonly int Left => _rest.Length;

    /// <summary>The caller found something wrong.</summary>
    public void Fail() => Failed = true;

    public byte U8() => Take(1) is [byte value] ? value : (byte)0;

    /// <summary>0 or 1; any other byte is wrong.</summary>
    public bool Flag()
    {
        byte value = U8();
        if (value > 1) Failed = true;
        return value == 1;
    }

    public ushort U16() => Take(2) is { Length: 2 } bytes ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : (ushort)0;

    public uint U32() => Take(4) is { Length: 4 } bytes ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : 0;

    public ulong U64() => Take(8) is { Length: 8 } bytes ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : 0;

    public ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            byte next = U8();
            value |= (ulong)(next & 0x7F) << shift;
            if ((next & 0x80) != 0) continue;

            // The shortest form only, and nothing above 64 bits.
            if ((next == 0 && shift > 0) || (shift == 63 && next > 1)) Failed = true;
            return Failed ? 0 : value;
        }

        Failed = true;
        return 0;
    }

    /// <summary>A varint that counts something: above `most` is wrong.</summary>
    public int Count(int most)
    {
        ulong value = Varint();
        if (value <= (ulong)most) return (int)value;
        Failed = true;
        return 0;
    }

    public ReadOnlySpan<byte> Bytes(int count) => Take(count);

    public Bytes32 Bytes32() => Take(Ledger.Bytes32.Length) is { Length: Ledger.Bytes32.Length } bytes ? new Bytes32(bytes) : default;

    public byte[] Blob(int most) => Take(Count(most)).ToArray();

    private ReadOnlySpan<byte> Take(int count)
    {
        if (Failed || _rest.Length < count)
        {
            Failed = true;
            return default;
        }

        ReadOnlySpan<byte> taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }
}
