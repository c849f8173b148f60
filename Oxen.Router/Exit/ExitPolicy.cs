using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using Oxen.Router.Core;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Exit;

/// <summary>
/// What an exit connects to. Judged on the address itself, right before connecting: names never reach it. The first
/// match decides, in this order: the operator's exceptions, what no exit ever reaches, the operator's rules; the rest
/// is refused (docs/protocol/proxy.md#exit-policy).
/// </summary>
internal sealed class ExitPolicy
{
    /// <summary>The rules of an operator who gave none.</summary>
    public static readonly IReadOnlyList<string> DefaultRules = ["deny *:25", "allow *:*"];

    // The IANA registries of special-purpose addresses (RFC 6890 and its updates), what is not globally reachable in them.
    private static readonly ExitRule[] Never = [.. new[]
    {
        "0.0.0.0/8",          // this network, RFC 791
        "10.0.0.0/8",         // private, RFC 1918
        "100.64.0.0/10",      // shared by carriers, RFC 6598
        "127.0.0.0/8",        // loopback
        "169.254.0.0/16",     // link-local, with the clouds' metadata at 169.254.169.254
        "172.16.0.0/12",      // private
        "192.0.0.0/24",       // protocol assignments, RFC 6890
        "192.0.2.0/24",       // documentation, RFC 5737
        "192.88.99.0/24",     // 6to4 relays, deprecated, RFC 7526
        "192.168.0.0/16",     // private
        "198.18.0.0/15",      // benchmarking, RFC 2544
        "198.51.100.0/24",    // documentation
        "203.0.113.0/24",     // documentation
        "224.0.0.0/4",        // multicast
        "240.0.0.0/4",        // reserved, and 255.255.255.255 broadcast
        "[::/127]",           // unspecified and loopback
        "[64:ff9b:1::/48]",   // NAT64 for local use, RFC 8215
        "[100::/64]",         // discard, RFC 6666
        "[2001::/32]",        // Teredo: carries IPv4 addresses in disguise, RFC 4380
        "[2001:2::/48]",      // benchmarking
        "[2001:10::/28]",     // ORCHID, deprecated
        "[2001:db8::/32]",    // documentation
        "[3fff::/20]",        // documentation, RFC 9637
        "[5f00::/16]",        // segment routing, RFC 9602
        "[fc00::/7]",         // unique local, with the metadata address fd00:ec2::254
        "[fe80::/10]",        // link-local
        "[fec0::/10]",        // site-local, deprecated but routed by some
        "[ff00::/8]",         // multicast
    }.Select(range => ExitRule.Parse($"deny {range}:*"))];

    private readonly ExitRule[] _exceptions, _rules;
    private HashSet<(ulong High, ulong Low, UdpFamily Family)> _own;
    private int _version;

    /// <param name="exceptions">Rules that come before everything: the only way to reach a private or an own address.</param>
    /// <param name="own">The exit's own addresses, refused like private ones.</param>
    public ExitPolicy(IEnumerable<ExitRule> rules, IEnumerable<ExitRule>? exceptions = null, IEnumerable<IPAddress>? own = null)
    {
        ArgumentNullException.ThrowIfNull(rules);
        _rules = [.. rules];
        _exceptions = [.. exceptions ?? []];
        _own = Keys(own ?? []);
    }

    /// <summary>Rises when the policy changes: an answer kept from before holds no longer.</summary>
    public int Version => Volatile.Read(ref _version);

    /// <summary>Default rules and this machine's own addresses.</summary>
    public static ExitPolicy CreateDefault(IEnumerable<ExitRule>? exceptions = null) => new(DefaultRules.Select(ExitRule.Parse), exceptions, MachineAddresses());

    /// <summary>Every address of this machine's interfaces, as of now.</summary>
    public static IEnumerable<IPAddress> MachineAddresses()
    {
        foreach (NetworkInterface card in NetworkInterface.GetAllNetworkInterfaces())
        {
            foreach (UnicastIPAddressInformation unicast in card.GetIPProperties().UnicastAddresses) yield return unicast.Address;
        }
    }

    /// <summary>The machine's addresses have changed. Any thread; who asks meanwhile hears the old or the new ones.</summary>
    public void SetOwnAddresses(IEnumerable<IPAddress> own)
    {
        ArgumentNullException.ThrowIfNull(own);
        HashSet<(ulong, ulong, UdpFamily)> keys = Keys(own);
        if (_own.SetEquals(keys)) return;
        Volatile.Write(ref _own, keys);
        Interlocked.Increment(ref _version);
    }

    /// <summary>May the exit send to this address and its port (ICMP: port 0)? Allocates nothing.</summary>
    public bool Allows(in UdpAddress destination, ExitProtocol protocol)
    {
        if (destination.Family is not (UdpFamily.IPv4 or UdpFamily.IPv6) || (destination.Port == 0 && protocol != ExitProtocol.Icmp)) return false;
        UdpAddress plain = ProxyDestination.FromAddress(destination).Address; // mapped IPv4 becomes IPv4
        return Judge(plain, protocol, anyPort: false) && (!TryEmbedded(plain, out UdpAddress inside) || Judge(inside, protocol, anyPort: false));
    }

    /// <summary>Is there a port of this address that the exit may send to? For what shows no port.</summary>
    public bool AllowsSomePort(in UdpAddress destination, ExitProtocol protocol)
    {
        if (destination.Family is not (UdpFamily.IPv4 or UdpFamily.IPv6)) return false;
        UdpAddress plain = ProxyDestination.FromAddress(destination).Address;
        return Judge(plain, protocol, anyPort: true) && (!TryEmbedded(plain, out UdpAddress inside) || Judge(inside, protocol, anyPort: true));
    }

    private bool Judge(in UdpAddress address, ExitProtocol protocol, bool anyPort)
    {
        if (Decide(_exceptions, address, protocol, anyPort) is { } exception) return exception;
        if (Volatile.Read(ref _own).Contains(Key(address))) return false;
        return (Decide(Never, address, protocol, anyPort) ?? Decide(_rules, address, protocol, anyPort)) == true;
    }

    // Null: no rule matches. Of some port, an `allow` speaks whatever ports it names, a `deny` only if it names all.
    private static bool? Decide(ExitRule[] rules, in UdpAddress address, ExitProtocol protocol, bool anyPort)
    {
        foreach (ExitRule rule in rules)
        {
            if (anyPort ? rule.MatchesAddress(address, protocol) && (rule.Allow || rule.AllPorts) : rule.Matches(address, address.Port, protocol)) return rule.Allow;
        }

        return null;
    }

    private static HashSet<(ulong, ulong, UdpFamily)> Keys(IEnumerable<IPAddress> addresses) => [.. addresses.Select(a => Key(UdpAddress.From(new IPEndPoint(a, 0))))];

    private static (ulong, ulong, UdpFamily) Key(in UdpAddress address) => (address.High, address.Low, address.Family);

    /// <summary>The IPv4 address that a translator or a tunnel would take out of this IPv6 address.</summary>
    private static bool TryEmbedded(in UdpAddress address, out UdpAddress inside)
    {
        inside = default;
        if (address.Family != UdpFamily.IPv6) return false;
        uint v4;
        if (address.High >> 48 == 0x2002) v4 = (uint)(address.High >> 16);                                       // 6to4, RFC 3056
        else if (address.High == 0x0064_FF9B_0000_0000 && address.Low >> 32 == 0) v4 = (uint)address.Low;          // NAT64, RFC 6052
        else if (address.High == 0 && address.Low >> 32 == 0 && address.Low > 1) v4 = (uint)address.Low;                              // IPv4-compatible, RFC 4291
        else if (((address.Low >> 32) & 0xFCFF_FFFF) == 0x0000_5EFE) v4 = (uint)address.Low;                        // ISATAP, RFC 5214
        else return false;

        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, v4);
        inside = UdpAddress.FromBytes(bytes, address.Port);
        return true;
    }
}
