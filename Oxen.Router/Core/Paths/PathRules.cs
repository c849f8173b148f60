using System.Globalization;
using System.Runtime.CompilerServices;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// What the user wants no path to break. Strict: when nothing is left, there is no path, and a sentence that says which rule
/// left nothing.
/// </summary>
internal sealed class PathRules
{
    private readonly ConditionalWeakTable<RouterContact, Place> _places = [];

    private sealed record Place(uint[] Systems, string[] Countries);

    public static PathRules None { get; } = new();

    public IReadOnlySet<RouterId> ExcludedRouters { get; init; } = System.Collections.Frozen.FrozenSet<RouterId>.Empty;

    public IReadOnlyList<IpPrefix> ExcludedNetworks { get; init; } = [];

    /// <summary>Needs <see cref="Networks"/>. A router whose country that table does not know is left out as well: the user wants to be sure.</summary>
    public IReadOnlySet<string> ExcludedCountries { get; init; } = System.Collections.Frozen.FrozenSet<string>.Empty;

    /// <summary>Regions (as contacts say them) that every router of a path must be of; empty: any.</summary>
    public IReadOnlySet<string> Regions { get; init; } = System.Collections.Frozen.FrozenSet<string>.Empty;

    /// <summary>Prefer relays that were quick so far, within bounds (docs/protocol/directory.md#weights).</summary>
    public bool PrefersQuick { get; init; }

    /// <summary>Null: nothing is known of systems and countries.</summary>
    public NetworkTable? Networks { get; init; }

    /// <summary>The rule that a router breaks, as the configuration calls it; null when it breaks none.</summary>
    public string? BrokenBy(RouterContact contact)
    {
        if (ExcludedRouters.Contains(contact.Id)) return "exclude";
        foreach (UdpAddress address in contact.Addresses)
        {
            foreach (IpPrefix network in ExcludedNetworks) if (network.Contains(address)) return "exclude";
        }

        if (ExcludedCountries.Count > 0)
        {
            foreach (string country in PlaceOf(contact).Countries) if (country.Length == 0 || ExcludedCountries.Contains(country)) return "exclude_countries";
        }

        return Regions.Count > 0 && !Regions.Contains(contact.Region) ? "regions" : null;
    }

    /// <summary>Whether two routers may be on one path: no two of one operator, /16 (IPv4), /32 (IPv6) or, where the table knows it, autonomous system.</summary>
    public bool MayShareAPath(RouterContact a, RouterContact b, NodeDirectory nodes)
    {
        if (!PathSelector.MayShareAPath(a, b)) return false;
        string operatorOfA = nodes.OperatorOf(a);
        if (operatorOfA.Length > 0 && string.Equals(operatorOfA, nodes.OperatorOf(b), StringComparison.Ordinal)) return false;
        if (Networks is null) return true;
        foreach (uint system in PlaceOf(a).Systems) if (system != 0 && PlaceOf(b).Systems.Contains(system)) return false;
        return true;
    }

    /// <summary>Says how many of `all` each rule leaves out, and what to do; for when none is left.</summary>
    public string Explain(IReadOnlyList<RouterContact> all, string what)
    {
        var broken = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (RouterContact contact in all)
        {
            if (BrokenBy(contact) is { } rule) broken[rule] = broken.GetValueOrDefault(rule) + 1;
        }

        string counts = string.Join(", ", broken.Select(b => string.Create(CultureInfo.InvariantCulture, $"`{b.Key}` {b.Value}")));
        return string.Create(CultureInfo.InvariantCulture, $"of the {all.Count} {what} that are known, your rules in [client] leave out {broken.Values.Sum()} ({counts}): loosen {(broken.Count == 1 ? "it" : "one of them")}");
    }

    private Place PlaceOf(RouterContact contact) => _places.GetValue(contact, c =>
    {
        NetworkPlace[] places = new NetworkPlace[c.Addresses.Length];
        for (int i = 0; i < places.Length; i++) places[i] = Networks?.Find(c.Addresses[i]) ?? new NetworkPlace(0, "");
        return new Place([.. places.Select(p => p.System)], [.. places.Select(p => p.Country)]);
    });
}
