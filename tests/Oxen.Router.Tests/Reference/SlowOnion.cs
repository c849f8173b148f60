using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Oxen.Router.Tests.Reference;

// The onion layer once more, from docs/protocol/onion.md alone: polynomials are BigIntegers, AES and HKDF come from the
// runtime's library. It shares no file with Core, is slow on purpose, and generates tests/vectors/onion-layer.json.
internal static class SlowOnion
{
    // x^128 + x^127 + x^126 + x^121 + 1
    private static readonly BigInteger Modulus = (BigInteger.One << 128) | (BigInteger.One << 127) | (BigInteger.One << 126) | (BigInteger.One << 121) | 1;

    // x^-128: the inverse of x, (modulus - 1) / x … found as x^127 + x^126 + x^125 + x^120, taken 128 times.
    private static readonly BigInteger InverseOfX128 = Power((Modulus ^ BigInteger.One) >> 1, 128);

    public sealed record Keys(byte[] K1, byte[] K2, byte[] K3, byte[] K4);

    public static byte[] Tweak(int sizeClass, int direction, int kind, int position, ulong epoch)
    {
        byte[] t = new byte[16];
        t[0] = 1;
        t[1] = (byte)sizeClass;
        t[2] = (byte)direction;
        t[3] = (byte)kind;
        t[4] = (byte)position;
        BinaryPrimitives.WriteUInt64BigEndian(t.AsSpan(8), epoch);
        return t;
    }

    public static byte[] KeysOf(byte[] chain) => HKDF.Expand(HashAlgorithmName.SHA256, chain, 64, "oxen onion v1 layer keys"u8.ToArray());

    public static byte[] NextChain(byte[] chain) => HKDF.Expand(HashAlgorithmName.SHA256, chain, 32, "oxen onion v1 chain"u8.ToArray());

    public static Keys Split(byte[] raw) => new(raw[..16], raw[16..32], raw[32..48], raw[48..64]);

    public static byte[] Forward(byte[] x, Keys keys, byte[] tweak)
    {
        byte[] left = x[..16], right = x[16..];
        byte[] h = Polyval(keys.K2, [.. tweak, .. right]);
        byte[] newLeft = Add(Encrypt(keys.K1, Add(left, h)), h);
        return [.. newLeft, .. Add(right, Stream(keys, newLeft, right.Length))];
    }

    public static byte[] Inverse(byte[] y, Keys keys, byte[] tweak)
    {
        byte[] left = y[..16];
        byte[] right = Add(y[16..], Stream(keys, left, y.Length - 16));
        byte[] h = Polyval(keys.K2, [.. tweak, .. right]);
        return [.. Add(Decrypt(keys.K1, Add(left, h)), h), .. right];
    }

    public static byte[] Polyval(byte[] key, byte[] blocks)
    {
        BigInteger h = Field(key), s = BigInteger.Zero;
        for (int at = 0; at < blocks.Length; at += 16) s = Dot(s ^ Field(blocks[at..(at + 16)]), h);
        return Bytes(s);
    }

    public static byte[] Dot(byte[] a, byte[] b) => Bytes(Dot(Field(a), Field(b)));

    public static byte[] Product(byte[] a, byte[] b) => Bytes(Multiply(Field(a), Field(b)));

    private static byte[] Stream(Keys keys, byte[] left, int length)
    {
        byte[] iv = Polyval(keys.K4, left);
        iv[15] &= 0x80;
        List<byte> stream = [];
        for (int i = 0; stream.Count < length; i++)
        {
            byte[] block = [.. iv];
            block[15] = checked((byte)(iv[15] + i));
            if (i > 127) throw new InvalidOperationException("the counter has seven bits");
            stream.AddRange(Encrypt(keys.K3, block));
        }

        return [.. stream];
    }

    private static byte[] Encrypt(byte[] key, byte[] block)
    {
        using Aes aes = Aes.Create();
        aes.Key = key;
        return aes.EncryptEcb(block, PaddingMode.None);
    }

    private static byte[] Decrypt(byte[] key, byte[] block)
    {
        using Aes aes = Aes.Create();
        aes.Key = key;
        return aes.DecryptEcb(block, PaddingMode.None);
    }

    private static byte[] Add(byte[] a, byte[] b) => [.. a.Zip(b, (x, y) => (byte)(x ^ y))];

    private static BigInteger Dot(BigInteger a, BigInteger b) => Multiply(Multiply(a, b), InverseOfX128);

    private static BigInteger Multiply(BigInteger a, BigInteger b)
    {
        BigInteger product = BigInteger.Zero;
        for (int i = 0; i < 128; i++)
            if (!((b >> i) & BigInteger.One).IsZero)
                product ^= a << i;
        for (int i = 255; i >= 128; i--)
            if (!((product >> i) & BigInteger.One).IsZero)
                product ^= Modulus << (i - 128);
        return product;
    }

    private static BigInteger Power(BigInteger a, int exponent)
    {
        BigInteger result = BigInteger.One;
        for (int i = 0; i < exponent; i++) result = Multiply(result, a);
        return result;
    }

    private static BigInteger Field(byte[] block) => new(block, isUnsigned: true, isBigEndian: false);

    private static byte[] Bytes(BigInteger element)
    {
        byte[] bytes = new byte[16];
        if (!element.TryWriteBytes(bytes, out _, isUnsigned: true, isBigEndian: false)) throw new InvalidOperationException("not a field element");
        return bytes;
    }
}
