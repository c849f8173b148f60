using System.Buffers.Binary;
using System.Buffers.Text;
using System.Text;

namespace Oxen.Swarm.Wire;

/// <summary>A message hash as its 32 bytes; clients write 43 characters of base64.</summary>
internal readonly record struct MessageKey(UInt128 High, UInt128 Low) : IComparable<MessageKey>
{
    public const int Bytes = 32;

    /// <summary>The first 12 bits: which bucket of the digests it lies in.</summary>
    public int Bucket => (int)(High >> 116);

    public static MessageKey Read(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt128BigEndian(bytes), BinaryPrimitives.ReadUInt128BigEndian(bytes[16..Bytes]));

    /// <summary>Reads the canonical 43 characters; padding, other alphabets and stray last bits are refused.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out MessageKey key)
    {
        key = default;
        if (text.Length != MessageHash.Length) return false;
        Span<byte> ascii = stackalloc byte[MessageHash.Length + 1];
        Span<byte> bytes = stackalloc byte[33];
        if (!Encoding.ASCII.TryGetBytes(text, ascii, out int written) || written != MessageHash.Length || ascii[..written].ContainsAny(" \t\r\n="u8)) return false;
        ascii[^1] = (byte)'=';
        if (Base64.DecodeFromUtf8(ascii, bytes, out _, out int length) != System.Buffers.OperationStatus.Done || length != Bytes) return false;
        key = Read(bytes);
        return text.SequenceEqual(key.ToString());
    }

    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt128BigEndian(destination, High);
        BinaryPrimitives.WriteUInt128BigEndian(destination[16..], Low);
    }

    public byte[] ToArray()
    {
        byte[] bytes = new byte[Bytes];
        CopyTo(bytes);
        return bytes;
    }

    /// <summary>The 43 characters.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        CopyTo(bytes);
        Span<char> text = stackalloc char[MessageHash.Length + 1];
        Convert.TryToBase64Chars(bytes, text, out _);
        return new string(text[..MessageHash.Length]);
    }

    public int CompareTo(MessageKey other)
    {
        int high = High.CompareTo(other.High);
        return high != 0 ? high : Low.CompareTo(other.Low);
    }
}
