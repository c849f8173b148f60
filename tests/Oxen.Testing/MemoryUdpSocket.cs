using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Udp;

namespace Oxen.Testing;

/// <summary>Where <see cref="MemoryUdpSocket"/>s meet: addresses, and a queue at each. Nothing is lost but what a full queue refuses.</summary>
internal sealed class MemoryUdpNetwork
{
    private readonly Dictionary<UdpAddress, MemoryUdpSocket[]> _sockets = [];
    private ushort _nextPort = 40000;

    public MemoryUdpSocket Open(UdpAddress address, bool coalescing = false, int queueBytes = 4 << 20) => Open(address, 1, coalescing, queueBytes)[0];

    /// <summary>Sockets of several shards on one address, steered as the real ones are.</summary>
    public MemoryUdpSocket[] Open(UdpAddress address, int shards, bool coalescing = false, int queueBytes = 4 << 20)
    {
        lock (_sockets)
        {
            if (address.Port == 0)
            {
                Span<byte> bytes = stackalloc byte[16];
                int n = address.WriteAddress(bytes);
                do address = UdpAddress.FromBytes(bytes[..n], _nextPort++);
                while (_sockets.ContainsKey(address));
            }

            if (_sockets.ContainsKey(address)) throw new IOException("the UDP address cannot be bound: another program uses this address and port");
            MemoryUdpSocket[] group = [.. Enumerable.Range(0, shards).Select(_ => new MemoryUdpSocket(this, address, coalescing, queueBytes))];
            _sockets.Add(address, group);
            return group;
        }
    }

    internal void Close(UdpAddress address)
    {
        lock (_sockets) _sockets.Remove(address);
    }

    internal void Deliver(UdpAddress from, UdpAddress to, ReadOnlySpan<byte> datagram)
    {
        MemoryUdpSocket[]? group;
        lock (_sockets) _sockets.TryGetValue(to, out group);
        if (group is null) return;
        int shard = datagram.Length >= 8 && (datagram[0] & 0xC0) == 0x80
            ? (int)(System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(datagram[4..]) % (uint)group.Length)
            : 0;
        group[shard].Enqueue(from, datagram);
    }
}

/// <summary>
/// The in-memory twin of the real sockets. With `coalescing` a receive holds as many equal datagrams of one sender as GRO
/// would put together.
/// </summary>
internal sealed class MemoryUdpSocket : IUdpSocket
{
    private const int GroBytes = 65507, GroSegments = 64;

    private readonly MemoryUdpNetwork _network;
    private readonly bool _coalescing;
    private readonly int _queueBytes;
    private readonly Lock _gate = new();
    private readonly Queue<(UdpAddress From, int Start, int Length)> _queue = new();
    private readonly byte[] _ring;
    private readonly ManualResetEventSlim _bell = new();
    private int _head, _used;
    private uint _drops;
    private bool _woken;

    internal MemoryUdpSocket(MemoryUdpNetwork network, UdpAddress address, bool coalescing, int queueBytes)
    {
        _network = network;
        _coalescing = coalescing;
        _queueBytes = queueBytes;
        _ring = new byte[queueBytes];
        LocalAddress = address;
    }

    public UdpAddress LocalAddress { get; }

    public int Receive(ReceiveBatch batch)
    {
        ArgumentNullException.ThrowIfNull(batch);
        lock (_gate)
        {
            int n = 0;
            while (n < batch.Slots && _queue.TryDequeue(out (UdpAddress From, int Start, int Length) first))
            {
                int offset = batch.Offset + n * ReceiveBatch.SlotBytes;
                int length = Take(first, batch, offset);
                int segments = 1;
                while (_coalescing && first.Length > 0 && segments < GroSegments && _queue.TryPeek(out var next) && next.From == first.From
                    && next.Length <= first.Length && next.Length > 0 && length + next.Length <= GroBytes)
                {
                    _queue.Dequeue();
                    length += Take(next, batch, offset + length);
                    segments++;
                    if (next.Length < first.Length) break;
                }

                batch.Items[n++] = new Received { Offset = offset, Length = length, SegmentBytes = Math.Max(1, first.Length), From = first.From };
            }

            batch.Count = n;
            batch.KernelDrops = _drops;
            _drops = 0;
            if (_queue.Count == 0 && !_woken) _bell.Reset();
            return n;
        }
    }

    public void Wait(TimeSpan timeout)
    {
        // Rounded up: the bell counts whole milliseconds, and a wait that ends just before a deadline is a spin.
        _bell.Wait(timeout == Timeout.InfiniteTimeSpan ? -1 : (int)Math.Min(int.MaxValue, Math.Ceiling(timeout.TotalMilliseconds)));
        lock (_gate)
        {
            _woken = false;
            if (_queue.Count == 0) _bell.Reset();
        }
    }

    public void AlsoWaitFor(int pollHandle)
    {
        if (pollHandle >= 0) throw new NotSupportedException("a socket in memory waits for no file");
    }

    public void Wake()
    {
        lock (_gate)
        {
            _woken = true;
            _bell.Set();
        }
    }

    public int Send(TransmitBatch batch, DropCounters drops)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(drops);
        int sent = 0;
        foreach (ref readonly Transmit t in batch.Items.AsSpan(0, batch.Count))
        {
            UdpAddress to = batch.Routes[t.Route];
            if (to.Family != LocalAddress.Family || t.Length > GroBytes)
            {
                drops.Count(DropReason.SendFailed);
                continue;
            }

            _network.Deliver(LocalAddress, to, batch.Slab.Slice(t.Offset, t.Length));
            sent++;
        }

        return sent;
    }

    public IUdpSender OpenSender() => new Second(this);

    public void Dispose() => _network.Close(LocalAddress);

    internal void Enqueue(UdpAddress from, ReadOnlySpan<byte> datagram)
    {
        lock (_gate)
        {
            if (_used + datagram.Length > _queueBytes)
            {
                _drops++;
                return;
            }

            int start = (_head + _used) % _queueBytes;
            int first = Math.Min(datagram.Length, _queueBytes - start);
            datagram[..first].CopyTo(_ring.AsSpan(start));
            datagram[first..].CopyTo(_ring);
            _used += datagram.Length;
            _queue.Enqueue((from, start, datagram.Length));
            _bell.Set();
        }
    }

    private int Take((UdpAddress From, int Start, int Length) item, ReceiveBatch batch, int offset)
    {
        Span<byte> to = batch.Slab.Slice(offset, item.Length);
        int first = Math.Min(item.Length, _queueBytes - item.Start);
        _ring.AsSpan(item.Start, first).CopyTo(to);
        _ring.AsSpan(0, item.Length - first).CopyTo(to[first..]);
        _head = (item.Start + item.Length) % _queueBytes;
        _used -= item.Length;
        return item.Length;
    }

    private sealed class Second(MemoryUdpSocket socket) : IUdpSender
    {
        public int Send(TransmitBatch batch, DropCounters drops) => socket.Send(batch, drops);

        public void Dispose()
        {
        }
    }
}
