using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Testing;

/// <summary>A router's data plane in memory: its shards, and the allocators that its control thread would own.</summary>
internal sealed class ShardNode : IDisposable
{
    public ShardNode(int number, int shardCount, ShardOptions sizes, NetworkClock clock, SeededEntropy entropy, TunnelOptions? tunnel = null)
    {
        Number = number;
        Clock = clock;
        Address = UdpAddress.FromVirtual((ulong)number + 1, 1000);
        Shards = new ShardCore[shardCount];
        Handles = new HandleAllocator[shardCount];
        Indexes = new ReceiverIndexAllocator[shardCount];
        Numbers = new PathNumberAllocator[shardCount];
        for (int i = 0; i < shardCount; i++)
        {
            ShardOptions options = sizes with { Shard = i, ShardCount = shardCount, Tunnel = tunnel };
            Shards[i] = new ShardCore(options, clock, entropy);
            Handles[i] = new HandleAllocator(i, shardCount, options.MaxSlots, entropy);
            Indexes[i] = new ReceiverIndexAllocator(i, shardCount, options.MaxReceivers, entropy);
            Numbers[i] = new PathNumberAllocator(options.MaxPaths);
        }

        if (tunnel is null) return;
        Tuns = [.. Shards.Select(_ => new MemoryTun())];
        foreach (ShardCore shard in Shards) shard.Tunnel!.Connect(Shards, static _ => { });
    }

    public int Number { get; }

    public UdpAddress Address { get; set; }

    public NetworkClock Clock { get; }

    public ShardCore[] Shards { get; }

    public HandleAllocator[] Handles { get; }

    public ReceiverIndexAllocator[] Indexes { get; }

    public PathNumberAllocator[] Numbers { get; }

    /// <summary>With a tunnel: the queue of each shard.</summary>
    public MemoryTun[] Tuns { get; } = [];

    public ShardCore Core => Shards[0];

    public long Dropped(DropReason reason) => Shards.Sum(s => s.Drops[reason]);

    public long AllDrops => Shards.Sum(s => s.Drops.Total);

    public void Dispose()
    {
        foreach (ShardCore shard in Shards) shard.Dispose();
    }
}
