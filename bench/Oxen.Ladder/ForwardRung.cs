using System.Globalization;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;

namespace Oxen.Ladder;

/// <summary>
/// `forward`: the I/O engine alone. UdpDriver with a core that only forwards, beside bench/native/forwarder.c: same system calls,
/// same packets, same CPU, taking turns. Target: C needs at least 0.95 of what we need.
/// </summary>
internal static class ForwardRung
{
    public const int PacketBytes = 1424;

    public static int Run(LadderOptions options)
    {
        string? program = NativeForwarder.Compile();
        if (program is null) return 2;
        try
        {
            options.PrintHeader("forward: UdpDriver with a forwarding core / C forwarder, 1424-byte packets");
            Console.WriteLine("  G  machine              ns/packet  median of all samples                             C / it   kpps    B/packet  segments/receive");
            int failures = 0;
            foreach (int segments in options.Segments)
            {
                using var generator = new Generator(PacketBytes, segments, options.Window);
                using var native = new NativeForwarder(program, options.Port++, generator.Address, options.ForwarderCpu);
                using var slab = new PinnedBlock(16 * ReceiveBatch.SlotBytes);
                using var mergedSlab = new PinnedBlock(16 * ReceiveBatch.SlotBytes);
                using var plain = new DrivenMachine<ForwardingCore>("C# driver", new ForwardingCore(slab, generator.Address, merge: false), new ReceiveBatch(slab, 0, 16), options.ForwarderCpu);
                using var merged = new DrivenMachine<ForwardingCore>("C# driver, merging", new ForwardingCore(mergedSlab, generator.Address, merge: true), new ReceiveBatch(mergedSlab, 0, 16), options.ForwarderCpu);
                Series[] series = Series.Interleave(options, generator, (native, native.Address), (plain, plain.Address), (merged, merged.Address));
                foreach (Series s in series)
                {
                    double ratio = series[0].Median / s.Median;
                    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"{segments,3}  {s.Name,-20} {s.Median,9:F0}  [{string.Join(' ', s.Nanoseconds.Select(v => v.ToString("F0", CultureInfo.InvariantCulture))),-46}]  {ratio,6:F2}  {s.KiloPacketsPerSecond,6:F0}  {s.BytesPerPacket,8:F3}  {s.SegmentsPerReceive,8:F1}"));
                    if (s.BytesPerPacket > 0) failures++;
                }

                if (generator.Lost > 0) Console.WriteLine($"     {generator.Lost} packets were given up after half a second without any answer");
            }

            return failures == 0 ? 0 : 1;
        }
        finally
        {
            File.Delete(program);
        }
    }
}
