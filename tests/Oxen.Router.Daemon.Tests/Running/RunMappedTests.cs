using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Status;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>
/// A whole network in one namespace, each router a process: a hidden service, and a client with a resolver and a door for mapped addresses,
/// used by `dig` and `curl`.
/// </summary>
public sealed class RunMappedTests(ITestOutputHelper output) : IAsyncDisposable
{
    private const int Relays = 6;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly TestFiles _files = new();
    private readonly List<ProcessRouter> _routers = [];
    private readonly NetworkLab? _lab = NetworkLab.Missing is null ? new NetworkLab() : null;
    private string _space = "", _neighbour = "";

    public async ValueTask DisposeAsync()
    {
        foreach (ProcessRouter router in _routers.AsEnumerable().Reverse()) await router.DisposeAsync();
        if (_space.Length > 0 && Directory.Exists($"/etc/netns/{_space}")) Directory.Delete($"/etc/netns/{_space}", recursive: true);
        _lab?.Dispose();
        _files.Dispose();
    }

    [Fact]
    public async Task Programs_reach_a_hidden_service_by_its_name_and_nothing_leaks_when_the_client_dies()
    {
        TunDemoNeeds();
        OpenSpace();
        await using DemoTargets targets = await DemoTargets.StartAsync(new DemoPlace(_space, IPAddress.Loopback, IPAddress.IPv6Loopback, 8080, 7777, 5353), TestContext.Current.CancellationToken);
        string service = await NetworkAsync(targets);
        ProcessRouter client = _routers[^1];

        // ---- names ----
        string four = "", six = "";
        four = await UntilAsync(() => Dig(service, "A"), a => a.StartsWith("10.99.", StringComparison.Ordinal));
        six = Dig(service, "AAAA");
        Assert.StartsWith("fd6f:7865:6e00:3:", six, StringComparison.Ordinal);
        Assert.Equal(four, Dig("+tcp", $"www.{service}", "A"));
        Assert.Equal(service + ".", Dig("-x", four));
        Assert.Equal(service + ".", Dig("-x", six));
        Assert.Equal("0 0 80 " + service + ".", await UntilAsync(() => Dig($"_http._tcp.{service}", "SRV"), a => a.Length > 0));
        string texts = Dig(service, "TXT");
        Assert.Contains($"address={service}", texts, StringComparison.Ordinal);
        Assert.Contains("\"ports=80/tcp 7/udp\"", texts, StringComparison.Ordinal);
        Assert.Contains("\"a test\"", texts, StringComparison.Ordinal);
        Assert.Contains("RFC8482", Dig(service, "ANY"), StringComparison.Ordinal);
        Assert.Equal("", Dig(service, "MX"));
        Assert.Contains("NXDOMAIN", NetworkLab.Shell(_space, "dig nobody.loki"), StringComparison.Ordinal);
        Assert.Equal("127.0.0.1", Dig("localhost.loki", "A"));
        Assert.Equal("127.0.0.1", await UntilAsync(() => Dig(DemoNames.Name, "A"), a => a.Length > 0));

        // ---- connections ----
        Assert.Contains("through the onion", await UntilAsync(() => NetworkLab.TryShell(_space, $"curl -sS -m 90 http://{service}/").Output, p => p.Contains("onion", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Contains("through the onion", NetworkLab.Shell(_space, $"curl -sS -6 -m 90 http://{service}/"), StringComparison.Ordinal);
        byte[] sum = await DemoTargets.DigestAsync(1 << 20);
        Assert.StartsWith(Convert.ToHexStringLower(sum), NetworkLab.Shell(_space, $"curl -sS -m 90 http://{service}/bytes/{1 << 20} | sha256sum"), StringComparison.Ordinal);
        Assert.Equal(56, NetworkLab.TryShell(_space, $"curl -s -m 90 http://{service}:81/").Code); // it serves no such port: reset
        using (Socket udp = Lab.Socket(_space, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp))
        {
            await udp.ConnectAsync(new IPEndPoint(IPAddress.Parse(four), 7), TestContext.Current.CancellationToken);
            Assert.Equal("echo", await EchoAsync(udp));
        }

        StatusReport report = StatusReport.Parse(await StatusSocket.AskAsync(client.StatusSocket, Patience, TestContext.Current.CancellationToken));
        Assert.True(report.Dns!.Counts["connected"] >= 4, report.ToJson());
        Assert.Equal(1, report.Dns.Flows);

        // ---- the client is killed ----
        client.Kill();
        var watch = Stopwatch.StartNew();
        while (OxenProcess.IsAlive(client.ProcessId)) Assert.True(watch.Elapsed < Patience);
        Assert.Equal(7, NetworkLab.TryShell(_space, $"curl -s -m 90 http://{four}/").Code);                   // refused
        Assert.Equal(7, NetworkLab.TryShell(_space, $"curl -s -m 90 -g http://[{six}]/").Code);
        Assert.NotEqual(0, NetworkLab.TryShell(_space, $"ping -c 1 -W 90 {four}").Code);

        // ---- and started again ----
        await StartAsync("client");
        Assert.Contains("through the onion", await UntilAsync(() => NetworkLab.TryShell(_space, $"curl -sS -m 90 http://{service}/").Output, p => p.Contains("onion", StringComparison.Ordinal)), StringComparison.Ordinal);
        ProcessRouter again = _routers[^1];
        _routers.Remove(again);
        await again.DisposeAsync();
        Assert.Equal("", NetworkLab.Shell(_space, "ip route show table local proto 111; ip -6 route show table local proto 111; nft list tables").Trim());

        Assert.Equal(0, Witnessed());
    }

    private long Witnessed() => NetworkLab.Shell(_neighbour, "nft list table inet witness").Split("counter packets ")[1..].Sum(p => long.Parse(p.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));

    [Fact]
    public async Task Packets_of_any_kind_reach_a_service_that_takes_them_and_nobody_else()
    {
        TunDemoNeeds("ping");
        OpenSpace();
        await using DemoTargets targets = await DemoTargets.StartAsync(new DemoPlace(_space, IPAddress.Loopback, IPAddress.IPv6Loopback, 8080, 7777, 5353), TestContext.Current.CancellationToken);
        using JsonDocument key = JsonDocument.Parse(await TestFiles.GoodAsync("keygen", "--role", "service", "--out", _files.At("host", "machine"), "--json"));
        string machine = key.RootElement.GetProperty("address").GetString()!;
        string web = await NetworkAsync(
            targets,
            """

            [[service]]
            name = "machine"
            key = "machine/service.key"
            tun = "oxens0"
            """,
            "packets = \"oxenp0\"");
        ProcessRouter client = _routers[^1];

        // ---- names: the kinds of services have halves of their own ----
        string four = await UntilAsync(() => Dig(machine, "A"), a => a.StartsWith("10.99.", StringComparison.Ordinal)), six = Dig(machine, "AAAA");
        Assert.Equal(("10.99.128.2", "fd6f:7865:6e00:3:8000::2"), (four, six));
        Assert.Equal(machine + ".", Dig("-x", six));
        Assert.Contains("\"ip-packets\"", Dig(machine, "TXT"), StringComparison.Ordinal);
        Assert.Equal("10.99.0.2", await UntilAsync(() => Dig(web, "A"), a => a.StartsWith("10.99.", StringComparison.Ordinal)));

        // ---- ICMP ----
        Assert.Contains(" 0% packet loss", NetworkLab.Shell(_space, $"ping -c 3 -i 0.2 -w 60 {machine}"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", NetworkLab.Shell(_space, $"ping -6 -c 3 -i 0.2 -w 60 {machine}"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", NetworkLab.Shell(_space, $"ping -4 -c 1 -w 60 -M do -s {1320 - 28} {machine}"), StringComparison.Ordinal);
        Assert.NotEqual(0, NetworkLab.TryShell(_space, $"ping -4 -c 1 -w 9 -M do -s {1321 - 28} {machine}").Code);

        // ---- TCP and UDP, to whatever listens at the interface's address; the service knows clients by the addresses that it leased ----
        (string Own, string Lease, string To)[] families = [("10.96.0.1", "10.96.0.2", four), ("fd6f:7865:6e00:4::1", "fd6f:7865:6e00:4::2", six)];
        foreach ((string own, string lease, string to) in families)
        {
            var at = new IPEndPoint(IPAddress.Parse(own), 9999);
            using Socket listener = Lab.Socket(_space, at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(at);
            listener.Listen(8);
            using Socket near = Lab.Socket(_space, at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            Task<Socket> accepting = listener.AcceptAsync(TestContext.Current.CancellationToken).AsTask();
            await near.ConnectAsync(new IPEndPoint(IPAddress.Parse(to), 9999), TestContext.Current.CancellationToken).AsTask().WaitAsync(Patience, TestContext.Current.CancellationToken);
            using Socket far = await accepting.WaitAsync(Patience, TestContext.Current.CancellationToken);
            Assert.Equal(IPAddress.Parse(lease), ((IPEndPoint)far.RemoteEndPoint!).Address);
            byte[] sent = RandomNumberGenerator.GetBytes(1 << 20);
            Task writing = Task.Run(() =>
            {
                near.Send(sent);
                near.Shutdown(SocketShutdown.Send);
            });
            await using var stream = new NetworkStream(far);
            var received = new MemoryStream();
            await stream.CopyToAsync(received, TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken);
            await writing;
            Assert.Equal(sent, received.ToArray());

            using Socket echo = Lab.Socket(_space, at.AddressFamily, SocketType.Dgram, ProtocolType.Udp), udp = Lab.Socket(_space, at.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            echo.Bind(at);
            Task echoing = Task.Run(async () =>
            {
                byte[] datagram = new byte[100];
                SocketReceiveFromResult came = await echo.ReceiveFromAsync(datagram, SocketFlags.None, new IPEndPoint(at.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0));
                await echo.SendToAsync(datagram.AsMemory(0, came.ReceivedBytes), SocketFlags.None, came.RemoteEndPoint);
            });
            await udp.ConnectAsync(new IPEndPoint(IPAddress.Parse(to), 9999), TestContext.Current.CancellationToken);
            Assert.Equal("echo", await EchoAsync(udp));
            await echoing;

            // The other way: a service does not reach what listens on its client's machine, were it on every address.
            using Socket everywhere = Lab.Socket(_space, at.AddressFamily, SocketType.Stream, ProtocolType.Tcp), intruder = Lab.Socket(_space, at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            everywhere.Bind(new IPEndPoint(at.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 9998));
            everywhere.Listen(1);
            long before = Dropped();
            intruder.Bind(new IPEndPoint(at.Address, 0));
            Task<bool> entered = TryConnectAsync(intruder, new IPEndPoint(IPAddress.Parse(lease), 9998));
            await UntilAsync(() => Dropped() > before ? "dropped" : entered.IsCompleted ? "in" : "", r => r.Length > 0);
            Assert.False(entered.IsCompletedSuccessfully && await entered);
        }

        // ---- how fast, by hand: OXEN_PACKETS_SECONDS=5, iperf3 ----
        if (int.TryParse(Environment.GetEnvironmentVariable("OXEN_PACKETS_SECONDS"), out int seconds))
            foreach ((string own, _, string to) in families)
                foreach (string way in (string[])["", "-R", "-u -b 100M"])
                    output.WriteLine($"{to} {way} " + NetworkLab.TryShell(_space, $"iperf3 -s -1 -B {own} > /dev/null & sleep 1; timeout {seconds + 60} iperf3 -c {to} -t {seconds} {way} | tail -4").Output);

        // ---- streams go on through the other door, also to the same process ----
        Assert.Contains("through the onion", await UntilAsync(() => NetworkLab.TryShell(_space, $"curl -sS -m 90 http://{web}/").Output, p => p.Contains("onion", StringComparison.Ordinal)), StringComparison.Ordinal);

        // ---- an address that stands for nothing, and the client killed: said, and nothing leaves ----
        Assert.Contains("Unreachable", NetworkLab.TryShell(_space, "ping -c 1 -w 30 10.99.128.77").Output, StringComparison.Ordinal);
        client.Kill();
        for (var watch = Stopwatch.StartNew(); OxenProcess.IsAlive(client.ProcessId);) Assert.True(watch.Elapsed < Patience);
        Assert.NotEqual(0, NetworkLab.TryShell(_space, $"ping -c 1 -W 5 {four}").Code);
        Assert.NotEqual(0, NetworkLab.TryShell(_space, $"ping -c 1 -W 5 {six}").Code);

        await StartAsync("client");
        Assert.Equal(four, await UntilAsync(() => Dig(machine, "A"), a => a.Length > 0));
        Assert.Contains(" 0% packet loss", NetworkLab.Shell(_space, $"ping -c 1 -w 60 {machine}"), StringComparison.Ordinal);
        foreach (ProcessRouter router in _routers[^3..].AsEnumerable().Reverse()) // the client, the one that was killed, the host
        {
            _routers.Remove(router);
            await router.DisposeAsync();
        }

        Assert.Equal("", NetworkLab.Shell(_space, "ip -o link show | grep oxen || true; ip route show table all proto 111; nft list tables").Trim());
        Assert.Equal(0, Witnessed());

        long Dropped() => NetworkLab.Shell(_space, "nft list chain inet oxen_mapped input").Split('\n').Where(l => l.Contains("oxenp0", StringComparison.Ordinal) && l.Contains("drop", StringComparison.Ordinal)).Sum(l => long.Parse(l.Split("packets ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));
    }

    // The end of the test ends it: nothing answers.
    private static async Task<bool> TryConnectAsync(Socket socket, IPEndPoint to)
    {
        try
        {
            await socket.ConnectAsync(to);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void TunDemoNeeds(params string[] more)
    {
        Assert.SkipWhen(NetworkLab.Missing is not null, NetworkLab.Missing ?? "");
        foreach (string program in (string[])["nft", "dig", "curl", .. more]) Assert.SkipUnless(LabNeeds.Has(program), $"{program} is not installed");
    }

    // A machine with a neighbour that is its default route, and counts what of names and mapped addresses gets there.
    private void OpenSpace()
    {
        _space = _lab!.Add("machine");
        _neighbour = _lab.Add("neighbour");
        NetworkLab.Join(_space, "eth0", _neighbour, "eth0");
        NetworkLab.Shell(_space, "ip address add 192.0.2.2/24 dev eth0; ip address add 2001:db8::2/64 dev eth0 nodad; ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8::1");
        NetworkLab.Shell(_neighbour, """
            ip address add 192.0.2.1/24 dev eth0; ip address add 2001:db8::1/64 dev eth0 nodad
            nft -f - <<'END'
            table inet witness { chain pre { type filter hook prerouting priority raw; policy accept;
              ip daddr 10.99.0.0/16 counter
              ip6 daddr fd6f:7865:6e00:3::/64 counter
              meta l4proto { tcp, udp } th dport { 53, 853, 5353 } counter
            }
            }
            END
            """);
        Directory.CreateDirectory($"/etc/netns/{_space}");
        File.WriteAllText($"/etc/netns/{_space}/resolv.conf", "nameserver 127.0.0.1\n");
    }

    /// <summary>Relays, an exit, a host of a service and a client; gives the service's name.</summary>
    private async Task<string> NetworkAsync(DemoTargets targets, string moreServices = "", string moreDns = "")
    {
        string[] relays = [.. Enumerable.Range(1, Relays).Select(i => $"relay-{i}")];
        for (int i = 0; i < Relays; i++) _files.AddRelay(relays[i], (byte)(171 + i));
        _files.AddRelay("exit", 170, exit: true, more: $"[exit]\nexcept = [\"allow {targets.Names.EndPoint} tcp\"]\n");
        using JsonDocument key = JsonDocument.Parse(await TestFiles.GoodAsync("keygen", "--role", "service", "--out", _files.At("host"), "--json"));
        string service = key.RootElement.GetProperty("address").GetString()!;
        _files.Configure("host", "roles = [\"client\"]", $"""
            [client]
            socks = "off"
            http = "off"
            hops = 3
            spares = 0

            [[service]]
            name = "web"
            key = "service.key"
            ports = ["80 -> 127.0.0.1:{targets.WebPort}", "7/udp -> 127.0.0.1:{targets.UdpPort}"]
            texts = ["a test"]
            srv = ["_http._tcp 0 0 80"]
            {moreServices}
            """);
        _files.Configure("client", "roles = [\"client\"]", $"""
            [client]
            socks = "off"
            http = "off"
            hops = 3
            spares = 0

            [dns]
            servers = ["{targets.Names.EndPoint}"]
            {moreDns}
            """);
        await _files.SignAsync([.. relays, "exit"]);
        await Task.WhenAll(relays.Append("exit").Append("host").Select(StartAsync));
        await StartAsync("client");
        return service;
    }

    private async Task StartAsync(string name)
    {
        var router = new ProcessRouter(name, _files.ConfigFile(name), _files.At(name, "oxen.sock"), _space);
        lock (_routers) _routers.Add(router);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Patience);
        await router.WaitReadyAsync(limit.Token);
    }

    /// <summary>As the namespace's programs are told to ask: /etc/resolv.conf.</summary>
    private string Dig(params string[] question) => NetworkLab.TryShell(_space, $"dig +short +tries=1 +timeout=30 {string.Join(' ', question)}").Output.Trim();

    private static async Task<string> UntilAsync(Func<string> ask, Func<string, bool> good)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(200, TestContext.Current.CancellationToken))
        {
            string answer = await Task.Run(ask);
            if (good(answer)) return answer;
            Assert.True(watch.Elapsed < Patience, $"still: {answer}");
        }
    }

    private static async Task<string> EchoAsync(Socket udp)
    {
        byte[] answer = new byte[100];
        for (int i = 0; i < 10; i++)
        {
            await udp.SendAsync("echo"u8.ToArray());
            Task<int> receiving = udp.ReceiveAsync(answer.AsMemory(), SocketFlags.None).AsTask();
            if (await Task.WhenAny(receiving, Task.Delay(TimeSpan.FromSeconds(9), TestContext.Current.CancellationToken)) == receiving) return Encoding.ASCII.GetString(answer, 0, await receiving);
        }

        return "";
    }
}
