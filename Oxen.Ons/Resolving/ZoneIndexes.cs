using System.Collections.Concurrent;
using Oxen.Ons.Ledger;
using Oxen.Ons.Zones;

namespace Oxen.Ons.Resolving;

/// <summary>Indexes of zones by name: memory-hard on purpose, so each is made once.</summary>
internal sealed class ZoneIndexes(Bytes32 network)
{
    private const int Most = 4096;

    private readonly ConcurrentDictionary<string, ZoneIndex> _known = new(StringComparer.Ordinal);

    /// <summary>`full` is a folded lokinet name with `.loki`.</summary>
    public ZoneIndex Of(string full)
    {
        if (_known.TryGetValue(full, out ZoneIndex? known)) return known;
        if (_known.Count >= Most) _known.Clear();
        return _known.GetOrAdd(full, n => ZoneIndex.Of(n, NameType.Lokinet, network));
    }
}
