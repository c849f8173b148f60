using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Oxen.Router.Native.Linux;

/// <summary>
/// Work inside a named network namespace (ip-netns(8)). Sockets and devices stay in the namespace that they were made in,
/// whoever uses them later.
/// </summary>
internal static class LinuxNamespace
{
    /// <summary>Runs `make` on a thread of its own inside the namespace, and ends the thread.</summary>
    /// <exception cref="IOException">There is no such namespace, or it may not be entered.</exception>
    public static T Run<T>(string name, Func<T> make)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(make);
        T? made = default;
        ExceptionDispatchInfo? failed = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(name);
                made = make();
            }
            catch (Exception e)
            {
                failed = ExceptionDispatchInfo.Capture(e);
            }
        })
        {
            IsBackground = true,
            Name = $"namespace {name}",
        };
        thread.Start();
        thread.Join();
        failed?.Throw();
        return made!;
    }

    /// <summary>Moves the calling thread, for good.</summary>
    private static void Enter(string name)
    {
        int fd = LibC.open($"/run/netns/{name}", LibC.O_RDONLY | LibC.O_CLOEXEC);
        if (fd < 0) throw new IOException($"the network namespace {name} cannot be opened: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        try
        {
            if (LibC.setns(fd, LibC.CLONE_NEWNET) != 0) throw new IOException($"the network namespace {name} cannot be entered: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}");
        }
        finally
        {
            LibC.close(fd);
        }
    }
}
