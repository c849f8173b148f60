using System.Buffers.Binary;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>Reads TLS presentation language (RFC 8446 section 3) from bytes of a stranger: every read may say no, none throws.</summary>
internal ref struct TlsReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _left = bytes;

    public readonly bool IsEmpty => _left.IsEmpty;

    public bool TryU8(out byte value)
    {
        value = 0;
        if (!TryTake(1, out ReadOnlySpan<byte> taken)) return false;
        value = taken[0];
        return true;
    }

    public bool TryU16(out ushort value)
    {
        value = 0;
        if (!TryTake(2, out ReadOnlySpan<byte> taken)) return false;
        value = BinaryPrimitives.ReadUInt16BigEndian(taken);
        return true;
    }

    public bool TryTake(int count, out ReadOnlySpan<byte> taken)
    {
        taken = default;
        if (count > _left.Length) return false;
        taken = _left[..count];
        _left = _left[count..];
        return true;
    }

    /// <summary>A vector with a one-byte length, of at least `min` bytes.</summary>
    public bool TryVector8(int min, out ReadOnlySpan<byte> content)
    {
        content = default;
        return TryU8(out byte length) && length >= min && TryTake(length, out content);
    }

    /// <summary>A vector with a two-byte length, of at least `min` bytes.</summary>
    public bool TryVector16(int min, out ReadOnlySpan<byte> content)
    {
        content = default;
        return TryU16(out ushort length) && length >= min && TryTake(length, out content);
    }

    /// <summary>A vector with a three-byte length, of at least `min` bytes.</summary>
    public bool TryVector24(int min, out ReadOnlySpan<byte> content)
    {
        content = default;
        if (!TryTake(3, out ReadOnlySpan<byte> prefix)) return false;
        int length = prefix[0] << 16 | prefix[1] << 8 | prefix[2];
        return length >= min && TryTake(length, out content);
    }

    /// <summary>Is the number among these big-endian 16-bit numbers?</summary>
    public static bool Contains16(ReadOnlySpan<byte> list, ushort value)
    {
        for (int i = 0; i + 2 <= list.Length; i += 2)
        {
            if (BinaryPrimitives.ReadUInt16BigEndian(list[i..]) == value) return true;
        }

        return false;
    }
}

/// <summary>
/// Walks a block of extensions; a type that comes twice ends the walk with illegal_parameter (RFC 8446 section 4.2).
/// One bit for each of the 65536 types: exact, and no list to fill for an attacker.
/// </summary>
internal ref struct TlsExtensionReader(ReadOnlySpan<byte> block)
{
    public const int SeenWords = 65536 / 64;

    private TlsReader _reader = new(block);

    /// <summary>Why the walk ended: 0 at the block's end.</summary>
    public byte Alert { get; private set; }

    public readonly bool AtEnd => _reader.IsEmpty;

    /// <summary>`seen` is the caller's, <see cref="SeenWords"/> zeros at the start.</summary>
    public bool TryNext(scoped Span<ulong> seen, out ushort type, out ReadOnlySpan<byte> body)
    {
        type = 0;
        body = default;
        if (Alert != 0 || _reader.IsEmpty) return false;
        if (!_reader.TryU16(out type) || !_reader.TryVector16(0, out body))
        {
            Alert = TlsAlert.DecodeError;
            return false;
        }

        ref ulong word = ref seen[type >> 6];
        ulong bit = 1UL << (type & 63);
        if ((word & bit) != 0)
        {
            Alert = TlsAlert.IllegalParameter;
            return false;
        }

        word |= bit;
        return true;
    }
}
