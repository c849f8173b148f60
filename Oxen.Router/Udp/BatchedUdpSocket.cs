using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Udp;

/// <summary>
/// The data plane's socket on Linux: recvmmsg with GRO in, sendmmsg with UDP_SEGMENT out. The arrays of the batches have
/// the layout that Native reads and writes, so nothing is copied on the way.
/// </summary>
internal sealed class BatchedUdpSocket : IUdpSocket
{
    private readonly LinuxUdpSocket _socket;
    private readonly UdpSender _sender = new();
    private UdpReceiver? _receiver;
    private int _slots;

    internal BatchedUdpSocket(LinuxUdpSocket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        _socket = socket;
        LocalAddress = UdpShapes.ToAddress(socket.LocalAddress);
    }

    public UdpAddress LocalAddress { get; }

    /// <summary>The kernel cuts runs of equal datagrams for us.</summary>
    public bool Segmentation => _socket.Segmentation;

    /// <summary>The kernel hands us runs of equal datagrams in one piece.</summary>
    public bool Coalescing => _socket.Coalescing;

    /// <summary>What the kernel gave, in its own accounting.</summary>
    public int ReceiveBufferBytes => _socket.ReceiveBufferBytes;

    public int SendBufferBytes => _socket.SendBufferBytes;

    public int Receive(ReceiveBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if (_receiver is null || _slots != batch.Slots)
        {
            _receiver?.Dispose();
            _receiver = new UdpReceiver(batch.Slots);
            _slots = batch.Slots;
        }

        int n = _receiver.Receive(_socket, batch.Slab, batch.Offset, ReceiveBatch.SlotBytes, UdpShapes.Arrivals(batch.Items), out uint drops);
        batch.Count = n;
        batch.KernelDrops = drops;
        return n;
    }

    public void Wait(TimeSpan timeout) => _socket.Wait(timeout == Timeout.InfiniteTimeSpan ? -1 : Math.Max(0, timeout.Ticks) * 100);

    public void AlsoWaitFor(int pollHandle) => _socket.AlsoWaitFor = pollHandle;

    public void Wake() => _socket.Wake();

    public int Send(TransmitBatch batch, DropCounters drops) => Send(_sender, _socket, batch, drops);

    public IUdpSender OpenSender() => new Second(_socket);

    public void Dispose()
    {
        _socket.Dispose();
        _sender.Dispose();
        _receiver?.Dispose();
    }

    private static int Send(UdpSender sender, LinuxUdpSocket socket, TransmitBatch batch, DropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(drops);
        UdpSendResult result = sender.Send(socket, batch.Slab, UdpShapes.Departures(batch), UdpShapes.EndPoints(batch.Routes));
        if (result.QueueFull != 0) drops.Count(DropReason.SendQueueFull, result.QueueFull);
        if (result.Refused != 0) drops.Count(DropReason.SendFailed, result.Refused);
        return result.Sent;
    }

    private sealed class Second : IUdpSender
    {
        private readonly LinuxUdpSocket _socket;
        private readonly UdpSender _sender = new();
        private bool _closed;

        public Second(LinuxUdpSocket socket)
        {
            socket.Hold();
            _socket = socket;
        }

        public int Send(TransmitBatch batch, DropCounters drops) => BatchedUdpSocket.Send(_sender, _socket, batch, drops);

        public void Dispose()
        {
            if (_closed) return;
            _closed = true;
            _socket.Release();
            _sender.Dispose();
        }
    }
}
