using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Api;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Storage;

namespace Oxen.Swarm.Tests.Cluster;

/// <summary>A directory that a test writes.</summary>
internal sealed class TestDirectory : ISwarmDirectory
{
    private SwarmRoster _current = new([], 0);

    public event Action? Changed;

    public SwarmRoster Current => _current;

    public void Set(IEnumerable<SwarmMember> members, ulong height = 1, ulong generation = 0)
    {
        _current = new SwarmRoster([.. members], height) { Generation = generation };
        Changed?.Invoke();
    }
}

/// <summary>A clock that is wrong by as much as a test wants.</summary>
internal sealed class SkewedClock : TimeProvider
{
    public TimeSpan Skew { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Skew;
}

/// <summary>Peers of one process: requests go from memory to memory, if the wire between the two is whole.</summary>
internal sealed class MemoryWires
{
    private readonly ConcurrentDictionary<string, SwarmNode> _nodes = new();
    private readonly ConcurrentDictionary<(string, string), bool> _cut = new();

    /// <summary>A request on a cut wire waits for its time limit, as one that nobody answers.</summary>
    public bool CutWiresAreSilent { get; set; }

    public void Attach(string hex, SwarmNode node) => _nodes[hex] = node;

    public void Detach(string hex) => _nodes.TryRemove(hex, out _);

    public void Cut(string a, string b) => _cut[(a, b)] = _cut[(b, a)] = true;

    public void MendAll() => _cut.Clear();

    public IPeerTransport Of(string hex) => new Wire(this, hex);

    private sealed class Wire(MemoryWires wires, string self) : IPeerTransport
    {
        private readonly byte[] _id = Convert.FromHexString(self);

        public async Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel)
        {
            try
            {
                string other = peer.Hex;
                if (wires._cut.ContainsKey((self, other)))
                {
                    if (wires.CutWiresAreSilent) await Task.Delay(limit, cancel);
                    return null;
                }

                if (!wires._nodes.TryGetValue(other, out SwarmNode? node)) return null;
                byte[]? answer = await Task.Run(() => node.Peers.HandleAsync(_id, request), cancel).WaitAsync(limit, cancel);
                return wires._cut.ContainsKey((self, other)) ? null : answer; // the answer is lost too
            }
            catch (Exception e) when (e is OperationCanceledException or TimeoutException or ObjectDisposedException or InvalidOperationException)
            {
                return null;
            }
        }
    }
}

/// <summary>Some storage nodes in one process, over memory or over HTTPS.</summary>
internal sealed class TestSwarm : IAsyncDisposable
{
    // A busy machine must not turn a living member into a silent one where a test counts members.
    private static readonly SwarmTimes Patient = new() { Grace = TimeSpan.FromSeconds(20), Patience = TimeSpan.FromSeconds(30), Answer = TimeSpan.FromSeconds(20) };
    private readonly Entry[] _entries;
    private readonly bool _https;
    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-swarm-").FullName;
    private readonly bool _durable, _patient, _quic, _files, _doors;
    private readonly IReadOnlySet<string>? _proxyHosts;
    private readonly TimeSpan _interval;
    private readonly double _rate;
    private byte[] _proKey = [];
    private readonly Oxen.Swarm.Duties.OnionRates _onionRates;

    private TestSwarm(int nodes, Func<int, ulong> swarmOf, bool https, bool durable, TimeSpan interval, bool patient, bool quic, bool files, IReadOnlySet<string>? proxyHosts, bool doors, double rate, Oxen.Swarm.Duties.OnionRates onionRates)
    {
        (_rate, _onionRates) = (rate, onionRates);
        _doors = doors;
        _quic = quic;
        _files = files;
        _proxyHosts = proxyHosts;
        _patient = patient;
        _https = https;
        _durable = durable;
        _interval = interval;
        _entries = [.. Enumerable.Range(0, nodes).Select(i => new Entry(new SwarmIdentity(Enumerable.Repeat((byte)(i + 1), 32).ToArray()), swarmOf(i)))];
    }

    public sealed class Entry(SwarmIdentity identity, ulong swarmId)
    {
        public SwarmIdentity Identity => identity;

        public string Hex { get; } = Convert.ToHexStringLower(identity.Ed25519.Span);

        public ulong SwarmId { get; set; } = swarmId;

        public ulong SwarmSince { get; set; }

        public SkewedClock Clock { get; } = new();

        public SwarmNode? Node { get; set; }

        public int Port { get; set; }

        public int QuicPort { get; set; }
    }

    public TestDirectory Directory_ { get; } = new();

    public MemoryWires Wires { get; } = new();

    public IReadOnlyList<Entry> Entries => _entries;

    public SwarmNode this[int i] => _entries[i].Node!;

    public static async Task<TestSwarm> StartAsync(int nodes = 5, Func<int, ulong>? swarmOf = null, bool https = false, bool durable = false, int intervalMilliseconds = 30, bool waitReady = true, bool patient = true, bool quic = false, bool files = false, IReadOnlyList<string>? proxyHosts = null, bool doors = false, double rate = 1e6, Oxen.Swarm.Duties.OnionRates? onionRates = null, byte[]? proKey = null)
    {
        var swarm = new TestSwarm(nodes, swarmOf ?? (_ => 0), https, durable, TimeSpan.FromMilliseconds(intervalMilliseconds), patient, quic || doors, files, proxyHosts?.ToHashSet(), doors, rate, onionRates ?? new Oxen.Swarm.Duties.OnionRates()) { _proKey = proKey ?? [] };
        for (int i = 0; i < nodes; i++) await swarm.StartNodeAsync(i);
        swarm.Publish();
        if (!waitReady) return swarm;
        await swarm.WaitAsync(() => Enumerable.Range(0, nodes).All(i => swarm[i].NotReady.Count == 0), "nodes are ready");

        // The first who looked were strangers to those who had not read the list yet, and count them as silent until they look again: an interval later.
        await swarm.WaitAsync(() => Enumerable.Range(0, nodes).All(i => swarm[i].ReadFigures() is { } f && f.Answering == f.Members), "everybody counts on everybody", 60 + (3 * intervalMilliseconds / 1000));
        return swarm;
    }

    public void Publish(ulong generation = 0) =>
        Directory_.Set(_entries.Select((e, i) => new SwarmMember(e.Identity.Ed25519, e.SwarmId, IPAddress.Loopback, _https ? e.Port : 20_000 + i, _https ? e.QuicPort : 0) { SwarmSince = e.SwarmSince }), generation: generation);

    public async Task StartNodeAsync(int i, bool wipe = false)
    {
        Entry entry = _entries[i];
        string path = PathOf(i);
        if (wipe) foreach (string file in Directory.GetFiles(_folder, $"{i}.db*")) File.Delete(file);
        var options = new SwarmNodeOptions
        {
            Identity = entry.Identity, Directory = Directory_, DatabasePath = path, SyncInterval = _interval, Time = entry.Clock, Proxy = _proxyHosts is not null, ProxyHosts = _proxyHosts, Times = _patient ? Patient : new SwarmTimes(),
            Listen = _https || _doors ? new IPEndPoint(IPAddress.Loopback, entry.Port) : null, Seed = true, RequestsPerSecond = _rate, OnionRates = _onionRates, ProBackendKey = _proKey, ProRevocationsFile = _proKey.Length > 0 ? RevocationsFile : null,
            ListenQuic = _quic ? new IPEndPoint(IPAddress.Loopback, entry.QuicPort) : null, FilesFolder = _files ? Directory.CreateDirectory(Path.Combine(_folder, $"files{i}")).FullName : null,
        };
        entry.Node = await SwarmNode.StartAsync(options, _https ? null : Wires.Of(entry.Hex), new StoreOptions { Path = path, Durable = _durable });
        if (_https) (entry.Port, entry.QuicPort) = (entry.Node.HttpsPort, entry.Node.QuicPort);
        Wires.Attach(entry.Hex, entry.Node);
    }

    public async Task StopNodeAsync(int i)
    {
        Wires.Detach(_entries[i].Hex);
        if (_entries[i].Node is { } node) await node.DisposeAsync();
        _entries[i].Node = null;
    }

    public string RevocationsFile => Path.Combine(_folder, "revocations.json");

    public string PathOf(int i) => Path.Combine(_folder, $"{i}.db");

    /// <summary>Asks one node as a client does.</summary>
    public async Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters)
    {
        if (_entries[node].Node is not { NotReady.Count: 0 }) return (503, null, "not ready");
        byte[] body = Encoding.UTF8.GetBytes(Client.MiniRequests.Call(method, (JsonObject)parameters.DeepClone()).ToJsonString());
        ApiResult result = await _entries[node].Node!.Api.HandleJsonAsync(body);
        string text = Encoding.UTF8.GetString(result.ToBytes(bt: false));
        return (result.Status, result.Body is string ? null : JsonNode.Parse(text), text);
    }

    public static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    /// <summary>All living nodes hold the same.</summary>
    public bool Agree()
    {
        ulong[] roots = [.. _entries.Where(e => e.Node is not null).Select(e => e.Node!.Store.Digests.Root)];
        return roots.Distinct().Count() == 1;
    }

    public async Task WaitAsync(Func<bool> condition, string what, int seconds = 60)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        while (!condition())
        {
            Assert.False(limit.IsCancellationRequested, $"waited {seconds} s in vain until {what}: {string.Join(" | ", _entries.Select((e, i) => $"{i}: {(e.Node is null ? "down" : $"{e.Node.Store.Digests.Root:x} votes {e.Node.Core.Votes} {e.Node.Store.Trouble}")}"))}");
            await Task.Delay(10, CancellationToken.None);
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < _entries.Length; i++) await StopNodeAsync(i);
        foreach (Entry entry in _entries) entry.Identity.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
