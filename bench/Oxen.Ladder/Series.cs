using System.Diagnostics;
using Oxen.Router.Core;

namespace Oxen.Ladder;

/// <summary>The samples of one machine. Machines take turns, so that the weather of the computer meets all of them.</summary>
internal sealed class Series(string name)
{
    private readonly List<Sample> _samples = [];
    private double _seconds;

    public string Name { get; } = name;

    public IReadOnlyList<double> Nanoseconds => [.. _samples.Select(s => s.NanosecondsPerPacket)];

    public double Median
    {
        get
        {
            double[] sorted = [.. Nanoseconds.Order()];
            return sorted.Length == 0 ? double.NaN : sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[sorted.Length / 2 - 1] + sorted[sorted.Length / 2]) / 2;
        }
    }

    public double KiloPacketsPerSecond => _samples.Sum(s => s.Packets) / _seconds / 1000;

    /// <summary>Managed bytes of the forwarding thread, over the whole measured time.</summary>
    public double BytesPerPacket => (double)_samples.Sum(s => s.AllocatedBytes) / Math.Max(1, _samples.Sum(s => s.Packets));

    public double SegmentsPerReceive => (double)_samples.Sum(s => s.Packets) / Math.Max(1, _samples.Sum(s => s.Receives));

    public static Series[] Interleave(LadderOptions options, Generator generator, params (IMachineUnderTest Machine, UdpAddress Address)[] machines)
    {
        Series[] all = [.. machines.Select(m => new Series(m.Machine.Name))];
        for (int round = 0; round < options.Repetitions; round++)
        {
            for (int i = 0; i < machines.Length; i++)
            {
                generator.Start(machines[i].Address, options.GeneratorCpu);

                // The first round also lets the JIT settle.
                Thread.Sleep(round == 0 ? options.WarmUp : options.WarmUp / 8);
                Sample before = machines[i].Machine.Read();
                long start = Stopwatch.GetTimestamp();
                Thread.Sleep(options.Period);
                Sample after = machines[i].Machine.Read();
                all[i]._seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
                generator.Stop();
                all[i]._samples.Add(after - before);
            }
        }

        return all;
    }
}
