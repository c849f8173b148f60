using System.Text.Json;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Rpc;

// An oxend proves nothing. So all that are configured are asked at once, an empty answer counts as much as a full one, and whoever
// disagrees makes the answer "not known": a liar can silence, not forge, as long as one of them is honest and answers in time.
// Once more than half say the same, the others have as long again as those took, within bounds: who is slow holds nobody up, and
// liars who are a little quicker than an honest one gain nothing. What not all have said is believed for minutes, not for an hour.

/// <summary>Looks names up at real oxends (`ons_resolve`).</summary>
public sealed class OxendNameSource : INameSource, IDisposable
{
    private static readonly TimeSpan FoundFor = TimeSpan.FromHours(1);
    private static readonly TimeSpan MissingFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan UnknownFor = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan NotAllFor = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ShortestGrace = TimeSpan.FromMilliseconds(500), LongestGrace = TimeSpan.FromSeconds(2);

    private readonly HttpClient _http;
    private readonly OxendClient[] _servers;
    private readonly TimeProvider _time;

    /// <summary>Servers such as `http://127.0.0.1:22023/`; more than half of them must answer, and all that answer must agree. `timeout` is for each call.</summary>
    public OxendNameSource(IEnumerable<Uri> servers, TimeSpan timeout)
        : this(servers, timeout, TimeProvider.System)
    {
    }

    internal OxendNameSource(IEnumerable<Uri> servers, TimeSpan timeout, TimeProvider time)
    {
        _time = time;
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
        (string? value, string trouble, bool all) = await AskAllAsync(NameHash.Of(full), cancel).ConfigureAwait(false);
        if (value is null) return Unknown(trouble);
        if (value.Length == 0) return new NameAnswer(NameOutcome.NotFound, default, MissingFor);
        ValueFault fault = ValueCipher.Decrypt(Convert.FromHexString(value), full, NameType.Lokinet, out byte[]? address);
        return fault == ValueFault.None ? new NameAnswer(NameOutcome.Found, address!, all ? FoundFor : NotAllFor) : Unknown("the servers gave a value that does not open under this name");
    }

    // What enough of them said and none denied; null: the trouble. `All`: every one of them said it.
    private async Task<(string? Value, string Trouble, bool All)> AskAllAsync(NameHash hash, CancellationToken cancel)
    {
        int most = _servers.Length / 2;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        long begun = _time.GetTimestamp();
        List<Task<(string? Value, string Trouble)>> open = [.. _servers.Select(s => AskAsync(s, hash, end.Token))];
        Task? grace = null;
        string? said = null;
        int agree = 0;
        var troubles = new List<string>();
        try
        {
            while (open.Count > 0)
            {
                Task next = await Task.WhenAny(grace is null ? open : open.Append(grace)).ConfigureAwait(false);
                if (next == grace)
                {
                    await next.ConfigureAwait(false);
                    return (said, "", false);
                }

                var answered = (Task<(string? Value, string Trouble)>)next;
                open.Remove(answered);
                (string? value, string trouble) = await answered.ConfigureAwait(false);
                if (value is null)
                {
                    troubles.Add(trouble);
                    if (troubles.Count >= _servers.Length - most) return (null, string.Join("; ", troubles), false);
                    continue;
                }

                if (said is not null && said != value) return (null, "the servers do not agree", false);
                said = value;
                if (++agree == most + 1)
                {
                    // Not a wait for something to have happened: the time in which those who have not answered may still deny it.
                    TimeSpan took = _time.GetElapsedTime(begun);
                    grace = Task.Delay(took < ShortestGrace ? ShortestGrace : took > LongestGrace ? LongestGrace : took, _time, end.Token);
                }
            }

            return (said, "", troubles.Count == 0);
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false); // nobody waits for the slow ones
        }
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
