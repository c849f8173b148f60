using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Native;

namespace Oxen.Bench.Core.Tunnel;

/// <summary>
/// A super-packet of 64 KiB to segments of the inner MTU and back, as the tunnel does it, and what lies below: copies and sums of one segment's
/// payload. Each loop counts segments.
/// </summary>
internal sealed class SegmentSubjects : IDisposable
{
    public const int SegmentBytes = 1268, Segments = 51;

    private const int Headers = 52, Slot = 1536; // IPv4, TCP with a timestamp; the stride of the tunnel's ring

    private readonly PinnedBlock _slab = new((Segments + 44) * Slot);
    private readonly byte[] _super = GC.AllocateArray<byte>(Headers + Segments * SegmentBytes, pinned: true);
    private readonly byte[] _first = new byte[Headers];
    private readonly VirtioHeader _header;
    private readonly TunWriteBatch _writes;
    private readonly Coalescer _coalescer;
    private readonly IpPacket _segment;

    public SegmentSubjects()
    {
        new Random(1).NextBytes(_super);
        Span<byte> p = _super;
        p[..Headers].Clear();
        p[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(p[2..], (ushort)p.Length);
        p[6] = 0x40;
        p[8] = 64;
        p[9] = 6;
        p[12] = p[16] = 10;
        p[15] = 1;
        p[19] = 2;
        InternetChecksum.WriteHeader4(p);
        BinaryPrimitives.WriteUInt32BigEndian(p[20..], 40_000u << 16 | 5201);
        p[32] = 8 << 4;
        p[33] = IpPacket.TcpAck;
        p[40] = p[41] = 1;
        p[42] = 8;
        p[43] = 10;
        _header = new VirtioHeader { Flags = VirtioHeader.NeedsChecksum, Segmentation = VirtioHeader.Tcp4, HeaderBytes = Headers, SegmentBytes = SegmentBytes, ChecksumStart = 20, ChecksumOffset = 16 };
        _writes = new TunWriteBatch(_slab, 64, 64);
        _coalescer = new Coalescer(_slab, _writes, mergeUdp: true);
        Cut(Segments);
        _slab.Slice(0, Headers).CopyTo(_first);
        IpClassifier.Read(At(1), out _segment);
    }

    public void Copy(int times)
    {
        for (int done = 0; done < times; done += Segments)
            for (int i = 0; i < Segments; i++)
            {
                _super.AsSpan(0, Headers).CopyTo(At(i));
                _super.AsSpan(Headers + i * SegmentBytes, SegmentBytes).CopyTo(At(i)[Headers..]);
            }
    }

    public void CopyAndSum(int times)
    {
        uint sum = 0;
        for (int done = 0; done < times; done += Segments)
            for (int i = 0; i < Segments; i++)
            {
                _super.AsSpan(0, Headers).CopyTo(At(i));
                sum += InternetChecksum.CopyAndSum(_super.AsSpan(Headers + i * SegmentBytes, SegmentBytes), At(i)[Headers..]);
            }

        GC.KeepAlive(sum);
    }

    /// <summary>Classifier and Segmenter.</summary>
    public void Cut(int times)
    {
        for (int done = 0; done < times; done += Segments)
        {
            IpClassifier.Read(_super, out IpPacket ip);
            var segmenter = default(Segmenter);
            if (segmenter.Begin(ip, _header) != DropReason.None) throw new InvalidOperationException("refused");
            for (int i = 0; segmenter.TryNext(_super, At(i), out _); i++)
            {
            }
        }
    }

    public void Sum(int times)
    {
        uint sum = 0;
        for (int i = 0; i < times; i++) sum += InternetChecksum.Sum(At(i % Segments));
        GC.KeepAlive(sum);
    }

    public void SumScalar(int times)
    {
        uint sum = 0;
        for (int i = 0; i < times; i++) sum += InternetChecksum.SumScalar(At(i % Segments));
        GC.KeepAlive(sum);
    }

    public void Verify(int times)
    {
        for (int i = 0; i < times; i++)
        {
            if (!InternetChecksum.IsTransportValid(At(1 + i % (Segments - 1)), _segment)) throw new InvalidOperationException("checksum");
        }
    }

    /// <summary>Classifier and Coalescer, checksums verified; the super-packet is written from where its segments lie.</summary>
    public void Merge(int times)
    {
        for (int done = 0; done < times; done += Segments)
        {
            _first.CopyTo(_slab.Slice(0, Headers)); // merging changed it
            for (int i = 0; i < Segments; i++)
            {
                IpClassifier.Read(At(i), out IpPacket ip);
                _coalescer.TryAdd(i * Slot, ip);
            }

            _coalescer.Flush();
            if (_writes.Count != 1) throw new InvalidOperationException("not merged");
            _writes.Clear();
        }
    }

    public void Dispose() => _slab.Dispose();

    private Span<byte> At(int segment) => _slab.Slice(segment * Slot, Headers + SegmentBytes);
}
