using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;
using Oxen.Router.Udp;
using Oxen.Testing;

namespace Oxen.Router.Tests.Contracts;

/// <summary>One socket with a slab: what a test sends and what it collects.</summary>
internal sealed class UdpTestEnd : IDisposable
{
    private const int Slots = 16;

    private static ulong s_seed = 1;
    private readonly IUdpSocket _socket;
    private readonly SeededEntropy _entropy = new(Interlocked.Increment(ref s_seed));
    private readonly PinnedBlock _slab;
    private readonly int _out;
    private readonly List<int> _offsets = [];
    private int _next;

    public UdpTestEnd(IUdpSocket socket, int capacity = 1024, int slotBytes = 1536)
    {
        _socket = socket;
        _out = Slots * ReceiveBatch.SlotBytes;
        _slab = new PinnedBlock(_out + capacity * slotBytes);
        Batch = new ReceiveBatch(_slab, 0, Slots);
        Out = new TransmitBatch(_slab, capacity);
    }

    public readonly record struct Datagram(byte[] Bytes, UdpAddress From);

    public ReceiveBatch Batch { get; }

    public TransmitBatch Out { get; }

    public DropCounters Drops { get; } = new();

    /// <summary>What was put into the batch, in order.</summary>
    public List<byte[]> Sent { get; } = [];

    public void Route(int number, UdpAddress to) => Out.Routes[number] = to;

    /// <summary>A datagram right behind the last one.</summary>
    public Span<byte> Add(int length, int route)
    {
        Span<byte> bytes = AddAt(_next, length, route);
        _next += length;
        return bytes;
    }

    public Span<byte> AddAt(int offset, int length, int route)
    {
        Span<byte> bytes = _slab.Slice(_out + offset, length);
        _entropy.FillPublic(bytes);
        Assert.True(Out.TryAdd(_out + offset, length, route));
        _offsets.Add(_out + offset);
        Sent.Add(bytes.ToArray());
        return bytes;
    }

    /// <summary>The test changed the bytes of the last datagram.</summary>
    public void Resent() => Sent[^1] = _slab.Slice(_offsets[^1], Sent[^1].Length).ToArray();

    public int Send() => _socket.Send(Out, Drops);

    public void Clear()
    {
        Out.Clear();
        Sent.Clear();
        _offsets.Clear();
        _next = 0;
    }

    /// <summary>Receives until `count` datagrams are there, or nothing comes for five seconds.</summary>
    public List<Datagram> Collect(int count)
    {
        var got = new List<Datagram>();
        long end = Environment.TickCount64 + 5000;
        while (got.Count < count && Environment.TickCount64 < end)
        {
            if (_socket.Receive(Batch) == 0)
            {
                _socket.Wait(TimeSpan.FromSeconds(1));
                continue;
            }

            foreach (ref readonly Received r in Batch.Items.AsSpan(0, Batch.Count))
            {
                Assert.True(r.SegmentBytes > 0);
                for (int at = 0; at < r.Length; at += r.SegmentBytes)
                {
                    got.Add(new Datagram(_slab.Slice(r.Offset + at, Math.Min(r.SegmentBytes, r.Length - at)).ToArray(), r.From));
                }
            }
        }

        return got;
    }

    public void CollectEqual(IEnumerable<byte[]> expected)
    {
        byte[][] all = [.. expected];
        List<Datagram> got = Collect(all.Length);
        Assert.Equal(all.Length, got.Count);
        for (int i = 0; i < all.Length; i++) Assert.True(all[i].AsSpan().SequenceEqual(got[i].Bytes), $"datagram {i} of {all.Length} differs: {got[i].Bytes.Length} bytes instead of {all[i].Length}");
    }

    public void Dispose() => _slab.Dispose();
}
