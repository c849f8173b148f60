using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native.Linux;
using Oxen.Router.Tun;

namespace Oxen.Router.Udp;

// The loop of one shard: one thread, one socket, one core. A turn:
//   1 receive   a batch, in one call                  2 now          one reading of the clock for the whole turn
//   3 commands  from other threads                    4 datagrams    worked on in place
//   5 tunnel    the TUN device's packets, if any      6 originate    packets from other threads
//   7 timeout   if due                                8 send         what all of these produced, to network and TUN
//   9 sleep     only if nothing came and nothing waits
// The supervisor stands around the turn: an exception costs its packets, an event and a pause, never the thread.

/// <summary>Drives one shard's core over one socket. The core is called on the driver's thread only.</summary>
/// <typeparam name="TCore">A sealed class or a struct, so that the calls need no dispatch.</typeparam>
internal sealed class UdpDriver<TCore> : IDisposable
    where TCore : IShardCore
{
    private const int SampleEvery = 1024;

    private readonly MonotonicClock _clock;
    private readonly ReceiveBatch _batch;
    private readonly UdpDriverOptions _options;
    private readonly ManualResetEventSlim _stopped = new();
    private readonly ITunnelPort? _port;
    private ITunDevice? _tun;
    private bool _waitsForTun;
    private TCore _core;
    private IUdpSocket? _socket;
    private Thread? _thread;
    private volatile bool _stop;

    /// <param name="core">The shard's core.</param>
    /// <param name="socket">Becomes the driver's: it closes it.</param>
    /// <param name="batch">Receive slots, in the core's slab.</param>
    /// <param name="clock">The clock of the router.</param>
    /// <param name="options">Names, CPU, events.</param>
    /// <param name="tun">The shard's queue of the tunnel; stays its owner's.</param>
    /// <param name="port">The core's side of the tunnel; with `tun` only.</param>
    public UdpDriver(TCore core, IUdpSocket socket, ReceiveBatch batch, MonotonicClock clock, UdpDriverOptions? options = null, ITunDevice? tun = null, ITunnelPort? port = null)
    {
        ArgumentNullException.ThrowIfNull(core);
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(clock);
        _core = core;
        _socket = socket;
        _batch = batch;
        _clock = clock;
        _options = options ?? new UdpDriverOptions();
        if ((tun is null) != (port is null)) throw new ArgumentException("a TUN device and the core's side of it belong together", nameof(tun));
        _tun = tun;
        _port = port;
        if (tun is { PollHandle: < 0 }) tun.OnReadable = Wake;
    }

    public UdpDriverCounters Counters { get; } = new();

    public bool IsRunning => _thread is not null && !_stopped.IsSet;

    public void Start()
    {
        if (_thread is not null) throw new InvalidOperationException("the driver was started already");
        _thread = new Thread(Run) { IsBackground = true, Name = _options.Name };
        _thread.Start();
    }

    /// <summary>Something waits in a queue of the core. Any thread; cheap while the driver is awake.</summary>
    public void Wake() => Volatile.Read(ref _socket)?.Wake();

    /// <summary>Ends the loop after the current turn. False if the thread is not done in time.</summary>
    public bool Stop(TimeSpan patience)
    {
        _stop = true;
        if (_thread is null) return true;
        Wake();
        return _thread.Join(patience);
    }

    /// <summary>Stops, and closes the socket.</summary>
    public void Dispose()
    {
        // A thread that hangs in its core keeps the socket: closing it underneath would hand its number to a stranger.
        if (!Stop(TimeSpan.FromSeconds(5))) return;
        Interlocked.Exchange(ref _socket, null)?.Dispose();
        _stopped.Dispose();
    }

    private void Run()
    {
        if (_options.Cpu is { } cpu) LinuxThread.PinTo(cpu);
        if (_options.Nice != 0) LinuxThread.TrySetNice(_options.Nice);
        TimeSpan pause = _options.BackOff;
        Instant lastFault = Instant.Zero;
        while (!_stop)
        {
            try
            {
                while (!_stop)
                {
                    if (Turn(_socket!)) continue;
                    if (_options.BusyPoll) Thread.SpinWait(8);
                    else Sleep(_socket!);
                }
            }
            catch (Exception e)
            {
                Counters.CountFault();
                bool lost = e is UdpSocketLostException;
                Report(lost ? UdpDriverEventKind.SocketLost : UdpDriverEventKind.TurnFailed, e);
                GiveBack();
                Instant now = _clock.Now;
                if (now - lastFault > _options.Forgiven) pause = _options.BackOff;
                lastFault = now;
                if (lost && _options.ReopenSocket is null) break;
                Pause(pause);
                pause = pause * 2 < _options.MaxBackOff ? pause * 2 : _options.MaxBackOff;
                if (lost) Reopen(ref pause);
            }
        }

        Sample();
        Report(UdpDriverEventKind.Stopped, null);
        _stopped.Set();
    }

    /// <summary>One turn. False if it found nothing to do.</summary>
    private bool Turn(IUdpSocket socket)
    {
        int receives = socket.Receive(_batch);
        int packets = _tun is { } tun && _port!.WantsTunReads ? ReadTun(tun) : 0;
        Instant now = _clock.Now;
        _core.HandleCommands(now);
        if (_batch.KernelDrops != 0) _core.Drops.Count(DropReason.KernelReceiveQueue, _batch.KernelDrops);
        if (receives > 0)
        {
            CountReceived(receives);
            _core.HandleDatagrams(_batch, now);
        }

        if (_tun is not null) _port!.HandleTunnel(now);
        _core.HandleOriginations(now);
        if (_core.NextDeadline <= now) _core.HandleTimeout(now);
        TransmitBatch transmits = _core.Transmits;
        bool sends = transmits.Count > 0;
        if (sends) Counters.CountSent(socket.Send(transmits, _core.Drops));
        if (_tun is { } device && _port!.TunWrites.Count > 0) WriteTun(device);
        _core.TransmitsSent();
        if ((Counters.CountTurn() & (SampleEvery - 1)) == 0) Sample();
        return receives > 0 || sends || packets > 0;
    }

    private int ReadTun(ITunDevice tun)
    {
        try
        {
            int packets = tun.Read(_port!.TunReads);
            if (packets > 0) Counters.CountTunRead(packets);
            return packets;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            LoseTun(e);
            return 0;
        }
    }

    private void WriteTun(ITunDevice tun)
    {
        try
        {
            Counters.CountTunWritten(tun.Write(_port!.TunWrites, _core.Drops));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            LoseTun(e);
        }
    }

    // Somebody took the interface away. Relaying goes on without it.
    private void LoseTun(Exception e)
    {
        _tun = null;
        Report(UdpDriverEventKind.TunLost, e);
    }

    private void Sleep(IUdpSocket socket)
    {
        // Whoever adds work publishes it first and wakes then; a wake from here on ends the wait at once.
        if (_core.HasPendingWork) return;
        bool tun = _tun is not null && _port!.WantsTunReads;
        if (tun != _waitsForTun)
        {
            _waitsForTun = tun;
            if (!tun) socket.AlsoWaitFor(-1);
            else if (_tun!.PollHandle >= 0) socket.AlsoWaitFor(_tun.PollHandle);
            return; // what came meanwhile is looked at first
        }

        if (_tun is not null && _port!.HasTunnelWork) return;
        Instant deadline = _core.NextDeadline;
        TimeSpan time = Timeout.InfiniteTimeSpan;
        if (!deadline.IsNever)
        {
            Instant now = _clock.Now;
            if (deadline <= now) return;

            // One tick more: the difference is cut to 100 ns, and waking before the deadline would cost a turn for nothing.
            time = deadline - now + new TimeSpan(1);
            if (time.Ticks > TimeSpan.TicksPerHour) time = TimeSpan.FromHours(1);
        }

        Counters.CountSleep();
        Counters.SampleAllocated(GC.GetAllocatedBytesForCurrentThread());
        socket.Wait(time);
    }

    private void CountReceived(int receives)
    {
        int datagrams = 0;
        long bytes = 0;
        foreach (ref readonly Received r in _batch.Items.AsSpan(0, receives))
        {
            bytes += r.Length;
            datagrams += r.Length <= r.SegmentBytes ? 1 : (r.Length + r.SegmentBytes - 1) / r.SegmentBytes;
        }

        Counters.CountReceived(receives, datagrams, bytes);
    }

    private void Sample()
    {
        (long voluntary, long involuntary) = LinuxThread.ContextSwitches;
        Counters.Sample(voluntary, involuntary, LinuxThread.CpuNanoseconds, GC.GetAllocatedBytesForCurrentThread());
    }

    // What the broken turn had taken goes back to its rings.
    private void GiveBack()
    {
        try
        {
            _core.TransmitsSent();
        }
        catch (Exception e)
        {
            Report(UdpDriverEventKind.TurnFailed, e);
        }
    }

    private void Reopen(ref TimeSpan pause)
    {
        Interlocked.Exchange(ref _socket, null)?.Dispose();
        while (!_stop)
        {
            try
            {
                Volatile.Write(ref _socket, _options.ReopenSocket!());
                _waitsForTun = false;
                Counters.CountRemade();
                Report(UdpDriverEventKind.SocketReopened, null);
                return;
            }
            catch (Exception e)
            {
                Report(UdpDriverEventKind.SocketLost, e);
                Pause(pause);
                pause = pause * 2 < _options.MaxBackOff ? pause * 2 : _options.MaxBackOff;
            }
        }
    }

    private void Pause(TimeSpan time)
    {
        // Short pieces, so that a stop is not kept waiting.
        long until = Environment.TickCount64 + (long)Math.Ceiling(time.TotalMilliseconds);
        while (!_stop && Environment.TickCount64 < until) Thread.Sleep((int)Math.Clamp(until - Environment.TickCount64, 1, 10));
    }

    private void Report(UdpDriverEventKind kind, Exception? exception) => _options.OnEvent?.Invoke(new UdpDriverEvent(kind, _options.Name, exception));
}
