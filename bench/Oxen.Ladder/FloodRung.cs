using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Ladder;

/// <summary>
/// `flood`: handshakes from spoofed addresses at a relay that carries a download, beside the same flood at a socket that only reads (the cost of the
/// flood to the machine). Needs root. Aims: at least 90 % of the control's throughput, 1 us of user CPU for each packet, 99 % of honest handshakes.
/// </summary>
internal static class FloodRung
{
    private const int Rate = 100_000;
    private const int Templates = 1024;

    private sealed class Round(string name)
    {
        public string Name { get; } = name;

        public List<double> Megabits { get; } = [];

        public List<double> Milliseconds { get; } = [];

        public long Packets { get; set; }

        public double Seconds { get; set; }

        public double User { get; set; }

        public double Kernel { get; set; }

        public int Failed { get; set; }

        public long Resident { get; set; }

        public double Median => Megabits.Order().ElementAt(Megabits.Count / 2);
    }

    public static int Run(LadderOptions options)
    {
        if (OxenNetwork.Find() is not { } program) return 2;
        if (!Environment.IsPrivilegedProcess)
        {
            Console.Error.WriteLine("spoofed packets need root");
            return 2;
        }

        using var network = FloodNetwork.Start(program);
        using var drain = new Drain();
        byte[][] formed = Initials(), junk = [.. formed.Select(f => f.ToArray())];
        foreach (byte[] one in junk) Random.Shared.NextBytes(one.AsSpan(6, 8)); // another connection id: nothing inside is authentic
        (Round Round, IPEndPoint? To, byte[][] What)[] rounds =
        [
            (new Round("no flood"), null, formed),
            (new Round("at a reading socket"), drain.Address, formed),
            (new Round("formed, at the relay"), network.Relay, formed),
            (new Round("junk, at the relay"), network.Relay, junk),
        ];
        options.PrintHeader("flood: 100 000 spoofed Initials a second on loopback, a download over 2 hops, 10 honest handshakes a second");
        for (int i = 0; i <= options.Repetitions; i++)
            foreach ((Round round, IPEndPoint? to, byte[][] what) in rounds) Measure(i == 0 ? new Round("warm-up") : round, to, what, network, options.Period);
        Console.WriteLine("  flood                  Mbit/s   of control   packets/s   relay: user, system us/packet   honest   failed  p50 ms  p99 ms  relay MiB");
        Round control = rounds[1].Round;
        foreach ((Round round, IPEndPoint? to, _) in rounds)
        {
            // What the flood adds to what the relay spends on the download in the control run.
            double share = round.Median / control.Median;
            double user = to == network.Relay ? (round.User - control.User * share) * 1e6 / round.Packets : 0;
            double system = to == network.Relay ? (round.Kernel - control.Kernel * share) * 1e6 / round.Packets : 0;
            double[] times = [.. round.Milliseconds.Order()];
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {round.Name,-22} {round.Median,6:F0}   {share,9:P0}   {round.Packets / round.Seconds,9:F0}   {user,16:F2} {system,12:F2}   {times.Length + round.Failed,6}   {round.Failed,6}  {At(times, 0.5),6:F1}  {At(times, 0.99),6:F1}  {round.Resident / 1048576.0,9:F0}"));
        }

        return 0;
    }

    private static double At(double[] sorted, double share) => sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];

    private static void Measure(Round round, IPEndPoint? to, byte[][] what, FloodNetwork network, TimeSpan period)
    {
        using var stop = new CancellationTokenSource();
        long sent = 0;
        var flood = new Thread(() => sent = to is null ? 0 : Flood(to, what, stop.Token)) { IsBackground = true };
        flood.Start();
        Thread.Sleep(500);
        (double user, double kernel) = network.RelayCpu();
        long bytes = network.Downloaded, start = Stopwatch.GetTimestamp();
        Task<(List<double> Times, int Failed)> honest = Task.Run(() => network.HandshakesAsync(period));
        Thread.Sleep(period);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        round.Megabits.Add((network.Downloaded - bytes) * 8e-6 / seconds);
        (double userAfter, double kernelAfter) = network.RelayCpu();
        stop.Cancel();
        flood.Join();
        (List<double> times, int failed) = honest.Result;
        round.User += userAfter - user;
        round.Kernel += kernelAfter - kernel;
        round.Packets += (long)(sent * seconds / (seconds + 0.5));
        round.Seconds += seconds;
        round.Milliseconds.AddRange(times);
        round.Failed += failed;
        round.Resident = Math.Max(round.Resident, network.RelayResident);
    }

    // A raw socket takes the IP header from us, source included.
    private static long Flood(IPEndPoint to, byte[][] what, CancellationToken stop)
    {
        using var raw = new Socket(AddressFamily.InterNetwork, SocketType.Raw, (ProtocolType)255);
        SocketAddress address = to.Serialize();
        byte[] packet = new byte[28 + 1500];
        packet[0] = 0x45;
        packet[8] = 64;
        packet[9] = 17;
        to.Address.TryWriteBytes(packet.AsSpan(16), out _);
        packet[22] = (byte)(to.Port >> 8);
        packet[23] = (byte)to.Port;
        long sent = 0, start = Stopwatch.GetTimestamp();
        var random = new Random(7);
        while (!stop.IsCancellationRequested)
        {
            if (sent > Rate * Stopwatch.GetElapsedTime(start).TotalSeconds)
            {
                Thread.Sleep(1);
                continue;
            }

            for (int i = 0; i < 50; i++)
            {
                byte[] payload = what[sent++ % what.Length];
                random.NextBytes(packet.AsSpan(12, 4));
                packet[12] = 127; // what loopback lets pass
                packet[20] = (byte)(4 + random.Next(200));
                int length = 8 + payload.Length;
                packet[24] = (byte)(length >> 8);
                packet[25] = (byte)length;
                payload.CopyTo(packet, 28);
                raw.SendTo(packet.AsSpan(0, 20 + length), SocketFlags.None, address);
            }
        }

        return sent;
    }

    // First datagrams of connections, as a client of links makes them.
    private static byte[][] Initials()
    {
        var entropy = new RandomBytes();
        var initials = new byte[Templates][];
        for (int i = 0; i < Templates; i++)
        {
            using var client = new QuicEndpoint(new QuicEndpointOptions { Transport = new LinkOptions().Transport }, entropy);
            client.Connect(UdpAddress.FromVirtual(1), new TlsClientOptions { PinnedServerKey = new byte[32], Alpn = [LinkOptions.Alpn] }, null, Instant.Zero);
            byte[] buffer = new byte[65536];
            if (!client.TryTransmit(buffer, out int bytes, out int segment, out _, Instant.Zero)) throw new InvalidOperationException("no Initial");
            initials[i] = buffer[..Math.Min(bytes, segment)];
        }

        return initials;
    }

    private sealed class RandomBytes : IEntropy
    {
        public void FillPublic(Span<byte> destination) => System.Security.Cryptography.RandomNumberGenerator.Fill(destination);

        public void FillSecret(Span<byte> destination) => FillPublic(destination);
    }

    private sealed class Drain : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        public Drain()
        {
            _socket.Bind(new IPEndPoint(IPAddress.Parse("127.77.0.1"), 0));
            new Thread(Read) { IsBackground = true }.Start();
        }

        public IPEndPoint Address => (IPEndPoint)_socket.LocalEndPoint!;

        public void Dispose() => _socket.Dispose();

        private void Read()
        {
            byte[] buffer = new byte[2048];
            try
            {
                while (_socket.Receive(buffer) >= 0)
                {
                }
            }
            catch (SocketException)
            {
                // The end.
            }
        }
    }
}
