using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

// What TUN devices, netlink and network namespaces need: linux/if_tun.h, netlink(7), rtnetlink(7), namespaces(7).
internal static unsafe partial class LibC
{
    public const int O_RDWR = 2, O_RDONLY = 0, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    public const nuint TUNSETIFF = 0x400454ca, TUNSETOFFLOAD = 0x400454d0, TUNSETVNETHDRSZ = 0x400454d8;
    public const short IFF_TUN = 1, IFF_MULTI_QUEUE = 0x100, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000;
    public const uint TUN_F_CSUM = 1, TUN_F_TSO4 = 2, TUN_F_TSO6 = 4, TUN_F_TSO_ECN = 8, TUN_F_USO4 = 0x20, TUN_F_USO6 = 0x40;

    public const int SO_MARK = 36;
    public const int AF_NETLINK = 16, SOCK_RAW = 3, NETLINK_ROUTE = 0, SOL_NETLINK = 270, NETLINK_EXT_ACK = 11;
    public const int CLONE_NEWNET = 0x40000000;
    public const int ENOENT = 2, ENXIO = 6, EEXIST = 17, ENODEV = 19, EBUSY = 16, EBADFD = 77, EAFNOSUPPORT = 97, EOPNOTSUPP = 95, ENOSYS = 38, ESRCH = 3;

    [LibraryImport(Library, SetLastError = true)]
    public static partial int ioctl(int fd, nuint request, void* argument);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int open(string path, int flags);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint read_errno(int fd, void* buffer, nuint count);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint writev(int fd, iovec* pieces, int count);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint if_nametoindex(string name);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint send(int fd, void* buffer, nuint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial nint recv(int fd, void* buffer, nuint length, int flags);

    [LibraryImport(Library, SetLastError = true)]
    public static partial int setns(int fd, int type);
}

[StructLayout(LayoutKind.Sequential, Size = 40)]
internal unsafe struct ifreq
{
    public fixed byte ifr_name[16];
    public short ifr_flags;
}
