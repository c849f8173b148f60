using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;
using Oxen.Router.Udp;

namespace Oxen.Ladder;

/// <summary>
/// `pipeline`: the relay pipeline in memory, everything on (open, look-up, peel, replay filter, route, seal), beside its three kernels alone.
/// `relay`: the same behind UdpDriver on a socket, beside bench/native/forwarder.c. Target: C needs at least 0.28 of what we need; aim 0.45.
/// </summary>
internal static class RelayRung
{
    private const int Segments = 45;

    public static int RunInMemory(LadderOptions options)
    {
        options.PrintHeader("pipeline: relay pipeline in memory, batches of 16 receives of 45 full packets");
        UdpAddress source = UdpAddress.FromVirtual(1), target = UdpAddress.FromVirtual(2);
        Console.WriteLine("  paths   suite              ns/packet  median of all samples                             kernels alone  B/packet  dropped");
        foreach (LinkSuite suite in new[] { LinkSuite.Aegis128L, LinkSuite.AesGcm128, LinkSuite.ChaCha20Poly1305 })
        {
            int[] counts = suite == LinkSuite.Aegis128L ? [1, 100, 10_000] : [100];
            RelayUnderTest[] relays = [.. counts.Select(n => new RelayUnderTest(n, suite, source, target))];
            var samples = relays.Select(_ => new List<double>()).ToArray();
            var kernels = new List<double>();
            var allocated = new long[relays.Length];
            var packets = new long[relays.Length];
            for (int round = 0; round <= options.Repetitions; round++)
            {
                for (int r = 0; r < relays.Length; r++)
                {
                    (double ns, long bytes, long count) = Measure(relays[r], source, options.Period);
                    if (round == 0) continue; // the JIT settles
                    samples[r].Add(ns);
                    allocated[r] += bytes;
                    packets[r] += count;
                }

                double alone = MeasureKernels(suite);
                if (round > 0) kernels.Add(alone);
            }

            for (int r = 0; r < relays.Length; r++)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{counts[r],7}  {suite,-17} {Median(samples[r]),9:F0}  [{string.Join(' ', samples[r].Select(v => v.ToString("F0", CultureInfo.InvariantCulture))),-46}]  {Median(kernels),13:F0}  {(double)allocated[r] / packets[r],8:F3}  {relays[r].Core.Drops.Total}"));
                relays[r].Dispose();
            }
        }

        return 0;
    }

    public static int RunOverUdp(LadderOptions options)
    {
        string? program = NativeForwarder.Compile();
        if (program is null) return 2;
        try
        {
            options.PrintHeader("relay: a whole relay hop over UDP / C forwarder, 1424-byte packets, 100 paths, AEGIS-128L");
            Console.WriteLine("  G  machine              ns/packet  median of all samples                             C / it   kpps    B/packet  segments/receive  dropped");
            foreach (int segments in options.Segments)
            {
                RelayUnderTest? relay = null;
                using var generator = new Generator(SealedDatagram.FullBytes, segments, options.Window, (packets, bytes) => relay!.Prepare(packets, bytes, relay.Clock.Now));
                relay = new RelayUnderTest(100, LinkSuite.Aegis128L, generator.Address, generator.Address);
                using var native = new NativeForwarder(program, options.Port++, generator.Address, options.ForwarderCpu);
                using (var machine = new DrivenMachine<Router.Core.Relay.ShardCore>("relay hop", relay.Core, relay.Core.Receives, options.ForwarderCpu))
                {
                    Series[] series = Series.Interleave(options, generator, (native, native.Address), (machine, machine.Address));
                    foreach (Series s in series)
                    {
                        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                            $"{segments,3}  {s.Name,-20} {s.Median,9:F0}  [{string.Join(' ', s.Nanoseconds.Select(v => v.ToString("F0", CultureInfo.InvariantCulture))),-46}]  {series[0].Median / s.Median,6:F2}  {s.KiloPacketsPerSecond,6:F0}  {s.BytesPerPacket,8:F3}  {s.SegmentsPerReceive,16:F1}  {(s == series[1] ? relay.Core.Drops.Total : 0)}"));
                    }

                    foreach (DropReason reason in Enum.GetValues<DropReason>())
                    {
                        if (relay.Core.Drops[reason] > 0) Console.WriteLine($"     dropped {DropCounters.NameOf(reason)}: {relay.Core.Drops[reason]}");
                    }
                }

                if (generator.Lost > 0) Console.WriteLine($"     {generator.Lost} packets were given up after half a second without any answer");
                relay.Dispose();
            }

            return 0;
        }
        finally
        {
            File.Delete(program);
        }
    }

    // CPU time of HandleDatagrams alone; filling the slots is the neighbour's work.
    private static (double Nanoseconds, long Allocated, long Packets) Measure(RelayUnderTest relay, UdpAddress source, TimeSpan period)
    {
        MonotonicClock clock = relay.Clock;
        ReceiveBatch batch = relay.Core.Receives;
        long cpu = 0, packets = 0, allocated = 0;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < period)
        {
            Instant now = clock.Now;
            batch.Count = batch.Slots;
            for (int i = 0; i < batch.Slots; i++)
            {
                int length = Segments * SealedDatagram.FullBytes;
                relay.Prepare(relay.Core.Slab.Slice(i * ReceiveBatch.SlotBytes, length), SealedDatagram.FullBytes, now);
                batch.Items[i] = new Received { Offset = i * ReceiveBatch.SlotBytes, Length = length, SegmentBytes = SealedDatagram.FullBytes, From = source };
            }

            long bytes = GC.GetAllocatedBytesForCurrentThread();
            long before = LinuxThread.CpuNanoseconds;
            relay.Core.HandleDatagrams(batch, now);
            cpu += LinuxThread.CpuNanoseconds - before;
            allocated += GC.GetAllocatedBytesForCurrentThread() - bytes;
            packets += relay.Core.Transmits.Count;
            relay.Core.TransmitsSent();
            if (relay.Core.NextDeadline <= now) relay.Core.HandleTimeout(now);
        }

        return ((double)cpu / packets, allocated, packets);
    }

    // Open, one layer, seal, over as many bytes as a batch holds: what no pipeline can do without.
    private static double MeasureKernels(LinkSuite suite)
    {
        const int Packets = 45 * 16;
        byte[] all = new byte[Packets * SealedDatagram.FullBytes];
        byte[] chain = RandomNumberGenerator.GetBytes(32);
        byte[] key = new byte[LinkKeys.ReadyKeyBytes];
        LinkKeys.ReadyKey(chain, suite, key);
        byte[] expanded = new byte[LayerKeys.ExpandedBytes];
        LayerKeys.Expand(RandomNumberGenerator.GetBytes(LayerKeys.RawBytes), expanded);
        LayerTweak tweak = LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, 1);
        long cpu = 0;
        const int Rounds = 200;
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < Packets; i++) LinkSeal.Seal(all.AsSpan(i * SealedDatagram.FullBytes, SealedDatagram.FullBytes), key, suite);
            long before = LinuxThread.CpuNanoseconds;
            for (int i = 0; i < Packets; i++)
            {
                Span<byte> datagram = all.AsSpan(i * SealedDatagram.FullBytes, SealedDatagram.FullBytes);
                if (!LinkSeal.Open(datagram, key, suite)) throw new InvalidOperationException("does not open");
                OnionLayer.Forward(datagram[SealedDatagram.HeaderBytes..^SealedDatagram.TagBytes], expanded, tweak);
                LinkSeal.Seal(datagram, key, suite);
            }

            cpu += LinuxThread.CpuNanoseconds - before;
        }

        return (double)cpu / (Rounds * Packets);
    }

    private static double Median(List<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
