using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Services;

/// <summary>UDP of a hidden service: for each socket of each client one of ours to what stands behind the port, until it was silent for a while.</summary>
/// <param name="exit">Takes what goes to the outside; null: the service is no exit.</param>
internal sealed class ServiceDatagramPump(IHostedService service, IReadOnlyDictionary<ushort, IPEndPoint> ports, ServiceExit? exit, TimeProvider time)
{
    private const int MaxSockets = 512;
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(120);

    private readonly ConcurrentDictionary<(long Client, ushort Association, ushort Port), Flow> _flows = new();

    private sealed class Flow(Socket socket)
    {
        public Socket Socket { get; } = socket;

        public long LastUse { get; set; }
    }

    public int Count => _flows.Count;

    public async Task RunAsync(CancellationToken cancel)
    {
        try
        {
            await foreach (ServiceDatagram datagram in service.Datagrams.ReadAllAsync(cancel).ConfigureAwait(false))
            {
                if (datagram.Port == ServiceUdp.Outside)
                {
                    exit?.Take(datagram);
                    continue;
                }

                // What cannot be sent on is lost, as datagrams are.
                if (FlowOf(datagram, cancel) is not { } flow) continue;
                flow.LastUse = time.GetTimestamp();
                try
                {
                    await flow.Socket.SendAsync(datagram.Payload, SocketFlags.None, cancel).ConfigureAwait(false);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    // Nothing listens there now, or the flow just ended.
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }

        foreach (Flow flow in _flows.Values) flow.Socket.Dispose();
    }

    private Flow? FlowOf(in ServiceDatagram datagram, CancellationToken cancel)
    {
        (long, ushort, ushort) key = (datagram.Client, datagram.Association, datagram.Port);
        if (_flows.TryGetValue(key, out Flow? known)) return known;
        if (!ports.TryGetValue(datagram.Port, out IPEndPoint? target) || _flows.Count >= MaxSockets) return null;
        var socket = new Socket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            socket.Connect(target);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }

        var flow = new Flow(socket) { LastUse = time.GetTimestamp() };
        _flows[key] = flow;
        _ = Task.Run(() => AnswerAsync(key, flow, cancel), CancellationToken.None);
        return flow;
    }

    private async Task AnswerAsync((long Client, ushort Association, ushort Port) key, Flow flow, CancellationToken cancel)
    {
        byte[] buffer = new byte[ServiceUdp.MaxPayloadBytes + 1]; // one more shows that it was cut
        try
        {
            while (true)
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
                limit.CancelAfter(Idle);
                try
                {
                    int length = await flow.Socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token).ConfigureAwait(false);
                    flow.LastUse = time.GetTimestamp();
                    service.TrySend(key.Client, key.Association, key.Port, buffer.AsSpan(0, length));
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
                {
                    // An ICMP error of an earlier datagram.
                }
                catch (OperationCanceledException) when (!cancel.IsCancellationRequested && time.GetElapsedTime(flow.LastUse) < Idle)
                {
                    // Only the other direction was busy.
                }
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Silent for long enough, or the end.
        }

        _flows.TryRemove(key, out _);
        flow.Socket.Dispose();
    }
}
