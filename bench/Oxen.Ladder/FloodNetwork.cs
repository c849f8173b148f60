using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Oxen.Router.Hosting;

namespace Oxen.Ladder;

/// <summary>`oxen run`, three times on loopback: a client, the relay that is flooded, an exit; and a download that never ends.</summary>
internal sealed class FloodNetwork : IDisposable
{
    private const int Port = 9000;
    private static readonly double TicksPerSecond = 100; // USER_HZ

    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-flood-").FullName;
    private readonly List<Process> _processes = [];
    private readonly TcpListener _source = new(IPAddress.Loopback, 0);
    private readonly TcpClient _download = new();
    private readonly RawKeyQuic _honest;
    private byte[] _relayKey = [];
    private long _downloaded;

    private FloodNetwork()
    {
        _honest = RawKeyQuic.Open(new RawKeyQuicOptions { Listen = new IPEndPoint(IPAddress.Parse("127.88.0.1"), 0), Protocol = "oxen-link/1" }, RandomNumberGenerator.GetBytes(32));
    }

    public IPEndPoint Relay { get; } = new(IPAddress.Parse("127.21.0.1"), Port);

    public long Downloaded => Volatile.Read(ref _downloaded);

    public long RelayResident
    {
        get
        {
            _processes[0].Refresh();
            return _processes[0].WorkingSet64;
        }
    }

    public static FloodNetwork Start(string program)
    {
        var made = new FloodNetwork();
        try
        {
            made.Begin(program);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Seconds of CPU that the relay has used: user, system.</summary>
    public (double User, double System) RelayCpu()
    {
        string[] fields = File.ReadAllText($"/proc/{_processes[0].Id}/stat").Split(") ")[1].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) / TicksPerSecond, double.Parse(fields[12], CultureInfo.InvariantCulture) / TicksPerSecond);
    }

    /// <summary>Ten honest handshakes a second; milliseconds of each that succeeded.</summary>
    public async Task<(List<double> Times, int Failed)> HandshakesAsync(TimeSpan period)
    {
        var times = new List<double>();
        int failed = 0;
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < period;)
        {
            long begin = Stopwatch.GetTimestamp();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            try
            {
                RawKeyConnection connection = await _honest.ConnectAsync(Relay, _relayKey, limit.Token).ConfigureAwait(false);
                times.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
                connection.Close();
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                failed++;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100)).ConfigureAwait(false);
        }

        return (times, failed);
    }

    public void Dispose()
    {
        _download.Dispose();
        _source.Dispose();
        _honest.DisposeAsync().AsTask().Wait();
        foreach (Process process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        Directory.Delete(_directory, recursive: true);
    }

    private void Begin(string program)
    {
        _source.Start();
        int source = ((IPEndPoint)_source.LocalEndpoint).Port;
        string key = TunLab.Output(program, "keygen", "--role", "list", "--out", At("list"));
        key = key.Split('\n').First(l => l.StartsWith("list key: ", StringComparison.Ordinal))["list key: ".Length..].Trim();
        string common = $"network = \"bench\"\ncontacts = \"{At("contacts.list")}\"\ncontacts_key = \"{key}\"\n";
        const string Log = "\n[log]\nlevel = \"error\"\n";
        foreach ((string name, string address, bool exit) in new[] { ("relay", "127.21.0.1", false), ("exit", "127.22.0.1", true) })
        {
            TunLab.Do(program, "keygen", "--role", "relay", "--out", At(name));
            File.WriteAllText(At(name, "oxen.toml"), $"""
                [router]
                roles = [{(exit ? "\"relay\", \"exit\"" : "\"relay\"")}]
                listen = "{address}:{Port}"
                identity = "identity.key"
                {common}
                [relay]
                operator = "{name}"
                {(exit ? $"[exit]\nexcept = [\"allow 127.0.0.1:{source} tcp\"]\n" : "")}{Log}
                """);
            TunLab.Do(program, "contact", "--config", At(name, "oxen.toml"), "--out", At(name, "router.contact"));
        }

        TunLab.Do(program, "contacts", "sign", "--key", At("list", "list.key"), "--network", "bench", "--out", At("contacts.list"), At("relay", "router.contact"), At("exit", "router.contact"));
        string shown = TunLab.Output(program, "contacts", "show", At("contacts.list"), "--key", key, "--json");
        using (var list = System.Text.Json.JsonDocument.Parse(shown))
        {
            foreach (System.Text.Json.JsonElement contact in list.RootElement.GetProperty("routers").EnumerateArray())
                if (contact.GetProperty("operator").GetString() == "relay") _relayKey = Convert.FromHexString(contact.GetProperty("router_id").GetString()!);
        }

        Directory.CreateDirectory(At("client"));
        int socks = 18_800 + Environment.ProcessId % 1000;
        File.WriteAllText(At("client", "oxen.toml"), $"""
            [router]
            roles = ["client"]
            {common}
            [client]
            socks = "127.0.0.1:{socks}"
            http = "off"
            hops = 2
            spares = 0
            {Log}
            """);
        foreach (string name in new[] { "relay", "exit", "client" })
        {
            var start = new ProcessStartInfo(program) { RedirectStandardOutput = true };
            foreach (string argument in (string[])["run", "--config", At(name, "oxen.toml")]) start.ArgumentList.Add(argument);
            Process process = Process.Start(start)!;
            _processes.Add(process);
            while (process.StandardOutput.ReadLine() is { } line && line != "ready")
            {
            }

            _ = process.StandardOutput.ReadToEndAsync();
        }

        new Thread(Feed) { IsBackground = true }.Start();
        Download(socks, source);
    }

    private string At(params string[] parts) => Path.Combine([_directory, .. parts]);

    private void Feed()
    {
        try
        {
            using Socket reader = _source.AcceptSocket();
            byte[] bytes = new byte[1 << 18];
            while (true) reader.Send(bytes);
        }
        catch (SocketException)
        {
            // The end.
        }
    }

    // SOCKS5 (RFC 1928), without a password.
    private void Download(int socks, int source)
    {
        _download.Connect(IPAddress.Loopback, socks);
        NetworkStream stream = _download.GetStream();
        stream.Write([5, 1, 0]);
        byte[] answer = new byte[10];
        stream.ReadExactly(answer, 0, 2);
        byte[] connect = [5, 1, 0, 1, 127, 0, 0, 1, 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(connect.AsSpan(8), (ushort)source);
        stream.Write(connect);
        stream.ReadExactly(answer);
        if (answer[1] != 0) throw new IOException($"the proxy refused: {answer[1]}");
        new Thread(() =>
        {
            byte[] buffer = new byte[1 << 18];
            try
            {
                while (stream.Read(buffer) is > 0 and int got) Interlocked.Add(ref _downloaded, got);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The end.
            }
        }) { IsBackground = true }.Start();
    }
}
