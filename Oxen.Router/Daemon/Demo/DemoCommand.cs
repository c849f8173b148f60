using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Oxen.Router.Daemon.Demo;

/// <summary>`oxen demo`: starts the network, shows it, and takes it down.</summary>
internal static class DemoCommand
{
    private static readonly TimeSpan ReadyPatience = TimeSpan.FromSeconds(20);

    // A small network has no relays left for eight keepers' paths, and a slow machine takes its time.
    private static readonly TimeSpan FoundPatience = TimeSpan.FromSeconds(20);

    public static async Task<int> RunAsync(DemoOptions options, Screen screen, CancellationToken cancel)
    {
        if (options.Tun) return await TunDemo.RunAsync(options, screen, cancel).ConfigureAwait(false);
        var journal = new DemoJournal();
        IEntropy? seeded = options.Seed is { } seed ? new SeedEntropy(seed) : null;
        var drops = new SharedDropCounters();
        await using DemoTargets targets = await DemoTargets.StartAsync(DemoPlace.Loopback, cancel).ConfigureAwait(false);
        var paths = new ClientPathOptions { Hops = options.Hops, Spares = options.Spares };
        await using var ledger = new DemoLedger();
        if (options.Processes) await ledger.BeginAsync().ConfigureAwait(false);
        var wanted = new DemoNetworkOptions
        {
            Relays = options.Relays,
            Exits = options.Exits,
            Paths = paths,
            Exceptions = Exceptions(targets),
            Entropy = seeded is null ? static () => new SystemEntropy() : () => seeded,
            OnNotice = journal.Add,
            Processes = options.Processes,
            Ledger = ledger,

            // A copy of the ledger costs a process some of its start.
            Answering = name => !options.Processes || name is "relay-1" or "relay-2" || name.StartsWith("exit", StringComparison.Ordinal),
        };
        await using DemoNetwork network = await DemoNetwork.StartAsync(wanted, cancel).ConfigureAwait(false);
        ClientService client = network.Client.Client!;
        using NameEnd names = NameEnd.OverPaths(ledger.Genesis, client, TimeSpan.FromMinutes(5), TimeProvider.System);
        await using StatusSocket status = StatusSocket.Open(network.Files.StatusSocket, () => ReportAsync(network), (name, stop) => PingReport.MeasureAsync(name, network.Client, names.Source, stop));
        await using ProxyDoors doors = await ProxyDoors.OpenAsync(client, new ServiceReach(network.Client.Hidden!.Clients, network.Client.Hidden.Clients, names.Source), options.Socks, options.Http, new Dictionary<string, string>(), drops, cancel).ConfigureAwait(false);
        await using DnsService dns = StartDns(client, targets, names.Source!);
        await WaitReadyAsync(client, cancel).ConfigureAwait(false);
        double firstByte = await FirstByteAsync(doors, targets, cancel).ConfigureAwait(false);
        // Only now: nothing that starts beside may delay the first byte.
        await using DemoSwarm swarm = await DemoSwarm.StartAsync(network.Slots, ledger, cancel).ConfigureAwait(false);
        await using DemoSite site = await DemoSite.StartAsync(network, options.Hops, cancel).ConfigureAwait(false);
        if (!options.Processes) await ledger.BeginAsync().ConfigureAwait(false); // after the first byte: opening it takes the processor
        await FillAsync(ledger, network, site, cancel).ConfigureAwait(false);
        var offers = new DemoOffers(network, doors, dns.EndPoints[0], targets, swarm, ledger, names.Source!, site, options.Processes);
        bool found = await site.WaitFoundAsync(FoundPatience, cancel).ConfigureAwait(false);
        if (options.EndpointsFile is { } file) await WriteEndpointsAsync(file, offers, cancel).ConfigureAwait(false);

        if (options.Check)
        {
            var check = new DemoCheck(options, offers, journal, drops, firstByte);
            return await check.RunAsync(screen, cancel).ConfigureAwait(false);
        }

        if (options.Json) WriteJson(screen, offers, firstByte);
        else Introduce(screen, options, offers, found, firstByte);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (options.Duration is { } duration) limit.CancelAfter(duration);
        try
        {
            if (screen.Interactive && !options.Json) await ShowLiveAsync(screen, network, journal, drops, limit.Token).ConfigureAwait(false);
            else await ShowLinesAsync(screen, options, network, journal, drops, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            // Ctrl-C, SIGTERM or --seconds: the end that was asked for.
        }

        if (!options.Json) screen.Output.WriteLine("Stopping.");
        return ExitCode.Ok;
    }

    /// <summary>The routers become service nodes, and `hello.loki` is bought for the hidden service.</summary>
    private static async Task FillAsync(DemoLedger ledger, DemoNetwork network, DemoSite site, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(ReadyPatience);
        if (!ServiceAddress.TryParse(site.Host, out ServiceAddress address)) throw new InvalidOperationException($"{site.Host} is no address of a service");
        await ledger.FillAsync(network.Members, DemoLedger.Name, address.ToArray(), limit.Token).ConfigureAwait(false);
    }

    /// <summary>The exceptions to the exits' policy: the demo's own targets and storage nodes on loopback.</summary>
    private static List<ExitRule> Exceptions(DemoTargets targets)
    {
        var rules = new List<ExitRule> { ExitRule.Parse($"allow 127.0.0.1:{targets.WebPort} tcp"), ExitRule.Parse($"allow 127.0.0.1:{targets.UdpPort} udp"), ExitRule.Parse($"allow {targets.Names.EndPoint} tcp") };
        if (targets.HasIPv6) rules.Add(ExitRule.Parse($"allow [::1]:{targets.WebPort} tcp"));
        rules.AddRange(DemoSwarm.Exceptions);
        return rules;
    }

    // On a port of its own: the machine's programs keep asking whom they ask.
    private static DnsService StartDns(ClientService client, DemoTargets targets, INameSource names) => DnsService.Start(
        new DnsServiceOptions { Servers = [targets.Names.EndPoint], Host = new DnsHostOptions { Listen = [new IPEndPoint(IPAddress.Loopback, 0)] } }, client, names, services: null, TimeProvider.System);

    private static async Task WaitReadyAsync(ClientService client, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(ReadyPatience);
        try
        {
            await client.WaitReadyAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw UserException.NoPath(client.Trouble.Length > 0 ? client.Trouble : "the demo network did not come up in time");
        }
    }

    /// <summary>Milliseconds from the start of this process to the first byte of an answer through the path.</summary>
    private static async Task<double> FirstByteAsync(ProxyDoors doors, DemoTargets targets, CancellationToken cancel)
    {
        using HttpClient http = ProxyClient(doors.Socks!);
        using HttpResponseMessage answer = await http.GetAsync(new Uri(targets.Url), HttpCompletionOption.ResponseHeadersRead, cancel).ConfigureAwait(false);
        answer.EnsureSuccessStatusCode();
        return (DateTime.Now - Process.GetCurrentProcess().StartTime).TotalMilliseconds;
    }

    public static HttpClient ProxyClient(IPEndPoint proxy, string scheme = "socks5") => new(new SocketsHttpHandler { Proxy = new WebProxy($"{scheme}://{proxy}"), UseProxy = true, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1) })
    {
        Timeout = TimeSpan.FromMinutes(2),
    };

    private static async Task WriteEndpointsAsync(string file, DemoOffers offers, CancellationToken cancel)
    {
        string temporary = file + ".new";
        try
        {
            await using (FileStream stream = File.Create(temporary))
            await using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }))
            {
                json.WriteStartObject();
                offers.Write(json);
                json.WriteEndObject();
            }

            // Whoever waits for the file finds it whole.
            File.Move(temporary, file, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(file, e.Message, e);
        }

        cancel.ThrowIfCancellationRequested();
    }

    private static void WriteJson(Screen screen, DemoOffers offers, double firstByte) => screen.Json(json =>
    {
        offers.Write(json);
        json.WriteNumber("first_byte_ms", Math.Round(firstByte));
    });

    private static void Introduce(Screen screen, DemoOptions options, DemoOffers offers, bool found, double firstByte)
    {
        (ProxyDoors doors, DemoTargets targets, DemoSwarm swarm) = (offers.Doors, offers.Targets, offers.Swarm);
        TextWriter to = screen.Output;
        to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"A network of {options.Relays} relays and {options.Exits} exits runs on this machine; the first byte came through {options.Hops} hops after {firstByte / 1000:F1} s."));
        to.WriteLine();
        to.WriteLine($"  curl --socks5-hostname {doors.Socks} {targets.Url}");
        to.WriteLine($"  curl --proxy http://{doors.Http} {targets.Url}bytes/67108864 --output /dev/null");
        to.WriteLine($"  dig @{offers.Dns.Address} -p {offers.Dns.Port} {DemoNames.Name}");
        to.WriteLine();
        to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"A hidden web service, {options.Hops} hops of yours and {options.Hops} of its own away{(found ? "" : "; it is not found yet, which takes a while on a slow machine or in a small network")}:"));
        to.WriteLine();
        to.WriteLine($"  curl --socks5-hostname {doors.Socks} {offers.Site.Url}");
        to.WriteLine($"  curl --socks5-hostname {doors.Socks} http://{DemoLedger.Name}/     # the same by its short name, bought on the demo's ledger: {offers.Ledger.Rpc}");
        to.WriteLine($"  oxen trace {offers.Site.Host} --socket {offers.Network.Files.StatusSocket}");
        to.WriteLine();
        to.WriteLine($"SOCKS5 {doors.Socks} (TCP, and UDP: an echo listens on 127.0.0.1:{targets.UdpPort}), HTTP proxy {doors.Http}, resolver {offers.Dns}: .loki names get addresses, others are asked through the exit.");
        to.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DemoSwarm.Nodes} storage nodes in {DemoSwarm.Swarms} swarms; one of them (a seed too): {swarm.FirstUrl}"));
        to.WriteLine();
        to.WriteLine($"  oxen wallet new --out me.key && oxen swarm store --account me.key --text hello --node {swarm.FirstUrl} && oxen swarm retrieve --account me.key --node {swarm.FirstUrl}");
        to.WriteLine();
        to.WriteLine("Exits refuse loopback addresses; here they make an exception for the demo's own web server, echo and storage nodes. Ctrl-C stops all.");
        to.WriteLine();
    }

    // ---- the live view ----

    private static async Task ShowLiveAsync(Screen screen, DemoNetwork network, DemoJournal journal, SharedDropCounters doorDrops, CancellationToken stop)
    {
        var rate = new RateMeter(network);
        IAnsiConsole console = screen.Console();
        await console.Live(new Text("")).AutoClear(false).StartAsync(async live =>
        {
            while (!stop.IsCancellationRequested)
            {
                ClientView view = await network.Client.Client!.ReadViewAsync(probeHops: true).ConfigureAwait(false);
                live.UpdateTarget(Render(network, view, await rate.TakeAsync().ConfigureAwait(false), await DropsAsync(network, doorDrops).ConfigureAwait(false), journal));
                // How often the screen changes, for an eye to follow.
                await Task.Delay(TimeSpan.FromSeconds(1), stop).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
    }

    private static Rows Render(DemoNetwork network, ClientView view, Rate rate, SortedDictionary<string, long> drops, DemoJournal journal)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumn("path").AddColumn("hops, with round trip").AddColumn("packets up").AddColumn("packets down").AddColumn("lasts");
        foreach (GroupView group in view.Groups)
        {
            foreach (PathView path in group.Paths)
            {
                string hops = string.Join(" → ", path.Hops.Select((id, i) => $"{network.Names.GetValueOrDefault(id, "?")} [grey]{Milliseconds(path.HopRtt[i])}[/]"));
                table.AddRow(path.Active ? "[green]in use[/]" : "[grey]spare[/]", hops, $"{path.PacketsUp:N0}", $"{path.PacketsDown:N0}", $"{path.Left:mm\\:ss}");
            }
        }

        string dropped = drops.Count == 0 ? "none" : string.Join(", ", drops.Select(d => $"{d.Key} {d.Value}"));
        return new Rows(
            table,
            new Markup($"[grey]client[/] down [bold]{rate.Down:F1}[/] Mbit/s, up [bold]{rate.Up:F1}[/] Mbit/s   [grey]open streams[/] {view.OpenStreams}   [grey]all routers[/] {rate.PacketsPerSecond:N0} packets/s"),
            new Markup($"[grey]drops[/] {Markup.Escape(dropped)}"),
            new Text(string.Join('\n', journal.Lines)));
    }

    private static async Task ShowLinesAsync(Screen screen, DemoOptions options, DemoNetwork network, DemoJournal journal, SharedDropCounters doorDrops, CancellationToken stop)
    {
        var rate = new RateMeter(network);
        while (!stop.IsCancellationRequested)
        {
            if (!options.Json)
            {
                ClientView view = await network.Client.Client!.ReadViewAsync(probeHops: true).ConfigureAwait(false);
                Rate now = await rate.TakeAsync().ConfigureAwait(false);
                string drops = string.Join(" ", (await DropsAsync(network, doorDrops).ConfigureAwait(false)).Select(d => $"{d.Key}={d.Value}"));
                foreach (PathView path in view.Groups.SelectMany(g => g.Paths).Where(p => p.Active))
                {
                    string hops = string.Join(" ", path.Hops.Select((id, i) => $"{network.Names.GetValueOrDefault(id, "?")}={Milliseconds(path.HopRtt[i])}"));
                    screen.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"path {hops}  down {now.Down:F1} Mbit/s up {now.Up:F1} Mbit/s  drops {(drops.Length == 0 ? "none" : drops)}"));
                }

                await screen.Output.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }

            // How often a line is written, for a log that stays readable.
            await Task.Delay(TimeSpan.FromSeconds(5), stop).ConfigureAwait(false);
        }
    }

    private static async Task<StatusReport> ReportAsync(DemoNetwork network) => new()
    {
        Version = CommandTree.Version,
        Roles = "demo",
        Process = Environment.ProcessId,
        UptimeSeconds = Math.Round((DateTime.Now - Process.GetCurrentProcess().StartTime).TotalSeconds, 3),
        Routers = [.. await network.ReadFiguresAsync().ConfigureAwait(false), network.Client.ReadFigures()],
        Paths = StatusReport.PathsOf(await network.Client.Client!.ReadViewAsync(probeHops: true).ConfigureAwait(false)),
        ServiceClients = network.Client.Hidden is { } hidden ? StatusReport.ServiceClientsOf(await hidden.Clients.ReadViewAsync(probeHops: true).ConfigureAwait(false)) : [],
        Trouble = network.Client.Client!.Trouble,
    };

    public static async Task<SortedDictionary<string, long>> DropsAsync(DemoNetwork network, SharedDropCounters doors)
    {
        var sum = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (RouterFigures figures in (await network.ReadFiguresAsync().ConfigureAwait(false)).Append(network.Client.ReadFigures()))
        {
            foreach ((string reason, long count) in figures.Drops)
            {
                sum.TryGetValue(reason, out long before);
                sum[reason] = before + count;
            }
        }

        doors.AddTo(sum);
        return sum;
    }

    private static string Milliseconds(TimeSpan time) => time == TimeSpan.Zero ? "-" : string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:F1} ms");

    private readonly record struct Rate(double Down, double Up, double PacketsPerSecond);

    private sealed class RateMeter(DemoNetwork network)
    {
        private long _down, _up, _packets, _at = Stopwatch.GetTimestamp();

        public async Task<Rate> TakeAsync()
        {
            RouterFigures client = network.Client.ReadFigures();
            long packets = (await network.ReadFiguresAsync().ConfigureAwait(false)).Sum(f => f.DatagramsReceived) + client.DatagramsReceived;
            double seconds = Stopwatch.GetElapsedTime(_at).TotalSeconds;
            _at = Stopwatch.GetTimestamp();
            var rate = new Rate(
                (client.BytesReceived - _down) * 8e-6 / seconds,
                (client.BytesSent - _up) * 8e-6 / seconds,
                (packets - _packets) / seconds);
            (_down, _up, _packets) = (client.BytesReceived, client.BytesSent, packets);
            return rate;
        }
    }
}
