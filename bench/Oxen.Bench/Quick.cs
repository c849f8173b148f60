using Oxen.Bench.Core;
using Oxen.Bench.Core.Tunnel;

namespace Oxen.Bench;

// A hand loop for noisy machines: every subject once per round, rounds interleaved, median of the rounds, in CPU time. Ratios of
// neighbours in the same run mean something; nanoseconds from different runs do not.
internal static class Quick
{
    private const int Rounds = 61;
    private const double RoundMilliseconds = 8;

    public static int Run()
    {
        SymmetricSubjects s = new();
        (string Name, Action<int> Loop, string Against)[] subjects =
        [
            ("aegis128l seal", s.AegisSeal, "libsodium aegis128l seal"),
            ("libsodium aegis128l seal", s.SodiumAegisSeal, ""),
            ("aegis128l seal + open", s.AegisSealOpen, "libsodium aegis128l seal + open"),
            ("libsodium aegis128l seal + open", s.SodiumAegisSealOpen, ""),
            ("chacha20", s.ChaCha20Xor, "libsodium chacha20"),
            ("libsodium chacha20", s.SodiumChaCha20Xor, ""),
            ("chacha20poly1305 seal", s.ChaCha20Poly1305Seal, "runtime chacha20poly1305 seal"),
            ("runtime chacha20poly1305 seal", s.RuntimeChaCha20Poly1305Seal, ""),
            ("aes128gcm seal", s.Gcm128Seal, "runtime aes128gcm seal"),
            ("runtime aes128gcm seal", s.RuntimeGcm128Seal, ""),
            ("polyval", s.PolyvalHash, "chacha20"),
            ("aes128ctr", s.AesCtrXor, "chacha20"),
            ("onion layer forward", s.LayerForward, "chacha20"),
            ("onion layer inverse", s.LayerInverse, "chacha20"),
        ];
        return Run(SymmetricSubjects.Bytes, subjects);
    }

    /// <summary>The tunnel's work on a segment, against the copy that lies below it.</summary>
    public static int RunSegments()
    {
        using SegmentSubjects s = new();
        return Run(
            SegmentSubjects.SegmentBytes,
            [
                ("copy headers and payload", s.Copy, ""),
                ("the same, summed", s.CopyAndSum, "copy headers and payload"),
                ("cut a super-packet", s.Cut, "copy headers and payload"),
                ("sum of a segment", s.Sum, "scalar sum of a segment"),
                ("scalar sum of a segment", s.SumScalar, ""),
                ("verify a segment", s.Verify, "scalar sum of a segment"),
                ("merge to a super-packet", s.Merge, "verify a segment"),
            ]);
    }

    private static int Run(int bytes, (string Name, Action<int> Loop, string Against)[] subjects)
    {
        double[][] samples = new double[subjects.Length][];
        int[] repeats = new int[subjects.Length];
        for (int i = 0; i < subjects.Length; i++)
        {
            samples[i] = new double[Rounds];
            subjects[i].Loop(2000);
            double perCall = Time(subjects[i].Loop, 5000);
            repeats[i] = Math.Max(1000, (int)(RoundMilliseconds * 1e6 / perCall));
        }

        for (int round = 0; round < Rounds; round++)
            for (int i = 0; i < subjects.Length; i++)
                samples[i][round] = Time(subjects[i].Loop, repeats[i]);

        Console.WriteLine($"{$"{bytes} bytes",-34} {"median ns",10} {"best ns",9} {"GB/s",6}   ratio (time of the other / own time, median of rounds)");
        for (int i = 0; i < subjects.Length; i++)
        {
            double median = Median(samples[i]);
            string ratio = "";
            int other = Array.FindIndex(subjects, x => x.Name == subjects[i].Against);
            if (other >= 0) ratio = $"{Median([.. samples[other].Zip(samples[i], (a, b) => a / b)]):0.00} x {subjects[other].Name}";
            Console.WriteLine($"{subjects[i].Name,-34} {median,10:0.0} {samples[i].Min(),9:0.0} {bytes / median,6:0.0}   {ratio}");
        }

        return 0;
    }

    private static double Time(Action<int> loop, int times)
    {
        // CPU time: other programs on the machine may push us aside, but that is not our cost.
        TimeSpan start = Environment.CpuUsage.TotalTime;
        loop(times);
        return (Environment.CpuUsage.TotalTime - start).TotalNanoseconds / times;
    }

    private static double Median(double[] values)
    {
        double[] sorted = [.. values];
        Array.Sort(sorted);
        return sorted[sorted.Length / 2];
    }
}
