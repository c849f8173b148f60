using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Ledger;

// Changed, cut, spliced and random bytes into every reader of the ledger: no exception, and what is read has exactly one encoding.
public class HostileBytesTests
{
    private const int Inputs = 40_000;
    private readonly TestLedger _ledger = new();

    [Fact]
    public void Operations_are_refused_or_read_as_their_own_bytes()
    {
        byte[][] seeds = [.. Bodies().Select(b => _ledger.Sign("alice", b).Encoded)];
        int read = 0;
        foreach (byte[] input in Mutations(seeds, 1))
        {
            if (Operation.Read(input, _ledger.Network) is not { } operation) continue;
            read++;
            Assert.Equal(input, operation.Encoded);
            var writer = new LedgerWriter();
            operation.Body.Write(writer);
            Assert.True(input.AsSpan().IndexOf(writer.Written) > 0, "the body has another encoding");
        }

        Assert.True(read > Inputs / 10, $"only {read} of {Inputs} got past the readers");
        TestContext.Current.TestOutputHelper?.WriteLine($"{read} of {Inputs} inputs were operations");
    }

    [Fact]
    public void Every_kind_of_operation_reads_back_as_it_was()
    {
        foreach (OperationBody body in Bodies())
        {
            Operation operation = _ledger.Sign("alice", body, validUntil: 9);
            Operation read = Operation.Read(operation.Encoded, _ledger.Network)!;
            Assert.Equal((operation.Id, operation.Signer, 9UL, body.Kind), (read.Id, read.Signer, read.ValidUntil, read.Body.Kind));
            Assert.True(read.VerifySignature());
            Assert.NotEqual(read.Id, Operation.Read(operation.Encoded, default)!.Id); // another network's id is another
            for (int cut = 0; cut < operation.Encoded.Length; cut++) Assert.Null(Operation.Read(operation.Encoded.AsSpan(0, cut), _ledger.Network));
        }

        Assert.Equal(Enum.GetValues<OperationKind>().Order(), Bodies().Select(b => b.Kind).Distinct().Order());
    }

    [Fact]
    public void Blocks_geneses_proofs_and_steps_are_refused_or_read_as_their_own_bytes()
    {
        _ledger.StartNode("node", "alice");
        Block block = StateMachine.Build(_ledger.State, [_ledger.Sign("alice", Buy("hello", 0, "alice")), _ledger.Sign("bob", new BurnBody(5, "x"))], 0).Block;
        HeaderSignatures signatures = HeaderSignatures.None.With(0, HeaderSignatures.Sign(block.Header, Founders[0], _ledger.Network)).With(3, HeaderSignatures.Sign(block.Header, Founders[3], _ledger.Network));
        var step = new LedgerWriter();
        new HandOver(block.Header, signatures, null, _ledger.Genesis.Committee).Write(step);
        byte[] answer = new ProvenAnswer(block.Header, signatures, _ledger.State.Tree.Prove(NodeEntry.Key(Key("node").Id))).ToBytes();
        foreach (byte[] input in Mutations([block.ToBytes()], 2)) if (Block.Read(input, _ledger.Network) is { } read) Assert.Equal(input, read.ToBytes());
        foreach (byte[] input in Mutations([_ledger.Genesis.Encoded], 3)) if (Genesis.Read(input) is { } read) Assert.Equal(input, read.Encoded);
        foreach (byte[] input in Mutations([answer], 4)) if (ProvenAnswer.Read(input) is { } read) Assert.Equal(input, read.ToBytes());
        foreach (byte[] input in Mutations([step.ToArray()], 5))
        {
            var reader = new LedgerReader(input);
            if (HandOver.Read(ref reader) is not { } read || !reader.Done) continue;
            var writer = new LedgerWriter();
            read.Write(writer);
            Assert.Equal(input, writer.ToArray());
        }
    }

    [Fact]
    public void Another_network_with_the_same_rules_takes_none_of_our_operations()
    {
        var other = new TestLedger(LedgerRules.Quick with { OperationFee = 1001 });
        Assert.NotEqual(_ledger.Network, other.Network);
        Operation ours = _ledger.Sign("alice", new TransferBody(Key("bob").Id, 1));
        other.Refused(OperationFault.BadSignature, Operation.Read(ours.Encoded, other.Network)!);
    }

    [Fact]
    public void Numbers_and_times_of_operations_are_held()
    {
        OperationBody body = new TransferBody(Key("bob").Id, 1);
        _ledger.Refused(OperationFault.NonceGap, _ledger.Sign("alice", body, nonce: 1));
        _ledger.Do("alice", body);
        _ledger.Refused(OperationFault.Replayed, _ledger.Sign("alice", body, nonce: 0));
        Operation late = _ledger.Sign("alice", body, validUntil: 2);
        _ledger.Wait(1);
        _ledger.Refused(OperationFault.Expired, late);
        _ledger.Refused(OperationFault.ZeroAmount, "alice", new TransferBody(Key("bob").Id, 0));
        _ledger.Refused(OperationFault.NotEnoughMoney, "alice", new TransferBody(Key("bob").Id, 10_001 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.NotEnoughMoney, "nobody", new TransferBody(Key("bob").Id, 1));
        byte[] bent = [.. _ledger.Sign("alice", body).Encoded];
        bent[^1] ^= 1;
        _ledger.Refused(OperationFault.BadSignature, Operation.Read(bent, _ledger.Network)!);
    }

    [Fact]
    public void A_block_that_breaks_a_rule_is_refused_with_the_reason()
    {
        Operation pay = _ledger.Sign("alice", new TransferBody(Key("bob").Id, 1));
        (Block good, _) = StateMachine.Build(_ledger.State, [pay], _ledger.State.UnixMilliseconds + 5);
        string Reason(Block block)
        {
            Assert.Null(StateMachine.Apply(_ledger.State, block, out string reason));
            return reason;
        }

        Assert.NotNull(StateMachine.Apply(_ledger.State, good, out _));
        Assert.Contains("height", Reason(new Block(good.Header with { Height = 2 }, good.Operations)), StringComparison.Ordinal);
        Assert.Contains("follow", Reason(new Block(good.Header with { Previous = default }, good.Operations)), StringComparison.Ordinal);
        Assert.Contains("time", Reason(new Block(good.Header with { UnixMilliseconds = 1 }, good.Operations)), StringComparison.Ordinal);
        Assert.Contains("not those of its head", Reason(new Block(good.Header, [])), StringComparison.Ordinal);
        Assert.Contains("state root", Reason(new Block(good.Header with { StateRoot = default }, good.Operations)), StringComparison.Ordinal);
        Assert.Contains("committees", Reason(new Block(good.Header with { NextCommittee = default }, good.Operations)), StringComparison.Ordinal);
        Operation[] twice = [pay, pay];
        Assert.Contains("replayed", Reason(new Block(good.Header with { OperationsRoot = Block.RootOf(twice) }, [.. twice])), StringComparison.Ordinal);
    }

    private IEnumerable<OperationBody> Bodies()
    {
        Bytes32 some = Key("some").Id;
        byte[] signature = new byte[64];
        var header = new BlockHeader(5, 1, some, some, some, some, some);
        yield return new TransferBody(some, 300);
        yield return new BurnBody(1, "buy and burn, March");
        yield return Buy("hello", 0, "alice", "bob");
        yield return new ZoneCommitBody(some, 7);
        yield return new ZoneRevealBody(NameType.Lokinet, 2, 1, some, some, Key("bob").Id, [1, 2, 3], some);
        yield return new ZoneUpdateBody(some, some, 200, ZoneFields.Owner | ZoneFields.Value, some, default, [4, 5], signature);
        yield return new ZoneRenewBody(some, 3, 21);
        yield return new ZoneRecoverBody(some, some, RecoveryStep.Start, some, signature);
        yield return new ReverseBody(some, "hello.loki", signature);
        yield return new NodeRegisterBody(some, 10, 100, [(some, 5)], signature);
        yield return new NodeContributeBody(some, 5);
        yield return new NodeUnlockBody(some);
        yield return new NodeCollectBody(some);
        yield return new NodeProofBody(new NodeFacts(1, 2, 3, 4, 5, 6, 7, 8));
        yield return new NodeVerdictBody(some, 3, Verdict.Failing, NodeReasons.ClockOutOfSync, [(0, signature), (2, signature)]);
        yield return new EquivocationBody(some, header, signature, header, signature);
    }

    private static IEnumerable<byte[]> Mutations(byte[][] seeds, int seed)
    {
        var random = new Random(seed);
        for (int i = 0; i < Inputs; i++)
        {
            byte[] input = [.. seeds[random.Next(seeds.Length)]];
            switch (random.Next(6))
            {
                case 0:
                    input = [.. input[..random.Next(input.Length)], .. seeds[random.Next(seeds.Length)].Skip(random.Next(60))];
                    break;
                case 1:
                    input = input[..random.Next(input.Length)];
                    break;
                case 2:
                    random.NextBytes(input.AsSpan(random.Next(input.Length)));
                    break;
                default:
                    for (int n = random.Next(1, 4); n > 0; n--) input[random.Next(input.Length)] = (byte)random.Next(256);
                    break;
            }

            yield return input;
        }
    }
}
