using System.Security.Cryptography;
using NSec.Cryptography;
using Oxen.Testing;
using Ours = Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Tests.Core.Carrier.Kernels;

// Witnesses: libsodium (through NSec) and the runtime's OpenSSL agree with every kernel on random keys, nonces, texts and
// associated data, and refuse what ours refuses.
public sealed class KernelWitnessTests
{
    private const int Rounds = 300;

    private readonly SeededEntropy _entropy = new(2026);

    private byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        _entropy.FillPublic(bytes);
        return bytes;
    }

    private delegate void Sealer(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag);

    private delegate bool Opener(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag);

    // The witness returns ciphertext || tag.
    private void Compare(int keyBytes, int nonceBytes, Sealer seal, Opener open, Func<byte[], byte[], byte[], byte[], byte[]> witness)
    {
        for (int i = 0; i < Rounds; i++)
        {
            byte[] key = Random(keyBytes), nonce = Random(nonceBytes), associated = Random(_entropy.Next(80)), text = Random(_entropy.Next(1500));
            byte[] data = [.. text], tag = new byte[16];
            seal(data, key, nonce, associated, tag);
            Assert.Equal(witness(text, key, nonce, associated), data.Concat(tag));

            byte[] opened = [.. data];
            Assert.True(open(opened, key, nonce, associated, tag));
            Assert.Equal(text, opened);

            byte[] wrongTag = [.. tag];
            wrongTag[_entropy.Next(16)] ^= (byte)(1 << _entropy.Next(8));
            Assert.False(open([.. data], key, nonce, associated, wrongTag));
            if (data.Length > 0)
            {
                byte[] wrong = [.. data];
                wrong[_entropy.Next(wrong.Length)] ^= (byte)(1 << _entropy.Next(8));
                Assert.False(open(wrong, key, nonce, associated, tag));
            }

            Assert.False(open([.. data], key, nonce, [.. associated, 0], tag));
        }
    }

    [Fact]
    public void Aegis128L_equals_libsodium() => Compare(16, 16, Ours.Aegis128L.Seal, Ours.Aegis128L.Open, (text, key, nonce, associated) =>
    {
        using Key k = Key.Import(AeadAlgorithm.Aegis128L, key, KeyBlobFormat.RawSymmetricKey);
        // libsodium's AEGIS tags have 32 bytes, ours 16, which sum other words of the state: here the text is compared, the draft's vectors hold the tag.
        byte[] own = new byte[16];
        Ours.Aegis128L.Seal([.. text], key, nonce, associated, own);
        return [.. AeadAlgorithm.Aegis128L.Encrypt(k, nonce, associated, text).AsSpan(0, text.Length), .. own];
    });

    [Fact]
    public void ChaCha20Poly1305_equals_libsodium() => Compare(32, 12, Ours.ChaCha20Poly1305.Seal, Ours.ChaCha20Poly1305.Open, (text, key, nonce, associated) =>
    {
        using Key k = Key.Import(AeadAlgorithm.ChaCha20Poly1305, key, KeyBlobFormat.RawSymmetricKey);
        return AeadAlgorithm.ChaCha20Poly1305.Encrypt(k, nonce, associated, text);
    });

    [Fact]
    public void AesGcm128_equals_the_runtime() => Compare(16, 12, SealGcm128, OpenGcm128, Gcm);

    [Fact]
    public void AesGcm256_equals_the_runtime() => Compare(32, 12, SealGcm256, OpenGcm256, Gcm);

    [Theory, InlineData(16), InlineData(32)]
    public void Aes_blocks_equal_the_runtime_both_ways_accelerated_or_not(int keyBytes)
    {
        for (int i = 0; i < Rounds; i++)
        {
            byte[] key = Random(keyBytes), block = Random(16), output = new byte[16], back = new byte[16];
            using Aes aes = Aes.Create();
            aes.Key = key;
            byte[] expected = aes.EncryptEcb(block, PaddingMode.None);
            byte[] expanded = new byte[keyBytes == 16 ? 176 : 240];
            Ours.AesBlock.Expand(key, expanded);
            Ours.AesBlock.EncryptBlock(expanded, block, output);
            Ours.AesBlock.DecryptBlock(expanded, output, back);
            Assert.Equal(expected, output);
            Assert.Equal(block, back);
            Ours.AesBlock.ExpandScalar(key, expanded);
            Ours.AesBlock.EncryptScalar(expanded, block, output);
            Ours.AesBlock.DecryptScalar(expanded, output, back);
            Assert.Equal(expected, output);
            Assert.Equal(block, back);
        }
    }

    private static byte[] Gcm(byte[] text, byte[] key, byte[] nonce, byte[] associated)
    {
        byte[] result = new byte[text.Length + 16];
        using AesGcm gcm = new(key, 16);
        gcm.Encrypt(nonce, text, result.AsSpan(0, text.Length), result.AsSpan(text.Length), associated);
        return result;
    }

    private static void SealGcm128(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        byte[] expanded = new byte[Ours.AesGcm128.ExpandedBytes];
        Ours.AesGcm128.Expand(key, expanded);
        Ours.AesGcm128.Seal(data, expanded, nonce, associated, tag);
    }

    private static bool OpenGcm128(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        byte[] expanded = new byte[Ours.AesGcm128.ExpandedBytes];
        Ours.AesGcm128.Expand(key, expanded);
        return Ours.AesGcm128.Open(data, expanded, nonce, associated, tag);
    }

    private static void SealGcm256(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, Span<byte> tag)
    {
        byte[] expanded = new byte[Ours.AesGcm256.ExpandedBytes];
        Ours.AesGcm256.Expand(key, expanded);
        Ours.AesGcm256.Seal(data, expanded, nonce, associated, tag);
    }

    private static bool OpenGcm256(Span<byte> data, ReadOnlySpan<byte> key, ReadOnlySpan<byte> nonce, ReadOnlySpan<byte> associated, ReadOnlySpan<byte> tag)
    {
        byte[] expanded = new byte[Ours.AesGcm256.ExpandedBytes];
        Ours.AesGcm256.Expand(key, expanded);
        return Ours.AesGcm256.Open(data, expanded, nonce, associated, tag);
    }
}
