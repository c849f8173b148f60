using System.Buffers.Binary;
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

    /// <summary>Family 1, bits 1, address 4 or 16; returns how many bytes.</summary>
    public int Write(Span<byte> destination)
    {
        destination[0] = (byte)Family;
        destination[1] = (byte)Length;
        Span<byte> whole = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(whole, High);
        BinaryPrimitives.WriteUInt64BigEndian(whole[8..], Low);
        int bytes = Family == UdpFamily.IPv4 ? 4 : 16;
        whole[..bytes].CopyTo(destination[2..]);
        return 2 + bytes;
    }

    /// <summary>Returns the bytes that were read, 0 when these are no prefix. Bits behind the length must be zero.</summary>
    public static int TryRead(ReadOnlySpan<byte> source, out IpPrefix prefix)
    {
        prefix = default;
        int bytes = source.Length < 2 ? 0 : source[0] switch { (byte)UdpFamily.IPv4 => 4, (byte)UdpFamily.IPv6 => 16, _ => 0 };
        if (bytes == 0 || source.Length < 2 + bytes || source[1] > 8 * bytes) return 0;
        UdpAddress address = UdpAddress.FromBytes(source.Slice(2, bytes), 1);
        prefix = Of(address, source[1]);
        return prefix.High == address.High && prefix.Low == address.Low ? 2 + bytes : 0;
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{UdpAddressText()}/{Length}");

    private string UdpAddressText()
    {
        Span<byte> bytes = stackalloc byte[18];
        int written = Write(bytes);
        return new IPAddress(bytes[2..written]).ToString();
    }

    public bool Contains(in UdpAddress address) => address.Family == Family && Of(address, Length) == this;
}

/// <summary>Asks an address about its scope without the exception that IPv4 throws.</summary>
file static class AddressScope
{
    public static bool HasScope(this IPAddress address) => address.GetAddressBytes().Length == 16 && address.ScopeId != 0;
}
