namespace Oxen.Swarm;

/// <summary>What a ledger answered.</summary>
/// <param name="isError">The text is an error for the client.</param>
/// <param name="text">JSON, or the error's words.</param>
public sealed class LedgerAnswer(bool isError, string text)
{
    /// <summary>The text is an error for the client.</summary>
    public bool IsError { get; } = isError;

    /// <summary>JSON, or the error's words.</summary>
    public string Text { get; } = text;
}

/// <summary>Answers what only the ledger knows: `ons_resolve` with its parameters as JSON.</summary>
public interface ISwarmLedger
{
    /// <summary>Asks the ledger.</summary>
    Task<LedgerAnswer> AskAsync(string endpoint, string parameters, CancellationToken cancel);
}
