using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>
/// `oxen demo --tun --check`: pings, downloads and uploads through the tunnel with digests compared, measures, kills a relay of
/// the path in the middle of a transfer, and says what it saw. All of it from the client's namespace, as any program there would.
/// </summary>
internal sealed class TunCheck(DemoOptions options, Lab lab, TunNetwork network, DemoTargets targets, TunLog log, double firstByteMilliseconds)
{
    private const long TransferBytes = 64L << 20;
    private const int Pings = 10, Datagrams = 64, UdpAttempts = 4;
    private const double MostLostPercent = 5;
    private static readonly TimeSpan StepTime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SparePatience = TimeSpan.FromSeconds(15);

    private sealed record Step(string Name, bool Ok, string Words);

    private readonly List<Step> _steps = [];
    private readonly string _client = lab.Plan.Client.Space;

    public async Task<int> RunAsync(Screen screen, CancellationToken cancel)
    {
        double? rtt = await PingAsync("ping", lab.Plan.Target.Address, 56, cancel).ConfigureAwait(false);
        await PingAsync("ping, fragments", lab.Plan.Target.Address, 4000, cancel).ConfigureAwait(false);
        bool v6Ok = true;
        if (targets.HasIPv6)
        {
            v6Ok = await PingAsync("ping over IPv6", lab.Plan.Target.AddressIPv6, 56, cancel).ConfigureAwait(false) is not null;
            v6Ok &= (await DownloadAsync("8 MiB over IPv6", targets.UrlIPv6, TransferBytes / 8, cancel).ConfigureAwait(false)).Ok;
        }
        else
        {
            Add("IPv6", true, "left out: this machine has none");
        }

        (bool downOk, double downRate) = await DownloadAsync("64 MiB down", targets.Url, TransferBytes, cancel).ConfigureAwait(false);

        // Counted from the second transfer on: the first call of a native function allocates on the thread that makes it.
        (long allocatedBefore, long packetsBefore) = await FiguresAsync().ConfigureAwait(false);
        (bool upOk, double upRate) = await UploadAsync(cancel).ConfigureAwait(false);
        (long allocated, long packets) = await FiguresAsync().ConfigureAwait(false);
        packets -= packetsBefore;
        double perPacket = packets == 0 ? 0 : (double)(allocated - allocatedBefore) / packets;
        bool udpOk = await EchoUdpAsync("UDP", new IPEndPoint(lab.Plan.Target.Address, targets.UdpPort), cancel).ConfigureAwait(false);
        await FetchByProxyAsync(cancel).ConfigureAwait(false);
        bool dnsOk = await ResolveAsync(cancel).ConfigureAwait(false);
        (bool lokiOk, double lokiRate) = network.MapsNames ? await VisitSiteAsync(cancel).ConfigureAwait(false) : (true, 0);

        var meter = new TunMeter(lab.Plan, targets);
        double oneDown = await TcpAsync(meter, 1, true, cancel).ConfigureAwait(false);
        double oneUp = await TcpAsync(meter, 1, false, cancel).ConfigureAwait(false);
        double fourDown = await TcpAsync(meter, 4, true, cancel).ConfigureAwait(false);
        double fourUp = await TcpAsync(meter, 4, false, cancel).ConfigureAwait(false);
        double udpDown = await UdpAsync(meter, oneDown, true, cancel).ConfigureAwait(false);
        double udpUp = await UdpAsync(meter, oneUp, false, cancel).ConfigureAwait(false);

        StatusReport? view = await network.AskClientAsync(cancel).ConfigureAwait(false);
        (bool Ok, double? Milliseconds) repair = (true, null);
        if (options.Spares > 0) repair = await RepairAsync(cancel).ConfigureAwait(false);
        SortedDictionary<string, long> drops = await TunView.DropsAsync(network, cancel).ConfigureAwait(false);
        double[] builds = log.BuildMilliseconds;
        bool ok = _steps.All(s => s.Ok);
        if (options.Json)
        {
            screen.Json(json =>
            {
                json.WriteBoolean("ok", ok);
                json.WriteNumber("hops", options.Hops);
                json.WriteNumber("bytes", 2 * TransferBytes);
                json.WriteBoolean("digest_ok", downOk && upOk);
                json.WriteNumber("mbit_per_s", Math.Round(downRate, 1));
                json.WriteNumber("mbit_per_s_up", Math.Round(upRate, 1));
                json.WriteNumber("first_byte_ms", Math.Round(firstByteMilliseconds));
                json.WriteNumber("path_build_ms", Math.Round(builds.Length == 0 ? 0 : builds.Min(), 1));
                Number("repair_ms", repair.Milliseconds, 0);
                json.WriteNumber("bytes_allocated_per_packet", Math.Round(perPacket, 4));
                json.WriteNumber("packets", packets);
                json.WriteBoolean("ipv6_ok", v6Ok);
                json.WriteBoolean("udp_ok", udpOk);
                json.WriteBoolean("dns_ok", dnsOk);
                json.WriteBoolean("loki_ok", lokiOk);
                json.WriteNumber("loki_mbit_per_s", Math.Round(lokiRate, 1));
                json.WriteBoolean("repair_ok", repair.Ok);
                json.WriteString("tun_measured_by", meter.HasIperf ? TunMeter.Program : "own");
                json.WriteNumber("tun_mbit_per_s", Math.Round(oneDown, 1));
                json.WriteNumber("tun_mbit_per_s_up", Math.Round(oneUp, 1));
                json.WriteNumber("tun_mbit_per_s_4", Math.Round(fourDown, 1));
                json.WriteNumber("tun_mbit_per_s_4_up", Math.Round(fourUp, 1));
                json.WriteNumber("tun_udp_mbit_per_s", Math.Round(udpDown, 1));
                json.WriteNumber("tun_udp_mbit_per_s_up", Math.Round(udpUp, 1));
                Number("tun_rtt_ms", rtt, 2);
                Number("tun_repair_ms", repair.Milliseconds, 0);
                json.WriteStartObject("drops");
                foreach ((string reason, long count) in drops) json.WriteNumber(reason, count);
                json.WriteEndObject();
                json.WriteStartArray("checks");
                foreach (Step step in _steps)
                {
                    json.WriteStartObject();
                    json.WriteString("name", step.Name);
                    json.WriteBoolean("ok", step.Ok);
                    json.WriteString("words", step.Words);
                    json.WriteEndObject();
                }

                json.WriteEndArray();

                void Number(string name, double? value, int digits)
                {
                    if (value is { } number) json.WriteNumber(name, Math.Round(number, digits));
                    else json.WriteNull(name);
                }
            });
        }
        else
        {
            foreach (PathStatus path in (view?.Paths ?? []).Where(p => p.Tunnel && p.Active)) screen.Output.WriteLine($"path: {string.Join(" -> ", TunView.Hops(network, path))}");
            screen.Table(["check", "result", "seen"], _steps.Select(s => (IReadOnlyList<string>)[s.Name, s.Ok ? "ok" : "FAILED", s.Words]));
            screen.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"first byte after {firstByteMilliseconds:F0} ms; path build {(builds.Length == 0 ? 0 : builds.Min()):F1} ms; {perPacket:F4} bytes allocated per packet on the relays' driver threads"));
            screen.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"tunnel: {oneDown:F0} Mbit/s down, {oneUp:F0} up ({meter.Words}, one TCP stream); round trip {rtt ?? 0:F1} ms; repair {repair.Milliseconds ?? 0:F0} ms"));
            screen.Output.WriteLine($"drops: {(drops.Count == 0 ? "none" : string.Join(", ", drops.Select(d => $"{d.Key} {d.Value}")))}");
            screen.Output.WriteLine(ok ? "All checks passed." : "A check failed.");
        }

        return ok ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    // ---- the steps ----

    /// <summary>Gives the median round trip in milliseconds; null: too few came back. One may be lost: nobody repeats them.</summary>
    private async Task<double?> PingAsync(string name, IPAddress target, int payload, CancellationToken cancel)
    {
        try
        {
            List<double> times = await LabPing.MeasureAsync(_client, target, Pings, payload, cancel).ConfigureAwait(false);
            bool ok = times.Count >= Pings - 1;
            double median = times.Count == 0 ? 0 : times.Order().ElementAt(times.Count / 2);
            Add(name, ok, string.Create(CultureInfo.InvariantCulture, $"{times.Count} of {Pings} came back, {median:F1} ms"));
            return ok ? median : null;
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            Add(name, false, e.Message);
            return null;
        }
    }

    private async Task<(bool Ok, double Rate)> DownloadAsync(string name, string url, long length, CancellationToken cancel)
    {
        byte[] expected = await DemoTargets.DigestAsync(length).ConfigureAwait(false);
        using HttpClient http = LabHttp.In(_client);
        DemoDownload download = await DemoDownload.RunAsync(http, new Uri(url), length, null, StepTime, cancel).ConfigureAwait(false);
        bool ok = download.Is(expected);
        double rate = length * 8e-6 / download.Seconds;
        Add(name, ok, download.Error ?? (ok ? Mbit(rate) : "the digest differs"));
        return (ok, rate);
    }

    private async Task<(bool Ok, double Rate)> UploadAsync(CancellationToken cancel)
    {
        byte[] body = new byte[TransferBytes];
        RandomNumberGenerator.Fill(body);
        using HttpClient http = LabHttp.In(_client);
        DemoUpload upload = await DemoUpload.RunAsync(http, new Uri(targets.Url), body, StepTime, cancel).ConfigureAwait(false);
        double rate = TransferBytes * 8e-6 / upload.Seconds;
        Add("64 MiB up", upload.Error is null, upload.Error ?? Mbit(rate));
        return (upload.Error is null, upload.Error is null ? rate : 0);
    }

    private async Task<bool> EchoUdpAsync(string name, IPEndPoint echo, CancellationToken cancel)
    {
        int back = 0;
        try
        {
            using var limit = Limit(TimeSpan.FromSeconds(10), cancel);
            using Socket socket = Lab.Socket(_client, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            await socket.ConnectAsync(echo, limit.Token).ConfigureAwait(false);
            byte[] payload = new byte[1000], answer = new byte[2000];
            for (int i = 0; i < Datagrams; i++)
            {
                RandomNumberGenerator.Fill(payload);
                await socket.SendAsync(payload, limit.Token).ConfigureAwait(false);
                int length = await socket.ReceiveAsync(answer, limit.Token).ConfigureAwait(false);
                if (answer.AsSpan(0, length).SequenceEqual(payload)) back++;
            }

            Add(name, back == Datagrams, $"{back} of {Datagrams} datagrams came back unchanged");
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            Add(name, false, $"{back} of {Datagrams} datagrams came back; {e.Message}");
        }

        return back == Datagrams;
    }

    private async Task FetchByProxyAsync(CancellationToken cancel)
    {
        using var limit = Limit(StepTime, cancel);
        using HttpClient http = LabHttp.In(_client, options.Socks);
        try
        {
            string page = await http.GetStringAsync(new Uri(targets.Url), limit.Token).ConfigureAwait(false);
            bool ok = page.Contains("through the onion", StringComparison.Ordinal);
            Add("SOCKS5 beside it", ok, ok ? "the page came through the proxy as well" : "another page came");
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            Add("SOCKS5 beside it", false, e.Message);
        }
    }

    private async Task<bool> ResolveAsync(CancellationToken cancel)
    {
        using var limit = Limit(StepTime, cancel);
        string trouble;
        try
        {
            trouble = await Resolver().CheckAsync(network.SiteName, lab.Plan.Target.Address, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            trouble = "it took too long";
        }

        Add("names", trouble.Length == 0, trouble.Length == 0 ? DnsProbe.Words : trouble);
        return trouble.Length == 0;
    }

    /// <summary>The hidden service by its name, as a program that knows nothing of onions: asks for its address, and connects.</summary>
    private async Task<(bool Ok, double Rate)> VisitSiteAsync(CancellationToken cancel)
    {
        if (!await network.WaitSiteAsync(StepTime, cancel).ConfigureAwait(false))
        {
            Add("hidden service", false, "it has not announced itself");
            return (false, 0);
        }

        IPAddress? four = await Resolver().AddressAsync(network.SiteName, RecordType.A, cancel).ConfigureAwait(false), six = await Resolver().AddressAsync(network.SiteName, RecordType.Aaaa, cancel).ConfigureAwait(false);
        if (four is null || six is null)
        {
            Add("hidden service", false, "its name has no address");
            return (false, 0);
        }

        // The site and the target serve the same bytes. By IPv6 too: an address of the machine's own, whatever its network has.
        (bool ok, double rate) = await DownloadAsync("hidden service by its name", UrlOf(four), TransferBytes, cancel).ConfigureAwait(false);
        if (targets.HasIPv6) ok &= (await DownloadAsync("hidden service over IPv6", UrlOf(six), TransferBytes / 8, cancel).ConfigureAwait(false)).Ok;
        ok &= await EchoUdpAsync("hidden service, UDP", new IPEndPoint(four, SitePorts.Echo), cancel).ConfigureAwait(false);
        return (ok, rate);

        static string UrlOf(IPAddress address) => $"http://{new IPEndPoint(address, SitePorts.Web)}/";
    }

    private DnsProbe Resolver() => new(new IPEndPoint(IPAddress.Loopback, 53), () => Lab.Socket(_client, AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));

    private async Task<double> TcpAsync(TunMeter meter, int streams, bool down, CancellationToken cancel)
    {
        TunRate rate = await meter.TcpAsync(streams, down, cancel).ConfigureAwait(false);
        bool ok = rate.Error is null && rate.MbitPerSecond > 0;
        Add($"TCP, {(streams == 1 ? "one stream" : $"{streams} streams")} {(down ? "down" : "up")}", ok, rate.Error ?? string.Create(CultureInfo.InvariantCulture, $"{rate.MbitPerSecond:F0} Mbit/s ({meter.Words})"));
        return rate.MbitPerSecond;
    }

    // An eighth of what TCP found: nobody slows these senders down.
    /// <summary>
    /// The highest of a few rates that comes through: datagrams have no congestion control, so where the machine is busy with
    /// other things a lower rate is tried, and said.
    /// </summary>
    private async Task<double> UdpAsync(TunMeter meter, double tcpRate, bool down, CancellationToken cancel)
    {
        double offered = Math.Clamp(tcpRate / 8, 1, 100);
        string before = "";
        for (int attempt = 1; ; attempt++, offered /= 2)
        {
            TunRate rate = await meter.UdpAsync(offered, down, cancel).ConfigureAwait(false);
            bool ok = rate.Error is null && rate.MbitPerSecond > 0 && rate.LostPercent <= MostLostPercent;
            string missed = rate.MissedPercent > 0 ? string.Create(CultureInfo.InvariantCulture, $" and {rate.MissedPercent:F1} % missed by the measuring program's full socket") : "";
            string words = rate.Error ?? string.Create(CultureInfo.InvariantCulture, $"{rate.MbitPerSecond:F0} of {offered:F0} Mbit/s, {rate.LostPercent:F1} % lost{missed}");
            if (ok || rate.Error is not null || attempt == UdpAttempts)
            {
                Add($"UDP {(down ? "down" : "up")}", ok, $"{words}{before} ({meter.Words})");
                return rate.MbitPerSecond;
            }

            before = $"; before: {words}{before}";
        }
    }

    /// <summary>Kills the middle relay of the path in use during a download; the TCP connection must go on, over a spare.</summary>
    private async Task<(bool Ok, double? Milliseconds)> RepairAsync(CancellationToken cancel)
    {
        StatusReport? view = null;

        // The client is another process: its status is asked for, never told.
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < SparePatience; await Task.Delay(100, cancel).ConfigureAwait(false))
        {
            view = await network.AskClientAsync(cancel).ConfigureAwait(false);
            if (view?.Paths.Where(p => p.Tunnel).ToArray() is { Length: > 1 } paths && paths.Any(p => p.Active)) break;
        }

        PathStatus? path = view?.Paths.FirstOrDefault(p => p.Tunnel && p.Active);
        if (path is null || view!.Paths.Count(p => p.Tunnel) < 2)
        {
            Add("a relay is killed", false, "no spare path was ready");
            return (false, null);
        }

        ProcessRouter victim = network.Find(path.Hops[path.Hops.Count / 2 - 1])!;
        byte[] expected = await DemoTargets.DigestAsync(2 * TransferBytes).ConfigureAwait(false);
        using HttpClient http = LabHttp.In(_client);
        DemoDownload download = await DemoDownload.RunAsync(http, new Uri(targets.Url), 2 * TransferBytes, victim.Kill, StepTime, cancel).ConfigureAwait(false);
        bool ok = download.Is(expected);
        Add("a relay is killed", ok, download.Error ?? (ok
            ? string.Create(CultureInfo.InvariantCulture, $"{victim.Name} (process {victim.ProcessId}) was killed; the TCP connection went on after {download.SilenceMilliseconds:F0} ms and the download arrived whole")
            : "the digest differs"));
        return (ok, ok ? download.SilenceMilliseconds : null);
    }

    // ---- figures ----

    /// <summary>Of the routers that carried: bytes allocated by their driver threads, and packets.</summary>
    private async Task<(long Allocated, long Packets)> FiguresAsync()
    {
        RouterFigures[] figures = await network.ReadFiguresAsync().ConfigureAwait(false);
        return (figures.Sum(f => f.DriverBytesAllocated), figures.Sum(f => f.DatagramsReceived));
    }

    private void Add(string name, bool ok, string words) => _steps.Add(new Step(name, ok, words));

    private static string Mbit(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:F0} Mbit/s, digest equal");

    private static CancellationTokenSource Limit(TimeSpan time, CancellationToken cancel)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(time);
        return limit;
    }
}
