using System.Buffers;
using System.Buffers.Binary;
using Oxen.Router.Handlers;
using Oxen.Swarm.Api;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm;

// The storage API through the router: requests that came by a link or inside an onion path. docs/protocol/swarm.md#router
//
//   swarm.rpc     {"method","params"} as in POST /storage_rpc/v1      ->      status 2, big-endian | body
//
// An answer of the router is at most 1 MiB, so a retrieval is cut to what fits, with "more": true.

/// <summary>Offers a storage node's API to the router's request handlers.</summary>
public sealed class SwarmPlugin : IRouterPlugin
{
    private readonly Func<SwarmNode?> _node;

    /// <summary>For a node that runs.</summary>
    public SwarmPlugin(SwarmNode node)
        : this(() => node) => ArgumentNullException.ThrowIfNull(node);

    /// <summary>For a node that may start later, or end sooner, than the router: requests meanwhile are answered <see cref="ResponseCode.Busy"/>.</summary>
    public SwarmPlugin(Func<SwarmNode?> node)
    {
        ArgumentNullException.ThrowIfNull(node);
        _node = node;
    }

    // Base64 of this and the envelope stay below 1 MiB.
    private const long RetrieveBytes = 900_000;

    /// <inheritdoc/>
    public string Name => "swarm";

    /// <inheritdoc/>
    public void Map(IRequestMap requests, IRouterServices services)
    {
        ArgumentNullException.ThrowIfNull(requests);
        requests.Add("swarm.rpc", AnswerAsync);
    }

    private async ValueTask<ResponseCode> AnswerAsync(RequestContext request)
    {
        if (_node() is not { NotReady.Count: 0 } node) return ResponseCode.Busy;
        ApiResult result = await AnswerAsync(node, request.Body.ToArray(), request.Aborted).ConfigureAwait(false);
        BinaryPrimitives.WriteUInt16BigEndian(request.Response.GetSpan(2), (ushort)result.Status);
        request.Response.Advance(2);
        request.Response.Write(result.ToBytes(bt: false));
        return ResponseCode.Ok;
    }

    /// <summary>What the method answers to a body.</summary>
    internal static async Task<ApiResult> AnswerAsync(SwarmNode node, byte[] body, CancellationToken cancel)
    {
        if (!JsonWire.TryRead(body, out object? value) || value is not WireMap map || map.GetValueOrDefault("method") is not string method || map.GetValueOrDefault("params") is not WireMap parameters)
            return await node.Api.HandleJsonAsync(body, node.Limits, cancel).ConfigureAwait(false); // it says what is wrong
        if (method == "retrieve") Limit(parameters);
        return await node.Api.HandleAsync(method, parameters, bt: false, node.Limits, cancel).ConfigureAwait(false);
    }

    private static void Limit(WireMap parameters)
    {
        long asked = parameters.GetValueOrDefault("max_size") is long size ? size : 0;
        if (asked is <= 0 or > RetrieveBytes) parameters["max_size"] = RetrieveBytes;
    }
}
