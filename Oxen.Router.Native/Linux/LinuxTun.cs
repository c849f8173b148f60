using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Oxen.Router.Native.Linux;

/// <summary>Why a TUN device cannot be opened or set up.</summary>
internal enum TunFault
{
    /// <summary>/dev/net/tun is missing.</summary>
    NoDevice,

    /// <summary>CAP_NET_ADMIN is missing.</summary>
    NotPermitted,

    /// <summary>An interface of this name exists.</summary>
    NameTaken,

    /// <summary>Not a name for an interface.</summary>
    BadName,

    /// <summary>An address, a route or a rule that is to be set exists already.</summary>
    RangeTaken,

    /// <summary>The kernel refuses, for a reason in the words.</summary>
    Refused,
}

/// <summary>A TUN device, an address, a route or a rule was refused. The message says what and why.</summary>
internal sealed class TunException(TunFault fault, string message, int errno = 0) : IOException(message, errno)
{
    public TunFault Fault { get; } = fault;

    public int Errno { get; } = errno;
}

/// <summary>Bytes of a slab, as a piece of a packet to write. The layout is shared with the core's own type.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SlabPiece
{
    public int Offset;
    public int Length;
}

/// <summary>
/// One queue of a TUN device with IFF_VNET_HDR: super-packets come and go with a virtio_net_hdr of 10 bytes in front
/// (Documentation/networking/tuntap.rst). The device vanishes with its last queue, and its addresses and routes with it.
/// </summary>
internal sealed unsafe class LinuxTun : IDisposable
{
    public const int HeaderBytes = 10;
    public const int MaxQueues = 16;

    // A super-packet of 64 KiB has at most 64 segments; a little more, so that the shape is the caller's affair.
    private const int MaxPieces = 256;

    private readonly SafeFileHandle _handle;

    private LinuxTun(SafeFileHandle handle, string name)
    {
        _handle = handle;
        Name = name;
    }

    public string Name { get; }

    /// <summary>What the kernel may leave to us, of TUN_F_*: checksums, TSO for both families, USO (Linux 6.2).</summary>
    public uint Offloads { get; private set; }

    public bool HasUdpSegmentation => (Offloads & LibC.TUN_F_USO4) != 0;

    internal int Fd
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return (int)_handle.DangerousGetHandle();
        }
    }

    /// <summary>Makes a device of the name, with so many queues.</summary>
    /// <param name="superPackets">Super-packets and unfinished checksums are left to us; false: the kernel cuts and sums, and every packet is one of the wire.</param>
    /// <exception cref="TunException">It cannot be made; the fault says why.</exception>
    public static LinuxTun[] Open(string name, int queues, bool superPackets = true)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(queues, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(queues, MaxQueues);
        if (name.Length > 15 || name is "." or ".." || name.AsSpan().ContainsAnyExceptInRange('!', '~') || name.AsSpan().ContainsAny('/', ':', '%'))
        {
            throw new TunException(TunFault.BadName, $"\"{name}\" is no name for an interface: 1 to 15 letters, digits or dashes");
        }

        // An existing device with queues would take ours in among its own.
        if (LibC.if_nametoindex(name) != 0) throw new TunException(TunFault.NameTaken, $"an interface named {name} exists already");
        var tuns = new LinuxTun[queues];
        try
        {
            for (int i = 0; i < queues; i++) tuns[i] = OpenQueue(name, superPackets);
            return tuns;
        }
        catch
        {
            foreach (LinuxTun? t in tuns) t?.Dispose();
            throw;
        }
    }

    /// <summary>Reads one packet: 10 bytes of header to `offset - 10`, the IP packet to `offset`. Returns its length, 0 when there is none.</summary>
    /// <exception cref="TunException">The device is gone.</exception>
    public int Read(PinnedBlock slab, int offset, int capacity)
    {
        Span<byte> room = slab.Slice(offset - HeaderBytes, HeaderBytes + capacity);
        while (true)
        {
            nint n;
            fixed (byte* to = room) n = LibC.read_errno(Fd, to, (nuint)room.Length);
            if (n > HeaderBytes) return (int)n - HeaderBytes;
            if (n >= 0) continue; // a packet of nothing
            switch (Marshal.GetLastPInvokeError())
            {
                case LibC.EAGAIN:
                    return 0;
                case LibC.EINTR:
                    continue;
                default:
                    throw Lost();
            }
        }
    }

    /// <summary>Writes one packet from its pieces. False: the kernel refused it (malformed, no memory, interface down).</summary>
    /// <exception cref="TunException">The device is gone.</exception>
    public bool Write(ReadOnlySpan<byte> header, PinnedBlock slab, ReadOnlySpan<SlabPiece> pieces)
    {
        if (header.Length != HeaderBytes) throw new ArgumentException("a virtio header has 10 bytes", nameof(header));
        if (pieces.Length > MaxPieces) return false;
        iovec* vector = stackalloc iovec[1 + pieces.Length];
        fixed (byte* h = header)
        {
            vector[0] = new iovec { iov_base = h, iov_len = HeaderBytes };
            for (int i = 0; i < pieces.Length; i++)
            {
                SlabPiece piece = pieces[i];
                if ((uint)piece.Offset > (uint)slab.Length || (uint)piece.Length > (uint)(slab.Length - piece.Offset)) throw new ArgumentOutOfRangeException(nameof(pieces));
                vector[1 + i] = new iovec { iov_base = slab.Start + piece.Offset, iov_len = (nuint)piece.Length };
            }

            while (true)
            {
                if (LibC.writev(Fd, vector, 1 + pieces.Length) >= 0) return true;
                switch (Marshal.GetLastPInvokeError())
                {
                    case LibC.EINTR:
                        continue;
                    case LibC.EBADF or LibC.EBADFD or LibC.ENODEV:
                        throw Lost();
                    default: // EINVAL: a shape that the kernel does not take; EIO: the interface is down; EAGAIN, ENOMEM
                        return false;
                }
            }
        }
    }

    /// <summary>Waits until there is something to read, or so long.</summary>
    public void Wait(int milliseconds)
    {
        var waits = new pollfd { fd = Fd, events = LibC.POLLIN };
        var time = new timespec { tv_sec = milliseconds / 1000, tv_nsec = milliseconds % 1000 * 1_000_000 };
        LibC.ppoll(&waits, 1, &time, null); // an error, or the device's end: the next read says which
    }

    public void Dispose() => _handle.Dispose();

    private TunException Lost() => new(TunFault.Refused, $"the interface {Name} is gone (errno {Marshal.GetLastPInvokeError()})", Marshal.GetLastPInvokeError());

    private static LinuxTun OpenQueue(string name, bool superPackets)
    {
        int fd = LibC.open("/dev/net/tun", LibC.O_RDWR | LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        if (fd < 0)
        {
            int errno = Marshal.GetLastPInvokeError();
            throw errno switch
            {
                LibC.ENOENT or LibC.ENODEV or LibC.ENXIO => new TunException(TunFault.NoDevice, "/dev/net/tun does not exist or no driver stands behind it", errno),
                LibC.EACCES or LibC.EPERM => new TunException(TunFault.NotPermitted, "/dev/net/tun may not be opened", errno),
                _ => new TunException(TunFault.Refused, $"/dev/net/tun: {Marshal.GetPInvokeErrorMessage(errno)}", errno),
            };
        }

        var tun = new LinuxTun(new SafeFileHandle(fd, ownsHandle: true), name);
        try
        {
            var request = new ifreq { ifr_flags = LibC.IFF_TUN | LibC.IFF_NO_PI | LibC.IFF_VNET_HDR | LibC.IFF_MULTI_QUEUE };
            Encoding.ASCII.GetBytes(name, new Span<byte>(request.ifr_name, 15));
            if (LibC.ioctl(fd, LibC.TUNSETIFF, &request) != 0)
            {
                int errno = Marshal.GetLastPInvokeError();
                throw errno switch
                {
                    LibC.EPERM or LibC.EACCES => new TunException(TunFault.NotPermitted, $"the interface {name} may not be made (CAP_NET_ADMIN is missing)", errno),
                    LibC.EBUSY or LibC.EEXIST or LibC.EINVAL => new TunException(TunFault.NameTaken, $"an interface named {name} exists already", errno),
                    _ => new TunException(TunFault.Refused, $"the interface {name} cannot be made: {Marshal.GetPInvokeErrorMessage(errno)}", errno),
                };
            }

            int size = HeaderBytes;
            if (LibC.ioctl(fd, LibC.TUNSETVNETHDRSZ, &size) != 0) throw new TunException(TunFault.Refused, "the kernel refuses a virtio header of 10 bytes", Marshal.GetLastPInvokeError());

            // The most first: USO came with Linux 6.2.
            const uint tcp = LibC.TUN_F_CSUM | LibC.TUN_F_TSO4 | LibC.TUN_F_TSO6 | LibC.TUN_F_TSO_ECN;
            foreach (uint offloads in (ReadOnlySpan<uint>)[tcp | LibC.TUN_F_USO4 | LibC.TUN_F_USO6, tcp, LibC.TUN_F_CSUM, 0])
            {
                if (!superPackets && offloads != 0) continue;
                if (LibC.ioctl(fd, LibC.TUNSETOFFLOAD, (void*)(nuint)offloads) != 0) continue;
                tun.Offloads = offloads;
                break;
            }

            return tun;
        }
        catch
        {
            tun.Dispose();
            throw;
        }
    }
}
