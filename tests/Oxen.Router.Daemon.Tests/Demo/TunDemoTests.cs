using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>`oxen demo --tun` as a user starts it, and programs of the system through its tunnel: four hops, real namespaces.</summary>
[Collection(DemoCollection.Name)]
public sealed class TunDemoTests(TunDemoTests.Demo fixture, ITestOutputHelper output) : IClassFixture<TunDemoTests.Demo>
{
    private const int InnerMtu = 1320;
    private const int FullBytes = 1424, ReducedBytes = 1232; // docs/protocol/link.md#sealed
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SharePatience = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan PathPatience = TimeSpan.FromSeconds(90); // a relay that failed is avoided for a minute

    /// <summary>One demo for all tests here.</summary>
    public sealed class Demo : IAsyncLifetime
    {
        internal TunDemoProcess Process { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            if (!Environment.IsPrivilegedProcess || !LabNeeds.Has("nft") || !File.Exists("/dev/net/tun") || !LabNeeds.Has("ip")) return; // each test says why
            Process = await TunDemoProcess.StartAsync("--relays", "9");
        }

        public async ValueTask DisposeAsync()
        {
            if (Process is null) return;
            await Process.DisposeAsync();
            Assert.Empty(TunDemoProcess.Traces(Process.Prefix));
        }
    }

    private TunDemoProcess Needs(params string[] programs)
    {
        TunDemoProcess.Needs(programs);
        return fixture.Process;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Curl_fetches_a_page_from_the_exits_address_and_a_large_body_unchanged(bool six)
    {
        TunDemoProcess demo = Needs("curl");
        Assert.SkipWhen(six && demo.WebIPv6 is null, "this machine has no IPv6");
        string web = six ? demo.WebIPv6! : demo.Web;
        (int code, byte[] page, string errors) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--show-error", "--max-time", "30", web);
        Assert.True(code == 0, errors);
        string text = Encoding.UTF8.GetString(page);
        Assert.Contains("You came through the onion", text, StringComparison.Ordinal);
        Assert.Matches(six ? @"<code>\[?fd00:2[01]::2\]?:" : @"<code>10\.2[01]\.0\.2:", text); // an exit's address, not the client's
        Assert.DoesNotContain(six ? "fd00:10::" : "10.10.0.", text, StringComparison.Ordinal);

        const int Size = 16 << 20;
        (code, byte[] body, errors) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--show-error", "--max-time", "60", $"{web}bytes/{Size}");
        Assert.True(code == 0, errors);
        Assert.Equal(await DemoTargets.DigestAsync(Size), SHA256.HashData(body));
    }

    [Fact]
    public async Task An_exit_that_reaches_nobody_is_left_for_another_one()
    {
        TunDemoProcess demo = Needs("curl");
        Assert.Equal(0, await CurlAsync(demo.Web));
        string before = await ExitAsync();

        // The laboratory's internet has no way to these: the exit's own kernel says so at once, to four hosts in a row.
        for (int host = 1; host <= 4; host++) Assert.NotEqual(0, await CurlAsync($"http://8.8.8.{host}/"));
        for (var watch = Stopwatch.StartNew(); await ExitAsync() is var now && (now == before || now.Length == 0); await Task.Delay(50, TestContext.Current.CancellationToken))
            Assert.True(watch.Elapsed < Patience, $"the client stays with the exit {before}");
        Assert.Equal(0, await CurlAsync(demo.Web));

        async Task<int> CurlAsync(string url)
        {
            (int code, _, _) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--socks5", "127.0.0.1:1080", "--max-time", "60", "--output", "/dev/null", url);
            return code;
        }

        // Of the proxies' path in use; empty: none just now.
        async Task<string> ExitAsync() => (await demo.ReportAsync()).Paths.FirstOrDefault(p => !p.Tunnel && p.Active)?.Hops[^1] ?? "";
    }

    [Theory]
    [InlineData(false, 28)]
    [InlineData(true, 48)]
    public async Task Pings_come_back_up_to_the_inner_MTU_and_what_is_longer_is_told_or_cut(bool six, int headers)
    {
        TunDemoProcess demo = Needs("ping");
        Assert.SkipWhen(six && demo.TargetIPv6 is null, "this machine has no IPv6");
        string target = (six ? demo.TargetIPv6! : demo.Target).ToString();
        foreach (int payload in new[] { 0, 1, 56, 1200, InnerMtu - headers - 1, InnerMtu - headers }) await Ping(payload, "do");
        foreach (int payload in new[] { InnerMtu - headers + 1, InnerMtu, 1500, 8000 }) await Ping(payload, "dont");

        foreach (int payload in new[] { InnerMtu - headers + 1, 1400, 8000 })
        {
            (int code, byte[] said, string errors) = await TunDemoProcess.ExecAsync(demo.Client, "ping", "-c", "1", "-W", "5", "-M", "do", "-s", Text(payload), target);
            Assert.NotEqual(0, code);
            Assert.Contains(Text(InnerMtu), Encoding.UTF8.GetString(said) + errors, StringComparison.Ordinal);
        }

        // One may be lost: nobody repeats them.
        async Task Ping(int payload, string cut)
        {
            (int code, byte[] said, string errors) = await TunDemoProcess.ExecAsync(demo.Client, "ping", "-c", "3", "-i", "0.2", "-W", "5", "-M", cut, "-s", Text(payload), target);
            Assert.True(code == 0, $"{payload} bytes, -M {cut}: {Encoding.UTF8.GetString(said)} {errors}");
        }
    }

    [Theory]
    [InlineData(false, "--reverse", "--parallel", "4")]
    [InlineData(false, "--parallel", "4")]
    [InlineData(true, "--reverse")]
    [InlineData(false, "--udp", "--bitrate", "5M", "--length", "1200")]
    [InlineData(true, "--udp", "--reverse", "--bitrate", "5M", "--length", "1200")]
    public async Task Iperf3_measures(bool six, params string[] way)
    {
        TunDemoProcess demo = Needs("iperf3");
        Assert.SkipWhen(six && demo.TargetIPv6 is null, "this machine has no IPv6");
        (int code, byte[] said, string errors) = await TunDemoProcess.ExecAsync(demo.Client, ["iperf3", "--client", (six ? demo.TargetIPv6! : demo.Target).ToString(), "--time", "2", "--json", .. way]);
        Assert.True(code == 0, Encoding.UTF8.GetString(said) + errors);
        using JsonDocument json = JsonDocument.Parse(said);
        JsonElement sum = json.RootElement.GetProperty("end").GetProperty("sum_received");
        double rate = sum.GetProperty("bits_per_second").GetDouble() / 1e6;
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"IPv{(six ? 6 : 4)} {string.Join(' ', way)}: {rate:F1} Mbit/s"));
        Assert.True(sum.GetProperty("bytes").GetInt64() > 100_000, $"{rate} Mbit/s");
    }

    [Fact]
    public async Task The_wire_between_client_and_relay_shows_declared_sizes_alone_and_never_the_target()
    {
        TunDemoProcess demo = Needs("curl");
        await using WireCapture? capture = WireCapture.TryOpen(demo.Internet);
        Assert.SkipWhen(capture is null, "packet sockets are not permitted here");
        string marker = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
        const int Size = 4 << 20;
        foreach (string web in new[] { demo.Web, demo.WebIPv6 }.OfType<string>())
        {
            (int code, byte[] body, string errors) = await TunDemoProcess.ExecAsync(demo.Client, "curl", "--silent", "--show-error", "--max-time", "60", "--header", $"X-Marker: {marker}", $"{web}bytes/{Size}");
            Assert.True(code == 0, errors);
            Assert.Equal(Size, body.Length);
        }

        (List<WireCapture.Packet> packets, _) = await capture!.StopAsync();
        IPAddress client = IPAddress.Parse("10.10.0.2");
        byte[] bytes = Encoding.ASCII.GetBytes(marker), inner4 = [10, 98, 0, 2, .. demo.Target.GetAddressBytes()], inner6 = (demo.TargetIPv6 ?? IPAddress.IPv6Loopback).GetAddressBytes();

        // The search works: behind the exit, marker and target are in the clear.
        Assert.Contains(packets, p => p.Tcp && p.To.Equals(demo.Target) && p.Payload.AsSpan().IndexOf(bytes) >= 0);
        if (demo.TargetIPv6 is not null) Assert.Contains(packets, p => p.Tcp && p.To.Equals(demo.TargetIPv6) && p.Payload.AsSpan().IndexOf(bytes) >= 0);

        WireCapture.Packet[] ours = [.. packets.Where(p => p.From.Equals(client) || p.To.Equals(client))];
        long carried = 0;
        foreach (WireCapture.Packet packet in ours)
        {
            Assert.True(packet.Udp, $"protocol {packet.Protocol} between {packet.From} and {packet.To}");
            IPAddress other = packet.From.Equals(client) ? packet.To : packet.From;
            Assert.True(other.GetAddressBytes() is [10, >= 11 and <= 19, 0, 2], $"the client speaks with {other}, which is no relay");
            Assert.True(packet.Payload.AsSpan().IndexOf(bytes) < 0 && packet.Payload.AsSpan().IndexOf(bytes.AsSpan(0, 8)) < 0, "the marker is on the wire");
            Assert.True(packet.Payload.AsSpan().IndexOf(inner4) < 0 && packet.Payload.AsSpan().IndexOf(inner6) < 0, "the target's address is on the wire");
            if (packet.Payload[0] is not (>= 0x80 and <= 0xBF)) continue; // QUIC of the link
            int size = packet.Payload.Length % FullBytes == 0 ? FullBytes : ReducedBytes;
            Assert.True(packet.Payload.Length % size == 0, $"{packet.Payload.Length} bytes are no datagrams of {FullBytes} or {ReducedBytes}");
            carried += packet.Payload.Length;
        }

        // Nothing of the client's IPv6 address but its neighbours' discovery.
        Assert.DoesNotContain(packets, p => p.From.Equals(IPAddress.Parse("fd00:10::2")) && p.Protocol != 58);
        output.WriteLine($"{ours.Length} packets, {carried} bytes of sealed datagrams between client and relays");
        Assert.True(carried > Size, $"{carried} bytes of sealed datagrams were seen");
    }

    [Fact]
    public async Task A_TCP_connection_outlives_twenty_kills_of_relays_on_its_path()
    {
        const int Kills = 20;
        TunDemoProcess.Needs();
        await using TunDemoProcess demo = await TunDemoProcess.StartAsync("--relays", "9"); // its relays end with this test
        using Socket listener = Lab.Socket(demo.TargetSpace, AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(demo.Target, 9000));
        listener.Listen();
        using Socket client = Lab.Socket(demo.Client, AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Task<Socket> accepting = listener.AcceptAsync();
        await client.ConnectAsync(new IPEndPoint(demo.Target, 9000), TestContext.Current.CancellationToken);
        using Socket server = await accepting.WaitAsync(Patience, TestContext.Current.CancellationToken);
        using CountedFlow up = new(client, server), down = new(server, client);

        var relays = demo.Routers.ToDictionary(r => r.Id); // an exit relays for others too, so the other one may be a middle hop
        var processes = relays.Values.ToDictionary(r => r.Id, r => r.Process);
        var restarted = new Dictionary<string, Process>();
        var silences = new List<double>();
        try
        {
            for (int kill = 0; kill < Kills; kill++)
            {
                (PathStatus path, PathStatus[] spares) = await PathsAsync(demo, id => !relays.ContainsKey(id) || OxenProcess.IsAlive(processes[id]));
                string[] relaysOfPath = [.. path.Hops.SkipLast(1)], alone = [.. relaysOfPath.Where(id => !spares.Any(s => s.Hops.Contains(id)))];
                string[] candidates = alone.Length > 0 ? alone : relaysOfPath;
                string victim = candidates[kill % candidates.Length];
                long upBefore = up.Mark(), downBefore = down.Mark();
                OxenProcess.SignalTo("KILL", processes[victim]);
                for (var watch = Stopwatch.StartNew(); up.Bytes < upBefore + (256 << 10) || down.Bytes < downBefore + (256 << 10);)
                {
                    Assert.True(watch.Elapsed < Patience, $"kill {kill + 1} ({relays[victim].Name}): up {up.Bytes - upBefore}, down {down.Bytes - downBefore} bytes since; {up.Trouble} {down.Trouble} {(await demo.ReportAsync()).ToJson()}");
                    await Task.Delay(10, TestContext.Current.CancellationToken);
                }

                double silence = Math.Max(up.Silence.TotalMilliseconds, down.Silence.TotalMilliseconds);
                silences.Add(silence);
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"kill {kill + 1}: {relays[victim].Name}, hop {path.Hops.ToList().IndexOf(victim) + 1}{(alone.Length > 0 ? "" : " of path and spare")}: {silence:F0} ms of silence"));
                if (restarted.Remove(victim, out Process? before)) before.Dispose();
                restarted[victim] = await RestartAsync(relays[victim]);
                processes[victim] = restarted[victim].Id;
            }

            Assert.True(up.Trouble.Length == 0 && down.Trouble.Length == 0, $"{up.Trouble} {down.Trouble}");
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"median {silences.Order().ElementAt(Kills / 2):F0} ms, most {silences.Max():F0} ms; {up.Bytes >> 20} MiB up, {down.Bytes >> 20} MiB down on one connection"));
        }
        finally
        {
            foreach (Process process in restarted.Values)
            {
                process.StandardInput.Close();
                if (!process.WaitForExit(Patience)) process.Kill();
                process.Dispose();
            }
        }
    }

    [Fact]
    public async Task A_second_demo_of_the_same_name_is_refused_and_the_first_goes_on()
    {
        TunDemoProcess demo = Needs();
        await using var second = new OxenProcess("demo", "--tun", "--netns", demo.Prefix);
        Assert.Equal(3, await second.WaitForExitAsync(Patience));
        Assert.Contains("OXN3021", second.Errors, StringComparison.Ordinal);
        Assert.Contains(Text(demo.Process.Id), second.Errors, StringComparison.Ordinal);
        using HttpClient http = LabHttp.In(demo.Client);
        Assert.Equal(1000, (await http.GetByteArrayAsync(new Uri(demo.Web + "bytes/1000"), TestContext.Current.CancellationToken)).Length);
    }

    // ---- help ----

    /// <summary>
    /// The tunnel's path in use and its spares once all their routers live. With so few relays, of which those that were just
    /// killed are avoided, they may share some: then a little later, perhaps, they do not.
    /// </summary>
    private static async Task<(PathStatus Active, PathStatus[] Spares)> PathsAsync(TunDemoProcess demo, Func<string, bool> lives)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50, TestContext.Current.CancellationToken))
        {
            StatusReport report = await demo.ReportAsync();
            PathStatus[] paths = [.. report.Paths.Where(p => p.Tunnel)], spares = [.. paths.Where(p => !p.Active && p.HopMilliseconds[^1] > 0)];
            if (spares.Length > 0 && paths.All(p => p.Hops.All(lives)) && paths.FirstOrDefault(p => p.Active) is { } active
                && (watch.Elapsed > SharePatience || active.Hops.SkipLast(1).Any(id => !spares.Any(s => s.Hops.Contains(id))))) return (active, spares);
            Assert.True(watch.Elapsed < PathPatience, $"no path and spare: {report.ToJson()}");
        }
    }

    private static async Task<Process> RestartAsync(TunDemoProcess.Router relay)
    {
        var start = new ProcessStartInfo(OxenProcess.Program, ["run", "--config", relay.Config, "--stdin"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        Process process = LabProcess.StartIn(relay.Space, start);
        Assert.Equal("ready", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken));
        return process;
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Counts numbers into one end of a connection and checks that they come out of the other, none missing, in order.</summary>
    private sealed class CountedFlow : IDisposable
    {
        private const int Block = 16 << 10;
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10); // some megabytes a second: kills, not rates, are tried here

        private readonly CancellationTokenSource _stop = new();
        private long _bytes, _last, _silence;

        public CountedFlow(Socket from, Socket to)
        {
            _last = Stopwatch.GetTimestamp();
            _ = Task.Run(() => GuardAsync(() => WriteAsync(from)));
            _ = Task.Run(() => GuardAsync(() => ReadAsync(to)));
        }

        public long Bytes => Interlocked.Read(ref _bytes);

        /// <summary>The longest time without a byte since <see cref="Mark"/>.</summary>
        public TimeSpan Silence => Stopwatch.GetElapsedTime(0, Interlocked.Read(ref _silence));

        public string Trouble { get; private set; } = "";

        public long Mark()
        {
            Interlocked.Exchange(ref _silence, 0);
            return Bytes;
        }

        public void Dispose() => _stop.Cancel();

        private async Task GuardAsync(Func<Task> work)
        {
            try
            {
                await work();
            }
            catch (OperationCanceledException)
            {
                // The end.
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidDataException)
            {
                if (!_stop.IsCancellationRequested) Trouble = e.Message;
            }
        }

        private async Task WriteAsync(Socket from)
        {
            byte[] block = new byte[Block];
            for (long number = 0; ;)
            {
                for (int at = 0; at < Block; at += 8) BitConverter.TryWriteBytes(block.AsSpan(at), number++);
                for (ReadOnlyMemory<byte> left = block; !left.IsEmpty;) left = left[await from.SendAsync(left, _stop.Token)..];
                await Task.Delay(Pause, _stop.Token);
            }
        }

        private async Task ReadAsync(Socket to)
        {
            byte[] buffer = new byte[1 << 20];
            int have = 0;
            for (long number = 0; ;)
            {
                int read = await to.ReceiveAsync(buffer.AsMemory(have), _stop.Token);
                if (read == 0) throw new InvalidDataException("the connection ended");
                long now = Stopwatch.GetTimestamp();
                Interlocked.Exchange(ref _silence, Math.Max(Interlocked.Read(ref _silence), now - _last));
                _last = now;
                have += read;
                int at = 0;
                for (; at + 8 <= have; at += 8)
                {
                    if (BitConverter.ToInt64(buffer, at) != number++) throw new InvalidDataException($"another number than {number - 1}");
                }

                buffer.AsSpan(at, have - at).CopyTo(buffer);
                have -= at;
                Interlocked.Add(ref _bytes, read);
            }
        }
    }
}
