using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Tests.Client;

namespace Oxen.Swarm.Tests.Cluster.Processes;

/// <summary>
/// Five members and a spare, each a process, perhaps each in a network namespace. What can be done to them is done from outside:
/// signals, files, cables. Used by one task, but for <see cref="AskAsync"/>.
/// </summary>
internal sealed class NodeCluster : IAsyncDisposable
{
    public const int Members = 5, Processes = 6;
    private const int Port = 22021;
    private readonly string _folder;
    private readonly string? _spaces;
    private readonly byte _net;
    private readonly Process?[] _running = new Process?[Processes];
    private readonly int[] _members = [.. Enumerable.Range(0, Members)];
    private readonly HttpClient _http;

    /// <param name="folder">For databases and rosters.</param>
    /// <param name="spaces">What the names of the nodes' namespaces begin with; null: all on loopback.</param>
    public NodeCluster(string folder, string? spaces)
    {
        _folder = folder;
        _spaces = spaces;
        _net = (byte)(64 + (Environment.ProcessId % 100));
        SocketsHttpHandler handler = HttpsPeerTransport.CreateHandler();
        handler.MaxConnectionsPerServer = 32;
        _http = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(5) };
    }

    public bool HasCables => _spaces is not null;

    /// <summary>Who is in the swarm now.</summary>
    public IReadOnlyList<int> Current => _members;

    /// <summary>A node's network inside namespaces.</summary>
    public static string NetworkOf(int node) => string.Create(CultureInfo.InvariantCulture, $"10.83.{node}");

    public async Task StartAsync()
    {
        WriteRoster();
        await Task.WhenAll(Enumerable.Range(0, Processes).Select(StartAsync));
        await ReadyAsync();
    }

    public Task StartAsync(int node)
    {
        string[] command = ["dotnet", "exec", Assembly.GetExecutingAssembly().Location, NodeProcess.Verb, _folder, node.ToString(CultureInfo.InvariantCulture), AddressOf(node).ToString()];
        if (_spaces is not null) command = ["ip", "netns", "exec", _spaces + "n" + node.ToString(CultureInfo.InvariantCulture), .. command];
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["DOTNET_TieredPGO"] = "0";
        Process process = Process.Start(start)!;
        _running[node] = process;
        return process.StandardOutput.ReadLineAsync();
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync(int node)
    {
        if (_running[node] is not { } process) return;
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        _running[node] = null;
    }

    public void Wipe(int node)
    {
        foreach (string file in Directory.GetFiles(_folder, $"{node}.db*")) File.Delete(file);
    }

    public void Stop(int node) => Signal(node, "-STOP");

    public void Continue(int node) => Signal(node, "-CONT");

    public void SetClock(int node, TimeSpan off) => Replace(node.ToString(CultureInfo.InvariantCulture) + ".skew", ((long)off.TotalSeconds).ToString(CultureInfo.InvariantCulture));

    /// <summary>Takes a node's cable out, or puts it back.</summary>
    public void Plug(int node, bool connected) => Run("ip", "-n", _spaces + "mid", "link", "set", $"v{node}", connected ? "up" : "down");

    /// <summary>Two nodes lose sight of each other, or find it again; clients reach both.</summary>
    public void Part(int a, int b, bool apart)
    {
        foreach ((int from, int to) in new[] { (a, b), (b, a) }) Run("ip", "-n", $"{_spaces}n{from}", "route", apart ? "replace" : "delete", "blackhole", NetworkOf(to) + ".0/24");
    }

    /// <summary>A member leaves the swarm, the node outside takes its place.</summary>
    public void Exchange(int place)
    {
        _members[place] = Enumerable.Range(0, Processes).Except(_members).Single();
        WriteRoster();
    }

    /// <summary>All members serve clients.</summary>
    public async Task ReadyAsync()
    {
        long begun = Stopwatch.GetTimestamp();
        foreach (int node in _members)
        {
            while ((await AskAsync(node, MiniRequests.Call("info", []))).Status != 200)
            {
                if (Stopwatch.GetElapsedTime(begun) > TimeSpan.FromMinutes(3)) throw new TimeoutException($"node {node} is not ready after three minutes");
                await Task.Delay(50);
            }
        }
    }

    /// <summary>Status 0: no answer.</summary>
    public async Task<(int Status, JsonNode? Json)> AskAsync(int node, JsonObject call)
    {
        try
        {
            using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(call.ToJsonString()));
            using HttpResponseMessage reply = await _http.PostAsync(new Uri($"https://{AddressOf(node)}/storage_rpc/v1"), content);
            byte[] body = await reply.Content.ReadAsByteArrayAsync();
            return ((int)reply.StatusCode, body is [(byte)'{', ..] ? JsonNode.Parse(body) : null);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
        {
            return (0, null);
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (int node = 0; node < Processes; node++)
        {
            if (_running[node] is not null) Continue(node);
            await KillAsync(node);
        }

        _http.Dispose();
    }

    private IPEndPoint AddressOf(int node) => new(_spaces is null ? new IPAddress([127, _net, (byte)node, 1]) : IPAddress.Parse(NetworkOf(node) + ".2"), Port);

    // Who is not a member belongs to no swarm, and relays.
    private void WriteRoster() => Replace(NodeProcess.RosterFile, string.Join('\n', Enumerable.Range(0, Processes).Select(n => NodeProcess.Line(n, _members.Contains(n) ? 0 : SwarmRing.Unassigned, AddressOf(n)))));

    private void Replace(string name, string text)
    {
        string file = Path.Combine(_folder, name);
        File.WriteAllText(file + ".new", text);
        File.Move(file + ".new", file, overwrite: true);
    }

    private void Signal(int node, string signal)
    {
        if (_running[node] is { } process) Run("/bin/sh", "-c", string.Create(CultureInfo.InvariantCulture, $"kill {signal} {process.Id}"));
    }

    private static void Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error}");
    }
}
