using System.Runtime.InteropServices;

namespace Oxen.Router.Udp;

/// <summary>What a driver's thread has done. Written by that thread alone, read by anyone; on cache lines of its own.</summary>
internal sealed class UdpDriverCounters
{
    private Lines _lines;

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Lines
    {
        [FieldOffset(64)] public long Turns;
        [FieldOffset(72)] public long Receives;
        [FieldOffset(80)] public long Datagrams;
        [FieldOffset(88)] public long BytesReceived;
        [FieldOffset(96)] public long Sends;
        [FieldOffset(104)] public long Sent;
        [FieldOffset(112)] public long Sleeps;
        [FieldOffset(120)] public long Faults;
        [FieldOffset(128)] public long SocketsRemade;
        [FieldOffset(136)] public long Voluntary;
        [FieldOffset(144)] public long Involuntary;
        [FieldOffset(152)] public long CpuNanoseconds;
        [FieldOffset(160)] public long AllocatedBytes;
        [FieldOffset(168)] public long TunRead;
        [FieldOffset(176)] public long TunWritten;
    }

    /// <summary>Turns of the loop.</summary>
    public long Turns => _lines.Turns;

    /// <summary>Receives from the kernel; with GRO each may hold many datagrams.</summary>
    public long Receives => _lines.Receives;

    public long Datagrams => _lines.Datagrams;

    public long BytesReceived => _lines.BytesReceived;

    /// <summary>Batches sent.</summary>
    public long Sends => _lines.Sends;

    /// <summary>Datagrams that the kernel took.</summary>
    public long Sent => _lines.Sent;

    public long Sleeps => _lines.Sleeps;

    /// <summary>Exceptions that the supervisor caught.</summary>
    public long Faults => _lines.Faults;

    public long SocketsRemade => _lines.SocketsRemade;

    /// <summary>How often the kernel let the thread sleep; sampled.</summary>
    public long VoluntarySwitches => _lines.Voluntary;

    /// <summary>How often the kernel put the thread aside for another; sampled.</summary>
    public long InvoluntarySwitches => _lines.Involuntary;

    /// <summary>CPU time of the thread; sampled.</summary>
    public long CpuNanoseconds => _lines.CpuNanoseconds;

    /// <summary>Bytes that the thread allocated on the managed heap; sampled. Stands still under load.</summary>
    public long AllocatedBytes => _lines.AllocatedBytes;

    /// <summary>Packets read from the TUN device; a super-packet counts once.</summary>
    public long TunRead => _lines.TunRead;

    /// <summary>Packets that the TUN device took; a super-packet counts once.</summary>
    public long TunWritten => _lines.TunWritten;

    public void CountTunRead(int packets) => _lines.TunRead += packets;

    public void CountTunWritten(int packets) => _lines.TunWritten += packets;

    public void CountReceived(int receives, int datagrams, long bytes)
    {
        _lines.Receives += receives;
        _lines.Datagrams += datagrams;
        _lines.BytesReceived += bytes;
    }

    public void CountSent(int datagrams)
    {
        _lines.Sends++;
        _lines.Sent += datagrams;
    }

    public long CountTurn() => ++_lines.Turns;

    public void CountSleep() => _lines.Sleeps++;

    public void CountFault() => _lines.Faults++;

    public void CountRemade() => _lines.SocketsRemade++;

    /// <summary>Cheap enough for every sleep, so that the figure is fresh on an idle router too.</summary>
    public void SampleAllocated(long bytes) => _lines.AllocatedBytes = bytes;

    public void Sample(long voluntary, long involuntary, long cpuNanoseconds, long allocatedBytes)
    {
        _lines.Voluntary = voluntary;
        _lines.Involuntary = involuntary;
        _lines.CpuNanoseconds = cpuNanoseconds;
        _lines.AllocatedBytes = allocatedBytes;
    }
}
