using System.Globalization;

namespace Oxen.Router.Core.Paths;

/// <summary>Where an address is announced.</summary>
/// <param name="System">Autonomous system; 0: not known.</param>
/// <param name="Country">Two lower-case letters; empty: not known.</param>
internal readonly record struct NetworkPlace(uint System, string Country);

/// <summary>Autonomous system and country of addresses, from a table that the operator supplies: the longest prefix counts. Immutable once read.</summary>
internal sealed class NetworkTable
{
    public const int MaxLines = 2_000_000;

    private readonly Dictionary<IpPrefix, NetworkPlace> _places = [];
    private readonly SortedSet<int> _v4 = [], _v6 = [];
    private readonly Dictionary<string, string> _countries = new(StringComparer.Ordinal);

    public int Count => _places.Count;

    /// <summary>
    /// Reads one line, `prefix,system,country`, for example `192.0.2.0/24,64500,de`; system and country may be empty. Empty lines
    /// and those that begin with # say nothing.
    /// </summary>
    /// <returns>False: the line is not of this form.</returns>
    public bool TryAdd(string line)
    {
        if (line.Length == 0 || line[0] == '#') return true;
        string[] parts = line.Split(',');
        if (parts.Length != 3 || _places.Count >= MaxLines || !IpPrefix.TryParse(parts[0].Trim(), out IpPrefix prefix)) return false;
        string number = parts[1].Trim(), country = parts[2].Trim().ToLowerInvariant();
        if (number.StartsWith("as", StringComparison.OrdinalIgnoreCase)) number = number[2..];
        uint system = 0;
        if (number.Length > 0 && !uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out system)) return false;
        if (country.Length > 0 && !IsCountry(country)) return false;
        if (!_countries.TryGetValue(country, out string? shared)) _countries.Add(country, shared = country);
        _places[prefix] = new NetworkPlace(system, shared);
        (prefix.Family == UdpFamily.IPv4 ? _v4 : _v6).Add(prefix.Length);
        return true;
    }

    public NetworkPlace Find(in UdpAddress address)
    {
        foreach (int length in (address.Family == UdpFamily.IPv4 ? _v4 : _v6).Reverse())
        {
            if (_places.TryGetValue(IpPrefix.Of(address, length), out NetworkPlace place)) return place;
        }

        return new NetworkPlace(0, "");
    }

    public static bool IsCountry(string text) => text.Length == 2 && char.IsAsciiLetterLower(text[0]) && char.IsAsciiLetterLower(text[1]);
}
