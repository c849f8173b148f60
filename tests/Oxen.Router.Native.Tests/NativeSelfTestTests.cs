using System.Runtime.InteropServices;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Native.Tests;

public sealed class NativeSelfTestTests
{
    [Fact]
    public void Every_layout_and_constant_agrees_with_this_kernel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.Arm64, "needs Linux on x86-64 or arm64");
        Assert.Null(NativeSelfTest.Failure);
    }

    [Fact]
    public void Where_it_fails_the_door_says_why()
    {
        if (NativeSelfTest.Failure is null)
        {
            NativeSelfTest.ThrowIfFailed();
            return;
        }

        PlatformNotSupportedException e = Assert.Throws<PlatformNotSupportedException>(NativeSelfTest.ThrowIfFailed);
        Assert.Contains(NativeSelfTest.Failure, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_threads_cpu_clock_moves_with_work()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        long before = LinuxThread.CpuNanoseconds, x = 0;
        while (LinuxThread.CpuNanoseconds - before < 1_000_000) x++;
        Assert.True(x > 0);
        Assert.True(LinuxThread.ProcessCpuNanoseconds >= 1_000_000);
    }
}
