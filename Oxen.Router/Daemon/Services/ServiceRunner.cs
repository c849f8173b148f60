using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Services;

/// <summary>One hidden service of the configuration: joins what its clients open with the sockets behind its ports.</summary>
internal sealed class ServiceRunner : IAsyncDisposable
{
    private static readonly TimeSpan ConnectTime = TimeSpan.FromSeconds(10);

    private readonly ServiceConfig _config;
    private readonly IHostedService _service;
    private readonly ILogger _log;
    private readonly Dictionary<ushort, PortMapping> _ports;
    private readonly ServiceDatagramPump _datagrams;
    private readonly ServiceExit? _exit;
    private readonly ServiceTunnel? _tunnel;
    private readonly CancellationTokenSource _stop = new();
    private Task _work = Task.CompletedTask;
    private int _open;

    private ServiceRunner(ServiceConfig config, IHostedService service, ExitConfig outside, ServiceTunnel? tunnel, ILogger log, TimeProvider time)
    {
        _config = config;
        _tunnel = tunnel;
        _service = service;
        _log = log;
        _ports = config.Ports.Where(p => !p.IsUdp).ToDictionary(p => p.Port.Port);
        if (config.IsExit) _exit = new ServiceExit(service, new ExitPolicy(outside.Rules, outside.Except, ExitPolicy.MachineAddresses()), new ExitLimits { ConnectTime = outside.ConnectTime, AssociationIdle = outside.UdpIdle, StreamsInAll = config.Streams }, time);
        _datagrams = new ServiceDatagramPump(service, config.Ports.Where(p => p.IsUdp).ToDictionary(p => p.Port.Port, p => p.Target!), _exit, time);
    }

    public string Name => _config.Name;

    public ServiceAddress Address => _service.Address;

    /// <param name="outside">Where a service goes that is an exit.</param>
    /// <param name="drops">Of what the service drops outside of the router.</param>
    /// <exception cref="Terminal.UserException">The key file is missing, open or damaged, or the machine refuses the interface.</exception>
    public static Task<ServiceRunner> StartAsync(ServiceConfig config, IServiceHosting hosting, ExitConfig outside, SharedDropCounters drops, ILogger log, TimeProvider time, CancellationToken cancel) =>
        StartAsync(config, ServiceKeyFile.LoadService(config.KeyFile).Seed, hosting, outside, drops, log, time, cancel);

    /// <param name="seed">Of the service's key; wiped when it returns.</param>
    public static async Task<ServiceRunner> StartAsync(ServiceConfig config, byte[] seed, IServiceHosting hosting, ExitConfig outside, SharedDropCounters drops, ILogger log, TimeProvider time, CancellationToken cancel)
    {
        ServiceTunnel? tunnel = null;
        try
        {
            if (config.Tunnel is { } packets) tunnel = new ServiceTunnel(packets, config.Sessions, drops, log);
            IHostedService service = await hosting.HostAsync(
                new HiddenServiceOptions
                {
                    Seed = seed,
                    Instance = (byte)config.Instance,
                    Introductions = config.Introductions,
                    Ports = [.. config.Ports.Select(p => p.Port).OrderBy(p => p.Protocol).ThenBy(p => p.Port)],
                    ServiceRecords = config.Records,
                    Texts = [.. config.Texts.Select(Encoding.UTF8.GetBytes)],
                    Clients = config.Clients,
                    MaxSessions = config.Sessions,
                    IsExit = config.IsExit,
                    TakesPackets = tunnel is not null,
                },
                cancel).ConfigureAwait(false);
            var runner = new ServiceRunner(config, service, outside, tunnel, log, time);
            tunnel?.Begin(service);
            tunnel = null; // the runner's now
            RouterLog.ServiceBegins(log, config.Name, service.Address.ToString());
            runner._work = Task.WhenAll(runner.AcceptAsync(), runner._datagrams.RunAsync(runner._stop.Token), runner.TellAsync(), runner._exit?.SweepAsync(runner._stop.Token) ?? Task.CompletedTask);
            return runner;
        }
        catch (ArgumentException e)
        {
            throw new Terminal.UserException(Terminal.ExitCode.Usage, "OXN1007", $"the service \"{config.Name}\": {e.Message}", "Each service has a key file of its own; check `key` of the other [[service]] sections.", e);
        }
        finally
        {
            tunnel?.Dispose();
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    public async Task<ServiceStatus> ReadStatusAsync()
    {
        HostedServiceView view = await _service.ReadViewAsync().ConfigureAwait(false);
        return new ServiceStatus(Name, view.Address.ToString(), view.Published, view.Keepers, view.KeepersAsked, view.Introductions, view.Sessions, view.Meetings, Volatile.Read(ref _open), _datagrams.Count + (_exit?.Associations ?? 0));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _service.DisposeAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _exit?.Dispose();
        _tunnel?.Dispose();
        _stop.Dispose();
    }

    private async Task TellAsync()
    {
        try
        {
            await _service.WaitPublishedAsync(_stop.Token).ConfigureAwait(false);
            RouterLog.ServicePublished(_log, Name, Address.ToString());
        }
        catch (Exception e) when (e is OperationCanceledException or OnionUnavailableException)
        {
            // It ended before.
        }
    }

    private async Task AcceptAsync()
    {
        await foreach (ServiceStream stream in _service.Streams.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
        {
            if (Interlocked.Increment(ref _open) <= _config.Streams) _ = Task.Run(() => ServeAsync(stream));
            else _ = Task.Run(() => RefuseAsync(stream, ProxyStatus.Limit));
        }
    }

    private async Task RefuseAsync(ServiceStream stream, ProxyStatus status)
    {
        await stream.RefuseAsync(status, _stop.Token).ConfigureAwait(false);
        Interlocked.Decrement(ref _open);
    }

    private async Task ServeAsync(ServiceStream stream)
    {
        if (_exit is not null && stream.IsOutward)
        {
            await _exit.ServeAsync(stream, _stop.Token).ConfigureAwait(false);
            Interlocked.Decrement(ref _open);
            return;
        }

        if (!_ports.TryGetValue(stream.Port, out PortMapping? mapping))
        {
            await RefuseAsync(stream, ProxyStatus.PolicyRefused).ConfigureAwait(false);
            return;
        }

        (Socket? socket, ProxyStatus status) = await ConnectAsync(mapping).ConfigureAwait(false);
        if (socket is null)
        {
            await RefuseAsync(stream, status).ConfigureAwait(false);
            return;
        }

        try
        {
            using var inward = new SocketDuplex(socket);
            await using (stream.ConfigureAwait(false))
            {
                await stream.AcceptAsync(_stop.Token).ConfigureAwait(false);
                await PipeBridge.RunAsync(
                    stream.Transport,
                    inward,
                    broke =>
                    {
                        stream.Abort(broke);
                        inward.Abort();
                    },
                    _stop.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException or OperationCanceledException)
        {
            // The client went away before it was answered, or we stop.
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    private async ValueTask<(Socket? Socket, ProxyStatus Status)> ConnectAsync(PortMapping mapping)
    {
        EndPoint to = mapping.Target is { } target ? target : new UnixDomainSocketEndPoint(mapping.UnixPath!);
        var socket = new Socket(to.AddressFamily, SocketType.Stream, mapping.Target is null ? ProtocolType.Unspecified : ProtocolType.Tcp);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(ConnectTime);
        try
        {
            await socket.ConnectAsync(to, limit.Token).ConfigureAwait(false);
            return (socket, ProxyStatus.Connected);
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            return (null, ProxyStatus.TimedOut);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            return (null, e.SocketErrorCode switch
            {
                SocketError.NetworkUnreachable or SocketError.HostUnreachable or SocketError.AddressNotAvailable => ProxyStatus.HostUnreachable,
                SocketError.TooManyOpenSockets => ProxyStatus.Limit,
                _ => ProxyStatus.ConnectionRefused,
            });
        }
    }
}
