using Oxen.Ons.Tests.Sequencing;

namespace Oxen.Ons.Tests;

// The runner's own entry point, and one more: this program is also the child that the crash test kills.
internal static class Program
{
    private static Task<int> Main(string[] args)
        => args is [CrashChild.Verb, string round, .. string[] databases] ? CrashChild.RunAsync(databases, int.Parse(round, System.Globalization.CultureInfo.InvariantCulture)) : Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(args);
}
