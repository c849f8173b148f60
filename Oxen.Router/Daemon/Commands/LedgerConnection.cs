using System.CommandLine;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Rpc;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>What the verbs of the ledger share: which server, which account, and how an operation is sent and its refusal told.</summary>
internal sealed class LedgerConnection : IDisposable
{
    private readonly HttpClient _http = OxendClient.CreateHttp(TimeSpan.FromSeconds(20));

    public LedgerConnection(string url)
    {
        if (!Uri.TryCreate(url.EndsWith('/') ? url : url + "/", UriKind.Absolute, out Uri? uri) || uri.Scheme is not ("http" or "https")) throw Misuse($"--ledger {url} is no address", "An address such as http://127.0.0.1:22023/.");
        Client = new OxendClient(_http, uri);
    }

    public OxendClient Client { get; }

    public static Option<string> Server() => new("--ledger") { Description = "The ledger's JSON-RPC address.", HelpName = "URL", DefaultValueFactory = _ => "http://127.0.0.1:22023/" };

    public static Option<string> Wallet() => new("--wallet") { Description = "The account's key file, made with `oxen wallet new`. It signs and pays.", HelpName = "FILE", Required = true };

    public static UserException Misuse(string message, string remedy) => new(ExitCode.Usage, "OXN6001", message, remedy);

    public static Bytes32 Hash(string text, string what) => Bytes32.TryParse(text, out Bytes32 hash) ? hash : throw Misuse($"{what} is not 64 hexadecimal digits", "");

    public static ulong Amount(string text, string what) => OxenAmount.TryParse(text, out ulong atomic) ? atomic : throw Misuse($"{what} {text} is no amount", "OXEN with at most nine decimals, such as 7 or 0.000000001.");

    public async Task<JsonElement> CallAsync(string method, object parameters, CancellationToken cancel)
    {
        try
        {
            return await Client.CallAsync(method, parameters, cancel).ConfigureAwait(false);
        }
        catch (OxendException e)
        {
            throw new UserException(ExitCode.Network, "OXN6003", e.Message, e.Code == 0 ? "`oxen ledger run` starts one; --ledger says where it is." : "", e);
        }
    }

    public async Task<Bytes32> NetworkAsync(CancellationToken cancel) => Hash((await CallAsync("ledger_status", new { }, cancel).ConfigureAwait(false)).GetProperty("network").GetString()!, "the network's id");

    public async Task<(ulong Balance, ulong Nonce)> AccountAsync(Bytes32 id, CancellationToken cancel)
    {
        JsonElement account = await CallAsync("ledger_account", new { account = id.ToString() }, cancel).ConfigureAwait(false);
        return (account.GetProperty("balance").GetUInt64(), account.GetProperty("nonce").GetUInt64());
    }

    /// <summary>Signs with the account's next number, sends, and waits until it is durable. A refusal is an error with its word and reason.</summary>
    public async Task<(Bytes32 Id, ulong Height)> SubmitAsync(LedgerKey signer, Func<ulong, Bytes32, OperationBody> body, CancellationToken cancel)
    {
        Bytes32 network = await NetworkAsync(cancel).ConfigureAwait(false);
        (_, ulong nonce) = await AccountAsync(signer.Id, cancel).ConfigureAwait(false);
        Operation operation = Operation.Create(body(nonce, network), signer, nonce, network);
        JsonElement answer = await CallAsync("ledger_submit", new { operation = Convert.ToBase64String(operation.Encoded) }, cancel).ConfigureAwait(false);
        if (answer.GetProperty("accepted").GetBoolean()) return (operation.Id, answer.GetProperty("height").GetUInt64());
        throw new UserException(ExitCode.CheckFailed, "OXN6004", $"the ledger refuses it: {answer.GetProperty("fault").GetString()}: {answer.GetProperty("detail").GetString()}", "Nothing was changed and nothing paid.");
    }

    /// <summary>Sends and prints the receipt.</summary>
    public static async Task<int> SendAsync(ParseResult parsed, Screen screen, Option<string> server, Option<string> wallet, Option<bool> json, string what, Func<LedgerConnection, LedgerKey, CancellationToken, Task<Func<ulong, Bytes32, OperationBody>>> make, CancellationToken cancel)
    {
        using LedgerKey key = Keys.AccountFile.Load(parsed.GetRequiredValue(wallet));
        using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
        (Bytes32 id, ulong height) = await ledger.SubmitAsync(key, await make(ledger, key, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        Receipt(screen, parsed.GetValue(json), what, id, height);
        return ExitCode.Ok;
    }

    public static void Receipt(Screen screen, bool json, string what, Bytes32 id, ulong height)
    {
        if (!json)
        {
            screen.Facts(what, [(what, "accepted"), ("operation", id.ToString()), ("height", height.ToString())]);
            return;
        }

        screen.Json(w =>
        {
            w.WriteBoolean("accepted", true);
            w.WriteString("operation", id.ToString());
            w.WriteNumber("height", height);
        });
    }

    public void Dispose() => _http.Dispose();
}
