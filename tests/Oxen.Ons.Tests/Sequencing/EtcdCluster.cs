using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Three etcds of our own on private ports, or in namespaces of their own; each may be killed, frozen and started again.</summary>
internal sealed class EtcdCluster : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-etcd3").FullName;
    private readonly EtcdNetwork? _network;
    private readonly (string Client, string Peer)[] _places;
    private readonly Process?[] _members = new Process?[3];
    private readonly HttpClient _http;

    private EtcdCluster(EtcdNetwork? network)
    {
        _network = network;
        _places = [.. Enumerable.Range(0, 3).Select(i => network is null ? ($"http://127.0.0.1:{Servers.FreePort()}", $"http://127.0.0.1:{Servers.FreePort()}") : ($"http://{EtcdNetwork.AddressOf(i)}:2379", $"http://{EtcdNetwork.AddressOf(i)}:2380"))];
        _http = new HttpClient(Handler()) { Timeout = TimeSpan.FromSeconds(3) };
    }

    /// <param name="network">Where its members are; it stays the caller's. Null: on this machine's loopback.</param>
    public static async Task<EtcdCluster> StartAsync(EtcdNetwork? network = null)
    {
        var cluster = new EtcdCluster(network);
        for (int i = 0; i < 3; i++) cluster.Launch(i);
        await cluster.LeaderAsync();
        return cluster;
    }

    /// <summary>A store that asks this member first.</summary>
    public EtcdSequencer Open(int first) => Over([.. Enumerable.Range(0, 3).Select(i => (first + i) % 3)]);

    /// <summary>A store that knows no other member.</summary>
    public EtcdSequencer OpenOnly(int member) => Over([member]);

    /// <summary>Which member leads; waits until one does.</summary>
    /// <param name="except">One that may believe so for a while and does not.</param>
    public async Task<int> LeaderAsync(int except = -1)
    {
        for (int attempt = 0; attempt < 600; attempt++)
        {
            for (int i = 0; i < 3; i++)
            {
                if (_members[i] is null || i == except) continue;
                try
                {
                    using HttpResponseMessage response = await _http.PostAsJsonAsync($"{_places[i].Client}/v3/maintenance/status", new { });
                    JsonElement status = await response.Content.ReadFromJsonAsync<JsonElement>();
                    if (status.TryGetProperty("leader", out JsonElement leader) && leader.GetString() == status.GetProperty("header").GetProperty("member_id").GetString()) return i;
                }
                catch (Exception e) when (e is HttpRequestException or TaskCanceledException or JsonException)
                {
                    // not up yet, or frozen
                }
            }

            await Task.Delay(100);
        }

        throw new TimeoutException("no member leads within a minute");
    }

    public void Kill(int member)
    {
        _members[member]!.Kill();
        _members[member]!.WaitForExit();
        _members[member]!.Dispose();
        _members[member] = null;
    }

    public async Task RestartAsync(int member)
    {
        Launch(member);
        for (int i = 0; i < 600; i++)
        {
            try
            {
                if ((await _http.GetAsync($"{_places[member].Client}/health")).IsSuccessStatusCode) return;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                // not up yet
            }

            await Task.Delay(100);
        }

        throw new TimeoutException("the member did not come back within a minute");
    }

    public Task FreezeAsync(int member) => SignalAsync(member, "STOP");

    public Task ThawAsync(int member) => SignalAsync(member, "CONT");

    public async ValueTask DisposeAsync()
    {
        for (int i = 0; i < 3; i++) if (_members[i] is not null) Kill(i);
        _http.Dispose();
        try
        {
            Directory.Delete(_directory, recursive: true);
        }
        catch (IOException)
        {
            // The directory is a temporary one.
        }

        await Task.CompletedTask;
    }

    private EtcdSequencer Over(int[] members) => new([.. members.Select(m => new Uri(_places[m].Client + "/"))], "/cluster", TimeSpan.FromSeconds(2), Handler());

    private HttpMessageHandler Handler() => _network?.Handler() ?? new SocketsHttpHandler();

    private void Launch(int member)
    {
        string cluster = string.Join(',', _places.Select((p, i) => $"m{i}={p.Peer}"));
        (string client, string peer) = _places[member];
        string[] command =
        [
            .. _network is null ? Array.Empty<string>() : ["ip", "netns", "exec", _network.SpaceOf(member)],
            Servers.Find("etcd")!, "--name", $"m{member}", "--data-dir", Path.Combine(_directory, $"m{member}"), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--heartbeat-interval", "100", "--election-timeout", "1000",
        ];
        _members[member] = Servers.Start(command[0], _directory, command[1..]);
    }

    private async Task SignalAsync(int member, string signal)
    {
        using Process kill = Servers.Start("kill", "/", $"-{signal}", _members[member]!.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }
}
