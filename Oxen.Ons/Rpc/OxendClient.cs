using System.Net.Http.Json;
using System.Text.Json;

namespace Oxen.Ons.Rpc;

/// <summary>Asks one JSON-RPC server, a real oxend or one of ours. Answers are a stranger's: their size is capped.</summary>
internal sealed class OxendClient(HttpClient http, Uri server)
{
    public const int MaxAnswerBytes = 32 << 20;

    public Uri Server { get; } = server;

    public static HttpClient CreateHttp(TimeSpan timeout) => new() { Timeout = timeout, MaxResponseContentBufferSize = MaxAnswerBytes };

    /// <summary>The result of a call.</summary>
    /// <exception cref="OxendException">It was not reached, refused, or said something that is no answer.</exception>
    public async Task<JsonElement> CallAsync(string method, object parameters, CancellationToken cancel)
    {
        try
        {
            using HttpResponseMessage response = await http.PostAsJsonAsync(new Uri(Server, "json_rpc"), new { jsonrpc = "2.0", id = "0", method, @params = parameters }, cancel).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode) throw new OxendException($"{Server} answered {(int)response.StatusCode} to {method}");
            JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(cancel).ConfigureAwait(false);
            if (answer.ValueKind != JsonValueKind.Object) throw new OxendException($"{Server} answered {method} with no object");
            if (answer.TryGetProperty("error", out JsonElement error)) throw new OxendException($"{Server} refused {method}: {(error.ValueKind == JsonValueKind.Object && error.TryGetProperty("message", out JsonElement m) ? m.ToString() : error.ToString())}") { Code = error.ValueKind == JsonValueKind.Object && error.TryGetProperty("code", out JsonElement code) && code.ValueKind == JsonValueKind.Number && code.TryGetInt32(out int number) ? number : 0 };
            return answer.TryGetProperty("result", out JsonElement result) && result.ValueKind == JsonValueKind.Object ? result : throw new OxendException($"{Server} answered {method} with no result");
        }
        catch (Exception e) when (e is HttpRequestException or JsonException or IOException or NotSupportedException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            throw new OxendException($"{Server} did not answer {method}: {e.Message}", e);
        }
    }
}

/// <summary>What went wrong with a JSON-RPC server.</summary>
internal sealed class OxendException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>The number of a refusal (<see cref="RpcRefusal"/>); 0: it gave none, or no answer.</summary>
    public int Code { get; init; }
}
