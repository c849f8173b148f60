namespace Oxen.Router.Hosting;

/// <summary>A router's counters at one moment.</summary>
internal sealed record RouterFigures
{
    public required string Router { get; init; }

    public required long DatagramsReceived { get; init; }

    public required long DatagramsSent { get; init; }

    public required long BytesReceived { get; init; }

    /// <summary>Sealed datagrams, by the size of the full class.</summary>
    public required long BytesSent { get; init; }

    /// <summary>Bytes that the shard threads allocated since they started.</summary>
    public required long DriverBytesAllocated { get; init; }

    public required long SessionBytesAllocated { get; init; }

    /// <summary>Paths that cross, end or begin here.</summary>
    public required int Paths { get; init; }

    /// <summary>Packets (of up to 64 KiB) that the system sent into the tunnel's interface, and that it was handed.</summary>
    public long TunnelPacketsRead { get; init; }

    public long TunnelPacketsWritten { get; init; }

    /// <summary>Dropped packets by reason.</summary>
    public required IReadOnlyDictionary<string, long> Drops { get; init; }
}
