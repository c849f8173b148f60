using System.Collections.Immutable;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Proofs;

public class LightClientTests
{
    private static readonly LedgerKey[] Twenty = [.. Enumerable.Range(0, 20).Select(i => Key($"member {i}"))];

    [Fact]
    public async Task One_resolver_is_enough_for_presence_and_for_absence_in_2500_bytes()
    {
        await using LedgerHost host = await OpenAsync(Twenty);
        for (int i = 0; i < 200; i++) await Do(host, "alice", Buy($"name-{i}", 0, "alice"));
        await SignAsync(host, host.State.Height, Twenty);
        var server = new ProofServer(host);
        LightClient client = LightClient.From(host.State.Genesis);
        int longest = 0;
        for (int i = 190; i < 210; i++)
        {
            NameHash hash = NameHash.Of($"name-{i}");
            byte[] answer = (await server.AnswerAsync(NameEntry.Key(NameType.Session, hash)))!.ToBytes();
            Assert.Equal(ProofFault.None, client.CheckName(answer, NameType.Session, hash, out NameEntry? name, out _));
            Assert.Equal(i < 200, name is not null);
            longest = Math.Max(longest, answer.Length);
        }

        Assert.InRange(longest, 1000, 2500);
        Assert.Equal(host.State.Height, client.Height);
        TestContext.Current.TestOutputHelper?.WriteLine($"longest answer {longest} bytes");
    }

    [Fact]
    public async Task A_lying_resolver_is_refused_whatever_it_tries()
    {
        await using LedgerHost host = await OpenAsync(Twenty);
        NameHash mine = NameHash.Of("mine"), other = NameHash.Of("other"), absent = NameHash.Of("absent");
        await Do(host, "alice", Buy("mine", 0, "alice"));
        await Do(host, "bob", Buy("other", 0, "bob"));
        await SignAsync(host, host.State.Height, Twenty);
        var server = new ProofServer(host);
        Bytes32 key = NameEntry.Key(NameType.Session, mine);
        ProvenAnswer old = (await server.AnswerAsync(key))!;
        NameEntry before = host.State.Name(NameType.Session, mine)!;
        var update = new NamePayload { RawType = 0, Hash = mine, Previous = before.LastOperation, Value = Value(77, NameType.Session) };
        await Do(host, "alice", new NameBody(0, update.SignedBy(Key("alice"))));
        await SignAsync(host, host.State.Height, Twenty);
        ProvenAnswer good = (await server.AnswerAsync(key))!;
        LightClient Fresh() => LightClient.From(host.State.Genesis);
        ProofFault Check(LightClient client, ProvenAnswer answer) => client.CheckName(answer.ToBytes(), NameType.Session, mine, out _, out _);
        LightClient client = Fresh();
        Assert.Equal(ProofFault.None, Check(client, good));

        // Stale: true once, and not any more for whoever has seen newer.
        Assert.Equal(ProofFault.Stale, Check(client, old));

        // Forged: another value under a made-up tree, the header changed to fit.
        SparseTree forged = host.State.Tree.Set(key, before with { Value = Value(66, NameType.Session) });
        Assert.Equal(ProofFault.BadProof, Check(client, good with { Proof = forged.Prove(key) }));
        Assert.Equal(ProofFault.NoQuorum, Check(client, good with { Header = good.Header with { StateRoot = forged.Root }, Proof = forged.Prove(key) }));

        // Absent, it says: by another key's proof, by a tree without it, by cutting.
        Assert.Equal(ProofFault.BadProof, Check(client, (await server.AnswerAsync(NameEntry.Key(NameType.Session, absent)))!));
        Assert.Equal(ProofFault.BadProof, Check(client, good with { Proof = host.State.Tree.Remove(key).Prove(key) }));
        Assert.Equal(ProofFault.BadProof, Check(client, good with { Proof = TreeProof.Nothing([]) }));
        Assert.NotEqual(ProofFault.None, Check(client, (await server.AnswerAsync(NameEntry.Key(NameType.Session, other)))!));

        // (Under the header that was believed already, signatures need no second look; so a fresh client.) Too few signatures, the same one often, a stranger's, a committee of its own.
        ImmutableSortedDictionary<byte, byte[]> signatures = good.Signatures.ByMember;
        Assert.Equal(14, signatures.Count);
        Assert.Equal(ProofFault.NoQuorum, Check(Fresh(), good with { Signatures = good.Signatures.Least(13) }));
        HeaderSignatures same = signatures.Keys.Aggregate(HeaderSignatures.None, (s, m) => s.With(m, signatures.First().Value));
        Assert.Equal(ProofFault.NoQuorum, Check(Fresh(), good with { Signatures = same }));
        LedgerKey[] strangers = [.. Enumerable.Range(0, 20).Select(i => Key($"stranger {i}"))];
        Committee theirs = Committee.Of(strangers.Select(s => s.Id));
        BlockHeader header = good.Header with { Committee = theirs.Hash, NextCommittee = theirs.Hash };
        HeaderSignatures own = strangers.Aggregate(HeaderSignatures.None, (s, k) => s.With((byte)theirs.IndexOf(k.Id), HeaderSignatures.Sign(header, k, host.State.Network)));
        Assert.Equal(ProofFault.UnknownCommittee, Check(client, good with { Header = header, Signatures = own }));
        Assert.Equal(ProofFault.NoQuorum, Fresh().Follow(new HandOver(header with { Height = 99 }, own, theirs, null)));

        // Every single bit.
        byte[] bytes = good.ToBytes();
        for (int bit = 0; bit < 8 * bytes.Length; bit += 11)
        {
            byte[] changed = [.. bytes];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(ProofFault.None, Fresh().CheckName(changed, NameType.Session, mine, out _, out _));
        }

        Assert.Equal(ProofFault.Malformed, client.CheckName([], NameType.Session, mine, out _, out _));
    }

    [Fact]
    public async Task A_client_from_long_ago_catches_up_by_hand_overs()
    {
        // Ten nodes, committees of four: each epoch of ten blocks has another one.
        LedgerRules rules = LedgerRules.Quick with { CommitteeSize = 4, EpochBlocks = 10, ProofValidityBlocks = 10_000 };
        await using LedgerHost host = await OpenAsync(Founders, rules);
        string[] nodes = [.. Enumerable.Range(0, 10).Select(i => $"node {i}")];
        foreach (string node in nodes)
        {
            NodeRegisterBody body = new NodeRegisterBody(Key(node).Id, 0, rules.StakeRequirement, [], []).SignedBy(Key(node), Key("alice").Id, host.State.Account(Key("alice").Id).Nonce, host.State.Network);
            await Do(host, "alice", body);
        }

        for (int i = 0; i < 400; i++) await Do(host, "bob", new TransferBody(Key("carol").Id, 1));
        int changes = 0;
        for (ulong h = 1; h <= host.State.Height; h++)
        {
            BlockHeader header = host.HeaderAt(h)!;
            if (header.NextCommittee != header.Committee) changes++;
            if (h % rules.EpochBlocks == rules.EpochBlocks - 1 || h == host.State.Height) await SignAsync(host, h, [.. nodes.Select(Key), .. Founders]);
        }

        Assert.InRange(changes, 20, 41);
        var server = new ProofServer(host);
        LightClient client = LightClient.From(host.State.Genesis);
        int steps = 0, bytes = 0;
        while (client.Height < host.State.Height)
        {
            IReadOnlyList<HandOver> way = await server.WayAsync(client.Height, client.Committee);
            Assert.NotEmpty(way);
            foreach (HandOver step in way)
            {
                var writer = new LedgerWriter();
                step.Write(writer);
                var reader = new LedgerReader(writer.Written);
                Assert.Equal(ProofFault.None, client.Follow(HandOver.Read(ref reader)!));
                Assert.True(reader.Done);
                bytes += writer.Length;
                steps++;
            }
        }

        Assert.Equal(host.State.NextCommittee.Hash, client.Committee.Hash);
        Assert.InRange(steps, 1, changes + 1); // bounded by the epochs; overlaps make it fewer
        TestContext.Current.TestOutputHelper?.WriteLine($"{host.State.Height} blocks, {changes} changes of the committee: {steps} steps, {bytes} bytes");
        byte[] answer = (await server.AnswerAsync(AccountEntry.Key(Key("carol").Id)))!.ToBytes();
        Assert.Equal(ProofFault.None, client.Check(answer, AccountEntry.Key(Key("carol").Id), out _, out byte[] entry));
        var account = new LedgerReader(entry.AsSpan(1));
        Assert.Equal(10_000 * TestLedger.Oxen + 400, AccountEntry.Read(ref account)!.Balance);
    }

    [Fact]
    public async Task While_the_committee_stays_one_step_crosses_a_thousand_blocks()
    {
        LedgerRules rules = LedgerRules.Quick with { EpochBlocks = 5 };
        await using LedgerHost host = await OpenAsync(Founders, rules, 2000);
        for (int i = 0; i < 1000; i++) await Do(host, "bob", new TransferBody(Key("carol").Id, 1));
        await SignAsync(host, host.State.Height, Founders);
        LightClient client = LightClient.From(host.State.Genesis);
        HandOver step = Assert.Single(await new ProofServer(host).WayAsync(0, client.Committee));
        Assert.Equal(ProofFault.None, client.Follow(step));
        Assert.Equal(1000UL, client.Height);
    }

    private static async Task<LedgerHost> OpenAsync(IEnumerable<LedgerKey> members, LedgerRules? rules = null, int kept = 1000)
    {
        Genesis genesis = Genesis.Create("light", 1_700_000_000_000, rules ?? LedgerRules.Quick, Committee.Of(members.Select(m => m.Id)), new[] { "alice", "bob" }.Append("carol").Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
        return await LedgerHost.OpenAsync(new MemorySequencer(), genesis, new LedgerHostOptions { KeptStates = kept });
    }

    private static async Task Do(LedgerHost host, string signer, OperationBody body)
    {
        Receipt receipt = await host.SubmitAsync(Operation.Create(body, Key(signer), host.State.Account(Key(signer).Id).Nonce, host.State.Network));
        Assert.Null(receipt.Refusal);
    }

    private static async Task SignAsync(LedgerHost host, ulong height, IEnumerable<LedgerKey> members)
    {
        BlockHeader header = host.HeaderAt(height)!;
        foreach (LedgerKey member in members)
        {
            bool taken = await host.SignAsync(height, member.Id, HeaderSignatures.Sign(header, member, host.State.Network));
            Assert.Equal(host.StateAt(height)!.Committee.IndexOf(member.Id) >= 0, taken);
        }
    }
}
