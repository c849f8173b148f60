using System.Buffers.Binary;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Tunnel;

// What the system hands over is up to 64 KiB with one set of headers (TSO, USO) and a checksum that is only begun. A path
// carries packets of 1320 bytes, each whole in itself: one lost packet costs one segment.
//
//   | IP | TCP | payload ...                                 |
//   | IP'| TCP'| first | , | IP'| TCP'| second | , ...        length, id, sequence, flags and checksums made anew for each
//
// Payload is copied and summed in one pass, straight to where it is wrapped.

/// <summary>Cuts one packet. A struct that remembers where it stopped: the caller's room may end before the packet does.</summary>
internal struct Segmenter
{
    private IpPacket _ip;
    private uint _pseudo;  // pseudo header without its length
    private int _next;     // first payload byte that was not sent
    private int _segment;  // payload bytes in each
    private int _index;
    private bool _open, _whole, _partial;

    /// <summary>Something is left to be cut.</summary>
    public readonly bool IsOpen => _open;

    /// <summary>Bytes of what <see cref="TryNext"/> would write now; 0 when nothing is left.</summary>
    public readonly int NextLength => !_open ? 0 : _whole ? _ip.Length : _ip.PayloadOffset + Math.Min(_segment, _ip.HeaderBytes + _ip.TransportBytes - _next);

    /// <summary>What the packet is; valid since <see cref="Begin"/>.</summary>
    public readonly IpPacket Packet => _ip;

    /// <summary>
    /// Checks what the virtio header asks for against the packet: it may come from a guest or a bug. <see cref="DropReason.TooLarge"/>: a
    /// segment would not fit in the inner MTU, its sender is to be told.
    /// </summary>
    public DropReason Begin(in IpPacket ip, in VirtioHeader header)
    {
        _open = false;
        _ip = ip;
        _partial = (header.Flags & VirtioHeader.NeedsChecksum) != 0;
        if (_partial && (ip.ChecksumOffset == 0 || ip.IsFragment || header.ChecksumStart != ip.HeaderBytes || header.ChecksumStart + header.ChecksumOffset != ip.ChecksumOffset)) return DropReason.BadVirtioHeader;
        byte kind = (byte)(header.Segmentation & ~VirtioHeader.EcnBit);
        _whole = kind == VirtioHeader.NotSegmented;
        if (_whole)
        {
            if (ip.Length > TunnelConstants.InnerMtu) return DropReason.TooLarge;
        }
        else
        {
            bool fits = kind switch
            {
                VirtioHeader.Tcp4 => ip.Version == 4 && ip.IsTcp,
                VirtioHeader.Tcp6 => ip.Version == 6 && ip.IsTcp,
                VirtioHeader.Udp => ip.IsUdp,
                _ => false,
            };
            if (!fits || ip.IsFragment || header.SegmentBytes == 0) return DropReason.BadVirtioHeader;
            int payload = ip.HeaderBytes + ip.TransportBytes - ip.PayloadOffset;
            _segment = header.SegmentBytes;
            if (ip.PayloadOffset + Math.Min(_segment, payload) > TunnelConstants.InnerMtu) return DropReason.TooLarge;
            _pseudo = InternetChecksum.PseudoHeader(ip, 0);
            _next = ip.PayloadOffset;
            _index = 0;
        }

        _open = true;
        return DropReason.None;
    }

    /// <summary>Writes the next segment, at most <see cref="TunnelConstants.InnerMtu"/> bytes. False when there is none left.</summary>
    /// <param name="packet">The bytes that <see cref="Begin"/> was told of.</param>
    public bool TryNext(ReadOnlySpan<byte> packet, Span<byte> into, out int length)
    {
        length = 0;
        if (!_open) return false;
        if (_whole)
        {
            length = _ip.Length;
            packet[..length].CopyTo(into);
            if (_partial) InternetChecksum.WriteTransport(into[..length], _ip);
            _open = false;
            return true;
        }

        int end = _ip.HeaderBytes + _ip.TransportBytes;
        int payload = Math.Min(_segment, end - _next);
        bool last = _next + payload >= end;
        int at = _ip.PayloadOffset;
        length = at + payload;
        packet[..at].CopyTo(into);
        uint sum = InternetChecksum.CopyAndSum(packet.Slice(_next, payload), into[at..]);
        if (_ip.Version == 4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(into[2..], (ushort)length);
            BinaryPrimitives.WriteUInt16BigEndian(into[4..], (ushort)(_ip.Identification + _index));
            InternetChecksum.WriteHeader4(into);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(into[4..], (ushort)(length - TunnelConstants.IPv6HeaderBytes));
        }

        Span<byte> transport = into[_ip.HeaderBytes..];
        int checksumAt = 6;
        if (_ip.Protocol == IpProtocol.Tcp)
        {
            checksumAt = 16;
            if (_index > 0)
            {
                BinaryPrimitives.WriteUInt32BigEndian(transport[4..], BinaryPrimitives.ReadUInt32BigEndian(packet[(_ip.HeaderBytes + 4)..]) + (uint)(_next - at));
                transport[13] &= unchecked((byte)~IpPacket.TcpCwr); // the first one says it (RFC 3168 section 6.1.2)
            }

            if (!last) transport[13] &= unchecked((byte)~(IpPacket.TcpFin | IpPacket.TcpPush));
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(transport[4..], (ushort)(length - _ip.HeaderBytes));
        }

        BinaryPrimitives.WriteUInt16BigEndian(transport[checksumAt..], 0);
        sum += InternetChecksum.SumScalar(transport[..(at - _ip.HeaderBytes)]);
        ushort checksum = InternetChecksum.Finish(sum + _pseudo + (uint)(length - _ip.HeaderBytes));
        BinaryPrimitives.WriteUInt16BigEndian(transport[checksumAt..], checksum == 0 && checksumAt == 6 ? (ushort)0xFFFF : checksum);
        _next += payload;
        _index++;
        _open = !last;
        return true;
    }

    /// <summary>Forgets what is left.</summary>
    public void Close() => _open = false;
}
