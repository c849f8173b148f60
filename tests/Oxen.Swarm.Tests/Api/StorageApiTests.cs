using System.Text.Json.Nodes;
using Oxen.Swarm.Api;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;
using Oxen.Swarm.Tests.Doors;
using Oxen.Swarm.Wire;
using static Oxen.Swarm.Tests.Cluster.TestSwarm;

namespace Oxen.Swarm.Tests.Api;

/// <summary>Five nodes with all doors, for the tests of one class.</summary>
public sealed class ApiFixture : IAsyncLifetime
{
    internal TestSwarm Swarm { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Swarm = await StartAsync(5, doors: true);

    public ValueTask DisposeAsync() => Swarm.DisposeAsync();
}

/// <summary>
/// The behaviours that the network's own tests assert, with a client that shares no code with the library: the same through every
/// door (<see cref="StorageApiByHttpsTests"/> and its neighbours).
/// </summary>
public abstract class StorageApiTests : IClassFixture<ApiFixture>, IAsyncDisposable
{
    private readonly string _doorName;
    private readonly TestSwarm _swarm;
    private readonly ApiDoor _door;

    protected StorageApiTests(ApiFixture fixture, string door)
    {
        ArgumentNullException.ThrowIfNull(fixture);
        (_swarm, _doorName) = (fixture.Swarm, door);
        _door = ApiDoor.Open(door, _swarm);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _door.DisposeAsync();
    }

    [Fact]
    public async Task A_store_is_answered_by_every_member_with_its_signature_and_can_be_retrieved_from_each()
    {
        using MiniAccount account = MiniAccount.Random();
        byte[] data = "hello swarm"u8.ToArray();
        JsonNode reply = await Ok(0, "store", MiniRequests.Store(account, data, Now));
        string hash = account.Hash(data);
        Assert.Equal(hash, (string?)reply["hash"]);
        Assert.InRange((long)reply["t"]!, Now - 30_000, Now + 30_000);
        Assert.Equal([19, 7], reply["hf"]!.AsArray().Select(h => (int)h!));
        Assert.Equal(5, reply["swarm"]!.AsObject().Count);
        foreach ((string node, JsonNode? part) in reply["swarm"]!.AsObject())
        {
            Assert.Equal(hash, (string?)part!["hash"]);
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), hash, (string)part["signature"]!));
        }

        for (int i = 0; i < 5; i++)
        {
            JsonNode messages = (await Ok(i, "retrieve", MiniRequests.Retrieve(account, Now)))["messages"]!;
            Assert.Equal(Convert.ToBase64String(data), (string?)messages[0]!["data"]);
            Assert.Equal(hash, (string?)messages[0]!["hash"]);
            Assert.NotNull(messages[0]!["expiration"]);
        }

        JsonNode again = await Ok(1, "store", MiniRequests.Store(account, data, Now));
        Assert.All(again["swarm"]!.AsObject(), p => Assert.True((bool?)p.Value!["already"], again.ToJsonString()));
    }

    [Fact]
    public async Task Retrieval_needs_the_account_s_signature()
    {
        using MiniAccount account = MiniAccount.Random(), other = MiniAccount.Random();
        await Refused(401, "retrieve: request signature required", "retrieve", new JsonObject { ["pubkey"] = account.Id });
        await Refused(400, "invalid request: Required field 'signature' missing", "retrieve", new JsonObject { ["pubkey"] = account.Id, ["namespace"] = 5, ["timestamp"] = Now });
        await Refused(400, "invalid request: Required field 'signature' missing", "retrieve", new JsonObject { ["pubkey"] = account.Id, ["timestamp"] = Now });
        JsonObject wrong = MiniRequests.Retrieve(account, Now);
        wrong["signature"] = other.Sign($"retrieve{Now}");
        await Refused(401, "retrieve signature verification failed", "retrieve", wrong);
        JsonObject foreign = MiniRequests.Retrieve(account, Now);
        foreign["pubkey_ed25519"] = other.Ed25519Hex;
        await Refused(401, "retrieve signature verification failed", "retrieve", foreign);
        await Refused(406, "retrieve timestamp too far from current time", "retrieve", MiniRequests.Retrieve(account, Now - 61_000));
        JsonObject untimed = MiniRequests.Retrieve(account, Now);
        untimed.Remove("timestamp");
        await Refused(400, "invalid request: Required field 'timestamp' missing", "retrieve", untimed);
        using MiniAccount group = MiniAccount.Random(3);
        JsonObject notPerson = MiniRequests.Retrieve(group, Now);
        notPerson["pubkey_ed25519"] = group.Ed25519Hex;
        await Refused(400, "invalid request: pubkey_ed25519 is only permitted for 05[...] pubkeys", "retrieve", notPerson);
        await Ok(2, "retrieve", MiniRequests.Retrieve(group, Now));
    }

    [Fact]
    public async Task Namespaces_decide_who_may_store_and_who_may_read()
    {
        using MiniAccount account = MiniAccount.Random();
        await Ok(0, "store", MiniRequests.Store(account, [1], Now, 40)); // public inbox
        await Ok(1, "store", MiniRequests.Store(account, [2], Now, -42));
        JsonObject unsigned = MiniRequests.Store(account, [2], Now, 42);
        unsigned.Remove("signature");
        await Refused(401, "store: signature required to store to namespace 42", "store", unsigned);
        JsonObject late = MiniRequests.Store(account, [2], Now, 42);
        late["sig_timestamp"] = Now - 70_000;
        late["signature"] = account.Sign($"store42{late["sig_timestamp"]}");
        await Refused(406, "store signature timestamp too far from current time", "store", late);
        JsonObject badly = MiniRequests.Store(account, [2], Now, 42);
        badly["signature"] = account.Sign("store4200");
        await Refused(401, "store signature verification failed", "store", badly);
        JsonObject great = MiniRequests.Store(account, [2], Now);
        great["namespace"] = 32768;
        await Refused(400, "invalid request: Invalid value given for 'namespace': value out of range", "store", great);

        await Ok(0, "store", MiniRequests.Store(account, [3], Now, -10));
        JsonNode legacy = await Ok(3, "retrieve", new JsonObject { ["pubkey"] = account.Id, ["namespace"] = -10 });
        Assert.Single(legacy["messages"]!.AsArray());

        await Ok(0, "store", MiniRequests.Store(account, [4], Now, -1));
        await Ok(1, "store", MiniRequests.Store(account, [5], Now, -1));
        JsonNode outbox = await Ok(4, "retrieve", new JsonObject { ["pubkey"] = account.Id, ["namespace"] = -1 });
        Assert.Equal(account.Hash([5], -1), (string?)Assert.Single(outbox["messages"]!.AsArray())!["hash"]);
    }

    [Theory]
    [InlineData(9_999, 0, 0, 403, "Provided expiry/TTL is not valid.")]
    [InlineData(14 * 86_400_000L + 1, 0, 0, 403, "Provided expiry/TTL is not valid.")]
    [InlineData(30 * 86_400_000L + 1, 5, 0, 403, "Provided expiry/TTL is not valid.")]
    [InlineData(86_400_000, 0, 20_000, 406, "Timestamp error: check your clock")]
    [InlineData(10_000, 0, -30_000, 406, "Timestamp error: check your clock")]
    public async Task Stores_keep_limits_of_life_and_clock(long ttl, int space, long skew, int status, string text)
    {
        using MiniAccount account = MiniAccount.Random();
        await Refused(status, text, "store", MiniRequests.Store(account, [1], Now + skew, space, ttl));
    }

    [Fact]
    public async Task Store_parameters_are_checked_in_the_words_that_clients_know()
    {
        using MiniAccount account = MiniAccount.Random();
        await Refused(400, "invalid request: Message body exceeds maximum allowed length of 76800 bytes", "store", MiniRequests.Store(account, new byte[76_801], Now));
        await Ok(0, "store", MiniRequests.Store(account, new byte[76_800], Now));
        await With("ttl", null, "invalid request: Required field 'expiry' or 'ttl' missing");
        await With("expiry", Now + 100_000, "invalid request: Cannot specify both 'expiry' and 'ttl'");
        if (!_door.IsBt) await With("data", "***", "invalid request: Invalid 'data' value: not base64 encoded");
        await With("data", null, "invalid request: Required field 'data' missing");
        await With("timestamp", "soon", "invalid request: Invalid value given for 'timestamp': expected integer timestamp (in milliseconds)");
        await With("timestamp", 1234, "invalid request: Invalid timestamp for 'timestamp': timestamp must be in milliseconds");
        await With("pubkey", "0512", "invalid request: Pubkey must be 66 hex digits (33 bytes) long");
        await With("signature", "AAAA", $"invalid request: invalid signature: expected {(_door.IsBt ? "64-byte" : "base64 encoded")} Ed25519 signature");
        if (_door.IsBt) return; // numbers as texts are JSON's
        JsonObject texts = MiniRequests.Store(account, [8], Now);
        texts["timestamp"] = $"{Now}";
        texts["ttl"] = "86400000";
        texts["pubKey"] = account.Id;
        texts.Remove("pubkey");
        await Ok(1, "store", texts);

        async Task With(string name, JsonNode? value, string text)
        {
            JsonObject p = MiniRequests.Store(account, [7], Now);
            if (value is null) p.Remove(name);
            else p[name] = value;
            await Refused(400, text, "store", p);
        }
    }

    [Fact]
    public async Task Deleting_reports_sorted_hashes_signed_by_each_member()
    {
        using MiniAccount account = MiniAccount.Random();
        string[] hashes = [.. Enumerable.Range(0, 5).Select(i => account.Hash([(byte)i]))];
        for (int i = 0; i < 5; i++) await Ok(i, "store", MiniRequests.Store(account, [(byte)i], Now));
        string unknown = account.Hash([99]);
        string[] asked = [hashes[3], unknown, hashes[0]];
        JsonNode reply = await Ok(2, "delete", MiniRequests.Delete(account, asked));
        string[] sorted = [.. new[] { hashes[3], hashes[0] }.Order(StringComparer.Ordinal)];
        Assert.Equal(5, reply["swarm"]!.AsObject().Count);
        foreach ((string node, JsonNode? part) in reply["swarm"]!.AsObject())
        {
            Assert.Equal(sorted, part!["deleted"]!.AsArray().Select(h => (string)h!));
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), account.Id + string.Concat(asked) + string.Concat(sorted), (string)part["signature"]!));
        }

        Assert.Equal(3, (await Ok(4, "retrieve", MiniRequests.Retrieve(account, Now)))["messages"]!.AsArray().Count);
        JsonObject required = MiniRequests.Delete(account, unknown);
        required["required"] = true;
        (int status, JsonNode? json, _) = await _door.AskAsync(0, "delete", required);
        Assert.Equal(404, status);
        Assert.NotNull(json!["swarm"]);
        JsonObject wrong = MiniRequests.Delete(account, hashes[1]);
        wrong["signature"] = account.Sign("delete");
        await Refused(401, "delete_msgs signature verification failed", "delete", wrong);
        await Refused(400, "invalid request: invalid message hash: short", "delete", MiniRequests.Delete(account, "short"));
        await Refused(400, "invalid request: messages does not contain any message hashes", "delete", MiniRequests.Delete(account));
    }

    [Fact]
    public async Task Deleting_all_or_before_a_time_works_in_one_namespace_and_in_all()
    {
        using MiniAccount account = MiniAccount.Random();
        foreach (int space in new[] { 0, 5, -42 }) await Ok(0, "store", MiniRequests.Store(account, [1], Now, space));
        await Refused(406, "delete_all timestamp too far from current time", "delete_all", MiniRequests.DeleteAll(account, Now - 120_000));
        await Refused(406, "delete_all timestamp too far from current time", "delete_all", MiniRequests.DeleteAll(account, Now + 120_000));
        await Refused(401, "delete_before timestamp too far in the future", "delete_before", MiniRequests.DeleteBefore(account, Now + 120_000));
        long before = Now - 10_000;
        JsonNode none = await Ok(1, "delete_before", MiniRequests.DeleteBefore(account, before, null));
        Assert.All(none["swarm"]!.AsObject(), p => Assert.Empty(p.Value!["deleted"]!.AsObject()));
        long now = Now;
        JsonNode reply = await Ok(1, "delete_all", MiniRequests.DeleteAll(account, now, null));
        foreach ((string node, JsonNode? part) in reply["swarm"]!.AsObject())
        {
            JsonObject deleted = part!["deleted"]!.AsObject();
            Assert.Equal(["-42", "0", "5"], deleted.Select(d => d.Key).Order(StringComparer.Ordinal));
            string sorted = string.Concat(deleted.SelectMany(d => d.Value!.AsArray()).Select(h => (string)h!).Order(StringComparer.Ordinal));
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), $"{account.Id}{now}{sorted}", (string)part["signature"]!));
        }

        await Ok(0, "store", MiniRequests.Store(account, [2], Now - 5000));
        JsonNode late = await Ok(2, "delete_before", MiniRequests.DeleteBefore(account, Now - 4000));
        Assert.All(late["swarm"]!.AsObject(), p => Assert.Single(p.Value!["deleted"]!.AsArray()));
    }

    [Fact]
    public async Task Expiries_are_changed_and_signed_as_clients_check_it()
    {
        using MiniAccount account = MiniAccount.Random();
        string[] hashes = [.. Enumerable.Range(0, 3).Select(i => account.Hash([(byte)i]))];
        for (int i = 0; i < 3; i++) await Ok(i, "store", MiniRequests.Store(account, [(byte)i], Now, ttl: 3_600_000));
        long expiry = Now + 1_800_000;
        JsonNode reply = await Ok(1, "expire", MiniRequests.Expire(account, expiry, "shorten", hashes[2], hashes[0]));
        string[] sorted = [.. new[] { hashes[0], hashes[2] }.Order(StringComparer.Ordinal)];
        foreach ((string node, JsonNode? part) in reply["swarm"]!.AsObject())
        {
            Assert.Equal(expiry, (long)part!["expiry"]!);
            Assert.Equal(sorted, part["updated"]!.AsArray().Select(h => (string)h!));
            Assert.Empty(part["unchanged"]!.AsObject());
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), $"{account.Id}{expiry}{hashes[2]}{hashes[0]}{string.Concat(sorted)}", (string)part["signature"]!));
        }

        JsonNode shorter = await Ok(2, "expire", MiniRequests.Expire(account, expiry - 1000, "extend", hashes[0]));
        Assert.All(shorter["swarm"]!.AsObject(), p => Assert.Equal(expiry, (long)p.Value!["unchanged"]![hashes[0]]!));
        long far = Now + (60L * 86_400_000);
        JsonNode capped = await Ok(2, "expire", MiniRequests.Expire(account, far, "", hashes[0]));
        Assert.All(capped["swarm"]!.AsObject(), p => Assert.InRange((long)p.Value!["expiry"]!, Now + (30L * 86_400_000) - 60_000, Now + (30L * 86_400_000) + 60_000));
        Assert.All(capped["swarm"]!.AsObject(), p => Assert.Null(p.Value!["unchanged"]));
        JsonNode expiries = await Ok(4, "get_expiries", MiniRequests.GetExpiries(account, Now, hashes[1], hashes[2], account.Hash([55])));
        Assert.Equal(2, expiries["expiries"]!.AsObject().Count);
        Assert.Null(expiries["t"]);
        await Refused(401, "expire: timestamp should be >= current time", "expire", MiniRequests.Expire(account, Now - 120_000, "", hashes[0]));
        await Refused(406, "expire_all timestamp should be >= current time", "expire_all", MiniRequests.ExpireAll(account, Now - 120_000));
        JsonObject both = MiniRequests.Expire(account, expiry, "extend", hashes[0]);
        both["shorten"] = true;
        await Refused(400, "invalid request: cannot specify both 'shorten' and 'extend'", "expire", both);
        JsonNode all = await Ok(0, "expire_all", MiniRequests.ExpireAll(account, Now + 60_000, null));
        Assert.All(all["swarm"]!.AsObject(), p => Assert.Equal(3, p.Value!["updated"]!["0"]!.AsArray().Count));
    }

    [Fact]
    public async Task Subaccounts_may_do_what_their_token_says_until_they_are_revoked()
    {
        using MiniAccount group = MiniAccount.Random(3), member = MiniAccount.Random();
        await Ok(0, "store", MiniRequests.Store(group, [1], Now, 11));
        await Ok(0, "store", MiniRequests.Store(group, [2], Now, -11));
        (byte[] readOnly, byte[] readSignature) = group.Allow(member.Ed25519, 1);
        (byte[] writer, byte[] writerSignature) = group.Allow(member.Ed25519, 3);
        (byte[] foreign, byte[] foreignSignature) = new MiniAccount(new byte[32], 3).Allow(member.Ed25519, 7);
        Assert.Single((await Ok(1, "retrieve", As(Read(11), readOnly, readSignature)))["messages"]!.AsArray());
        await Refused(401, "retrieve signature verification failed", "retrieve", As(Read(11), foreign, foreignSignature));
        await Refused(401, "store signature verification failed", "store", As(Write(11, [9]), readOnly, readSignature));
        await Ok(2, "store", As(Write(11, [9]), writer, writerSignature));
        JsonObject delete = new() { ["pubkey"] = group.Id, ["messages"] = new JsonArray(group.Hash([9], 11)), ["signature"] = member.Sign("delete" + group.Hash([9], 11)) };
        await Refused(401, "delete_msgs signature verification failed", "delete", As(delete, writer, writerSignature));
        JsonObject shorten = new() { ["pubkey"] = group.Id, ["messages"] = new JsonArray(group.Hash([9], 11)), ["expiry"] = Now + 50_000, ["shorten"] = true };
        shorten["signature"] = member.Sign($"expireshorten{shorten["expiry"]}{group.Hash([9], 11)}");
        await Refused(400, "expire: shorten parameter cannot be used with this subaccount token (missing delete access)", "expire", As(shorten, writer, writerSignature));

        JsonNode revoked = await Ok(3, "revoke_subaccount", MiniRequests.Revoke(group, Now, "revoke", readOnly));
        Assert.Equal(5, revoked["swarm"]!.AsObject().Count);
        await Refused(401, "retrieve signature verification failed", "retrieve", As(Read(11), readOnly, readSignature));
        Assert.Single((await Ok(1, "retrieve", As(Read(-11), readOnly, readSignature)))["messages"]!.AsArray()); // to learn of it
        long now = Now;
        JsonNode listed = await Ok(4, "revoked_subaccounts", new JsonObject { ["pubkey"] = group.Id, ["timestamp"] = now, ["signature"] = group.Sign($"revoked_subaccounts{now}") });
        Assert.Equal(Convert.ToBase64String(readOnly), (string?)Assert.Single(listed["revoked_subaccounts"]!.AsArray()));
        JsonNode back = await Ok(0, "unrevoke_subaccount", MiniRequests.Revoke(group, Now, "unrevoke", readOnly));
        Assert.All(back["swarm"]!.AsObject(), p => Assert.Equal(1, (int)p.Value!["count"]!));
        await Ok(1, "retrieve", As(Read(11), readOnly, readSignature));
        byte[][] many = [.. Enumerable.Range(0, 51).Select(i => group.Allow([(byte)i, .. new byte[31]], 1).Token)];
        await Refused(400, "invalid request: invalid revoke: cannot revoke more than 50 subaccounts at once", "revoke_subaccount", MiniRequests.Revoke(group, Now, "revoke", many));

        JsonObject Read(int space)
        {
            long t = Now;
            return new JsonObject { ["pubkey"] = group.Id, ["namespace"] = space, ["timestamp"] = t, ["signature"] = member.Sign($"retrieve{space}{t}") };
        }

        JsonObject Write(int space, byte[] data)
        {
            long t = Now;
            return new JsonObject { ["pubkey"] = group.Id, ["namespace"] = space, ["timestamp"] = t, ["ttl"] = 86_400_000, ["data"] = Convert.ToBase64String(data), ["signature"] = member.Sign($"store{space}{t}") };
        }

        static JsonObject As(JsonObject request, byte[] token, byte[] signature)
        {
            request["subaccount"] = Convert.ToBase64String(token);
            request["subaccount_sig"] = Convert.ToBase64String(signature);
            return request;
        }
    }

    [Fact]
    public async Task Batches_run_all_and_sequences_stop_at_the_first_failure()
    {
        using MiniAccount account = MiniAccount.Random();
        JsonArray Three() => [MiniRequests.Call("store", MiniRequests.Store(account, [1], Now)), MiniRequests.Call("retrieve", new JsonObject { ["pubkey"] = account.Id }), MiniRequests.Call("info", [])];
        JsonNode batch = await Ok(0, "batch", new JsonObject { ["requests"] = Three() });
        Assert.Equal([200, 401, 200], batch["results"]!.AsArray().Select(r => (int)r!["code"]!));
        Assert.Equal("retrieve: request signature required", (string?)batch["results"]![1]!["body"]);
        JsonNode sequence = await Ok(0, "sequence", new JsonObject { ["requests"] = Three() });
        Assert.Equal([200, 401], sequence["results"]!.AsArray().Select(r => (int)r!["code"]!));
        await Refused(400, "invalid request: Invalid batch request: no valid \"requests\" field", "batch", []);
        await Refused(400, "invalid request: Invalid batch request: subrequest limit exceeded", "batch", new JsonObject { ["requests"] = new JsonArray([.. Enumerable.Range(0, 21).Select(_ => MiniRequests.Call("info", []))]) });
        await Refused(400, "invalid request: Invalid batch request: requests must be objects", "batch", new JsonObject { ["requests"] = new JsonArray(1) });
        await Refused(400, "invalid request: Invalid batch request: subrequests must have method/params keys", "batch", new JsonObject { ["requests"] = new JsonArray(new JsonObject { ["method"] = "info" }) });
        await Refused(400, "invalid request: Invalid batch subrequest: invalid method \"x\"", "batch", new JsonObject { ["requests"] = new JsonArray(MiniRequests.Call("x", [])) });
        await Refused(400, "invalid request: Invalid batch request: subrequests may not contain meta-requests", "sequence", new JsonObject { ["requests"] = new JsonArray(MiniRequests.Call("batch", [])) });
        await Refused(_door.UnknownMethod, "no method x", "x", []);
    }

    [Fact]
    public async Task Conditions_choose_a_branch()
    {
        JsonNode yes = await Ok(0, "ifelse", new JsonObject
        {
            ["if"] = new JsonObject { ["hf_at_least"] = new JsonArray(19, 3), ["v_before"] = new JsonArray(99), ["height_at_least"] = 1, ["height_before"] = 2 },
            ["then"] = MiniRequests.Call("info", []),
            ["else"] = MiniRequests.Call("batch", new JsonObject { ["requests"] = new JsonArray(MiniRequests.Call("info", [])) }),
        });
        Assert.True((bool)yes["condition"]!);
        Assert.Equal([2, 12, 0], yes["result"]!["body"]!["version"]!.AsArray().Select(v => (int)v!));
        JsonNode no = await Ok(0, "ifelse", new JsonObject { ["if"] = new JsonObject { ["hf_before"] = new JsonArray(19, 3) }, ["then"] = MiniRequests.Call("info", []) });
        Assert.False((bool)no["condition"]!);
        Assert.Null(no["result"]);
        JsonNode nested = await Ok(0, "ifelse", new JsonObject
        {
            ["if"] = new JsonObject { ["v_at_least"] = new JsonArray(2, 8, 0) },
            ["then"] = MiniRequests.Call("ifelse", new JsonObject { ["if"] = new JsonObject { ["v_before"] = new JsonArray(2, 8, 0) }, ["else"] = MiniRequests.Call("batch", new JsonObject { ["requests"] = new JsonArray(MiniRequests.Call("info", [])) }) }),
        });
        Assert.Single(nested["result"]!["body"]!["result"]!["body"]!["results"]!.AsArray());
        Assert.Equal(400, (await _door.AskAsync(0, "ifelse", new JsonObject { ["if"] = new JsonObject(), ["then"] = MiniRequests.Call("info", []) })).Status);
        Assert.Equal(400, (await _door.AskAsync(0, "ifelse", new JsonObject { ["if"] = new JsonObject { ["height_before"] = 5 } })).Status);
    }

    [Fact]
    public async Task An_account_of_another_swarm_is_answered_with_that_swarm()
    {
        await using TestSwarm two = await StartAsync(6, i => i < 3 ? 0x1000000000000000u : 0x9000000000000000u, doors: true);
        await using ApiDoor door = ApiDoor.Open(_doorName, two);
        using MiniAccount account = MiniAccount.Random();
        (int status, JsonNode? swarm, _) = await door.AskAsync(0, "get_swarm", new JsonObject { ["pubkey"] = account.Id });
        Assert.Equal(200, status);
        bool first = (string)swarm!["swarm"]! == "1000000000000000";
        (int wrong, JsonNode? body, _) = await door.AskAsync(first ? 3 : 0, "store", MiniRequests.Store(account, [1], Now));
        Assert.Equal(421, wrong);
        Assert.Equal(3, body!["snodes"]!.AsArray().Count);
        Assert.Equal((string?)swarm["swarm"], (string?)body["swarm"]);
        Assert.NotNull(body["t"]);
        JsonNode node = body["snodes"]![0]!;
        Assert.Equal(58, ((string)node["address"]!).Length);
        Assert.EndsWith(".snode", (string)node["address"]!, StringComparison.Ordinal);
        Assert.Equal(System.Text.Json.JsonValueKind.String, node["port"]!.GetValueKind());
        Assert.Equal(200, (await door.AskAsync(first ? 0 : 3, "store", MiniRequests.Store(account, [1], Now))).Status);
    }

    // 5, then 6 more, then all; and a hash that nobody knows is no obstacle.
    [Fact]
    public async Task Retrieval_goes_on_behind_the_last_hash()
    {
        using MiniAccount account = MiniAccount.Random();
        var hashes = new List<string>();
        for (byte i = 0; i < 5; i++) await Put(i);
        Assert.Equal(hashes, await Fetch(1, null));
        for (byte i = 5; i < 11; i++) await Put(i);
        Assert.Equal(hashes[5..], await Fetch(2, hashes[4]));
        Assert.Equal(11, (await Fetch(3, null)).Length);
        Assert.Equal(11, (await Fetch(3, account.Hash([99]))).Length);
        Assert.Empty(await Fetch(4, hashes[^1]));
        JsonObject bad = MiniRequests.Retrieve(account, Now, last: "AAAA");
        await Refused(400, "invalid request: Invalid last_hash: expected base64 (43 chars)", "retrieve", bad);

        async Task Put(byte data)
        {
            await Ok(0, "store", MiniRequests.Store(account, [data], Now));
            hashes.Add(account.Hash([data]));
        }

        async Task<string[]> Fetch(int node, string? last) =>
            [.. (await Ok(node, "retrieve", MiniRequests.Retrieve(account, Now, last: last)))["messages"]!.AsArray().Select(m => (string)m!["hash"]!)];
    }

    [Fact]
    public async Task A_signature_has_a_time_of_its_own_and_an_outbox_keeps_one_message()
    {
        using MiniAccount account = MiniAccount.Random();
        long then = Now - 3_600_000, now = Now;
        JsonObject old = MiniRequests.Store(account, [1], then, 42);
        await Refused(406, "store signature timestamp too far from current time", "store", old);
        old["sig_timestamp"] = now;
        old["signature"] = account.Sign($"store42{now}");
        await Ok(0, "store", old);
        JsonNode found = (await Ok(1, "retrieve", MiniRequests.Retrieve(account, Now, 42)))["messages"]![0]!;
        Assert.Equal((then, then + 86_400_000), ((long)found["timestamp"]!, (long)found["expiration"]!));

        await Ok(0, "store", MiniRequests.Store(account, [2], Now, -21));
        JsonNode again = await Ok(2, "store", MiniRequests.Store(account, [2], Now, -21));
        Assert.All(again["swarm"]!.AsObject(), p => Assert.True((bool?)p.Value!["already"], again.ToJsonString()));
        await Ok(3, "store", MiniRequests.Store(account, [3], Now, -21));
        JsonNode outbox = await Ok(4, "retrieve", new JsonObject { ["pubkey"] = account.Id, ["namespace"] = -21 });
        Assert.Equal(account.Hash([3], -21), (string?)Assert.Single(outbox["messages"]!.AsArray())!["hash"]);
    }

    [Fact]
    public async Task Several_expiries_at_once_and_eleven_changes_in_one_batch()
    {
        using MiniAccount account = MiniAccount.Random();
        string[] hashes = [.. Enumerable.Range(0, 10).Select(i => account.Hash([(byte)i]))];
        foreach (int i in Enumerable.Range(0, 10)) await Ok(0, "store", MiniRequests.Store(account, [(byte)i], Now, ttl: 3_600_000));
        long[] expiries = [.. Enumerable.Range(0, 10).Select(i => Now + 600_000 + (i * 1000))];
        JsonObject each = MiniRequests.Expire(account, expiries[0], "shorten", hashes);
        each["expiry"] = new JsonArray([.. expiries.Select(e => JsonValue.Create(e))]);
        each["signature"] = account.Sign($"expireshorten{string.Concat(expiries)}{string.Concat(hashes)}");
        (string Hash, long Expiry)[] sorted = [.. hashes.Zip(expiries).OrderBy(p => p.First, StringComparer.Ordinal)];
        foreach ((string node, JsonNode? part) in (await Ok(1, "expire", each))["swarm"]!.AsObject())
        {
            Assert.Equal(sorted.Select(p => p.Hash), part!["updated"]!.AsArray().Select(h => (string)h!));
            Assert.Equal(sorted.Select(p => p.Expiry), part["expiry"]!.AsArray().Select(e => (long)e!));
            string text = $"{account.Id}{string.Concat(sorted.Select(p => p.Expiry))}{string.Concat(hashes)}{string.Concat(sorted.Select(p => p.Hash))}";
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), text, (string)part["signature"]!));
        }

        // One is not shortened any more: the pair of its hash and its expiry is signed too.
        JsonNode unchanged = await Ok(2, "expire", MiniRequests.Expire(account, expiries[5], "shorten", hashes[7], hashes[3]));
        foreach ((string node, JsonNode? part) in unchanged["swarm"]!.AsObject())
            Assert.True(MiniAccount.Verify(Convert.FromHexString(node), $"{account.Id}{expiries[5]}{hashes[7]}{hashes[3]}{hashes[7]}{hashes[3]}{expiries[3]}", (string)part!["signature"]!));

        long later = Now + 1_800_000;
        JsonArray requests = [.. hashes.Select(h => MiniRequests.Call("expire", MiniRequests.Expire(account, later, "extend", h))), MiniRequests.Call("get_expiries", MiniRequests.GetExpiries(account, Now, hashes))];
        JsonArray results = (await Ok(3, "sequence", new JsonObject { ["requests"] = requests }))["results"]!.AsArray();
        Assert.Equal(Enumerable.Repeat(200, 11), results.Select(r => (int)r!["code"]!));
        Assert.All(results[10]!["body"]!["expiries"]!.AsObject(), p => Assert.Equal(later, (long)p.Value!));
        JsonObject uneven = MiniRequests.Expire(account, later, "", hashes);
        uneven["expiry"] = new JsonArray(later, later);
        await Refused(400, "invalid request: 'expiry' must be a single expiry, or the same length as 'messages'", "expire", uneven);
    }

    // As devices of one person do it: each part of the configuration is a message of its own namespace, pushed together with the
    // removal of what it replaces, and kept alive by the device that polls.
    [Fact]
    public async Task An_account_is_backed_up_in_its_config_namespaces()
    {
        using MiniAccount account = MiniAccount.Random();
        int[] spaces = [2, 3, 4, 5];
        await PushAsync(0, 1, []);
        string[] old = [.. spaces.Select(s => account.Hash([1, (byte)s], s))];
        await PushAsync(1, 2, old);

        // A second device has nothing but the seed.
        JsonArray polls = [.. spaces.Select(s => MiniRequests.Call("retrieve", MiniRequests.Retrieve(account, Now, s)))];
        JsonArray found = (await Ok(2, "batch", new JsonObject { ["requests"] = polls }))["results"]!.AsArray();
        string[] kept = [.. found.Select(r => (string)Assert.Single(r!["body"]!["messages"]!.AsArray())!["hash"]!)];
        Assert.Equal(spaces.Select(s => account.Hash([2, (byte)s], s)), kept);
        long month = Now + (30L * 86_400_000);
        JsonNode renewed = await Ok(3, "expire", MiniRequests.Expire(account, month, "extend", kept));
        Assert.All(renewed["swarm"]!.AsObject(), p => Assert.Equal(4, p.Value!["updated"]!.AsArray().Count));
        JsonObject expiries = (await Ok(4, "get_expiries", MiniRequests.GetExpiries(account, Now, [.. kept, .. old])))["expiries"]!.AsObject();
        Assert.Equal(kept.Order(StringComparer.Ordinal), expiries.Select(e => e.Key).Order(StringComparer.Ordinal));
        Assert.All(expiries, e => Assert.InRange((long)e.Value!, month - 60_000, month));
        using MiniAccount stranger = MiniAccount.Random();
        JsonObject theirs = MiniRequests.Retrieve(account, Now, 3);
        theirs["signature"] = stranger.Sign($"retrieve3{theirs["timestamp"]}");
        await Refused(401, "retrieve signature verification failed", "retrieve", theirs);

        async Task PushAsync(int node, byte version, string[] replaced)
        {
            JsonArray push = [.. spaces.Select(s => MiniRequests.Call("store", MiniRequests.Store(account, [version, (byte)s], Now, s, 14L * 86_400_000)))];
            if (replaced.Length > 0) push.Add(MiniRequests.Call("delete", MiniRequests.Delete(account, replaced)));
            JsonArray done = (await Ok(node, "sequence", new JsonObject { ["requests"] = push }))["results"]!.AsArray();
            Assert.Equal(push.Count, done.Count(r => (int)r!["code"]! == 200));
        }
    }

    // Vectors, section 10.
    [Fact]
    public async Task Retrieval_keeps_the_limits_of_size_and_count()
    {
        using MiniAccount account = MiniAccount.Random();
        byte[] data = new byte[70_000];
        Assert.True(AccountId.TryParse(account.Id, false, out AccountId id));
        for (int i = 0; i < 120; i++)
        {
            BitConverter.TryWriteBytes(data, i);
            Assert.True(MessageKey.TryParse(account.Hash(data), out MessageKey key));
            await _swarm[0].Store.ApplyAsync(new StoreOp(id, _swarm[0].Core.Stamps.Next(), 0, key, 0, Now, Now + 60_000, [.. data]), Now);
        }

        (int Count, long Size, int Expected)[] table = [(0, -1, 83), (0, -3, 27), (0, 0, 16), (0, 500_000, 5), (0, 600_000, 6), (100, 0, 83), (5, 1_000_000, 5), (10, 700_000, 7)];
        foreach ((int count, long size, int expected) in table)
        {
            // What a door cannot carry, and elsewhere than at the first the largest and a small one, are enough.
            if (expected * 93_500L > _door.MaxRetrieve || (_doorName is not ("memory" or "https") && size is not (-1 or 500_000))) continue;
            JsonObject request = MiniRequests.Retrieve(account, Now);
            if (count != 0) request["max_count"] = count;
            if (size != 0) request["max_size"] = size;
            JsonNode reply = await Ok(0, "retrieve", request);
            Assert.Equal((count, size, expected, true), (count, size, reply["messages"]!.AsArray().Count, (bool)reply["more"]!));
        }
    }

    // Flags of tokens (vectors, section 7): 00 nothing, 08 for any network.
    [Fact]
    public async Task Tokens_without_flags_may_nothing_and_those_for_any_network_may_elsewhere()
    {
        using MiniAccount group = MiniAccount.Random(3), member = MiniAccount.Random();
        (byte[] nothing, byte[] nothingSignature) = group.Allow(member.Ed25519, 0);
        (byte[] any, _) = group.Allow(member.Ed25519, 11);
        any[0] = 5; // of another network
        byte[] anySignature = group.Sign(any);
        await Refused(401, "retrieve signature verification failed", "retrieve", Read(nothing, nothingSignature));
        await Ok(1, "retrieve", Read(any, anySignature));
        any[1] = 3;
        await Refused(401, "retrieve signature verification failed", "retrieve", Read(any, group.Sign(any)));

        JsonObject Read(byte[] token, byte[] signature)
        {
            long t = Now;
            return new JsonObject
            {
                ["pubkey"] = group.Id, ["namespace"] = 42, ["timestamp"] = t, ["signature"] = member.Sign($"retrieve42{t}"),
                ["subaccount"] = Convert.ToBase64String(token), ["subaccount_sig"] = Convert.ToBase64String(signature),
            };
        }
    }

    private async Task<JsonNode> Ok(int node, string method, JsonObject parameters)
    {
        (int status, JsonNode? json, string text) = await _door.AskAsync(node, method, parameters);
        Assert.True(status == 200, $"{method}: {status} {text}");
        return json!;
    }

    private async Task Refused(int status, string text, string method, JsonObject parameters)
    {
        (int got, _, string body) = await _door.AskAsync(0, method, parameters);
        Assert.Equal((status, text), (got, body));
    }
}
