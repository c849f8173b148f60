using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using Oxen.Testing;

namespace Oxen.Swarm.Tests.Cluster.Processes;

public class ProcessHistoryTests
{
    private static readonly string[] Kinds = ["SIGKILL", "disk wiped", "SIGSTOP", "clock", "membership", "unplugged", "partition"];

    [Fact]
    public async Task Five_node_processes_keep_what_they_acknowledged_through_kills_lost_disks_partitions_and_changes_of_members()
    {
        Assert.SkipUnless(NetworkLab.Missing is null, NetworkLab.Missing ?? "");
        string folder = Directory.CreateTempSubdirectory("oxen-history-").FullName;
        try
        {
            using var lab = new NetworkLab();
            string middle = lab.Add("mid"), spaces = middle[..^"mid".Length];
            NetworkLab.Shell(middle, "echo 1 > /proc/sys/net/ipv4/ip_forward");
            for (int node = 0; node < NodeCluster.Processes; node++)
            {
                string name = node.ToString(CultureInfo.InvariantCulture), net = NodeCluster.NetworkOf(node), space = lab.Add("n" + name);
                NetworkLab.Join(middle, "v" + name, space, "eth0");
                NetworkLab.Shell(middle, $"ip address add {net}.1/24 dev v{name}");
                NetworkLab.Shell(space, $"ip address add {net}.2/24 dev eth0; ip route add default via {net}.1");
            }

            string seen = await RunAsync(["ip", "netns", "exec", middle, "dotnet", "exec", Assembly.GetExecutingAssembly().Location, HistoryDriver.Verb, folder, spaces]);
            Assert.All(Kinds, k => Assert.Contains(k, seen, StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<string> RunAsync(string[] command)
    {
        using Process driver = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> output = driver.StandardOutput.ReadToEndAsync(), error = driver.StandardError.ReadToEndAsync();
        await driver.WaitForExitAsync();
        string seen = await output;
        TestContext.Current.TestOutputHelper?.WriteLine(seen);
        Assert.True(driver.ExitCode == 0, seen + await error);
        return seen;
    }
}
