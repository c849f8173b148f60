using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Text;

namespace Oxen.Router.Core.Wire;

/// <summary>
/// Where a proxied stream or datagram goes: an IP address or a name, and a port, as a value. A name is always a real
/// host name: ASCII, lower case, at most 255 bytes, and never something that a resolver would take for a number
/// (`127.1`, `0x7f.1`), so that a rule about addresses cannot be walked around by spelling one as a name.
/// </summary>
internal readonly record struct ProxyDestination
{
    public const int MaxNameBytes = 255;

    private readonly string? _name;
    private readonly UdpAddress _address;

    private ProxyDestination(string? name, UdpAddress address)
    {
        _name = name;
        _address = address;
    }

    /// <summary>The host name, or null when this is an address.</summary>
    public string? Name => _name;

    /// <summary>The address; of a name only its port counts.</summary>
    public UdpAddress Address => _address;

    public ushort Port => _address.Port;

    [MemberNotNullWhen(true, nameof(Name))]
    public bool IsName => _name is not null;

    /// <summary>A default value names nothing.</summary>
    public bool IsNone => _name is null && _address.Family == UdpFamily.None;

    /// <summary>An IPv4 or IPv6 address. IPv4 mapped into IPv6 becomes IPv4.</summary>
    public static ProxyDestination FromAddress(UdpAddress address)
    {
        if (address.Family is not (UdpFamily.IPv4 or UdpFamily.IPv6)) throw new ArgumentException("a destination is an IP address", nameof(address));
        return new ProxyDestination(null, Canonical(address));
    }

    public static ProxyDestination FromEndPoint(IPEndPoint endPoint) => FromAddress(UdpAddress.From(endPoint));

    /// <summary>Takes what a person or a client wrote for a host: `1.2.3.4`, `::1`, `[::1]` or a name.</summary>
    public static bool TryFromHost(ReadOnlySpan<char> host, ushort port, out ProxyDestination destination)
    {
        destination = default;
        if (host.Length is 0 or > MaxNameBytes + 2) return false;
        bool bracketed = host[0] == '[';
        if (bracketed)
        {
            if (host[^1] != ']') return false;
            host = host[1..^1];
        }

        if (host.Contains(':'))
        {
            // A zone (`%eth0`) has a meaning only on the machine that wrote it.
            if (host.Contains('%') || !IPAddress.TryParse(host, out IPAddress? v6)) return false;
            destination = FromEndPoint(new IPEndPoint(v6, port));
            return true;
        }

        if (bracketed) return false;
        if (TryParseIPv4(host, out uint v4))
        {
            destination = FromIPv4(v4, port);
            return true;
        }

        Span<byte> bytes = stackalloc byte[MaxNameBytes];
        if (host.Length > MaxNameBytes || Encoding.UTF8.GetByteCount(host) != host.Length) return false;
        int length = Encoding.UTF8.GetBytes(host, bytes);
        return TryFromName(bytes[..length], port, out destination);
    }

    /// <summary>Takes the bytes of a host name; false if they are none.</summary>
    public static bool TryFromName(ReadOnlySpan<byte> name, ushort port, out ProxyDestination destination)
    {
        destination = default;
        if (!IsHostName(name)) return false;
        if (name[^1] == (byte)'.') name = name[..^1];
        Span<char> lower = stackalloc char[name.Length];
        for (int i = 0; i < name.Length; i++) lower[i] = char.ToLowerInvariant((char)name[i]);
        destination = new ProxyDestination(new string(lower), UdpAddress.FromBytes([0, 0, 0, 0], port));
        return true;
    }

    public static ProxyDestination FromIPv4(uint address, ushort port)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, address);
        return new ProxyDestination(null, UdpAddress.FromBytes(bytes, port));
    }

    /// <summary>`host:port`, IPv6 in brackets. For the user's own screen and for wire forms of others; logs take it only inside a redaction.</summary>
    public override string ToString() => _name is null
        ? _address.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"{_name}:{Port}");

    /// <summary>Four decimal numbers, nothing else: `1.2.3` or `0x1.2.3.4` are no addresses here.</summary>
    internal static bool TryParseIPv4(ReadOnlySpan<char> text, out uint address)
    {
        address = 0;
        int parts = 0;
        while (true)
        {
            int digits = 0;
            uint part = 0;
            while (digits < text.Length && char.IsAsciiDigit(text[digits]))
            {
                part = part * 10 + (uint)(text[digits] - '0');
                if (++digits > 3) return false;
            }

            if (digits == 0 || part > 255 || (digits > 1 && text[0] == '0')) return false;
            address = address << 8 | part;
            text = text[digits..];
            if (++parts == 4) return text.IsEmpty;
            if (text.IsEmpty || text[0] != '.') return false;
            text = text[1..];
        }
    }

    private static UdpAddress Canonical(UdpAddress address)
    {
        if (address.Family != UdpFamily.IPv6) return address;
        Span<byte> bytes = stackalloc byte[16];
        address.WriteAddress(bytes);
        return address.High == 0 && address.Low >> 32 == 0xFFFF
            ? UdpAddress.FromBytes(bytes[12..], address.Port)
            : UdpAddress.FromBytes(bytes, address.Port); // the scope is ours alone and does not travel
    }

    // RFC 1123 section 2.1, and '_' as people use it. The last label must not look like a number.
    private static bool IsHostName(ReadOnlySpan<byte> name)
    {
        if (name.Length is 0 or > MaxNameBytes) return false;
        if (name[^1] == (byte)'.') name = name[..^1];
        int label = 0;
        for (int i = 0; i < name.Length; i++)
        {
            byte c = name[i];
            if (c == (byte)'.')
            {
                if (label == 0) return false;
                label = 0;
                continue;
            }

            if (!char.IsAsciiLetterOrDigit((char)c) && c != (byte)'-' && c != (byte)'_') return false;
            if (++label > 63) return false;
        }

        if (label == 0) return false;
        ReadOnlySpan<byte> last = name[^label..];
        if (last.IndexOfAnyExceptInRange((byte)'0', (byte)'9') < 0) return false;
        return !(last.Length > 1 && last[0] == (byte)'0' && (last[1] | 0x20) == (byte)'x');
    }
}
