using System.Collections.Concurrent;
using System.Numerics;

namespace Oxen.Swarm.Nodes;

// The birational map of RFC 7748 section 4.1: u = (1 + y) / (1 - y) modulo p = 2^255 - 19, from an Ed25519 key (y and a sign bit)
// to the X25519 key of the same owner. Only public keys come here, so it need not run in constant time. Whether the bytes are a
// point at all is for the signature check, which decodes it.

/// <summary>X25519 public keys of Ed25519 public keys.</summary>
internal static class EdwardsMap
{
    private const int MaxKnown = 20_000;
    private static readonly BigInteger P = BigInteger.Pow(2, 255) - 19;
    private static readonly ConcurrentDictionary<UInt128, (byte[] From, byte[] To)> Known = new();

    /// <summary>The X25519 key; all zeros for the one y that has none.</summary>
    public static byte[] ToX25519(ReadOnlySpan<byte> ed25519)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(ed25519.Length, 32);
        var head = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(ed25519);
        if (Known.TryGetValue(head, out (byte[] From, byte[] To) known) && ed25519.SequenceEqual(known.From)) return known.To;
        byte[] from = ed25519.ToArray();
        byte[] bare = [.. from];
        bare[31] &= 127;
        BigInteger y = new(bare, isUnsigned: true);
        BigInteger u = (1 + y) * BigInteger.ModPow((1 - y + (2 * P)) % P, P - 2, P) % P;
        byte[] to = new byte[32];
        u.TryWriteBytes(to, out _, isUnsigned: true);
        if (Known.Count >= MaxKnown) Known.Clear();
        Known[head] = (from, to);
        return to;
    }
}
