using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Native;

// Asks the running kernel whether our structs and constants mean what we think, once, before anything relies on them:
//   1 the machine   64-bit, little-endian, Linux, an architecture with the generic constants
//   2 the layouts   sizes and offsets
//   3 the options   set and read back on a socket that is never bound
//   4 the batches   sendmmsg -> recvmmsg over a socket pair: two messages, three iovecs, control data
// It needs no network. What fails is named, and the managed socket takes over.

/// <summary>The check of every layout that this assembly shares with the kernel.</summary>
internal static unsafe class NativeSelfTest
{
    private static readonly Lazy<string?> Result = new(Run);

    /// <summary>What is wrong, or null.</summary>
    public static string? Failure => Result.Value;

    /// <exception cref="PlatformNotSupportedException">This machine is not one on which Oxen.Router.Native's Linux part works.</exception>
    public static void ThrowIfFailed()
    {
        if (Failure is { } text) throw new PlatformNotSupportedException($"batched UDP is not available here: {text}");
    }

    private static string? Run()
    {
        try
        {
            return Machine() ?? Layouts() ?? Options() ?? Batches() ?? Clock();
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return $"the C library lacks a call ({e.Message})";
        }
    }

    private static string? Machine()
    {
        if (!OperatingSystem.IsLinux()) return "it needs Linux";
        if (!BitConverter.IsLittleEndian || sizeof(nint) != 8) return "it needs a 64-bit little-endian machine";
        return RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64
            ? null
            : $"the architecture {RuntimeInformation.ProcessArchitecture} numbers its socket options in another way";
    }

    private static string? Layouts()
    {
        msghdr m;
        sockaddr_in6 six;
        sockaddr_in four;
        sock_fprog program;
        rusage usage;
        return Size<iovec>(16) ?? Size<msghdr>(56) ?? Size<mmsghdr>(64) ?? Size<cmsghdr>(16) ?? Size<sockaddr_in>(16) ?? Size<sockaddr_in6>(28)
            ?? Size<timespec>(16) ?? Size<pollfd>(8) ?? Size<sock_filter>(8) ?? Size<sock_fprog>(16) ?? Size<rlimit>(16) ?? Size<rusage>(144)
            ?? Size<UdpEndPoint>(24) ?? Size<UdpArrival>(40) ?? Size<UdpDeparture>(12)
            ?? Offset("msghdr.msg_iov", &m, &m.msg_iov, 16) ?? Offset("msghdr.msg_control", &m, &m.msg_control, 32)
            ?? Offset("msghdr.msg_controllen", &m, &m.msg_controllen, 40) ?? Offset("msghdr.msg_flags", &m, &m.msg_flags, 48)
            ?? Offset("sockaddr_in.sin_addr", &four, &four.sin_addr, 4)
            ?? Offset("sockaddr_in6.sin6_addr", &six, &six.sin6_addr_high, 8) ?? Offset("sockaddr_in6.sin6_scope_id", &six, &six.sin6_scope_id, 24)
            ?? Offset("sock_fprog.filter", &program, &program.filter, 8)
            ?? Offset("rusage.ru_nvcsw", &usage, &usage.ru_nvcsw, 128);
    }

    private static string? Size<T>(int expected)
        where T : unmanaged
        => Unsafe.SizeOf<T>() == expected ? null : $"struct {typeof(T).Name} has {Unsafe.SizeOf<T>()} bytes instead of {expected}";

    private static string? Offset(string name, void* start, void* field, int expected)
        => (byte*)field - (byte*)start == expected ? null : $"{name} lies at {(byte*)field - (byte*)start} instead of {expected}";

    private static string? Options()
    {
        int fd = LibC.socket(LibC.AF_INET, LibC.SOCK_DGRAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0);
        if (fd < 0) return $"no UDP socket can be opened ({Errno()})";
        try
        {
            // The kernel itself says what kind of socket our constants made.
            return Reads(fd, LibC.SOL_SOCKET, LibC.SO_TYPE, LibC.SOCK_DGRAM, "SO_TYPE")
                ?? Reads(fd, LibC.SOL_SOCKET, LibC.SO_DOMAIN, LibC.AF_INET, "SO_DOMAIN")
                ?? Reads(fd, LibC.SOL_SOCKET, LibC.SO_PROTOCOL, LibC.SOL_UDP, "SO_PROTOCOL")
                ?? Sets(fd, LibC.SOL_SOCKET, LibC.SO_REUSEPORT, 1, "SO_REUSEPORT")
                ?? Sets(fd, LibC.SOL_SOCKET, LibC.SO_RXQ_OVFL, 1, "SO_RXQ_OVFL")
                ?? Sets(fd, LibC.IPPROTO_IP, LibC.IP_MTU_DISCOVER, LibC.IP_PMTUDISC_DO, "IP_MTU_DISCOVER")
                ?? Buffer(fd);
        }
        finally
        {
            _ = LibC.close(fd);
        }
    }

    private static string? Reads(int fd, int level, int name, int expected, string text)
    {
        int value = 0;
        uint length = 4;
        if (LibC.getsockopt(fd, level, name, &value, &length) != 0) return $"{text} cannot be read ({Errno()})";
        return value == expected ? null : $"{text} reads {value} instead of {expected}";
    }

    private static string? Sets(int fd, int level, int name, int value, string text)
        => LibC.setsockopt(fd, level, name, &value, 4) != 0 ? $"{text} cannot be set ({Errno()})" : Reads(fd, level, name, value, text);

    private static string? Buffer(int fd)
    {
        int bytes = 65536;
        if (LibC.setsockopt(fd, LibC.SOL_SOCKET, LibC.SO_RCVBUF, &bytes, 4) != 0) return $"SO_RCVBUF cannot be set ({Errno()})";
        return Reads(fd, LibC.SOL_SOCKET, LibC.SO_RCVBUF, 2 * bytes, "SO_RCVBUF"); // the kernel doubles it for its own book-keeping
    }

    private static string? Batches()
    {
        int* pair = stackalloc int[2];
        if (LibC.socketpair(LibC.AF_UNIX, LibC.SOCK_DGRAM | LibC.SOCK_NONBLOCK | LibC.SOCK_CLOEXEC, 0, pair) != 0) return $"no socket pair can be opened ({Errno()})";
        try
        {
            byte* sent = stackalloc byte[8];
            for (int i = 0; i < 8; i++) sent[i] = (byte)(i + 1);
            iovec* pieces = stackalloc iovec[3];
            pieces[0] = new iovec { iov_base = sent + 4, iov_len = 2 }; // first message: 5 6 1 2 3
            pieces[1] = new iovec { iov_base = sent, iov_len = 3 };
            pieces[2] = new iovec { iov_base = sent + 6, iov_len = 1 }; // second message: 7
            mmsghdr* m = stackalloc mmsghdr[2];
            m[0] = new mmsghdr { msg_hdr = new msghdr { msg_iov = pieces, msg_iovlen = 2 } };
            m[1] = new mmsghdr { msg_hdr = new msghdr { msg_iov = pieces + 2, msg_iovlen = 1 } };
            int n = LibC.sendmmsg(pair[0], m, 2, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL);
            if (n != 2 || m[0].msg_len != 5 || m[1].msg_len != 1) return $"sendmmsg sent {n} messages of {m[0].msg_len} and {m[1].msg_len} bytes instead of 2 of 5 and 1";

            byte* got = stackalloc byte[32];
            for (int i = 0; i < 2; i++)
            {
                pieces[i] = new iovec { iov_base = got + 16 * i, iov_len = 16 };
                m[i] = new mmsghdr { msg_hdr = new msghdr { msg_iov = pieces + i, msg_iovlen = 1 } };
            }

            n = LibC.recvmmsg(pair[1], m, 2, LibC.MSG_DONTWAIT, null);
            if (n != 2 || m[0].msg_len != 5 || m[1].msg_len != 1) return $"recvmmsg received {n} messages of {m[0].msg_len} and {m[1].msg_len} bytes instead of 2 of 5 and 1";
            bool right = got[0] == 5 && got[1] == 6 && got[2] == 1 && got[3] == 2 && got[4] == 3 && got[16] == 7;
            if (!right) return "a batch came through a socket pair with other bytes";

            n = LibC.recvmmsg(pair[1], m, 2, LibC.MSG_DONTWAIT, null);
            int errno = Marshal.GetLastPInvokeError();
            return n == -1 && errno == LibC.EAGAIN ? null : $"an empty socket answered {n}, errno {errno} instead of EAGAIN";
        }
        finally
        {
            _ = LibC.close(pair[0]);
            _ = LibC.close(pair[1]);
        }
    }

    private static string? Clock()
    {
        timespec t;
        return LibC.clock_gettime(LibC.CLOCK_THREAD_CPUTIME_ID, &t) == 0 && t.tv_sec >= 0 && t.tv_nsec is >= 0 and < 1_000_000_000 ? null : "the thread's CPU clock cannot be read";
    }

    private static string Errno()
    {
        int errno = Marshal.GetLastPInvokeError();
        return $"{Marshal.GetPInvokeErrorMessage(errno)}, errno {errno}";
    }
}
