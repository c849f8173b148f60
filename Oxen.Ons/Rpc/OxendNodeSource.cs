using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Rpc;

/// <summary>The service nodes of a real oxend (`get_service_nodes`), asked again and again; it answers in a few bytes while nothing has changed.</summary>
public sealed class OxendNodeSource : INodeSource, IAsyncDisposable
{
    private readonly HttpClient _http;
    private readonly OxendClient _server;
    private readonly TimeSpan _every;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private volatile NodeRegistry _current = NodeRegistry.Empty;
    private string _block = "";
    private Task _loop = Task.CompletedTask;

    /// <summary>`every`: how long between two questions. Nothing is asked before <see cref="StartAsync"/> or <see cref="RefreshAsync"/>.</summary>
    public OxendNodeSource(Uri server, TimeSpan every, TimeSpan timeout, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(server);
        ArgumentNullException.ThrowIfNull(time);
        _http = OxendClient.CreateHttp(timeout);
        _server = new OxendClient(_http, server);
        (_every, _time) = (every, time);
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <inheritdoc/>
    public NodeRegistry Current => _current;

    /// <summary>In words, why the last question brought no answer; empty: it did.</summary>
    public string Trouble { get; private set; } = "";

    /// <summary>Asks once and then goes on asking.</summary>
    public async Task StartAsync(CancellationToken cancel)
    {
        await RefreshAsync(cancel).ConfigureAwait(false);
        _loop = LoopAsync();
    }

    /// <summary>Asks now. False: no answer, <see cref="Trouble"/> says why, and <see cref="Current"/> stays.</summary>
    public async Task<bool> RefreshAsync(CancellationToken cancel)
    {
        try
        {
            JsonElement result = await _server.CallAsync(
                "get_service_nodes",
                new { fields = new[] { "service_node_pubkey", "pubkey_ed25519", "funded", "active", "swarm_id", "swarm_height", "state_height", "operator_address", "height", "block_hash" }, active_only = false, poll_block_hash = _block },
                cancel).ConfigureAwait(false);
            Trouble = "";
            if (result.TryGetProperty("unchanged", out JsonElement same) && same.ValueKind == JsonValueKind.True) return true;
            _current = Read(result);
            _block = result.TryGetProperty("block_hash", out JsonElement hash) && hash.ValueKind == JsonValueKind.String ? hash.GetString()! : "";
        }
        catch (Exception e) when (e is OxendException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            Trouble = e is OxendException ? e.Message : $"{_server.Server} gave a list of nodes that is none: {e.Message}";
            return false;
        }

        Changed?.Invoke();
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        _stop.Dispose();
        _http.Dispose();
    }

    private static NodeRegistry Read(JsonElement result)
    {
        var nodes = new List<ServiceNode>();
        foreach (JsonElement state in result.GetProperty("service_node_states").EnumerateArray())
        {
            // A node that has not told its Ed25519 key yet cannot be a relay.
            if (!state.TryGetProperty("pubkey_ed25519", out JsonElement key) || !Bytes32.TryParse(key.GetString(), out Bytes32 id) || id.IsZero) continue;
            if (state.TryGetProperty("funded", out JsonElement funded) && !funded.GetBoolean()) continue;
            string by = state.TryGetProperty("operator_address", out JsonElement address) ? address.GetString() ?? "" : "";
            ulong swarm = state.TryGetProperty("swarm_id", out JsonElement s) ? s.GetUInt64() : ulong.MaxValue;
            // An oxend tells the height of the stage, not of the swarm: whoever was decommissioned meanwhile is known by it.
            ulong since = state.TryGetProperty("swarm_height", out JsonElement h) || state.TryGetProperty("state_height", out h) ? h.GetUInt64() : 0;
            nodes.Add(new ServiceNode(id.ToArray(), by, swarm, !state.TryGetProperty("active", out JsonElement active) || active.GetBoolean()) { SwarmSince = since });
        }

        return new NodeRegistry(nodes, result.TryGetProperty("height", out JsonElement height) ? height.GetUInt64() : 0);
    }

    private async Task LoopAsync()
    {
        try
        {
            while (true)
            {
                // An oxend tells nobody of its changes: it has to be asked.
                await Task.Delay(_every, _time, _stop.Token).ConfigureAwait(false);
                await RefreshAsync(_stop.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }
}
