using System.Buffers;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

/// <summary>
/// Answers look-ups out of a copy of the ledger, with proofs; while that is still being opened, they wait. Only at the end of a path: a link would show who asks
/// (docs/protocol/ons.md#through-a-path).
/// </summary>
internal sealed class OnsPlugin(Task<LedgerHost> opening) : IRouterPlugin
{
    private long _answered;

    public string Name => "ons";

    /// <summary>Questions that got a proof.</summary>
    public long Answered => Interlocked.Read(ref _answered);

    public void Map(IRequestMap requests, IRouterServices services)
    {
        ArgumentNullException.ThrowIfNull(requests);
        requests.Add(ProofWire.ResolveMethod, ResolveAsync).Add(ProofWire.WayMethod, WayAsync).Add(ProofWire.SubnameMethod, SubnameAsync);
    }

    private async ValueTask<ResponseCode> ResolveAsync(RequestContext request)
    {
        if (request.Origin != RequestOrigin.Path) return ResponseCode.Denied;
        if (request.Body.Length != ProofWire.ResolveBytes || !ProofWire.ReadQuestion(request.Body.ToArray(), out Bytes32 network, out Bytes32 first, out Bytes32 second)) return ResponseCode.BadRequest;
        request.Response.Write(await AnswerAsync(network, first, second, request.Aborted).ConfigureAwait(false));
        return ResponseCode.Ok;
    }

    private async Task<byte[]> AnswerAsync(Bytes32 network, Bytes32 first, Bytes32 second, CancellationToken cancel)
    {
        LedgerHost host = await opening.WaitAsync(cancel).ConfigureAwait(false);
        if (network != host.State.Network) return ProofWire.Padded(ProofStatus.OtherNetwork, ProofWire.ResolveAnswerBytes);
        if (await host.LatestSignedAsync(cancel).ConfigureAwait(false) is not { } signed) return ProofWire.Padded(ProofStatus.NothingSigned, ProofWire.ResolveAnswerBytes);
        Interlocked.Increment(ref _answered);
        SparseTree tree = signed.State.Tree;
        return ProofWire.Answer(signed.Header, signed.Signatures, tree.Prove(first), tree.Prove(second)) ?? throw new InvalidOperationException("two proofs do not fit an answer");
    }

    private async ValueTask<ResponseCode> WayAsync(RequestContext request)
    {
        if (request.Origin != RequestOrigin.Path) return ResponseCode.Denied;
        if (request.Body.Length != ProofWire.WayBytes || !ProofWire.ReadWayQuestion(request.Body.ToArray(), out Bytes32 network, out ulong height, out Bytes32 committee)) return ResponseCode.BadRequest;
        LedgerHost host = await opening.WaitAsync(request.Aborted).ConfigureAwait(false);
        byte[] answer = network != host.State.Network ? ProofWire.Padded(ProofStatus.OtherNetwork, ProofWire.WayAnswerBytes)
            : host.CommitteeOf(committee) is not { } known ? ProofWire.Padded(ProofStatus.UnknownCommittee, ProofWire.WayAnswerBytes)
            : ProofWire.WayAnswer(await new ProofServer(host).WayAsync(height, known, request.Aborted).ConfigureAwait(false));
        request.Response.Write(answer);
        return ResponseCode.Ok;
    }

    private async ValueTask<ResponseCode> SubnameAsync(RequestContext request)
    {
        if (request.Origin != RequestOrigin.Path) return ResponseCode.Denied;
        if (request.Body.Length != ProofWire.ResolveBytes || !ProofWire.ReadQuestion(request.Body.ToArray(), out Bytes32 network, out Bytes32 zone, out Bytes32 lookup)) return ResponseCode.BadRequest;
        LedgerHost host = await opening.WaitAsync(request.Aborted).ConfigureAwait(false);
        request.Response.Write(network != host.State.Network ? ProofWire.Padded(ProofStatus.OtherNetwork, ProofWire.SubnameAnswerBytes) : ProofWire.SubnameAnswer(host.Subnames.Find(zone, lookup)));
        return ResponseCode.Ok;
    }
}
