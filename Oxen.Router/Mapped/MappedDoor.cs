using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Dns;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Mapped;

/// <summary>What the door grants.</summary>
internal sealed record MappedDoorOptions
{
    public int MaxConnections { get; init; } = 1024;

    /// <summary>UDP flows: pairs of a program's socket and a port of a service.</summary>
    public int MaxFlows { get; init; } = 1024;

    /// <summary>Until a program is told that the service is not reached.</summary>
    public TimeSpan OpenTime { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A flow without datagrams ends after this.</summary>
    public TimeSpan UdpIdle { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>Makes sockets where the programs are that are served.</summary>
    public Func<AddressFamily, SocketType, ProtocolType, Socket> Open { get; init; } = static (family, type, protocol) => new Socket(family, type, protocol);
}

/// <summary>
/// The door for programs that know nothing of onions: they ask the resolver for a name, connect to the mapped address, and
/// <see cref="MappedRules"/> lead that connection here. The kernel has accepted it by then: a service that is not reached is
/// told by a reset.
/// </summary>
internal sealed class MappedDoor : IAsyncDisposable
{
    private readonly AddressMap _map;
    private readonly IServiceStreams _services;
    private readonly MappedDoorOptions _options;
    private readonly DnsCounters _counters;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Socket> _listeners = [];
    private readonly List<Task> _loops = [];
    private readonly MappedDatagrams _datagrams;
    private int _connections;

    private MappedDoor(AddressMap map, IServiceStreams services, IServiceDatagrams datagrams, MappedDoorOptions options, DnsCounters counters, TimeProvider time)
    {
        _map = map;
        _services = services;
        _options = options;
        _counters = counters;
        _time = time;
        _datagrams = new MappedDatagrams(map, datagrams, options, counters, time);
    }

    /// <summary>Where the rules are to send TCP and UDP to; null: the map has no range of this family, or this machine does not.</summary>
    public int? PortIPv4 { get; private set; }

    public int? PortIPv6 { get; private set; }

    /// <summary>Connections that are open or being opened.</summary>
    public int Connections => Volatile.Read(ref _connections);

    public int Flows => _datagrams.Flows;

    /// <exception cref="SocketException">CAP_NET_ADMIN is missing, or the machine gives no socket.</exception>
    public static MappedDoor Open(AddressMap map, IServiceStreams services, IServiceDatagrams datagrams, MappedDoorOptions options, DnsCounters counters, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(map);
        var door = new MappedDoor(map, services, datagrams, options, counters, time);
        try
        {
            if (map.IPv4 is not null) door.PortIPv4 = door.Listen(IPAddress.Loopback);
            if (map.IPv6 is not null && Socket.OSSupportsIPv6) door.PortIPv6 = door.TryListenIPv6();
        }
        catch
        {
            foreach (Socket listener in door._listeners) listener.Dispose();
            _ = door._datagrams.DisposeAsync().AsTask(); // its sockets; nothing runs yet
            throw;
        }

        door._datagrams.Start();
        foreach (Socket listener in door._listeners) door._loops.Add(AcceptLoop.RunAsync(listener, socket => _ = door.ServeAsync(socket), time, door._stop.Token));
        return door;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (Socket listener in _listeners) listener.Dispose();
        await Task.WhenAll(_loops).ConfigureAwait(false);
        await _datagrams.DisposeAsync().ConfigureAwait(false);
    }

    // A namespace may have IPv6 in the kernel and no ::1.
    private int? TryListenIPv6()
    {
        try
        {
            return Listen(IPAddress.IPv6Loopback);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressNotAvailable or SocketError.AddressFamilyNotSupported)
        {
            return null;
        }
    }

    // One port for TCP and UDP: what the system gives for the one may be taken for the other.
    private int Listen(IPAddress at)
    {
        for (int attempt = 0; ; attempt++)
        {
            Socket listener = _options.Open(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (at.AddressFamily == AddressFamily.InterNetworkV6) listener.DualMode = false;
                TransparentSocket.Allow(listener);
                listener.Bind(new IPEndPoint(at, 0));
                var bound = (IPEndPoint)listener.LocalEndPoint!;
                _datagrams.Listen(bound);
                listener.Listen(128);
                _listeners.Add(listener);
                return bound.Port;
            }
            catch (SocketException e)
            {
                listener.Dispose();
                if (e.SocketErrorCode != SocketError.AddressAlreadyInUse || attempt == 10) throw;
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var duplex = new SocketDuplex(socket);
        bool counted = Interlocked.Increment(ref _connections) <= _options.MaxConnections;
        try
        {
            IPEndPoint to = TransparentSocket.LocalOf(socket);
            if (!counted)
            {
                _counters.Add(DnsCount.ConnectionLimit);
                duplex.Abort();
            }
            else if (!_map.TryHold(UdpAddress.From(to), out OnionAddress held))
            {
                _counters.Add(DnsCount.NothingMapped);
                duplex.Abort();
            }
            else
            {
                try
                {
                    await CarryAsync(duplex, held, (ushort)to.Port).ConfigureAwait(false);
                }
                finally
                {
                    _map.Release(held);
                }
            }
        }
        catch (SocketException)
        {
            duplex.Abort(); // gone before it was looked at
        }
        catch (Exception)
        {
            _counters.Add(DnsCount.InternalError);
            duplex.Abort();
        }
        finally
        {
            Interlocked.Decrement(ref _connections);
        }
    }

    private async Task CarryAsync(SocketDuplex program, OnionAddress held, ushort port)
    {
        if (held.Kind != OnionKind.Service || !ServiceAddress.TryFrom(held.Key(), out ServiceAddress service))
        {
            _counters.Add(DnsCount.NoConnections);
            program.Abort();
            return;
        }

        OnionStream stream;
        try
        {
            stream = await OpenAsync(program, service, port).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OnionRefusedException or OnionUnavailableException or OperationCanceledException or IOException)
        {
            _counters.Add(DnsCount.ServiceNotReached);
            program.Abort();
            return;
        }

        _counters.Add(DnsCount.Connected);
        await using (stream.ConfigureAwait(false))
        {
            Exception? broken = await PipeBridge.RunAsync(
                program,
                stream.Transport,
                reason =>
                {
                    stream.Abort(reason);
                    program.Abort();
                },
                _stop.Token).ConfigureAwait(false);
            if (broken is not null) program.Abort();
        }
    }

    /// <summary>Opens the stream, and gives up when the program does.</summary>
    private async Task<OnionStream> OpenAsync(SocketDuplex program, ServiceAddress service, ushort port)
    {
        using var limit = new CancellationTokenSource(_options.OpenTime, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        using var watch = new InputWatch(program.Input);
        Task<OnionStream> opening = _services.OpenAsync(service, service.ToString(), port, default, either.Token).AsTask();
        if (await Task.WhenAny(opening, watch.Breaks).ConfigureAwait(false) == watch.Breaks && await watch.Breaks.ConfigureAwait(false)) await either.CancelAsync().ConfigureAwait(false);
        OnionStream stream;
        bool broken;
        try
        {
            stream = await opening.ConfigureAwait(false);
        }
        finally
        {
            broken = await watch.StopAsync().ConfigureAwait(false);
        }

        if (!broken) return stream;
        await stream.DisposeAsync().ConfigureAwait(false);
        throw new IOException("the program reset the connection before it stood");
    }
}
