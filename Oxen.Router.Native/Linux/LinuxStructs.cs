using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

// Structures shared with the kernel on 64-bit little-endian Linux (x86-64, arm64). Names are the manual pages'.
// NativeSelfTest checks sizes, offsets and the meaning of the constants before the first use.

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct iovec
{
    public byte* iov_base;
    public nuint iov_len;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct msghdr
{
    public byte* msg_name;
    public uint msg_namelen;
    public iovec* msg_iov;
    public nuint msg_iovlen;
    public byte* msg_control;
    public nuint msg_controllen;
    public int msg_flags;
}

[StructLayout(LayoutKind.Sequential)]
internal struct mmsghdr
{
    public msghdr msg_hdr;
    public uint msg_len;
}

[StructLayout(LayoutKind.Sequential)]
internal struct cmsghdr
{
    public nuint cmsg_len;
    public int cmsg_level;
    public int cmsg_type;
}

[StructLayout(LayoutKind.Sequential)]
internal struct sockaddr_in
{
    public ushort sin_family;
    public ushort sin_port;   // network order
    public uint sin_addr;     // network order
    public ulong sin_zero;
}

// 28 bytes: two ulongs would raise the alignment to 8 and the size to 32.
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct sockaddr_in6
{
    public ushort sin6_family;
    public ushort sin6_port;  // network order
    public uint sin6_flowinfo;
    public ulong sin6_addr_high; // network order
    public ulong sin6_addr_low;  // network order
    public uint sin6_scope_id;
}

[StructLayout(LayoutKind.Sequential)]
internal struct timespec
{
    public long tv_sec;
    public long tv_nsec;
}

[StructLayout(LayoutKind.Sequential)]
internal struct pollfd
{
    public int fd;
    public short events;
    public short revents;
}

[StructLayout(LayoutKind.Sequential)]
internal struct sock_filter
{
    public ushort code;
    public byte jt;
    public byte jf;
    public uint k;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sock_fprog
{
    public ushort len;
    public sock_filter* filter;
}

[StructLayout(LayoutKind.Sequential)]
internal struct rlimit
{
    public ulong rlim_cur;
    public ulong rlim_max;
}

/// <summary>struct rusage: 16 longs; only the two at the end are used.</summary>
[StructLayout(LayoutKind.Sequential, Size = 144)]
internal struct rusage
{
    public long utime_sec, utime_usec, stime_sec, stime_usec;
    public long ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt, ru_majflt, ru_nswap, ru_inblock, ru_oublock, ru_msgsnd, ru_msgrcv, ru_nsignals;
    public long ru_nvcsw;
    public long ru_nivcsw;
}
