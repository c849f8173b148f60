using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Zones;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

// A name that is a zone and a compatible name at once is the zone: its owner has signed it, and its index was not found by trying.
// Names below: by the zone's delegation key if it has one, else as what stands below belongs to the name (as upstream has it).

/// <summary>Looks names up in a ledger of this process.</summary>
internal sealed class LedgerNameSource(LedgerHost host, TimeProvider time) : INameSource
{
    private static readonly TimeSpan KeptFor = TimeSpan.FromMinutes(10);

    private readonly ZoneIndexes _indexes = new(host.State.Network);

    public ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(name);
        LedgerState state = host.State;
        int dot = name.LastIndexOf('.');
        string full = NameRules.Fold(name[(dot + 1)..]) + ".loki";
        if (NameRules.Check(full, NameType.Lokinet) != NameFault.None) return new(new NameAnswer(NameOutcome.NotFound, default, KeptFor, "this is no name that anybody could register"));
        if (state.ActiveZone(_indexes.Of(full).Index) is { } zone) return new(OfZone(state, zone, _indexes.Of(full), dot < 0 ? "" : name[..dot]));
        if (host.FindName(NameType.Lokinet, NameHash.Of(full)) is { } entry) return new(OfName(entry, full));
        return new(new NameAnswer(NameOutcome.NotFound, default, KeptFor));
    }

    internal static NameAnswer OfName(NameEntry entry, string full)
    {
        ValueFault fault = ValueCipher.Decrypt(entry.Value, full, NameType.Lokinet, out byte[]? address);
        return fault == ValueFault.None ? new NameAnswer(NameOutcome.Found, address!, KeptFor) : new NameAnswer(NameOutcome.NotFound, default, KeptFor, "the name's value does not open under it");
    }

    private NameAnswer OfZone(LedgerState state, ZoneEntry zone, ZoneIndex index, string below)
    {
        ContentFault fault = ZoneContent.Open(zone, index, state.Network, state.Height, out ZoneContent? content);
        if (content is null) return new NameAnswer(NameOutcome.NotFound, default, KeptFor, $"the zone's value is not to be believed: {fault}");
        if (below.Length == 0 || content.Find(ZoneRecordKind.Delegation) is not { } delegation) return Address(content.Records);
        var key = new Bytes32(delegation.Data);
        if (!Subname.IsLabel(below) || host.Subnames.Find(zone.Index, Subname.LookupOf(below, key)) is not { } bytes) return new NameAnswer(NameOutcome.NotFound, default, KeptFor);
        fault = Subname.Open(bytes, below, key, 0, (ulong)time.GetUtcNow().ToUnixTimeSeconds(), out IReadOnlyList<ZoneRecord> records, out _);
        return fault == ContentFault.None ? Address(records) : new NameAnswer(NameOutcome.Unavailable, default, TimeSpan.FromSeconds(10), $"what was found for the name is not to be believed: {fault}");
    }

    internal static NameAnswer Address(IReadOnlyList<ZoneRecord> records)
        => records.FirstOrDefault(r => r.Kind == ZoneRecordKind.Address) is { } address ? new NameAnswer(NameOutcome.Found, address.Data, KeptFor) : new NameAnswer(NameOutcome.NotFound, default, KeptFor, "there is no address under this name");
}
