using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Zones;

namespace Oxen.Ons.Rpc;

/// <summary>A light client's resolver at the end of an HTTP connection.</summary>
internal sealed class RpcProofSource(OxendClient server) : IProofSource
{
    public async Task<byte[]> AskAsync(Bytes32 key, CancellationToken cancel)
    {
        JsonElement result = await server.CallAsync("ledger_prove", new { key = key.ToString() }, cancel).ConfigureAwait(false);
        return Bytes(result.TryGetProperty("answer", out JsonElement answer) ? answer : default);
    }

    public async Task<IReadOnlyList<HandOver>> WayAsync(ulong height, Committee committee, CancellationToken cancel)
    {
        JsonElement result = await server.CallAsync("ledger_way", new { height, committee = committee.Hash.ToString() }, cancel).ConfigureAwait(false);
        var steps = new List<HandOver>();
        if (!result.TryGetProperty("steps", out JsonElement given) || given.ValueKind != JsonValueKind.Array) return steps;
        foreach (JsonElement step in given.EnumerateArray())
        {
            if (Read(Bytes(step)) is not { } read) break;
            steps.Add(read);
        }

        return steps;
    }

    private static HandOver? Read(byte[] bytes)
    {
        var reader = new LedgerReader(bytes);
        HandOver? step = HandOver.Read(ref reader);
        return reader.Done ? step : null;
    }

    private static byte[] Bytes(JsonElement value) => value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out byte[]? bytes) ? bytes : [];
}
