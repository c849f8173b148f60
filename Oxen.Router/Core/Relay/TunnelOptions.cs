using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Core.Relay;

/// <summary>Which end of a tunnel a router is, and how much one shard handles in a turn.</summary>
internal sealed record TunnelOptions
{
    /// <summary>True: packets go into paths with the leased address in place of our own. False: an exit.</summary>
    public required bool IsClient { get; init; }

    /// <summary>The interface's own addresses; 0 for a family that it does not have.</summary>
    public required InnerAddresses Own { get; init; }

    /// <summary>An exit's: the addresses of lease 0; lease n has those n further on.</summary>
    public InnerAddresses First { get; init; }

    /// <summary>An exit's leases; 1 for a client.</summary>
    public int Peers { get; init; } = 1;

    /// <summary>The device takes several UDP datagrams as one (USO, Linux 6.2).</summary>
    public bool MergeUdp { get; init; } = true;

    /// <summary>What an exit lets out; one for each shard.</summary>
    public Func<IPacketPolicy>? Policy { get; init; }

    /// <summary>Packets of 64 KiB that are read in a turn; of small ones eight times as many.</summary>
    public int ReadSlots { get; init; } = 8;

    /// <summary>Onion packets that a turn makes of them: a power of two.</summary>
    public int OutSlots { get; init; } = 512;

    /// <summary>Onion packets on their way from one other shard: a power of two.</summary>
    public int CrossSlots { get; init; } = 256;

    /// <summary>Packets, and pieces of packets, that are handed to the system in a turn.</summary>
    public int WritePackets { get; init; } = 1024;

    public int WritePieces { get; init; } = 4096;

    /// <summary>ICMP errors that one shard answers with in a second.</summary>
    public int ErrorsPerSecond { get; init; } = 100;
}
