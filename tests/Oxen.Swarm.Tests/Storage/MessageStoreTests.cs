using Microsoft.Data.Sqlite;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;
using static Oxen.Swarm.Tests.Storage.StoreFixture;

namespace Oxen.Swarm.Tests.Storage;

public class MessageStoreTests
{
    [Fact]
    public async Task Messages_come_back_in_the_order_in_which_they_came_also_after_a_restart()
    {
        using var f = new StoreFixture();
        var keys = new List<MessageKey>();
        for (int i = 0; i < 20; i++) keys.Add(await f.Put(Account(1), [(byte)i]));
        Assert.Equal(keys, f.Keys(Account(1)));
        f.Reopen();
        Assert.Equal(keys, f.Keys(Account(1)));
        Assert.Empty(f.Keys(Account(2)));
        Assert.Empty(f.Keys(Account(1), 5));
    }

    [Fact]
    public async Task Retrieval_goes_on_after_a_known_hash_and_begins_anew_after_an_unknown_one()
    {
        using var f = new StoreFixture();
        var keys = new List<MessageKey>();
        for (int i = 0; i < 11; i++) keys.Add(await f.Put(Account(1), [(byte)i]));
        (List<RetrievedMessage> rest, bool more) = f.Store.Retrieve(Account(1), 0, keys[4], 0, MessageStore.RetrieveBudget, T);
        Assert.Equal(keys[5..], rest.Select(m => m.Key));
        Assert.False(more);
        Assert.Equal(11, f.Store.Retrieve(Account(1), 0, KeyOf([99], Account(1)), 0, MessageStore.RetrieveBudget, T).Messages.Count);
        Assert.Equal(11, f.Store.Retrieve(Account(1), 0, KeyOf([0], Account(2)), 0, MessageStore.RetrieveBudget, T).Messages.Count);
    }

    // Vectors, section 10: 120 messages of 70 000 bytes.
    [Fact]
    public async Task Retrieval_keeps_the_limits_of_size_and_count()
    {
        using var f = new StoreFixture();
        byte[] data = new byte[70_000];
        for (int i = 0; i < 120; i++)
        {
            BitConverter.TryWriteBytes(data, i);
            await f.Put(Account(1), [.. data]);
        }

        Assert.Equal((83, true), Count(0, MessageStore.RetrieveBudget));
        Assert.Equal((27, true), Count(0, MessageStore.RetrieveBudget / 3));
        Assert.Equal((16, true), Count(0, MessageStore.RetrieveBudget / 5));
        Assert.Equal((5, true), Count(0, 500_000));
        Assert.Equal((6, true), Count(0, 600_000));
        Assert.Equal((83, true), Count(100, MessageStore.RetrieveBudget));
        Assert.Equal((5, true), Count(5, 1_000_000));
        Assert.Equal((7, true), Count(10, 700_000));
        Assert.Equal((1, true), Count(0, 1));

        (int, bool) Count(int count, long bytes)
        {
            (List<RetrievedMessage> messages, bool more) = f.Store.Retrieve(Account(1), 0, null, count, bytes, T);
            return (messages.Count, more);
        }
    }

    [Fact]
    public async Task What_has_expired_is_never_retrieved_whether_or_not_it_was_cleaned_up()
    {
        using var f = new StoreFixture();
        MessageKey key = await f.Put(Account(1), [1], ttl: 1000);
        Assert.Equal([key], f.Keys(Account(1), now: T + 999));
        Assert.Empty(f.Keys(Account(1), now: T + 1000));
        Assert.Empty(f.Store.Expiries(Account(1), [key], T + 1000));
        Assert.Equal(1, await f.Store.CleanAsync(T + 1000));
        Assert.Equal(0, f.Store.Figures(T + 1000).Messages);
        Assert.Empty(f.Store.Accounts(_ => true, 10)); // the account's row went with its last message
    }

    [Fact]
    public async Task Storing_again_only_extends_the_expiry()
    {
        using var f = new StoreFixture();
        MessageKey key = await f.Put(Account(1), [1], ttl: Hour);
        WriteOutcome earlier = await f.TryPut(Account(1), [1], ttl: Hour / 2);
        Assert.True(earlier.Already);
        Assert.Equal(T + Hour, earlier.Expiry);
        WriteOutcome later = await f.TryPut(Account(1), [1], ttl: 2 * Hour);
        Assert.True(later.Already);
        Assert.Equal(T + (2 * Hour), f.Store.Expiries(Account(1), [key], T)[key]);
        Assert.Single(f.Keys(Account(1)));
    }

    [Fact]
    public async Task A_public_outbox_keeps_one_message()
    {
        using var f = new StoreFixture();
        await f.Put(Account(1), [1], -1);
        MessageKey second = await f.Put(Account(1), [2], -1);
        Assert.Equal([second], f.Keys(Account(1), -1));
        MessageKey other = await f.Put(Account(2), [1], -1);
        Assert.Equal([other], f.Keys(Account(2), -1));
    }

    [Fact]
    public async Task Deleting_touches_only_the_account_s_own_messages()
    {
        using var f = new StoreFixture();
        MessageKey mine = await f.Put(Account(1), [1]), theirs = await f.Put(Account(2), [1]);
        WriteOutcome outcome = await f.Delete(Account(1), mine, theirs, KeyOf([77], Account(1)));
        Assert.Equal([mine], outcome.Affected.Select(a => a.Key));
        Assert.Empty(f.Keys(Account(1)));
        Assert.Equal([theirs], f.Keys(Account(2)));
    }

    [Fact]
    public async Task An_operation_whose_stamp_is_too_old_does_nothing_and_says_which_is_needed()
    {
        using var f = new StoreFixture();
        long stamp = (T << 16) + 1000;
        MessageKey key = await f.Put(Account(1), [1], stamp: stamp);
        WriteOutcome stale = await f.Store.ApplyAsync(new DeleteOp(Account(1), stamp - 5, 0, [key]), T);
        Assert.Equal(WriteStatus.Stale, stale.Status);
        Assert.Equal(stamp, stale.Required);
        Assert.Equal([key], f.Keys(Account(1)));
        Assert.Equal(WriteStatus.Done, (await f.Store.ApplyAsync(new DeleteOp(Account(1), stamp + 1, stamp - 5, [key]), T)).Status);

        // An old store must not bring it back; a later one may.
        Assert.Equal(WriteStatus.Stale, (await f.TryPut(Account(1), [1], stamp: stamp)).Status);
        Assert.Empty(f.Keys(Account(1)));
        Assert.Equal(WriteStatus.Done, (await f.TryPut(Account(1), [1], stamp: stamp + 2)).Status);
        Assert.Equal([key], f.Keys(Account(1)));
    }

    [Fact]
    public async Task A_second_attempt_reports_what_the_first_one_did()
    {
        using var f = new StoreFixture();
        MessageKey a = await f.Put(Account(1), [1]), b = await f.Put(Account(1), [2], 5);
        long first = f.NextStamp(), second = f.NextStamp();
        Assert.Equal([a], (await f.Store.ApplyAsync(new DeleteOp(Account(1), first, 0, [a]), T)).Affected.Select(x => x.Key));
        Assert.Equal([a], (await f.Store.ApplyAsync(new DeleteOp(Account(1), second, first, [a]), T)).Affected.Select(x => x.Key));
        Assert.Empty((await f.Store.ApplyAsync(new DeleteOp(Account(1), f.NextStamp(), 0, [a]), T)).Affected);
        long third = f.NextStamp(), fourth = f.NextStamp();
        Assert.Equal([b], (await f.Store.ApplyAsync(new DeleteRangeOp(Account(1), third, 0, null, null), T)).Affected.Select(x => x.Key));
        Assert.Equal([b], (await f.Store.ApplyAsync(new DeleteRangeOp(Account(1), fourth, third, null, null), T)).Affected.Select(x => x.Key));
    }

    [Fact]
    public async Task Delete_before_takes_what_is_not_younger_and_all_means_every_namespace()
    {
        using var f = new StoreFixture();
        MessageKey old = await f.Put(Account(1), [1], now: T - 5000), oldElsewhere = await f.Put(Account(1), [2], 7, now: T - 5000), young = await f.Put(Account(1), [3]);
        WriteOutcome outcome = await f.Store.ApplyAsync(new DeleteRangeOp(Account(1), f.NextStamp(), 0, null, T - 5000), T);
        Assert.Equal(new HashSet<MessageKey> { old, oldElsewhere }, outcome.Affected.Select(a => a.Key).ToHashSet());
        Assert.Equal([young], f.Keys(Account(1)));
    }

    [Fact]
    public async Task Expiries_are_set_shortened_and_extended_as_asked()
    {
        using var f = new StoreFixture();
        MessageKey key = await f.Put(Account(1), [1], ttl: 10 * Hour);
        Assert.Single((await Expire(20 * Hour, ExpireMode.Shorten)).Unchanged);
        Assert.Single((await Expire(5 * Hour, ExpireMode.Extend)).Unchanged);
        Assert.Equal([T + (5 * Hour)], (await Expire(5 * Hour, ExpireMode.Shorten)).Applied);
        Assert.Single((await Expire((5 * Hour) + 1, ExpireMode.Extend)).Unchanged); // below a hundredth of its life
        Assert.Equal([T + (8 * Hour)], (await Expire(8 * Hour, ExpireMode.Extend)).Applied);
        Assert.Equal([T + Hour], (await Expire(Hour, ExpireMode.Set)).Applied);
        Assert.Empty((await f.Store.ApplyAsync(new ExpireAllOp(Account(1), f.NextStamp(), 0, 0, T + (2 * Hour)), T)).Affected);
        Assert.Single((await f.Store.ApplyAsync(new ExpireAllOp(Account(1), f.NextStamp(), 0, null, T + 5), T)).Affected);
        Assert.Equal(T + 5, f.Store.Expiries(Account(1), [key], T)[key]);

        Task<WriteOutcome> Expire(long after, ExpireMode mode) => f.Store.ApplyAsync(new ExpireOp(Account(1), f.NextStamp(), 0, [key], [T + after], mode), T);
    }

    [Fact]
    public async Task A_message_that_was_shortened_leaves_a_tombstone_until_its_longest_expiry()
    {
        using var f = new StoreFixture();
        MessageKey key = await f.Put(Account(1), [1], ttl: 10 * Hour);
        SwarmRecord before = f.Store.Records([key])[0];
        await f.Store.ApplyAsync(new ExpireAllOp(Account(1), f.NextStamp(), 0, 0, T + 1000), T);
        await f.Store.CleanAsync(T + 2000);
        Assert.Equal(RecordKind.Tombstone, f.Store.Records([key])[0].Kind);
        Assert.Equal(0, await f.Store.MergeAsync([before], T + 3000)); // a copy of a node that missed it
        Assert.Empty(f.Keys(Account(1), now: T + 3000));
    }

    [Fact]
    public async Task Revocations_do_not_hang_on_messages_and_the_newest_fifty_stay()
    {
        using var f = new StoreFixture();
        byte[][] tokens = [.. Enumerable.Range(0, 60).Select(i => new byte[36].Select((_, at) => at == 4 ? (byte)i : (byte)3).ToArray())];
        for (int i = 0; i < tokens.Length; i++)
            Assert.Equal(1, (await f.Store.ApplyAsync(new RevokeOp(Account(1), f.NextStamp(), 0, [tokens[i]], T + i, true), T)).Count);
        MessageKey key = await f.Put(Account(1), [1]);
        await f.Delete(Account(1), key);
        f.Reopen();
        Assert.Equal(50, f.Store.Revocations(Account(1)).Count);
        Assert.True(f.Store.IsRevoked(Account(1), tokens[59]));
        Assert.False(f.Store.IsRevoked(Account(1), tokens[9]));
        Assert.False(f.Store.IsRevoked(Account(2), tokens[59]));
        Assert.Equal(1, (await f.Store.ApplyAsync(new RevokeOp(Account(1), f.NextStamp(), 0, [tokens[59]], T + 100, false), T)).Count);
        Assert.False(f.Store.IsRevoked(Account(1), tokens[59]));
    }

    [Fact]
    public async Task A_full_store_refuses_messages_and_still_deletes()
    {
        using var f = new StoreFixture(o => o with { MaxBytes = 2 << 20, MaxAccountBytes = 100 << 20 });
        var keys = new List<MessageKey>();
        WriteOutcome outcome;
        byte[] data = new byte[30_000];
        int n = 0;
        do
        {
            BitConverter.TryWriteBytes(data, n++);
            outcome = await f.TryPut(Account(n), [.. data]);
            if (outcome.Status == WriteStatus.Done) keys.Add(KeyOf(data, Account(n)));
        }
        while (outcome.Status == WriteStatus.Done && n < 200);
        Assert.Equal(WriteStatus.Full, outcome.Status);
        Assert.InRange(keys.Count, 40, 70);
        for (int i = 1; i <= keys.Count; i++) Assert.Single(f.Keys(Account(i))); // nothing acknowledged is missing
        for (int i = 1; i <= 10; i++) Assert.Single((await f.Delete(Account(i), keys[i - 1])).Affected);
        Assert.Equal(WriteStatus.Done, (await f.TryPut(Account(1), [9])).Status);
        Assert.Equal(StoreCondition.Ready, f.Store.Condition);
    }

    [Fact]
    public async Task One_account_cannot_fill_the_store_for_the_others()
    {
        using var f = new StoreFixture(o => o with { MaxBytes = 4 << 20, MaxAccountBytes = 100 << 20, SmallAccountBytes = 100_000, FairShare = 2 });
        byte[] data = new byte[20_000];
        int greedy = 0;
        for (int i = 0; i < 20; i++) await f.Put(Account(100 + i), [(byte)i, .. data]);
        while ((await f.TryPut(Account(1), [.. BitConverter.GetBytes(greedy), .. data])).Status == WriteStatus.Done) greedy++;
        Assert.InRange(greedy, 80, 180); // until three quarters are used
        for (int i = 0; i < 20; i++) Assert.Equal(WriteStatus.Done, (await f.TryPut(Account(200 + i), [(byte)i, .. data])).Status);
        using var small = new StoreFixture(o => o with { MaxAccountBytes = 50_000 });
        Assert.Equal(WriteStatus.Done, (await small.TryPut(Account(1), data)).Status);
        Assert.Equal(WriteStatus.Done, (await small.TryPut(Account(1), [1, .. data])).Status);
        Assert.Equal(WriteStatus.Full, (await small.TryPut(Account(1), [2, .. data])).Status);
    }

    [Fact]
    public async Task A_file_of_version_one_is_brought_up_with_its_messages()
    {
        using var f = new StoreFixture();
        string path = f.File("old.db");
        using (var connection = new SqliteConnection($"Data Source={path};Pooling=False"))
        {
            connection.Open();
            Schema.Upgrade(connection, path, upTo: 1);
            using SqliteCommand insert = connection.CreateCommand();
            byte[] account = new byte[33];
            Account(1).CopyTo(account);
            insert.CommandText = "INSERT INTO owners(id, account, bytes, messages) VALUES(1, $a, 1, 1); INSERT INTO messages(key, owner, space, timestamp, expiry, latest, stamp, data) VALUES($k, 1, 0, $t, $e, $e, 1, x'07')";
            insert.Parameters.AddWithValue("$a", account);
            insert.Parameters.AddWithValue("$k", KeyOf([7], Account(1)).ToArray());
            insert.Parameters.AddWithValue("$t", T);
            insert.Parameters.AddWithValue("$e", T + Hour);
            insert.ExecuteNonQuery();
        }

        using MessageStore store = MessageStore.Open(new StoreOptions { Path = path });
        Assert.Single(store.Retrieve(Account(1), 0, null, 0, 1000, T).Messages);
        Assert.True(await store.AddHintsAsync(new byte[32], [KeyOf([7], Account(1))]));
        Assert.Single(store.Hints(new byte[32], 10));
    }

    [Fact]
    public void A_file_of_another_program_a_newer_one_and_a_damaged_one_are_refused_in_words()
    {
        using var f = new StoreFixture();
        string other = f.File("other.db"), newer = f.File("newer.db"), damaged = f.File("damaged.db");
        Execute(other, "CREATE TABLE x(y)");
        Execute(newer, $"PRAGMA application_id={Schema.ApplicationId}; PRAGMA user_version=99");
        File.WriteAllBytes(damaged, [.. Enumerable.Repeat((byte)0x5A, 8192)]);
        Assert.Contains("another program", Refusal(other), StringComparison.Ordinal);
        Assert.Contains("version 99", Refusal(newer), StringComparison.Ordinal);
        Assert.Contains("damaged", Refusal(damaged), StringComparison.Ordinal);
        Assert.Contains("no-such-folder", Refusal(f.File("no-such-folder/x.db")), StringComparison.Ordinal);

        static string Refusal(string path) => Assert.Throws<StoreException>(() => MessageStore.Open(new StoreOptions { Path = path }).Dispose()).Message;

        static void Execute(string path, string sql)
        {
            using var connection = new SqliteConnection($"Data Source={path};Pooling=False");
            connection.Open();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = sql;
            command.ExecuteNonQuery();
        }
    }

    [Fact]
    public async Task A_backup_can_be_opened_while_the_store_goes_on()
    {
        using var f = new StoreFixture();
        for (int i = 0; i < 50; i++) await f.Put(Account(1), [(byte)i]);
        string copy = f.File("copy.db");
        f.Store.Backup(copy);
        await f.Put(Account(1), [77]);
        using MessageStore opened = MessageStore.Open(new StoreOptions { Path = copy });
        Assert.Equal(50, opened.Retrieve(Account(1), 0, null, 0, MessageStore.RetrieveBudget, T).Messages.Count);
        Assert.Equal(51, f.Keys(Account(1)).Count);
    }

    [Fact]
    public async Task Hints_have_a_limit_and_go_when_they_are_delivered()
    {
        using var f = new StoreFixture(o => o with { MaxHints = 10 });
        byte[] node = new byte[32];
        MessageKey[] keys = [.. Enumerable.Range(0, 10).Select(i => KeyOf([(byte)i], Account(1)))];
        Assert.True(await f.Store.AddHintsAsync(node, keys));
        Assert.False(await f.Store.AddHintsAsync(node, [KeyOf([99], Account(1))]));
        f.Reopen();
        Assert.Equal(10, f.Store.Hints(node, 100).Count);
        await f.Store.RemoveHintsAsync(node, keys[..5]);
        Assert.Equal(5, f.Store.Hints(node, 100).Count);
        Assert.True(await f.Store.AddHintsAsync(node, [KeyOf([99], Account(1))]));
    }
}
