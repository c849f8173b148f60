using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Oxen.Swarm.Nodes;

namespace Oxen.Bench.Swarm;

/// <summary>Onion requests of version 2 as a client builds them, xchacha20 (docs/protocol/swarm.md#onion-requests); answers are not opened.</summary>
internal static class OnionRequests
{
    public static byte[] Build(byte[] call, SwarmIdentity[] path)
    {
        byte[] box = Seal(Frame(call, "{\"headers\":{}}"), path[^1], out string json);
        for (int i = path.Length - 2; i >= 0; i--)
            box = Seal(Frame(box, $"{json[..^1]},\"destination\":\"{Convert.ToHexStringLower(path[i + 1].Ed25519.Span)}\"}}"), path[i], out json);
        return Frame(box, json);
    }

    private static byte[] Frame(byte[] blob, string json) => [.. BitConverter.GetBytes(blob.Length), .. blob, .. Encoding.ASCII.GetBytes(json)];

    private static byte[] Seal(byte[] plain, SwarmIdentity node, out string json)
    {
        using var ephemeral = Key.Create(KeyAgreementAlgorithm.X25519);
        byte[] mine = ephemeral.PublicKey.Export(KeyBlobFormat.RawPublicKey), theirs = node.X25519.ToArray();
        using SharedSecret secret = KeyAgreementAlgorithm.X25519.Agree(ephemeral, PublicKey.Import(KeyAgreementAlgorithm.X25519, theirs, KeyBlobFormat.RawPublicKey), new SharedSecretCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport })!;
        byte[] key = NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash([.. secret.Export(SharedSecretBlobFormat.RawSharedSecret), .. mine, .. theirs]), nonce = RandomNumberGenerator.GetBytes(24);
        using Key cipher = Key.Import(AeadAlgorithm.XChaCha20Poly1305, key, KeyBlobFormat.RawSymmetricKey);
        json = $"{{\"ephemeral_key\":\"{Convert.ToHexStringLower(mine)}\",\"enc_type\":\"xchacha20\"}}";
        return [.. nonce, .. AeadAlgorithm.XChaCha20Poly1305.Encrypt(cipher, nonce, [], plain)];
    }
}
