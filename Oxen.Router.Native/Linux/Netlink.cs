using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Oxen.Router.Native.Linux;

// rtnetlink(7): each request is a header, a fixed body, and attributes; the kernel answers with an acknowledgement or an errno.
//
//  0        4      6       8          12       16
//  +--------+------+-------+----------+--------+------+-----------------------------------------+
//  | length | type | flags | sequence | port   | body | attributes: length 2, type 2, value, pad |
//  +--------+------+-------+----------+--------+------+-----------------------------------------+
//
// In the machine's own byte order, addresses excepted. Everything here happens once, at the start or the end of a program.

/// <summary>A rule of the kernel's routing policy (ip-rule(8)).</summary>
/// <param name="Mark">Packets that carry this mark (with <paramref name="Invert"/>: that do not); null: all.</param>
/// <param name="SuppressPrefix">Routes found with a prefix of at most this length do not count; -1: all count.</param>
internal readonly record struct RouteRule(AddressFamily Family, uint Priority, uint Table, uint? Mark = null, bool Invert = false, int SuppressPrefix = -1);

/// <summary>Sets up interfaces, addresses, routes and rules of the namespace that the calling thread is in.</summary>
internal sealed unsafe class Netlink : IDisposable
{
    /// <summary>Who made a route or a rule (RTA_PROTOCOL, FRA_PROTOCOL): our own number, so that left-overs are known as ours.</summary>
    public const byte Protocol = 111;

    public const uint MainTable = 254;

    private const ushort NewLink = 16, NewAddress = 20, NewRoute = 24, DeleteRoute = 25, NewRule = 32, DeleteRule = 33, GetRule = 34;
    private const ushort FlagRequest = 1, FlagAck = 4, FlagDump = 0x300, FlagExclusive = 0x200, FlagCreate = 0x400;
    private const ushort MessageError = 2, MessageDone = 3;

    private readonly SafeFileHandle _handle;
    private readonly byte[] _message = new byte[512];
    private readonly byte[] _answer = new byte[32768];
    private int _length;
    private uint _sequence;

    public Netlink()
    {
        int fd = LibC.socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, LibC.NETLINK_ROUTE);
        if (fd < 0) throw new TunException(TunFault.Refused, "a netlink socket cannot be opened", Marshal.GetLastPInvokeError());
        _handle = new SafeFileHandle(fd, ownsHandle: true);
    }

    private int Fd => (int)_handle.DangerousGetHandle();

    /// <summary>0: there is none of this name.</summary>
    public static int IndexOf(string name) => (int)LibC.if_nametoindex(name);

    /// <summary>Brings an interface up, with this MTU and queue length.</summary>
    /// <param name="queueLength">Packets that wait to be read.</param>
    public void SetUp(int index, int mtu, int queueLength)
    {
        Begin(NewLink, 0, 16);
        U32(16 + 4, (uint)index);
        U32(16 + 8, 1);  // IFF_UP
        U32(16 + 12, 1);
        Attribute(4, (uint)mtu);           // IFLA_MTU
        Attribute(13, (uint)queueLength);  // IFLA_TXQLEN
        Request($"bring the interface up (MTU {mtu})");
    }

    /// <summary>The prefix gets no route of its own: what goes where is said by routes alone.</summary>
    public void AddAddress(int index, IPAddress address, int prefix)
    {
        ArgumentNullException.ThrowIfNull(address);
        Begin(NewAddress, FlagCreate | FlagExclusive, 8);
        _message[16] = Family(address);
        _message[17] = (byte)prefix;
        U32(16 + 4, (uint)index);
        Attribute(2, address.GetAddressBytes()); // IFA_LOCAL
        Attribute(1, address.GetAddressBytes()); // IFA_ADDRESS
        Attribute(8, 0x202u);                    // IFA_FLAGS: IFA_F_NODAD (there is nobody to ask), IFA_F_NOPREFIXROUTE
        Request($"give the interface the address {address}/{prefix}");
    }

    public void AddRoute(IPNetwork destination, int index, uint table)
    {
        Begin(NewRoute, FlagCreate | FlagExclusive, 12);
        _message[16] = Family(destination.BaseAddress);
        _message[17] = (byte)destination.PrefixLength;
        _message[20] = (byte)(table < 256 ? table : 252); // RT_TABLE_COMPAT
        _message[21] = Protocol;
        _message[22] = 253; // RT_SCOPE_LINK
        _message[23] = 1;   // RTN_UNICAST
        if (destination.PrefixLength > 0) Attribute(1, destination.BaseAddress.GetAddressBytes()); // RTA_DST
        Attribute(4, (uint)index);  // RTA_OIF
        Attribute(15, table);       // RTA_TABLE
        Request($"set the route {destination} (table {table})");
    }

    /// <summary>Makes all addresses of a range this machine's own, reached over its loopback.</summary>
    /// <param name="source">What programs that send to it send from, unless they choose themselves.</param>
    public void AddLocalRoute(IPNetwork range, IPAddress source)
    {
        ArgumentNullException.ThrowIfNull(source);
        LocalRoute(NewRoute, FlagCreate | FlagExclusive, range);
        Attribute(7, source.GetAddressBytes()); // RTA_PREFSRC
        Request($"set the local route {range}");
    }

    /// <summary>False: there was none.</summary>
    public bool TryRemoveLocalRoute(IPNetwork range)
    {
        LocalRoute(DeleteRoute, 0, range);
        int errno = Exchange();
        if (errno is LibC.ENOENT or LibC.ESRCH or LibC.EAFNOSUPPORT or LibC.EOPNOTSUPP or LibC.ENODEV) return false;
        if (errno != 0) throw Failed($"remove the local route {range}", errno);
        return true;
    }

    public void AddRule(in RouteRule rule)
    {
        Rule(NewRule, FlagCreate | FlagExclusive, rule);
        Request($"set the rule {rule.Priority} for table {rule.Table}");
    }

    /// <summary>False: there was none.</summary>
    public bool TryRemoveRule(in RouteRule rule)
    {
        Rule(DeleteRule, 0, rule);
        int errno = Exchange();
        if (errno is LibC.ENOENT or LibC.ESRCH or LibC.EAFNOSUPPORT) return false;
        if (errno != 0) throw Failed($"remove the rule {rule.Priority}", errno);
        return true;
    }

    /// <summary>Priorities of the rules of one family that carry our protocol number: left-overs, or a second tunnel's.</summary>
    public IReadOnlyList<(uint Priority, uint Table)> OurRules(AddressFamily family)
    {
        var found = new List<(uint, uint)>();
        Begin(GetRule, FlagDump, 12);
        _message[16] = family == AddressFamily.InterNetwork ? (byte)LibC.AF_INET : (byte)LibC.AF_INET6;
        Send(FlagRequest);
        while (true)
        {
            int n = Receive();
            for (int at = 0; at + 16 <= n;)
            {
                int length = (int)Read32(at);
                ushort type = Read16(at + 4);
                if (length < 16 || at + length > n) throw Failed("list the routing rules", LibC.EINVAL);
                if (type == MessageError) throw Failed("list the routing rules", -(int)Read32(at + 16));
                if (type == MessageDone) return found;
                uint priority = 0, table = _answer[at + 16 + 4], protocol = 0;
                for (int a = at + 16 + 12; a + 4 <= at + length;)
                {
                    int bytes = Read16(a);
                    if (bytes < 4) break;
                    if (Read16(a + 2) == 6 && bytes >= 8) priority = Read32(a + 4);
                    else if (Read16(a + 2) == 15 && bytes >= 8) table = Read32(a + 4);
                    else if (Read16(a + 2) == 21) protocol = _answer[a + 4];
                    a += (bytes + 3) & ~3;
                }

                if (protocol == Protocol) found.Add((priority, table));
                at += (length + 3) & ~3;
            }
        }
    }

    /// <summary>Removes a rule of ours by its priority alone.</summary>
    public void RemoveRule(AddressFamily family, uint priority)
    {
        Begin(DeleteRule, 0, 12);
        _message[16] = family == AddressFamily.InterNetwork ? (byte)LibC.AF_INET : (byte)LibC.AF_INET6;
        Attribute(6, priority);
        Attribute(21, [Protocol]);
        int errno = Exchange();
        if (errno is not (0 or LibC.ENOENT or LibC.ESRCH)) throw Failed($"remove the rule {priority}", errno);
    }

    public void Dispose() => _handle.Dispose();

    // ---- building ----

    private static byte Family(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork ? (byte)LibC.AF_INET : (byte)LibC.AF_INET6;

    private void LocalRoute(ushort type, ushort flags, IPNetwork range)
    {
        Begin(type, flags, 12);
        _message[16] = Family(range.BaseAddress);
        _message[17] = (byte)range.PrefixLength;
        _message[20] = 255; // RT_TABLE_LOCAL: looked at before all others
        _message[21] = Protocol;
        _message[22] = 254; // RT_SCOPE_HOST
        _message[23] = 2;   // RTN_LOCAL
        Attribute(1, range.BaseAddress.GetAddressBytes());
        Attribute(4, (uint)IndexOf("lo"));
    }

    private void Rule(ushort type, ushort flags, in RouteRule rule)
    {
        Begin(type, flags, 12);
        _message[16] = rule.Family == AddressFamily.InterNetwork ? (byte)LibC.AF_INET : (byte)LibC.AF_INET6;
        _message[20] = (byte)(rule.Table < 256 ? rule.Table : 252);
        _message[23] = 1; // FR_ACT_TO_TBL
        if (rule.Invert) U32(16 + 8, 2); // FIB_RULE_INVERT
        Attribute(6, rule.Priority);
        Attribute(15, rule.Table);
        if (rule.Mark is { } mark) Attribute(10, mark);
        if (rule.SuppressPrefix >= 0) Attribute(14, (uint)rule.SuppressPrefix);
        Attribute(21, [Protocol]);
    }

    private void Begin(ushort type, ushort flags, int body)
    {
        Array.Clear(_message);
        MemoryMarshal.Write(_message.AsSpan(4), type);
        MemoryMarshal.Write(_message.AsSpan(6), flags);
        _length = 16 + body;
    }

    private void U32(int at, uint value) => MemoryMarshal.Write(_message.AsSpan(at), value);

    private void Attribute(ushort type, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        MemoryMarshal.Write(bytes, value);
        Attribute(type, bytes);
    }

    private void Attribute(ushort type, ReadOnlySpan<byte> value)
    {
        MemoryMarshal.Write(_message.AsSpan(_length), (ushort)(4 + value.Length));
        MemoryMarshal.Write(_message.AsSpan(_length + 2), type);
        value.CopyTo(_message.AsSpan(_length + 4));
        _length += (4 + value.Length + 3) & ~3;
    }

    // ---- talking ----

    private void Request(string what)
    {
        int errno = Exchange();
        if (errno != 0) throw Failed(what, errno);
    }

    private static TunException Failed(string what, int errno) => errno switch
    {
        LibC.EPERM => new TunException(TunFault.NotPermitted, $"cannot {what}: CAP_NET_ADMIN is missing", errno),
        LibC.EEXIST => new TunException(TunFault.RangeTaken, $"cannot {what}: it exists already", errno),
        _ => new TunException(TunFault.Refused, $"cannot {what}: {Marshal.GetPInvokeErrorMessage(errno)}", errno),
    };

    private int Exchange()
    {
        Send(FlagRequest | FlagAck);
        while (true)
        {
            int n = Receive();
            for (int at = 0; at + 20 <= n;)
            {
                int length = (int)Read32(at);
                if (length < 16) break;
                if (Read16(at + 4) == MessageError && Read32(at + 8) == _sequence) return -(int)Read32(at + 16);
                at += (length + 3) & ~3;
            }
        }
    }

    private void Send(int flags)
    {
        MemoryMarshal.Write(_message, (uint)_length);
        MemoryMarshal.Write(_message.AsSpan(6), (ushort)(MemoryMarshal.Read<ushort>(_message.AsSpan(6)) | flags));
        MemoryMarshal.Write(_message.AsSpan(8), ++_sequence);
        fixed (byte* p = _message)
        {
            if (LibC.send(Fd, p, (nuint)_length, 0) < 0) throw Failed("talk to the kernel by netlink", Marshal.GetLastPInvokeError());
        }
    }

    private int Receive()
    {
        fixed (byte* p = _answer)
        {
            while (true)
            {
                nint n = LibC.recv(Fd, p, (nuint)_answer.Length, 0);
                if (n > 0) return (int)n;
                int errno = Marshal.GetLastPInvokeError();
                if (n == 0 || errno != LibC.EINTR) throw Failed("hear the kernel by netlink", errno);
            }
        }
    }

    private ushort Read16(int at) => MemoryMarshal.Read<ushort>(_answer.AsSpan(at));

    private uint Read32(int at) => MemoryMarshal.Read<uint>(_answer.AsSpan(at));
}
