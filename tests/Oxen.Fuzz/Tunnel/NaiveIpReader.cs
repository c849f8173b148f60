using Oxen.Router.Core.Packets;

namespace Oxen.Fuzz.Tunnel;

// A second reader of IP packets, written from docs/protocol/tunnel.md and the RFCs it names alone: slow, plain, byte by byte,
// and sharing no code with the router's own. It reads a packet from its front to its back, and the first thing that is wrong
// is the reason. What is true of a packet is put into the public fields, as IpPacket has them.
internal sealed class NaiveIpReader(byte[] bytes, int start, int count)
{
    public UInt128 Source, Destination;
    public int Length, HeaderBytes, PayloadOffset, TransportBytes, FragmentOffset;
    public uint Identification;
    public int SourcePort, DestinationPort, Version, Protocol, TrafficClass, HopLimit, IcmpType, IcmpCode, TcpFlags;
    public bool DontFragment, IsFragment, MoreFragments, HasTransport;

    /// <summary>The lengths of the IP header fit the bytes that there are.</summary>
    public bool PastLengths { get; private set; }

    // Where the IP packet ends by its own account.
    private int End => Length;

    public DropReason Read()
    {
        if (count < 1) return DropReason.BadIpHeader;
        return Byte(0) / 16 == 4 ? Read4() : Byte(0) / 16 == 6 ? Read6() : DropReason.BadIpHeader;
    }

    private int Byte(int at) => at < count ? bytes[start + at] : throw new InvalidOperationException("the naive reader reads behind the end");

    private UInt128 Number(int at, int octets)
    {
        UInt128 number = 0;
        for (int i = 0; i < octets; i++) number = (number * 256) + (UInt128)Byte(at + i);
        return number;
    }

    // RFC 791 section 3.1.
    private DropReason Read4()
    {
        if (count < 20) return DropReason.BadIpHeader;
        int header = Byte(0) % 16 * 4;
        int total = (int)Number(2, 2);
        if (header < 20 || total < header || count < total) return DropReason.BadIpHeader;
        PastLengths = true;
        Version = 4;
        Length = total;
        HeaderBytes = header;
        TransportBytes = total - header;
        TrafficClass = Byte(1);
        Identification = (uint)Number(4, 2);
        HopLimit = Byte(8);
        Protocol = Byte(9);
        Source = Number(12, 4);
        Destination = Number(16, 4);

        // The ones' complement sum of a header with its checksum is all ones: modulo 65535 it is 0, without being 0.
        long sum = 0;
        for (int i = 0; i < header; i += 2) sum += (long)Number(i, 2);
        if (sum == 0 || sum % 65535 != 0) return DropReason.BadIpHeader;

        int flags = Byte(6) / 32; // reserved, DF, MF
        if (flags >= 4) return DropReason.BadIpHeader;
        DontFragment = flags is 2 or 3;
        MoreFragments = flags is 1 or 3;
        FragmentOffset = (int)Number(6, 2) % 8192 * 8;
        IsFragment = MoreFragments || FragmentOffset > 0;

        for (int at = 20; at < header;)
        {
            int kind = Byte(at);
            if (kind == 0) break;
            if (kind == 1)
            {
                at++;
                continue;
            }

            if (at + 1 >= header) return DropReason.BadIpHeader; // no length
            int length = Byte(at + 1);
            if (length < 2 || at + length > header) return DropReason.BadIpHeader;
            if (kind is 7 or 68 or 131 or 137) return DropReason.AddressBoundHeader; // record route, timestamp, loose and strict source route
            at += length;
        }

        if (IsFragment && !FragmentIsPossible(keptBytes: header)) return DropReason.BadFragment;
        switch (Protocol)
        {
            case 1: return ReadIcmp();
            case 6: return ReadTcp();
            case 17: return ReadUdp();
            case 50: return ReadPlain(8, ports: false);
            case 132: return ReadPlain(12, ports: true);
            case 51 or 135 or 139 or 140: return DropReason.AddressBoundHeader;
            default: return DropReason.UnknownIpProtocol;
        }
    }

    // RFC 8200 section 3.
    private DropReason Read6()
    {
        if (count < 40) return DropReason.BadIpHeader;
        Length = 40 + (int)Number(4, 2);
        if (count < Length || Length > 65535) return DropReason.BadIpHeader;
        PastLengths = true;
        Version = 6;
        TrafficClass = (Byte(0) % 16 * 16) + (Byte(1) / 16);
        HopLimit = Byte(7);
        Source = Number(8, 16);
        Destination = Number(24, 16);
        DontFragment = true; // no router fragments IPv6

        int at = 40, next = Byte(6), headers = 0;
        bool fragmentHeader = false;
        while (true)
        {
            Protocol = next;
            HeaderBytes = at;
            TransportBytes = End - at;
            switch (next)
            {
                case 6: return ReadTcp();
                case 17: return ReadUdp();
                case 50: return ReadPlain(8, ports: false);
                case 58: return ReadIcmp();
                case 59: return DropReason.None; // section 4.7
                case 132: return ReadPlain(12, ports: true);
                case 51 or 135 or 139 or 140: return DropReason.AddressBoundHeader;
                case 0 or 43 or 44 or 60: break;
                default: return DropReason.UnknownIpProtocol;
            }

            if (FragmentOffset > 0) return DropReason.BadFragment; // what stands there is not that header
            headers++;
            if (headers > 8) return DropReason.BadIpHeader;
            if (End - at < 8) return DropReason.BadIpHeader; // the shortest one
            if (next == 0 && at != 40) return DropReason.BadIpHeader; // section 4.1
            if (next == 44)
            {
                // Section 4.5.
                if (fragmentHeader) return DropReason.BadFragment;
                fragmentHeader = true;
                int unfragmentable = at - 40; // extension headers before this one
                next = Byte(at);
                FragmentOffset = (int)Number(at + 2, 2) / 8 * 8;
                MoreFragments = Byte(at + 3) % 2 == 1;
                IsFragment = MoreFragments || FragmentOffset > 0;
                Identification = (uint)Number(at + 4, 4);
                at += 8;
                HeaderBytes = at;
                if (IsFragment && !FragmentIsPossible(unfragmentable)) return DropReason.BadFragment;
                continue;
            }

            int end = at + 8 + (Byte(at + 1) * 8);
            if (end > End) return DropReason.BadIpHeader;
            if (next == 43)
            {
                if (Byte(at + 2) == 0 || Byte(at + 3) > 0) return DropReason.AddressBoundHeader; // RFC 5095; segments left
            }
            else
            {
                for (int option = at + 2; option < end;)
                {
                    int kind = Byte(option);
                    if (kind == 0)
                    {
                        option++; // Pad1
                        continue;
                    }

                    if (option + 1 >= end || option + 2 + Byte(option + 1) > end) return DropReason.BadIpHeader;
                    if (kind == 194) return DropReason.BadIpHeader; // RFC 2675: a jumbogram
                    if (kind == 201) return DropReason.AddressBoundHeader; // RFC 6275: home address
                    option += 2 + Byte(option + 1);
                }
            }

            next = Byte(at);
            at = end;
        }
    }

    // RFC 791 section 3.2, RFC 8200 section 4.5: data, whole units of eight before the last, and nothing beyond what a length field counts.
    private bool FragmentIsPossible(int keptBytes)
    {
        int data = End - HeaderBytes;
        return data > 0 && (!MoreFragments || data % 8 == 0) && keptBytes + FragmentOffset + data <= 65535;
    }

    // RFC 9293 section 3.1. A fragment that begins at byte 8 holds the flags of a header (RFC 1858 section 4).
    private DropReason ReadTcp()
    {
        if (FragmentOffset == 8) return DropReason.BadFragment;
        if (FragmentOffset > 0) return DropReason.None;
        if (End - HeaderBytes < 20) return DropReason.BadTransportHeader;
        int header = Byte(HeaderBytes + 12) / 16 * 4;
        if (header < 20 || HeaderBytes + header > End) return DropReason.BadTransportHeader;
        TcpFlags = Byte(HeaderBytes + 13);
        return Found(header, ports: true);
    }

    // RFC 768; the length may be less than what IP holds (RFC 9868), and counts the whole datagram, of which a fragment is a part.
    private DropReason ReadUdp()
    {
        if (FragmentOffset > 0) return DropReason.None;
        if (End - HeaderBytes < 8) return DropReason.BadTransportHeader;
        int length = (int)Number(HeaderBytes + 4, 2);
        if (length < 8) return DropReason.BadTransportHeader;
        if (!IsFragment)
        {
            if (HeaderBytes + length > End) return DropReason.BadTransportHeader;
            TransportBytes = length;
        }

        return Found(8, ports: true);
    }

    // RFC 792, RFC 4443: every message has eight bytes. What passes is the tunnel's choice.
    private DropReason ReadIcmp()
    {
        if (FragmentOffset > 0) return DropReason.None;
        if (End - HeaderBytes < 8) return DropReason.BadTransportHeader;
        IcmpType = Byte(HeaderBytes);
        IcmpCode = Byte(HeaderBytes + 1);
        Found(8, ports: false);
        bool passes = Version == 4
            ? IcmpType is 0 or 8 or 3 or 11 or 12
            : IcmpType is 128 or 129 or 1 or 2 or 3 or 4;
        return passes ? DropReason.None : DropReason.IcmpType;
    }

    private DropReason ReadPlain(int header, bool ports)
    {
        if (FragmentOffset > 0) return DropReason.None;
        return End - HeaderBytes < header ? DropReason.BadTransportHeader : Found(header, ports);
    }

    private DropReason Found(int header, bool ports)
    {
        HasTransport = true;
        PayloadOffset = HeaderBytes + header;
        if (ports)
        {
            SourcePort = (int)Number(HeaderBytes, 2);
            DestinationPort = (int)Number(HeaderBytes + 2, 2);
        }

        return DropReason.None;
    }
}
