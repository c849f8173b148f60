using System.Text.Json;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Rpc;

// An oxend proves nothing. So all that are configured are asked at once, an empty answer counts as much as a full one, and whoever
// disagrees makes the answer "not known": a liar can silence, not forge, as long as one of them is honest and answers.

/// <summary>Looks names up at real oxends (`ons_resolve`).</summary>
public sealed class OxendNameSource : INameSource, IDisposable
{
    private static readonly TimeSpan FoundFor = TimeSpan.FromHours(1);
    private static readonly TimeSpan MissingFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan UnknownFor = TimeSpan.FromSeconds(10);

    private readonly HttpClient _http;
    private readonly OxendClient[] _servers;

    /// <summary>Servers such as `http://127.0.0.1:22023/`; more than half of them must answer, and all that answer must agree.</summary>
    public OxendNameSource(IEnumerable<Uri> servers, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(servers);
        _http = OxendClient.CreateHttp(timeout);
        _servers = [.. servers.Select(s => new OxendClient(_http, s))];
        if (_servers.Length == 0) throw new ArgumentException("no server is named", nameof(servers));
    }

    /// <inheritdoc/>
    public async ValueTask<NameAnswer> ResolveAsync(string name, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(name);

        // What stands before a further dot is the owner's affair.
        string full = NameRules.Fold(name[(name.LastIndexOf('.') + 1)..]) + ".loki";
        if (NameRules.Check(full, NameType.Lokinet) != NameFault.None) return new NameAnswer(NameOutcome.NotFound, default, MissingFor, "this is no name that anybody could register");
        (string? Value, string Trouble)[] answers = await Task.WhenAll(_servers.Select(s => AskAsync(s, NameHash.Of(full), cancel))).ConfigureAwait(false);
        string[] given = [.. answers.Where(a => a.Value is not null).Select(a => a.Value!)];
        if (given.Length <= _servers.Length / 2) return Unknown(answers.First(a => a.Value is null).Trouble);
        if (given.Distinct(StringComparer.Ordinal).Count() > 1) return Unknown("the servers do not agree");
        if (given[0].Length == 0) return new NameAnswer(NameOutcome.NotFound, default, MissingFor);
        ValueFault fault = ValueCipher.Decrypt(Convert.FromHexString(given[0]), full, NameType.Lokinet, out byte[]? address);
        return fault == ValueFault.None ? new NameAnswer(NameOutcome.Found, address!, FoundFor) : Unknown("the servers gave a value that does not open under this name");
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private static NameAnswer Unknown(string reason) => new(NameOutcome.Unavailable, default, UnknownFor, reason);

    // The stored bytes in hexadecimal, empty: no such name, null: no answer.
    private static async Task<(string? Value, string Trouble)> AskAsync(OxendClient server, NameHash hash, CancellationToken cancel)
    {
        try
        {
            JsonElement result = await server.CallAsync("ons_resolve", new { type = (int)NameType.Lokinet, name_hash = hash.ToBase64() }, cancel).ConfigureAwait(false);
            if (!result.TryGetProperty("encrypted_value", out JsonElement value)) return ("", "");
            string nonce = result.TryGetProperty("nonce", out JsonElement n) && n.ValueKind == JsonValueKind.String ? n.GetString()! : "";
            string stored = (value.ValueKind == JsonValueKind.String ? value.GetString()! : "-") + nonce;
            byte[] bytes = new byte[stored.Length / 2];
            bool hex = stored.Length == 144 && Convert.FromHexString(stored, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
            return hex ? (Convert.ToHexStringLower(bytes), "") : (null, $"{server.Server} gave something that is no encrypted value");
        }
        catch (OxendException e)
        {
            return (null, e.Message);
        }
    }
}
