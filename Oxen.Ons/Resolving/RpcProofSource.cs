using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;

namespace Oxen.Ons.Resolving;

/// <summary>A light client's resolver at the end of an HTTP connection. It learns who asks.</summary>
internal sealed class RpcProofSource(OxendClient server) : IProofSource
{
    public string Name => server.Server.ToString();

    public async Task<IReadOnlyList<byte[]>> AskAsync(IReadOnlyList<Bytes32> keys, CancellationToken cancel)
    {
        var answers = new List<byte[]>();
        foreach (Bytes32 key in keys)
        {
            JsonElement result = await CallAsync("ledger_prove", new { key = key.ToString() }, cancel).ConfigureAwait(false);
            answers.Add(Bytes(result.TryGetProperty("answer", out JsonElement answer) ? answer : default));
        }

        return answers;
    }

    public async Task<IReadOnlyList<HandOver>> WayAsync(ulong height, Committee committee, CancellationToken cancel)
    {
        JsonElement result = await CallAsync("ledger_way", new { height, committee = committee.Hash.ToString() }, cancel).ConfigureAwait(false);
        var steps = new List<HandOver>();
        if (!result.TryGetProperty("steps", out JsonElement given) || given.ValueKind != JsonValueKind.Array) return steps;
        foreach (JsonElement step in given.EnumerateArray())
        {
            if (Read(Bytes(step)) is not { } read) break;
            steps.Add(read);
        }

        return steps;
    }

    public async Task<byte[]?> SubnameAsync(Bytes32 zone, Bytes32 lookup, CancellationToken cancel)
    {
        JsonElement result = await CallAsync("ledger_subname", new { zone = zone.ToString(), lookup = lookup.ToString() }, cancel).ConfigureAwait(false);
        return result.TryGetProperty("record", out JsonElement record) ? Bytes(record) : null;
    }

    private async Task<JsonElement> CallAsync(string method, object parameters, CancellationToken cancel)
    {
        try
        {
            return await server.CallAsync(method, parameters, cancel).ConfigureAwait(false);
        }
        catch (OxendException e)
        {
            throw new ProofSourceException(e.Message, e);
        }
    }

    private static HandOver? Read(byte[] bytes)
    {
        var reader = new LedgerReader(bytes);
        HandOver? step = HandOver.Read(ref reader);
        return reader.Done ? step : null;
    }

    private static byte[] Bytes(JsonElement value) => value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out byte[]? bytes) ? bytes : [];
}
