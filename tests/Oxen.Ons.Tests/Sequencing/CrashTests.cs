using System.Diagnostics;
using System.Globalization;
using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Tests.Sequencing;

public class CrashTests
{
    // Starting a process is what costs: one has four ledgers, each with its own database and writers, and dies in the middle of all.
    private const int LedgersOfAProcess = 4;
    private const int LoopsInCi = 50;
    private const int ReplayEvery = 20;

    // kill -9 after a random number of acknowledgements, again and again on the same databases: 200 killed ledgers. OXEN_CRASH_LOOPS makes it longer.
    [Fact]
    public async Task A_killed_ledger_loses_no_acknowledged_operation_and_comes_back_to_the_same_root()
    {
        int loops = int.TryParse(Environment.GetEnvironmentVariable("OXEN_CRASH_LOOPS"), CultureInfo.InvariantCulture, out int n) ? n : LoopsInCi;
        string directory = Directory.CreateTempSubdirectory("oxen-crash").FullName;
        string[] databases = [.. Enumerable.Range(0, LedgersOfAProcess).Select(i => Path.Combine(directory, $"ledger-{i}.db"))];
        var random = new Random(5);
        Dictionary<string, ulong>[] acknowledged = [.. databases.Select(_ => new Dictionary<string, ulong>())];
        Replay[] replays = [.. databases.Select(_ => new Replay())];
        try
        {
            for (int loop = 0; loop < loops; loop++)
            {
                await RunUntilKilledAsync(databases, loop, random.Next(0, 12 * LedgersOfAProcess), acknowledged);
                for (int i = 0; i < databases.Length; i++)
                {
                    // From the beginning now and then and at the end; else from where the last look ended, whose last block must still be that one.
                    if (loop % ReplayEvery == 0 || loop == loops - 1) replays[i] = new Replay();
                    await replays[i].CheckAsync(databases[i], acknowledged[i]);
                }
            }

            foreach (Dictionary<string, ulong> one in acknowledged) Assert.True(one.Count > loops, $"only {one.Count} operations were acknowledged");
            TestContext.Current.TestOutputHelper?.WriteLine($"{loops * databases.Length} ledgers killed by {loops} kills, {acknowledged.Sum(a => a.Count)} acknowledged operations, {replays.Sum(r => (long)r.Height)} blocks, none lost");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task RunUntilKilledAsync(string[] databases, int loop, int lines, Dictionary<string, ulong>[] acknowledged)
    {
        string program = typeof(CrashTests).Assembly.Location;
        var info = new ProcessStartInfo(Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet") { RedirectStandardOutput = true };
        foreach (string argument in new string[] { "exec", program, CrashChild.Verb, loop.ToString(CultureInfo.InvariantCulture) }.Concat(databases)) info.ArgumentList.Add(argument);
        using Process child = Process.Start(info)!;
        Assert.Equal("ready", await child.StandardOutput.ReadLineAsync());
        for (int i = 0; i < lines; i++) Note(await child.StandardOutput.ReadLineAsync(), acknowledged);
        child.Kill();

        // What it said before it died counts; the last line may be cut.
        string rest = await child.StandardOutput.ReadToEndAsync();
        foreach (string line in rest.Split('\n')[..^1]) Note(line, acknowledged);
        await child.WaitForExitAsync();
    }

    private static void Note(string? line, Dictionary<string, ulong>[] acknowledged)
    {
        string[] parts = Assert.IsType<string>(line).Split(' ');
        acknowledged[int.Parse(parts[0], CultureInfo.InvariantCulture)].Add(parts[1], ulong.Parse(parts[2], CultureInfo.InvariantCulture));
    }

    private sealed class Replay
    {
        private readonly Dictionary<string, ulong> _found = [];
        private LedgerState _state = LedgerState.Of(CrashChild.Genesis);

        public ulong Height => _state.Height;

        public async Task CheckAsync(string database, Dictionary<string, ulong> acknowledged)
        {
            await using SqliteSequencer store = SqliteSequencer.Open(database);
            if (_state.Height > 0)
            {
                var reader = new LedgerReader(Assert.Single(await store.ReadAsync(_state.Height, 1, CancellationToken.None)));
                Assert.Equal(_state.BlockHash, BlockHeader.Read(ref reader)!.Hash(_state.Network));
            }

            foreach (byte[] bytes in await store.ReadAsync(_state.Height + 1, int.MaxValue, CancellationToken.None))
            {
                Block block = Block.Read(bytes, CrashChild.Genesis.Network)!;

                // Replaying makes every root again and compares it with the stored header's.
                LedgerState? next = StateMachine.Apply(_state, block, out string reason, trusted: true);
                Assert.True(next is not null, reason);
                _state = next;
                foreach (Operation operation in block.Operations) _found.Add(operation.Id.ToString(), block.Header.Height);
            }

            foreach ((string id, ulong height) in acknowledged) Assert.True(_found.TryGetValue(id, out ulong at) && at == height, $"operation {id} was acknowledged at height {height} and is not there");
            Assert.Empty(LedgerAudit.Check(_state));
        }
    }
}
