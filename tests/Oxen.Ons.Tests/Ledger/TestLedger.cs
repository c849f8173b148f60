using System.Collections.Immutable;
using System.Text;
using NSec.Cryptography;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;

namespace Oxen.Ons.Tests.Ledger;

/// <summary>A private network with short terms, one block at a time; keys by name.</summary>
internal sealed class TestLedger
{
    public const ulong Oxen = OxenAmount.Oxen;
    private static readonly Dictionary<string, LedgerKey> Keys = [];
    private readonly Dictionary<Bytes32, ulong> _nonces = [];
    private readonly List<LedgerState> _states = [];

    public TestLedger(LedgerRules? rules = null, params string[] rich)
    {
        string[] holders = rich.Length == 0 ? ["alice", "bob", "carol", "dave"] : rich;
        Genesis = Genesis.Create("test", 1_700_000_000_000, rules ?? LedgerRules.Quick, Committee.Of(Founders.Select(f => f.Id)), holders.Select(h => KeyValuePair.Create(Key(h).Id, 10_000 * Oxen)));
        State = LedgerState.Of(Genesis);
        _states.Add(State);
    }

    public static IReadOnlyList<LedgerKey> Founders { get; } = [.. Enumerable.Range(0, 4).Select(i => Key($"founder {i}"))];

    public Genesis Genesis { get; }

    public Bytes32 Network => Genesis.Network;

    public LedgerRules Rules => Genesis.Rules;

    public LedgerState State { get; private set; }

    public ulong Height => State.Height;

    public static LedgerKey Key(string name)
    {
        lock (Keys)
        {
            if (!Keys.TryGetValue(name, out LedgerKey? key)) Keys[name] = key = new LedgerKey(HashAlgorithm.Blake2b_256.Hash(Encoding.UTF8.GetBytes("test key " + name)));
            return key;
        }
    }

    /// <summary>Signs an operation with the signer's next number.</summary>
    public Operation Sign(string signer, OperationBody body, ulong validUntil = 0, ulong? nonce = null)
        => Operation.Create(body, Key(signer), nonce ?? State.Account(Key(signer).Id).Nonce, Network, validUntil);

    /// <summary>The next block, with these operations; each must be good.</summary>
    public void Block(params IReadOnlyList<Operation> operations)
    {
        List<Refusal> refused = Try(operations);
        Assert.Empty(refused);
    }

    /// <summary>The next block, with one operation of this signer.</summary>
    public Operation Do(string signer, OperationBody body)
    {
        Operation operation = Sign(signer, body);
        Block(operation);
        return operation;
    }

    /// <summary>The next block, with an operation that must be refused for this reason and change nothing.</summary>
    public Refusal Refused(OperationFault fault, string signer, OperationBody body) => Refused(fault, Sign(signer, body));

    public Refusal Refused(OperationFault fault, Operation operation)
    {
        LedgerState empty = StateMachine.Build(State, [], State.UnixMilliseconds).State;
        Refusal? refusal = null;
        LedgerState with = StateMachine.Build(State, [operation], State.UnixMilliseconds, (_, r) => refusal = r).State;
        Assert.NotNull(refusal);
        Assert.Equal(fault, refusal.Fault);
        Assert.NotEmpty(refusal.Detail);
        Assert.Equal(empty.Root, with.Root);
        return refusal;
    }

    public List<Refusal> Try(params IReadOnlyList<Operation> operations)
    {
        List<Refusal> refused = [];
        (Block block, LedgerState next) = StateMachine.Build(State, operations, State.UnixMilliseconds + 1000, (_, r) => { if (r is not null) refused.Add(r); });

        // Whoever reads the block comes to the same state.
        Block? read = Ons.Ledger.Block.Read(block.ToBytes(), Network);
        Assert.NotNull(read);
        LedgerState? applied = StateMachine.Apply(State, read, out string reason);
        Assert.Equal("", reason);
        Assert.Equal(next.Root, applied!.Root);
        Assert.Equal(next.BlockHash, applied.BlockHash);
        State = next;
        _states.Add(next);
        return refused;
    }

    public void Wait(ulong blocks)
    {
        for (ulong i = 0; i < blocks; i++) Block();
    }

    public void WaitUntil(ulong height)
    {
        while (State.Height < height) Block();
    }

    public void Rollback(ulong height)
    {
        _states.RemoveRange((int)height + 1, _states.Count - (int)height - 1);
        State = _states[^1];
    }

    public void Audit() => Assert.Empty(LedgerAudit.Check(State));

    public ulong Balance(string name) => State.Account(Key(name).Id).Balance;

    public static NameOwner Owner(string name) => NameOwner.Of(Key(name).Id);

    public static byte[] Value(int seed, NameType type = NameType.Lokinet)
    {
        byte[] value = new byte[type switch { NameType.Session => 73, NameType.Lokinet => 72, _ => 105 }];
        for (int i = 0; i < value.Length; i++) value[i] = (byte)(seed + i * 7);
        return value;
    }

    public static NameBody Buy(string name, int rawType, string owner, string? backup = null, long burnOff = 0, byte[]? value = null)
    {
        var payload = new NamePayload { RawType = (ushort)rawType, Hash = NameHash.Of(name), Owner = Owner(owner), Backup = backup is null ? null : Owner(backup), Value = value ?? Value(1, rawType switch { 0 => NameType.Session, 1 => NameType.Wallet, _ => NameType.Lokinet }) };
        return new NameBody((ulong)((long)(NamePrices.Price(rawType, NamePrices.LatestHardFork) ?? 0) + burnOff), payload);
    }

    public NameBody Renew(string name, int rawType, long burnOff = 0, Bytes32? previous = null)
    {
        var hash = NameHash.Of(name);
        var type = (NameType)Math.Min(rawType, 2);
        return new NameBody((ulong)((long)NamePrices.Price(rawType, NamePrices.LatestHardFork)!.Value + burnOff), new NamePayload { RawType = (ushort)rawType, Hash = hash, Previous = previous ?? State.Name(type, hash)!.LastOperation });
    }

    public NameBody Update(string name, NameType type, string signer, byte[]? value = null, string? owner = null, string? backup = null, Bytes32? previous = null)
    {
        var hash = NameHash.Of(name);
        var payload = new NamePayload
        {
            RawType = (ushort)type, Hash = hash, Previous = previous ?? State.Name(type, hash)?.LastOperation ?? new Bytes32(Enumerable.Repeat((byte)1, 32).ToArray()),
            Owner = owner is null ? null : Owner(owner), Backup = backup is null ? null : Owner(backup), Value = value,
        };
        return new NameBody(0, payload.SignedBy(Key(signer)));
    }

    public NodeRegisterBody Register(string node, string operatorName, ulong amount, ushort fee = 1000, params (string Account, ulong Amount)[] reserved)
        => new NodeRegisterBody(Key(node).Id, fee, amount, [.. reserved.Select(r => (Key(r.Account).Id, r.Amount))], []).SignedBy(Key(node), Key(operatorName).Id, State.Account(Key(operatorName).Id).Nonce, Network);

    /// <summary>A node with its whole stake from one account, in one block.</summary>
    public void StartNode(string node, string operatorName) => Do(operatorName, Register(node, operatorName, Rules.StakeRequirement));

    public Operation Proof(string node, ulong? seconds = null)
        => Sign(node, new NodeProofBody(new NodeFacts(0x7F000001, 1090, 22021, 22020, 11, 0, 0, seconds ?? State.UnixMilliseconds / 1000)));

    /// <summary>Blocks with uptime proofs of these nodes whenever one is due.</summary>
    public void WaitWithProofs(ulong blocks, params string[] nodes)
    {
        for (ulong i = 0; i < blocks; i++)
        {
            Block([.. nodes.Where(n => State.Node(Key(n).Id) is { Stage: NodeStage.Active } node && Height + 1 >= node.LastProofHeight + Rules.ProofGapBlocks).Select(n => Proof(n))]);
        }
    }
}
