using System.Net;
using Oxen.Router.Tun;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>`[tun]`: the client's end of the tunnel. That the section is there turns it on.</summary>
internal sealed record TunConfig
{
    public string Name { get; init; } = "oxen0";

    /// <summary>At most one of each family. They never leave the machine: the exit leases others, and the client translates.</summary>
    public IReadOnlyList<InterfaceAddress> Addresses { get; init; } = DefaultAddresses;

    /// <summary>What goes into the tunnel.</summary>
    public IReadOnlyList<IPNetwork> Ranges { get; init; } = DefaultRanges;

    /// <summary>False: the interface and its addresses alone; the user routes.</summary>
    public bool Routes { get; init; } = true;

    /// <summary>Super-packets that wait to be read.</summary>
    public int Queue { get; init; } = 256;

    /// <summary>Number of the routing table that holds the ranges.</summary>
    public uint Table { get; init; } = 18500;

    /// <summary>SO_MARK of our own sockets, which pass by the tunnel.</summary>
    public uint Mark { get; init; } = 18500;

    /// <summary>Priority of the first of our two routing rules.</summary>
    public uint Priority { get; init; } = 18500;

    /// <summary>Rules of nft that let nothing out but through the tunnel, and stay when the program ends.</summary>
    public bool KillSwitch { get; init; }

    /// <summary>With <see cref="KillSwitch"/>: private addresses near this machine may be reached, name servers there excepted.</summary>
    public bool KillSwitchLan { get; init; }

    // fd6f:7865:6e00::/48: a unique local prefix (RFC 4193) whose 40 bits spell "oxen"; 10.98.0.2 alone, not a network around it.
    public static IReadOnlyList<InterfaceAddress> DefaultAddresses { get; } =
        [new(IPAddress.Parse("10.98.0.2"), 32), new(IPAddress.Parse("fd6f:7865:6e00:2::2"), 128)];

    public static IReadOnlyList<IPNetwork> DefaultRanges { get; } = [IPNetwork.Parse("0.0.0.0/0"), IPNetwork.Parse("::/0")];
}

/// <summary>The exit's end of the tunnel: `[exit]` with `tunnel = true`.</summary>
internal sealed record ExitTunnelConfig
{
    public string Tun { get; init; } = "oxenx0";

    /// <summary>Inner addresses of clients: base + 2 + number of the lease; base + 1 is the exit's own.</summary>
    public IPNetwork Pool4 { get; init; } = DefaultPool4;

    /// <summary>Null: IPv4 only.</summary>
    public IPNetwork? Pool6 { get; init; } = DefaultPool6;

    /// <summary>Connections that one session may have open through the NAT.</summary>
    public int Connections { get; init; } = 1024;

    /// <summary>False: the operator translates addresses and sets the kernel's forwarding; we set up the interface alone.</summary>
    public bool Nat { get; init; } = true;

    /// <summary>Sessions that can have addresses at one time: all but the network's, the exit's and the last one of IPv4.</summary>
    public int Leases => (int)Math.Min((1L << (32 - Pool4.PrefixLength)) - 3, Pool6 is { } six && 128 - six.PrefixLength < 31 ? (1L << (128 - six.PrefixLength)) - 2 : int.MaxValue);

    public static IPNetwork DefaultPool4 { get; } = IPNetwork.Parse("10.97.0.0/16");

    public static IPNetwork DefaultPool6 { get; } = IPNetwork.Parse("fd6f:7865:6e00:1::/64");
}
