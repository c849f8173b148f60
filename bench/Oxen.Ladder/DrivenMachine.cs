using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native.Linux;
using Oxen.Router.Tun;
using Oxen.Router.Udp;

namespace Oxen.Ladder;

/// <summary>Any shard core behind the real <see cref="UdpDriver{TCore}"/>, on a thread and a CPU of its own. Every rung in C# is one of these.</summary>
internal sealed class DrivenMachine<TCore> : IMachineUnderTest
    where TCore : class, IShardCore
{
    private readonly UdpDriver<Measured> _driver;
    private readonly Readings _readings = new();

    /// <param name="name">For the table.</param>
    /// <param name="core">The core; it forwards to where its maker told it.</param>
    /// <param name="batch">Receive slots in the core's slab.</param>
    /// <param name="cpu">The CPU that the thread stays on.</param>
    public DrivenMachine(string name, TCore core, ReceiveBatch batch, int cpu)
        : this(name, core, batch, cpu, UdpSocketFactory.Open(UdpAddress.FromBytes([127, 0, 0, 1], 0)))
    {
    }

    /// <param name="name">For the table.</param>
    /// <param name="core">The core.</param>
    /// <param name="batch">Receive slots in the core's slab.</param>
    /// <param name="cpu">The CPU that the thread stays on.</param>
    /// <param name="socket">Becomes the driver's.</param>
    /// <param name="tun">A TUN device, with `port`, the core's side of it.</param>
    public DrivenMachine(string name, TCore core, ReceiveBatch batch, int cpu, IUdpSocket socket, ITunDevice? tun = null, ITunnelPort? port = null)
    {
        Name = name;
        Core = core;
        Address = socket.LocalAddress;
        _driver = new UdpDriver<Measured>(new Measured(core, _readings), socket, batch, new MonotonicClock(TimeProvider.System), new UdpDriverOptions
        {
            Name = name,
            Cpu = cpu,
            OnEvent = e =>
            {
                if (e.Exception is not null) Console.Error.WriteLine($"{name}: {e.Exception}");
            },
        }, tun, port);
        _driver.Start();
    }

    public string Name { get; }

    public TCore Core { get; }

    public UdpAddress Address { get; }

    public UdpDriverCounters Counters => _driver.Counters;

    /// <summary>Asks the driver's thread, since only it can read its own clocks.</summary>
    public Sample Read()
    {
        _readings.Asked = true;
        _driver.Wake();

        // Polled: setting an event that somebody waits on may allocate on the thread that we count.
        for (int i = 0; _readings.Asked; i++)
        {
            if (i == 10_000) throw new TimeoutException($"{Name} does not answer");
            Thread.Sleep(1);
        }

        return new Sample(Counters.Sent, _readings.Cpu, Counters.Receives, _readings.Allocated);
    }

    public void Dispose() => _driver.Dispose();

    private sealed class Readings
    {
        public volatile bool Asked;
        public long Cpu, Allocated;

        public void Answer()
        {
            Cpu = LinuxThread.CpuNanoseconds;
            Allocated = GC.GetAllocatedBytesForCurrentThread();
            Asked = false;
        }
    }

    /// <summary>The core, plus one look at a flag per turn.</summary>
    private readonly struct Measured(TCore core, Readings readings) : IShardCore
    {
        public Instant NextDeadline => core.NextDeadline;

        public TransmitBatch Transmits => core.Transmits;

        public bool HasPendingWork => readings.Asked || core.HasPendingWork;

        public DropCounters Drops => core.Drops;

        public void HandleCommands(Instant now)
        {
            if (readings.Asked) readings.Answer();
            core.HandleCommands(now);
        }

        public void HandleDatagrams(ReceiveBatch batch, Instant now) => core.HandleDatagrams(batch, now);

        public void HandleOriginations(Instant now) => core.HandleOriginations(now);

        public void HandleTimeout(Instant now) => core.HandleTimeout(now);

        public void TransmitsSent() => core.TransmitsSent();
    }
}
