using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Carrier.Kernels;

// Twins: the vector kernels equal their scalar twins at every length from 0 to 300, at the lengths we send, and wherever
// the bytes begin.
public sealed class KernelTwinTests
{
    internal static IEnumerable<int> Lengths => Enumerable.Range(0, 301).Concat([512, 768, 769, 1024, 1184, 1280, 1360, 1376, 1535, 1536, 1537, 3100]);

    private static byte[] Random(ulong seed, int length)
    {
        byte[] bytes = new byte[length];
        new SeededEntropy(seed).FillPublic(bytes);
        return bytes;
    }

    private static void SkipWithoutInstructions()
    {
        if (!AesBlock.IsAccelerated || !Gf128.IsAccelerated || !ChaCha20.IsAccelerated) Assert.Skip("this processor lacks the instructions");
    }

    [Fact]
    public void Aegis_seals_and_opens_alike()
    {
        SkipWithoutInstructions();
        foreach (int length in Lengths)
        {
            byte[] random = Random((ulong)length, length + 48 + 80), key = random[..16], nonce = random[16..32];
            byte[] associated = random[32..(32 + length % 70)];
            int odd = length % 3;
            byte[] a = new byte[length + odd], b = new byte[length + odd];
            random.AsSpan(random.Length - length).CopyTo(a.AsSpan(odd));
            a.CopyTo(b, 0);
            byte[] tagA = new byte[16], tagB = new byte[16];
            Aegis128L.SealVector(a.AsSpan(odd), key, nonce, associated, tagA);
            Aegis128L.SealScalar(b.AsSpan(odd), key, nonce, associated, tagB);
            Assert.Equal(b, a);
            Assert.Equal(tagB, tagA);
            Assert.True(Aegis128L.OpenVector(a.AsSpan(odd), key, nonce, associated, tagA));
            Assert.True(Aegis128L.OpenScalar(b.AsSpan(odd), key, nonce, associated, tagA));
            Assert.Equal(random[^length..], a[odd..]);
            Assert.Equal(b, a);
        }
    }

    [Fact]
    public void Aegis_of_the_link_shape_seals_and_opens_alike_and_refuses_a_changed_bit()
    {
        SkipWithoutInstructions();
        for (int length = 16; length <= 1424; length += 16)
        {
            byte[] random = Random((ulong)length, length + 48), key = random[..16], nonce = random[16..32], associated = random[32..48];
            int odd = length / 16 % 3;
            byte[] a = new byte[length + odd + 64], b = new byte[length + odd + 64], tagA = new byte[16], tagB = new byte[16];
            random.AsSpan(48).CopyTo(a.AsSpan(odd));
            a.CopyTo(b, 0);
            Aegis128L.SealVector(a.AsSpan(odd, length), key, nonce, associated, tagA);
            Aegis128L.SealScalar(b.AsSpan(odd, length), key, nonce, associated, tagB);
            Assert.Equal(b, a);   // nor is a byte after the end touched
            Assert.Equal(tagB, tagA);
            Assert.True(Aegis128L.OpenVector(a.AsSpan(odd, length), key, nonce, associated, tagA));
            Assert.Equal(random.AsSpan(48).ToArray(), a.AsSpan(odd, length).ToArray());
            b[odd + length / 2] ^= 4;
            Assert.False(Aegis128L.OpenVector(b.AsSpan(odd, length), key, nonce, associated, tagB));
            Assert.All(b, x => Assert.Equal(0, x));
            associated[length / 16 % 16] ^= 1;
            Aegis128L.SealScalar(a.AsSpan(odd, length), key, nonce, random.AsSpan(32, 16), tagB);
            Assert.False(Aegis128L.OpenVector(a.AsSpan(odd, length), key, nonce, associated, tagB));
        }
    }

    [Fact]
    public void ChaCha20_streams_are_alike()
    {
        SkipWithoutInstructions();
        foreach (int length in Lengths)
        {
            byte[] random = Random((ulong)length, length + 44);
            int odd = length % 5;
            byte[] a = new byte[length + odd + 64], b = new byte[length + odd + 64];
            random.AsSpan(44).CopyTo(a.AsSpan(odd));
            a.CopyTo(b, 0);
            ChaCha20.XorVector(a.AsSpan(odd, length), random.AsSpan(0, 32), random.AsSpan(32, 12), (uint)length * 77);
            ChaCha20.XorScalar(b.AsSpan(odd, length), random.AsSpan(0, 32), random.AsSpan(32, 12), (uint)length * 77);
            Assert.Equal(b, a);   // nor is a byte after the end touched
        }
    }

    [Theory, InlineData(16), InlineData(32)]
    public void Aes_counter_streams_are_alike_and_wrap_at_32_bits(int keyBytes)
    {
        SkipWithoutInstructions();
        foreach (int length in Lengths)
        {
            byte[] random = Random((ulong)length, length + 48);
            byte[] expanded = new byte[keyBytes == 16 ? 176 : 240], twin = new byte[expanded.Length];
            AesBlock.ExpandVector(random.AsSpan(0, keyBytes), expanded);
            AesBlock.ExpandScalar(random.AsSpan(0, keyBytes), twin);
            Assert.Equal(twin, expanded);
            byte[] counter = random[32..48];
            if (length % 2 == 0) counter.AsSpan(12).Fill(0xFF);
            int odd = length % 5;
            byte[] a = new byte[length + odd + 64], b = new byte[length + odd + 64];
            random.AsSpan(48).CopyTo(a.AsSpan(odd));
            a.CopyTo(b, 0);
            AesCtr.XorVector(a.AsSpan(odd, length), expanded, counter);
            AesCtr.XorScalar(b.AsSpan(odd, length), expanded, counter);
            Assert.Equal(b, a);
            byte[] block = random[..16], other = random[..16];
            AesBlock.DecryptVector(expanded, block, block);
            AesBlock.DecryptScalar(expanded, other, other);
            Assert.Equal(other, block);
            AesBlock.EncryptVector(expanded, block, block);
            Assert.Equal(random[..16], block);
        }
    }

    [Fact]
    public void Field_sums_are_alike_in_both_byte_orders_and_widths()
    {
        SkipWithoutInstructions();
        for (int blocks = 1; blocks <= 140; blocks++)
        {
            byte[] random = Random((ulong)blocks, 33 + 16 * blocks), powers = new byte[Gf128.PowersBytes];
            Gf128.ExpandPowers(random.AsSpan(0, 16), powers);
            ReadOnlySpan<byte> data = random.AsSpan(33);
            byte[] scalar = random[16..32], vector = random[16..32];
            Gf128.AbsorbScalar<Gf128.AsIs>(data, powers, scalar);
            Gf128.AbsorbVector<Gf128.AsIs>(data, powers, vector);
            Assert.Equal(scalar, vector);
            Gf128.AbsorbScalar<Gf128.Reversed>(data, powers, scalar);
            Gf128.AbsorbVector<Gf128.Reversed>(data, powers, vector);
            Assert.Equal(scalar, vector);
            var narrow = System.Runtime.Intrinsics.Vector128.Create<byte>(random.AsSpan(16, 16));
            Gf128.Absorb128<Gf128.AsIs>(ref random[33], (nuint)(16 * blocks), ref powers[0], ref narrow);
            byte[] expected = random[16..32];
            Gf128.AbsorbScalar<Gf128.AsIs>(data, powers, expected);
            Assert.Equal(expected, narrow.ToByteArray());
        }
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] data = new byte[1376], key = new byte[32], nonce = new byte[16], tag = new byte[16], gcm = new byte[AesGcm128.ExpandedBytes], wide = new byte[AesGcm256.ExpandedBytes];
        long bytes = AllocationAssert.Measure(() =>
        {
            Aegis128L.Seal(data, key.AsSpan(0, 16), nonce, nonce, tag);
            Assert.True(Aegis128L.Open(data, key.AsSpan(0, 16), nonce, nonce, tag));
            ChaCha20Poly1305.Seal(data, key, nonce.AsSpan(0, 12), nonce, tag);
            Assert.True(ChaCha20Poly1305.Open(data, key, nonce.AsSpan(0, 12), nonce, tag));
            AesGcm128.Expand(key.AsSpan(0, 16), gcm);
            AesGcm128.Seal(data, gcm, nonce.AsSpan(0, 12), nonce, tag);
            Assert.True(AesGcm128.Open(data, gcm, nonce.AsSpan(0, 12), nonce, tag));
            AesGcm256.Expand(key, wide);
            AesGcm256.Seal(data, wide, nonce.AsSpan(0, 12), nonce, tag);
            Assert.True(AesGcm256.Open(data, wide, nonce.AsSpan(0, 12), nonce, tag));
            AesBlock.EncryptBlock(gcm.AsSpan(0, 176), nonce, nonce);
        }, times: 100, warmUp: 50);
        Assert.Equal(0, bytes);
    }
}

internal static class VectorBytes
{
    public static byte[] ToByteArray(this System.Runtime.Intrinsics.Vector128<byte> v)
    {
        byte[] bytes = new byte[16];
        System.Runtime.Intrinsics.Vector128.CopyTo(v, bytes);
        return bytes;
    }
}
