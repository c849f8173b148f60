using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;

namespace Oxen.Ladder;

/// <summary>
/// `soak`: the relay hop over UDP under load for as long as asked (60 s crosses an epoch's end), with the promise of the hot path
/// as its verdict: no byte allocated by the relay's thread, no collection in the process. Exit code 1 if it is broken.
/// </summary>
internal static class SoakRung
{
    public static int Run(LadderOptions options)
    {
        options.PrintHeader("soak: a relay hop over UDP under load");
        RelayUnderTest? relay = null;
        using var generator = new Generator(SealedDatagram.FullBytes, 45, options.Window, (packets, bytes) => relay!.Prepare(packets, bytes, relay.Clock.Now));
        relay = new RelayUnderTest(100, LinkSuite.Aegis128L, generator.Address, generator.Address);
        var machine = new DrivenMachine<ShardCore>("relay hop", relay.Core, relay.Core.Receives, options.ForwarderCpu);
        // Every path of the code must have run once, waking, sleeping and sampling (each 1024 turns) too: the first call of a
        // native function allocates on the thread that makes it.
        for (int i = 0; i < 3 || (machine.Counters.Turns < 3000 && i < 20); i++)
        {
            generator.Start(machine.Address, options.GeneratorCpu);
            Thread.Sleep(TimeSpan.FromSeconds(2));
            machine.Read();
            generator.Stop();
            Thread.Sleep(TimeSpan.FromMilliseconds(200));
            machine.Read();
        }

        generator.Start(machine.Address, options.GeneratorCpu);
        Thread.Sleep(TimeSpan.FromSeconds(1));
        Sample before = machine.Read();
        int collections = Collections();
        long start = Stopwatch.GetTimestamp();
        Thread.Sleep(options.Period);
        int collected = Collections() - collections;
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Sample taken = machine.Read() - before;
        generator.Stop();

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"seconds {seconds:F1}  packets {taken.Packets}  kpps {taken.Packets / seconds / 1000:F0}  allocated {taken.AllocatedBytes}  collections {collected}  dropped {relay.Core.Drops.Total}  given_up {generator.Lost}"));
        foreach (DropReason reason in Enum.GetValues<DropReason>())
        {
            if (relay.Core.Drops[reason] > 0) Console.WriteLine($"dropped {DropCounters.NameOf(reason)}: {relay.Core.Drops[reason]}");
        }

        machine.Dispose();
        bool kept = taken.AllocatedBytes == 0 && collected == 0 && taken.Packets > 0;
        relay.Dispose();
        Console.WriteLine(kept ? "kept" : "BROKEN");
        return kept ? 0 : 1;
    }

    private static int Collections() => GC.CollectionCount(0) + GC.CollectionCount(1) + GC.CollectionCount(2);
}
