namespace Oxen.Swarm.Clients;

/// <summary>A message that was stored.</summary>
/// <param name="hash">What it is called, 43 characters.</param>
/// <param name="expiry">Until when it is kept, ms since 1970.</param>
/// <param name="kept">Members that said they have it on disk.</param>
/// <param name="members">Members that were asked.</param>
public sealed class SwarmStored(string hash, long expiry, int kept, int members)
{
    /// <summary>What it is called, 43 characters.</summary>
    public string Hash { get; } = hash;

    /// <summary>Until when it is kept, ms since 1970.</summary>
    public long Expiry { get; } = expiry;

    /// <summary>Members that said they have it on disk: more than half.</summary>
    public int Kept { get; } = kept;

    /// <summary>Members that were asked.</summary>
    public int Members { get; } = members;
}

/// <summary>A message that was retrieved; its bytes belong to its hash.</summary>
/// <param name="hash">What it is called, 43 characters.</param>
/// <param name="timestamp">When it was stored, by its sender's word, ms since 1970.</param>
/// <param name="expiry">Until when it is kept, ms since 1970.</param>
/// <param name="data">The bytes.</param>
public sealed class SwarmMessage(string hash, long timestamp, long expiry, ReadOnlyMemory<byte> data)
{
    /// <summary>What it is called, 43 characters.</summary>
    public string Hash { get; } = hash;

    /// <summary>When it was stored, by its sender's word, ms since 1970.</summary>
    public long Timestamp { get; } = timestamp;

    /// <summary>Until when it is kept, ms since 1970.</summary>
    public long Expiry { get; } = expiry;

    /// <summary>The bytes.</summary>
    public ReadOnlyMemory<byte> Data { get; } = data;
}
