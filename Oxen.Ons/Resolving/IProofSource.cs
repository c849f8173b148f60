using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Resolving;

/// <summary>Where a light client's answers come from: one resolver that nobody has to trust.</summary>
internal interface IProofSource
{
    /// <summary>Who it is, in words for people; names nobody's address.</summary>
    string Name { get; }

    /// <summary>The bytes of a <see cref="ProvenAnswer"/> about each of one or two keys.</summary>
    /// <exception cref="ProofSourceException">It was not reached, or gave no answer.</exception>
    Task<IReadOnlyList<byte[]>> AskAsync(IReadOnlyList<Bytes32> keys, CancellationToken cancel);

    /// <summary>Steps from a height and committee forward; empty if it knows no further.</summary>
    /// <exception cref="ProofSourceException">It was not reached, or gave no answer.</exception>
    Task<IReadOnlyList<HandOver>> WayAsync(ulong height, Committee committee, CancellationToken cancel);

    /// <summary>The record of a name below a zone, or null. Not proven, but signed: the caller checks it against the zone's proven delegation key.</summary>
    /// <exception cref="ProofSourceException">It was not reached, or gave no answer.</exception>
    Task<byte[]?> SubnameAsync(Bytes32 zone, Bytes32 lookup, CancellationToken cancel);
}

/// <summary>A resolver withheld an answer; the message says how.</summary>
internal sealed class ProofSourceException(string message, Exception? inner = null) : Exception(message, inner);
