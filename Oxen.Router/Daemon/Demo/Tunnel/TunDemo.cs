using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo.Tunnel;

// `oxen demo --tun`, in the order of its making; the end goes the other way round:
//
//   1 what the machine must have   2 namespaces and cables   3 the target   4 routers and client, each `oxen run` on its machine
//   5 the first byte through the tunnel   6 the check, or a live view until the end

/// <summary>Starts a laboratory with a tunnel through it, shows it, and takes it down.</summary>
internal static class TunDemo
{
    private const int WebPort = 80, EchoPort = 7, NamesPort = 53, IperfPort = 5201;
    private static readonly TimeSpan ReadyPatience = TimeSpan.FromSeconds(30);

    public static async Task<int> RunAsync(DemoOptions options, Screen screen, CancellationToken cancel)
    {
        LabNeeds.Check();
        using Lab lab = Lab.Build(new LabPlan(options.Netns, options.Relays, options.Exits));
        LabPlan plan = lab.Plan;
        await using DemoTargets targets = await DemoTargets.StartAsync(new DemoPlace(plan.Target.Space, plan.Target.Address, Lab.HasIPv6 ? plan.Target.AddressIPv6 : null, WebPort, EchoPort, NamesPort), cancel).ConfigureAwait(false);
        await using LabProcess? iperf = LabNeeds.Has(TunMeter.Program) ? new LabProcess(plan.Target.Space, TunMeter.Program, "--server", "--port", IperfPort.ToString(CultureInfo.InvariantCulture)) : null;
        await using DemoTargets site = await DemoTargets.StartAsync(new DemoPlace(plan.Site.Space, IPAddress.Loopback, null, SitePorts.Web, SitePorts.Echo), SitePage, cancel).ConfigureAwait(false);
        await using LabProcess? siteIperf = LabNeeds.Has(TunMeter.Program) ? new LabProcess(plan.Site.Space, TunMeter.Program, "--server", "--port", SitePorts.Iperf.ToString(CultureInfo.InvariantCulture)) : null;
        var log = new TunLog();
        await using TunNetwork network = await TunNetwork.StartAsync(options, lab, log.Add, cancel).ConfigureAwait(false);
        double firstByte = await FirstByteAsync(network, plan, targets, cancel).ConfigureAwait(false);
        if (options.EndpointsFile is { } file) WriteEndpoints(file, options, network, plan, targets);
        if (options.Check) return await new TunCheck(options, lab, network, targets, log, firstByte).RunAsync(screen, cancel).ConfigureAwait(false);

        if (options.Json)
        {
            screen.Json(json =>
            {
                WriteEndpoints(json, options, network, plan, targets);
                json.WriteNumber("first_byte_ms", Math.Round(firstByte));
            });
            await screen.Output.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        else
        {
            Introduce(screen, options, network, plan, targets, iperf is not null, firstByte);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (options.Duration is { } duration) limit.CancelAfter(duration);
        try
        {
            await new TunView(network, log).ShowAsync(screen, options, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            // Ctrl-C, SIGTERM or --seconds: the end that was asked for.
        }

        if (!options.Json) screen.Output.WriteLine("Stopping.");
        return ExitCode.Ok;
    }

    /// <summary>Milliseconds from the start of this process to the first byte of an answer through the tunnel.</summary>
    private static async Task<double> FirstByteAsync(TunNetwork network, LabPlan plan, DemoTargets targets, CancellationToken cancel)
    {
        string trouble = "the page did not come";
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < ReadyPatience;)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(TimeSpan.FromSeconds(5));
            using HttpClient http = LabHttp.In(plan.Client.Space);
            try
            {
                using HttpResponseMessage answer = await http.GetAsync(new Uri(targets.Url), HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
                answer.EnsureSuccessStatusCode();
                return (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalMilliseconds;
            }
            catch (Exception e) when (DemoDownload.IsNetwork(e, cancel))
            {
                // No path yet, or no addresses.
                trouble = await network.AskClientAsync(cancel).ConfigureAwait(false) is { Trouble.Length: > 0 } report ? report.Trouble : $"the page did not come: {e.Message}";
                await Task.Delay(TimeSpan.FromMilliseconds(50), cancel).ConfigureAwait(false);
            }
        }

        throw UserException.NoPath(trouble);
    }

    // ---- words ----

    private static void Introduce(Screen screen, DemoOptions options, TunNetwork network, LabPlan plan, DemoTargets targets, bool hasIperf, double firstByte)
    {
        TextWriter to = screen.Output;
        string inside = $"ip netns exec {plan.Client.Space}";
        to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{options.Relays} relays, {options.Exits} exits, a client and a target run on this machine, each in a network namespace of its own; the first byte came through the tunnel and {options.Hops} hops after {firstByte / 1000:F1} s."));
        to.WriteLine("Any program in the client's namespace goes through the tunnel:");
        to.WriteLine();
        to.WriteLine($"  {inside} curl {targets.Url}");
        to.WriteLine($"  {inside} curl {targets.Url}bytes/67108864 --output /dev/null");
        if (targets.HasIPv6) to.WriteLine($"  {inside} curl {targets.UrlIPv6}");
        to.WriteLine($"  {inside} curl http://{DemoNames.Name}/");
        if (network.MapsNames) to.WriteLine($"  {inside} curl http://{network.SiteName}/");
        to.WriteLine($"  {inside} ping {plan.Target.Address}");
        if (hasIperf) to.WriteLine($"  {inside} iperf3 --client {plan.Target.Address} --reverse --parallel 4");
        to.WriteLine($"  {inside} bash");
        to.WriteLine();
        to.WriteLine($"A UDP echo listens on {plan.Target.Address}:{EchoPort}. The proxies are there as well, inside: SOCKS5 {options.Socks}, HTTP {options.Http}.");
        if (!hasIperf) to.WriteLine("iperf3 is not installed; with it a server of it would listen at the target.");
        if (!network.Translates) to.WriteLine("nft is not installed: the exits do not translate addresses; this internet knows the way back to their inner ones.");
        to.WriteLine($"The wire between client and relays: `ip netns exec {plan.Net} tcpdump -n -i {plan.Client.Name}`. Names are asked of the client's own resolver. Ctrl-C stops all and takes all away.");
        to.WriteLine();
        to.Flush();
    }

    private static string SitePage(HttpContext context) =>
        DemoTargets.PageOf("A hidden service", "You found me, and neither of us knows where the other is.", "This page comes from a hidden service: two paths that meet at a relay, and a session from end to end.");

    private static void WriteEndpoints(string file, DemoOptions options, TunNetwork network, LabPlan plan, DemoTargets targets)
    {
        try
        {
            using (FileStream stream = File.Create(file + ".new"))
            using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
            {
                json.WriteStartObject();
                WriteEndpoints(json, options, network, plan, targets);
                json.WriteEndObject();
            }

            // Whoever waits for the file finds it whole.
            File.Move(file + ".new", file, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(file, e.Message, e);
        }
    }

    private static void WriteEndpoints(Utf8JsonWriter json, DemoOptions options, TunNetwork network, LabPlan plan, DemoTargets targets)
    {
        json.WriteString("socks", options.Socks.ToString());
        json.WriteString("http", options.Http.ToString());
        json.WriteString("dns", "127.0.0.1:53");
        json.WriteString("web_target", targets.Url);
        if (targets.HasIPv6) json.WriteString("web_target_ipv6", targets.UrlIPv6);
        json.WriteString("loki_url", $"http://{network.SiteName}/");
        json.WriteString("udp_echo", $"{plan.Target.Address}:{EchoPort}");
        json.WriteString("target", plan.Target.Address.ToString());
        if (targets.HasIPv6) json.WriteString("target_ipv6", plan.Target.AddressIPv6.ToString());
        json.WriteString("netns_client", plan.Client.Space);
        json.WriteString("netns_internet", plan.Net);
        json.WriteString("netns_target", plan.Target.Space);
        json.WriteString("netns_site", plan.Site.Space);
        json.WriteString("site_status", network.Site.StatusSocket);
        json.WriteString("directory", network.Files.Root);
        json.WriteString("status", network.Client.StatusSocket);
        json.WriteNumber("client_process", network.Client.ProcessId);
        json.WriteStartArray("routers");
        foreach (ProcessRouter router in network.Routers)
        {
            json.WriteStartObject();
            json.WriteString("name", router.Name);
            json.WriteString("router_id", network.Names.First(n => n.Value == router.Name).Key);
            json.WriteString("netns", network.SpaceOf(router.Name));
            json.WriteNumber("process", router.ProcessId);
            json.WriteString("config", router.ConfigFile);
            json.WriteString("status", router.StatusSocket);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }
}
