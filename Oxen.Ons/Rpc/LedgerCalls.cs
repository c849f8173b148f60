using System.Text.Json;

namespace Oxen.Ons.Rpc;

/// <summary>Asks a ledger: the one in this process, or one behind a JSON-RPC address.</summary>
/// <param name="method">As in docs/protocol/ledger.md#json-rpc.</param>
/// <param name="parameters">An object.</param>
/// <exception cref="OxendException">It was not reached, refused, or said something that is no answer.</exception>
internal delegate Task<JsonElement> LedgerCall(string method, object parameters, CancellationToken cancel);

/// <summary>Calls of <see cref="LedgerRpc"/> without a socket between.</summary>
internal static class LedgerCalls
{
    public static LedgerCall To(LedgerRpc rpc) => async (method, parameters, cancel) =>
    {
        byte[] request = JsonSerializer.SerializeToUtf8Bytes(new { jsonrpc = "2.0", id = "0", method, @params = parameters });
        using JsonDocument answer = JsonDocument.Parse(await rpc.AnswerAsync(request, cancel).ConfigureAwait(false));
        if (answer.RootElement.TryGetProperty("error", out JsonElement error)) throw new OxendException(error.GetProperty("message").GetString()!) { Code = error.GetProperty("code").GetInt32() };
        return answer.RootElement.GetProperty("result").Clone();
    };
}
