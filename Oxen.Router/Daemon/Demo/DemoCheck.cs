using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Router.Transport;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// `oxen demo --check`: moves data both ways through the proxy and compares digests, fetches over IPv6, sends UDP, stores a message and
/// takes two of those that keep it away, takes a relay of the path away in the middle of a transfer, and says what it saw.
/// </summary>
internal sealed class DemoCheck(DemoOptions options, DemoOffers offers, DemoJournal journal, SharedDropCounters doorDrops, double firstByteMilliseconds)
{
    private const long TransferBytes = 64L << 20;
    private const long SiteBytes = 8L << 20;
    private const int Datagrams = 64;

    // Relays that are taken away one after another. On threads of this process they stay away, so there are few to take.
    private const int RepairsOfProcesses = 5;
    private const int RepairsOfThreads = 2;
    private const long RepairBytes = 48L << 20;
    private static readonly TimeSpan StepTime = TimeSpan.FromSeconds(60);

    private sealed record Step(string Name, bool Ok, string Words);

    private readonly List<Step> _steps = [];
    private readonly List<string> _byName = [];
    private readonly Random _random = new(options.Seed is { } seed ? (int)seed : 1);

    public async Task<int> RunAsync(Screen screen, CancellationToken cancel)
    {
        (bool downOk, double downRate) = await DownloadAsync(cancel).ConfigureAwait(false);
        // Counted from the second transfer on: the first call of a native function allocates on the thread that makes it.
        (long allocatedBefore, long packetsBefore) = await FiguresAsync().ConfigureAwait(false);
        (bool upOk, double upRate) = await UploadAsync(cancel).ConfigureAwait(false);
        (long allocated, long packets) = await FiguresAsync().ConfigureAwait(false);
        packets -= packetsBefore;
        double perPacket = packets == 0 ? 0 : (double)(allocated - allocatedBefore) / packets;
        bool v6Ok = await FetchIPv6Async(cancel).ConfigureAwait(false);
        bool udpOk = await EchoUdpAsync(cancel).ConfigureAwait(false);
        DemoSwarmResult stored = await StoreAsync(cancel).ConfigureAwait(false);
        bool lokiOk = await VisitByProxiesAsync(cancel).ConfigureAwait(false);
        bool httpClientOk = await VisitByHandlerAsync(cancel).ConfigureAwait(false);
        bool onsOk = await LookUpAsync(cancel).ConfigureAwait(false);
        bool dnsOk = await ResolveAsync(cancel).ConfigureAwait(false);
        ClientView view = await ProbedViewAsync(cancel).ConfigureAwait(false);
        double[] repairs = [];
        bool repairOk = true;
        if (options.Spares > 0) (repairOk, repairs) = await RepairAsync(cancel).ConfigureAwait(false);
        double? repair = repairs.Length == 0 ? null : repairs.Order().ElementAt(repairs.Length / 2);
        SortedDictionary<string, long> drops = await DemoCommand.DropsAsync(offers.Network, doorDrops).ConfigureAwait(false);
        double[] builds = journal.BuildMilliseconds;
        bool ok = downOk && upOk && v6Ok && udpOk && stored.Ok && lokiOk && httpClientOk && onsOk && dnsOk && repairOk;

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
                if (repair is { } ms) json.WriteNumber("repair_ms", Math.Round(ms));
                else json.WriteNull("repair_ms");
                if (repair is not null) json.WriteNumber("repair_worst_ms", Math.Round(repairs.Max()));
                else json.WriteNull("repair_worst_ms");
                json.WriteNumber("repairs", repairs.Length);
                json.WriteNumber("bytes_allocated_per_packet", Math.Round(perPacket, 4));
                json.WriteNumber("packets", packets);
                json.WriteBoolean("ipv6_ok", v6Ok);
                json.WriteBoolean("udp_ok", udpOk);
                json.WriteBoolean("swarm_ok", stored.Ok);
                json.WriteNumber("swarm_store_ms", Math.Round(stored.StoreMilliseconds));
                json.WriteNumber("swarm_retrieve_ms", Math.Round(stored.RetrieveMilliseconds));
                json.WriteBoolean("loki_ok", lokiOk);
                json.WriteBoolean("http_client_ok", httpClientOk);
                json.WriteBoolean("ons_ok", onsOk);
                json.WriteBoolean("dns_ok", dnsOk);
                json.WriteBoolean("repair_ok", repairOk);
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
            });
        }
        else
        {
            foreach (PathView path in view.Groups.SelectMany(g => g.Paths).Where(p => p.Active))
                screen.Output.WriteLine($"path: {string.Join(" -> ", path.Hops.Select((id, i) => string.Create(CultureInfo.InvariantCulture, $"{offers.Network.Names.GetValueOrDefault(id, "?")} ({path.HopRtt[i].TotalMilliseconds:F1} ms)")))}");
            screen.Table(["check", "result", "seen"], _steps.Select(s => (IReadOnlyList<string>)[s.Name, s.Ok ? "ok" : "FAILED", s.Words]));
            screen.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"first byte after {firstByteMilliseconds:F0} ms; path build {(builds.Length == 0 ? 0 : builds.Min()):F1} ms; {perPacket:F4} bytes allocated per packet on the relays' driver threads"));
            screen.Output.WriteLine($"drops: {(drops.Count == 0 ? "none" : string.Join(", ", drops.Select(d => $"{d.Key} {d.Value}")))}");
            screen.Output.WriteLine(ok ? "All checks passed." : "A check failed.");
        }

        return ok ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    // ---- the steps ----

    /// <summary>The paths with a round trip to every hop: probes go out, and a while later their answers are there.</summary>
    private async Task<ClientView> ProbedViewAsync(CancellationToken cancel)
    {
        ClientView view = await offers.Network.Client.Client!.ReadViewAsync(probeHops: true).ConfigureAwait(false);
        // A view is a copy of what the session thread holds at one moment, so it is taken again until the answers are in it.
        for (int i = 0; i < 20 && view.Groups.SelectMany(g => g.Paths).Any(p => p.Active && p.HopRtt.Contains(TimeSpan.Zero)); i++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancel).ConfigureAwait(false);
            view = await offers.Network.Client.Client!.ReadViewAsync(probeHops: false).ConfigureAwait(false);
        }

        return view;
    }

    private async Task<(bool Ok, double Rate)> DownloadAsync(CancellationToken cancel)
    {
        byte[] expected = await DemoTargets.DigestAsync(TransferBytes).ConfigureAwait(false);
        DemoDownload download = await FetchAsync(TransferBytes, null, cancel).ConfigureAwait(false);
        bool ok = download.Is(expected);
        double rate = TransferBytes * 8e-6 / download.Seconds;
        Add("64 MiB down", ok, download.Error ?? (ok ? Mbit(rate) : "the digest differs"));
        return (ok, rate);
    }

    private async Task<(bool Ok, double Rate)> UploadAsync(CancellationToken cancel)
    {
        byte[] body = new byte[TransferBytes];
        _random.NextBytes(body);
        using HttpClient http = DemoCommand.ProxyClient(offers.Doors.Socks!);
        DemoUpload upload = await DemoUpload.RunAsync(http, new Uri(offers.Targets.Url), body, StepTime, cancel).ConfigureAwait(false);
        double rate = TransferBytes * 8e-6 / upload.Seconds;
        Add("64 MiB up", upload.Error is null, upload.Error ?? Mbit(rate));
        return (upload.Error is null, upload.Error is null ? rate : 0);
    }

    private async Task<bool> FetchIPv6Async(CancellationToken cancel)
    {
        if (!offers.Targets.HasIPv6)
        {
            Add("fetch over IPv6", true, "left out: this machine has no IPv6 loopback");
            return true;
        }

        using var limit = Limit(cancel);
        using HttpClient http = DemoCommand.ProxyClient(offers.Doors.Socks!);
        try
        {
            string page = await http.GetStringAsync(new Uri(offers.Targets.UrlIPv6), limit.Token).ConfigureAwait(false);
            bool ok = page.Contains("::1", StringComparison.Ordinal);
            Add("fetch over IPv6", ok, ok ? "the exit reached [::1]" : "the page did not come from [::1]");
            return ok;
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            Add("fetch over IPv6", false, e.Message);
            return false;
        }
    }

    private async Task<bool> EchoUdpAsync(CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        limit.CancelAfter(TimeSpan.FromSeconds(10));
        int back = 0;
        try
        {
            using SocksUdpClient udp = await SocksUdpClient.AssociateAsync(offers.Doors.Socks!, limit.Token).ConfigureAwait(false);
            var echo = new IPEndPoint(IPAddress.Loopback, offers.Targets.UdpPort);
            byte[] payload = new byte[1000];
            for (int i = 0; i < Datagrams; i++)
            {
                _random.NextBytes(payload);
                await udp.SendAsync(payload, echo, limit.Token).ConfigureAwait(false);
                byte[] answer = await udp.ReceiveAsync(limit.Token).ConfigureAwait(false);
                if (answer.AsSpan().SequenceEqual(payload)) back++;
            }

            Add("UDP", back == Datagrams, $"{back} of {Datagrams} datagrams came back unchanged");
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            Add("UDP", false, $"{back} of {Datagrams} datagrams came back; {e.Message}");
        }

        return back == Datagrams;
    }

    private async Task<DemoSwarmResult> StoreAsync(CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        DemoSwarmResult result = await DemoSwarmCheck.RunAsync(offers.Swarm, offers.Network.Client.Client!, offers.Doors.Socks!, limit.Token).ConfigureAwait(false);
        Add("a message waits", result.Ok, result.Words);
        return result;
    }

    private async Task<bool> ResolveAsync(CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        using RouterIdentity somebody = RouterIdentity.Create(new SystemEntropy());
        var probe = new DnsProbe(offers.Dns, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        string trouble;
        try
        {
            trouble = await probe.CheckAsync(DnsProbe.NameOf(somebody.Id), IPAddress.Loopback, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            trouble = "it took too long";
        }

        Add("names", trouble.Length == 0, trouble.Length == 0 ? DnsProbe.Words : trouble);
        return trouble.Length == 0;
    }

    /// <summary>Asks relays for a name that was bought and for one that was not; both answers must be proven. By the name the service must have been reached, too.</summary>
    private async Task<bool> LookUpAsync(CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        string name = DemoLedger.Name[..^".loki".Length];
        NameAnswer found = await offers.Names.ResolveAsync(name, limit.Token).ConfigureAwait(false);
        NameAnswer absent = await offers.Names.ResolveAsync("nobody-has-this-one", limit.Token).ConfigureAwait(false);
        bool ok = found.Outcome == NameOutcome.Found && found.Address.Span.SequenceEqual(offers.Ledger.Address.Span) && absent.Outcome == NameOutcome.NotFound && _byName.Count == 0;
        Add(DemoLedger.Name, ok, ok ? "looked up through a path of its own, with proof; another name proven absent; its page fetched by SOCKS5 and by HttpClient" : _byName.Count > 0 ? string.Join("; ", _byName) : found.Outcome == NameOutcome.Unavailable ? found.Reason : absent.Outcome == NameOutcome.Unavailable ? absent.Reason : $"{found.Outcome}, and a name that nobody has: {absent.Outcome}");
        return ok;
    }

    /// <summary>The hidden service by its name through both proxies.</summary>
    private async Task<bool> VisitByProxiesAsync(CancellationToken cancel)
    {
        using HttpClient socks = DemoCommand.ProxyClient(offers.Doors.Socks!);
        bool ok = await VisitAsync("hidden service by SOCKS5", socks, cancel).ConfigureAwait(false);
        await FetchByNameAsync("SOCKS5", socks, cancel).ConfigureAwait(false);
        using HttpClient http = DemoCommand.ProxyClient(offers.Doors.Http!, "http");
        return await VisitAsync("hidden service by HTTP proxy", http, cancel).ConfigureAwait(false) && ok;
    }

    /// <summary>The hidden service as a program's own `HttpClient` reaches it, with a router of its own.</summary>
    private async Task<bool> VisitByHandlerAsync(CancellationToken cancel)
    {
        await using var oxen = new OxenClient(offers.Network.JoinOptions("check", options.Hops));
        using var http = new HttpClient(new OnionHttpHandler(oxen)) { Timeout = TimeSpan.FromMinutes(2) };
        bool ok = await VisitAsync("hidden service by HttpClient", http, cancel).ConfigureAwait(false);
        await FetchByNameAsync("HttpClient", http, cancel).ConfigureAwait(false);
        return ok;
    }

    /// <summary>The hidden service's page by its short name; what went wrong stands in `_byName`.</summary>
    private async Task FetchByNameAsync(string way, HttpClient http, CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        try
        {
            string page = await http.GetStringAsync(new Uri($"http://{DemoLedger.Name}/"), limit.Token).ConfigureAwait(false);
            if (page.Length == 0) _byName.Add($"{way}: an empty page");
        }
        catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
        {
            _byName.Add($"{way}: {e.Message}");
        }
    }

    private async Task<bool> VisitAsync(string name, HttpClient http, CancellationToken cancel)
    {
        var site = new Uri(offers.Site.Url);
        byte[] expected = await DemoTargets.DigestAsync(SiteBytes).ConfigureAwait(false);
        DemoDownload down = await DemoDownload.RunAsync(http, site, SiteBytes, null, StepTime, cancel).ConfigureAwait(false);
        byte[] body = new byte[SiteBytes];
        _random.NextBytes(body);
        DemoUpload up = await DemoUpload.RunAsync(http, site, body, StepTime, cancel).ConfigureAwait(false);
        bool ok = down.Is(expected) && up.Error is null;
        Add(name, ok, down.Error ?? up.Error ?? (ok
            ? string.Create(CultureInfo.InvariantCulture, $"{SiteBytes >> 20} MiB each way, digests equal: {SiteBytes * 8e-6 / down.Seconds:F0} Mbit/s down, {SiteBytes * 8e-6 / up.Seconds:F0} up")
            : "the digest differs"));
        return ok;
    }

    /// <summary>
    /// Takes relays of the path in use away, one after another, each during a download, which must end well over a spare: processes are
    /// killed and frozen in turn and come back, threads are ended for good.
    /// </summary>
    private async Task<(bool Ok, double[] Milliseconds)> RepairAsync(CancellationToken cancel)
    {
        byte[] expected = await DemoTargets.DigestAsync(RepairBytes).ConfigureAwait(false);
        var silences = new List<double>();
        var victims = new List<string>();
        int rounds = !options.Processes ? RepairsOfThreads : RepairsOfProcesses;
        for (int round = 0; round < rounds; round++)
        {
            if (await SpareAsync(cancel).ConfigureAwait(false) is not { } path)
            {
                Add("a relay stops", round > 0 && !options.Processes, $"no spare path was ready before relay {round + 1}");
                return (round > 0 && !options.Processes, [.. silences]);
            }

            // The middle one first; then the first hop, and the one before the exit.
            int relays = path.Hops.Count - 1;
            IDemoRouter victim = offers.Network.Find(path.Hops[(relays / 2 + round) % relays])!;
            bool freezes = victim is ProcessRouter && round % 2 == 1;
            DemoDownload download = await FetchAsync(RepairBytes, freezes ? ((ProcessRouter)victim).Freeze : victim.Kill, cancel).ConfigureAwait(false);
            if (victim is ProcessRouter process) await process.ReviveAsync(cancel).ConfigureAwait(false);
            if (!download.Is(expected))
            {
                Add("a relay stops", false, $"{victim.Name}: {download.Error ?? "the digest differs"}");
                return (false, [.. silences]);
            }

            silences.Add(download.SilenceMilliseconds);
            victims.Add(freezes ? victim.Name + " (frozen)" : victim.Name);
        }

        Add("a relay stops", true, string.Create(CultureInfo.InvariantCulture, $"{string.Join(", ", victims)}: the downloads went on after {string.Join(", ", silences.Select(s => $"{s:F0}"))} ms and arrived whole"));
        return (true, [.. silences]);
    }

    /// <summary>The path in use, once a spare stands beside it; null when none comes.</summary>
    private async Task<PathView?> SpareAsync(CancellationToken cancel)
    {
        // As above: paths come and go on other threads, and a view shows one moment.
        for (int i = 0; i < 200; i++)
        {
            ClientView view = await offers.Network.Client.Client!.ReadViewAsync(probeHops: false).ConfigureAwait(false);
            IReadOnlyList<PathView> paths = view.Groups.Count == 0 ? [] : view.Groups[0].Paths;
            if (paths.Count(p => p.Attached) >= 2 && paths.FirstOrDefault(p => p.Active) is { } active) return active;
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancel).ConfigureAwait(false);
        }

        return null;
    }

    private async Task<DemoDownload> FetchAsync(long length, Action? midway, CancellationToken cancel)
    {
        using HttpClient http = DemoCommand.ProxyClient(offers.Doors.Socks!);
        return await DemoDownload.RunAsync(http, new Uri(offers.Targets.Url), length, midway, StepTime, cancel).ConfigureAwait(false);
    }

    // ---- figures ----

    /// <summary>Of the routers that carried: bytes allocated by their driver threads, and packets.</summary>
    private async Task<(long Allocated, long Packets)> FiguresAsync()
    {
        RouterFigures[] figures = await offers.Network.ReadFiguresAsync().ConfigureAwait(false);
        return (figures.Sum(f => f.DriverBytesAllocated), figures.Sum(f => f.DatagramsReceived));
    }

    private void Add(string name, bool ok, string words) => _steps.Add(new Step(name, ok, words));

    private static string Mbit(double rate) => string.Create(CultureInfo.InvariantCulture, $"{rate:F0} Mbit/s, digest equal");

    private static CancellationTokenSource Limit(CancellationToken cancel)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(StepTime);
        return limit;
    }
}
