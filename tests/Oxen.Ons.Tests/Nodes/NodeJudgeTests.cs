using System.Net;
using Oxen.Ons.Ledger;
using Oxen.Ons.Nodes;
using Oxen.Ons.Proofs;
using Oxen.Ons.Rpc;
using Oxen.Ons.Sequencing;
using Oxen.Ons.Tests.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Nodes;

/// <summary>Members of the committee look at nodes, each for itself; nobody is out by one member's word.</summary>
public sealed class NodeJudgeTests : IAsyncLifetime
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;
    private static readonly LedgerKey[] Founders = [.. TestLedger.Founders];
    private static readonly NodeJudgeOptions Options = new() { Round = TimeSpan.FromMinutes(10), Failures = 3 };

    private readonly HandClock _time = new();
    private readonly Genesis _genesis = Genesis.Create("judges", 1_700_000_000_000, LedgerRules.Quick with { EpochBlocks = 1000, ProofValidityBlocks = 1000, CreditStart = 100 }, Committee.Of(Founders.Select(f => f.Id)), new[] { "alice", "bob" }.Select(n => KeyValuePair.Create(Key(n).Id, 10_000 * TestLedger.Oxen)));
    private readonly HashSet<(int Judge, Bytes32 Node)> _dead = [];
    private LedgerHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis, time: _time);

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task A_node_is_out_when_a_quorum_has_seen_it_dead_and_back_when_a_quorum_has_seen_it_alive()
    {
        await StartNodesAsync("node");
        NodeJudge[] judges = [.. Enumerable.Range(0, 4).Select(i => Judge(i))];
        Bytes32 node = Key("node").Id;

        // Two of four are no quorum, however often they say it.
        _dead.UnionWith([(0, node), (1, node)]);
        for (int round = 0; round < 6; round++) await RoundAsync(judges);
        Assert.Equal((NodeStage.Active, 4L, 4L, 0L), (Stage(node), judges[0].Votes, judges[1].Votes, judges[2].Votes));

        // A third one; it takes three rounds to be sure, and then all three say it of one round.
        _dead.Add((2, node));
        for (int round = 0; round < 2; round++) await RoundAsync(judges);
        Assert.Equal(NodeStage.Active, Stage(node));
        await RoundAsync(judges);
        Assert.Equal((NodeStage.Decommissioned, NodeReasons.LokinetUnreachable), (Stage(node), _host.State.Node(node)!.Reasons));

        // One who sees it again does not bring it back; three do.
        _dead.Remove((2, node));
        await RoundAsync(judges);
        Assert.Equal(NodeStage.Decommissioned, Stage(node)); // two see it (the fourth always did)
        _dead.Clear();
        await RoundAsync(judges);
        Assert.Equal((NodeStage.Active, ""), (Stage(node), string.Concat(judges.Select(j => j.Trouble))));
        foreach (NodeJudge judge in judges) await judge.DisposeAsync();
    }

    [Fact]
    public async Task A_node_whose_storage_a_quorum_cannot_reach_is_out_for_that_reason_and_back_when_it_is_reached()
    {
        await StartNodesAsync("node");
        bool[] reached = [false, false, true, true];
        NodeJudge[] judges = [.. Founders.Take(4).Select((f, i) => new NodeJudge(_host, [f], (_, _) => Task.FromResult(reached[i] ? NodeReasons.None : NodeReasons.StorageUnreachable), Options))];
        Bytes32 node = Key("node").Id;
        for (int round = 0; round < 6; round++) await RoundAsync(judges);
        Assert.Equal(NodeStage.Active, Stage(node)); // two of four

        reached[2] = false;
        for (int round = 0; round < 3; round++) await RoundAsync(judges);
        Assert.Equal((NodeStage.Decommissioned, NodeReasons.StorageUnreachable), (Stage(node), _host.State.Node(node)!.Reasons));

        reached.AsSpan().Fill(true);
        await RoundAsync(judges);
        Assert.Equal((NodeStage.Active, ""), (Stage(node), string.Concat(judges.Select(j => j.Trouble))));
        foreach (NodeJudge judge in judges) await judge.DisposeAsync();
    }

    [Fact]
    public async Task To_whom_most_nodes_look_dead_looks_at_itself()
    {
        await StartNodesAsync("n1", "n2", "n3");
        await using NodeJudge judge = Judge(0);
        foreach (string node in new[] { "n1", "n2" }) _dead.Add((0, Key(node).Id));
        for (int round = 0; round < 5; round++) await RoundAsync(judge);
        Assert.Equal(0, judge.Votes);
        Assert.Contains("rather this machine", judge.Trouble, StringComparison.Ordinal);
        _dead.Remove((0, Key("n2").Id));
        for (int round = 0; round < 3; round++) await RoundAsync(judge);
        Assert.Equal((1L, ""), (judge.Votes, judge.Trouble));
    }

    [Fact]
    public async Task Nobody_judges_without_a_seat_twice_in_a_round_or_itself()
    {
        await StartNodesAsync("node");
        int looks = 0;
        NodeTest test = (_, _) =>
        {
            looks++;
            return Task.FromResult(NodeReasons.LokinetUnreachable);
        };
        await using var stranger = new NodeJudge(_host, [Key("stranger")], test, Options);
        await using var itself = new NodeJudge(_host, [Founders[0], Key("node")], test, Options);
        await RoundAsync(stranger, itself);
        Assert.Equal(0, looks);
        await using var judge = new NodeJudge(_host, [Founders[0]], test, Options);
        await RoundAsync(judge);
        await BlockAsync(TimeSpan.FromSeconds(1));
        await judge.JudgeAsync(Cancel);
        Assert.Equal(1, looks);
    }

    [Fact]
    public async Task A_member_with_a_copy_votes_at_the_ledger_that_it_follows()
    {
        await StartNodesAsync("node");
        await using RpcServer door = await RpcServer.StartAsync(new LedgerRpc(_host), new IPEndPoint(IPAddress.Loopback, 0), Cancel);
        using HttpClient http = OxendClient.CreateHttp(TimeSpan.FromSeconds(60));
        await using var follower = new LedgerFollower(new OxendClient(http, door.Address), [], new SigningJournal(null), TimeSpan.FromSeconds(1), TimeProvider.System);
        await using LedgerHost copy = await LedgerHost.OpenAsync(new MemorySequencer(), _genesis, new LedgerHostOptions { Forward = follower.ForwardAsync, ForwardVote = follower.ForwardVoteAsync }, _time);
        _dead.Add((0, Key("node").Id));
        _dead.Add((1, Key("node").Id));
        _dead.Add((2, Key("node").Id));
        await using var far = new NodeJudge(copy, [Founders[0]], Test(0), Options);
        await using NodeJudge second = Judge(1), third = Judge(2);
        for (int round = 0; round < 3; round++)
        {
            await RoundAsync(second, third);
            ulong height = _host.State.Height;
            foreach (LedgerKey founder in Founders[..3]) Assert.True(await _host.SignAsync(height, founder.Id, HeaderSignatures.Sign(_host.HeaderAt(height)!, founder, _genesis.Network), Cancel));
            Assert.True(await follower.LookAsync(copy, Cancel), follower.Trouble);
            await far.JudgeAsync(Cancel);
        }

        Assert.Equal((1L, ""), (far.Votes, far.Trouble));
        Assert.Equal(NodeStage.Decommissioned, Stage(Key("node").Id)); // by the far one's vote, the third
    }

    private NodeTest Test(int judge) => (node, _) => Task.FromResult(_dead.Contains((judge, node.Id)) ? NodeReasons.LokinetUnreachable : NodeReasons.None);

    private NodeJudge Judge(int founder) => new(_host, [Founders[founder]], Test(founder), Options);

    private NodeStage Stage(Bytes32 node) => _host.State.Node(node)!.Stage;

    private async Task StartNodesAsync(params string[] nodes)
    {
        foreach (string node in nodes)
        {
            ulong nonce = _host.State.Account(Key("alice").Id).Nonce;
            Receipt receipt = await _host.SubmitAsync(Operation.Create(new NodeRegisterBody(Key(node).Id, 0, 100 * TestLedger.Oxen, [], []).SignedBy(Key(node), Key("alice").Id, nonce, _genesis.Network), Key("alice"), nonce, _genesis.Network), Cancel);
            Assert.Null(receipt.Refusal);
        }
    }

    // A block of the next ten minutes, and everybody looks.
    private async Task RoundAsync(params NodeJudge[] judges)
    {
        await BlockAsync(Options.Round);
        foreach (NodeJudge judge in judges) await judge.JudgeAsync(Cancel);
    }

    private async Task BlockAsync(TimeSpan later)
    {
        _time.Now += later;
        Receipt receipt = await _host.SubmitAsync(Operation.Create(new TransferBody(Key("carol").Id, 1), Key("bob"), _host.State.Account(Key("bob").Id).Nonce, _genesis.Network), Cancel);
        Assert.Null(receipt.Refusal);
    }

    private sealed class HandClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_000);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
