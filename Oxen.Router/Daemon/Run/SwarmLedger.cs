using System.Text.Json;
using Oxen.Ons.Rpc;
using Oxen.Swarm;

namespace Oxen.Router.Daemon.Run;

/// <summary>What clients of a storage node ask its ledger: the copy in this process, or a server.</summary>
internal sealed class SwarmLedger(LedgerCall call, HttpClient? http = null) : ISwarmLedger, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Asks a server by JSON-RPC.</summary>
    public static SwarmLedger Behind(Uri server)
    {
        HttpClient http = OxendClient.CreateHttp(Patience);
        return new SwarmLedger(new OxendClient(http, server).CallAsync, http);
    }

    public async Task<LedgerAnswer> AskAsync(string endpoint, string parameters, CancellationToken cancel)
    {
        try
        {
            using JsonDocument given = JsonDocument.Parse(parameters);
            return new LedgerAnswer(false, (await call(endpoint, given.RootElement, cancel).ConfigureAwait(false)).GetRawText());
        }
        catch (OxendException e)
        {
            // Where the ledger is, and why it does not answer, is no client's business.
            return new LedgerAnswer(true, e.Code == 0 ? "" : http is null ? e.Message : $"the ledger refused {endpoint}");
        }
    }

    public void Dispose() => http?.Dispose();
}
