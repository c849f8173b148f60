using System.Runtime.InteropServices;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon;

/// <summary>Where the process begins: signals, the screen, and the one place that names the verbs' bodies.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            // The first signal drains; a second one finds the handler gone in spirit and ends the process at once.
            if (stop.IsCancellationRequested) return;
            signal.Cancel = true;
            stop.Cancel();
        }

        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var screen = new Screen(Console.Out, Console.Error, !Console.IsOutputRedirected);
        return await new CommandTree(screen, new CommandBodies { Demo = DemoCommand.RunAsync, Run = RunCommand.RunAsync }).RunAsync(args, stop.Token).ConfigureAwait(false);
    }
}
