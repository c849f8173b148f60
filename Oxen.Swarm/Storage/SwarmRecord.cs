using NSec.Cryptography;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

/// <summary>What a record says. Values are on the wire between nodes and in fingerprints.</summary>
internal enum RecordKind : byte
{
    /// <summary>A message that is there.</summary>
    Message = 0,

    /// <summary>A message that was deleted; its data is gone.</summary>
    Tombstone = 1,

    /// <summary>A subaccount that may no longer do anything.</summary>
    Revoked = 2,

    /// <summary>A subaccount whose revocation was taken back.</summary>
    Unrevoked = 3,
}

/// <summary>
/// The unit that nodes of a swarm agree about. Of two records with one key the greater stamp wins; see <see cref="Beats"/>.
/// </summary>
/// <param name="Kind">What it says.</param>
/// <param name="Key">Hash of the message; for a revocation <see cref="RevocationKey"/>.</param>
/// <param name="Account">Whose it is.</param>
/// <param name="Space">Namespace of the message; 0 for revocations.</param>
/// <param name="Timestamp">Milliseconds, as the client gave it.</param>
/// <param name="Expiry">Milliseconds: the end of a message; for the others, when they may be forgotten.</param>
/// <param name="Stamp">When, by the swarm's logical clock, it was last changed.</param>
/// <param name="Data">The message; the token of a revocation; nothing for a tombstone.</param>
/// <param name="Latest">The latest expiry that a message ever had: until then an old copy of it may turn up somewhere.</param>
internal sealed record SwarmRecord(RecordKind Kind, MessageKey Key, AccountId Account, short Space, long Timestamp, long Expiry, long Stamp, byte[] Data, long Latest)
{
    public bool IsRevocation => Kind is RecordKind.Revoked or RecordKind.Unrevoked;

    public RecordEntry Entry => new(Key, Kind, Stamp, Expiry);

    /// <summary>The key of a revocation: it lies among the hashes like a message.</summary>
    public static MessageKey RevocationKey(ReadOnlySpan<byte> token, AccountId account)
    {
        IncrementalHash.Initialize(HashAlgorithm.Blake2b_256, out IncrementalHash state);
        Span<byte> head = stackalloc byte[AccountId.Bytes];
        account.CopyTo(head);
        IncrementalHash.Update(ref state, "oxen swarm revocation"u8);
        IncrementalHash.Update(ref state, head);
        IncrementalHash.Update(ref state, token);
        Span<byte> hash = stackalloc byte[MessageKey.Bytes];
        IncrementalHash.Finalize(ref state, hash);
        return MessageKey.Read(hash);
    }
}

/// <summary>A record without its content: what two nodes compare.</summary>
internal readonly record struct RecordEntry(MessageKey Key, RecordKind Kind, long Stamp, long Expiry)
{
    /// <summary>
    /// Whether this record replaces that one: the later stamp; of equal stamps a tombstone, else the later expiry. Every node
    /// decides alike, in whatever order records arrive. A tombstone's own expiry is housekeeping and decides nothing.
    /// </summary>
    public bool Beats(RecordEntry other)
    {
        if (Stamp != other.Stamp) return Stamp > other.Stamp;
        if (Kind != other.Kind) return Kind > other.Kind;
        return Kind == RecordKind.Message && Expiry > other.Expiry;
    }

    /// <summary>64 bits over everything that nodes must agree about; sums of them are compared.</summary>
    public ulong Fingerprint()
    {
        ulong h = Mix((ulong)Key.High ^ 0x9E3779B97F4A7C15);
        h = Mix(h ^ (ulong)(Key.High >> 64));
        h = Mix(h ^ (ulong)Key.Low);
        h = Mix(h ^ (ulong)Stamp);
        return Mix(h ^ ((ulong)Kind << 60) ^ (Kind == RecordKind.Message ? (ulong)Expiry : 0));
    }

    // The finaliser of SplitMix64.
    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
