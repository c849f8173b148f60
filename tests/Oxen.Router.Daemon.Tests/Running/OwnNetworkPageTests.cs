using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>docs/own-network.md, run: all its shell blocks as one script, in its order.</summary>
public sealed class OwnNetworkPageTests
{
    [Fact]
    public async Task Every_command_of_the_page_works_and_the_web_page_comes_through_the_network()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/curl") && File.Exists("/bin/bash"), "curl or bash is not installed");
        string page = await File.ReadAllTextAsync(Path.Combine(Configuration.ConfigReaderTests.Root(), "docs", "own-network.md"), TestContext.Current.CancellationToken);
        await using var web = new WebTarget();

        // A test has no Internet: the page comes from this machine, for which the exit needs an exception.
        string script = string.Join('\n', Regex.Matches(page, "^```sh\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline).Select(m => m.Groups[1].Value));
        Assert.Contains("except = []", script, StringComparison.Ordinal);
        Assert.Contains("https://example.org/", script, StringComparison.Ordinal);
        script = script.Replace("except = []", $"except = [\"allow {web.EndPoint} tcp\"]", StringComparison.Ordinal).Replace("https://example.org/", web.Url + "short", StringComparison.Ordinal);

        string directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(directory, "script.sh"), "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + script, TestContext.Current.CancellationToken);
            var start = new ProcessStartInfo("/bin/bash", ["script.sh"]) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["PATH"] = AppContext.BaseDirectory + ":" + Environment.GetEnvironmentVariable("PATH");
            using Process bash = Process.Start(start)!;
            Task<string> output = bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken), errors = bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(110));
            try
            {
                await bash.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                OxenProcess.SignalTo("TERM", bash.Id); // its trap ends the routers
                Assert.Fail("the page's commands did not end in time");
            }

            string said = $"{await output}\n{await errors}\n{string.Join('\n', Directory.GetFiles(directory, "log", SearchOption.AllDirectories).Select(File.ReadAllText))}";
            Assert.True(bash.ExitCode == 0, said);
            Assert.Contains("hello\n", await output, StringComparison.Ordinal);
            Assert.Contains("verdict: good", await output, StringComparison.Ordinal);
            Assert.Contains("path=in use", await output, StringComparison.Ordinal);
            Assert.Contains("\"roles\": \"relay\"", await output, StringComparison.Ordinal);
            Assert.All(Directory.GetFiles(directory, "output", SearchOption.AllDirectories), f => Assert.Equal("ready\n", File.ReadAllText(f)));
            Assert.All(Directory.GetFiles(directory, "log", SearchOption.AllDirectories), f => Assert.Contains("stopped", File.ReadAllText(f), StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
