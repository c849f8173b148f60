using System.Collections.Concurrent;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;
using Oxen.Router.Udp;
using Oxen.Router.Tests.Contracts;
using Oxen.Testing;

namespace Oxen.Router.Tests.Udp;

public sealed class UdpDriverTests
{
    private static readonly UdpAddress Loopback = UdpAddress.FromBytes([127, 0, 0, 1], 0);
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(20);

    private readonly MemoryUdpNetwork _network = new();

    [Fact]
    public void What_arrives_reaches_the_core_and_what_the_core_sends_leaves()
    {
        using var rig = new Rig(_network.Open(Loopback));
        using IUdpSocket peer = _network.Open(Loopback);
        using var end = new UdpTestEnd(peer);
        rig.Core.EchoTo = peer.LocalAddress;
        rig.Driver.Start();
        end.Route(0, rig.Address);
        for (int i = 0; i < 100; i++) end.Add(1424, 0);
        end.Send();
        end.CollectEqual(end.Sent);
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(100, rig.Driver.Counters.Datagrams);
        Assert.Equal(100, rig.Driver.Counters.Sent);
        Assert.Equal(142_400, rig.Driver.Counters.BytesReceived);
    }

    [Fact]
    public void The_same_over_a_real_socket_with_batches()
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        using var rig = new Rig(UdpSocketFactory.Open(Loopback));
        using IUdpSocket peer = UdpSocketFactory.Open(Loopback);
        using var end = new UdpTestEnd(peer);
        rig.Core.EchoTo = peer.LocalAddress;
        rig.Driver.Start();
        end.Route(0, rig.Address);
        for (int i = 0; i < 90; i++) end.Add(1424, 0);
        end.Send();
        end.CollectEqual(end.Sent);
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(90, rig.Driver.Counters.Datagrams);
        Assert.InRange(rig.Driver.Counters.Receives, 1, 89); // coalesced
    }

    [Fact]
    public void A_packet_costs_the_drivers_thread_no_allocation()
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        using var rig = new Rig(UdpSocketFactory.Open(Loopback));
        using IUdpSocket peer = UdpSocketFactory.Open(Loopback);
        using var end = new UdpTestEnd(peer);
        rig.Core.EchoTo = peer.LocalAddress;
        rig.Driver.Start();
        end.Route(0, rig.Address);
        for (int i = 0; i < 90; i++) end.Add(1424, 0);
        for (int round = 0; round < 400; round++)
        {
            if (round == 200) rig.Core.Settled = true; // the JIT is done; from here on the core takes the measure
            end.Send();
            Assert.Equal(90, end.Collect(90).Count);
        }

        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(36_000, rig.Driver.Counters.Datagrams);
        Assert.True(rig.Core.AllocatedAtFirst > 0);
        Assert.Equal(0, rig.Core.AllocatedAtLast - rig.Core.AllocatedAtFirst);
    }

    [Fact]
    public void A_command_from_another_thread_wakes_a_sleeping_driver_every_time()
    {
        using var rig = new Rig(UdpSocketFactory.Open(Loopback));
        rig.Driver.Start();
        for (int i = 1; i <= 200; i++)
        {
            rig.Core.Commands.Enqueue(i);
            rig.Driver.Wake();
            Assert.True(SpinWait.SpinUntil(() => rig.Core.Handled == i, Long), $"command {i} was slept over");
        }

        Assert.True(rig.Driver.Counters.Sleeps > 0);
    }

    [Fact]
    public void A_deadline_is_kept_without_any_traffic()
    {
        using var rig = new Rig(_network.Open(Loopback));
        rig.Core.Deadline = rig.Clock.Now + TimeSpan.FromMilliseconds(30);
        Instant due = rig.Core.Deadline;
        rig.Driver.Start();
        Assert.True(rig.Core.TimedOut.Wait(Long));
        Assert.True(rig.Core.TimeoutAt >= due, "called before its time");
        Assert.True(rig.Driver.Stop(Long));
        Assert.InRange(rig.Driver.Counters.Turns, 1, 50); // it slept, it did not spin
    }

    [Fact]
    public void An_idle_driver_sleeps()
    {
        using var rig = new Rig(_network.Open(Loopback));
        rig.Driver.Start();
        Assert.True(SpinWait.SpinUntil(() => rig.Driver.Counters.Sleeps > 0, Long));
        long turns = rig.Driver.Counters.Turns;
        Thread.Yield();
        Assert.InRange(rig.Driver.Counters.Turns - turns, 0, 2);
    }

    [Fact]
    public void An_exception_in_a_turn_costs_an_event_and_not_the_thread()
    {
        var events = new ConcurrentQueue<UdpDriverEvent>();
        using var rig = new Rig(_network.Open(Loopback), new UdpDriverOptions { OnEvent = events.Enqueue, BackOff = TimeSpan.FromMilliseconds(1) });
        rig.Driver.Start();
        rig.Core.Throw = 3;
        for (int i = 1; i <= 5; i++)
        {
            rig.Core.Commands.Enqueue(i);
            rig.Driver.Wake();
        }

        Assert.True(SpinWait.SpinUntil(() => rig.Core.Handled == 5, Long));
        Assert.True(rig.Driver.IsRunning);
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(3, rig.Driver.Counters.Faults);
        Assert.Equal(3, events.Count(e => e.Kind == UdpDriverEventKind.TurnFailed && e.Exception is InvalidOperationException));
        Assert.Equal(UdpDriverEventKind.Stopped, events.Last().Kind);
        Assert.False(rig.Driver.IsRunning);
    }

    [Fact]
    public void A_lost_socket_is_made_anew_and_traffic_goes_on()
    {
        var events = new ConcurrentQueue<UdpDriverEvent>();
        var failing = new LosingSocket(_network.Open(Loopback));
        MemoryUdpSocket? second = null;
        int attempts = 0;
        using var rig = new Rig(failing, new UdpDriverOptions
        {
            OnEvent = events.Enqueue,
            ReopenSocket = () => ++attempts < 3 ? throw new IOException("not yet") : second = _network.Open(failing.LocalAddress),
        });
        using IUdpSocket peer = _network.Open(Loopback);
        using var end = new UdpTestEnd(peer);
        rig.Core.EchoTo = peer.LocalAddress;
        rig.Driver.Start();
        failing.Lose = true;
        rig.Driver.Wake();
        Assert.True(SpinWait.SpinUntil(() => rig.Driver.Counters.SocketsRemade == 1, Long));
        end.Route(0, failing.LocalAddress);
        end.Add(1424, 0);
        end.Send();
        end.CollectEqual(end.Sent);
        Assert.Contains(events, e => e.Kind == UdpDriverEventKind.SocketLost);
        Assert.Contains(events, e => e.Kind == UdpDriverEventKind.SocketReopened);
    }

    [Fact]
    public void Without_a_way_to_make_it_anew_a_lost_socket_ends_the_driver()
    {
        var events = new ConcurrentQueue<UdpDriverEvent>();
        using var rig = new Rig(new LosingSocket(_network.Open(Loopback)) { Lose = true }, new UdpDriverOptions { OnEvent = events.Enqueue });
        rig.Driver.Start();
        Assert.True(SpinWait.SpinUntil(() => !rig.Driver.IsRunning, Long));
        Assert.Equal([UdpDriverEventKind.SocketLost, UdpDriverEventKind.Stopped], events.Select(e => e.Kind));
    }

    [Fact]
    public void Busy_polling_never_sleeps()
    {
        using var rig = new Rig(_network.Open(Loopback), new UdpDriverOptions { BusyPoll = true });
        rig.Driver.Start();
        Assert.True(SpinWait.SpinUntil(() => rig.Driver.Counters.Turns > 100, Long));
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(0, rig.Driver.Counters.Sleeps);
    }

    [Fact]
    public void Kernel_drops_are_counted_in_the_core()
    {
        using var rig = new Rig(_network.Open(Loopback, queueBytes: 20_000));
        using IUdpSocket peer = _network.Open(Loopback);
        using var end = new UdpTestEnd(peer);
        end.Route(0, rig.Address);
        for (int i = 0; i < 100; i++) end.Add(1424, 0);
        end.Send(); // before the driver runs: 14 fit
        rig.Driver.Start();
        Assert.True(SpinWait.SpinUntil(() => rig.Driver.Counters.Datagrams == 14, Long));
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(86, rig.Core.Drops[DropReason.KernelReceiveQueue]);
    }

    [Fact]
    public void Packets_of_the_tunnel_go_through_the_core_and_back_to_the_device()
    {
        using var slab = new PinnedBlock(TunnelBytes);
        using var tun = new MemoryTun();
        var port = new EchoPort(slab);
        using var rig = new Rig(_network.Open(Loopback), tun: tun, port: port);
        rig.Driver.Start();
        for (byte i = 1; i <= 20; i++)
        {
            Assert.True(tun.SystemSends([i, 2, 3]));
            TunPacket? back = null;
            Assert.True(SpinWait.SpinUntil(() => tun.TryTakeWritten(out back!), Long));
            Assert.Equal([i, 2, 3], back!.Bytes);
        }

        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal(20, rig.Driver.Counters.TunRead);
        Assert.Equal(20, rig.Driver.Counters.TunWritten);
    }

    [Fact]
    public void A_tunnel_that_wants_nothing_is_not_read_and_the_driver_sleeps_all_the_same()
    {
        using var slab = new PinnedBlock(TunnelBytes);
        using var tun = new MemoryTun();
        var port = new EchoPort(slab) { Wants = false };
        using var rig = new Rig(_network.Open(Loopback), tun: tun, port: port);
        rig.Driver.Start();
        Assert.True(tun.SystemSends([1, 2, 3]));
        Assert.True(SpinWait.SpinUntil(() => rig.Driver.Counters.Sleeps > 1, Long));
        Assert.Equal(0, rig.Driver.Counters.TunRead);
        port.Wants = true;
        rig.Driver.Wake();
        Assert.True(SpinWait.SpinUntil(() => tun.TryTakeWritten(out _), Long));
    }

    [Fact]
    public void A_device_that_is_gone_is_told_once_and_the_datagrams_go_on()
    {
        var events = new ConcurrentQueue<UdpDriverEvent>();
        using var slab = new PinnedBlock(TunnelBytes);
        var tun = new MemoryTun();
        using var rig = new Rig(_network.Open(Loopback), new UdpDriverOptions { OnEvent = events.Enqueue }, tun, new EchoPort(slab));
        rig.Driver.Start();
        tun.Dispose();
        rig.Driver.Wake();
        Assert.True(SpinWait.SpinUntil(() => !events.IsEmpty, Long));
        for (int i = 1; i <= 3; i++)
        {
            rig.Core.Commands.Enqueue(i);
            rig.Driver.Wake();
        }

        Assert.True(SpinWait.SpinUntil(() => rig.Core.Handled == 3, Long));
        Assert.True(rig.Driver.Stop(Long));
        Assert.Equal([UdpDriverEventKind.TunLost, UdpDriverEventKind.Stopped], events.Select(e => e.Kind));
        Assert.Equal(0, rig.Driver.Counters.Faults);
    }

    private const int TunnelBytes = 4 * TunReadBatch.SlotBytes;

    /// <summary>A core's side of a tunnel that sends back what it reads.</summary>
    private sealed class EchoPort(PinnedBlock slab) : ITunnelPort
    {
        public volatile bool Wants = true;

        public bool WantsTunReads => Wants && TunReads.Count == 0;

        public TunReadBatch TunReads { get; } = new(slab, 0, 4);

        public TunWriteBatch TunWrites { get; } = new(slab, 32, 32);

        public bool HasTunnelWork => false;

        public void HandleTunnel(Instant now)
        {
            TunWrites.Clear();
            foreach (ref readonly TunRead read in TunReads.Items.AsSpan(0, TunReads.Count))
            {
                TunWrites.Pieces[TunWrites.PieceCount] = new TunPiece { Offset = read.Offset, Length = read.Length };
                TunWrites.Items[TunWrites.Count++] = new TunWrite { FirstPiece = TunWrites.PieceCount++, PieceCount = 1, Length = read.Length };
            }

            TunReads.Clear();
        }
    }

    /// <summary>A driver over an echoing core.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly PinnedBlock _slab = new(16 * ReceiveBatch.SlotBytes);

        public Rig(IUdpSocket socket, UdpDriverOptions? options = null, MemoryTun? tun = null, ITunnelPort? port = null)
        {
            Core = new EchoCore(_slab);
            Address = socket.LocalAddress;
            Driver = new UdpDriver<EchoCore>(Core, socket, new ReceiveBatch(_slab, 0, 16), Clock, options, tun, port);
        }

        public MonotonicClock Clock { get; } = new(TimeProvider.System);

        public EchoCore Core { get; }

        public UdpAddress Address { get; }

        public UdpDriver<EchoCore> Driver { get; }

        public void Dispose()
        {
            Driver.Dispose();
            _slab.Dispose();
        }
    }

    /// <summary>Sends back what arrives; counts commands; throws when told to.</summary>
    private sealed class EchoCore(PinnedBlock slab) : IShardCore
    {
        private int _handled;

        public ConcurrentQueue<int> Commands { get; } = new();

        public UdpAddress EchoTo { get; set; }

        public int Handled => Volatile.Read(ref _handled);

        public volatile int Throw;
        public volatile bool Settled;

        public long AllocatedAtFirst { get; private set; }

        public long AllocatedAtLast { get; private set; }

        public Instant Deadline { get; set; } = Instant.Never;

        public ManualResetEventSlim TimedOut { get; } = new();

        public Instant TimeoutAt { get; private set; }

        public Instant NextDeadline => Deadline;

        public TransmitBatch Transmits { get; } = new(slab, 2048);

        public bool HasPendingWork => !Commands.IsEmpty;

        public DropCounters Drops { get; } = new();

        public void HandleCommands(Instant now)
        {
            while (!Commands.IsEmpty)
            {
                // Asked for each command: between one look and the next, others may have come.
                if (Throw > 0)
                {
                    Throw--;
                    throw new InvalidOperationException("a broken machine");
                }

                if (Commands.TryDequeue(out int number)) Volatile.Write(ref _handled, number);
            }
        }

        public void HandleDatagrams(ReceiveBatch batch, Instant now)
        {
            if (Settled)
            {
                AllocatedAtLast = GC.GetAllocatedBytesForCurrentThread();
                if (AllocatedAtFirst == 0) AllocatedAtFirst = AllocatedAtLast;
            }

            Transmits.Routes[0] = EchoTo;
            for (int i = 0; i < batch.Count; i++)
            {
                Received r = batch.Items[i];
                for (int at = 0; at < r.Length; at += r.SegmentBytes) Transmits.TryAdd(r.Offset + at, Math.Min(r.SegmentBytes, r.Length - at), 0);
            }
        }

        public void HandleOriginations(Instant now)
        {
        }

        public void HandleTimeout(Instant now)
        {
            TimeoutAt = now;
            Deadline = Instant.Never;
            TimedOut.Set();
        }

        public void TransmitsSent() => Transmits.Clear();
    }

    private sealed class LosingSocket(MemoryUdpSocket inner) : IUdpSocket
    {
        public volatile bool Lose;

        public UdpAddress LocalAddress => inner.LocalAddress;

        public int Receive(ReceiveBatch batch) => Lose ? throw new UdpSocketLostException("recvmmsg", LibC.EBADF) : inner.Receive(batch);

        public void Wait(TimeSpan timeout) => inner.Wait(timeout);

        public void AlsoWaitFor(int pollHandle) => inner.AlsoWaitFor(pollHandle);

        public void Wake() => inner.Wake();

        public int Send(TransmitBatch batch, DropCounters drops) => inner.Send(batch, drops);

        public IUdpSender OpenSender() => inner.OpenSender();

        public void Dispose() => inner.Dispose();
    }
}
