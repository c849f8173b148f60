namespace Oxen.Swarm;

/// <summary>What a storage node holds, and what it did since its start. Bytes and counts.</summary>
public sealed class SwarmFigures
{
    /// <summary>The node's id, 64 hexadecimal digits.</summary>
    public required string Node { get; init; }

    /// <summary>Its swarm's id in hexadecimal; sixteen f: none.</summary>
    public required string Swarm { get; init; }

    /// <summary>Members of the swarm, this node included, and those of the others that answer.</summary>
    public required int Members { get; init; }

    /// <summary>Members that answered the last time they were asked, this node included.</summary>
    public required int Answering { get; init; }

    /// <summary>Swarms of the network.</summary>
    public required int Swarms { get; init; }

    /// <summary>Storage nodes of the network.</summary>
    public required int Nodes { get; init; }

    /// <summary>Why clients are refused; empty if they are served.</summary>
    public required IReadOnlyList<string> NotReady { get; init; }

    /// <summary>What is wrong with the database or the disk; empty when nothing is.</summary>
    public required string Trouble { get; init; }

    /// <summary>Messages, accounts that have some, and their bytes.</summary>
    public required long Messages { get; init; }

    /// <summary>Accounts that have messages.</summary>
    public required long Accounts { get; init; }

    /// <summary>Bytes of the messages.</summary>
    public required long MessageBytes { get; init; }

    /// <summary>Traces of deleted messages.</summary>
    public required long Tombstones { get; init; }

    /// <summary>Records that wait for members which did not answer.</summary>
    public required long Hints { get; init; }

    /// <summary>Bytes of the database in use.</summary>
    public required long DatabaseBytes { get; init; }

    /// <summary>The most bytes of the database.</summary>
    public required long MaxDatabaseBytes { get; init; }

    /// <summary>Stores that were acknowledged.</summary>
    public required long Stores { get; init; }

    /// <summary>Retrievals.</summary>
    public required long Retrieves { get; init; }

    /// <summary>Writes that found no quorum.</summary>
    public required long Refused { get; init; }

    /// <summary>Onion requests, and those of them that went on to servers.</summary>
    public required long Onions { get; init; }

    /// <summary>Onion requests that went on to servers.</summary>
    public required long Proxied { get; init; }

    /// <summary>Records that came by comparison with another member.</summary>
    public required long Repaired { get; init; }

    /// <summary>Records that others got by comparison, or as hints.</summary>
    public required long Pushed { get; init; }

    /// <summary>Records that went to another swarm.</summary>
    public required long HandedOver { get; init; }
}
