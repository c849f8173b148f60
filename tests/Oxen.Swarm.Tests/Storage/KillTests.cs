using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using Oxen.Swarm.Storage;
using static Oxen.Swarm.Tests.Storage.StoreFixture;

namespace Oxen.Swarm.Tests.Storage;

/// <summary>A process that writes and tells what was acknowledged is killed with SIGKILL at any moment, several times.</summary>
public class KillTests
{
    private const string Child = "OXEN_SWARM_TEST_CHILD";

    [Fact]
    public async Task What_was_acknowledged_is_there_after_kill_minus_nine()
    {
        using var f = new StoreFixture();
        string path = f.File("killed.db");
        var dice = new Random(5);
        var acknowledged = new HashSet<int>();
        for (int round = 0; round < 3; round++)
        {
            var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
            start.ArgumentList.Add("exec");
            start.ArgumentList.Add(Assembly.GetExecutingAssembly().Location);
            start.Environment[Child] = path;
            start.Environment[Child + "_FROM"] = (round * 100_000).ToString(CultureInfo.InvariantCulture);
            using Process child = Process.Start(start)!;
            int wanted = 20 + dice.Next(200);
            for (int n = 0; n < wanted; n++)
            {
                string? line = await child.StandardOutput.ReadLineAsync();
                Assert.NotNull(line);
                acknowledged.Add(int.Parse(line, CultureInfo.InvariantCulture));
            }

            child.Kill();
            // What it had written into the pipe before it died was acknowledged too.
            while (await child.StandardOutput.ReadLineAsync() is { Length: > 0 } rest)
            {
                if (int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n >= round * 100_000) acknowledged.Add(n);
            }

            await child.WaitForExitAsync();
        }

        using MessageStore store = MessageStore.Open(new StoreOptions { Path = path });
        HashSet<Oxen.Swarm.Wire.MessageKey> kept = [.. store.Retrieve(Account(1), 0, null, 0, MessageStore.RetrieveBudget, T).Messages.Select(m => m.Key)];
        Assert.True(acknowledged.Count >= 60);
        Assert.All(acknowledged, n => Assert.Contains(KeyOf(BitConverter.GetBytes(n), Account(1)), kept));
        ulong root = store.Digests.Root;
        Assert.True(await store.SetScopeAsync(_ => true));
        Assert.Equal(root, store.Digests.Root);
    }

    // The child is this very assembly: it does its work before any test could begin, and never returns. No code of this assembly
    // may run on another thread meanwhile: it would wait for the initializer to end.
#pragma warning disable CA2255 // this assembly is a program, not a library
    [ModuleInitializer]
    internal static void RunAsChild()
    {
        if (Environment.GetEnvironmentVariable(Child) is not { Length: > 0 } path) return;
        using MessageStore store = MessageStore.Open(new StoreOptions { Path = path });
        int n = int.Parse(Environment.GetEnvironmentVariable(Child + "_FROM")!, CultureInfo.InvariantCulture);
        long stamp = (T << 16) + n;
        using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        while (true)
        {
            var batch = new List<(int Number, Task<WriteOutcome> Outcome)>();
            for (int i = 0; i < 8; i++)
            {
                byte[] data = BitConverter.GetBytes(++n);
                batch.Add((n, store.ApplyAsync(new StoreOp(Account(1), ++stamp, 0, KeyOf(data, Account(1)), 0, T, T + Hour, data), T)));
            }

            foreach ((int number, Task<WriteOutcome> outcome) in batch)
            {
                if (outcome.GetAwaiter().GetResult().Status == WriteStatus.Done) output.WriteLine(number.ToString(CultureInfo.InvariantCulture));
            }
        }
    }
#pragma warning restore CA2255 // the same
}
