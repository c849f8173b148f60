using System.Text.Encodings.Web;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Rpc;

/// <summary>A call that is refused; the numbers are JSON-RPC's own.</summary>
internal sealed class RpcRefusal(int code, string message) : Exception(message)
{
    public const int BadParameters = -32602;
    public const int UnknownMethod = -32601;
    public const int BadRequest = -32600;
    public const int Malformed = -32700;

    /// <summary>Another process that it takes does not answer.</summary>
    public const int Unreached = -32000;

    public int Code { get; } = code;
}

// Methods by name. Those of an oxend take and give what an oxend does (and as there, fields that are not known are passed over);
// `lns_` is an old name for `ons_`. Those of our own ledger begin with `ledger_` and refuse unknown fields. docs/protocol/ledger.md#json-rpc

/// <summary>The interface of a ledger, one call at a time; what carries it is <see cref="RpcServer"/>.</summary>
internal sealed partial class LedgerRpc(LedgerHost host)
{
    // It is asked by programs, and base64 reads better as it is.
    private static readonly JsonWriterOptions Form = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const int MaxEntries = 256, MaxTypes = 8, MaxWay = 64;
    private readonly ProofServer _proofs = new(host);

    /// <summary>Answers one request, an object of JSON-RPC 2.0. Never throws for what a stranger sent.</summary>
    public async Task<byte[]> AnswerAsync(ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        JsonElement id = default;
        try
        {
            using JsonDocument document = Parse(request);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw new RpcRefusal(RpcRefusal.BadRequest, "a request is an object with method and params");
            if (root.TryGetProperty("id", out JsonElement given) && given.ValueKind is JsonValueKind.String or JsonValueKind.Number) id = given.Clone();
            if (!root.TryGetProperty("method", out JsonElement method) || method.ValueKind != JsonValueKind.String) throw new RpcRefusal(RpcRefusal.BadRequest, "the request names no method");
            JsonElement parameters = root.TryGetProperty("params", out JsonElement p) ? p : default;
            if (parameters.ValueKind is not (JsonValueKind.Object or JsonValueKind.Undefined or JsonValueKind.Null)) throw new RpcRefusal(RpcRefusal.BadParameters, "params is an object");
            return await WriteAsync(id, json => CallAsync(method.GetString()!, new RpcParameters(parameters), json, cancel)).ConfigureAwait(false);
        }
        catch (RpcRefusal e)
        {
            return Error(id, e.Code, e.Message);
        }
        catch (OxendException e)
        {
            return Error(id, RpcRefusal.Unreached, $"the ledger that this copy follows: {e.Message}");
        }
        catch (Exception e) when (LedgerHost.IsOfStore(e) && !cancel.IsCancellationRequested)
        {
            return Error(id, RpcRefusal.Unreached, $"{host.Engine} does not answer: {e.Message}");
        }
        catch (InvalidOperationException e) when (e.Source?.StartsWith("System.Text.Json", StringComparison.Ordinal) == true)
        {
            // A text of halves of characters passes the parser and is found out when it is read.
            return Error(default, RpcRefusal.Malformed, "a text in this is no Unicode");
        }
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> request)
    {
        try
        {
            return JsonDocument.Parse(request, new JsonDocumentOptions { MaxDepth = 16 });
        }
        catch (JsonException e)
        {
            throw new RpcRefusal(RpcRefusal.Malformed, $"this is no JSON: line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}");
        }
    }

    private Task CallAsync(string method, RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        string name = method.StartsWith("lns_", StringComparison.Ordinal) ? "ons_" + method[4..] : method;
        switch (name)
        {
            case "ons_resolve":
                Resolve(p, json);
                break;
            case "ons_names_to_owners":
                NamesToOwners(p, json);
                break;
            case "ons_owners_to_names":
                OwnersToNames(p, json);
                break;
            case "get_info":
                Info(json);
                break;
            case "get_block_count" or "getblockcount":
                json.WriteNumber("count", host.State.Height + 1);
                json.WriteString("status", "OK");
                break;
            case "get_service_nodes" or "get_all_service_nodes":
                ServiceNodes(p, json);
                break;
            case "ledger_status":
                Status(p, json);
                break;
            case "ledger_account":
                Account(p, json);
                break;
            case "ledger_zone":
                Zone(p, json);
                break;
            case "ledger_genesis":
                p.Only();
                json.WriteBase64String("genesis", host.State.Genesis.Encoded);
                break;
            case "ledger_submit":
                return SubmitAsync(p, json, cancel);
            case "ledger_prove":
                return ProveAsync(p, json, cancel);
            case "ledger_way":
                return WayAsync(p, json, cancel);
            case "ledger_sign":
                return SignAsync(p, json, cancel);
            case "ledger_header":
                return HeaderAsync(p, json, cancel);
            case "ledger_blocks":
                return BlocksAsync(p, json, cancel);
            case "ledger_vote":
                return VoteAsync(p, json, cancel);
            case "ledger_reverse":
                Reverse(p, json);
                break;
            case "ledger_subname":
                Subname(p, json);
                break;
            case "ledger_subnames":
                Subnames(p, json);
                break;
            case "ledger_subname_publish":
                return PublishAsync(p, json, cancel);
            default:
                throw new RpcRefusal(RpcRefusal.UnknownMethod, $"there is no method {(method.Length <= 64 ? method : method[..64])}");
        }

        return Task.CompletedTask;
    }

    private void Status(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only();
        LedgerState state = host.State;
        json.WriteString("name", state.Genesis.Name);
        json.WriteString("network", state.Network.ToString());
        json.WriteString("engine", host.Engine);
        json.WriteNumber("height", state.Height);
        json.WriteString("block_hash", state.BlockHash.ToString());
        json.WriteString("state_root", state.Root.ToString());
        json.WriteNumber("unix_milliseconds", state.UnixMilliseconds);
        json.WriteNumber("operation_fee", state.Rules.OperationFee);
        json.WriteNumber("issued", state.Totals.Issued);
        json.WriteNumber("burned", state.Totals.Burned);
        json.WriteNumber("staked", state.Totals.Staked);
        json.WriteNumber("nodes", state.Nodes.Count);
        json.WriteNumber("committee", state.NextCommittee.Members.Length);
        json.WriteString("trouble", host.Trouble);
    }

    private void Account(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only("account");
        Bytes32 id = p.Hash("account");
        json.WriteNumber("balance", host.State.Account(id).Balance);
        json.WriteNumber("nonce", host.NextNonce(id));
    }

    private void Zone(RpcParameters p, Utf8JsonWriter json)
    {
        p.Only("index");
        if (host.State.Zone(p.Hash("index")) is { } zone) json.WriteBase64String("entry", zone.ToBytes());
        json.WriteNumber("height", host.State.Height);
    }

    private async Task HeaderAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("height");
        ulong height = p.Number("height");
        BlockHeader header = await host.FindHeaderAsync(height, cancel).ConfigureAwait(false) ?? throw new RpcRefusal(RpcRefusal.BadParameters, $"there is no block {height}; the newest is {host.State.Height}");
        var writer = new LedgerWriter(BlockHeader.Bytes);
        header.Write(writer);
        json.WriteBase64String("header", writer.Written);
    }

    private async Task SubmitAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("operation");
        byte[] bytes = p.Base64("operation", Operation.MaxBytes);
        Operation operation = Operation.Read(bytes, host.State.Network) ?? throw new RpcRefusal(RpcRefusal.BadParameters, "operation: these bytes are no operation");
        Receipt receipt = await host.SubmitAsync(operation, cancel).ConfigureAwait(false);
        json.WriteBoolean("accepted", receipt.Refusal is null);
        json.WriteString("id", receipt.Id.ToString());
        if (receipt.Refusal is null)
        {
            json.WriteNumber("height", receipt.Height);
            return;
        }

        json.WriteString("fault", receipt.Refusal.Word);
        json.WriteString("detail", receipt.Refusal.Detail);
    }

    private async Task ProveAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("key");
        ProvenAnswer? answer = await _proofs.AnswerAsync(p.Hash("key"), cancel).ConfigureAwait(false);
        if (answer is null) throw new RpcRefusal(RpcRefusal.BadParameters, "no recent block has the signatures of a quorum yet");
        json.WriteBase64String("answer", answer.ToBytes());
    }

    private async Task WayAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("height", "committee");
        Committee known = host.CommitteeOf(p.Hash("committee")) ?? throw new RpcRefusal(RpcRefusal.BadParameters, "this ledger never had that committee");
        json.WriteStartArray("steps");
        foreach (HandOver step in (await _proofs.WayAsync(p.Number("height"), known, cancel).ConfigureAwait(false)).Take(MaxWay))
        {
            var writer = new LedgerWriter(4096);
            step.Write(writer);
            json.WriteBase64StringValue(writer.Written);
        }

        json.WriteEndArray();
    }

    private async Task SignAsync(RpcParameters p, Utf8JsonWriter json, CancellationToken cancel)
    {
        p.Only("height", "member", "signature");
        bool taken = await host.SignAsync(p.Number("height"), p.Hash("member"), p.Base64("signature", LedgerSignature.Bytes), cancel).ConfigureAwait(false);
        json.WriteBoolean("taken", taken);
    }

    private static async Task<byte[]> WriteAsync(JsonElement id, Func<Utf8JsonWriter, Task> write)
    {
        using var buffer = new MemoryStream();
        await using var json = new Utf8JsonWriter(buffer, Form);
        Begin(json, id);
        json.WriteStartObject("result");
        await write(json).ConfigureAwait(false);
        json.WriteEndObject();
        json.WriteEndObject();
        await json.FlushAsync().ConfigureAwait(false);
        return buffer.ToArray();
    }

    private static byte[] Error(JsonElement id, int code, string message)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Form))
        {
            Begin(json, id);
            json.WriteStartObject("error");
            json.WriteNumber("code", code);
            json.WriteString("message", message);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.ToArray();
    }

    private static void Begin(Utf8JsonWriter json, JsonElement id)
    {
        json.WriteStartObject();
        json.WriteString("jsonrpc", "2.0");
        json.WritePropertyName("id");
        if (id.ValueKind == JsonValueKind.Undefined) json.WriteNullValue();
        else id.WriteTo(json);
    }
}
