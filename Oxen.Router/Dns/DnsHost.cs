using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;

namespace Oxen.Router.Dns;

/// <summary>The resolver's sockets: UDP and TCP on each address. It owns no policy; what comes in goes to <see cref="DnsResolver"/>.</summary>
internal sealed class DnsHost : IAsyncDisposable
{
    private const int MaxTcpMessageBytes = DnsDoor.MaxQueryBytes;

    private readonly DnsResolver _resolver;
    private readonly DnsHostOptions _options;
    private readonly TimeProvider _time;
    private readonly DnsCounters _counters;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Socket> _sockets = [];
    private readonly List<Task> _loops = [];
    private int _udpInFlight, _connections;

    private DnsHost(DnsResolver resolver, DnsHostOptions options, TimeProvider time)
    {
        _resolver = resolver;
        _options = options;
        _time = time;
        _counters = resolver.Counters;
    }

    /// <summary>Where it listens; with port 0 in the options, the port that the system chose, the same for UDP and TCP.</summary>
    public IReadOnlyList<IPEndPoint> EndPoints { get; private set; } = [];

    /// <summary>Binds all of it, or nothing.</summary>
    /// <exception cref="SocketException">An address is in use, is not this machine's, or needs a privilege (ports below 1024); the message names it.</exception>
    public static DnsHost Start(DnsResolver resolver, DnsHostOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(resolver);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        var host = new DnsHost(resolver, options, time);
        try
        {
            host.EndPoints = [.. options.Listen.Select(host.Bind)];
        }
        catch
        {
            foreach (Socket socket in host._sockets) socket.Dispose();
            throw;
        }

        foreach (Socket socket in host._sockets) host._loops.Add(socket.SocketType == SocketType.Dgram ? host.ServeUdpAsync(socket) : AcceptLoop.RunAsync(socket, host.Take, time, host._stop.Token));
        return host;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (Socket socket in _sockets) socket.Dispose();
        await Task.WhenAll(_loops).ConfigureAwait(false);
    }

    private IPEndPoint Bind(IPEndPoint endPoint)
    {
        // A port that the system gives for UDP may be taken for TCP: then another one.
        for (int attempt = 0; ; attempt++)
        {
            Socket udp = Open(endPoint, SocketType.Dgram, ProtocolType.Udp);
            var bound = (IPEndPoint)udp.LocalEndPoint!;
            try
            {
                Socket tcp = Open(bound, SocketType.Stream, ProtocolType.Tcp);
                tcp.Listen(_options.MaxTcpConnections);
                _sockets.Add(udp);
                _sockets.Add(tcp);
                return bound;
            }
            catch (SocketException)
            {
                udp.Dispose();
                if (endPoint.Port != 0 || attempt == 10) throw;
            }
        }
    }

    private static Socket Open(IPEndPoint endPoint, SocketType type, ProtocolType protocol)
    {
        var socket = new Socket(endPoint.AddressFamily, type, protocol);
        try
        {
            if (endPoint.AddressFamily == AddressFamily.InterNetworkV6) socket.DualMode = false;
            if (type == SocketType.Stream) socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(endPoint);
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new SocketException((int)e.SocketErrorCode, $"the DNS resolver cannot listen on {endPoint} ({protocol}): {e.Message}");
        }
    }

    private bool IsClient(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        foreach (IPNetwork network in _options.Clients)
        {
            if (network.Contains(address)) return true;
        }

        _counters.Add(DnsCount.ForeignClient);
        return false;
    }

    private async Task ServeUdpAsync(Socket socket)
    {
        await Task.Yield();
        byte[] buffer = GC.AllocateUninitializedArray<byte>(DnsDoor.MaxQueryBytes + 1); // longer ones are cut, and then malformed
        var any = new IPEndPoint(socket.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        var from = new SocketAddress(socket.AddressFamily);
        while (!_stop.IsCancellationRequested)
        {
            int length;
            try
            {
                length = await socket.ReceiveFromAsync(buffer, SocketFlags.None, from, _stop.Token).ConfigureAwait(false);
            }
            catch (SocketException e) when (!_stop.IsCancellationRequested)
            {
                // An ICMP error of an earlier answer, of which the socket tells once.
                if (e.SocketErrorCode is not (SocketError.ConnectionReset or SocketError.ConnectionRefused)) await AcceptLoop.RestAsync(_time, _stop.Token).ConfigureAwait(false);
                continue;
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }

            if (!IsClient(((IPEndPoint)any.Create(from)).Address)) continue;
            if (Volatile.Read(ref _udpInFlight) >= _options.MaxUdpInFlight)
            {
                _counters.Add(DnsCount.Busy);
                continue;
            }

            // Most answers are at hand: then the buffer and the address are used again at once.
            ValueTask<byte[]?> answering = _resolver.AnswerAsync(new ArraySegment<byte>(buffer, 0, length), DnsTransport.Udp, _stop.Token);
            if (answering.IsCompletedSuccessfully)
            {
                if (answering.Result is { } answer) await SendAsync(socket, answer, from).ConfigureAwait(false);
                continue;
            }

            Interlocked.Increment(ref _udpInFlight);
            _ = FinishUdpAsync(socket, answering, from);
            from = new SocketAddress(socket.AddressFamily);
        }
    }

    private async Task FinishUdpAsync(Socket socket, ValueTask<byte[]?> answering, SocketAddress to)
    {
        try
        {
            if (await answering.ConfigureAwait(false) is { } answer) await SendAsync(socket, answer, to).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _udpInFlight);
        }
    }

    private async ValueTask SendAsync(Socket socket, byte[] answer, SocketAddress to)
    {
        try
        {
            await socket.SendToAsync(answer, SocketFlags.None, to, _stop.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            _counters.Add(DnsCount.SendFailed);
        }
    }

    private void Take(Socket socket)
    {
        if (!IsClient(((IPEndPoint)socket.RemoteEndPoint!).Address))
        {
            socket.Dispose();
            return;
        }

        if (Interlocked.Increment(ref _connections) > _options.MaxTcpConnections)
        {
            Interlocked.Decrement(ref _connections);
            _counters.Add(DnsCount.TcpLimit);
            socket.Dispose();
            return;
        }

        _ = ServeTcpAsync(socket);
    }

    // Questions may come one behind the other, and their answers go out as they are ready (RFC 7766 section 6.2.1.1).
    private async Task ServeTcpAsync(Socket socket)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        using var writing = new SemaphoreSlim(1, 1);
        using var room = new SemaphoreSlim(_options.MaxTcpInFlight, _options.MaxTcpInFlight);
        var answers = new List<Task>();
        try
        {
            socket.NoDelay = true;
            byte[] prefix = new byte[2];
            while (true)
            {
                byte[]? message = await ReadAsync(socket, prefix, ended.Token).ConfigureAwait(false);
                if (message is null) break;
                await room.WaitAsync(ended.Token).ConfigureAwait(false);
                answers.RemoveAll(a => a.IsCompleted);
                answers.Add(AnswerTcpAsync(socket, message, writing, room, ended.Token));
            }

            await Task.WhenAll(answers).ConfigureAwait(false); // a client may close its sending side and still want them
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went away, was silent for too long, or we are being stopped.
        }
        finally
        {
            await ended.CancelAsync().ConfigureAwait(false);
            socket.Dispose();
            await Task.WhenAll(answers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Interlocked.Decrement(ref _connections);
        }
    }

    /// <returns>null: the connection is over.</returns>
    private async ValueTask<byte[]?> ReadAsync(Socket socket, byte[] prefix, CancellationToken cancel)
    {
        using var idle = new CancellationTokenSource(_options.TcpIdle, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, idle.Token);
        try
        {
            if (!await FillAsync(socket, prefix, linked.Token).ConfigureAwait(false)) return null;
            int length = BinaryPrimitives.ReadUInt16BigEndian(prefix);
            if (length is < DnsNumbers.HeaderBytes or > MaxTcpMessageBytes)
            {
                _counters.Add(DnsCount.TcpFraming);
                return null;
            }

            byte[] message = new byte[length];
            return await FillAsync(socket, message, linked.Token).ConfigureAwait(false) ? message : null;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            _counters.Add(DnsCount.TcpIdle);
            return null;
        }
    }

    private static async ValueTask<bool> FillAsync(Socket socket, Memory<byte> buffer, CancellationToken cancel)
    {
        while (!buffer.IsEmpty)
        {
            int read = await socket.ReceiveAsync(buffer, SocketFlags.None, cancel).ConfigureAwait(false);
            if (read == 0) return false;
            buffer = buffer[read..];
        }

        return true;
    }

    private async Task AnswerTcpAsync(Socket socket, byte[] message, SemaphoreSlim writing, SemaphoreSlim room, CancellationToken cancel)
    {
        try
        {
            byte[]? answer = await _resolver.AnswerAsync(message, DnsTransport.Tcp, cancel).ConfigureAwait(false);
            if (answer is null) return;
            byte[] framed = new byte[2 + answer.Length];
            BinaryPrimitives.WriteUInt16BigEndian(framed, (ushort)answer.Length);
            answer.CopyTo(framed, 2);
            await writing.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                // A client that reads nothing must not hold its answers for ever.
                using var limit = new CancellationTokenSource(_options.TcpIdle, _time);
                using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
                ReadOnlyMemory<byte> left = framed;
                while (!left.IsEmpty) left = left[await socket.SendAsync(left, SocketFlags.None, linked.Token).ConfigureAwait(false)..];
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                _counters.Add(DnsCount.SendFailed);
                socket.Dispose(); // half an answer is no answer: nothing may follow it
            }
            finally
            {
                writing.Release();
            }
        }
        catch (OperationCanceledException)
        {
            // The connection is over.
        }
        finally
        {
            room.Release();
        }
    }
}
