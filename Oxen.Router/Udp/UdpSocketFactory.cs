using Oxen.Router.Core;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Udp;

/// <summary>How the sockets of a router are opened.</summary>
internal sealed record UdpSocketOptions
{
    /// <summary>An IPv6 address that takes IPv4 as well.</summary>
    public bool DualStack { get; init; }

    public int ReceiveBufferBytes { get; init; } = 32 << 20;

    public int SendBufferBytes { get; init; } = 8 << 20;

    /// <summary>Takes the managed socket even where batches work.</summary>
    public bool ForceManaged { get; init; }

    /// <summary>SO_MARK of the sockets, so that routing rules know our own packets; 0: none.</summary>
    public uint Mark { get; init; }

    /// <summary>Uses UDP_SEGMENT and UDP_GRO where the kernel has them.</summary>
    public bool Offload { get; init; } = true;
}

/// <summary>Chooses the kind of socket, and opens one for each shard.</summary>
internal static class UdpSocketFactory
{
    /// <summary>Why batched sockets do not work here, or null. For `oxen doctor` and the log.</summary>
    public static string? BatchesMissing => NativeSelfTest.Failure;

    public static IUdpSocket Open(UdpAddress address, UdpSocketOptions? options = null) => Open(address, 1, options)[0];

    /// <summary>
    /// One socket for each shard, all on one address: a sealed datagram reaches shard (receiver index mod shards), everything
    /// else shard 0. Port 0 chooses one port for all.
    /// </summary>
    /// <exception cref="IOException">The address is taken, not ours, or forbidden.</exception>
    /// <exception cref="PlatformNotSupportedException">Several shards need batched sockets.</exception>
    public static IUdpSocket[] Open(UdpAddress address, int shards, UdpSocketOptions? options = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(shards, 1);
        if (address.Family is not (UdpFamily.IPv4 or UdpFamily.IPv6)) throw new ArgumentException("a socket binds to an IP address", nameof(address));
        options ??= new UdpSocketOptions();
        if (options.ForceManaged || BatchesMissing is not null)
        {
            if (shards > 1) throw new PlatformNotSupportedException($"more than one shard needs batched UDP: {BatchesMissing ?? "it is switched off"}");
            return [new ManagedUdpSocket(address, options.DualStack, Math.Min(options.ReceiveBufferBytes, 4 << 20), Math.Min(options.SendBufferBytes, 4 << 20))];
        }

        LinuxUdpSocket[] sockets = LinuxUdpSocket.OpenGroup(UdpShapes.ToEndPoint(address), shards, new LinuxUdpOptions
        {
            DualStack = options.DualStack,
            ReceiveBufferBytes = options.ReceiveBufferBytes,
            SendBufferBytes = options.SendBufferBytes,
            Segmentation = options.Offload,
            Coalescing = options.Offload,
            Mark = options.Mark,
        });
        return Array.ConvertAll(sockets, s => (IUdpSocket)new BatchedUdpSocket(s));
    }
}
