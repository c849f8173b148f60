using System.Buffers.Binary;
using Oxen.Router.Client;
using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Swarm.Clients;
using Oxen.Swarm.Nodes;

namespace Oxen.Router.Daemon.Run;

/// <summary>Asks storage nodes through onion paths that end at them: they learn the request, and not whose it is.</summary>
/// <param name="client">Builds the paths.</param>
/// <param name="isolation">Requests of different accounts take different paths.</param>
internal sealed class OnionSwarmRoute(ClientService client, IsolationKey isolation) : ISwarmRoute
{
    /// <summary>Why the last node could not be asked; empty when it answered.</summary>
    public string Trouble { get; private set; } = "";

    public async Task<SwarmAnswer> AskAsync(SwarmMember node, ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        try
        {
            (ResponseCode code, byte[] body) = await client.RequestAsync(new RouterId(node.Ed25519.Span), isolation, "swarm.rpc", request, cancel).ConfigureAwait(false);
            Trouble = code == ResponseCode.Ok ? "" : $"a storage node answered {code}";
            return code switch
            {
                ResponseCode.Ok when body.Length >= 2 => new SwarmAnswer(BinaryPrimitives.ReadUInt16BigEndian(body), body.AsMemory(2)),
                ResponseCode.Busy => new SwarmAnswer(503, "the node is not ready"u8.ToArray()),
                _ => SwarmAnswer.None,
            };
        }
        catch (Exception e) when (e is OnionUnavailableException or IOException)
        {
            Trouble = e.Message;
            return SwarmAnswer.None;
        }
    }
}
