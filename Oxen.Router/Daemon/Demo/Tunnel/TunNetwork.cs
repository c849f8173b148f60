using System.Diagnostics;
using System.Globalization;
using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>What the hidden service of a laboratory listens at.</summary>
internal static class SitePorts
{
    public const int Web = 80, Echo = 7, Iperf = 5201;
}

/// <summary>The routers and the client of a laboratory, each `oxen run` on its machine, with keys and files of its own.</summary>
internal sealed class TunNetwork : IAsyncDisposable
{
    private const string Network = "oxen-demo";
    private const int Port = 1090;
    private const long Hour = 3600;
    private const long Day = 24 * Hour;
    private static readonly TimeSpan AskPatience = TimeSpan.FromSeconds(10);

    private readonly Lab _lab;
    private readonly List<ProcessRouter> _routers = [];
    private readonly List<RouterContact> _contacts = [];

    private TunNetwork(Lab lab) => _lab = lab;

    /// <summary>Relays first, exits after them.</summary>
    public IReadOnlyList<ProcessRouter> Routers => _routers;

    public ProcessRouter Client { get; private set; } = null!;

    /// <summary>The router of the hidden service.</summary>
    public ProcessRouter Site { get; private set; } = null!;

    /// <summary>False: without nft the client has no mapped addresses, and its programs reach services by the proxies alone.</summary>
    public bool MapsNames { get; } = LabNeeds.Has("nft");

    /// <summary>`….loki`, the service's address.</summary>
    public string SiteName { get; private set; } = "";

    public DemoDirectory Files { get; } = new();

    /// <summary>Router names by id, for the screen: this network is our own, nobody is betrayed by it.</summary>
    public Dictionary<string, string> Names { get; } = new(StringComparer.Ordinal);

    /// <summary>False: nft is not installed, and the internet of the laboratory knows the exits' inner addresses.</summary>
    public bool Translates { get; } = LabNeeds.Has("nft");

    /// <param name="onClientLine">Hears the client's log, one JSON object a line.</param>
    public static async Task<TunNetwork> StartAsync(DemoOptions options, Lab lab, Action<string> onClientLine, CancellationToken cancel)
    {
        var network = new TunNetwork(lab);
        try
        {
            await network.BeginAsync(options, onClientLine, cancel).ConfigureAwait(false);
            return network;
        }
        catch
        {
            await network.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public ProcessRouter? Find(string routerId) => Names.TryGetValue(routerId, out string? name) ? _routers.Find(r => r.Name == name) : null;

    public string SpaceOf(string name) => _lab.Plan.Machines.First(m => m.Name == name).Space;

    /// <summary>What the client says of itself; null: it does not answer just now.</summary>
    public Task<StatusReport?> AskClientAsync(CancellationToken cancel) => AskAsync(Client, cancel);

    /// <summary>Waits until the hidden service can be found; false: it took longer than this.</summary>
    public async Task<bool> WaitSiteAsync(TimeSpan patience, CancellationToken cancel)
    {
        for (var watch = Stopwatch.StartNew(); watch.Elapsed < patience; await Task.Delay(100, cancel).ConfigureAwait(false)) // a status is asked for, never told
        {
            if ((await AskAsync(Site, cancel).ConfigureAwait(false))?.Services is [{ Published: true }]) return true;
        }

        return false;
    }

    private static async Task<StatusReport?> AskAsync(ProcessRouter router, CancellationToken cancel)
    {
        try
        {
            return StatusReport.Parse(await StatusSocket.AskAsync(router.StatusSocket, AskPatience, cancel).ConfigureAwait(false));
        }
        catch (UserException)
        {
            return null;
        }
    }

    /// <summary>Of relays and exits.</summary>
    public Task<RouterFigures[]> ReadFiguresAsync() => Task.WhenAll(_routers.Select(r => r.ReadFiguresAsync()));

    public async ValueTask DisposeAsync()
    {
        if (Client is not null) await Client.DisposeAsync().ConfigureAwait(false);
        if (Site is not null) await Site.DisposeAsync().ConfigureAwait(false);
        await Task.WhenAll(_routers.Select(r => r.DisposeAsync().AsTask())).ConfigureAwait(false);
        Files.Dispose();
    }

    private async Task BeginAsync(DemoOptions options, Action<string> onClientLine, CancellationToken cancel)
    {
        _lab.Claim.Note("directory " + Files.Root);
        var entropy = new SystemEntropy();
        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        var starts = new List<Action>();
        foreach (LabMachine relay in _lab.Plan.Relays) starts.Add(Prepare(relay, "", listKey.Id, entropy));
        for (int i = 0; i < _lab.Plan.Exits.Count; i++) starts.Add(Prepare(_lab.Plan.Exits[i], ExitText(_lab.Plan.Exits[i], i + 1), listKey.Id, entropy));

        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        ContactWords.TryNetworkId(Network, out byte[] networkId);
        Files.SetContacts(ContactList.Create(listKey, networkId, _contacts, unix - 60, unix + 7 * Day));
        foreach (Action start in starts) start();
        (string config, string status) = Files.AddConfig(_lab.Plan.Client.Name, ClientText(options, listKey.Id, _lab.Plan.Target.Address));
        Client = Note(new ProcessRouter(_lab.Plan.Client.Name, config, status, _lab.Plan.Client.Space, onClientLine));
        (config, status) = Files.AddConfig(_lab.Plan.Site.Name, SiteText(options, listKey.Id));
        SiteName = ServiceKeyFile.CreateService(Path.GetDirectoryName(config)!).Address.ToString();
        Site = Note(new ProcessRouter(_lab.Plan.Site.Name, config, status, _lab.Plan.Site.Space));
        await Task.WhenAll(_routers.Append(Client).Append(Site).Select(r => r.WaitReadyAsync(cancel))).ConfigureAwait(false);
    }

    /// <summary>Writes a router's keys and files; gives what is to be done once the contact list stands.</summary>
    private Action Prepare(LabMachine machine, string exitText, RouterId listKey, SystemEntropy entropy)
    {
        var listen = new IPEndPoint(machine.Address, Port);
        byte[] seed = new byte[OnionKeyPair.SeedBytes];
        entropy.FillSecret(seed);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using var onion = new OnionKeyPair(seed);
        Files.AddKeys(machine.Name, identity, seed);
        string operatorLabel = $"operator-{machine.Name}";
        (string config, string status) = Files.AddConfig(machine.Name, $"""
            [router]
            roles = [{(exitText.Length == 0 ? "\"relay\"" : "\"relay\", \"exit\"")}]
            listen = "{listen}"
            identity = "identity.key"
            network = "{Network}"
            contacts = "../contacts.list"
            contacts_key = "{listKey}"
            shards = 1

            [relay]
            operator = "{operatorLabel}"
            replay_filter = "4 MiB"

            [log]
            level = "warning"
            {exitText}
            """);
        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Names.Add(identity.Id.ToString(), machine.Name);
        _contacts.Add(RouterContact.Create(identity, onion, exitText.Length == 0 ? RouterCapabilities.Relay : RouterCapabilities.Exit | RouterCapabilities.Tunnel, [UdpAddress.From(listen)], "demo", operatorLabel, unix - Hour, unix + 30 * Day));
        return () => _routers.Add(Note(new ProcessRouter(machine.Name, config, status, machine.Space)));
    }

    // Exits refuse private addresses; here they make one exception, for the target.
    private string ExitText(LabMachine exit, int number)
    {
        var (four, six) = (ExitTunnelConfig.DefaultPool4, ExitTunnelConfig.DefaultPool6);
        if (!Translates)
        {
            four = IPNetwork.Parse(string.Create(CultureInfo.InvariantCulture, $"10.97.{number}.0/24"));
            six = IPNetwork.Parse(string.Create(CultureInfo.InvariantCulture, $"fd6f:7865:6e00:1:{number}::/80"));
            _lab.Forward(exit, four, six);
        }

        return $"""

            [exit]
            except = ["allow {_lab.Plan.Target.Address}:*", "allow [{_lab.Plan.Target.AddressIPv6}]:*"]
            tunnel = true
            pool = ["{four}", "{six}"]
            nat = {(Translates ? "true" : "false")}
            """;
    }

    // Whoever has the list takes part.
    private static string Member(RouterId listKey) => $"""
        [router]
        roles = ["client"]
        network = "{Network}"
        contacts = "../contacts.list"
        contacts_key = "{listKey}"
        """;

    private string ClientText(DemoOptions options, RouterId listKey, IPAddress target) => string.Create(CultureInfo.InvariantCulture, $"""
        {Member(listKey)}

        [client]
        socks = "{options.Socks}"
        http = "{options.Http}"
        hops = {options.Hops}
        spares = {options.Spares}

        [tun]

        [dns]
        servers = ["{target}:53"]
        mapped = {(MapsNames ? "true" : "false")}

        [log]
        level = "debug"
        format = "json"
        """);

    // What stands behind a service's ports is found by the site's own addresses, which nobody else needs to know.
    private static string SiteText(DemoOptions options, RouterId listKey) => string.Create(CultureInfo.InvariantCulture, $"""
        {Member(listKey)}

        [client]
        socks = "off"
        http = "off"
        hops = {options.Hops}

        [[service]]
        name = "site"
        key = "{ServiceKeyFile.ServiceName}"
        ports = ["{SitePorts.Web} -> 127.0.0.1:{SitePorts.Web}", "{SitePorts.Echo}/udp -> 127.0.0.1:{SitePorts.Echo}"{(LabNeeds.Has(TunMeter.Program) ? $", \"{SitePorts.Iperf} -> 127.0.0.1:{SitePorts.Iperf}\"" : "")}]

        [log]
        level = "warning"
        """);

    private ProcessRouter Note(ProcessRouter router)
    {
        _lab.Claim.NoteProcess(router.ProcessId);
        return router;
    }
}
