using System.Diagnostics;

namespace Oxen.Bench.Core.Paths;

/// <summary>`Oxen.Bench build-step`: the figures of <see cref="BuildStepBench"/> in a few seconds, best of seven in turn.</summary>
internal static class BuildStepLoop
{
    public static void Run()
    {
        using var bench = new BuildStepBench();
        bench.Prepare();
        double step = double.MaxValue, sum = double.MaxValue, noise = double.MaxValue;
        long allocated = 0;
        for (int round = 0; round < 7; round++)
        {
            bench.Forget();
            long before = GC.GetAllocatedBytesForCurrentThread();
            step = Math.Min(step, Microseconds(() => bench.Relay_step()));
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            sum = Math.Min(sum, Microseconds(bench.Sum_of_primitives));
            bench.Forget();
            noise = Math.Min(noise, Microseconds(bench.Noise_refused));
        }

        Console.WriteLine($"relay step {step:F1} us ({1e3 / step:F2} k/s), primitives {sum:F1} us ({step / sum:F3} of them), noise refused {noise:F1} us; {allocated} B allocated in {BuildStepBench.Builds} steps");
    }

    private static double Microseconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds / BuildStepBench.Builds;
    }
}
