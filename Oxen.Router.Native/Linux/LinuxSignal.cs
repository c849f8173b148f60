using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Oxen.Router.Native.Linux;

/// <summary>
/// One thread sleeps with nanoseconds' precision, others wake it. Waking costs no system call unless that thread sleeps.
/// </summary>
internal sealed unsafe class LinuxSignal : IDisposable
{
    private const int Awake = 0, Sleeping = 1, Woken = 2;

    private readonly SafeFileHandle _event;
    private int _state;

    public LinuxSignal()
    {
        int fd = LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (fd < 0) throw new IOException($"eventfd failed with errno {Marshal.GetLastPInvokeError()}");
        _event = new SafeFileHandle(fd, ownsHandle: true);
    }

    /// <summary>Waits for <see cref="Wake"/> or until the time is over. A negative time waits for ever. A wake since the last wait ends this one at once.</summary>
    public void Wait(long nanoseconds)
    {
        if (Interlocked.CompareExchange(ref _state, Sleeping, Awake) == Woken)
        {
            Interlocked.Exchange(ref _state, Awake);
            return;
        }

        var poll = new pollfd { fd = (int)_event.DangerousGetHandle(), events = LibC.POLLIN };
        timespec time = new() { tv_sec = nanoseconds / 1_000_000_000, tv_nsec = nanoseconds % 1_000_000_000 };
        int n = LibC.ppoll(&poll, 1, nanoseconds < 0 ? null : &time, null);
        Interlocked.Exchange(ref _state, Awake);
        if (n <= 0) return;
        ulong number;
        LibC.read(poll.fd, &number, 8);
    }

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
            // Nobody waits any more.
        }
        finally
        {
            if (held) _event.DangerousRelease();
        }
    }

    public void Dispose() => _event.Dispose();
}
