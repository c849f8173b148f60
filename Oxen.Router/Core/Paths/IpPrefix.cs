using System.Globalization;
using System.Net;

namespace Oxen.Router.Core.Paths;

/// <summary>A network such as 192.0.2.0/24 or 2001:db8::/32.</summary>
internal readonly record struct IpPrefix(UdpFamily Family, ulong High, ulong Low, int Length)
{
    /// <summary>An address alone is a prefix of its whole length. Bits behind the length must be zero.</summary>
    public static bool TryParse(string text, out IpPrefix prefix)
    {
        prefix = default;
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!IPAddress.TryParse(slash < 0 ? text : text[..slash], out IPAddress? address) || address.HasScope() || address.IsIPv4MappedToIPv6) return false;
        UdpAddress value = UdpAddress.From(new IPEndPoint(address, 1));
        int most = value.Family == UdpFamily.IPv4 ? 32 : 128;
        int length = most;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > most)) return false;
        prefix = Of(value, length);
        return prefix.High == value.High && prefix.Low == value.Low;
    }

    /// <summary>The prefix of this length that an address lies in.</summary>
    public static IpPrefix Of(in UdpAddress address, int length)
    {
        ulong high = length >= 64 ? address.High : length == 0 ? 0 : address.High & ~(ulong.MaxValue >> length);
        ulong low = length <= 64 ? 0 : length == 128 ? address.Low : address.Low & ~(ulong.MaxValue >> (length - 64));
        return new IpPrefix(address.Family, high, low, length);
    }

    public bool Contains(in UdpAddress address) => address.Family == Family && Of(address, Length) == this;
}

/// <summary>Asks an address about its scope without the exception that IPv4 throws.</summary>
file static class AddressScope
{
    public static bool HasScope(this IPAddress address) => address.GetAddressBytes().Length == 16 && address.ScopeId != 0;
}
