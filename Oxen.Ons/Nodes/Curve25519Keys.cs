using System.Numerics;

namespace Oxen.Ons.Nodes;

/// <summary>Public X25519 keys from public Ed25519 keys (RFC 7748 section 4.1): u = (1 + y) / (1 - y). Not for secrets: it takes its time.</summary>
internal static class Curve25519Keys
{
    private static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;

    public static byte[] FromEd25519(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, 32);
        byte[] bytes = key.ToArray();
        bytes[31] &= 0x7F; // the sign of x
        var y = new BigInteger(bytes, isUnsigned: true);
        BigInteger u = (1 + y) * BigInteger.ModPow((1 - y + P) % P, P - 2, P) % P;
        byte[] result = new byte[32];
        u.TryWriteBytes(result, out _, isUnsigned: true);
        return result;
    }
}
