using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Peers;

/// <summary>Carries a request to another node and brings its answer: by HTTPS, or through memory in tests.</summary>
internal interface IPeerTransport
{
    /// <summary>The answer's bytes, proven to come from that node; null if there was none in time, whatever the reason.</summary>
    Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel);
}
