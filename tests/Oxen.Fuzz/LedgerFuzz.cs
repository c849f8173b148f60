using System.Text;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;

namespace Oxen.Fuzz;

/// <summary>
/// Readers of the ledger take any bytes: operations, payloads of names, entries, look-ups through a path, JSON-RPC. An answer each time, never an
/// exception; what is read has exactly one encoding. OXEN_FUZZ_INPUTS makes it longer.
/// </summary>
public sealed class LedgerFuzz
{
    private const int InCi = 1_000_000;

    private static readonly int Inputs = ParserFuzz.InputsOr(InCi);
    private static readonly LedgerKey Alice = new([.. Enumerable.Repeat((byte)7, 32)]);
    private static readonly Genesis Begin = Genesis.Create("fuzz", 1_700_000_000_000, LedgerRules.Quick, Committee.Of([Alice.Id]), [KeyValuePair.Create(Alice.Id, 1000 * OxenAmount.Oxen)]);

    private static NamePayload Payload => new() { RawType = 2, Hash = NameHash.Of("hello.loki"), Owner = NameOwner.Of(Alice.Id), Backup = NameOwner.Of(Begin.Network), Value = new byte[72] };

    [Fact]
    public void Operations_are_refused_or_have_one_encoding()
    {
        OperationBody[] bodies =
        [
            new TransferBody(Alice.Id, 5), new BurnBody(5, "why"), new NameBody(7, Payload), new NameBody(0, (Payload with { Previous = Begin.Network }).SignedBy(Alice)),
            new NodeRegisterBody(Alice.Id, 3, 5, [(Alice.Id, 1)], []).SignedBy(Alice, Alice.Id, 0, Begin.Network), new NodeProofBody(new NodeFacts(1, 2, 3, 4, 5, 6, 7, 8)),
            new NodeVerdictBody(Alice.Id, 3, Verdict.Failing, NodeReasons.All, [(1, new byte[64]), (2, new byte[64])]),
        ];
        int read = 0;
        Each([.. bodies.Select(b => Operation.Create(b, Alice, 0, Begin.Network).Encoded)], 1, input =>
        {
            if (Operation.Read(input, Begin.Network) is not { } operation) return;
            read++;
            Assert.True(input.AsSpan().SequenceEqual(operation.Encoded));
            var writer = new LedgerWriter();
            operation.Body.Write(writer);
            Assert.True(input.AsSpan().IndexOf(writer.Written) > 0, "the body has another encoding");
        });
        Assert.InRange(read, Inputs / 50, Inputs);
    }

    [Fact]
    public void Entries_are_refused_or_have_one_encoding()
    {
        LedgerEntry[] entries =
        [
            new AccountEntry(Alice.Id, 5, 6), new NameEntry(NameType.Lokinet, NameHash.Of("a.loki"), NameOwner.Of(Alice.Id), null, new byte[72], Begin.Network, 7, 8), new CommitmentEntry(Begin.Network, Alice.Id, 5, 6),
            new ZoneEntry(NameType.Session, 1, Begin.Network, Alice.Id, Begin.Network, new byte[100], 3, 4, 5, Begin.Network, 6, new PendingRecovery(Alice.Id, 9)), new ReverseEntry(Alice.Id, "a.loki"),
            new TotalsEntry(1, 2, 3, 4, 5, 6, 7), new CommitteeEntry(Begin.Committee), new NodeEntry { Id = Alice.Id, Contributions = [new Contribution(Alice.Id, 5, 6)], Fee = 7, RegistrationHeight = 8, Facts = new NodeFacts(1, 2, 3, 4, 5, 6, 7, 8) },
        ];
        int read = 0;
        Each([.. entries.Select(e => e.ToBytes())], 2, input =>
        {
            if (LedgerEntries.Read(input) is not { } entry) return;
            read++;

            // A name of a reverse entry is text for people; everything else comes out as it went in.
            if (entry is not ReverseEntry) Assert.True(input.AsSpan().SequenceEqual(entry.ToBytes()));
            _ = LedgerEntries.KeyOf(entry);
        });
        Assert.InRange(read, Inputs / 50, Inputs);
    }

    [Fact]
    public void Look_ups_through_a_path_are_answered_or_refused()
    {
        LedgerState state = LedgerState.Of(Begin);
        BlockHeader header = BlockHeader.OfGenesis(state);
        HeaderSignatures signatures = HeaderSignatures.None.With(0, HeaderSignatures.Sign(header, Alice, Begin.Network));
        byte[] answer = ProofWire.Answer(header, signatures, state.Tree.Prove(AccountEntry.Key(Alice.Id)), state.Tree.Prove(Begin.Network))!;
        byte[] way = ProofWire.WayAnswer([new HandOver(header, signatures, null, Begin.Committee)]);
        var client = LightClient.From(Begin);
        Each([answer, way, ProofWire.Question(Begin.Network, Alice.Id, Alice.Id), ProofWire.WayQuestion(Begin.Network, 1, Alice.Id)], 3, input =>
        {
            _ = ProofWire.ReadQuestion(input, out _, out _, out _);
            _ = ProofWire.ReadWayQuestion(input, out _, out _, out _);
            if (ProofWire.ReadWay(input) is { } read) foreach (HandOver step in read.Steps) Assert.NotNull(step.Header);
            if (ProofWire.ReadAnswer(input) is not { } found) return;
            foreach (byte[] proven in found.Answers) _ = client.Check(proven, AccountEntry.Key(Alice.Id), out _, out _);
        }, rounds: Inputs / 4);
        Assert.Equal(0UL, client.Height);
    }

    [Fact]
    public async Task Json_rpc_answers_every_text_with_a_result_or_an_error()
    {
        await using LedgerHost host = await LedgerHost.OpenAsync(new MemorySequencer(), Begin);
        var rpc = new LedgerRpc(host);
        string hash = NameHash.Of("a").ToBase64(), operation = Convert.ToBase64String(Operation.Create(new BurnBody(5, "x"), Alice, 0, Begin.Network).Encoded);
        byte[][] seeds =
        [
            .. new[]
            {
                $$$"""{"jsonrpc":"2.0","id":"0","method":"ons_resolve","params":{"type":2,"name_hash":"{{{hash}}}"}}""",
                $$$"""{"id":1,"method":"ons_names_to_owners","params":{"entries":[{"name_hash":"{{{hash}}}","types":[0,1,2]}],"include_expired":true}}""",
                $$$"""{"id":null,"method":"ons_owners_to_names","params":{"entries":["{{{Alice.Id}}}"]}}""", """{"method":"get_service_nodes","params":{"fields":["swarm_id"],"limit":-1,"active_only":true}}""",
                $$$"""{"method":"ledger_submit","params":{"operation":"{{{operation}}}"}}""", """{"method":"ledger_blocks","params":{"from":1,"count":64}}""", """{"method":"ledger_header","params":{"height":0}}""",
                $$$"""{"method":"ledger_way","params":{"height":0,"committee":"{{{Begin.Committee.Hash}}}"}}""", $$$"""{"method":"ledger_vote","params":{"node":"{{{Alice.Id}}}","height":0,"verdict":0,"reasons":1,"member":"{{{Alice.Id}}}","signature":"AAAA"}}""",
            }.Select(Encoding.UTF8.GetBytes),
        ];
        var inputs = new List<byte[]>();
        Each(seeds, 4, inputs.Add, rounds: Inputs / 4);
        int results = 0;
        foreach (byte[] input in inputs)
        {
            byte[] answer = await rpc.AnswerAsync(input, CancellationToken.None);
            using JsonDocument document = JsonDocument.Parse(answer);
            bool result = document.RootElement.TryGetProperty("result", out _);
            Assert.True(result || document.RootElement.GetProperty("error").GetProperty("message").GetString()!.Length > 0);
            if (result) results++;
        }

        Assert.True(results > 0);
    }

    // Changed bytes, cut and spliced texts of the seeds, and now and then bytes of no form at all.
    private static void Each(byte[][] seeds, int seed, Action<byte[]> work, int rounds = 0)
    {
        var random = new Random(seed);
        for (int i = 0; i < (rounds == 0 ? Inputs : rounds); i++)
        {
            byte[] from = seeds[random.Next(seeds.Length)];
            byte[] input;
            switch (random.Next(8))
            {
                case 0:
                    input = from[..random.Next(from.Length + 1)];
                    break;
                case 1:
                    byte[] other = seeds[random.Next(seeds.Length)];
                    input = [.. from[..random.Next(from.Length + 1)], .. other[random.Next(other.Length + 1)..]];
                    break;
                case 2:
                    input = new byte[random.Next(300)];
                    random.NextBytes(input);
                    break;
                default:
                    input = [.. from];
                    for (int changes = random.Next(1, 5); changes > 0; changes--) input[random.Next(input.Length)] = (byte)random.Next(256);
                    break;
            }

            work(input);
        }
    }
}
