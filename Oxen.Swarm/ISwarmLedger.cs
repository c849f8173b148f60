namespace Oxen.Swarm;

/// <summary>What a ledger answered.</summary>
/// <param name="IsError">The text is an error for the client.</param>
/// <param name="Text">JSON, or the error's words.</param>
public sealed record LedgerAnswer(bool IsError, string Text);

/// <summary>Answers what only the ledger knows: `ons_resolve` with its parameters as JSON.</summary>
public interface ISwarmLedger
{
    /// <summary>Asks the ledger.</summary>
    Task<LedgerAnswer> AskAsync(string endpoint, string parameters, CancellationToken cancel);
}
