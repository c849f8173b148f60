using System.Numerics;
using System.Security.Cryptography;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Native.Sodium;
using Oxen.Router.Tests.Reference;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class KeyBlindingTests
{
    // torproject/tor, src/test/ed25519_vectors.inc (commit 7ca470e1): secret key, public key, blinding parameter, a' (the first half of the
    // blinded secret key; the second half is where we differ), blinded public key. h is SHA-512("Derive temporary signing key" || parameter)
    // there, clamped; how h comes about is each protocol's own, the rest is rend-spec-v3 appendix A.2.
    public static TheoryData<string, string, string, string, string> TorVectors => new()
    {
        { "26c76712d89d906e6672dafa614c42e5cb1caac8c6568e4d2493087db51f0d36", "c2247870536a192d142d056abefca68d6193158e7c1a59c1654c954eccaff894", "54a513898b471d1d448a2f3c55c1de2c0ef718c447b04497eeb999ed32027823", "014e83abadb2ca9a27e0ffe23920333d817729f48700e97656ec2823d694050e", "722d6da6348e618967ef782e71061e27163a8b35f21856475d9d2023f65b6495" },
        { "fba7a5366b5cb98c2667a18783f5cf8f4f8d1a2ce939ad22a6e685edde85128d", "1519a3b15816a1aafab0b213892026ebf5c0dc232c58b21088d88cb90e9b940d", "831e9b5325b5d31b7ae6197e9c7a7baf2ec361e08248bce055908971047a2347", "fad8cca0b4335847795288b1452508752b253e64e6c7c78d4a02dbbd7d46aa0e", "1dffa0586da6cbfcff2024eedf4fc6c818242d9a82dbbe635d6da1b975a1160d" },
        { "67e3aa7a14fac8445d15e45e38a523481a69ae35513c9e4143eb1c2196729a0e", "081faa81992e360ea22c06af1aba096e7a73f1c665bc8b3e4e531c46455fd1dd", "ac78a1d46faf3bfbbdc5af5f053dc6dc9023ed78236bec1760dadfd0b2603760", "116eb0ae0a4a91763365bdf86db427b00862db448487808788cc339ac10e5e08", "5ed81f98fed5a6acda4ea6da2c34fab0ab359d950c510c256473f1f33ff438b4" },
        { "d51385942033a76dc17f089a59e6a5a7fe80d9c526ae8ddd8c3a506b99d3d0a6", "73cfa1189a723aad7966137cbffa35140bb40d7e16eae4c40b79b5f0360dd65a", "f9c84dc0ac31571507993df94da1b3d28684a12ad14e67d0a068aba5c53019fc", "bd1fbb0ee5acddc4adbcf5f33e95d9445f40326ce579fdd764a24483a9ccb20f", "6e6f92a54fb282120c46d9603df41135f025bc1f58f283809d04be96aeb04040" },
        { "5c8eac469bb3f1b85bc7cd893f52dc42a9ab66f1b02b5ce6a68e9b175d3bb433", "66c1a77104d86461b6f98f73acf3cd229c80624495d2d74d6fda1e940080a96b", "b1fe79d1dec9bc108df69f6612c72812755751f21ecc5af99663b30be8b9081f", "237f5345cefe8573ce9fa7e216381a1172796c9e3f70668ab503b1352952530f", "cda236f28edc4c7e02d18007b8dab49d669265b0f7aefb1824d7cc8e73a2cd63" },
        { "eda433d483059b6d1ff8b7cfbd0fe406bfb23722c8f3c8252629284573b61b86", "d21c294db0e64cb2d8976625786ede1d9754186ae8197a64d72f68c792eecc19", "81f1512b63ab5fb5c1711a4ec83d379c420574aedffa8c3368e1c3989a3a0084", "ba8ff23bc4ad2b739e1ccffc9fbc7837053ea81cdfdb15073f56411cfbae1d0e", "367b03b17b67ca7329b89a520bdab91782402a41cd67264e34b5541a4b3f875b" },
        { "4377c40431c30883c5fbd9bc92ae48d1ed8a47b81d13806beac5351739b5533d", "c4d58b4cf85a348ff3d410dd936fa460c4f18da962c01b1963792b9dcc8a6ea6", "97f45142597c473a4b0e9a12d64561133ad9e1155fe5a9807fe6af8a93557818", "0fa68f969de038c7a90a4a74ee6167c77582006f2dedecc1956501ba6b6fb103", "8d486b03ac4e3b486b7a1d563706c7fdac75aee789a7cf6f22789eedeff61a31" },
        { "c6bbcce615839756aed2cc78b1de13884dd3618f48367a17597a16c1cd7a290b", "95126f14d86494020665face03f2d42ee2b312a85bc729903eb17522954a1c4a", "3f44f6a5a92cde816635dfc12ade70539871078d2ff097278be2a555c9859cd0", "deaa3456d1c21944d5dcd361a646858c6cf9336b0a6851d925717eb1ae186902", "9f297ff0aa2ceda91c5ab1b6446f12533d145940de6d850dc323417afde0cb78" },
    };

    [Theory]
    [MemberData(nameof(TorVectors))]
    public void The_published_vectors_hold_for_secret_and_public_key(string seed, string key, string parameter, string blindedScalar, string blindedKey)
    {
        byte[] expanded = SHA512.HashData(Convert.FromHexString(seed));
        KeyBlinding.Clamp(expanded.AsSpan(0, 32));
        byte[] factor = SHA512.HashData([.. "Derive temporary signing key"u8, .. Convert.FromHexString(parameter)]).AsSpan(0, 32).ToArray();
        KeyBlinding.Clamp(factor);
        using var blinded = new BlindedKey(expanded, factor, 1);
        Assert.Equal(blindedScalar, Convert.ToHexStringLower(blinded.Scalar));
        Assert.Equal(blindedKey, Convert.ToHexStringLower(blinded.PublicKey));

        // Who knows only the public key comes to the same.
        byte[] byPublic = new byte[32];
        Assert.True(Ed25519Group.TryMultiply(Convert.FromHexString(key), factor, byPublic));
        Assert.Equal(blindedKey, Convert.ToHexStringLower(byPublic));
        using var service = new ServiceKey(Convert.FromHexString(seed));
        Assert.Equal(key, Convert.ToHexStringLower(service.Address.ToArray()));
    }

    [Fact]
    public void Keys_and_signatures_are_those_of_a_slow_reference()
    {
        var dice = new SeededEntropy(2);
        for (int i = 0; i < 4; i++)
        {
            byte[] seed = Draw(dice, 32), randomness = Draw(dice, 32), message = Draw(dice, 17 * i);
            ulong period = (ulong)(20_000 + i);
            using var service = new ServiceKey(seed);
            using BlindedKey blinded = service.Blind(period, randomness);

            byte[] expanded = SHA512.HashData(seed);
            BigInteger a = SlowEd25519.Clamped(expanded);
            byte[] key = SlowEd25519.Encode(SlowEd25519.Multiply(SlowEd25519.Base, a));
            byte[] h = SHA256.HashData([.. "oxen hidden blind v1"u8, .. key, .. Big(period), .. Big(86_400), .. randomness]);
            BigInteger scalar = a * SlowEd25519.Clamped(h) % SlowEd25519.L;
            byte[] slow = SlowEd25519.Encode(SlowEd25519.Multiply(SlowEd25519.Decode(key), SlowEd25519.Clamped(h)));
            byte[] nonce = SHA512.HashData([.. "oxen hidden nonce v1"u8, .. expanded.AsSpan(32), .. slow]).AsSpan(0, 32).ToArray();

            Assert.Equal(key, service.Address.ToArray());
            Assert.Equal(slow, blinded.PublicKey.ToArray());
            byte[] byAddress = new byte[32];
            Assert.True(KeyBlinding.TryBlind(service.Address, period, randomness, byAddress));
            Assert.Equal(slow, byAddress);
            byte[] signature = new byte[64];
            blinded.Sign(message, signature);
            Assert.Equal(Convert.ToHexStringLower(SlowEd25519.Sign(scalar, nonce, message)), Convert.ToHexStringLower(signature));
            Assert.True(KeyBlinding.Verify(message, signature, slow));
        }
    }

    [Fact]
    public void A_changed_message_signature_or_key_does_not_verify()
    {
        var dice = new SeededEntropy(3);
        using var service = new ServiceKey(Draw(dice, 32));
        using BlindedKey blinded = service.Blind(7, new byte[32]);
        byte[] message = Draw(dice, 100), signature = new byte[64];
        blinded.Sign(message, signature);
        Assert.True(KeyBlinding.Verify(message, signature, blinded.PublicKey));
        for (int bit = 0; bit < 512; bit += 7)
        {
            byte[] bad = [.. signature];
            bad[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(KeyBlinding.Verify(message, bad, blinded.PublicKey));
        }

        for (int at = 0; at < message.Length; at += 9)
        {
            byte[] bad = [.. message];
            bad[at] ^= 1;
            Assert.False(KeyBlinding.Verify(bad, signature, blinded.PublicKey));
        }

        // S + L: the same number, another encoding.
        byte[] larger = [.. signature.AsSpan(0, 32), .. SlowEd25519.Bytes(SlowEd25519.Number(signature.AsSpan(32)) + SlowEd25519.L)];
        Assert.False(KeyBlinding.Verify(message, larger, blinded.PublicKey));
        Assert.False(KeyBlinding.Verify(message, signature, service.Address.ToArray()));
        Assert.False(KeyBlinding.Verify(message, signature.AsSpan(0, 63), blinded.PublicKey));
        Assert.False(KeyBlinding.Verify(message, signature, blinded.PublicKey[..31]));
    }

    [Fact]
    public void Points_of_small_order_and_strange_encodings_are_refused_everywhere()
    {
        byte[] scalar = new byte[32];
        scalar[0] = 8;
        scalar[31] = 64;
        byte[] result = new byte[32];
        foreach (byte[] bad in BadPoints.All)
        {
            Assert.False(Ed25519Group.IsValidPoint(bad), Convert.ToHexString(bad));
            Assert.False(Ed25519Group.TryMultiply(bad, scalar, result));
            Assert.All(result, b => Assert.Equal(0, b));

            // With a key of small order anybody could sign: R = identity, S = 0 fits every message.
            byte[] forged = new byte[64];
            forged[0] = 1;
            Assert.False(KeyBlinding.Verify([1, 2, 3], forged, bad));
        }

        Assert.True(Ed25519Group.IsValidPoint(SlowEd25519.Encode(SlowEd25519.Base)));
        Assert.False(Ed25519Group.TryMultiplyBase(SlowEd25519.Bytes(0), result));
    }

    [Fact]
    public void Another_period_or_other_randomness_gives_an_unrelated_key_and_another_nonce()
    {
        var dice = new SeededEntropy(4);
        using var service = new ServiceKey(Draw(dice, 32));
        byte[] one = Draw(dice, 32), two = Draw(dice, 32), message = [1, 2, 3];
        var keys = new HashSet<string>();
        var nonces = new HashSet<string>();
        foreach (ulong period in (ulong[])[1, 2, 1UL << 40])
        {
            foreach (byte[] randomness in (byte[][])[one, two])
            {
                using BlindedKey blinded = service.Blind(period, randomness);
                byte[] signature = new byte[64];
                blinded.Sign(message, signature);
                Assert.True(keys.Add(Convert.ToHexString(blinded.PublicKey)));

                // The same R in two periods would give away the secret key.
                Assert.True(nonces.Add(Convert.ToHexString(signature.AsSpan(0, 32))));
            }
        }
    }

    private static byte[] Draw(SeededEntropy dice, int length)
    {
        byte[] bytes = new byte[length];
        dice.FillSecret(bytes);
        return bytes;
    }

    private static byte[] Big(ulong value)
    {
        byte[] bytes = new byte[8];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(bytes, value);
        return bytes;
    }
}
