using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>ICMP echo (RFC 792, RFC 4443) from inside a namespace, by a raw socket.</summary>
internal static class LabPing
{
    private const int HeaderBytes = 8;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Round trips in milliseconds of those that came back.</summary>
    public static async Task<List<double>> MeasureAsync(string space, IPAddress target, int count, int payloadBytes, CancellationToken cancel)
    {
        bool six = target.AddressFamily == AddressFamily.InterNetworkV6;
        using Socket socket = Lab.Socket(space, target.AddressFamily, SocketType.Raw, six ? ProtocolType.IcmpV6 : ProtocolType.Icmp);
        await socket.ConnectAsync(new IPEndPoint(target, 0), cancel).ConfigureAwait(false); // answers of others are not for us
        byte[] echo = new byte[HeaderBytes + payloadBytes], buffer = new byte[65536];
        ushort id = (ushort)Environment.ProcessId;
        var back = new List<double>();
        for (ushort number = 1; number <= count; number++)
        {
            echo.AsSpan(0, HeaderBytes).Clear();
            echo[0] = (byte)(six ? 128 : 8);
            BinaryPrimitives.WriteUInt16BigEndian(echo.AsSpan(4), id);
            BinaryPrimitives.WriteUInt16BigEndian(echo.AsSpan(6), number);
            for (int i = HeaderBytes; i < echo.Length; i++) echo[i] = (byte)(i * 7 + number);
            if (!six) BinaryPrimitives.WriteUInt16BigEndian(echo.AsSpan(2), Checksum(echo)); // the kernel does it for IPv6 (RFC 3542 section 3.1)
            long sent = Stopwatch.GetTimestamp();
            await socket.SendAsync(echo, cancel).ConfigureAwait(false);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(Patience);
            try
            {
                while (!IsAnswer(buffer.AsSpan(0, await socket.ReceiveAsync(buffer, limit.Token).ConfigureAwait(false)), echo, six))
                {
                    // Another program's.
                }

                back.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // Lost.
            }
        }

        return back;
    }

    // Over IPv4 a raw socket gives the IP header as well.
    private static bool IsAnswer(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> echo, bool six)
    {
        if (!six)
        {
            if (packet.Length < 20) return false;
            packet = packet[((packet[0] & 15) * 4)..];
        }

        return packet.Length == echo.Length && packet[0] == (six ? 129 : 0) && packet[4..].SequenceEqual(echo[4..]);
    }

    // RFC 1071.
    private static ushort Checksum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (int i = 0; i + 1 < bytes.Length; i += 2) sum += BinaryPrimitives.ReadUInt16BigEndian(bytes[i..]);
        if (bytes.Length % 2 == 1) sum += (uint)bytes[^1] << 8;
        while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)~sum;
    }
}
