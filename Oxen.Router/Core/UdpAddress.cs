using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;

namespace Oxen.Router.Core;

/// <summary>What an <see cref="UdpAddress"/> names.</summary>
internal enum UdpFamily : byte
{
    None = 0,
    IPv4 = 4,
    IPv6 = 6,

    /// <summary>Not a network address: a number given by whoever carries the datagrams (an exit session, a simulated node).</summary>
    Virtual = 255,
}

/// <summary>
/// A UDP address as a value: 16 address bytes (IPv4 in the first four), port, family, IPv6 scope. No allocation, no
/// <see cref="IPEndPoint"/>. <see cref="ToString"/> is for tests; logs take it only inside a redaction.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct UdpAddress
{
    /// <summary>The first eight address bytes, in network order.</summary>
    public readonly ulong High;

    /// <summary>The last eight address bytes, in network order; 0 for IPv4.</summary>
    public readonly ulong Low;
    public readonly uint Scope;
    public readonly ushort Port;
    public readonly UdpFamily Family;

    private UdpAddress(UdpFamily family, ulong high, ulong low, ushort port, uint scope)
    {
        High = high;
        Low = low;
        Port = port;
        Scope = scope;
        Family = family;
    }

    /// <param name="address">4 or 16 bytes in network order.</param>
    public static UdpAddress FromBytes(ReadOnlySpan<byte> address, ushort port, uint scope = 0) => address.Length switch
    {
        4 => new UdpAddress(UdpFamily.IPv4, (ulong)BinaryPrimitives.ReadUInt32BigEndian(address) << 32, 0, port, 0),
        16 => new UdpAddress(UdpFamily.IPv6, BinaryPrimitives.ReadUInt64BigEndian(address), BinaryPrimitives.ReadUInt64BigEndian(address[8..]), port, scope),
        _ => throw new ArgumentException("an address has 4 or 16 bytes", nameof(address)),
    };

    public static UdpAddress FromVirtual(ulong number, ushort port = 0) => new(UdpFamily.Virtual, number, 0, port, 0);

    public static UdpAddress From(IPEndPoint endPoint)
    {
        ArgumentNullException.ThrowIfNull(endPoint);
        Span<byte> bytes = stackalloc byte[16];
        IPAddress address = endPoint.Address.IsIPv4MappedToIPv6 ? endPoint.Address.MapToIPv4() : endPoint.Address;
        address.TryWriteBytes(bytes, out int length);
        return FromBytes(bytes[..length], (ushort)endPoint.Port, length == 16 ? (uint)address.ScopeId : 0);
    }

    public int AddressLength => Family switch { UdpFamily.IPv4 => 4, UdpFamily.IPv6 => 16, _ => 8 };

    /// <summary>Writes 4 (IPv4), 16 (IPv6) or 8 (virtual) address bytes and returns how many.</summary>
    public int WriteAddress(Span<byte> destination)
    {
        if (Family == UdpFamily.IPv4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)(High >> 32));
            return 4;
        }

        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        if (Family != UdpFamily.IPv6) return 8;
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
        return 16;
    }

    public IPEndPoint ToIPEndPoint()
    {
        if (Family is not (UdpFamily.IPv4 or UdpFamily.IPv6)) throw new InvalidOperationException("only an IP address has an end point");
        Span<byte> bytes = stackalloc byte[16];
        int length = WriteAddress(bytes);
        var address = length == 16 ? new IPAddress(bytes[..16], Scope) : new IPAddress(bytes[..4]);
        return new IPEndPoint(address, Port);
    }

    public override string ToString() => Family is UdpFamily.IPv4 or UdpFamily.IPv6
        ? ToIPEndPoint().ToString()
        : string.Create(CultureInfo.InvariantCulture, $"{Family}:{High:x}:{Port}");
}
