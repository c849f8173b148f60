namespace Oxen.Swarm.Duties;

/// <summary>How much may come through onions a second, and at once.</summary>
/// <param name="Total">Of everybody; twice as much at once.</param>
/// <param name="Node">By way of one node.</param>
/// <param name="NodeBurst">By way of one node, at once.</param>
/// <param name="Account">For one account.</param>
/// <param name="AccountBurst">For one account, at once: a client that was away for long asks much.</param>
internal sealed record OnionRates(double Total = 2000, double Node = 600, double NodeBurst = 1200, double Account = 300, double AccountBurst = 3000);

// Who sends an onion is not known, so it is limited by what is:
//
//   at the first node     the client's address, at the doors as for any other request
//   at the nodes behind   the node that it came by: who floods a path finds its guard's share used up, and nobody else's
//   at the last           the account that it is about: an inbox that is flooded through many guards slows down, and no other one
//
// and all together, so that what else a node does goes on.

/// <summary>Limits of requests whose senders are unknown. Any thread.</summary>
internal sealed class OnionLimits(OnionRates rates, TimeProvider time)
{
    private const int MaxNodes = 10_000, MaxAccounts = 100_000;

    private readonly TokenBuckets<int> _total = new(2 * rates.Total, rates.Total, 1, time);
    private readonly TokenBuckets<string> _nodes = new(rates.NodeBurst, rates.Node, MaxNodes, time);
    private readonly TokenBuckets<AccountId> _accounts = new(rates.AccountBurst, rates.Account, MaxAccounts, time);

    /// <summary>Whether a layer is opened. `from`: the node that it came by, in hexadecimal; null: a client, whose address was limited at the door.</summary>
    public bool Take(string? from) => (from is null || _nodes.Take(from)) && _total.Take(0);

    /// <summary>Whether a request about this account is carried out.</summary>
    public bool Take(AccountId account) => _accounts.Take(account);
}
