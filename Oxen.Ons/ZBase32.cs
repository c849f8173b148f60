namespace Oxen.Ons;

// z-base-32 of a 32-byte key, as .loki addresses write it: 5 bits a character, most significant first. 256 bits are 51
// characters and one bit, so the 52nd character has four zero bits: it is `y` or `o`, and a key has one text.

/// <summary>z-base-32 for keys of 32 bytes.</summary>
internal static class ZBase32
{
    public const int KeyBytes = 32;
    public const int KeyLength = 52;

    private const string Alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769";

    public static string Encode(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        Span<char> text = stackalloc char[KeyLength];
        for (int i = 0; i < KeyLength; i++)
        {
            int bit = 5 * i;
            int pair = (key[bit / 8] << 8) | (bit / 8 + 1 < KeyBytes ? key[bit / 8 + 1] : 0);
            text[i] = Alphabet[(pair >> (11 - bit % 8)) & 31];
        }

        return new string(text);
    }

    /// <summary>False unless the text is 52 small characters of the alphabet and the last four bits are zero.</summary>
    public static bool TryDecode(ReadOnlySpan<char> text, Span<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, KeyBytes);
        if (text.Length != KeyLength) return false;
        uint bits = 0;
        int count = 0, written = 0;
        foreach (char c in text)
        {
            int five = Alphabet.IndexOf(c, StringComparison.Ordinal);
            if (five < 0) return false;
            bits = (bits << 5) | (uint)five;
            count += 5;
            if (count < 8) continue;
            count -= 8;
            key[written++] = (byte)(bits >> count);
        }

        return (bits & 15) == 0;
    }
}
