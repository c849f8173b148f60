using System.Buffers.Binary;

namespace Oxen.Router.Dns;

internal enum OnionKind : byte
{
    None = 0,

    /// <summary>A hidden service: `.loki`.</summary>
    Service = 1,

    /// <summary>A router of the directory: `.snode`.</summary>
    Router = 2,
}

/// <summary>What a mapped address stands for: a hidden service or a router, by its 32-byte Ed25519 public key.</summary>
internal readonly record struct OnionAddress
{
    public const int KeyBytes = 32;

    /// <summary>A key in z-base-32: 51 characters of five bits, and one that carries the last bit before four zeros.</summary>
    public const int KeyCharacters = 52;

    private const string Alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";

    private readonly ulong _a, _b, _c, _d;

    public OnionAddress(OnionKind kind, ReadOnlySpan<byte> key)
    {
        if (kind is not (OnionKind.Service or OnionKind.Router)) throw new ArgumentException("an address is a service's or a router's", nameof(kind));
        if (key.Length != KeyBytes) throw new ArgumentException("a key has 32 bytes", nameof(key));
        Kind = kind;
        _a = BinaryPrimitives.ReadUInt64BigEndian(key);
        _b = BinaryPrimitives.ReadUInt64BigEndian(key[8..]);
        _c = BinaryPrimitives.ReadUInt64BigEndian(key[16..]);
        _d = BinaryPrimitives.ReadUInt64BigEndian(key[24..]);
    }

    public OnionKind Kind { get; }

    public bool IsNone => Kind == OnionKind.None;

    public byte[] Key()
    {
        byte[] key = new byte[KeyBytes];
        BinaryPrimitives.WriteUInt64BigEndian(key, _a);
        BinaryPrimitives.WriteUInt64BigEndian(key.AsSpan(8), _b);
        BinaryPrimitives.WriteUInt64BigEndian(key.AsSpan(16), _c);
        BinaryPrimitives.WriteUInt64BigEndian(key.AsSpan(24), _d);
        return key;
    }

    /// <summary>The 52 characters alone.</summary>
    public string KeyText()
    {
        byte[] key = Key();
        Span<char> text = stackalloc char[KeyCharacters];
        for (int i = 0; i < KeyCharacters; i++)
        {
            int bit = 5 * i;
            int pair = key[bit / 8] << 8 | (bit / 8 + 1 < KeyBytes ? key[bit / 8 + 1] : 0);
            text[i] = Alphabet[pair >> (11 - bit % 8) & 31];
        }

        return new string(text);
    }

    /// <summary>`….loki` or `….snode`. For the user's own programs; logs take it only inside a redaction.</summary>
    public override string ToString() => IsNone ? "" : KeyText() + (Kind == OnionKind.Service ? ".loki" : ".snode");

    /// <summary>
    /// Takes a label in small letters. False unless it has 52 characters of the alphabet, its last four bits are zero, and the
    /// 32 bytes can be an Ed25519 key: y below 2^255 - 19 (RFC 8032 section 5.1.3), so that a key has one text and a text one key.
    /// </summary>
    public static bool TryParseKey(ReadOnlySpan<byte> label, OnionKind kind, out OnionAddress address)
    {
        address = default;
        if (label.Length != KeyCharacters) return false;
        Span<byte> key = stackalloc byte[KeyBytes];
        uint bits = 0;
        int count = 0, written = 0;
        foreach (byte c in label)
        {
            int five = Alphabet.IndexOf((char)c, StringComparison.Ordinal);
            if (five < 0) return false;
            bits = bits << 5 | (uint)five;
            count += 5;
            if (count < 8) continue;
            count -= 8;
            key[written++] = (byte)(bits >> count);
        }

        if ((bits & 15) != 0 || !IsField(key)) return false;
        address = new OnionAddress(kind, key);
        return true;
    }

    // Little-endian, without the sign bit of x: 2^255 - 19 = 7f ff … ff ed.
    private static bool IsField(ReadOnlySpan<byte> key)
    {
        if ((key[31] & 0x7F) != 0x7F || key[1..31].ContainsAnyExcept((byte)0xFF)) return true;
        return key[0] < 0xED;
    }
}
