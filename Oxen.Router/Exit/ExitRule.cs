using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Exit;

[Flags]
internal enum ExitProtocol : byte
{
    Tcp = 1,
    Udp = 2,

    /// <summary>Echo requests; it has no ports.</summary>
    Icmp = 4,
}

/// <summary>What is wrong with a rule's text, and where: a 0-based position in it.</summary>
internal readonly record struct RuleError(int Position, string Message);

// One line of an exit policy:
//
//   rule    = ("allow" | "deny") target [ "tcp" | "udp" | "icmp" ]
//   target  = host ":" ports
//   host    = "*" | IPv4 [ "/" length ] | "[" IPv6 [ "/" length ] "]"
//   ports   = "*" | range { "," range }          range = port [ "-" port ]
//
//   deny 10.0.0.0/8:*      allow *:80,443 tcp      deny [fc00::/7]:*      allow *:8000-8999      deny *:* icmp
//
// Without a protocol a rule speaks of TCP and UDP; if it is for all ports, of ICMP echo as well, which has none.
internal sealed class ExitRule
{
    public const int MaxTextLength = 512;
    private const int MaxRanges = 64;

    private readonly UdpFamily _family;
    private readonly UInt128 _prefix, _mask;
    private readonly (ushort From, ushort To)[] _ports;
    private readonly string _text;

    private ExitRule(bool allow, UdpFamily family, UInt128 prefix, UInt128 mask, (ushort, ushort)[] ports, ExitProtocol protocol, string text)
    {
        Allow = allow;
        Protocol = protocol;
        _family = family;
        _prefix = prefix;
        _mask = mask;
        _ports = ports;
        _text = text;
    }

    public bool Allow { get; }

    public ExitProtocol Protocol { get; }

    public bool AllPorts => _ports is [(0, ushort.MaxValue)];

    public static ExitRule Parse(string text) => TryParse(text, out ExitRule? rule, out RuleError error)
        ? rule!
        : throw new FormatException($"{text}: position {error.Position + 1}: {error.Message}");

    public static bool TryParse(string text, out ExitRule? rule, out RuleError error)
    {
        ArgumentNullException.ThrowIfNull(text);
        rule = null;
        if (text.Length > MaxTextLength)
        {
            error = new RuleError(MaxTextLength, $"a rule has at most {MaxTextLength} characters");
            return false;
        }

        var words = new List<(int Start, string Text)>();
        for (int i = 0; i < text.Length;)
        {
            int end = i;
            while (end < text.Length && text[end] != ' ') end++;
            if (end > i) words.Add((i, text[i..end]));
            i = end + 1;
        }

        bool allow = words.Count > 0 && words[0].Text == "allow";
        if (words.Count == 0 || (!allow && words[0].Text != "deny")) return Fail(words.Count == 0 ? 0 : words[0].Start, "a rule begins with `allow` or `deny`", out error);
        if (words.Count < 2) return Fail(text.Length, "here follows where to: `*:80,443`, `10.0.0.0/8:*` or `[fc00::/7]:*`", out error);
        ExitProtocol protocol = 0;
        if (words.Count > 2)
        {
            protocol = words[2].Text switch { "tcp" => ExitProtocol.Tcp, "udp" => ExitProtocol.Udp, "icmp" => ExitProtocol.Icmp, _ => 0 };
            if (protocol == 0) return Fail(words[2].Start, "here stands `tcp`, `udp`, `icmp` or nothing", out error);
        }

        if (words.Count > 3) return Fail(words[3].Start, "the rule should end before this", out error);
        (int at, string target) = words[1];
        if (!TryHost(target, at, out UdpFamily family, out UInt128 prefix, out UInt128 mask, out int length, out error)) return false;
        if (length >= target.Length || target[length] != ':') return Fail(at + length, "behind the host stand `:` and ports, `:*` for all", out error);
        if (!TryPorts(target.AsSpan(length + 1), at + length + 1, out (ushort, ushort)[] ports, out error)) return false;
        bool allPorts = ports is [(0, ushort.MaxValue)];
        if (protocol == ExitProtocol.Icmp && !allPorts) return Fail(words[2].Start, "ICMP has no ports: `:*` stands behind the host", out error);
        if (protocol == 0) protocol = ExitProtocol.Tcp | ExitProtocol.Udp | (allPorts ? ExitProtocol.Icmp : 0);
        rule = new ExitRule(allow, family, prefix, mask, ports, protocol, text);
        return true;
    }

    /// <summary>Is there a port of this address that the rule speaks of?</summary>
    public bool MatchesAddress(in UdpAddress address, ExitProtocol protocol) =>
        (Protocol & protocol) != 0 && (_family == UdpFamily.None || (_family == address.Family && (Bits(address) & _mask) == _prefix));

    public bool Matches(in UdpAddress address, ushort port, ExitProtocol protocol)
    {
        if (!MatchesAddress(address, protocol)) return false;
        foreach ((ushort from, ushort to) in _ports)
        {
            if (port >= from && port <= to) return true;
        }

        return false;
    }

    public override string ToString() => _text;

    // IPv4 lies in the top 32 bits, as in UdpAddress.
    private static UInt128 Bits(in UdpAddress address) => new(address.High, address.Low);

    private static bool TryHost(string target, int at, out UdpFamily family, out UInt128 prefix, out UInt128 mask, out int length, out RuleError error)
    {
        family = UdpFamily.None;
        prefix = mask = 0;
        length = 0;
        if (target[0] == '*')
        {
            length = 1;
            error = default;
            return true;
        }

        bool bracketed = target[0] == '[';
        int end = bracketed ? target.IndexOf(']') : target.IndexOf(':');
        if (end < 0) return Fail(at + (bracketed ? 0 : target.Length), bracketed ? "this bracket is not closed" : "behind the host stand `:` and ports, `:*` for all", out error);
        int start = bracketed ? 1 : 0;
        ReadOnlySpan<char> host = target.AsSpan(start, end - start);
        length = bracketed ? end + 1 : end;
        int slash = host.IndexOf('/');
        ReadOnlySpan<char> address = slash < 0 ? host : host[..slash];
        int width = bracketed ? 128 : 32;
        family = bracketed ? UdpFamily.IPv6 : UdpFamily.IPv4;
        UInt128 bits;
        if (bracketed)
        {
            if (address.Contains('%') || !IPAddress.TryParse(address, out IPAddress? v6) || v6.AddressFamily != AddressFamily.InterNetworkV6) return Fail(at + start, "this is no IPv6 address", out error);
            bits = Bits(UdpAddress.FromBytes(v6.GetAddressBytes(), 0));
            if (bits >> 32 == 0xFFFF) return Fail(at + start, "write a mapped IPv4 address as IPv4", out error);
        }
        else
        {
            if (!ProxyDestination.TryParseIPv4(address, out uint v4)) return Fail(at, "this is no IPv4 address; an IPv6 address stands in brackets, and names are not possible here", out error);
            bits = (UInt128)v4 << 96;
        }

        int prefixLength = width;
        if (slash >= 0 && (!int.TryParse(host[(slash + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out prefixLength) || prefixLength > width))
        {
            return Fail(at + start + slash + 1, $"a prefix length is 0 to {width}", out error);
        }

        mask = prefixLength == 0 ? 0 : UInt128.MaxValue << (128 - prefixLength);
        prefix = bits & mask;
        if (prefix != bits) return Fail(at + start, $"the address has bits behind its /{prefixLength} prefix", out error);
        error = default;
        return true;
    }

    private static bool TryPorts(ReadOnlySpan<char> text, int at, out (ushort, ushort)[] ports, out RuleError error)
    {
        ports = [(0, ushort.MaxValue)];
        error = default;
        if (text is "*") return true;
        var ranges = new List<(ushort, ushort)>();
        while (true)
        {
            int comma = text.IndexOf(',');
            ReadOnlySpan<char> range = comma < 0 ? text : text[..comma];
            int dash = range.IndexOf('-');
            if (!TryPort(dash < 0 ? range : range[..dash], out ushort from)) return Fail(at, "a port is a number from 1 to 65535, or `*` for all", out error);
            ushort to = from;
            if (dash >= 0 && !TryPort(range[(dash + 1)..], out to)) return Fail(at + dash + 1, "a port is a number from 1 to 65535", out error);
            if (to < from) return Fail(at + dash + 1, "this range ends before it begins", out error);
            if (ranges.Count == MaxRanges) return Fail(at, $"a rule has at most {MaxRanges} ranges of ports", out error);
            ranges.Add((from, to));
            if (comma < 0) break;
            text = text[(comma + 1)..];
            at += comma + 1;
        }

        ports = [.. ranges];
        return true;
    }

    private static bool TryPort(ReadOnlySpan<char> text, out ushort port) => ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port != 0;

    private static bool Fail(int position, string message, out RuleError error)
    {
        error = new RuleError(position, message);
        return false;
    }
}
