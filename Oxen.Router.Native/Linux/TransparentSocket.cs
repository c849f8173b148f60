using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

/// <summary>Sockets that take what was sent to addresses of others: the far side of nft's `tproxy` (Documentation/networking/tproxy.rst).</summary>
internal static unsafe class TransparentSocket
{
    private const int IP_TRANSPARENT = 19, IP_RECVORIGDSTADDR = 20, IPV6_RECVORIGDSTADDR = 74, IPV6_TRANSPARENT = 75; // ip(7), linux/in6.h
    private const int AddressBytes = 28, ControlBytes = 128;

    /// <summary>Before it is bound. What a listener accepts has it too.</summary>
    /// <exception cref="SocketException">CAP_NET_ADMIN is missing.</exception>
    public static void Allow(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (socket.AddressFamily == AddressFamily.InterNetwork) socket.SetRawSocketOption(LibC.IPPROTO_IP, IP_TRANSPARENT, BitConverter.GetBytes(1));
        else socket.SetRawSocketOption(LibC.IPPROTO_IPV6, IPV6_TRANSPARENT, BitConverter.GetBytes(1));
    }

    /// <summary>A UDP socket that says where each datagram was sent to (<see cref="Receive"/>).</summary>
    public static void TellDestinations(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        if (socket.AddressFamily == AddressFamily.InterNetwork) socket.SetRawSocketOption(LibC.IPPROTO_IP, IP_RECVORIGDSTADDR, BitConverter.GetBytes(1));
        else socket.SetRawSocketOption(LibC.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, BitConverter.GetBytes(1));
    }

    /// <summary>Takes one datagram without waiting. Gives its length; -1: there is none. What does not fit is cut.</summary>
    /// <exception cref="SocketException">An error of an earlier datagram, or the socket is gone.</exception>
    public static int Receive(Socket socket, Span<byte> buffer, out IPEndPoint? from, out IPEndPoint? to)
    {
        ArgumentNullException.ThrowIfNull(socket);
        (from, to) = (null, null);
        byte* name = stackalloc byte[AddressBytes], control = stackalloc byte[ControlBytes];
        bool held = false;
        try
        {
            socket.SafeHandle.DangerousAddRef(ref held);
            fixed (byte* p = buffer)
            {
                var piece = new iovec { iov_base = p, iov_len = (nuint)buffer.Length };
                var message = new msghdr { msg_name = name, msg_namelen = AddressBytes, msg_iov = &piece, msg_iovlen = 1, msg_control = control, msg_controllen = ControlBytes };
                nint length = LibC.recvmsg((int)socket.SafeHandle.DangerousGetHandle(), &message, LibC.MSG_DONTWAIT);
                if (length < 0)
                {
                    int errno = Marshal.GetLastPInvokeError();
                    return errno is LibC.EAGAIN or LibC.EINTR ? -1 : throw new SocketException(errno);
                }

                from = Read(new ReadOnlySpan<byte>(name, (int)message.msg_namelen));
                byte* at = control, end = control + message.msg_controllen;
                while (at + sizeof(cmsghdr) <= end)
                {
                    var head = (cmsghdr*)at;
                    if (head->cmsg_len < (nuint)sizeof(cmsghdr) || head->cmsg_len > (nuint)(end - at)) break;
                    if ((head->cmsg_level, head->cmsg_type) is (LibC.IPPROTO_IP, IP_RECVORIGDSTADDR) or (LibC.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR)) to = Read(new ReadOnlySpan<byte>(at + sizeof(cmsghdr), (int)head->cmsg_len - sizeof(cmsghdr)));
                    at += (head->cmsg_len + 7) & ~(nuint)7;
                }

                return (int)length;
            }
        }
        finally
        {
            if (held) socket.SafeHandle.DangerousRelease();
        }
    }

    /// <summary>The near end as the kernel has it: for an accepted connection what its client connected to. <see cref="Socket.LocalEndPoint"/> gives the listener's.</summary>
    /// <exception cref="SocketException">The socket is gone.</exception>
    public static IPEndPoint LocalOf(Socket socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        byte* name = stackalloc byte[AddressBytes];
        uint length = AddressBytes;
        bool held = false;
        try
        {
            socket.SafeHandle.DangerousAddRef(ref held);
            if (LibC.getsockname((int)socket.SafeHandle.DangerousGetHandle(), name, &length) != 0) throw new SocketException(Marshal.GetLastPInvokeError());
        }
        finally
        {
            if (held) socket.SafeHandle.DangerousRelease();
        }

        return Read(new ReadOnlySpan<byte>(name, (int)length)) ?? throw new SocketException(LibC.EAFNOSUPPORT);
    }

    // struct sockaddr_in, sockaddr_in6: family 2 (ours), port 2, then address 4, or flow 4 and address 16
    private static IPEndPoint? Read(ReadOnlySpan<byte> name)
    {
        if (name.Length < 8) return null;
        int family = MemoryMarshal.Read<ushort>(name), port = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        return family switch
        {
            LibC.AF_INET => new IPEndPoint(new IPAddress(name.Slice(4, 4)), port),
            LibC.AF_INET6 when name.Length >= 24 => new IPEndPoint(new IPAddress(name.Slice(8, 16)), port),
            _ => null,
        };
    }
}
