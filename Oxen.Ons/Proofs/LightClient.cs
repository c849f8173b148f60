using Oxen.Ons.Ledger;

namespace Oxen.Ons.Proofs;

/// <summary>Why a light client does not believe an answer.</summary>
internal enum ProofFault : byte
{
    None = 0,
    Malformed,

    /// <summary>Older than what this client has seen already.</summary>
    Stale,

    /// <summary>Signed by a committee that this client does not know: it is behind, or the answer is false.</summary>
    UnknownCommittee,

    /// <summary>Too few good signatures.</summary>
    NoQuorum,

    /// <summary>The proof does not lead to the signed root.</summary>
    BadProof,

    /// <summary>The entry is of another kind or of another name than was asked for.</summary>
    WrongEntry,
}

/// <summary>
/// Keeps 32 public keys and a height, and from them believes or does not believe what any single resolver says, of presence and of
/// absence. Not for two threads at once.
/// </summary>
internal sealed class LightClient
{
    public LightClient(Bytes32 network, Committee committee, ulong height = 0, ulong unixMilliseconds = 0)
    {
        (Network, Committee, Height, UnixMilliseconds) = (network, committee, height, unixMilliseconds);
    }

    private Bytes32 _believed; // hash of the header at Height, once one was seen

    public Bytes32 Network { get; }

    /// <summary>Signs the block after <see cref="Height"/>.</summary>
    public Committee Committee { get; private set; }

    /// <summary>The newest height whose header was believed.</summary>
    public ulong Height { get; private set; }

    /// <summary>When that block was made, as its maker said.</summary>
    public ulong UnixMilliseconds { get; private set; }

    /// <summary>From the genesis: its committee is the first known one.</summary>
    public static LightClient From(Genesis genesis) => new(genesis.Network, genesis.Committee, 0, genesis.UnixMilliseconds);

    /// <summary>Takes one step forward. Nothing changes unless the answer is None.</summary>
    public ProofFault Follow(HandOver step)
    {
        BlockHeader header = step.Header;
        if (header.Height <= Height) return ProofFault.Stale;
        Committee signers = Committee;
        if (header.Committee != Committee.Hash)
        {
            if (step.Signers is null || step.Signers.Hash != header.Committee) return ProofFault.UnknownCommittee;
            signers = step.Signers;
            int ours = step.Signatures.ByMember.Keys.Count(m => m < signers.Members.Length && Committee.IndexOf(signers.Members[m]) >= 0);
            if (ours < Committee.Quorum) return ProofFault.NoQuorum;

            // All of them count here, so all must be good.
            if (step.Signatures.ByMember.Any(s => s.Key >= signers.Members.Length || !HeaderSignatures.IsSigned(header, signers.Members[s.Key], s.Value, Network))) return ProofFault.NoQuorum;
        }

        if (!step.Signatures.IsQuorum(header, signers, Network)) return ProofFault.NoQuorum;
        Committee next = signers;
        if (header.NextCommittee != signers.Hash)
        {
            if (step.Next is null || step.Next.Hash != header.NextCommittee) return ProofFault.UnknownCommittee;
            next = step.Next;
        }

        (Committee, Height, UnixMilliseconds, _believed) = (next, header.Height, header.UnixMilliseconds, header.Hash(Network));
        return ProofFault.None;
    }

    /// <summary>
    /// Whether an answer about a key is true as of its header, which is at least as new as anything that was believed before. `entry` is
    /// the leaf's bytes, empty if it is proven that there is none.
    /// </summary>
    public ProofFault Check(ReadOnlySpan<byte> answer, Bytes32 key, out BlockHeader? header, out byte[] entry)
    {
        (header, entry) = (null, []);
        if (ProvenAnswer.Read(answer) is not { } read) return ProofFault.Malformed;
        if (read.Header.Height < Height) return ProofFault.Stale;

        // The header that was believed last needs no second look; it may be the one that handed over to another committee.
        if (_believed.IsZero || read.Header.Hash(Network) != _believed)
        {
            if (read.Header.Committee != Committee.Hash) return ProofFault.UnknownCommittee;
            if (!read.Signatures.IsQuorum(read.Header, Committee, Network)) return ProofFault.NoQuorum;
        }

        if (!read.Proof.Verify(key, read.Header.StateRoot)) return ProofFault.BadProof;
        header = read.Header;
        entry = read.Proof.Entry.ToArray();

        // A header that hands over moves the client only with the new list, by Follow.
        if (header.NextCommittee == Committee.Hash && header.Height > Height) (Height, UnixMilliseconds, _believed) = (header.Height, header.UnixMilliseconds, header.Hash(Network));
        return ProofFault.None;
    }

    /// <summary>A compatible name: null and None if there is surely none that is active after the answer's block.</summary>
    public ProofFault CheckName(ReadOnlySpan<byte> answer, NameType type, NameHash hash, out NameEntry? name, out BlockHeader? header)
    {
        name = null;
        ProofFault fault = Check(answer, NameEntry.Key(type, hash), out header, out byte[] bytes);
        if (fault != ProofFault.None || bytes.Length == 0) return fault;
        var reader = new LedgerReader(bytes);
        if (reader.U8() != (byte)EntryKind.Name || NameEntry.Read(ref reader) is not { } read || !reader.Done || read.Type != type || read.Hash != hash) return ProofFault.WrongEntry;
        if (read.IsActive(header!.Height + 1)) name = read;
        return ProofFault.None;
    }

    /// <summary>A zone, in the same way.</summary>
    public ProofFault CheckZone(ReadOnlySpan<byte> answer, Bytes32 index, out ZoneEntry? zone, out BlockHeader? header)
    {
        zone = null;
        ProofFault fault = Check(answer, ZoneEntry.Key(index), out header, out byte[] bytes);
        if (fault != ProofFault.None || bytes.Length == 0) return fault;
        var reader = new LedgerReader(bytes);
        if (reader.U8() != (byte)EntryKind.Zone || ZoneEntry.Read(ref reader) is not { } read || !reader.Done || read.Index != index) return ProofFault.WrongEntry;
        if (read.IsActive(header!.Height + 1)) zone = read;
        return ProofFault.None;
    }
}
