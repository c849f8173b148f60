using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Dns;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Mapped;

/// <summary>
/// UDP to mapped addresses. The first datagram of a flow (program's address and port, mapped address and port) comes to the listener;
/// then the flow has a socket of its own that stands at the mapped address, and the kernel gives it the rest.
/// </summary>
internal sealed class MappedDatagrams : IAsyncDisposable
{
    private const int BufferBytes = 65536;
    private const int MostWaiting = 16; // of a flow, until its service is reached

    private readonly AddressMap _map;
    private readonly IServiceDatagrams _services;
    private readonly MappedDoorOptions _options;
    private readonly DnsCounters _counters;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<(IPEndPoint From, IPEndPoint To), Flow> _flows = new();
    private readonly ConcurrentDictionary<Task, bool> _running = new();
    private readonly List<Socket> _listeners = [];
    private readonly List<Task> _loops = [];

    public MappedDatagrams(AddressMap map, IServiceDatagrams services, MappedDoorOptions options, DnsCounters counters, TimeProvider time)
    {
        _map = map;
        _services = services;
        _options = options;
        _counters = counters;
        _time = time;
    }

    public int Flows => _flows.Count;

    /// <exception cref="SocketException">The port is taken, or CAP_NET_ADMIN is missing.</exception>
    public void Listen(IPEndPoint at)
    {
        Socket socket = _options.Open(at.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            if (at.AddressFamily == AddressFamily.InterNetworkV6) socket.DualMode = false;
            TransparentSocket.Allow(socket);
            TransparentSocket.TellDestinations(socket);
            socket.Bind(at);
            _listeners.Add(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public void Start() => _loops.AddRange(_listeners.Select(ReceiveAsync));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (Socket listener in _listeners) listener.Dispose();
        await Task.WhenAll(_loops).ConfigureAwait(false);
        await Task.WhenAll(_running.Keys).ConfigureAwait(false);
    }

    private async Task ReceiveAsync(Socket listener)
    {
        await Task.Yield();
        byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await listener.ReceiveAsync(buffer.AsMemory(0, 1), SocketFlags.Peek, _stop.Token).ConfigureAwait(false);
            }
            catch (SocketException) when (!_stop.IsCancellationRequested)
            {
                // An error of an earlier datagram, of which the socket tells once.
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }

            try
            {
                int length = TransparentSocket.Receive(listener, buffer, out IPEndPoint? from, out IPEndPoint? to);
                if (length >= 0 && from is not null && to is not null) Take(from, to, buffer.AsSpan(0, length));
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                if (_stop.IsCancellationRequested) return;
                _counters.Add(DnsCount.FlowRefused);
            }
        }
    }

    private void Take(IPEndPoint from, IPEndPoint to, ReadOnlySpan<byte> payload)
    {
        if (_flows.TryGetValue((from, to), out Flow? flow))
        {
            flow.Offer(payload);
            return;
        }

        if (_flows.Count >= _options.MaxFlows)
        {
            _counters.Add(DnsCount.ConnectionLimit);
            return;
        }

        if (!_map.TryHold(UdpAddress.From(to), out OnionAddress held))
        {
            _counters.Add(DnsCount.NothingMapped);
            Unreachable.Tell(_options.Open, from, to);
            return;
        }

        Flow made;
        try
        {
            made = new Flow(this, from, to, held);
        }
        catch
        {
            _map.Release(held);
            throw;
        }

        made.Offer(payload);
        _flows[(from, to)] = made;
        Task running = made.RunAsync();
        _running.TryAdd(running, true);
        _ = running.ContinueWith(done => _running.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    /// <summary>One program's socket and one port of one service.</summary>
    private sealed class Flow
    {
        private readonly MappedDatagrams _owner;
        private readonly IPEndPoint _from, _to;
        private readonly OnionAddress _held;
        private readonly Socket _socket;
        private readonly Channel<byte[]> _first;
        private long _lastUse;

        public Flow(MappedDatagrams owner, IPEndPoint from, IPEndPoint to, OnionAddress held)
        {
            (_owner, _from, _to, _held) = (owner, from, to, held);
            _first = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true }, _ => owner._counters.Add(DnsCount.Busy));
            _socket = owner._options.Open(to.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            try
            {
                TransparentSocket.Allow(_socket);
                _socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true); // the same port for several programs
                _socket.Bind(to);
                _socket.Connect(from);
            }
            catch
            {
                _socket.Dispose();
                throw;
            }
        }

        public void Offer(ReadOnlySpan<byte> payload) => _first.Writer.TryWrite(payload.ToArray());

        public async Task RunAsync()
        {
            await Task.Yield();
            _lastUse = _owner._time.GetTimestamp();
            using var end = CancellationTokenSource.CreateLinkedTokenSource(_owner._stop.Token);
            try
            {
                if (_held.Kind != OnionKind.Service || !ServiceAddress.TryFrom(_held.Key(), out ServiceAddress service)) throw new OnionUnavailableException("routers take no datagrams");
                using IServiceAssociation association = await AssociateAsync(service, end.Token).ConfigureAwait(false);
                _owner._counters.Add(DnsCount.Connected);
                Task[] ways = [FirstAsync(association, end.Token), OutwardAsync(association, end.Token), InwardAsync(association, end.Token), IdleAsync(end.Token)];
                await Task.WhenAny(ways[1..]).ConfigureAwait(false);
                await end.CancelAsync().ConfigureAwait(false);
                await Task.WhenAll(ways).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception e) when (e is OnionUnavailableException or OnionRefusedException or OperationCanceledException or IOException)
            {
                if (!_owner._stop.IsCancellationRequested)
                {
                    _owner._counters.Add(_held.Kind == OnionKind.Service ? DnsCount.ServiceNotReached : DnsCount.NoConnections);
                    Unreachable.Tell(_owner._options.Open, _from, _to);
                }
            }
            catch (Exception)
            {
                _owner._counters.Add(DnsCount.InternalError);
            }
            finally
            {
                _owner._flows.TryRemove((_from, _to), out _);
                _socket.Dispose();
                _owner._map.Release(_held);
            }
        }

        private async Task<IServiceAssociation> AssociateAsync(ServiceAddress service, CancellationToken cancel)
        {
            using var limit = new CancellationTokenSource(_owner._options.OpenTime, _owner._time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
            return await _owner._services.AssociateAsync(service, default, either.Token).ConfigureAwait(false);
        }

        private async Task FirstAsync(IServiceAssociation association, CancellationToken cancel)
        {
            await foreach (byte[] payload in _first.Reader.ReadAllAsync(cancel).ConfigureAwait(false)) Send(association, payload);
        }

        private async Task OutwardAsync(IServiceAssociation association, CancellationToken cancel)
        {
            byte[] buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
            while (true)
            {
                try
                {
                    int length = await _socket.ReceiveAsync(buffer, SocketFlags.None, cancel).ConfigureAwait(false);
                    Send(association, buffer.AsSpan(0, length));
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
                {
                    return; // the program closed its socket
                }
            }
        }

        private async Task InwardAsync(IServiceAssociation association, CancellationToken cancel)
        {
            await foreach (ServiceReply reply in association.Received.ReadAllAsync(cancel).ConfigureAwait(false))
            {
                if (reply.Port != _to.Port) continue; // answers come from the port that was asked
                Volatile.Write(ref _lastUse, _owner._time.GetTimestamp());
                await _socket.SendAsync(reply.Payload, SocketFlags.None, cancel).ConfigureAwait(false);
            }
        }

        private async Task IdleAsync(CancellationToken cancel)
        {
            while (_owner._time.GetElapsedTime(Volatile.Read(ref _lastUse)) is var silent && silent < _owner._options.UdpIdle)
            {
                await Task.Delay(_owner._options.UdpIdle - silent, _owner._time, cancel).ConfigureAwait(false);
            }
        }

        private void Send(IServiceAssociation association, ReadOnlySpan<byte> payload)
        {
            Volatile.Write(ref _lastUse, _owner._time.GetTimestamp());
            association.TrySend((ushort)_to.Port, payload); // what it drops it counts
        }
    }
}
