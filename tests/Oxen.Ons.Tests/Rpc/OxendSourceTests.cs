using System.Text.Json;
using Oxen.Ons.Rpc;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Tests.Rpc;

// Against answers in the shapes of oxen-core's RPC documentation (ons_resolve, get_service_nodes).
public class OxendSourceTests
{
    private const string Blocks = """{"encrypted_value":"b52c088ae51171a9e2e44cc98c10006547e2981d4cbe196525c948fa2fa48a11e8712eccd0ba20e4b93fb3989361df8a","nonce":"6e3e80c7927108612475a0eeddf472af6177c9776d6943ed"}""";
    private const string Address = "531a0c517fb23b120c37132ab1d771eda3a6ed7cfd64b374ca6ce61ae95a54e4";

    [Fact]
    public async Task A_published_answer_resolves()
    {
        JsonElement asked = default;
        await using var mock = new MockOxend((method, p) =>
        {
            asked = p.Clone();
            Assert.Equal("ons_resolve", method);
            return Blocks;
        });
        NameAnswer answer = await Resolve("blocks", mock);
        Assert.Equal((NameOutcome.Found, Address), (answer.Outcome, Convert.ToHexStringLower(answer.Address.Span)));
        Assert.Equal((2, "IeynFEjyxigd0Lcmo5FWYaGp/uVXsa5grK8Jml0ai3o="), (asked.GetProperty("type").GetInt32(), asked.GetProperty("name_hash").GetString()));
        Assert.Equal(NameOutcome.Found, (await Resolve("www.Blocks", mock)).Outcome);
    }

    [Fact]
    public async Task Servers_that_disagree_or_lie_or_are_gone_are_not_believed()
    {
        await using var good = new MockOxend((_, _) => Blocks);
        await using var empty = new MockOxend((_, _) => "{}");
        await using var forged = new MockOxend((_, _) => Blocks.Replace("b52c", "b52d", StringComparison.Ordinal));
        await using var shortened = new MockOxend((_, _) => """{"encrypted_value":"00","nonce":"00"}""");
        await using var refusing = new MockOxend((_, _) => """!{"jsonrpc":"2.0","id":"0","error":{"code":-1,"message":"busy"}}""");
        await using var noise = new MockOxend((_, _) => "!<html>");
        Assert.Equal(NameOutcome.NotFound, (await Resolve("blocks", empty)).Outcome);
        Assert.Equal(NameOutcome.NotFound, (await Resolve("blocks", empty, empty)).Outcome);
        Assert.Contains("do not agree", (await Unknown(good, good, empty)).Reason, StringComparison.Ordinal); // an empty answer counts
        Assert.Contains("do not agree", (await Unknown(good, good, forged)).Reason, StringComparison.Ordinal);
        Assert.Contains("does not open", (await Unknown(forged)).Reason, StringComparison.Ordinal);
        Assert.Contains("no encrypted value", (await Unknown(shortened)).Reason, StringComparison.Ordinal);
        Assert.Contains("busy", (await Unknown(refusing)).Reason, StringComparison.Ordinal);
        await Unknown(noise);
        await Unknown(good, refusing); // one of two is no majority
        Assert.Equal(NameOutcome.Found, (await Resolve("blocks", good, good, refusing)).Outcome);
    }

    [Fact]
    public async Task A_silent_server_holds_nobody_up_and_what_not_all_said_is_kept_for_minutes()
    {
        using var released = new ManualResetEventSlim();
        await using var good = new MockOxend((_, _) => Blocks);
        await using var other = new MockOxend((_, _) => Blocks);
        await using var silent = new MockOxend((_, _) =>
        {
            released.Wait(TimeSpan.FromMinutes(5));
            return "{}";
        });
        try
        {
            using var source = new OxendNameSource([good.Address, silent.Address, other.Address], TimeSpan.FromMinutes(10));
            NameAnswer answer = await source.ResolveAsync("blocks", CancellationToken.None).AsTask().WaitAsync(TimeSpan.FromMinutes(2));
            Assert.Equal((NameOutcome.Found, TimeSpan.FromMinutes(5)), (answer.Outcome, answer.Lifetime));
            using var both = new OxendNameSource([good.Address, other.Address], TimeSpan.FromMinutes(10));
            Assert.Equal(TimeSpan.FromHours(1), (await both.ResolveAsync("blocks", CancellationToken.None)).Lifetime);
        }
        finally
        {
            released.Set();
        }
    }

    [Fact]
    public async Task Liars_who_are_quicker_than_an_honest_server_gain_nothing_within_its_grace()
    {
        // The clock stands, so that the time of grace does not end before the third one has spoken.
        using var released = new ManualResetEventSlim();
        int said = 0;
        string Lie()
        {
            Interlocked.Increment(ref said);
            return "{}";
        }

        await using var liar = new MockOxend((_, _) => Lie());
        await using var other = new MockOxend((_, _) => Lie());
        await using var honest = new MockOxend((_, _) =>
        {
            released.Wait(TimeSpan.FromMinutes(5));
            return Blocks;
        });
        using var source = new OxendNameSource([liar.Address, other.Address, honest.Address], TimeSpan.FromMinutes(10), new StandingClock());
        Task<NameAnswer> asked = source.ResolveAsync("blocks", CancellationToken.None).AsTask();
        for (int i = 0; i < 6000 && Volatile.Read(ref said) < 2; i++) await Task.Delay(10);
        await Task.Delay(50);
        Assert.False(asked.IsCompleted);
        released.Set();
        NameAnswer answer = await asked.WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Equal(NameOutcome.Unavailable, answer.Outcome);
        Assert.Contains("do not agree", answer.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_list_of_nodes_is_read_with_large_swarm_ids_and_kept_when_the_server_fails()
    {
        string now = """
            {"status":"OK","height":1654321,"block_hash":"aa","service_node_states":[
              {"service_node_pubkey":"11","pubkey_ed25519":"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8","active":true,"funded":true,"swarm_id":18446744073709551614,"operator_address":"LA1"},
              {"service_node_pubkey":"22","pubkey_ed25519":"29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7","active":false,"funded":true,"swarm_id":18446744073709551615,"operator_address":"LA2"},
              {"service_node_pubkey":"33","pubkey_ed25519":"","active":false,"funded":false,"swarm_id":1},
              {"service_node_pubkey":"44","pubkey_ed25519":"39acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7","active":false,"funded":false,"swarm_id":1}]}
            """;
        string polled = "?";
        await using var mock = new MockOxend((_, p) =>
        {
            polled = p.GetProperty("poll_block_hash").GetString()!;
            return polled == "aa" && now[0] != '!' ? """{"unchanged":true,"block_hash":"aa"}""" : now;
        });
        await using var source = new OxendNodeSource(mock.Address, TimeSpan.FromHours(1), TimeSpan.FromSeconds(20), TimeProvider.System);
        int changes = 0;
        source.Changed += () => changes++;
        Assert.Same(NodeRegistry.Empty, source.Current);
        Assert.True(await source.RefreshAsync(CancellationToken.None));
        Assert.Equal("", polled);
        Assert.Equal((2, 1_654_321UL), (source.Current.Nodes.Count, source.Current.Height));
        ServiceNode first = source.Current.Find(Convert.FromHexString("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"))!;
        Assert.Equal((18446744073709551614UL, true, "LA1"), (first.SwarmId, first.Active, first.Operator));
        Assert.True(await source.RefreshAsync(CancellationToken.None));
        Assert.Equal(("aa", 1), (polled, changes));
        NodeRegistry kept = source.Current;
        foreach (string wrong in new[] { "!nonsense", """!{"result":{"service_node_states":3}}""", """!{"result":{}}""", """!{"result":{"service_node_states":[{"pubkey_ed25519":5}]}}""" })
        {
            now = wrong;
            Assert.False(await source.RefreshAsync(CancellationToken.None));
            Assert.NotEmpty(source.Trouble);
            Assert.Same(kept, source.Current);
        }
    }

    private sealed class StandingClock : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => base.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private static async Task<NameAnswer> Resolve(string name, params MockOxend[] servers)
    {
        using var source = new OxendNameSource(servers.Select(s => s.Address), TimeSpan.FromSeconds(20));
        return await source.ResolveAsync(name, CancellationToken.None);
    }

    private static async Task<NameAnswer> Unknown(params MockOxend[] servers)
    {
        NameAnswer answer = await Resolve("blocks", servers);
        Assert.Equal(NameOutcome.Unavailable, answer.Outcome);
        Assert.NotEmpty(answer.Reason);
        return answer;
    }
}
