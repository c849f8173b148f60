using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Core.Directory;

/// <summary>One router that may be a relay.</summary>
/// <param name="Id">Who.</param>
/// <param name="Operator">Who answers for it, by the word of whoever keeps the registry; empty: not known. At most <see cref="RelayRoster.MaxOperatorBytes"/> visible ASCII characters.</param>
internal readonly record struct RosterEntry(RouterId Id, string Operator);

/// <summary>
/// Who may be a relay at one moment: from the ledger's registry, a signed list, or several relays that agree. Immutable. What a
/// router says of itself never makes it a relay.
/// </summary>
internal sealed class RelayRoster
{
    /// <summary>More are not taken, whoever says so: everything that is kept for each relay is bounded by this.</summary>
    public const int MaxRelays = 8192;

    public const int MaxOperatorBytes = 64;

    private readonly Dictionary<RouterId, string> _byId = [];

    /// <param name="entries">Of two with one id the later one counts; what is beyond the limit is left out.</param>
    public RelayRoster(IEnumerable<RosterEntry> entries)
    {
        foreach (RosterEntry entry in entries)
        {
            if (_byId.Count >= MaxRelays && !_byId.ContainsKey(entry.Id)) continue;
            _byId[entry.Id] = IsOperator(entry.Operator) ? entry.Operator : "";
        }
    }

    public static RelayRoster Empty { get; } = new([]);

    public int Count => _byId.Count;

    public IEnumerable<RosterEntry> Entries => _byId.Select(e => new RosterEntry(e.Key, e.Value));

    /// <summary>The routers of a signed list: its signer vouches for them and for the operators that they name.</summary>
    public static RelayRoster From(ContactList list) => new(list.Contacts.Where(c => c.Capabilities != RouterCapabilities.None).Select(c => new RosterEntry(c.Id, c.Operator)));

    public bool Contains(RouterId id) => _byId.ContainsKey(id);

    public bool TryGetOperator(RouterId id, [NotNullWhen(true)] out string? operatorName) => _byId.TryGetValue(id, out operatorName);

    public static bool IsOperator(string text)
    {
        if (text.Length > MaxOperatorBytes) return false;
        foreach (char c in text) if (c is <= ' ' or > '~') return false;
        return true;
    }
}
