using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Hosting;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Onion;

/// <summary>How a layer of an onion request is encrypted.</summary>
internal enum EncryptType
{
    AesGcm = 0,

    /// <summary>Not authenticated; for old clients alone.</summary>
    AesCbc = 1,

    XChaCha20 = 2,
}

// Encryption between a client and one node. docs/protocol/swarm.md#onion-requests
//
//   S = X25519(client's ephemeral key, node's key)
//   aes-gcm     key HMAC-SHA256("LOKI", S)                              IV 12 | ciphertext | tag 16
//   aes-cbc     key S                                                   IV 16 | ciphertext, PKCS#7
//   xchacha20   key BLAKE2b-256(S | client's key | server's key)        nonce 24 | ciphertext | tag 16
//
// The answer goes back under the same key, also "client's key first".

/// <summary>One layer's cipher. Keys are wiped on Dispose.</summary>
internal sealed class ChannelCipher : IDisposable
{
    private readonly EncryptType _type;
    private readonly byte[] _key;

    private ChannelCipher(EncryptType type, byte[] key)
    {
        _type = type;
        _key = key;
    }

    public static bool TryParse(string name, out EncryptType type)
    {
        switch (name)
        {
            case "aes-gcm" or "gcm": type = EncryptType.AesGcm; return true;
            case "aes-cbc" or "cbc": type = EncryptType.AesCbc; return true;
            case "xchacha20" or "xchacha20-poly1305": type = EncryptType.XChaCha20; return true;
            default: type = default; return false;
        }
    }

    /// <summary>The cipher at the server's end; null for a client key of low order.</summary>
    public static ChannelCipher? ForServer(SwarmIdentity server, ReadOnlySpan<byte> clientKey, EncryptType type)
    {
        Span<byte> shared = stackalloc byte[32];
        if (clientKey.Length != 32 || !server.TryAgree(clientKey, shared)) return null;
        ChannelCipher cipher = Create(shared, clientKey, server.X25519.Span, type);
        shared.Clear();
        return cipher;
    }

    /// <summary>From a shared secret, for both ends.</summary>
    public static ChannelCipher Create(ReadOnlySpan<byte> shared, ReadOnlySpan<byte> clientKey, ReadOnlySpan<byte> serverKey, EncryptType type) => new(type, type switch
    {
        EncryptType.AesGcm => HMACSHA256.HashData(Encoding.ASCII.GetBytes("LOKI"), shared),
        EncryptType.AesCbc => shared.ToArray(),
        _ => NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash([.. shared, .. clientKey, .. serverKey]),
    });

    /// <summary>Null if it does not open.</summary>
    public byte[]? Decrypt(ReadOnlySpan<byte> box)
    {
        switch (_type)
        {
            case EncryptType.AesGcm:
                if (box.Length < 28) return null;
                using (var gcm = new AesGcm(_key, 16))
                {
                    byte[] plain = new byte[box.Length - 28];
                    try
                    {
                        gcm.Decrypt(box[..12], box[12..^16], box[^16..], plain);
                        return plain;
                    }
                    catch (AuthenticationTagMismatchException)
                    {
                        return null;
                    }
                }

            case EncryptType.AesCbc:
                if (box.Length < 32 || box.Length % 16 != 0) return null;
                using (var aes = Aes.Create())
                {
                    aes.Key = _key;
                    byte[] plain = new byte[box.Length];
                    try
                    {
                        return aes.TryDecryptCbc(box[16..], box[..16], plain, out int written) ? plain[..written] : null;
                    }
                    catch (CryptographicException)
                    {
                        return null; // the padding is wrong
                    }
                }

            default:
                if (box.Length < 40) return null;
                byte[] content = new byte[box.Length - OneTimeKeys.NonceBytes - OneTimeKeys.TagBytes];
                return OneTimeKeys.TryOpen(box[OneTimeKeys.NonceBytes..], _key, box[..OneTimeKeys.NonceBytes], content) ? content : null;
        }
    }

    public byte[] Encrypt(ReadOnlySpan<byte> plain)
    {
        switch (_type)
        {
            case EncryptType.AesGcm:
                byte[] box = new byte[plain.Length + 28];
                RandomNumberGenerator.Fill(box.AsSpan(0, 12));
                using (var gcm = new AesGcm(_key, 16)) gcm.Encrypt(box.AsSpan(0, 12), plain, box.AsSpan(12, plain.Length), box.AsSpan(12 + plain.Length));
                return box;
            case EncryptType.AesCbc:
                byte[] iv = RandomNumberGenerator.GetBytes(16);
                using (var aes = Aes.Create())
                {
                    aes.Key = _key;
                    return [.. iv, .. aes.EncryptCbc(plain, iv)];
                }

            default:
                byte[] sealedBox = new byte[OneTimeKeys.NonceBytes + plain.Length + OneTimeKeys.TagBytes];
                Span<byte> nonce = sealedBox.AsSpan(0, OneTimeKeys.NonceBytes);
                RandomNumberGenerator.Fill(nonce);
                OneTimeKeys.Seal(plain, _key, nonce, sealedBox.AsSpan(OneTimeKeys.NonceBytes));
                return sealedBox;
        }
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_key);
}
