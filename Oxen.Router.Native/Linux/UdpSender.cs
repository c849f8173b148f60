using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

// A batch of datagrams becomes as few messages as possible, and the messages one sendmmsg:
//   datagrams  A A A a  B B  A          (letter: route; capital: full length, small: shorter)
//   messages   [A A A a][B B][A]        a run = equal route, equal length, the last may be shorter; cut by the kernel (UDP_SEGMENT)
//   iovecs     neighbours in memory are one piece
// Errors stay with the message they belong to: sendmmsg stops at a message that fails, and we go on behind it.

/// <summary>Sends in batches. One thread at a time; several senders may share a socket.</summary>
internal sealed unsafe class UdpSender : IDisposable
{
    /// <summary>More segments than this the kernel does not cut (UDP_MAX_SEGMENTS of all versions that have it).</summary>
    public const int MaxSegments = 64;

    /// <summary>Payload of one send: with UDP, IPv6 and Ethernet headers it must stay below 65 536, else the kernel cuts in software before the device.</summary>
    public const int MaxSendBytes = 65473;

    /// <summary>How long a batch may wait for a full socket queue before the rest of it is dropped.</summary>
    private const long PatienceNanoseconds = 1_000_000;

    private const int Messages = 256, Pieces = 2048, NameBytes = 32, ControlBytes = 24;

    private readonly PinnedBlock _work;
    private readonly mmsghdr* _messages;
    private readonly iovec* _pieces;
    private readonly byte* _names;
    private readonly byte* _controls;
    private readonly int[] _first = new int[Messages];    // the first datagram of each message
    private readonly int[] _segments = new int[Messages]; // and how many it has

    public UdpSender()
    {
        _work = new PinnedBlock(Messages * (sizeof(mmsghdr) + NameBytes + ControlBytes) + Pieces * sizeof(iovec));
        _messages = (mmsghdr*)_work.Start;
        _pieces = (iovec*)(_messages + Messages);
        _names = (byte*)(_pieces + Pieces);
        _controls = _names + Messages * NameBytes;
        for (int i = 0; i < Messages; i++)
        {
            var c = (cmsghdr*)(_controls + i * ControlBytes);
            c->cmsg_len = (nuint)(sizeof(cmsghdr) + sizeof(ushort));
            c->cmsg_level = LibC.SOL_UDP;
            c->cmsg_type = LibC.UDP_SEGMENT;
        }
    }

    /// <exception cref="UdpSocketLostException">The socket must be made anew.</exception>
    public UdpSendResult Send(LinuxUdpSocket socket, PinnedBlock slab, ReadOnlySpan<UdpDeparture> batch, ReadOnlySpan<UdpEndPoint> routes)
    {
        ObjectDisposedException.ThrowIf(_work.Start is null, this);
        ArgumentNullException.ThrowIfNull(slab);
        byte* start = slab.Start;
        ObjectDisposedException.ThrowIf(start is null, slab);
        bool segmentation = socket.Segmentation;
        bool v6 = socket.IsV6;
        var result = default(UdpSendResult);
        bool waited = false;
        int messages = 0, pieces = 0;
        for (int i = 0; i < batch.Length;)
        {
            UdpDeparture head = batch[i];
            Check(head, slab.Length, routes.Length);
            int most = segmentation && head.Length > 0 ? Math.Clamp(MaxSendBytes / head.Length, 1, MaxSegments) : 1;
            if (messages == Messages || pieces + most > Pieces)
            {
                Flush(socket, slab, batch, messages, ref result, ref waited);
                messages = pieces = 0;
            }

            int firstPiece = pieces;
            iovec* piece = _pieces + pieces++;
            piece->iov_base = start + head.Offset;
            piece->iov_len = (nuint)head.Length;
            int end = head.Offset + head.Length;
            int n = 1;
            while (n < most && i + n < batch.Length)
            {
                UdpDeparture next = batch[i + n];
                if (next.Route != head.Route || next.Length > head.Length || next.Length == 0) break;
                Check(next, slab.Length, routes.Length);
                if (next.Offset == end)
                {
                    piece->iov_len += (nuint)next.Length;
                }
                else
                {
                    piece = _pieces + pieces++;
                    piece->iov_base = start + next.Offset;
                    piece->iov_len = (nuint)next.Length;
                }

                end = next.Offset + next.Length;
                n++;
                if (next.Length < head.Length) break;
            }

            ref msghdr m = ref _messages[messages].msg_hdr;
            m.msg_name = _names + messages * NameBytes;
            m.msg_namelen = LinuxUdpSocket.Write(m.msg_name, routes[head.Route], v6);
            m.msg_iov = _pieces + firstPiece;
            m.msg_iovlen = (nuint)(pieces - firstPiece);
            if (n > 1)
            {
                byte* control = _controls + messages * ControlBytes;
                *(ushort*)(control + sizeof(cmsghdr)) = (ushort)head.Length;
                m.msg_control = control;
                m.msg_controllen = ControlBytes;
            }
            else
            {
                m.msg_control = null;
                m.msg_controllen = 0;
            }

            _first[messages] = i;
            _segments[messages++] = n;
            i += n;
        }

        if (messages > 0) Flush(socket, slab, batch, messages, ref result, ref waited);
        GC.KeepAlive(slab);
        return result;
    }

    public void Dispose() => _work.Dispose();

    private static void Check(in UdpDeparture d, int slabBytes, int routes)
    {
        if ((uint)d.Length > (uint)slabBytes || (uint)d.Offset > (uint)(slabBytes - d.Length) || (uint)d.Route >= (uint)routes) ThrowOutside();
    }

    private static void ThrowOutside() => throw new ArgumentException("a datagram lies outside the slab or names no route", "batch");

    private void Flush(LinuxUdpSocket socket, PinnedBlock slab, ReadOnlySpan<UdpDeparture> batch, int messages, ref UdpSendResult result, ref bool waited)
    {
        int fd = socket.Fd;
        int attempts = 0;
        for (int done = 0; done < messages;)
        {
            int n = LibC.sendmmsg(fd, _messages + done, (uint)(messages - done), LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL);
            if (n > 0)
            {
                for (int i = done; i < done + n; i++) result.Sent += _segments[i];
                done += n;
                attempts = 0;
                continue;
            }

            int errno = Marshal.GetLastPInvokeError();
            switch (errno)
            {
                case LibC.EINTR:
                    continue;

                case LibC.EAGAIN:
                    // The socket's own queue is full: the device is slower than we are. Wait a little, once; then drop the rest.
                    if (!waited)
                    {
                        waited = true;
                        if (WaitWritable(fd)) continue;
                    }

                    for (int i = done; i < messages; i++) result.QueueFull += _segments[i];
                    return;

                case LibC.ENOBUFS or LibC.ENOMEM:
                    result.QueueFull += _segments[done++];
                    break;

                case LibC.EBADF or LibC.ENOTSOCK or LibC.EFAULT:
                    throw new UdpSocketLostException("sendmmsg", errno);

                case LibC.ECONNREFUSED or LibC.EHOSTUNREACH or LibC.ENETUNREACH when attempts < 2:
                    // May be an answer (ICMP) to an earlier datagram, told to us at this one: asking again tells them apart.
                    attempts++;
                    continue;

                case LibC.EIO when _segments[done] > 1:
                    // The device has no checksum offload, which UDP_SEGMENT needs: go on without it.
                    socket.Segmentation = false;
                    SendSingly(socket, slab, batch, done, ref result);
                    done++;
                    break;

                default:
                    result.Refused += _segments[done++];
                    break;
            }

            attempts = 0;
        }
    }

    // The datagrams of one message, each on its own.
    private void SendSingly(LinuxUdpSocket socket, PinnedBlock slab, ReadOnlySpan<UdpDeparture> batch, int message, ref UdpSendResult result)
    {
        msghdr m = _messages[message].msg_hdr;
        iovec piece;
        m.msg_iov = &piece;
        m.msg_iovlen = 1;
        m.msg_control = null;
        m.msg_controllen = 0;
        foreach (UdpDeparture d in batch.Slice(_first[message], _segments[message]))
        {
            piece.iov_base = slab.Start + d.Offset;
            piece.iov_len = (nuint)d.Length;
            if (LibC.sendmsg(socket.Fd, &m, LibC.MSG_DONTWAIT | LibC.MSG_NOSIGNAL) >= 0) result.Sent++;
            else if (Marshal.GetLastPInvokeError() is LibC.EAGAIN or LibC.ENOBUFS) result.QueueFull++;
            else result.Refused++;
        }
    }

    private static bool WaitWritable(int fd)
    {
        var p = new pollfd { fd = fd, events = LibC.POLLOUT };
        timespec time = new() { tv_nsec = PatienceNanoseconds };
        return LibC.ppoll(&p, 1, &time, null) > 0 && (p.revents & LibC.POLLOUT) != 0;
    }
}
