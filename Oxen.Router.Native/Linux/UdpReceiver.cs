using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

// One recvmmsg for up to `slots` receives, each into its slot of the slab:
//   slab   | slot 0 (64 KiB) | slot 1 | ...                          bytes of the datagrams; a GRO receive fills most of a slot
//   _work  | mmsghdr x slots | iovec x slots | sockaddr x slots | control x slots     written once, lengths put right after each call

/// <summary>Receives in batches. One thread at a time.</summary>
internal sealed unsafe class UdpReceiver : IDisposable
{
    private const int NameBytes = 32, ControlBytes = 64;

    private readonly PinnedBlock _work;
    private readonly int _slots;
    private readonly mmsghdr* _messages;
    private PinnedBlock? _slab;
    private int _offset = -1, _slotBytes;
    private uint _dropsSeen;

    public UdpReceiver(int slots)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(slots, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(slots, 1024);
        _slots = slots;
        _work = new PinnedBlock(slots * (sizeof(mmsghdr) + sizeof(iovec) + NameBytes + ControlBytes));
        _messages = (mmsghdr*)_work.Start;
    }

    /// <summary>Takes what is there, without waiting. `arrivals` must have room for every slot.</summary>
    /// <param name="kernelDrops">Datagrams that the kernel dropped since the last call for want of buffer.</param>
    /// <exception cref="UdpSocketLostException">The socket must be made anew.</exception>
    public int Receive(LinuxUdpSocket socket, PinnedBlock slab, int offset, int slotBytes, Span<UdpArrival> arrivals, out uint kernelDrops)
    {
        ObjectDisposedException.ThrowIf(_work.Start is null, this);
        if (arrivals.Length < _slots) throw new ArgumentException("fewer arrivals than slots", nameof(arrivals));
        if (!ReferenceEquals(slab, _slab) || offset != _offset || slotBytes != _slotBytes) PointAt(slab, offset, slotBytes);
        kernelDrops = 0;
        int fd = socket.Fd;
        int n;
        for (int attempt = 0; (n = LibC.recvmmsg(fd, _messages, (uint)_slots, LibC.MSG_DONTWAIT, null)) < 0; attempt++)
        {
            int errno = Marshal.GetLastPInvokeError();
            if (errno == LibC.EAGAIN) return 0;
            if (errno is LibC.EBADF or LibC.ENOTSOCK or LibC.EFAULT or LibC.EINVAL) throw new UdpSocketLostException("recvmmsg", errno);

            // Interrupted, or an error that an earlier datagram brought home (ICMP): reading it took it away.
            if (attempt == 8) return 0;
        }

        for (int i = 0; i < n; i++)
        {
            ref msghdr m = ref _messages[i].msg_hdr;
            int length = (int)_messages[i].msg_len;
            int segment = length;
            if (m.msg_controllen != 0) ReadControl(ref m, ref segment, ref kernelDrops);
            ref UdpArrival a = ref arrivals[i];
            a.Offset = offset + i * slotBytes;
            a.Length = length;
            a.SegmentBytes = Math.Max(1, segment); // never 0, also for an empty datagram: it is a step width
            a.From = LinuxUdpSocket.Read(m.msg_name);
            m.msg_namelen = NameBytes;
            m.msg_controllen = ControlBytes;
        }

        GC.KeepAlive(slab);
        return n;
    }

    public void Dispose() => _work.Dispose();

    private void ReadControl(ref msghdr m, ref int segment, ref uint kernelDrops)
    {
        byte* p = m.msg_control;
        byte* end = p + m.msg_controllen;
        while (p + sizeof(cmsghdr) <= end)
        {
            var c = (cmsghdr*)p;
            if (c->cmsg_len < (nuint)sizeof(cmsghdr) || c->cmsg_len > (nuint)(end - p)) break;
            byte* data = p + sizeof(cmsghdr);
            if (c->cmsg_level == LibC.SOL_UDP && c->cmsg_type == LibC.UDP_GRO)
            {
                segment = *(int*)data;
            }
            else if (c->cmsg_level == LibC.SOL_SOCKET && c->cmsg_type == LibC.SO_RXQ_OVFL)
            {
                uint total = *(uint*)data;
                kernelDrops += total - _dropsSeen;
                _dropsSeen = total;
            }

            p += (c->cmsg_len + 7) & ~(nuint)7;
        }
    }

    private void PointAt(PinnedBlock slab, int offset, int slotBytes)
    {
        ArgumentNullException.ThrowIfNull(slab);
        ArgumentOutOfRangeException.ThrowIfLessThan(slotBytes, 1);
        if (offset < 0 || (long)offset + (long)_slots * slotBytes > slab.Length) throw new ArgumentOutOfRangeException(nameof(offset));
        var pieces = (iovec*)(_messages + _slots);
        byte* names = (byte*)(pieces + _slots);
        byte* controls = names + _slots * NameBytes;
        for (int i = 0; i < _slots; i++)
        {
            pieces[i] = new iovec { iov_base = slab.Start + offset + (long)i * slotBytes, iov_len = (nuint)slotBytes };
            _messages[i] = new mmsghdr
            {
                msg_hdr = new msghdr
                {
                    msg_name = names + i * NameBytes,
                    msg_namelen = NameBytes,
                    msg_iov = pieces + i,
                    msg_iovlen = 1,
                    msg_control = controls + i * ControlBytes,
                    msg_controllen = ControlBytes,
                },
            };
        }

        _slab = slab;
        _offset = offset;
        _slotBytes = slotBytes;
    }
}
