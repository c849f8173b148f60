using System.Buffers.Binary;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// Address of a hidden service (docs/protocol/hidden-service.md#address): its Ed25519 public key as z-base-32.
//
//   256 bits of key, most significant first, and four zero bits = 52 digits of 5 bits; then ".loki"
//
// One key has one text: a last digit whose four low bits are not zero, and a key that is no point of the group, are refused.

/// <summary>A hidden service's name: its 32-byte Ed25519 public key.</summary>
internal readonly record struct ServiceAddress
{
    public const int Bytes = 32;

    /// <summary>Digits without the ending.</summary>
    public const int TextLength = 52;

    public const string Ending = ".loki";

    private const string Alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";

    private readonly UInt128 _high, _low;

    private ServiceAddress(ReadOnlySpan<byte> key)
    {
        _high = BinaryPrimitives.ReadUInt128BigEndian(key);
        _low = BinaryPrimitives.ReadUInt128BigEndian(key[16..]);
    }

    public bool IsNone => (_high | _low) == 0;

    /// <summary>False when the bytes are no key: not 32, not canonical, of small order, or not in the prime-order group.</summary>
    public static bool TryFrom(ReadOnlySpan<byte> key, out ServiceAddress address)
    {
        address = default;
        if (key.Length != Bytes || !Ed25519Group.IsValidPoint(key)) return false;
        address = new ServiceAddress(key);
        return true;
    }

    /// <summary>Reads exactly 52 digits, lower case, with or without the ending. DNS names are to be lowered before.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ServiceAddress address)
    {
        address = default;
        if (text.EndsWith(Ending, StringComparison.Ordinal)) text = text[..^Ending.Length];
        if (text.Length != TextLength) return false;
        Span<byte> key = stackalloc byte[Bytes];
        uint bits = 0;
        int count = 0, at = 0;
        foreach (char c in text)
        {
            int digit = Alphabet.IndexOf(c, StringComparison.Ordinal);
            if (digit < 0) return false;
            bits = (bits << 5) | (uint)digit;
            count += 5;
            if (count < 8 || at == Bytes) continue;
            count -= 8;
            key[at++] = (byte)(bits >> count);
        }

        return (bits & ((1u << count) - 1)) == 0 && TryFrom(key, out address);
    }

    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt128BigEndian(destination, _high);
        BinaryPrimitives.WriteUInt128BigEndian(destination[16..], _low);
    }

    public byte[] ToArray()
    {
        byte[] bytes = new byte[Bytes];
        CopyTo(bytes);
        return bytes;
    }

    /// <summary>52 digits and `.loki`. For files and the user's own screen; logs take it only inside a redaction.</summary>
    public override string ToString()
    {
        Span<byte> key = stackalloc byte[Bytes + 1];
        CopyTo(key);
        Span<char> text = stackalloc char[TextLength + Ending.Length];
        for (int i = 0; i < TextLength; i++)
        {
            int bit = 5 * i;
            int pair = (key[bit / 8] << 8) | (bit / 8 < Bytes ? key[(bit / 8) + 1] : 0);
            text[i] = Alphabet[(pair >> (11 - (bit % 8))) & 31];
        }

        Ending.CopyTo(text[TextLength..]);
        return new string(text);
    }
}
