using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Resolving;

/// <summary>A light client's resolver at the end of an onion path: a relay that has a copy of the ledger. It does not learn who asks.</summary>
internal sealed class PathProofSource(IPathRequests requests, int path, Bytes32 network) : IProofSource
{
    public string Name => $"the relay at the end of path {path + 1}";

    public async Task<IReadOnlyList<byte[]>> AskAsync(IReadOnlyList<Bytes32> keys, CancellationToken cancel)
    {
        // One key is asked twice: a question has one size.
        byte[] question = ProofWire.Question(network, keys[0], keys[^1]);
        byte[] body = await SendAsync(ProofWire.ResolveMethod, question, ProofWire.ResolveAnswerBytes, cancel).ConfigureAwait(false);
        (ProofStatus status, byte[][] answers) = ProofWire.ReadAnswer(body) ?? throw new ProofSourceException($"{Name} gave something that is no answer");
        return status == ProofStatus.Ok ? answers[..keys.Count] : throw Withheld(status);
    }

    public async Task<IReadOnlyList<HandOver>> WayAsync(ulong height, Committee committee, CancellationToken cancel)
    {
        byte[] body = await SendAsync(ProofWire.WayMethod, ProofWire.WayQuestion(network, height, committee.Hash), ProofWire.WayAnswerBytes, cancel).ConfigureAwait(false);
        (ProofStatus status, IReadOnlyList<HandOver> steps) = ProofWire.ReadWay(body) ?? throw new ProofSourceException($"{Name} gave something that is no answer");
        return status == ProofStatus.Ok ? steps : throw Withheld(status);
    }

    public async Task<byte[]?> SubnameAsync(Bytes32 zone, Bytes32 lookup, CancellationToken cancel)
    {
        byte[] body = await SendAsync(ProofWire.SubnameMethod, ProofWire.Question(network, zone, lookup), ProofWire.SubnameAnswerBytes, cancel).ConfigureAwait(false);
        (ProofStatus status, byte[]? record) = ProofWire.ReadSubname(body) ?? throw new ProofSourceException($"{Name} gave something that is no answer");
        return status == ProofStatus.Ok ? record : throw Withheld(status);
    }

    private async Task<byte[]> SendAsync(string method, byte[] question, int answerBytes, CancellationToken cancel)
    {
        try
        {
            PathResponse response = await requests.AskAsync(path, method, question, answerBytes, cancel).ConfigureAwait(false);
            return response.Code switch
            {
                ResponseCode.Ok => response.Body.ToArray(),
                ResponseCode.UnknownMethod => throw new ProofSourceException($"{Name} has no copy of the ledger"),
                _ => throw new ProofSourceException($"{Name} refused to answer: {response.Code}"),
            };
        }
        catch (IOException e)
        {
            throw new ProofSourceException($"{Name} was not reached: {e.Message}", e);
        }
    }

    private ProofSourceException Withheld(ProofStatus status) => new(status switch
    {
        ProofStatus.OtherNetwork => $"{Name} has the ledger of another network",
        ProofStatus.NothingSigned => $"{Name} has no block that a quorum signed",
        _ => $"{Name} never had this client's committee",
    });
}
