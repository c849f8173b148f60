using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

public sealed class QuicAllocationTests
{
    [Fact]
    public void A_steady_transfer_allocates_almost_nothing_a_packet()
    {
        var options = new QuicTransportOptions { MaxDatagramBytes = 1356, InitialMaxData = 2 << 20, InitialMaxStreamData = 1 << 20, MaxCongestionWindow = 1 << 20, Pacing = false };
        (long bytesPerMillion, long packets, _) = Blast(options, warmUp: 20 << 20, measured: 40 << 20);
        double perPacket = (double)bytesPerMillion / packets;
        Assert.True(perPacket < 1, $"{perPacket:F2} bytes a packet");
    }

    /// <summary>Two endpoints back to back in memory, no network between: bytes allocated, packets, nothing lost.</summary>
    private static (long Allocated, long Packets, long Bytes) Blast(QuicTransportOptions options, long warmUp, long measured)
    {
        using var pair = new QuicPair(9, client: options, server: options);
        QuicConnection client = pair.Establish();
        QuicEndpoint a = pair.Client.Endpoint, b = pair.Server.Endpoint;
        Assert.True(client.TryOpenStream(false, out long stream));
        byte[] data = new byte[64 * 1024], buffer = new byte[64 * 1024], sink = new byte[64 * 1024];
        Instant now = pair.Network.Now;
        long received = 0, allocated = 0, packets = 0;
        bool warm = false;
        while (received < warmUp + measured)
        {
            if (!warm && received >= warmUp)
            {
                warm = true;
                allocated = GC.GetAllocatedBytesForCurrentThread();
                packets = client.Stats.PacketsSent + pair.Accepted!.Stats.PacketsSent;
            }

            client.Write(stream, data);
            now += TimeSpan.FromMicroseconds(100);
            Shovel(a, b, QuicPair.ClientAddress, buffer, now);
            while (b.TryTakeEvent(out QuicEvent happened))
            {
                if (happened.Kind != QuicEventKind.StreamReadable) continue;
                int n;
                while ((n = happened.Connection.Read(happened.StreamId, sink, out _)) > 0) received += n;
            }

            Shovel(b, a, QuicPair.ServerAddress, buffer, now);
            while (a.TryTakeEvent(out _))
            {
            }

            if (a.NextDeadline <= now) a.HandleTimeout(now);
            if (b.NextDeadline <= now) b.HandleTimeout(now);
        }

        return (GC.GetAllocatedBytesForCurrentThread() - allocated, client.Stats.PacketsSent + pair.Accepted!.Stats.PacketsSent - packets, received);
    }

    private static void Shovel(QuicEndpoint from, QuicEndpoint to, UdpAddress address, byte[] buffer, Instant now)
    {
        while (from.TryTransmit(buffer, out int bytes, out int segment, out _, now))
        {
            for (int at = 0; at < bytes; at += segment) to.HandleDatagram(buffer.AsSpan(at, Math.Min(segment, bytes - at)), address, now);
        }
    }
}
