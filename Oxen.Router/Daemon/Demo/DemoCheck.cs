using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// `oxen demo --check`: moves data both ways through the proxy and compares digests, fetches over IPv6, sends UDP, stores a message and
/// takes two of those that keep it away, takes a relay of the path away in the middle of a transfer, and says what it saw.
/// </summary>
internal sealed class DemoCheck(DemoOptions options, DemoNetwork network, DemoTargets targets, ProxyDoors doors, IPEndPoint dns, DemoSwarm swarm, DemoJournal journal, SharedDropCounters doorDrops, double firstByteMilliseconds)
{
    private const long TransferBytes = 64L << 20;
    private const int Datagrams = 64;
    private static readonly TimeSpan StepTime = TimeSpan.FromSeconds(60);

    private sealed record Step(string Name, bool Ok, string Words);

    private readonly List<Step> _steps = [];
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
        bool dnsOk = await ResolveAsync(cancel).ConfigureAwait(false);
        ClientView view = await ProbedViewAsync(cancel).ConfigureAwait(false);
        double? repair = null;
        bool repairOk = true;
        if (options.Spares > 0) (repairOk, repair) = await RepairAsync(cancel).ConfigureAwait(false);
        SortedDictionary<string, long> drops = await DemoCommand.DropsAsync(network, doorDrops).ConfigureAwait(false);
        double[] builds = journal.BuildMilliseconds;
        bool ok = downOk && upOk && v6Ok && udpOk && stored.Ok && dnsOk && repairOk;

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
                json.WriteNumber("bytes_allocated_per_packet", Math.Round(perPacket, 4));
                json.WriteNumber("packets", packets);
                json.WriteBoolean("ipv6_ok", v6Ok);
                json.WriteBoolean("udp_ok", udpOk);
                json.WriteBoolean("swarm_ok", stored.Ok);
                json.WriteNumber("swarm_store_ms", Math.Round(stored.StoreMilliseconds));
                json.WriteNumber("swarm_retrieve_ms", Math.Round(stored.RetrieveMilliseconds));
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
                screen.Output.WriteLine($"path: {string.Join(" -> ", path.Hops.Select((id, i) => string.Create(CultureInfo.InvariantCulture, $"{network.Names.GetValueOrDefault(id, "?")} ({path.HopRtt[i].TotalMilliseconds:F1} ms)")))}");
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
        ClientView view = await network.Client.Client!.ReadViewAsync(probeHops: true).ConfigureAwait(false);
        for (int i = 0; i < 20 && view.Groups.SelectMany(g => g.Paths).Any(p => p.Active && p.HopRtt.Contains(TimeSpan.Zero)); i++)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancel).ConfigureAwait(false);
            view = await network.Client.Client!.ReadViewAsync(probeHops: false).ConfigureAwait(false);
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
        using HttpClient http = DemoCommand.ProxyClient(doors.Socks!);
        DemoUpload upload = await DemoUpload.RunAsync(http, new Uri(targets.Url), body, StepTime, cancel).ConfigureAwait(false);
        double rate = TransferBytes * 8e-6 / upload.Seconds;
        Add("64 MiB up", upload.Error is null, upload.Error ?? Mbit(rate));
        return (upload.Error is null, upload.Error is null ? rate : 0);
    }

    private async Task<bool> FetchIPv6Async(CancellationToken cancel)
    {
        if (!targets.HasIPv6)
        {
            Add("fetch over IPv6", true, "left out: this machine has no IPv6 loopback");
            return true;
        }

        using var limit = Limit(cancel);
        using HttpClient http = DemoCommand.ProxyClient(doors.Socks!);
        try
        {
            string page = await http.GetStringAsync(new Uri(targets.UrlIPv6), limit.Token).ConfigureAwait(false);
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
            using SocksUdpClient udp = await SocksUdpClient.AssociateAsync(doors.Socks!, limit.Token).ConfigureAwait(false);
            var echo = new IPEndPoint(IPAddress.Loopback, targets.UdpPort);
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
        DemoSwarmResult result = await DemoSwarmCheck.RunAsync(swarm, network.Client.Client!, doors.Socks!, limit.Token).ConfigureAwait(false);
        Add("a message waits", result.Ok, result.Words);
        return result;
    }

    private async Task<bool> ResolveAsync(CancellationToken cancel)
    {
        using var limit = Limit(cancel);
        using RouterIdentity somebody = RouterIdentity.Create(new SystemEntropy());
        var probe = new DnsProbe(dns, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
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

    /// <summary>Stops the middle relay of the path in use during a download; the download must end well, over a spare.</summary>
    private async Task<(bool Ok, double? Milliseconds)> RepairAsync(CancellationToken cancel)
    {
        ClientView view = await network.Client.Client!.ReadViewAsync(probeHops: false).ConfigureAwait(false);
        PathView? path = view.Groups.SelectMany(g => g.Paths).FirstOrDefault(p => p.Active);
        if (path is null || view.Groups[0].Paths.Count < 2)
        {
            Add("a relay stops", false, "no spare path was ready");
            return (false, null);
        }

        string victimId = path.Hops[path.Hops.Count / 2 - 1];
        IDemoRouter victim = network.Find(victimId)!;
        byte[] expected = await DemoTargets.DigestAsync(2 * TransferBytes).ConfigureAwait(false);
        DemoDownload download = await FetchAsync(2 * TransferBytes, victim.Kill, cancel).ConfigureAwait(false);
        bool ok = download.Is(expected);
        Add("a relay stops", ok, download.Error ?? (ok
            ? string.Create(CultureInfo.InvariantCulture, $"{victim.Name} was stopped; the download went on after {download.SilenceMilliseconds:F0} ms and arrived whole")
            : "the digest differs"));
        return (ok, download.SilenceMilliseconds);
    }

    private async Task<DemoDownload> FetchAsync(long length, Action? midway, CancellationToken cancel)
    {
        using HttpClient http = DemoCommand.ProxyClient(doors.Socks!);
        return await DemoDownload.RunAsync(http, new Uri(targets.Url), length, midway, StepTime, cancel).ConfigureAwait(false);
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

    private static CancellationTokenSource Limit(CancellationToken cancel)
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(StepTime);
        return limit;
    }
}
