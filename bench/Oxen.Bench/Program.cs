using BenchmarkDotNet.Running;
using Oxen.Bench.Core.Paths;
using Oxen.Bench.Ledger;
using Oxen.Bench.Swarm;

namespace Oxen.Bench;

internal static class Program
{
    private static int Main(string[] args)
    {
        // Quick loops say a figure in seconds; everything else is BenchmarkDotNet's (`--filter '*Symmetric*'`).
        if (args is ["quick"]) return Quick.Run();
        if (args is ["segments"]) return Quick.RunSegments();
        if (args is ["build-step"])
        {
            BuildStepLoop.Run();
            return 0;
        }

        if (args is ["path-build", .. var path])
        {
            PathBuildLoop.RunAsync(path).GetAwaiter().GetResult();
            return 0;
        }

        if (args is ["ledger", .. var rest])
        {
            LedgerLoop.RunAsync(rest).GetAwaiter().GetResult();
            return 0;
        }

        if (args is ["swarm", .. var swarm])
        {
            SwarmLoop.RunAsync(swarm).GetAwaiter().GetResult();
            return 0;
        }

        BenchmarkSwitcher.FromAssembly(typeof(Program).Assembly).Run(args);
        return 0;
    }
}
