using System.Diagnostics;
using System.Globalization;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Zones;

namespace Oxen.Bench.Ledger;

// `Oxen.Bench ledger [NAMES] [etcd:URL] [postgresql:CONNECTION]`: durable operations a second through each engine, look-ups a second with
// and without proof, size of a proof and time to check it. CPU time beside wall time: on a shared machine only the former means much.
internal static class LedgerLoop
{
    private const int Operations = 60_000;
    private const int BlockOperations = 200;
    private const int Waiting = 2_048;
    private const int Callers = 2;

    public static async Task RunAsync(string[] args)
    {
        int names = args.Length > 0 && int.TryParse(args[0], CultureInfo.InvariantCulture, out int n) ? n : 1_000_000;
        Parts();
        string directory = Directory.CreateTempSubdirectory("oxen-bench").FullName;
        try
        {
            // Twice, for the first time compiles.
            for (int i = 0; i < 2; i++) await WriteAsync(new MemorySequencer());
            await WriteAsync(SqliteSequencer.Open(Path.Combine(directory, "ledger.db")));
            foreach (string arg in args)
            {
                string[] parts = arg.Split(':', 2);
                if (parts[0] == "etcd") await WriteAsync(new EtcdSequencer([new Uri(parts[1])], "/oxen-bench/" + Guid.NewGuid()));
                if (parts[0] == "postgresql") await WriteAsync(await PostgresSequencer.OpenAsync(parts[1], Guid.NewGuid().ToString(), CancellationToken.None));
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        Resolve(names);
        Swarms();
        Guesses();
    }

    // What a purchase is made of: its signature, and everything else.
    private static void Parts()
    {
        (Genesis genesis, LedgerKey[] keys) = Begin();
        Operation[] operations = Sign(genesis, keys);
        Rate("signatures of operations checked", Operations, i => operations[i].VerifySignature());
        LedgerState state = LedgerState.Of(genesis);
        Rate($"purchases applied, in blocks of {BlockOperations}", Operations / BlockOperations, block =>
        {
            (Block built, state) = StateMachine.Build(state, operations.Skip(block * BlockOperations).Take(BlockOperations), genesis.UnixMilliseconds + 1);
            if (built.Operations.Length != BlockOperations || built.ToBytes().Length == 0) throw new InvalidOperationException("a purchase is refused");
        }, BlockOperations);
        foreach (LedgerKey key in keys) key.Dispose();
    }

    private static (Genesis Genesis, LedgerKey[] Keys) Begin()
    {
        LedgerKey[] keys = [.. Enumerable.Range(0, 64).Select(i => new LedgerKey([.. Enumerable.Repeat((byte)(i + 1), 32)]))];
        return (Genesis.Create("bench", 1_700_000_000_000, LedgerRules.Default, Committee.Of(keys.Take(4).Select(k => k.Id)), keys.Select(k => KeyValuePair.Create(k.Id, 10_000_000 * OxenAmount.Oxen))), keys);
    }

    private static Operation[] Sign(Genesis genesis, LedgerKey[] keys) => [.. Enumerable.Range(0, Operations).Select(i => Operation.Create(Buy(i, keys[i % 64].Id), keys[i % 64], (ulong)(i / 64), genesis.Network))];

    // A network of 2000 nodes, of which some leave and some come.
    private static void Swarms()
    {
        (Bytes32 Node, ulong Swarm)[] nodes = [.. Enumerable.Range(0, 2000).Select(i => (LedgerHash.Of("node"u8, BitConverter.GetBytes(i)), NodeEntry.NoSwarm))];
        foreach (SwarmOrder order in Enum.GetValues<SwarmOrder>())
        {
            (Bytes32 Node, ulong Swarm)[] now = nodes;
            Rate($"swarm updates of 2000 nodes, order {order}", 30, i =>
            {
                var assigned = SwarmAssignment.Assign(now, (ulong)i, order).ToDictionary(a => a.Item1, a => a.Item2);
                now = [.. nodes.Select((n, at) => (n.Node, (7 * at + i) % 23 == 0 ? NodeEntry.NoSwarm : assigned[n.Node]))];
            });
        }
    }

    // What it costs to try a name: the compatible hash, and the index of a zone.
    private static void Guesses()
    {
        Genesis genesis = Genesis.Create("bench", 1, LedgerRules.Default, Committee.Of([LedgerHash.Of("m"u8, [1])]), []);
        Rate("guesses of a compatible name", 1_000_000, i => _ = HashOf(i));
        Rate("guesses of a zone's name", 40, i => _ = ZoneIndex.Of($"name{i}.loki", NameType.Lokinet, genesis.Network));
    }

    private static async Task WriteAsync(IBlockSequencer sequencer)
    {
        (Genesis genesis, LedgerKey[] keys) = Begin();
        Operation[] operations = Sign(genesis, keys);
        await using LedgerHost host = await LedgerHost.OpenAsync(sequencer, genesis);
        long start = Stopwatch.GetTimestamp();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        // Callers on several threads, as the doors have them: signatures are checked on theirs. Each has accounts of its own, in the order of their numbers.
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            var open = new Queue<Task<Receipt>>();
            for (int i = 0; i < Operations; i++)
            {
                if (i % 64 % Callers != caller) continue;
                if (open.Count >= Waiting / Callers) Check(await open.Dequeue());
                open.Enqueue(host.SubmitAsync(operations[i]));
            }

            while (open.TryDequeue(out Task<Receipt>? done)) Check(await done);
        })));
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds, used = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
        Console.WriteLine($"{sequencer.Name,-11} {Operations / wall,9:0} purchases/s durable, {Operations / used,9:0} a second of CPU, {host.State.Height} blocks");
        foreach (LedgerKey key in keys) key.Dispose();
    }

    private static void Check(Receipt receipt)
    {
        if (receipt.Refusal is { } refusal) throw new InvalidOperationException(refusal.ToString());
    }

    private static NameBody Buy(int i, Bytes32 owner) => new(7 * OxenAmount.Oxen, new NamePayload { RawType = 0, Hash = HashOf(i), Owner = NameOwner.Of(owner), Value = new byte[73] });

    private static NameHash HashOf(int i) => NameHash.Of("name" + i.ToString(CultureInfo.InvariantCulture));

    private static void Resolve(int names)
    {
        LedgerKey[] members = [.. Enumerable.Range(0, 20).Select(i => new LedgerKey([.. Enumerable.Repeat((byte)(i + 101), 32)]))];
        Committee committee = Committee.Of(members.Select(m => m.Id));
        SparseTree tree = SparseTree.Empty;
        NameHash[] hashes = new NameHash[names];
        NameOwner owner = NameOwner.Of(members[0].Id);
        for (int i = 0; i < names; i++)
        {
            hashes[i] = HashOf(i);
            tree = tree.Set(NameEntry.Key(NameType.Session, hashes[i]), new NameEntry(NameType.Session, hashes[i], owner, null, new byte[73], default, 1, 0));
        }

        Genesis genesis = Genesis.Create("bench", 1_700_000_000_000, LedgerRules.Default, committee, []);
        LedgerState state = LedgerState.Of(genesis) with { Tree = tree };
        var header = new BlockHeader(1, 1_700_000_000_001, default, default, tree.Root, committee.Hash, committee.Hash);
        HeaderSignatures signatures = members.Aggregate(HeaderSignatures.None, (s, m) => s.With((byte)committee.IndexOf(m.Id), HeaderSignatures.Sign(header, m, genesis.Network))).Least(committee.Quorum);
        var random = new Random(1);
        random.Shuffle(hashes);
        int found = 0;
        NameTable table = NameTable.Of(tree);
        Rate($"look-ups in the table of {names} names", Math.Min(names, 1_000_000), i => found += table.Find(NameType.Session, hashes[i]) is null ? 0 : 1);
        Rate($"look-ups in the tree of {names} names", Math.Min(names, 1_000_000), i => found += state.ActiveName(NameType.Session, hashes[i]) is null ? 0 : 1);
        int bytes = 0;
        Rate("look-ups with a proof", Math.Min(names, 100_000), i => bytes = new ProvenAnswer(header, signatures, state.Tree.Prove(NameEntry.Key(NameType.Session, hashes[i]))).ToBytes().Length);
        byte[] answer = new ProvenAnswer(header, signatures, state.Tree.Prove(NameEntry.Key(NameType.Session, hashes[0]))).ToBytes();
        Console.WriteLine($"an answer with a proof and {committee.Quorum} signatures has {answer.Length} bytes");
        Rate("checks of an answer by a new client", 300, again =>
        {
            if (LightClient.From(genesis).CheckName(answer, NameType.Session, hashes[0], out NameEntry? name, out _) != ProofFault.None || name is null) throw new InvalidOperationException("the answer is not believed");
        });
        foreach (LedgerKey member in members) member.Dispose();
        if (found == 0 || bytes == 0) throw new InvalidOperationException("nothing was found");
    }

    private static void Rate(string what, int times, Action<int> work, int each = 1)
    {
        work(0); // once apart: it is compiled
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        for (int i = 1; i < times; i++) work(i);
        double seconds = (Environment.CpuUsage.TotalTime - cpu).TotalSeconds;
        times = (times - 1) * each;
        Console.WriteLine($"{what}: {times / seconds:0} a second of CPU ({seconds / times * 1e6:0.00} us each)");
    }
}
