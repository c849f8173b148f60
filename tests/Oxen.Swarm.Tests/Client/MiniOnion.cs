using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace Oxen.Swarm.Tests.Client;

/// <summary>Builds onion requests from the format document (section 3), with the library's code nowhere near.</summary>
internal sealed class MiniOnion(string cipher)
{
    private byte[] _replyKey = [];

    /// <summary>The body of POST /onion_req/v2 for the first of the nodes.</summary>
    public byte[] Build(byte[] call, byte[][] ids, byte[][] keys)
    {
        byte[] plain = Frame(call, "{\"headers\":{}}");
        byte[] box = Seal(plain, keys[^1], out string json);
        _replyKey = _lastKey;
        for (int i = keys.Length - 2; i >= 0; i--)
        {
            string relay = json[..^1] + $",\"destination\":\"{Convert.ToHexStringLower(ids[i + 1])}\"}}";
            box = Seal(Frame(box, relay), keys[i], out json);
        }

        return Frame(box, json);
    }

    /// <summary>A request for a server's onion door, posted by the last node; `where` is that node's JSON: host, target, …</summary>
    /// <param name="replyOfNode">The last node itself will answer, and seal for its own key.</param>
    public byte[] BuildForServer(byte[] payload, byte[] serverKey, string where, byte[][] ids, byte[][] keys, bool replyOfNode = false)
    {
        byte[] box = Seal(payload, serverKey, out string json);
        _replyKey = _lastKey;
        string hop = json[..^1] + "," + where + "}";
        for (int i = keys.Length - 1; i >= 0; i--)
        {
            box = Seal(Frame(box, hop), keys[i], out json);
            if (replyOfNode && i == keys.Length - 1) _replyKey = _lastKey;
            if (i > 0) hop = json[..^1] + $",\"destination\":\"{Convert.ToHexStringLower(ids[i])}\"}}";
        }

        return Frame(box, json);
    }

    /// <summary>The last node's answer: base64 of the encrypted JSON.</summary>
    public string Open(byte[] answer) => Encoding.UTF8.GetString(OpenBytes(Convert.FromBase64String(Encoding.ASCII.GetString(answer))));

    /// <summary>An answer that is bare bytes.</summary>
    public byte[] OpenBytes(byte[] box)
    {
        switch (cipher)
        {
            case "aes-gcm":
                byte[] plain = new byte[box.Length - 28];
                using (var gcm = new AesGcm(_replyKey, 16)) gcm.Decrypt(box.AsSpan(0, 12), box.AsSpan(12, plain.Length), box.AsSpan(box.Length - 16), plain);
                return plain;
            case "aes-cbc":
                using (var aes = Aes.Create())
                {
                    aes.Key = _replyKey;
                    return aes.DecryptCbc(box.AsSpan(16), box.AsSpan(0, 16));
                }

            default:
                using (Key key = Key.Import(AeadAlgorithm.XChaCha20Poly1305, _replyKey, KeyBlobFormat.RawSymmetricKey))
                    return AeadAlgorithm.XChaCha20Poly1305.Decrypt(key, box.AsSpan(0, 24), [], box.AsSpan(24))!;
        }
    }

    private byte[] _lastKey = [];

    /// <summary>Encrypts for one node; `json` tells it how.</summary>
    public byte[] Seal(byte[] plain, byte[] nodeKey, out string json)
    {
        using var ephemeral = Key.Create(KeyAgreementAlgorithm.X25519);
        byte[] mine = ephemeral.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        using SharedSecret secret = KeyAgreementAlgorithm.X25519.Agree(
            ephemeral, PublicKey.Import(KeyAgreementAlgorithm.X25519, nodeKey, KeyBlobFormat.RawPublicKey), new SharedSecretCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport })!;
        byte[] shared = secret.Export(SharedSecretBlobFormat.RawSharedSecret);
        json = $"{{\"ephemeral_key\":\"{Convert.ToHexStringLower(mine)}\",\"enc_type\":\"{cipher}\"}}";
        switch (cipher)
        {
            case "aes-gcm":
                _lastKey = HMACSHA256.HashData("LOKI"u8, shared);
                byte[] iv = RandomNumberGenerator.GetBytes(12), body = new byte[plain.Length], tag = new byte[16];
                using (var gcm = new AesGcm(_lastKey, 16)) gcm.Encrypt(iv, plain, body, tag);
                return [.. iv, .. body, .. tag];
            case "aes-cbc":
                _lastKey = shared;
                byte[] iv16 = RandomNumberGenerator.GetBytes(16);
                using (var aes = Aes.Create())
                {
                    aes.Key = shared;
                    return [.. iv16, .. aes.EncryptCbc(plain, iv16)];
                }

            default:
                _lastKey = NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash([.. shared, .. mine, .. nodeKey]);
                byte[] nonce = RandomNumberGenerator.GetBytes(24);
                using (Key key = Key.Import(AeadAlgorithm.XChaCha20Poly1305, _lastKey, KeyBlobFormat.RawSymmetricKey))
                    return [.. nonce, .. AeadAlgorithm.XChaCha20Poly1305.Encrypt(key, nonce, [], plain)];
        }
    }

    private static byte[] Frame(byte[] blob, string json) => [.. BitConverter.GetBytes(blob.Length), .. blob, .. Encoding.UTF8.GetBytes(json)];
}
