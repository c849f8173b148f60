using System.Diagnostics;

namespace Oxen.Simulation.Tests;

/// <summary>The promise of the hot path, kept over a minute of real load on real sockets: a process of its own, so that no other test's garbage counts.</summary>
public sealed class MinuteOfLoad
{
    [Fact]
    public async Task A_relay_under_load_for_a_minute_allocates_nothing_and_collects_nothing()
    {
        // artifacts/bin/<project>/<configuration>/
        var here = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        string program = Path.Combine(here.Parent!.Parent!.FullName, "Oxen.Ladder", here.Name, "Oxen.Ladder.dll");
        Assert.True(File.Exists(program), $"{program} was not built");
        var start = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string argument in new[] { program, "soak", "--seconds", "60" }) start.ArgumentList.Add(argument);
        using Process soak = Process.Start(start)!;
        Task<string> output = soak.StandardOutput.ReadToEndAsync();
        Task<string> errors = soak.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(150));
        try
        {
            await soak.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            soak.Kill();
            Assert.Fail("the program did not end in time");
        }

        string told = await output;
        Assert.True(soak.ExitCode == 0, told + await errors);
        Assert.Contains("allocated 0  collections 0", told, StringComparison.Ordinal);
    }
}
