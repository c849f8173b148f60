using System.Diagnostics;
using System.Globalization;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;
using Oxen.Swarm.Wire;
using static Oxen.Swarm.Tests.Storage.StoreFixture;

namespace Oxen.Swarm.Tests.Storage;

/// <summary>Disks that fill up and files that rot under a running store.</summary>
public class DiskTests
{
    [Fact]
    public async Task A_full_disk_refuses_what_it_cannot_keep_goes_on_reading_and_recovers_by_itself()
    {
        string folder = Directory.CreateTempSubdirectory("oxen-disk-").FullName;
        string? missing = Mount(folder, megabytes: 6);
        if (missing is not null) Directory.Delete(folder);
        Assert.SkipUnless(missing is null, missing ?? "");
        try
        {
            string filler = Path.Combine(folder, "filler");
            await File.WriteAllBytesAsync(filler, new byte[2 << 20], TestContext.Current.CancellationToken);
            var options = new StoreOptions { Path = Path.Combine(folder, "store.db") };
            var kept = new List<MessageKey>();
            long stamp = T << 16;
            int sent = 0;
            using (MessageStore store = MessageStore.Open(options))
            {
                WriteStatus status;
                while ((status = await Put(store)) == WriteStatus.Done) Assert.True(sent < 1000, "the disk is not small");
                Assert.Equal(WriteStatus.Full, status);
                Assert.Equal(StoreCondition.Full, store.Condition);
                Assert.Contains("no room", store.Trouble!, StringComparison.Ordinal);
                Assert.True(kept.Count > 10);
                Assert.Equal(kept.Count, store.Retrieve(Account(1), 0, null, 0, MessageStore.RetrieveBudget, T).Messages.Count);
                for (int i = 0; i < 5; i++) Assert.Equal(WriteStatus.Full, await Put(store));

                File.Delete(filler);
                Assert.Equal(WriteStatus.Done, await Put(store));
                Assert.Equal(StoreCondition.Ready, store.Condition);
                Assert.Null(store.Trouble);
            }

            using MessageStore again = MessageStore.Open(options);
            Assert.Equal(kept.Select(k => k.ToString()).Order(), again.Retrieve(Account(1), 0, null, 0, MessageStore.RetrieveBudget, T).Messages.Select(m => m.Key.ToString()).Order());
            Assert.Empty(SwarmDatabase.Check(options.Path));

            async Task<WriteStatus> Put(MessageStore store)
            {
                byte[] data = new byte[20_000];
                BitConverter.TryWriteBytes(data, ++sent);
                MessageKey key = KeyOf(data, Account(1));
                WriteStatus done = (await store.ApplyAsync(new StoreOp(Account(1), ++stamp, 0, key, 0, T, T + Hour, data), T)).Status;
                if (done == WriteStatus.Done) kept.Add(key);
                return done;
            }
        }
        finally
        {
            Run("umount", "-l", folder);
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_file_that_rots_under_a_running_store_becomes_a_state_and_words_never_a_crash_and_nothing_is_acknowledged_in_vain()
    {
        using var f = new StoreFixture();
        for (int i = 0; i < 200; i++) await f.Put(Account(i % 7), [.. BitConverter.GetBytes(i), .. new byte[3000]]);
        f.Reopen(); // the log is in the file now
        await using (FileStream file = new(f.Options.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            byte[] noise = new byte[file.Length - 4096];
            new Random(4).NextBytes(noise);
            file.Position = 4096;
            await file.WriteAsync(noise, TestContext.Current.CancellationToken);
        }

        int refused = 0;
        for (int i = 0; i < 20; i++)
        {
            if ((await f.TryPut(Account(i), [.. BitConverter.GetBytes(1000 + i), .. new byte[3000]])).Status == WriteStatus.Unavailable) refused++;
        }

        Assert.True(refused > 0);
        Assert.Equal(StoreCondition.Failing, f.Store.Condition);
        Assert.Contains("damaged", f.Store.Trouble!, StringComparison.Ordinal);
        Assert.NotEmpty(SwarmDatabase.Check(f.Options.Path));
        string aside = SwarmDatabase.SetAside(f.Options.Path, DateTimeOffset.UnixEpoch);
        Assert.EndsWith(".damaged-19700101000000", aside, StringComparison.Ordinal);
        Assert.False(File.Exists(f.Options.Path));
    }

    [Fact]
    public async Task A_node_whose_file_rots_still_tells_its_figures_and_what_is_wrong()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1);
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 50; i++) Assert.Equal(200, (await swarm.AskAsync(0, "store", MiniRequests.Store(account, [i, .. new byte[3000]], TestSwarm.Now))).Status);
        Assert.Equal(50, swarm[0].ReadFigures().Messages);
        await swarm.StopNodeAsync(0); // the log is in the file now
        await swarm.StartNodeAsync(0);
        await swarm.WaitAsync(() => swarm[0].NotReady.Count == 0, "it serves again");
        await using (FileStream file = new(swarm.PathOf(0), FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
        {
            byte[] noise = new byte[file.Length - 4096];
            new Random(4).NextBytes(noise);
            file.Position = 4096;
            await file.WriteAsync(noise, TestContext.Current.CancellationToken);
        }

        // What it has in memory is still whole; a message's bytes it reads only when somebody asks for them.
        (int status, _, string text) = await swarm.AskAsync(0, "retrieve", MiniRequests.Retrieve(account, TestSwarm.Now));
        Assert.True(status == 503, text);
        SwarmFigures figures = swarm[0].ReadFigures();
        Assert.Contains("damaged", figures.Trouble, StringComparison.Ordinal);
        Assert.Equal(1, figures.Members);
        Assert.False(swarm[0].IsSound);
    }

    [Fact]
    public void A_database_that_a_node_has_open_is_in_use_until_it_ends()
    {
        using var f = new StoreFixture();
        var options = new StoreOptions { Path = f.File("other.db") };
        Assert.False(SwarmDatabase.IsInUse(options.Path));
        using (MessageStore.Open(options)) Assert.True(SwarmDatabase.IsInUse(options.Path));
        Assert.False(SwarmDatabase.IsInUse(options.Path));
        Assert.Empty(SwarmDatabase.Check(options.Path));
        using (MessageStore.Open(options)) Assert.True(SwarmDatabase.IsInUse(options.Path));
        Assert.False(SwarmDatabase.IsInUse(options.Path));

        // A store that could not be opened leaves nothing open.
        using (FileStream file = File.OpenWrite(options.Path))
        {
            file.Position = 4096;
            file.Write(new byte[file.Length - 4096]);
        }

        Assert.Throws<StoreException>(() => MessageStore.Open(options));
        Assert.False(SwarmDatabase.IsInUse(options.Path));
    }

    private static string? Mount(string folder, int megabytes)
    {
        if (!Environment.IsPrivilegedProcess) return "a small disk needs root";
        return Run("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={megabytes}m"), "tmpfs", folder) is { Length: > 0 } error ? $"a small disk cannot be mounted: {error}" : null;
    }

    // What it complains about; empty when it worked.
    private static string Run(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            string error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? "" : error.Length > 0 ? error.Trim() : "it failed";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return $"{program}: {e.Message}";
        }
    }
}
