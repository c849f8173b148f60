using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Oxen.Router.Tests.Reference;

// Hidden services once more, from docs/protocol/hidden-service.md alone: curves are BigIntegers, HKDF is written out, the cipher is the
// runtime's. Shares no file with Core. ML-KEM's shared secrets come from outside: they are arguments here.
internal static class SlowHidden
{
    public static byte[] Sha(params byte[][] parts) => SHA256.HashData([.. parts.SelectMany(p => p)]);

    public static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);

    public static byte[] Big(ulong value, int bytes = 8)
    {
        byte[] all = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(all, value);
        return all[(8 - bytes)..];
    }

    /// <summary>RFC 5869.</summary>
    public static byte[] Hkdf(byte[] ikm, byte[] salt, byte[] info, int length)
    {
        byte[] prk = HMACSHA256.HashData(salt, ikm), t = [];
        List<byte> output = [];
        for (byte i = 1; output.Count < length; i++) output.AddRange(t = HMACSHA256.HashData(prk, (byte[])[.. t, .. info, i]));
        return [.. output.Take(length)];
    }

    /// <summary>RFC 7748 section 5, as a Montgomery ladder over BigIntegers.</summary>
    public static byte[] X25519(byte[] scalar, byte[] point)
    {
        BigInteger p = SlowEd25519.P, k = SlowEd25519.Clamped(scalar);
        byte[] u = [.. point];
        u[31] &= 0x7F;
        BigInteger x1 = SlowEd25519.Number(u) % p, x2 = 1, z2 = 0, x3 = x1, z3 = 1;
        for (int bit = 254; bit >= 0; bit--)
        {
            bool one = !((k >> bit) & 1).IsZero;
            if (one) (x2, z2, x3, z3) = (x3, z3, x2, z2);
            BigInteger a = x2 + z2, b = x2 - z2, aa = a * a % p, bb = b * b % p, e = aa - bb, da = (x3 - z3) * a, cb = (x3 + z3) * b;
            (x3, z3) = ((da + cb) * (da + cb) % p, x1 * (da - cb) % p * (da - cb) % p);
            (x2, z2) = (aa * bb % p, e * (aa + 121665 * e) % p);
            if (one) (x2, z2, x3, z3) = (x3, z3, x2, z2);
        }

        BigInteger result = x2 * BigInteger.ModPow(((z2 % p) + p) % p, p - 2, p) % p;
        return SlowEd25519.Bytes(result.Sign < 0 ? result + p : result);
    }

    public static byte[] X25519Public(byte[] scalar)
    {
        byte[] nine = new byte[32];
        nine[0] = 9;
        return X25519(scalar, nine);
    }

    /// <summary>ciphertext || tag, nonce zero unless given.</summary>
    public static byte[] Seal(byte[] key, byte[] data, byte[]? nonce = null)
    {
        using var cipher = new ChaCha20Poly1305(key);
        byte[] sealedBytes = new byte[data.Length], tag = new byte[16];
        cipher.Encrypt(nonce ?? new byte[12], data, sealedBytes, tag);
        return [.. sealedBytes, .. tag];
    }

    /// <summary>Null: not authentic.</summary>
    public static byte[]? Open(byte[] key, byte[] sealedAndTag, byte[]? nonce = null)
    {
        using var cipher = new ChaCha20Poly1305(key);
        byte[] data = new byte[sealedAndTag.Length - 16];
        try
        {
            cipher.Decrypt(nonce ?? new byte[12], sealedAndTag.AsSpan(0, data.Length), sealedAndTag.AsSpan(data.Length), data);
            return data;
        }
        catch (AuthenticationTagMismatchException)
        {
            return null;
        }
    }

    public static byte[] Subcredential(byte[] address, byte[] blinded) => Sha(Ascii("oxen hidden subcredential v1"), Sha(Ascii("oxen hidden credential v1"), address), blinded);

    // ---- keys of a period ----

    public sealed record Period(byte[] Address, BigInteger Scalar, byte[] Blinded, byte[] Nonce, ulong Number);

    public static Period PeriodOf(byte[] seed, ulong number, byte[] randomness)
    {
        byte[] expanded = SHA512.HashData(seed);
        BigInteger a = SlowEd25519.Clamped(expanded);
        byte[] address = SlowEd25519.Encode(SlowEd25519.Multiply(SlowEd25519.Base, a));
        byte[] factor = Sha(Ascii("oxen hidden blind v1"), address, Big(number), Big(86_400), randomness);
        BigInteger scalar = a * SlowEd25519.Clamped(factor) % SlowEd25519.L;
        byte[] blinded = SlowEd25519.Encode(SlowEd25519.Multiply(SlowEd25519.Base, scalar));
        return new Period(address, scalar, blinded, SHA512.HashData([.. Ascii("oxen hidden nonce v1"), .. expanded.AsSpan(32), .. blinded]).AsSpan(0, 32).ToArray(), number);
    }

    // ---- introset ----

    public static byte[] WriteIntroset(Period period, byte[] content, byte sizeClass, ulong revision, ulong expires, byte[] salt, byte[] ephemeral, byte[] noise, byte[]? client, byte[] cookie)
    {
        int size = 4096 << sizeClass;
        byte[] header = [1, sizeClass, 0, 0, .. period.Blinded, .. Big(period.Number), .. Big(revision), .. Big(expires)];
        byte[] subcredential = Subcredential(period.Address, period.Blinded);
        byte[] share = X25519Public(ephemeral);
        byte[] table = [.. noise];
        if (client is not null)
        {
            byte[] keys = Hkdf(X25519(ephemeral, client), Ascii("oxen introset client v1"), [.. subcredential, .. share, .. client], 40);
            for (int i = 0; i < 32; i++) keys[8 + i] ^= cookie[i];
            keys.CopyTo(table, 40 * 5);
        }

        int room = size - 92 - 64 - 16 - 34 - table.Length - 16;
        byte[] padded = new byte[room];
        content.CopyTo(padded, 0);
        byte[] inner = Seal(Hkdf([.. subcredential, .. cookie], salt, [.. Ascii("oxen introset inner v1"), .. header], 32), padded);
        byte[] outer = Seal(Hkdf(subcredential, salt, [.. Ascii("oxen introset outer v1"), .. header], 32), [.. share, .. Big((ulong)(table.Length / 40), 2), .. table, .. inner]);
        byte[] unsigned = [.. header, .. salt, .. outer];
        return [.. unsigned, .. SlowEd25519.Sign(period.Scalar, period.Nonce, [.. Ascii("oxen introset v1\0"), .. unsigned])];
    }

    /// <summary>The padded content, or null.</summary>
    public static byte[]? ReadIntroset(byte[] introset, byte[] address, byte[]? clientSecret)
    {
        byte[] header = introset[..60], salt = introset[60..92], blinded = introset[4..36], subcredential = Subcredential(address, blinded);
        byte[]? outer = Open(Hkdf(subcredential, salt, [.. Ascii("oxen introset outer v1"), .. header], 32), introset[92..^64]);
        if (outer is null) return null;
        byte[] share = outer[..32];
        int entries = outer[32] << 8 | outer[33];
        byte[] inner = outer[(34 + 40 * entries)..], cookie = new byte[32];
        if (clientSecret is not null)
        {
            byte[] keys = Hkdf(X25519(clientSecret, share), Ascii("oxen introset client v1"), [.. subcredential, .. share, .. X25519Public(clientSecret)], 40);
            int at = Enumerable.Range(0, entries).First(i => outer.AsSpan(34 + 40 * i, 8).SequenceEqual(keys.AsSpan(0, 8)));
            for (int i = 0; i < 32; i++) cookie[i] = (byte)(outer[34 + 40 * at + 8 + i] ^ keys[8 + i]);
        }

        return Open(Hkdf([.. subcredential, .. cookie], salt, [.. Ascii("oxen introset inner v1"), .. header], 32), inner);
    }

    // ---- places ----

    /// <summary>Index of each keeper among `relays`.</summary>
    public static int[] Keepers(byte[] blinded, ulong period, byte[] randomness, byte[][] relays)
    {
        (byte[] Place, int Index)[] ring = [.. relays.Select((r, i) => (Sha(Ascii("oxen introset relay v1"), r, Big(period), randomness), i)).OrderBy(r => Convert.ToHexString(r.Item1), StringComparer.Ordinal)];
        List<int> keepers = [];
        for (byte replica = 1; replica <= 2; replica++)
        {
            string place = Convert.ToHexString(Sha(Ascii("oxen introset place v1"), blinded, [replica], Big(period), randomness));
            IEnumerable<(byte[] Place, int Index)> round = ring.SkipWhile(r => string.CompareOrdinal(Convert.ToHexString(r.Place), place) < 0).Concat(ring.TakeWhile(r => string.CompareOrdinal(Convert.ToHexString(r.Place), place) < 0));
            keepers.AddRange(round.Select(r => r.Index).Where(i => !keepers.Contains(i)).Take(4).ToArray());
        }

        return [.. keepers];
    }

    // ---- handshake ----

    public static byte[] IntroductionHash(byte[] introduction, byte[] subcredential, byte[] serviceX, byte[] serviceKem) =>
        Sha(Ascii("oxen introduction v1"), subcredential, serviceX, serviceKem, introduction[36..1156]);

    public static byte[] SealKey(byte[] sharedStatic, byte[] sharedKem, byte[] hash) => Hkdf([.. sharedStatic, .. sharedKem], Ascii("oxen introduction seal v1"), hash, 32);

    /// <summary>answer key | client to service | service to client | continuation | session id 16.</summary>
    public static byte[] Final(byte[] sharedStatic, byte[] sharedKem, byte[] sharedEphemeral, byte[] introduction, byte[] hash, byte[] serviceShare) =>
        Hkdf([.. sharedStatic, .. sharedKem, .. sharedEphemeral], Ascii("oxen hidden final v1"), Sha(Ascii("oxen hidden transcript v1"), hash, SHA256.HashData(introduction[1156..]), serviceShare), 144);
}
