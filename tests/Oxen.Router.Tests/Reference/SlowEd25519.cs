using System.Numerics;
using System.Security.Cryptography;

namespace Oxen.Router.Tests.Reference;

// Ed25519 (RFC 8032) and blinded keys once more, with BigIntegers and affine points, from the documents alone. Slow on purpose.
internal static class SlowEd25519
{
    public static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;
    public static readonly BigInteger L = BigInteger.Pow(2, 252) + BigInteger.Parse("27742317777372353535851937790883648493");
    private static readonly BigInteger D = Mod(-121665 * Inverse(121666));
    private static readonly BigInteger RootOfMinusOne = BigInteger.ModPow(2, (P - 1) / 4, P);
    public static readonly (BigInteger X, BigInteger Y) Base = DecodeY(Mod(4 * Inverse(5)), sign: 0);

    public static BigInteger Number(ReadOnlySpan<byte> littleEndian) => new(littleEndian, isUnsigned: true);

    public static byte[] Bytes(BigInteger n)
    {
        byte[] bytes = new byte[32];
        n.TryWriteBytes(bytes, out _, isUnsigned: true);
        return bytes;
    }

    public static (BigInteger X, BigInteger Y) Add((BigInteger X, BigInteger Y) p, (BigInteger X, BigInteger Y) q)
    {
        BigInteger k = Mod(D * p.X * q.X * p.Y * q.Y);
        return (Mod((p.X * q.Y + q.X * p.Y) * Inverse(1 + k)), Mod((p.Y * q.Y + p.X * q.X) * Inverse(1 - k)));
    }

    public static (BigInteger X, BigInteger Y) Multiply((BigInteger X, BigInteger Y) p, BigInteger n)
    {
        (BigInteger X, BigInteger Y) sum = (0, 1);
        for (; n > 0; n >>= 1)
        {
            if (!n.IsEven) sum = Add(sum, p);
            p = Add(p, p);
        }

        return sum;
    }

    public static byte[] Encode((BigInteger X, BigInteger Y) p)
    {
        byte[] bytes = Bytes(p.Y);
        if (!p.X.IsEven) bytes[31] |= 0x80;
        return bytes;
    }

    public static (BigInteger X, BigInteger Y) Decode(ReadOnlySpan<byte> bytes)
    {
        byte[] copy = bytes.ToArray();
        int sign = copy[31] >> 7;
        copy[31] &= 0x7F;
        return DecodeY(Number(copy), sign);
    }

    /// <summary>2^254 + the bits 3 to 253: the clamping of RFC 8032, written as a sum.</summary>
    public static BigInteger Clamped(ReadOnlySpan<byte> bytes)
    {
        BigInteger n = BigInteger.One << 254;
        for (int bit = 3; bit < 254; bit++) if ((bytes[bit / 8] >> (bit % 8) & 1) != 0) n += BigInteger.One << bit;
        return n;
    }

    public static byte[] Sign(BigInteger scalar, ReadOnlySpan<byte> nonceKey, byte[] message)
    {
        byte[] key = Encode(Multiply(Base, scalar));
        BigInteger r = Number(SHA512.HashData([.. nonceKey, .. message])) % L;
        byte[] point = Encode(Multiply(Base, r));
        BigInteger k = Number(SHA512.HashData([.. point, .. key, .. message])) % L;
        return [.. point, .. Bytes((r + k * scalar) % L)];
    }

    private static (BigInteger X, BigInteger Y) DecodeY(BigInteger y, int sign)
    {
        BigInteger square = Mod((y * y - 1) * Inverse(D * y * y + 1));
        BigInteger x = BigInteger.ModPow(square, (P + 3) / 8, P);
        if (Mod(x * x) != square) x = Mod(x * RootOfMinusOne);
        if (Mod(x * x) != square) throw new ArgumentException("no point");
        if ((x.IsEven ? 0 : 1) != sign) x = P - x;
        return (x, y);
    }

    private static BigInteger Inverse(BigInteger n) => BigInteger.ModPow(Mod(n), P - 2, P);

    private static BigInteger Mod(BigInteger n)
    {
        BigInteger m = n % P;
        return m.Sign < 0 ? m + P : m;
    }
}
