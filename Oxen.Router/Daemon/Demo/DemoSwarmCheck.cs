using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Hosting;
using Oxen.Swarm.Clients;

namespace Oxen.Router.Daemon.Demo;

/// <summary>What the check of the storage saw.</summary>
internal sealed record DemoSwarmResult(bool Ok, string Words, double StoreMilliseconds, double RetrieveMilliseconds);

/// <summary>A message for somebody who is away: stored through the onion, two members of the swarm die, and it is there when its recipient comes.</summary>
internal static class DemoSwarmCheck
{
    private const int Dead = 2;

    public static async Task<DemoSwarmResult> RunAsync(DemoSwarm swarm, ClientService client, IPEndPoint socks, CancellationToken cancel)
    {
        ISwarmRoute route = swarm.RouteThrough(client, socks);
        using var end = route as IDisposable;
        var messages = new SwarmClient(route, swarm.All);
        byte[] seed = RandomNumberGenerator.GetBytes(32), message = Encoding.UTF8.GetBytes($"see you at eight {Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");
        using var recipient = new SwarmAccount(seed);
        CryptographicOperations.ZeroMemory(seed);
        try
        {
            long begun = Stopwatch.GetTimestamp();
            SwarmStored stored = await messages.StoreAsync(recipient.Id, message, TimeSpan.FromHours(1), cancel: cancel).ConfigureAwait(false);
            double store = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            IReadOnlyList<string> dead = await swarm.KillAsync(recipient.Id, Dead).ConfigureAwait(false);
            begun = Stopwatch.GetTimestamp();
            IReadOnlyList<SwarmMessage> found = await messages.RetrieveAsync(recipient, cancel: cancel).ConfigureAwait(false);
            double retrieve = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            bool ok = dead.Count == Dead && stored.Kept > stored.Members / 2 && found is [{ } only] && only.Hash == stored.Hash && only.Data.Span.SequenceEqual(message);
            return new DemoSwarmResult(ok, ok
                ? string.Create(CultureInfo.InvariantCulture, $"stored through the onion in {store:F0} ms ({stored.Kept} of {stored.Members} members have it), {Dead} of them killed, retrieved in {retrieve:F0} ms")
                : $"stored at {stored.Kept} of {stored.Members} members; {found.Count} messages came back", store, retrieve);
        }
        catch (Exception e) when (e is SwarmRequestException || (e is OperationCanceledException && !cancel.IsCancellationRequested))
        {
            return new DemoSwarmResult(false, e.Message, 0, 0);
        }
    }
}
