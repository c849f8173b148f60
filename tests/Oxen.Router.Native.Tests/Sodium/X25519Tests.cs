using System.Security.Cryptography;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Native.Tests.Sodium;

public sealed class X25519Tests
{
    // RFC 7748 section 6.1
    private const string A = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
    private const string B = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";

    [Fact]
    public void Agreement_meets_the_vectors_of_RFC_7748()
    {
        byte[] a = Convert.FromHexString(A);
        byte[] b = Convert.FromHexString(B);
        byte[] aPublic = new byte[32], bPublic = new byte[32], ab = new byte[32], ba = new byte[32];
        X25519.PublicKey(a, aPublic);
        X25519.PublicKey(b, bPublic);
        Assert.Equal("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", Convert.ToHexStringLower(aPublic));
        Assert.Equal("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", Convert.ToHexStringLower(bPublic));
        Assert.True(X25519.TryAgree(bPublic, a, ab));
        Assert.True(X25519.TryAgree(aPublic, b, ba));
        Assert.Equal("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", Convert.ToHexStringLower(ab));
        Assert.Equal(ab, ba);
    }

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("0100000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    [InlineData("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000080")]
    public void A_point_of_small_order_is_refused_and_leaves_zeros(string peer)
    {
        byte[] shared = [.. Enumerable.Repeat((byte)1, 32)];
        Assert.False(X25519.TryAgree(Convert.FromHexString(peer), Convert.FromHexString(A), shared));
        Assert.Equal(new byte[32], shared);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(144)]
    [InlineData(1232)]
    public void The_AEAD_agrees_with_the_librarys_and_wipes_what_is_not_authentic(int length)
    {
        byte[] data = [.. Enumerable.Range(0, length).Select(i => (byte)i)];
        byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)(7 * i))];
        byte[] nonce = [.. Enumerable.Range(0, 12).Select(i => (byte)(9 * i))];
        byte[] expected = new byte[length], expectedTag = new byte[16], work = (byte[])data.Clone(), tag = new byte[16];
        using var library = new ChaCha20Poly1305(key);
        library.Encrypt(nonce, data, expected, expectedTag);
        SodiumChaCha20Poly1305.Seal(work, key, nonce, tag);
        Assert.Equal(expected, work);
        Assert.Equal(expectedTag, tag);
        Assert.True(SodiumChaCha20Poly1305.Open(work, key, nonce, tag));
        Assert.Equal(data, work);
        expected.CopyTo(work, 0);
        tag[3] ^= 1;
        Assert.False(SodiumChaCha20Poly1305.Open(work, key, nonce, tag));
        Assert.Equal(new byte[length], work);
    }
}
