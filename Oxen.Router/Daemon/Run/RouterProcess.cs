using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Contacts;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Router.Hosting;
using Oxen.Router.Udp;

namespace Oxen.Router.Daemon.Run;

// What one configuration runs, from the first file read to the last socket closed:
//   1 contact list    2 keys, compared with the list    3 sockets    4 threads    5 proxies    6 status socket
// and back: proxies and new paths refused, what runs gets a little time, peers are told, threads end, keys are wiped.

/// <summary>The routers of one process. A relay and a client beside it are two nodes that share nothing but the directory.</summary>
internal sealed class RouterProcess : IAsyncDisposable
{
    /// <summary>What is under way may end within this time; then it is ended. A stop takes less than 5 s in all.</summary>
    public static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan FirstComplaint = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan NextComplaint = TimeSpan.FromSeconds(60);

    private readonly RouterConfig _config;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly TaskCompletionSource<UserException> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SharedDropCounters _doorDrops = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly long _started;
    private RouterKeys? _keys;
    private RouterNode? _relay;
    private RouterNode? _client;
    private ProxyDoors? _doors;
    private StatusSocket? _status;
    private Task _watch = Task.CompletedTask;
    private int _wrongKeySaid, _pathSaid;

    private RouterProcess(RouterConfig config, ILogger log, TimeProvider time)
    {
        _config = config;
        _log = log;
        _time = time;
        _started = time.GetTimestamp();
    }

    /// <summary>Completes when the process cannot do its work any more, with the reason.</summary>
    public Task<UserException> Failed => _failed.Task;

    public UdpAddress? RelayAddress => _relay?.LocalAddress;

    public IPEndPoint? Socks => _doors?.Socks;

    public IPEndPoint? Http => _doors?.Http;

    /// <exception cref="UserException">Something of the configuration does not fit this machine, its files or the network.</exception>
    public static async Task<RouterProcess> StartAsync(RouterConfig config, ILogger log, TimeProvider time, CancellationToken cancel)
    {
        // Who asks for a tunnel and gets none would send in the clear what he believes hidden.
        if (config.Tun is not null || config.Exit.Tunnel is not null)
            throw new UserException(ExitCode.Usage, "OXN2002", "the configuration asks for a tunnel ([tun], or tunnel = true of an exit), which this version cannot run yet", "Take it out of the file; programs reach the network by the SOCKS5 and HTTP proxies.");
        var process = new RouterProcess(config, log, time);
        try
        {
            await process.BeginAsync(cancel).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await process.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Refuses what is new, gives what runs a little time, tells the peers, and ends.</summary>
    public async Task StopAsync()
    {
        RouterLog.Stopping(_log, DrainTime.TotalSeconds);
        await _stop.CancelAsync().ConfigureAwait(false);
        Task doors = _doors?.StopAsync(DrainTime) ?? Task.CompletedTask;
        await Task.WhenAll(doors, Drain(_client), Drain(_relay)).ConfigureAwait(false);
        await DisposeAsync().ConfigureAwait(false);
        RouterLog.Stopped(_log);

        static Task Drain(RouterNode? node) => node?.DrainAsync(DrainTime, CancellationToken.None) ?? Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watch.ConfigureAwait(false);
        if (_status is not null) await _status.DisposeAsync().ConfigureAwait(false);
        if (_doors is not null) await _doors.DisposeAsync().ConfigureAwait(false);
        if (_client is not null) await _client.DisposeAsync().ConfigureAwait(false);
        if (_relay is not null) await _relay.DisposeAsync().ConfigureAwait(false);
        _keys?.Dispose();
        (_status, _doors, _client, _relay, _keys) = (null, null, null, null, null);
    }

    public async Task<StatusReport> ReportAsync() => new()
    {
        Version = CommandTree.Version,
        Roles = RolesInWords(_config.Roles),
        Process = Environment.ProcessId,
        UptimeSeconds = Math.Round(_time.GetElapsedTime(_started).TotalSeconds, 3),
        Routers = [.. new[] { _relay, _client }.OfType<RouterNode>().Select(n => n.ReadFigures())],
        Paths = _client?.Client is { } client ? StatusReport.PathsOf(await client.ReadViewAsync(probeHops: true).ConfigureAwait(false)) : [],
        Trouble = _client?.Client?.Trouble ?? "",
    };

    public static string RolesInWords(RouterRoles roles) => roles.ToString().ToLowerInvariant();

    // ---- the start ----

    private async Task BeginAsync(CancellationToken cancel)
    {
        DateTimeOffset now = _time.GetUtcNow();
        ContactList list = ContactFiles.ReadList(_config.ContactsFile, _config.ContactsKey, _config.Network, now);
        NodeDirectory directory = NodeDirectory.From(list, now.ToUnixTimeSeconds());
        RouterLog.ListRead(_log, directory.All.Count, ContactWords.Date(list.ExpiresUnixSeconds), directory.Refused.Count);

        if (_config.Roles.HasFlag(RouterRoles.Relay)) OpenRelay(directory);
        if (_config.Roles.HasFlag(RouterRoles.Client)) OpenClient();
        _relay?.Start(directory);
        _client?.Start(directory);
        if (_client?.Client is { } client)
        {
            _doors = await ProxyDoors.OpenAsync(client, _config.Client.Socks, _config.Client.Http, _config.Client.Users, _doorDrops, cancel).ConfigureAwait(false);
            if (_doors.Socks is { } socks) RouterLog.DoorOpen(_log, "SOCKS5", socks.ToString());
            if (_doors.Http is { } http) RouterLog.DoorOpen(_log, "HTTP", http.ToString());
            _watch = Task.Run(() => WatchPathsAsync(client), CancellationToken.None);
        }

        if (_config.StatusSocket is { } path) _status = StatusSocket.Open(path, ReportAsync);
        RouterLog.Started(_log, CommandTree.Version, RolesInWords(_config.Roles));
    }

    private void OpenRelay(NodeDirectory directory)
    {
        _keys = RouterKeys.Load(_config, directory);
        int shards = UdpSocketFactory.BatchesMissing is not null ? 1 : _config.Shards == 0 ? Math.Clamp(Environment.ProcessorCount, 1, 16) : _config.Shards;
        bool exit = _config.Roles.HasFlag(RouterRoles.Exit);
        _relay = Open(_config.Listen, new RouterNodeOptions
        {
            Name = exit ? "exit" : "relay",
            Listen = UdpAddress.From(_config.Listen),
            Identity = _keys.Identity,
            OnionKeys = _keys.OnionKeys,
            ExitPolicy = exit ? new ExitPolicy(_config.Exit.Rules, _config.Exit.Except, ExitPolicy.MachineAddresses()) : null,
            ExitLimits = new ExitLimits { ConnectTime = _config.Exit.ConnectTime, AssociationIdle = _config.Exit.UdpIdle },
            Plugins = [new PingPlugin(), new IntrosetPlugin()],
            Shards = shards,
            Shard = new ShardOptions { ReplayFilterBytes = _config.Relay.ReplayFilterBytes },

            // The onion key lasts, the replay cache does not: builds from before the start are not taken again.
            Builds = BuildPolicy.Default with { FirstEpoch = (uint)(_time.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000 / NetworkClock.EpochNanoseconds) },
            Socket = new UdpSocketOptions { DualStack = IPAddress.IPv6Any.Equals(_config.Listen.Address) },
            Time = _time,
            OnNotice = OnNotice,
        });
        RouterLog.Listening(_log, _relay.LocalAddress.ToString(), shards);
        if (exit) RouterLog.ExitOpen(_log, _config.Exit.Rules.Count, _config.Exit.Except.Count);
    }

    private void OpenClient()
    {
        // Its own socket on a free port: from outside, a client beside a relay is not to be told from any other client.
        var any = new IPEndPoint(_config.Listen.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any, 0);
        _client = Open(any, new RouterNodeOptions
        {
            Name = "client",
            Listen = UdpAddress.From(any),
            Client = new ClientPathOptions { Hops = _config.Client.Hops, Spares = _config.Client.Spares, Exit = _config.Client.Exit ?? default },
            Shard = new ShardOptions { ReplayFilterBytes = 4 << 20 },
            Socket = new UdpSocketOptions { DualStack = any.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 },
            Time = _time,
            OnNotice = OnNotice,
        });
    }

    private static RouterNode Open(IPEndPoint listen, RouterNodeOptions options)
    {
        try
        {
            return new RouterNode(options);
        }
        catch (IOException e)
        {
            throw UserException.CannotBind("UDP", listen.ToString(), e);
        }
    }

    // ---- while it runs ----

    // A client without a path keeps trying: the network may come back. It says why, first after half a minute.
    private async Task WatchPathsAsync(ClientService client)
    {
        try
        {
            TimeSpan patience = FirstComplaint;
            while (true)
            {
                await Task.Delay(patience, _time, _stop.Token).ConfigureAwait(false);
                patience = NextComplaint;
                ClientView view = await client.ReadViewAsync(probeHops: false).ConfigureAwait(false);
                if (!view.Groups.Any(g => g.Paths.Any(p => p.Attached))) RouterLog.NoPath(_log, client.Trouble.Length > 0 ? client.Trouble : "no answer yet");
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private void OnNotice(RouterNotice notice)
    {
        switch (notice.Kind)
        {
            case RouterNoticeKind.LinkUp:
                RouterLog.LinkUp(_log, new Redacted<string>(""));
                break;
            case RouterNoticeKind.LinkDown:
                RouterLog.LinkDown(_log, new Redacted<string>(""), notice.Text);
                break;
            case RouterNoticeKind.WrongPeerKey:
                if (Interlocked.Exchange(ref _wrongKeySaid, 1) == 0) RouterLog.WrongPeerKey(_log);
                break;
            case RouterNoticeKind.PathReady:
                RouterLog.PathBuilt(_log, _config.Client.Hops, notice.Time.TotalMilliseconds);
                if (Interlocked.Exchange(ref _pathSaid, 1) == 0) RouterLog.FirstPath(_log);
                break;
            case RouterNoticeKind.PathLost or RouterNoticeKind.SessionLost:
                RouterLog.PathFailed(_log, notice.Text);
                break;
            case RouterNoticeKind.ClockCorrected:
                RouterLog.ClockCorrected(_log, Math.Round(notice.Time.TotalSeconds, 1));
                break;
            case RouterNoticeKind.OwnClockOff:
                RouterLog.ClockOff(_log, Math.Round(notice.Time.TotalSeconds, 1));
                _failed.TrySetResult(UserException.ClockOff(notice.Time));
                break;
            case RouterNoticeKind.Fault:
                RouterLog.Fault(_log, notice.Router, notice.Text, notice.Exception);
                break;
        }
    }
}
