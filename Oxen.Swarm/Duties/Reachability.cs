using System.Collections.Concurrent;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Replication;

namespace Oxen.Swarm.Duties;

/// <summary>Takes a node's reports about others: the registry's part.</summary>
public interface IPeerReports
{
    /// <summary>Whether a node was reached by its HTTPS door.</summary>
    void Report(ReadOnlyMemory<byte> node, bool reachable);

    /// <summary>This node's storage is alive; comes about every 30 s.</summary>
    void Ping();
}

/// <summary>Reaches another node's doors.</summary>
internal interface IReachTester
{
    Task<bool> TestAsync(SwarmMember member, CancellationToken cancel);
}

// Every few seconds one other node, by chance, is tested, decommissioned ones too, since tests bring them back; one that failed is tested again after 10 s for each failure, at most
// two minutes. Results go to the registry. A decommissioned node tests nobody: its own network may be what is broken.

/// <summary>Tests whether other nodes are reachable.</summary>
internal sealed class Reachability(NodeCore core, IReachTester tester, IPeerReports reports, Random dice)
{
    private const double MeanSeconds = 10, DeviationSeconds = 3;
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan PingEvery = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(2);
    private const int MaxAtOnce = 4;

    private readonly ConcurrentDictionary<string, (int Count, DateTimeOffset Next)> _failures = new();
    private DateTimeOffset _nextRandom, _nextPing;

    /// <summary>Failures in a row of those that failed last.</summary>
    public IReadOnlyDictionary<string, int> Failures => _failures.ToDictionary(f => f.Key, f => f.Value.Count);

    public async Task RunAsync(CancellationToken cancel)
    {
        try
        {
            while (!cancel.IsCancellationRequested)
            {
                await StepAsync(cancel).ConfigureAwait(false);
                await Task.Delay(Tick, core.Clock.Provider, cancel).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <summary>Does what is due.</summary>
    public async Task StepAsync(CancellationToken cancel)
    {
        DateTimeOffset now = core.Clock.Provider.GetUtcNow();
        if (now >= _nextPing)
        {
            _nextPing = now + PingEvery;
            reports.Ping();
        }

        SwarmView view = core.View;
        if (view.SwarmId == SwarmRing.Unassigned) return;
        var due = new List<SwarmMember>();
        foreach ((string hex, (int _, DateTimeOffset next)) in _failures)
        {
            if (view.Find(Convert.FromHexString(hex)) is not { } member) _failures.TryRemove(hex, out _);
            else if (next <= now && due.Count < MaxAtOnce) due.Add(member);
        }

        if (now >= _nextRandom)
        {
            _nextRandom = now + TimeSpan.FromSeconds(Math.Max(1, MeanSeconds + (DeviationSeconds * Gauss())));
            SwarmMember[] others = [.. view.Roster.Members.Where(m => m.Hex != core.Hex && !_failures.ContainsKey(m.Hex))];
            if (others.Length > 0) due.Add(others[dice.Next(others.Length)]);
        }

        await Task.WhenAll(due.Select(m => TestAsync(m, cancel))).ConfigureAwait(false);
    }

    private async Task TestAsync(SwarmMember member, CancellationToken cancel)
    {
        bool reached = await tester.TestAsync(member, cancel).ConfigureAwait(false);
        reports.Report(member.Ed25519, reached);
        if (reached)
        {
            _failures.TryRemove(member.Hex, out _);
            return;
        }

        int count = _failures.TryGetValue(member.Hex, out (int Count, DateTimeOffset Next) old) ? old.Count + 1 : 1;
        TimeSpan wait = TimeSpan.FromSeconds(10) * count;
        _failures[member.Hex] = (count, core.Clock.Provider.GetUtcNow() + (wait < MaxWait ? wait : MaxWait));
    }

    // Box and Muller.
    private double Gauss() => Math.Sqrt(-2 * Math.Log(1 - dice.NextDouble())) * Math.Cos(2 * Math.PI * dice.NextDouble());
}

/// <summary>`POST /ping_test/v1`, a sealed ping, and a ping by QUIC if both nodes have that door, each within five seconds.</summary>
internal sealed class DoorsReachTester(NodeCore core, Peers.IPeerTransport byHttps, HttpClient http, Doors.QuicDoor? quic) : IReachTester
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    public async Task<bool> TestAsync(SwarmMember member, CancellationToken cancel)
    {
        if (member.Address is null || member.HttpsPort == 0) return false;
        using var timeout = new CancellationTokenSource(Limit, core.Clock.Provider);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, timeout.Token);
        try
        {
            using HttpResponseMessage reply = await http.PostAsync(new UriBuilder("https", member.Address.ToString(), member.HttpsPort, "/ping_test/v1").Uri, null, linked.Token).ConfigureAwait(false);
            if ((int)reply.StatusCode != 200 || !reply.Headers.TryGetValues("X-Oxen-Snode-Pubkey", out IEnumerable<string>? key)) return false;
            if (key.FirstOrDefault() != Convert.ToBase64String(member.Ed25519.Span)) return false;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
        {
            return false;
        }

        // The certificate proves nothing: the seal shows that the node's key is there.
        byte[] ping = Wire.BtEncoding.Write(new List<object> { new Wire.WireMap { ["k"] = "ping" } });
        if (await byHttps.CallAsync(member, ping, Limit, cancel).ConfigureAwait(false) is null) return false;
        if (quic is null || member.QuicPort == 0) return true;
        using var quicLimit = new CancellationTokenSource(Limit, core.Clock.Provider);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, quicLimit.Token);
        return await quic.PingAsync(new System.Net.IPEndPoint(member.Address, member.QuicPort), member.Ed25519, both.Token).ConfigureAwait(false);
    }
}
