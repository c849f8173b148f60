using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Oxen.Router.Native.Linux;

// A UDP socket with the options that the data plane needs, and the eventfd that wakes its waiter.
//   Open        one socket on one address
//   OpenGroup   n sockets on one address; a classic BPF program gives each datagram to the socket that its receiver
//               index names (docs/protocol/link.md), so that a shard sees its own packets only
// Reading and writing in batches is UdpReceiver's and UdpSender's work.

/// <summary>How a socket is opened. Buffers are asked for with FORCE first, then as far as the system allows.</summary>
internal sealed record LinuxUdpOptions
{
    /// <summary>Also takes IPv4 on an IPv6 address.</summary>
    public bool DualStack { get; init; }

    public int ReceiveBufferBytes { get; init; } = 32 << 20;

    public int SendBufferBytes { get; init; } = 8 << 20;

    /// <summary>UDP_SEGMENT, if the kernel has it.</summary>
    public bool Segmentation { get; init; } = true;

    /// <summary>UDP_GRO, if the kernel has it.</summary>
    public bool Coalescing { get; init; } = true;

    /// <summary>SO_MARK, so that a routing rule knows our own packets; 0: none. Needs CAP_NET_ADMIN.</summary>
    public uint Mark { get; init; }
}

internal sealed unsafe class LinuxUdpSocket : IDisposable
{
    // An address that this socket cannot reach: the kernel refuses it, and it is counted like any other refusal. (0 would pass as IPv4.)
    private const ushort NoFamily = ushort.MaxValue;

    private const int Awake = 0, Sleeping = 1, Woken = 2;

    private readonly SafeFileHandle _handle;
    private readonly SafeFileHandle _event;
    private int _state;
    private volatile bool _segmentation;

    private LinuxUdpSocket(SafeFileHandle handle, UdpEndPoint local, bool isV6)
    {
        _handle = handle;
        LocalAddress = local;
        IsV6 = isV6;
        int fd = LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (fd < 0) throw new UdpSocketLostException("eventfd", Marshal.GetLastPInvokeError());
        _event = new SafeFileHandle(fd, ownsHandle: true);
    }

    public UdpEndPoint LocalAddress { get; private set; }

    /// <summary>The socket speaks sockaddr_in6; IPv4 addresses travel mapped.</summary>
    public bool IsV6 { get; }

    /// <summary>UDP_SEGMENT works. May turn false for good when a device cannot do it.</summary>
    public bool Segmentation { get => _segmentation; internal set => _segmentation = value; }

    /// <summary>Another file whose readability ends a <see cref="Wait"/>; -1: none. The waiting thread sets it.</summary>
    public int AlsoWaitFor { get; set; } = -1;

    /// <summary>UDP_GRO is on.</summary>
    public bool Coalescing { get; private set; }

    /// <summary>What the kernel gave, in its own accounting (it doubles what was asked for).</summary>
    public int ReceiveBufferBytes { get; private set; }

    public int SendBufferBytes { get; private set; }

    internal int Fd
    {
        get
        {
            // A closed number may be a stranger's by now.
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return (int)_handle.DangerousGetHandle();
        }
    }

    /// <summary>Keeps the number from being given to another file while a second thread sends; paired with <see cref="Release"/>.</summary>
    public void Hold()
    {
        bool held = false;
        _handle.DangerousAddRef(ref held);
    }

    public void Release() => _handle.DangerousRelease();

    public static LinuxUdpSocket Open(UdpEndPoint address, LinuxUdpOptions options) => OpenGroup(address, 1, options)[0];

    /// <summary>
    /// `count` sockets on one address. A datagram whose first byte is 0x80-0xBF goes to socket (bytes 4-7, big-endian)
    /// mod count, any other to socket 0.
    /// </summary>
    /// <exception cref="IOException">The address is taken, is not of this machine, or may not be used.</exception>
    public static LinuxUdpSocket[] OpenGroup(UdpEndPoint address, int count, LinuxUdpOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentNullException.ThrowIfNull(options);
        NativeSelfTest.ThrowIfFailed();
        var sockets = new LinuxUdpSocket[count];
        try
        {
            for (int i = 0; i < count; i++)
            {
                // The first one binds alone, so that an address which another process uses is refused although that one
                // may share (SO_REUSEPORT); only then does it open the group.
                sockets[i] = Make(address, options, share: i > 0);
                if (i == 0 && count > 1) sockets[0].Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1, "SO_REUSEPORT");
                address = sockets[0].LocalAddress;
            }

            if (count > 1) sockets[0].Steer(count);
            return sockets;
        }
        catch
        {
            foreach (LinuxUdpSocket? s in sockets) s?.Dispose();
            throw;
        }
    }

    /// <summary>Waits until a datagram is there, <see cref="Wake"/> was called, or the time is over. A negative time waits for ever.</summary>
    public void Wait(long nanoseconds)
    {
        // A wake since the last wait ends this one before it begins.
        if (Interlocked.CompareExchange(ref _state, Sleeping, Awake) == Woken)
        {
            Interlocked.Exchange(ref _state, Awake);
            return;
        }

        pollfd* fds = stackalloc pollfd[3];
        fds[0] = new pollfd { fd = Fd, events = LibC.POLLIN };
        fds[1] = new pollfd { fd = (int)_event.DangerousGetHandle(), events = LibC.POLLIN };
        fds[2] = new pollfd { fd = AlsoWaitFor, events = LibC.POLLIN };
        timespec time = new() { tv_sec = nanoseconds / 1_000_000_000, tv_nsec = nanoseconds % 1_000_000_000 };
        int n = LibC.ppoll(fds, AlsoWaitFor < 0 ? 2u : 3u, nanoseconds < 0 ? null : &time, null);
        int errno = n < 0 ? Marshal.GetLastPInvokeError() : 0;
        Interlocked.Exchange(ref _state, Awake);
        if (n < 0 && errno != LibC.EINTR) throw new UdpSocketLostException("ppoll", errno);
        if (n <= 0) return;
        if ((fds[0].revents & LibC.POLLNVAL) != 0) throw new UdpSocketLostException("ppoll", LibC.EBADF);

        // A waker may write after our time was over: whatever its number, an event that is there is taken away.
        if (fds[1].revents != 0)
        {
            ulong number;
            LibC.read(fds[1].fd, &number, 8);
        }
    }

    /// <summary>Ends the wait of another thread, now or the next one. Costs no system call unless that thread sleeps.</summary>
    public void Wake()
    {
        // What the caller published must be visible before we decide that the waiter already knows.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _state) == Woken) return;
        if (Interlocked.Exchange(ref _state, Woken) != Sleeping) return;
        bool held = false;
        try
        {
            _event.DangerousAddRef(ref held);
            ulong one = 1;
            LibC.write((int)_event.DangerousGetHandle(), &one, 8);
        }
        catch (ObjectDisposedException)
        {
            // Nobody waits on a closed socket.
        }
        finally
        {
            if (held) _event.DangerousRelease();
        }
    }

    public void Dispose()
    {
        _handle.Dispose();
        _event.Dispose();
    }

    private static LinuxUdpSocket Make(UdpEndPoint address, LinuxUdpOptions options, bool share)
    {
        bool v6 = address.Family == UdpEndPoint.IPv6;
        if (!v6 && address.Family != UdpEndPoint.IPv4) throw new ArgumentException("a socket binds to an IPv4 or IPv6 address", nameof(address));
        int fd = LibC.socket(v6 ? LibC.AF_INET6 : LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (fd < 0) throw Failed("a UDP socket cannot be opened", Marshal.GetLastPInvokeError());
        var socket = new LinuxUdpSocket(new SafeFileHandle(fd, ownsHandle: true), address, v6);
        try
        {
            if (v6) socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_V6ONLY, options.DualStack ? 0 : 1, "IPV6_V6ONLY");
            if (share) socket.Set(LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1, "SO_REUSEPORT");

            // Never fragment: a size class is chosen so that it fits, and a path that it does not fit must say so.
            if (v6) socket.Set(LibC.IPPROTO_IPV6, LibC.IPV6_MTU_DISCOVER, LibC.IPV6_PMTUDISC_DO, "IPV6_MTU_DISCOVER");
            if (!v6 || options.DualStack) socket.Set(LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.IP_PMTUDISC_DO, "IP_MTU_DISCOVER");
            if (options.Mark != 0) socket.Set(LibC.SOL_SOCKET, LibC.SO_MARK, (int)options.Mark, "SO_MARK");
            socket.Set(LibC.SOL_SOCKET, LibC.SO_RXQ_OVFL, 1, "SO_RXQ_OVFL");
            socket.ReceiveBufferBytes = socket.Buffer(LibC.SO_RCVBUF, LibC.SO_RCVBUFFORCE, options.ReceiveBufferBytes);
            socket.SendBufferBytes = socket.Buffer(LibC.SO_SNDBUF, LibC.SO_SNDBUFFORCE, options.SendBufferBytes);

            // Offered since Linux 4.18 and 5.0. Without them datagrams go one by one.
            socket.Coalescing = options.Coalescing && socket.TrySet(LibC.SOL_UDP, LibC.UDP_GRO, 1);
            socket.Segmentation = options.Segmentation && socket.TryGet(LibC.SOL_UDP, LibC.UDP_SEGMENT, out _);

            byte* name = stackalloc byte[32];
            uint length = Write(name, address, v6);
            if (LibC.bind(fd, name, length) != 0) throw Failed("the UDP address cannot be bound", Marshal.GetLastPInvokeError());
            length = 32;
            if (LibC.getsockname(fd, name, &length) != 0) throw Failed("getsockname", Marshal.GetLastPInvokeError());
            UdpEndPoint local = Read(name);
            socket.LocalAddress = local;
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static IOException Failed(string what, int errno) => errno switch
    {
        LibC.EADDRINUSE => new IOException($"{what}: another program uses this address and port", errno),
        LibC.EADDRNOTAVAIL => new IOException($"{what}: the address does not belong to this machine", errno),
        LibC.EACCES or LibC.EPERM => new IOException($"{what}: not permitted (ports below 1024 need CAP_NET_BIND_SERVICE)", errno),
        _ => new IOException($"{what}: {Marshal.GetPInvokeErrorMessage(errno)} (errno {errno})", errno),
    };

    // Classic BPF over the UDP payload. A load beyond its end makes the program return 0.
    private void Steer(int count)
    {
        sock_filter* f = stackalloc sock_filter[7];
        f[0] = new sock_filter { code = LibC.BPF_LD_B_ABS, k = 0 };
        f[1] = new sock_filter { code = LibC.BPF_ALU_AND_K, k = 0xC0 };
        f[2] = new sock_filter { code = LibC.BPF_JMP_JEQ_K, k = 0x80, jt = 1, jf = 0 };
        f[3] = new sock_filter { code = LibC.BPF_RET_K, k = 0 };
        f[4] = new sock_filter { code = LibC.BPF_LD_W_ABS, k = 4 };
        f[5] = new sock_filter { code = LibC.BPF_ALU_MOD_K, k = (uint)count };
        f[6] = new sock_filter { code = LibC.BPF_RET_A };
        var program = new sock_fprog { len = 7, filter = f };
        if (LibC.setsockopt(Fd, LibC.SOL_SOCKET, LibC.SO_ATTACH_REUSEPORT_CBPF, &program, (uint)sizeof(sock_fprog)) != 0)
        {
            throw Failed("the sockets of one address cannot be steered (SO_ATTACH_REUSEPORT_CBPF)", Marshal.GetLastPInvokeError());
        }
    }

    private int Buffer(int name, int force, int bytes)
    {
        if (!TrySet(LibC.SOL_SOCKET, force, bytes)) TrySet(LibC.SOL_SOCKET, name, bytes);
        TryGet(LibC.SOL_SOCKET, name, out int got);
        return got;
    }

    private void Set(int level, int name, int value, string text)
    {
        if (LibC.setsockopt(Fd, level, name, &value, 4) != 0) throw Failed(text, Marshal.GetLastPInvokeError());
    }

    private bool TrySet(int level, int name, int value) => LibC.setsockopt(Fd, level, name, &value, 4) == 0;

    private bool TryGet(int level, int name, out int value)
    {
        int v = 0;
        uint length = 4;
        bool ok = LibC.getsockopt(Fd, level, name, &v, &length) == 0;
        value = v;
        return ok;
    }

    /// <summary>Writes the sockaddr for a socket of this family and returns its length.</summary>
    internal static uint Write(byte* name, in UdpEndPoint a, bool v6)
    {
        if (!v6)
        {
            var four = (sockaddr_in*)name;
            four->sin_family = a.Family == UdpEndPoint.IPv4 ? (ushort)LibC.AF_INET : NoFamily;
            four->sin_port = BinaryPrimitives.ReverseEndianness(a.Port);
            four->sin_addr = BinaryPrimitives.ReverseEndianness((uint)(a.High >> 32));
            four->sin_zero = 0;
            return (uint)sizeof(sockaddr_in);
        }

        var six = (sockaddr_in6*)name;
        six->sin6_family = a.Family is UdpEndPoint.IPv4 or UdpEndPoint.IPv6 ? (ushort)LibC.AF_INET6 : NoFamily;
        six->sin6_port = BinaryPrimitives.ReverseEndianness(a.Port);
        six->sin6_flowinfo = 0;
        bool mapped = a.Family == UdpEndPoint.IPv4;
        six->sin6_addr_high = mapped ? 0 : BinaryPrimitives.ReverseEndianness(a.High);
        six->sin6_addr_low = BinaryPrimitives.ReverseEndianness(mapped ? 0x0000_FFFF_0000_0000 | (a.High >> 32) : a.Low);
        six->sin6_scope_id = mapped ? 0 : a.Scope;
        return (uint)sizeof(sockaddr_in6);
    }

    /// <summary>Reads a sockaddr; an IPv4 address that travelled mapped is given as IPv4.</summary>
    internal static UdpEndPoint Read(byte* name)
    {
        var four = (sockaddr_in*)name;
        if (four->sin_family == LibC.AF_INET)
        {
            return new UdpEndPoint
            {
                Family = UdpEndPoint.IPv4,
                Port = BinaryPrimitives.ReverseEndianness(four->sin_port),
                High = (ulong)BinaryPrimitives.ReverseEndianness(four->sin_addr) << 32,
            };
        }

        var six = (sockaddr_in6*)name;
        ulong high = BinaryPrimitives.ReverseEndianness(six->sin6_addr_high), low = BinaryPrimitives.ReverseEndianness(six->sin6_addr_low);
        ushort port = BinaryPrimitives.ReverseEndianness(six->sin6_port);
        if (high == 0 && low >> 32 == 0xFFFF) return new UdpEndPoint { Family = UdpEndPoint.IPv4, Port = port, High = low << 32 };
        return new UdpEndPoint { Family = UdpEndPoint.IPv6, Port = port, High = high, Low = low, Scope = six->sin6_scope_id };
    }
}
