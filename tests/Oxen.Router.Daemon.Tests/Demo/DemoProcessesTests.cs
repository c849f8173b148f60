using System.Diagnostics;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>`oxen demo --processes` leaves nothing behind, whoever ends it and how.</summary>
[Collection(DemoCollection.Name)]
public sealed class DemoProcessesTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static async Task GoneAsync(IEnumerable<DemoProcess.Router> routers)
    {
        var watch = Stopwatch.StartNew();
        foreach (DemoProcess.Router router in routers)
        {
            while (OxenProcess.IsAlive(router.Process))
            {
                Assert.True(watch.Elapsed < Patience, $"{router.Name} (process {router.Process}) is still there");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task A_signal_ends_every_process_and_removes_every_file(string signal)
    {
        await using DemoProcess demo = await DemoProcess.StartAsync("--relays", "3", "--exits", "1");
        Assert.Equal(4, demo.Routers.Length);
        Assert.All(demo.Routers, r => Assert.True(OxenProcess.IsAlive(r.Process)));
        string files = Path.GetDirectoryName(demo.StatusFile)!;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(files));
        demo.Process.Signal(signal);
        Assert.Equal(0, await demo.Process.WaitForExitAsync(Patience));
        await GoneAsync(demo.Routers);
        Assert.False(Directory.Exists(files));
    }

    [Fact]
    public async Task Routers_end_when_the_demo_is_killed()
    {
        await using DemoProcess demo = await DemoProcess.StartAsync("--relays", "3", "--exits", "1");
        string files = Path.GetDirectoryName(demo.StatusFile)!;
        demo.Process.Signal("KILL");
        await demo.Process.WaitForExitAsync(Patience);
        await GoneAsync(demo.Routers);
        Directory.Delete(files, recursive: true); // what a killed process cannot do
    }
}
