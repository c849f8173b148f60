using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Clients;

/// <summary>What a storage node answered.</summary>
/// <param name="status">Status code of the storage API; 0: no answer.</param>
/// <param name="body">JSON or text.</param>
public sealed class SwarmAnswer(int status, ReadOnlyMemory<byte> body)
{
    /// <summary>Nobody answered.</summary>
    public static SwarmAnswer None { get; } = new(0, default);

    /// <summary>Status code of the storage API; 0: no answer.</summary>
    public int Status { get; } = status;

    /// <summary>JSON, or the words of an error.</summary>
    public ReadOnlyMemory<byte> Body { get; } = body;
}

/// <summary>A way to storage nodes: straight by HTTPS, or through onion paths.</summary>
public interface ISwarmRoute
{
    /// <summary>Asks one node; the request is the body of `POST /storage_rpc/v1`. Whoever cannot be reached is <see cref="SwarmAnswer.None"/>, not an exception.</summary>
    Task<SwarmAnswer> AskAsync(SwarmMember node, ReadOnlyMemory<byte> request, CancellationToken cancel);
}
