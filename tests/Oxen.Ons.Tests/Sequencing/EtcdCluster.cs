using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>Three etcds of our own on private ports; each may be killed, frozen and started again.</summary>
internal sealed class EtcdCluster : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-etcd3").FullName;
    private readonly (int Client, int Peer)[] _ports = [.. Enumerable.Range(0, 3).Select(_ => (Servers.FreePort(), Servers.FreePort()))];
    private readonly Process?[] _members = new Process?[3];
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(3) };

    private EtcdCluster()
    {
    }

    public static async Task<EtcdCluster> StartAsync()
    {
        var cluster = new EtcdCluster();
        for (int i = 0; i < 3; i++) cluster.Launch(i);
        await cluster.LeaderAsync();
        return cluster;
    }

    /// <summary>A store that asks this member first.</summary>
    public EtcdSequencer Open(int first) => new([.. Enumerable.Range(0, 3).Select(i => new Uri($"http://127.0.0.1:{_ports[(first + i) % 3].Client}/"))], "/cluster", TimeSpan.FromSeconds(2));

    /// <summary>Which member leads; waits until one does.</summary>
    public async Task<int> LeaderAsync()
    {
        for (int attempt = 0; attempt < 600; attempt++)
        {
            for (int i = 0; i < 3; i++)
            {
                if (_members[i] is null) continue;
                try
                {
                    using HttpResponseMessage response = await _http.PostAsJsonAsync($"http://127.0.0.1:{_ports[i].Client}/v3/maintenance/status", new { });
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
                if ((await _http.GetAsync($"http://127.0.0.1:{_ports[member].Client}/health")).IsSuccessStatusCode) return;
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

    private void Launch(int member)
    {
        string cluster = string.Join(',', _ports.Select((p, i) => $"m{i}=http://127.0.0.1:{p.Peer}"));
        string client = $"http://127.0.0.1:{_ports[member].Client}", peer = $"http://127.0.0.1:{_ports[member].Peer}";
        _members[member] = Servers.Start(
            Servers.Find("etcd")!, _directory, "--name", $"m{member}", "--data-dir", Path.Combine(_directory, $"m{member}"), "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--heartbeat-interval", "100", "--election-timeout", "1000");
    }

    private async Task SignalAsync(int member, string signal)
    {
        using Process kill = Servers.Start("kill", "/", $"-{signal}", _members[member]!.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }
}
