using System.Globalization;
using System.Net;

namespace Oxen.Router.Daemon.Demo.Tunnel;

// The laboratory of `oxen demo --tun`:
//
//   PREFIX-client    10.10.0.2  fd00:10::2    --veth--+
//   PREFIX-relay-1   10.11.0.2  fd00:11::2    --veth--+
//   ...                                               +-- PREFIX-net: routes between them, 10.N.0.1 and fd00:N::1 on each cable
//   PREFIX-exit-1    10.19.0.2  fd00:19::2    --veth--+
//   PREFIX-target    10.200.0.2 fd00:200::2   --veth--+
//   PREFIX-site      10.201.0.2 fd00:201::2   --veth--+
//
// The middle lets nothing through from client to target or site: the tunnel and the site's name are the only ways. Every machine has a /16 (IPv4) and a /32
// (IPv6) of its own, so the diversity rules stay on.

/// <summary>A machine of the laboratory: a network namespace and its cable to the others.</summary>
internal sealed record LabMachine(string Space, string Name, int Number)
{
    public IPAddress Address { get; } = Four(Number, 2);

    public IPAddress AddressIPv6 { get; } = Six(Number, 2);

    public IPAddress Gateway { get; } = Four(Number, 1);

    public IPAddress GatewayIPv6 { get; } = Six(Number, 1);

    private static IPAddress Four(int number, byte host) => new([10, (byte)number, 0, host]);

    // The number's decimal digits stand in the address as they are.
    private static IPAddress Six(int number, int host) => IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"fd00:{number}::{host}"));
}

/// <summary>Which machines there are.</summary>
internal sealed class LabPlan
{
    public const string DefaultPrefix = "oxen";
    public const int MostPrefixLength = 16;

    private const int ClientNumber = 10, TargetNumber = 200, SiteNumber = 201;

    public LabPlan(string prefix, int relays, int exits)
    {
        Prefix = prefix;
        Net = $"{prefix}-net";
        Client = Machine("client", ClientNumber);
        Relays = [.. Enumerable.Range(1, relays).Select(i => Machine(Numbered("relay", i), ClientNumber + i))];
        Exits = [.. Enumerable.Range(1, exits).Select(i => Machine(Numbered("exit", i), ClientNumber + relays + i))];
        Target = Machine("target", TargetNumber);
        Site = Machine("site", SiteNumber);
        Machines = [Client, .. Relays, .. Exits, Target, Site];
    }

    public string Prefix { get; }

    /// <summary>The namespace in the middle.</summary>
    public string Net { get; }

    public LabMachine Client { get; }

    public IReadOnlyList<LabMachine> Relays { get; }

    public IReadOnlyList<LabMachine> Exits { get; }

    public LabMachine Target { get; }

    /// <summary>Where the hidden service is.</summary>
    public LabMachine Site { get; }

    public IReadOnlyList<LabMachine> Machines { get; }

    /// <summary>Letters, digits and hyphens, a letter first: it stands in names of namespaces and files.</summary>
    public static bool IsPrefix(string text) => text.Length is > 0 and <= MostPrefixLength && char.IsAsciiLetterLower(text[0]) && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');

    private LabMachine Machine(string name, int number) => new($"{Prefix}-{name}", name, number);

    private static string Numbered(string kind, int number) => string.Create(CultureInfo.InvariantCulture, $"{kind}-{number}");
}
