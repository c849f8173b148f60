using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests;

/// <summary>The demo as a user starts it, and curl through its doors: four hops, real sockets.</summary>
[Collection(DemoCollection.Name)]
public sealed partial class DemoTrafficTests(DemoTrafficTests.Demo demo) : IClassFixture<DemoTrafficTests.Demo>
{
    private const int Size = 4_000_000;

    public static TheoryData<string> Ways => ["--socks5", "--socks5-hostname", "--proxy", "--proxytunnel"];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task A_page_is_fetched_through_every_door(string way)
    {
        Answer answer = await Curl([.. Door(way), demo.Web + "/"]);
        Assert.Equal((0, "200"), (answer.Exit, answer.Status));
        Assert.Contains("You came through the onion", answer.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--socks5")]
    [InlineData("--proxy")]
    public async Task A_page_is_fetched_over_IPv6(string way)
    {
        Assert.SkipWhen(demo.WebIPv6.Length == 0, "this machine has no IPv6 loopback");
        Answer answer = await Curl([.. Door(way), demo.WebIPv6 + "/"]);
        Assert.Equal((0, "200"), (answer.Exit, answer.Status));
    }

    [Theory]
    [InlineData("--socks5-hostname")]
    [InlineData("--proxy")]
    public async Task Large_bodies_go_down_and_up_unchanged(string way)
    {
        Answer direct = await Curl([$"{demo.Web}/bytes/{Size}"]);
        Answer down = await Curl([.. Door(way), $"{demo.Web}/bytes/{Size}"]);
        Assert.Equal(Size, down.Body.Length);
        Assert.Equal(SHA256.HashData(direct.Body), SHA256.HashData(down.Body));

        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, down.Body, TestContext.Current.CancellationToken);
            Answer up = await Curl([.. Door(way), "--upload-file", file, demo.Web + "/digest"]);
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(down.Body)), up.Text.Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Fifty_downloads_at_once_all_arrive()
    {
        Answer[] answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Curl([.. Door("--socks5-hostname"), $"{demo.Web}/bytes/200000"])));
        Assert.All(answers, a => Assert.Equal((0, 200_000), (a.Exit, a.Body.Length)));
    }

    [Fact]
    public async Task A_user_name_isolates_and_needs_no_configuration()
    {
        foreach (string user in new[] { "a:b", "c:d" })
        {
            Assert.Equal("200", (await Curl([.. Door("--proxy"), "--proxy-user", user, demo.Web + "/"])).Status);
            Assert.Equal("200", (await Curl([.. Door("--socks5"), "--proxy-user", user, demo.Web + "/"])).Status);
        }
    }

    [Theory]
    [InlineData("http://10.0.0.1/", "403", "policy refuses")]
    [InlineData("http://192.168.1.1/", "403", "policy refuses")]
    [InlineData("http://[fe80::1]/", "403", "policy refuses")]
    [InlineData("http://169.254.169.254/", "403", "policy refuses")]
    [InlineData("http://1.1.1.1:25/", "403", "policy refuses")]
    [InlineData("http://127.0.0.1:1/", "403", "policy refuses")]
    [InlineData("http://does-not-exist.invalid/", "502", "could not resolve")]
    public async Task What_the_exit_does_not_reach_is_explained(string url, string status, string cause)
    {
        Answer answer = await Curl([.. Door("--proxy"), url]);
        Assert.Equal(status, answer.Status);
        Assert.Contains(cause, answer.Text, StringComparison.Ordinal);

        // The same by SOCKS5: 2 "not allowed", 4 "host unreachable" (RFC 1928 section 6).
        Answer socks = await Curl([.. Door("--socks5-hostname"), url]);
        Assert.Equal(97, socks.Exit);
        Assert.Contains(status == "403" ? "(2)" : "(4)", socks.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_datagram_comes_back_through_SOCKS5(bool byName)
    {
        using var control = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 20_000 };
        await control.ConnectAsync(demo.Socks, TestContext.Current.CancellationToken);
        control.Send([5, 1, 0]);
        Assert.Equal<byte>([5, 0], Receive(control, 2));
        control.Send([5, 3, 0, 1, 0, 0, 0, 0, 0, 0]);
        byte[] reply = Receive(control, 10);
        Assert.Equal(0, reply[1]);
        byte[] host = byName ? [3, 9, .. "localhost"u8] : [1, 127, 0, 0, 1];
        byte[] datagram = [0, 0, 0, .. host, (byte)(demo.Echo.Port >> 8), (byte)demo.Echo.Port, .. "hello"u8];
        using var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 1000 };
        byte[] back = new byte[2000];
        for (int attempt = 0; ; attempt++)
        {
            // A datagram may be lost: that is what datagrams are.
            udp.SendTo(datagram, new IPEndPoint(new IPAddress(reply.AsSpan(4, 4)), reply[8] << 8 | reply[9]));
            try
            {
                int n = udp.Receive(back);
                Assert.Equal<byte>([0, 0, 0, 1, 127, 0, 0, 1, .. datagram[^7..]], back[..n]);
                return;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.TimedOut && attempt < 10)
            {
            }
        }
    }

    private static byte[] Receive(Socket socket, int count)
    {
        byte[] bytes = new byte[count];
        for (int have = 0; have < count;)
        {
            int n = socket.Receive(bytes.AsSpan(have));
            Assert.NotEqual(0, n);
            have += n;
        }

        return bytes;
    }

    private string[] Door(string way) => way switch
    {
        "--proxy" => ["--proxy", $"http://{demo.Http}"],
        "--proxytunnel" => ["--proxytunnel", "--proxy", $"http://{demo.Http}"],
        _ => [way, demo.Socks.ToString()],
    };

    private static async Task<Answer> Curl(string[] arguments)
    {
        var start = new ProcessStartInfo("curl", ["--silent", "--show-error", "--max-time", "60", "--noproxy", "", "--write-out", "%{stderr}\n%{http_code}", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process curl = Process.Start(start)!;
        var body = new MemoryStream();
        Task<string> errors = curl.StandardError.ReadToEndAsync();
        await curl.StandardOutput.BaseStream.CopyToAsync(body);
        await curl.WaitForExitAsync();
        string text = await errors;
        int line = text.LastIndexOf('\n');
        return new Answer(curl.ExitCode, text[(line + 1)..], text[..line], body.ToArray());
    }

    private sealed record Answer(int Exit, string Status, string Errors, byte[] Body)
    {
        public string Text => Encoding.UTF8.GetString(Body);
    }

    /// <summary>One demo for all tests here.</summary>
    public sealed class Demo : IAsyncLifetime
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("oxen-demo").FullName;
        private Process? _demo;

        public IPEndPoint Socks { get; private set; } = null!;

        public IPEndPoint Http { get; private set; } = null!;

        public IPEndPoint Echo { get; private set; } = null!;

        public string Web { get; private set; } = "";

        public string WebIPv6 { get; private set; } = "";

        /// <summary>The hidden web service.</summary>
        public string Loki { get; private set; } = "";

        /// <summary>What a program of its own joins the network by.</summary>
        public IReadOnlyDictionary<string, string> Network { get; private set; } = new Dictionary<string, string>();

        public async ValueTask InitializeAsync()
        {
            if (!Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(p => File.Exists(Path.Combine(p, "curl")))) Assert.Skip("curl is not installed");
            string file = Path.Combine(_folder, "endpoints.json");
            string program = Path.Combine(AppContext.BaseDirectory, "oxen.dll");
            var start = new ProcessStartInfo("dotnet", [program, "demo", "--seconds", "400", "--socks", "127.0.0.1:0", "--http", "127.0.0.1:0", "--endpoints", file, "--json"]) { RedirectStandardOutput = true, RedirectStandardError = true };
            _demo = Process.Start(start)!;
            var said = new StringBuilder();
            _demo.OutputDataReceived += (_, line) => said.AppendLine(line.Data);
            _demo.ErrorDataReceived += (_, line) => said.AppendLine(line.Data);
            _demo.BeginOutputReadLine();
            _demo.BeginErrorReadLine();
            long started = Stopwatch.GetTimestamp();
            while (!File.Exists(file))
            {
                Assert.False(_demo.HasExited, $"the demo ended: {said}");
                Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(60), $"the demo is not ready: {said}");
                await Task.Delay(20);
            }

            using JsonDocument json = JsonDocument.Parse(await File.ReadAllTextAsync(file));
            string Text(string key) => json.RootElement.TryGetProperty(key, out JsonElement value) ? value.GetString()! : "";
            Socks = IPEndPoint.Parse(Text("socks"));
            Http = IPEndPoint.Parse(Text("http"));
            Echo = IPEndPoint.Parse(Text("udp_echo"));
            Web = Text("web_target").TrimEnd('/');
            WebIPv6 = Text("web_target_ipv6").TrimEnd('/');
            Loki = Text("loki_url").TrimEnd('/');
            Network = new Dictionary<string, string> { ["Oxen__Contacts"] = Text("contacts"), ["Oxen__ContactsKey"] = Text("contacts_key"), ["Oxen__Network"] = Text("network") };
        }

        public async ValueTask DisposeAsync()
        {
            if (_demo is not null)
            {
                if (!_demo.HasExited) OxenProcess.SignalTo("TERM", _demo.Id);
                using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
                try
                {
                    await _demo.WaitForExitAsync(limit.Token);
                }
                catch (OperationCanceledException)
                {
                    _demo.Kill();
                }

                _demo.Dispose();
            }

            Directory.Delete(_folder, recursive: true);
        }
    }
}
