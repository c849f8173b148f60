using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Udp;

/// <summary>The router's batch types seen as Native's: same bytes, other names. Checked once, before the first cast.</summary>
internal static class UdpShapes
{
    static UdpShapes()
    {
        if (Failure() is { } text) throw new InvalidOperationException(text);
    }

    public static Span<UdpArrival> Arrivals(Span<Received> items) => MemoryMarshal.Cast<Received, UdpArrival>(items);

    public static ReadOnlySpan<UdpDeparture> Departures(TransmitBatch batch) => MemoryMarshal.Cast<Transmit, UdpDeparture>(batch.Items.AsSpan(0, batch.Count));

    public static ReadOnlySpan<UdpEndPoint> EndPoints(ReadOnlySpan<UdpAddress> routes) => MemoryMarshal.Cast<UdpAddress, UdpEndPoint>(routes);

    public static UdpAddress ToAddress(UdpEndPoint e) => Unsafe.BitCast<UdpEndPoint, UdpAddress>(e);

    public static UdpEndPoint ToEndPoint(UdpAddress a) => Unsafe.BitCast<UdpAddress, UdpEndPoint>(a);

    /// <summary>What differs between the two sides, or null.</summary>
    public static string? Failure()
    {
        if (Unsafe.SizeOf<UdpAddress>() != Unsafe.SizeOf<UdpEndPoint>()) return "UdpAddress and UdpEndPoint differ in size";
        if (Unsafe.SizeOf<Received>() != Unsafe.SizeOf<UdpArrival>()) return "Received and UdpArrival differ in size";
        if (Unsafe.SizeOf<Transmit>() != Unsafe.SizeOf<UdpDeparture>()) return "Transmit and UdpDeparture differ in size";

        var address = UdpAddress.FromBytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 0x1718, 0x191A1B1C);
        var e = Unsafe.BitCast<UdpAddress, UdpEndPoint>(address);
        if (e.High != address.High || e.Low != address.Low || e.Scope != address.Scope || e.Port != address.Port || e.Family != (byte)address.Family) return "UdpAddress and UdpEndPoint differ in layout";
        var a = Unsafe.BitCast<Received, UdpArrival>(new Received { Offset = 1, Length = 2, SegmentBytes = 3, From = address });
        if (a.Offset != 1 || a.Length != 2 || a.SegmentBytes != 3 || a.From.Port != address.Port) return "Received and UdpArrival differ in layout";
        var d = Unsafe.BitCast<Transmit, UdpDeparture>(new Transmit { Offset = 1, Length = 2, Route = 3 });
        return d.Offset != 1 || d.Length != 2 || d.Route != 3 ? "Transmit and UdpDeparture differ in layout" : null;
    }
}
