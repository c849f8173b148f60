namespace Oxen.Router.Core.Relay;

/// <summary>Sizes and limits of one shard. Everything is laid out at the start; nothing grows on the packet path.</summary>
internal sealed record ShardOptions
{
    public int Shard { get; init; }

    /// <summary>1 to 16; the same for all shards of a process.</summary>
    public int ShardCount { get; init; } = 1;

    /// <summary>Receives in a batch, 64 KiB each.</summary>
    public int ReceiveSlots { get; init; } = 16;

    /// <summary>Slots of the ring to the control thread: a power of two.</summary>
    public int ControlSlots { get; init; } = 1024;

    /// <summary>Slots of the ring to the session thread: a power of two.</summary>
    public int DeliverySlots { get; init; } = 2048;

    /// <summary>Slots of the ring from the session thread: a power of two.</summary>
    public int OriginationSlots { get; init; } = 2048;

    /// <summary>Receiver indexes of this shard: a power of two.</summary>
    public int MaxReceivers { get; init; } = 1024;

    /// <summary>Pairs of (link, shard of the peer) to send to.</summary>
    public int MaxSenders { get; init; } = 1024;

    /// <summary>Path numbers of this shard.</summary>
    public int MaxPaths { get; init; } = 4096;

    /// <summary>How many of the paths may be a client's: each has keys of all its hops.</summary>
    public int MaxClientPaths { get; init; } = 32;

    /// <summary>Slots that handles name: two for a transit path with both directions here, one for an end.</summary>
    public int MaxSlots => MaxPaths * 2;

    /// <summary>Memory of the replay filter of forwarded packets, both epochs together; it is touched only as it fills.</summary>
    public long ReplayFilterBytes { get; init; } = 128L << 20;

    /// <summary>Default cap of each path direction; 0 means none.</summary>
    public int PathPacketsPerSecond { get; init; }

    /// <summary>Answers (probes, statistics) of one path.</summary>
    public int AnswersPerSecond { get; init; } = 100;

    public int AnswerBurst { get; init; } = 64;

    /// <summary>The tunnel that this router is an end of; null: none.</summary>
    public TunnelOptions? Tunnel { get; init; }
}
