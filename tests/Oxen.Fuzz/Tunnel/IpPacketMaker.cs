namespace Oxen.Fuzz.Tunnel;

/// <summary>Random IP packets that mean something: both families, options, extension headers, fragments, transports, errors about other packets. Then, some of them, spoilt.</summary>
internal sealed class IpPacketMaker(ulong seed)
{
    private static readonly byte[] Protocols4 = [1, 6, 6, 6, 17, 17, 17, 50, 132, 1, 6, 17];
    private static readonly byte[] Odd4 = [0, 2, 43, 44, 47, 51, 58, 59, 60, 135, 139, 140, 255];
    private static readonly byte[] Options4 = [0, 1, 1, 1, 148, 136, 130, 30, 7, 68, 131, 137];
    private static readonly byte[] Transports6 = [6, 6, 17, 17, 50, 58, 58, 132, 59];
    private static readonly byte[] Odd6 = [1, 2, 4, 41, 51, 135, 139, 140, 253];
    private static readonly byte[] Types4 = [0, 3, 3, 8, 8, 11, 12, 5, 9, 13];
    private static readonly byte[] Types6 = [1, 2, 3, 4, 128, 128, 129, 130, 133, 135, 137];
    private static readonly int[] Offsets = [8, 8, 16, 24, 1280, 65504, 65512, 65520, 65528];
    private ulong _state = seed;

    /// <summary>Uniform in [0, bound); SplitMix64.</summary>
    public int Next(int bound) => (int)(Next() % (ulong)bound);

    private bool OneIn(int n) => Next(n) == 0;

    private T Pick<T>(T[] from) => from[Next(from.Length)];

    /// <summary>Makes one at the start of `into` (at least 2048 bytes) and returns how many bytes of it to hand over, which may be more or fewer than the packet says.</summary>
    public int Make(byte[] into)
    {
        int length = OneIn(2) ? Make4(into, 0, depth: 0) : Make6(into, 0, depth: 0);
        int handed = length;
        if (OneIn(8))
        {
            for (int i = 1 + Next(3); i > 0; i--) into[Next(OneIn(2) ? Math.Min(length, 48) : length)] = OneIn(3) ? (byte)(Next(8) * 32 - 1) : (byte)Next(256);
            if (into[0] >> 4 == 4 && !OneIn(4)) Checksum4(into, 0, length);
        }

        if (OneIn(12)) handed = Next(length + 1);
        else if (OneIn(12)) handed = length + Next(40);
        return handed;
    }

    private int Make4(byte[] p, int at, int depth)
    {
        int header = 20;
        if (OneIn(4))
        {
            header = 24 + (4 * Next(9));
            Options(p, at + 20, at + header);
        }

        byte protocol = OneIn(12) ? Pick(Odd4) : Pick(Protocols4);
        int body = Transport(p, at + header, protocol, four: true, depth, at), total = header + body, field = OneIn(3) ? 0x4000 : 0;
        if (OneIn(6)) field |= Fragment(ref body, whole: 8191, shift: 0);
        total = header + body;
        if (OneIn(60)) field |= 0x8000;
        p[at] = (byte)(0x40 + (header / 4));
        p[at + 1] = (byte)Next(256);
        Put16(p, at + 2, OneIn(60) ? Next(total + 30) : total);
        Put16(p, at + 4, Next(65536));
        Put16(p, at + 6, field);
        p[at + 8] = (byte)Next(256);
        p[at + 9] = protocol;
        Fill(p, at + 12, 8);
        Checksum4(p, at, header);
        if (OneIn(60)) p[at + 10] ^= 0x10;
        return total;
    }

    private int Make6(byte[] p, int at, int depth)
    {
        int end = at + 40, next = at + 6, headers = OneIn(2) ? 0 : 1 + Next(OneIn(6) ? 9 : 3), fragmentAt = -1;
        for (int i = 0; i < headers; i++)
        {
            int kind = i == 0 && OneIn(2) ? 0 : OneIn(12) ? 0 : OneIn(3) ? 44 : OneIn(3) ? 43 : 60;
            if (kind == 44 && fragmentAt >= 0 && !OneIn(6)) kind = 60;
            p[next] = (byte)kind;
            next = end;
            int units = OneIn(4) ? 1 + Next(3) : 0;
            Fill(p, end, 8 + (units * 8));
            if (kind == 44)
            {
                fragmentAt = end;
                Put16(p, end + 2, 0);
                end += 8;
                continue;
            }

            p[end + 1] = (byte)(OneIn(40) ? Next(256) : units);
            if (kind == 43)
            {
                p[end + 2] = (byte)(OneIn(12) ? 0 : 1 + Next(5));
                p[end + 3] = (byte)(OneIn(12) ? 1 + Next(3) : 0);
            }
            else
            {
                Options6(p, end + 2, end + 8 + (units * 8));
            }

            end += 8 + (units * 8);
        }

        byte protocol = OneIn(12) ? Pick(Odd6) : Pick(Transports6);
        p[next] = protocol;
        int body = Transport(p, end, protocol, four: false, depth, at);
        if (fragmentAt >= 0 && !OneIn(3))
        {
            // Of a later fragment, everything behind the fragment header is data: the chain ends there unless it is to be wrong.
            bool later = OneIn(2);
            if (later && !OneIn(8))
            {
                p[fragmentAt] = protocol;
                end = fragmentAt + 8;
                body = Transport(p, end, protocol, four: false, depth, at);
            }

            int data = end - fragmentAt - 8 + body, before = data;
            int field = Fragment(ref data, whole: 0xFFF8, shift: 3, later);
            body += data - before;
            if (body < 0) body = 0;
            Put16(p, fragmentAt + 2, field | (OneIn(10) ? 2 * Next(4) : 0));
        }

        int payload = end + body - at - 40;
        Put16(p, at, 0x6000 + Next(0x1000));
        Put16(p, at + 2, Next(65536));
        Put16(p, at + 4, OneIn(60) ? Next(payload + 30) : payload);
        p[at + 7] = (byte)Next(256);
        Fill(p, at + 8, 32);
        return 40 + payload;
    }

    // A fragment's field of IPv4 (offset in eights, MF 0x2000) or IPv6 (offset in bytes, M 1); the data is cut to eights, mostly.
    private int Fragment(ref int data, int whole, int shift, bool? later = null)
    {
        bool more = OneIn(2), first = later is { } is6 ? !is6 : OneIn(2);
        int offset = first ? 0 : OneIn(3) ? Pick(Offsets) : Next(8192) * 8;
        if (OneIn(4) && offset > 60_000) data = Math.Max(1, Math.Min(data, 1 + Next(40))); // near the end of what there can be
        if (more && !OneIn(8)) data -= data % 8;
        if (OneIn(30)) data = 0;
        return ((offset / 8 << shift) & (whole == 8191 ? 8191 : 0xFFF8)) | (more ? whole == 8191 ? 0x2000 : 1 : 0);
    }

    private int Transport(byte[] p, int at, byte protocol, bool four, int depth, int packetAt)
    {
        int payload = OneIn(3) ? 0 : Next(OneIn(10) ? 200 : 24), length;
        switch (protocol)
        {
            case 6:
                int words = OneIn(15) ? Next(16) : 5 + (OneIn(2) ? 0 : Next(11));
                length = Math.Max(20, words * 4) + payload;
                Fill(p, at, length);
                p[at + 12] = (byte)((words << 4) | Next(16));
                break;
            case 17:
                length = 8 + payload;
                Fill(p, at, length);
                Put16(p, at + 4, OneIn(20) ? Next(length + 12) : OneIn(20) ? 8 + Next(payload + 1) : length);
                break;
            case 1 or 58:
                length = 8 + payload;
                Fill(p, at, length);
                p[at] = OneIn(15) ? (byte)Next(256) : Pick(four ? Types4 : Types6);
                if (depth == 0 && OneIn(2) && at - packetAt < 300) length = 8 + (four ? Make4(p, at + 8, 1) : Make6(p, at + 8, 1));
                break;
            case 132:
                length = 12 + payload;
                Fill(p, at, length);
                break;
            default:
                length = 8 + payload;
                Fill(p, at, length);
                break;
        }

        return OneIn(25) ? Next(length + 1) : length;
    }

    private void Options(byte[] p, int at, int end)
    {
        while (at < end)
        {
            byte kind = Pick(Options4);
            if (kind > 1 && kind is 7 or 68 or 131 or 137 && !OneIn(6)) kind = 148;
            p[at++] = kind;
            if (kind <= 1 || at == end) continue;
            int length = OneIn(20) ? Next(256) : Math.Min(2 + Next(9), end - at + 1);
            p[at++] = (byte)length;
            for (int stop = Math.Min(end, at + Math.Max(0, length - 2)); at < stop; at++) p[at] = (byte)Next(256);
        }
    }

    private void Options6(byte[] p, int at, int end)
    {
        while (at < end)
        {
            byte kind = OneIn(2) ? (byte)0 : OneIn(30) ? (byte)194 : OneIn(30) ? (byte)201 : OneIn(2) ? (byte)1 : (byte)5;
            if (kind != 0 && at + 1 == end && !OneIn(8)) kind = 0;
            p[at++] = kind;
            if (kind == 0 || at == end) continue;
            int length = OneIn(30) ? Next(256) : Next(Math.Min(8, end - at));
            p[at++] = (byte)length;
            at = Math.Min(end, at + length);
        }
    }

    private static void Put16(byte[] p, int at, int value)
    {
        p[at] = (byte)(value >> 8);
        p[at + 1] = (byte)value;
    }

    private static void Checksum4(byte[] p, int at, int limit)
    {
        int header = Math.Min((p[at] & 15) * 4, limit & ~1);
        if (header < 12) return;
        Put16(p, at + 10, 0);
        long sum = 0;
        for (int i = 0; i < header; i += 2) sum += (p[at + i] << 8) + p[at + i + 1];
        while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
        Put16(p, at + 10, (int)(0xFFFF - sum));
    }

    private void Fill(byte[] p, int at, int length)
    {
        int i = 0;
        for (; i + 8 <= length; i += 8) BitConverter.TryWriteBytes(p.AsSpan(at + i), Next());
        for (; i < length; i++) p[at + i] = (byte)Next(256);
    }

    private ulong Next()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
