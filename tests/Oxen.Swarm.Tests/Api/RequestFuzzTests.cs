using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Api;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Api;

public class RequestFuzzTests
{
    private static readonly string[] Names =
    [
        "pubkey", "pubKey", "pubkey_ed25519", "signature", "subaccount", "subaccount_sig", "data", "timestamp", "ttl", "expiry", "namespace", "sig_timestamp", "last_hash",
        "max_count", "max_size", "messages", "required", "before", "shorten", "extend", "revoke", "unrevoke", "endpoint", "params", "requests", "if", "then", "else", "method",
    ];

    private static readonly string[] Methods =
    [
        "store", "retrieve", "delete", "delete_all", "delete_before", "expire_all", "expire", "get_expiries", "revoke_subaccount", "unrevoke_subaccount", "revoked_subaccounts",
        "get_swarm", "info", "oxend_request", "active_nodes_bin", "batch", "sequence", "ifelse", "nonsense",
    ];

    [Fact]
    public void No_parameters_make_the_parser_throw_and_it_gives_a_request_or_a_reason()
    {
        var dice = new Random(31);
        var parser = new RequestParser(allowTestNetwork: false);
        using var account = new MiniAccount(new byte[32], 5);
        int requests = 0, past = 0;
        const int rounds = 20_000;
        for (int i = 0; i < rounds; i++)
        {
            bool bt = dice.Next(2) == 0;
            string method = Methods[dice.Next(Methods.Length)];
            WireMap map = Parameters(dice, account, bt, method, 0);
            (SwarmRequest? request, string? fault) = parser.Parse(method, map, bt);
            Assert.True(request is null != fault is null);
            if (request is not null || !fault!.Contains("ubkey", StringComparison.Ordinal)) past++;
            if (request is null) continue;
            requests++;
            if (request is not WriteRequest write) continue;
            // What goes to other nodes is read there as the same request.
            Assert.True(BtEncoding.TryRead(BtEncoding.Write(write.ToParams()), out object? back));
            (SwarmRequest? again, string? why) = parser.Parse(write.Method, (WireMap)back!, bt: true);
            Assert.True(again is not null, $"{write.Method}: {why}");
            Assert.Equal(BtEncoding.Write(write.ToParams()), BtEncoding.Write(((WriteRequest)again!).ToParams()));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"requests: {past} of {rounds} past the account, {requests} accepted");
        Assert.True(past > rounds * 0.3);
        Assert.True(requests > rounds * 0.05);
    }

    [Fact]
    public void No_bytes_make_the_records_parser_throw_and_only_true_messages_pass()
    {
        var dice = new Random(32);
        AccountId account = StoreFixture.Account(1);
        int read = 0, passed = 0;
        const int rounds = 40_000;
        for (int i = 0; i < rounds; i++)
        {
            byte[] data = [(byte)i, (byte)(i >> 8)];
            var record = new SwarmRecord(RecordKind.Message, StoreFixture.KeyOf(data, account), account, 0, StoreFixture.T, StoreFixture.T + 1000, StoreFixture.T << 16, data, StoreFixture.T + 1000);
            byte[] bytes = BtEncoding.Write(RecordWire.Write(record));
            int changes = dice.Next(3);
            for (int n = 0; n < changes; n++) bytes[dice.Next(bytes.Length)] = (byte)dice.Next(256);
            if (!BtEncoding.TryRead(bytes, out object? value)) continue;
            read++;
            if (RecordWire.Read(value!, StoreFixture.T, _ => true) is not { } back) continue;
            passed++;
            if (back.Kind == RecordKind.Message) Assert.Equal(back.Key, StoreFixture.KeyOf(back.Data, back.Account, back.Space));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"records: {read} of {rounds} past bt, {passed} accepted");
        Assert.True(read > rounds * 0.3);
        Assert.InRange(passed, rounds / 4, rounds - 1);
        byte[] junk = new byte[500];
        for (int i = 0; i < 2000; i++)
        {
            dice.NextBytes(junk);
            RecordWire.ReadEntries(junk.AsSpan(0, dice.Next(500)));
            RecordWire.ReadKeys(junk.AsSpan(0, dice.Next(500)));
            RecordWire.ReadSums(junk.AsSpan(0, dice.Next(500)), 4);
            PeerMessages.ReadAnswer(BtEncoding.TryRead(junk, out object? v) ? v : null);
        }
    }

    [Fact]
    public void Json_and_bt_give_the_same_request()
    {
        var parser = new RequestParser(false);
        using var account = new MiniAccount(new byte[32], 5);
        JsonObject json = MiniRequests.Store(account, [1, 2, 3], StoreFixture.T, 5);
        Assert.True(JsonWire.TryRead(Encoding.UTF8.GetBytes(json.ToJsonString()), out object? value));
        var first = (StoreRequest)parser.Parse("store", (WireMap)value!, false).Request!;
        var bt = new WireMap
        {
            ["data"] = new byte[] { 1, 2, 3 }, ["expiry"] = StoreFixture.T + 86_400_000, ["namespace"] = 5L, ["pubkey"] = Convert.FromHexString(account.Id),
            ["pubkey_ed25519"] = account.Ed25519, ["signature"] = account.Sign(Encoding.ASCII.GetBytes($"store5{StoreFixture.T}")), ["timestamp"] = StoreFixture.T,
        };
        Assert.True(BtEncoding.TryRead(BtEncoding.Write(bt), out object? read));
        var second = (StoreRequest)parser.Parse("store", (WireMap)read!, true).Request!;
        Assert.Equal(BtEncoding.Write(first.ToParams()), BtEncoding.Write(second.ToParams()));
        Assert.Equal(account.Hash([1, 2, 3], 5), first.Key.ToString());
    }

    private static WireMap Parameters(Random dice, MiniAccount account, bool bt, string method, int depth)
    {
        var map = new WireMap();
        if (dice.Next(20) > 0) map["pubkey"] = bt ? Convert.FromHexString(account.Id) : account.Id;
        long now = StoreFixture.T;
        object Text(byte[] raw) => bt ? raw : Convert.ToBase64String(raw);
        object Hash() => bt ? Encoding.ASCII.GetBytes(account.Hash([(byte)dice.Next(4)])) : account.Hash([(byte)dice.Next(4)]);
        foreach (string name in Names.Skip(2))
        {
            bool fitting = dice.Next(12) > 0;
            if (dice.Next(3) == 0 && name is not ("requests" or "if")) continue;
            // Requests inside requests only where they are looked at.
            if ((name == "requests" && method is not ("batch" or "sequence")) || (name is "if" or "then" or "else" && method != "ifelse")) continue;
            object value = fitting ? name switch
            {
                "pubkey_ed25519" => bt ? account.Ed25519 : account.Ed25519Hex,
                "signature" or "subaccount_sig" => Text(new byte[64]),
                "subaccount" => Text(new byte[36]),
                "data" => Text(new byte[dice.Next(40)]),
                "timestamp" or "sig_timestamp" or "before" => now,
                "expiry" => now + 1000L,
                "ttl" => 100_000L,
                "namespace" => (long)dice.Next(-50, 50),
                "messages" => new List<object> { Hash(), Hash() },
                "revoke" or "unrevoke" => new List<object> { Text(new byte[36]) },
                "required" or "shorten" or "extend" => bt ? 1L : true,
                "last_hash" => Hash(),
                "max_count" or "max_size" => (long)dice.Next(-10, 100),
                "endpoint" => bt ? "ons_resolve"u8.ToArray() : "ons_resolve",
                "params" => bt ? "{}"u8.ToArray() : new WireMap(),
                "requests" => Enumerable.Range(0, dice.Next(1, 4)).Select(_ => (object)Call(dice, account, bt, depth)).ToList(),
                "if" => new WireMap { ["height_before"] = 5L },
                "then" or "else" => Call(dice, account, bt, depth),
                _ => 1L,
            } : Odd(dice, bt);
            if (depth > 2 && name is "requests" or "then" or "else") continue;
            map[name] = value;
        }

        // Both ways to say when a message ends are an error: usually say it one way.
        if (method == "store" && dice.Next(4) > 0) map.Remove(dice.Next(2) == 0 ? "ttl" : "expiry");
        if (dice.Next(2) > 0) map.Remove("shorten");
        if (dice.Next(2) > 0)
        {
            map.Remove("subaccount");
            map.Remove("subaccount_sig");
        }

        return map;
    }

    private static WireMap Call(Random dice, MiniAccount account, bool bt, int depth)
    {
        string method = Methods[dice.Next(Methods.Length)];
        return new WireMap { ["method"] = bt ? Encoding.ASCII.GetBytes(method) : method, ["params"] = depth > 2 ? new WireMap() : Parameters(dice, account, bt, method, depth + 1) };
    }

    private static object Odd(Random dice, bool bt) => dice.Next(8) switch
    {
        0 => long.MinValue,
        1 => long.MaxValue,
        2 => ulong.MaxValue,
        3 => bt ? new byte[dice.Next(100)] : new string('x', dice.Next(100)),
        4 => new List<object>(),
        5 => new WireMap(),
        6 => bt ? 2L : 1.5,
        _ => new List<object> { new List<object> { new WireMap() } },
    };
}
