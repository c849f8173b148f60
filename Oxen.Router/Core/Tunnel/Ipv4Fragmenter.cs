using System.Buffers.Binary;

namespace Oxen.Router.Core.Tunnel;

/// <summary>
/// Cuts an IPv4 packet without DF into fragments that fit the inner MTU (RFC 791 section 3.2), one a call. A fragment may be
/// cut again. Its checksum must be finished before: a partial one cannot be, once the packet is in pieces.
/// </summary>
internal struct Ipv4Fragmenter(IpPacket packet)
{
    private readonly IpPacket _packet = packet;
    private int _done;

    /// <summary>Longer than the MTU, and its sender allows fragments.</summary>
    public static bool IsFor(in IpPacket p) => p.Version == 4 && p.Length > TunnelConstants.InnerMtu && !p.DontFragment;

    /// <param name="bytes">The packet, the same in each call.</param>
    /// <param name="fragment">Room for <see cref="TunnelConstants.InnerMtu"/> bytes.</param>
    /// <returns>The fragment's length; 0 after the last one.</returns>
    public int Next(ReadOnlySpan<byte> bytes, Span<byte> fragment)
    {
        int header = (bytes[0] & 15) * 4, left = _packet.Length - header - _done;
        if (left <= 0) return 0;
        int own = header;
        bytes[..header].CopyTo(fragment);
        if (_packet.FragmentOffset + _done != 0 && header > TunnelConstants.IPv4HeaderBytes) own = KeepCopied(bytes[..header], fragment);

        int data = Math.Min(left, TunnelConstants.InnerMtu - own);
        bool more = data < left;
        if (more) data &= ~7;
        bytes.Slice(header + _done, data).CopyTo(fragment[own..]);
        int field = (_packet.FragmentOffset + _done) / 8 | (more || _packet.MoreFragments ? 0x2000 : 0);
        fragment[0] = (byte)(0x40 | own / 4);
        BinaryPrimitives.WriteUInt16BigEndian(fragment[2..], (ushort)(own + data));
        BinaryPrimitives.WriteUInt16BigEndian(fragment[6..], (ushort)field);
        InternetChecksum.WriteHeader4(fragment);
        _done += data;
        return own + data;
    }

    // Only options with the copied flag (0x80) go into later fragments; the header is filled up with "end of options".
    private static int KeepCopied(ReadOnlySpan<byte> header, Span<byte> fragment)
    {
        int to = TunnelConstants.IPv4HeaderBytes;
        for (int at = TunnelConstants.IPv4HeaderBytes; at < header.Length && header[at] != 0;)
        {
            int bytes = header[at] == 1 ? 1 : at + 1 < header.Length ? header[at + 1] : 0;
            if (bytes == 0 || at + bytes > header.Length) break;
            if ((header[at] & 0x80) != 0)
            {
                header.Slice(at, bytes).CopyTo(fragment[to..]);
                to += bytes;
            }

            at += bytes;
        }

        int end = (to + 3) & ~3;
        fragment[to..end].Clear();
        return end;
    }
}
