using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Rpc;

// What copies of a ledger and members of its committee call: blocks with their signatures, and votes about nodes.
internal sealed partial class LedgerRpc
{
    /// <summary>Most blocks of one answer.</summary>
    public const int MaxBlocks = 64;

    private const int MaxBlockBytes = 8 << 20;

    private async Task BlocksAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("from", "count");
        ulong from = p.Number("from"), count = p.Number("count");
        if (from == 0 || count is 0 or > MaxBlocks) throw RpcParameters.Bad($"from is a height above 0, count from 1 to {MaxBlocks}");
        json.WriteNumber("height", host.State.Height);
        IReadOnlyList<byte[]> blocks = await host.ReadBlocksAsync(from, (int)count, cancel).ConfigureAwait(false);
        var given = new List<byte[]>();
        int bytes = 0;
        foreach (byte[] block in blocks)
        {
            bytes += block.Length;
            if (given.Count > 0 && bytes > MaxBlockBytes) break;
            given.Add(block);
        }

        json.WriteStartArray("blocks");
        foreach (byte[] block in given) json.WriteBase64StringValue(block);
        json.WriteEndArray();
        json.WriteStartArray("signatures");
        var writer = new LedgerWriter(2048);
        for (int i = 0; i < given.Count; i++)
        {
            HeaderSignatures signatures = await host.SignaturesAtAsync(from + (ulong)i, cancel).ConfigureAwait(false);
            writer.Clear();
            if (signatures.ByMember.Count > 0) signatures.Write(writer);
            json.WriteBase64StringValue(writer.Written);
        }

        json.WriteEndArray();
    }

    private async Task VoteAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("node", "height", "verdict", "reasons", "member", "signature");
        ulong verdict = p.Number("verdict"), reasons = p.Number("reasons");
        if (verdict > (byte)Verdict.Recommission || reasons > (ushort)NodeReasons.All) throw RpcParameters.Bad("verdict is 0 (failing) or 1 (works again), reasons the sum of reason bits up to 255");
        var body = new NodeVerdictBody(p.Hash("node"), p.Number("height"), (Verdict)verdict, (NodeReasons)reasons, []);
        (NodeVerdictBody now, int quorum) = await host.VoteAsync(body, p.Hash("member"), p.Base64("signature", LedgerSignature.Bytes), cancel).ConfigureAwait(false) ?? throw RpcParameters.Bad("this is no vote of a member of the committee that signs the next block");
        json.WriteNumber("votes", now.Votes.Length);
        json.WriteNumber("quorum", quorum);
        var writer = new LedgerWriter(2048);
        now.Write(writer);
        json.WriteBase64String("verdict", writer.Written);
    }
}
