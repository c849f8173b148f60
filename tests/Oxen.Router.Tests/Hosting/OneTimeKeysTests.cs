using System.Security.Cryptography;
using NSec.Cryptography;
using Oxen.Router.Hosting;

namespace Oxen.Router.Tests.Hosting;

public sealed class OneTimeKeysTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(70_001)]
    public void A_box_is_what_NSec_seals_and_opens_again(int length)
    {
        byte[] content = RandomNumberGenerator.GetBytes(length), key = RandomNumberGenerator.GetBytes(32), nonce = RandomNumberGenerator.GetBytes(24), box = new byte[length + 16];
        OneTimeKeys.Seal(content, key, nonce, box);
        using Key witness = Key.Import(AeadAlgorithm.XChaCha20Poly1305, key, KeyBlobFormat.RawSymmetricKey);
        Assert.Equal(AeadAlgorithm.XChaCha20Poly1305.Encrypt(witness, nonce, [], content), box);
        byte[] opened = new byte[length];
        Assert.True(OneTimeKeys.TryOpen(box, key, nonce, opened));
        Assert.Equal(content, opened);
    }

    [Fact]
    public void A_changed_box_key_or_nonce_opens_nothing_and_leaves_nothing()
    {
        byte[] key = RandomNumberGenerator.GetBytes(32), nonce = RandomNumberGenerator.GetBytes(24), box = new byte[100 + 16];
        OneTimeKeys.Seal(RandomNumberGenerator.GetBytes(100), key, nonce, box);
        foreach (byte[] changed in new[] { box, key, nonce })
        {
            for (int bit = 0; bit < changed.Length * 8; bit++)
            {
                byte[] content = [.. Enumerable.Repeat((byte)1, 100)];
                changed[bit / 8] ^= (byte)(1 << (bit % 8));
                Assert.False(OneTimeKeys.TryOpen(box, key, nonce, content));
                Assert.Equal(new byte[100], content);
                changed[bit / 8] ^= (byte)(1 << (bit % 8));
            }
        }
    }

    [Fact]
    public void Both_ends_agree_and_a_key_of_small_order_is_refused()
    {
        byte[] a = RandomNumberGenerator.GetBytes(32), b = RandomNumberGenerator.GetBytes(32), aPublic = new byte[32], bPublic = new byte[32], ab = new byte[32], ba = new byte[32];
        OneTimeKeys.PublicKey(a, aPublic);
        OneTimeKeys.PublicKey(b, bPublic);
        Assert.True(OneTimeKeys.TryAgree(bPublic, a, ab));
        Assert.True(OneTimeKeys.TryAgree(aPublic, b, ba));
        Assert.Equal(ab, ba);
        Assert.False(OneTimeKeys.TryAgree(new byte[32], a, ab));
        Assert.Equal(new byte[32], ab);
    }

    [Theory]
    [InlineData(31, 24, 26)]
    [InlineData(32, 12, 26)]
    [InlineData(32, 24, 25)]
    [InlineData(32, 24, 27)]
    public void Wrong_lengths_are_the_callers_mistake(int key, int nonce, int box)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => OneTimeKeys.Seal(new byte[10], new byte[key], new byte[nonce], new byte[box]));
        Assert.Throws<ArgumentOutOfRangeException>(() => OneTimeKeys.TryOpen(new byte[box], new byte[key], new byte[nonce], new byte[10]));
    }
}
