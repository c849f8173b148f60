using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

/// <summary>The C library's calls that this assembly needs, and their constants, under the names of the manual pages.</summary>
internal static unsafe partial class LibC
{
    private const string Library = "libc";

    // socket(2)
    public const int AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10;
    public const int SOCK_DGRAM = 2, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;

    // Levels and options: socket(7), ip(7), ipv6(7), udp(7)
    public const int SOL_SOCKET = 1, SO_TYPE = 3, SO_ERROR = 4, SO_SNDBUF = 7, SO_RCVBUF = 8, SO_REUSEPORT = 15;
    public const int SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_ATTACH_REUSEPORT_CBPF = 51;
    public const int IPPROTO_IP = 0, IP_MTU_DISCOVER = 10, IP_PMTUDISC_DO = 2;
    public const int IPPROTO_IPV6 = 41, IPV6_MTU_DISCOVER = 23, IPV6_V6ONLY = 26, IPV6_PMTUDISC_DO = 2;
    public const int SOL_UDP = 17, UDP_SEGMENT = 103, UDP_GRO = 104;
    public const int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_TRUNC = 0x20, MSG_CTRUNC = 0x8;

    // poll(2), eventfd(2)
    public const short POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLNVAL = 0x20;
    public const int EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;

    // errno(3)
    public const int EPERM = 1, EINTR = 4, EIO = 5, EBADF = 9, EAGAIN = 11, ENOMEM = 12, EACCES = 13, EFAULT = 14, EINVAL = 22, ENOTSOCK = 88;
    public const int EMSGSIZE = 90, EPROTOTYPE = 91, ENOPROTOOPT = 92, EADDRINUSE = 98, EADDRNOTAVAIL = 99, ENETDOWN = 100, ENETUNREACH = 101, ENOBUFS = 105, ECONNREFUSED = 111, EHOSTUNREACH = 113;

    // bpf: classic filters (linux/bpf_common.h)
    public const ushort BPF_LD_W_ABS = 0x20, BPF_LD_B_ABS = 0x30, BPF_ALU_AND_K = 0x54, BPF_ALU_MOD_K = 0x94, BPF_JMP_JEQ_K = 0x15, BPF_RET_K = 0x06, BPF_RET_A = 0x16;

    // mmap(2), madvise(2), prctl(2), getrlimit(2), clock_gettime(2), getrusage(2)
    public const int PROT_NONE = 0, PROT_READ = 1, PROT_WRITE = 2, MAP_PRIVATE = 2, MAP_ANONYMOUS = 0x20;
    public const int MADV_HUGEPAGE = 14, MADV_DONTDUMP = 16, MADV_WIPEONFORK = 18, MADV_POPULATE_WRITE = 23;
    public const int PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4;
    public const int RLIMIT_MEMLOCK = 8;
    public const int CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_THREAD_CPUTIME_ID = 3;
    public const int RUSAGE_THREAD = 1;
    public const int SC_PAGESIZE = 30;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int socket(int domain, int type, int protocol);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int socketpair(int domain, int type, int protocol, int* pair);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int bind(int fd, byte* address, uint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int getsockname(int fd, byte* address, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int getsockopt(int fd, int level, int name, void* value, uint* length);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int recvmmsg(int fd, mmsghdr* messages, uint count, int flags, timespec* timeout);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int sendmmsg(int fd, mmsghdr* messages, uint count, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint sendmsg(int fd, msghdr* message, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint recvmsg(int fd, msghdr* message, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ppoll(pollfd* fds, nuint count, timespec* timeout, void* signals);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int eventfd(uint initial, int flags);

    [LibraryImport(Library)]
    public static partial nint read(int fd, void* buffer, nuint count);

    [LibraryImport(Library)]
    public static partial nint write(int fd, void* buffer, nuint count);

    [LibraryImport(Library)]
    public static partial int close(int fd);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint mmap(nint address, nuint length, int protection, int flags, int fd, nint offset);

    [LibraryImport(Library)]
    public static partial int munmap(nint address, nuint length);

    [LibraryImport(Library)]
    public static partial int mprotect(nint address, nuint length, int protection);

    [LibraryImport(Library)]
    public static partial int mlock(nint address, nuint length);

    [LibraryImport(Library)]
    public static partial int munlock(nint address, nuint length);

    [LibraryImport(Library)]
    public static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport(Library)]
    public static partial int prctl(int option, nuint a, nuint b, nuint c, nuint d);

    [LibraryImport(Library)]
    public static partial int getrlimit(int resource, rlimit* limit);

    [LibraryImport(Library)]
    public static partial int clock_gettime(int clock, timespec* time);

    [LibraryImport(Library)]
    public static partial int getrusage(int who, rusage* usage);

    [LibraryImport(Library)]
    public static partial int sched_setaffinity(int thread, nuint size, ulong* mask);

    [LibraryImport(Library)]
    public static partial int setpriority(int which, uint who, int nice);

    [LibraryImport(Library)]
    public static partial nint sysconf(int name);
}
