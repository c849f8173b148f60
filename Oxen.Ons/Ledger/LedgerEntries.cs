using Oxen.Ons.Proofs;

namespace Oxen.Ons.Ledger;

/// <summary>Leaves of the state of every kind: read from their bytes, and put where they belong.</summary>
internal static class LedgerEntries
{
    /// <summary>Null for anything but one whole entry.</summary>
    public static LedgerEntry? Read(ReadOnlySpan<byte> bytes)
    {
        var reader = new LedgerReader(bytes);
        LedgerEntry? entry = (EntryKind)reader.U8() switch
        {
            EntryKind.Account => AccountEntry.Read(ref reader),
            EntryKind.Name => NameEntry.Read(ref reader),
            EntryKind.Zone => ZoneEntry.Read(ref reader),
            EntryKind.Commitment => CommitmentEntry.Read(ref reader),
            EntryKind.Node => NodeEntry.Read(ref reader),
            EntryKind.Reverse => ReverseEntry.Read(ref reader),
            EntryKind.Totals => TotalsEntry.Read(ref reader),
            EntryKind.Committee => Committee.Read(ref reader) is { } committee ? new CommitteeEntry(committee) : null,
            _ => null,
        };
        return reader.Done ? entry : null;
    }

    /// <summary>Where an entry stands in the tree.</summary>
    public static Bytes32 KeyOf(LedgerEntry entry) => entry switch
    {
        AccountEntry account => AccountEntry.Key(account.Id),
        NameEntry name => NameEntry.Key(name.Type, name.Hash),
        ZoneEntry zone => ZoneEntry.Key(zone.Index),
        CommitmentEntry commitment => CommitmentEntry.Key(commitment.Commitment),
        NodeEntry node => NodeEntry.Key(node.Id),
        ReverseEntry reverse => ReverseEntry.Key(reverse.Address),
        TotalsEntry => TotalsEntry.Key,
        CommitteeEntry => CommitteeEntry.Key,
        _ => throw new ArgumentException("no such kind of entry", nameof(entry)),
    };
}
