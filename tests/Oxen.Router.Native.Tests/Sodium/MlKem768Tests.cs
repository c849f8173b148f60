using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;
using Oxen.Testing;

namespace Oxen.Router.Native.Tests.Sodium;

public class MlKem768Tests
{
    // C2SP CCTV, ML-KEM/README.md, "Accumulated pq-crystals vectors", values after 10 000 tests (FIPS 203, k appended to d).
    [Fact]
    public void Ten_thousand_accumulated_vectors_match()
    {
        Assert.SkipUnless(Shake128.IsSupported, "the platform's crypto library has no SHAKE-128");
        const int tests = 10_000;
        byte[] stream = Shake128.HashData([], tests * (64 + 32 + 1088));    // in one go: squeezing twice needs OpenSSL 3.3
        using Shake128 digest = new();
        byte[] pk = new byte[1184], sk = new byte[2400], ct = new byte[1088], ours = new byte[32], theirs = new byte[32];
        for (int i = 0; i < tests; i++)
        {
            ReadOnlySpan<byte> drawn = stream.AsSpan(i * (64 + 32 + 1088), 64 + 32 + 1088);
            ReadOnlySpan<byte> seed = drawn[..64], m = drawn.Slice(64, 32), noise = drawn[96..];
            MlKem768.GenerateKeyPair(seed, pk, sk);
            digest.AppendData(pk);
            digest.AppendData(sk);
            Assert.True(MlKem768.Encapsulate(pk, ct, ours, m));
            Assert.True(MlKem768.Decapsulate(ct, sk, theirs));
            Assert.Equal(ours, theirs);
            digest.AppendData(ct);
            digest.AppendData(ours);
            Assert.True(MlKem768.Decapsulate(noise, sk, theirs));
            digest.AppendData(theirs);
        }

        Assert.Equal("f959d18d3d1180121433bf0e05f11e7908cf9d03edc150b2b07cb90bef5bc1c1", Convert.ToHexStringLower(digest.GetHashAndReset(32)));
    }

    [Fact]
    public void A_tampered_ciphertext_gives_another_secret()
    {
        SeededEntropy random = new(1);
        byte[] seed = new byte[64], m = new byte[32], pk = new byte[1184], sk = new byte[2400], ct = new byte[1088], a = new byte[32], b = new byte[32];
        random.FillSecret(seed);
        random.FillSecret(m);
        MlKem768.GenerateKeyPair(seed, pk, sk);
        Assert.True(MlKem768.Encapsulate(pk, ct, a, m));
        for (int i = 0; i < ct.Length; i += 17)
        {
            ct[i] ^= 1;
            Assert.True(MlKem768.Decapsulate(ct, sk, b));
            Assert.NotEqual(a, b);
            ct[i] ^= 1;
        }
    }

    // FIPS 203 section 7.2: a coefficient of 3329 or more is no public key.
    [Fact]
    public void A_public_key_outside_the_modulus_is_refused()
    {
        byte[] pk = new byte[1184], ct = new byte[1088], ss = new byte[32];
        pk.AsSpan().Fill(0xFF);
        Assert.False(MlKem768.Encapsulate(pk, ct, ss, new byte[32]));
    }

    [Fact]
    public void Wrong_sizes_are_our_bug()
    {
        byte[] pk = new byte[1184], sk = new byte[2400], ct = new byte[1088], ss = new byte[32];
        Assert.Throws<ArgumentOutOfRangeException>(() => MlKem768.GenerateKeyPair(new byte[63], pk, sk));
        Assert.Throws<ArgumentOutOfRangeException>(() => MlKem768.Encapsulate(new byte[1183], ct, ss, new byte[32]));
        Assert.Throws<ArgumentOutOfRangeException>(() => MlKem768.Decapsulate(new byte[1089], sk, ss));
    }
}
