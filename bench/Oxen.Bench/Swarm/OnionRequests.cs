using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Hosting;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Onion;

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
        byte[] secret = RandomNumberGenerator.GetBytes(32), mine = new byte[32], shared = new byte[32], theirs = node.X25519.ToArray();
        OneTimeKeys.PublicKey(secret, mine);
        if (!OneTimeKeys.TryAgree(theirs, secret, shared)) throw new InvalidOperationException("a node's key is none");
        using ChannelCipher cipher = ChannelCipher.Create(shared, mine, theirs, EncryptType.XChaCha20);
        json = $"{{\"ephemeral_key\":\"{Convert.ToHexStringLower(mine)}\",\"enc_type\":\"xchacha20\"}}";
        return cipher.Encrypt(plain);
    }
}
