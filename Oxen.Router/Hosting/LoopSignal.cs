using Oxen.Router.Native;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Hosting;

/// <summary>What a loop thread sleeps on: precise where the system allows it, milliseconds elsewhere.</summary>
internal sealed class LoopSignal : IDisposable
{
    private readonly LinuxSignal? _linux = NativeSelfTest.Failure is null ? new LinuxSignal() : null;
    private readonly AutoResetEvent? _other;

    public LoopSignal() => _other = _linux is null ? new AutoResetEvent(false) : null;

    public void Wait(TimeSpan time)
    {
        if (_linux is not null) _linux.Wait(time == Timeout.InfiniteTimeSpan ? -1 : Math.Max(0, time.Ticks) * 100);
        else _other!.WaitOne(time);
    }

    public void Wake()
    {
        if (_linux is not null) _linux.Wake();
        else _other!.Set();
    }

    public void Dispose()
    {
        _linux?.Dispose();
        _other?.Dispose();
    }
}
