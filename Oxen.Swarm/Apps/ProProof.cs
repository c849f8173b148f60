using System.Buffers.Binary;
using System.Collections.Frozen;
using NSec.Cryptography;

namespace Oxen.Swarm.Apps;

//  proof, as clients carry it      version 1 | generation 32 | rotating key 32 | expiry ms 8 (LE) | signature 64      137 bytes
//
// The signature is the backend's, over BLAKE2b-256 with personalisation "ProProof________" of the first 73 bytes. A revoked
// generation counts no longer, whenever it expires.

/// <summary>Why a proof entitles to nothing.</summary>
internal enum ProFault
{
    None = 0,
    Malformed = 1,
    Signature = 2,
    Expired = 3,
    Revoked = 4,
}

/// <summary>Checks proofs of entitlement offline.</summary>
internal sealed class ProProof(ReadOnlyMemory<byte> backendKey)
{
    public const int Bytes = 137;
    private const int SignedBytes = 73;

    private FrozenDictionary<string, long> _revoked = FrozenDictionary<string, long>.Empty;

    /// <summary>Ticket of the newest list taken; lists with an older one are ignored.</summary>
    public long Ticket { get; private set; } = -1;

    /// <summary>Takes a revocation list: generations and the time from which each counts. False if it is not newer.</summary>
    public bool Update(long ticket, IEnumerable<(byte[] Generation, long EffectiveMs)> revoked)
    {
        if (ticket <= Ticket) return false;
        _revoked = revoked.GroupBy(r => Convert.ToHexStringLower(r.Generation)).ToFrozenDictionary(g => g.Key, g => g.Min(r => r.EffectiveMs));
        Ticket = ticket;
        return true;
    }

    /// <summary>None if the holder of the proof's rotating key is entitled at `now`.</summary>
    public ProFault Check(ReadOnlySpan<byte> proof, long now)
    {
        if (proof.Length != Bytes || proof[0] != 0) return ProFault.Malformed;
        byte[] hash = Blake2bParameters.Hash(proof[..SignedBytes], 32, [], "ProProof________"u8);
        if (!PublicKey.TryImport(SignatureAlgorithm.Ed25519, backendKey.Span, KeyBlobFormat.RawPublicKey, out PublicKey? key)
            || !SignatureAlgorithm.Ed25519.Verify(key!, hash, proof[SignedBytes..])) return ProFault.Signature;
        if (BinaryPrimitives.ReadUInt64LittleEndian(proof[65..]) <= (ulong)now) return ProFault.Expired;
        return _revoked.TryGetValue(Convert.ToHexStringLower(proof[1..33]), out long from) && from <= now ? ProFault.Revoked : ProFault.None;
    }

    /// <summary>The key that must sign whatever the proof shall pay for.</summary>
    public static ReadOnlySpan<byte> RotatingKey(ReadOnlySpan<byte> proof) => proof[33..65];
}
