namespace Oxen.Ladder;

/// <summary>Running totals of a machine under test.</summary>
internal readonly record struct Sample(long Packets, long CpuNanoseconds, long Receives, long AllocatedBytes)
{
    public static Sample operator -(Sample a, Sample b)
        => new(a.Packets - b.Packets, a.CpuNanoseconds - b.CpuNanoseconds, a.Receives - b.Receives, a.AllocatedBytes - b.AllocatedBytes);

    /// <summary>CPU time of the forwarder for one packet: the number to trust on a loaded machine.</summary>
    public double NanosecondsPerPacket => Packets == 0 ? double.NaN : (double)CpuNanoseconds / Packets;
}

/// <summary>Something that takes packets at one address and sends them on to another.</summary>
internal interface IMachineUnderTest : IDisposable
{
    string Name { get; }

    Sample Read();
}
