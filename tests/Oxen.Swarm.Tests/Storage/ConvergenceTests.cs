using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;
using static Oxen.Swarm.Tests.Storage.StoreFixture;

namespace Oxen.Swarm.Tests.Storage;

public class ConvergenceTests
{
    // Operations reach a random part of three stores, in any order; then records are exchanged until nothing is news.
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Stores_that_saw_different_operations_agree_after_exchanging_records_in_any_order(int seed)
    {
        var dice = new Random(seed);
        StoreFixture[] stores = [new(), new(), new()];
        try
        {
            var deleted = new Dictionary<MessageKey, long>();
            var alive = new Dictionary<MessageKey, long>();
            long stamp = T << 16;
            for (int i = 0; i < 400; i++)
            {
                stamp += 1 + dice.Next(3);
                AccountId account = Account(dice.Next(3));
                byte[] data = [(byte)dice.Next(12)];
                short space = (short)(dice.Next(4) == 0 ? -1 : 0);
                MessageKey key = KeyOf(data, account, space);
                WriteOp op = dice.Next(6) switch
                {
                    0 or 1 or 2 => new StoreOp(account, stamp, 0, key, space, T, T + Hour + dice.Next(1000), data),
                    3 => new DeleteOp(account, stamp, 0, [key]),
                    4 => new ExpireOp(account, stamp, 0, [key], [T + dice.Next(2 * (int)Hour)], ExpireMode.Set),
                    _ => new RevokeOp(account, stamp, 0, [Enumerable.Repeat((byte)dice.Next(4), 36).ToArray()], T + i, dice.Next(2) == 0),
                };
                foreach (StoreFixture store in stores.Where(_ => dice.Next(3) > 0)) await store.Store.ApplyAsync(op, T);
            }

            for (int round = 0; round < 6; round++)
            {
                foreach (StoreFixture from in stores.OrderBy(_ => dice.Next()))
                {
                    foreach (StoreFixture to in stores.Where(s => s != from))
                    {
                        MessageKey[] keys = [.. Enumerable.Range(0, 3).SelectMany(a => from.Store.EntriesOf(Account(a))).Select(e => e.Key).OrderBy(_ => dice.Next())];
                        await to.Store.MergeAsync(from.Store.Records(keys), T);
                    }
                }
            }

            Assert.Single(stores.Select(s => s.Store.Digests.Root).Distinct());
            for (int a = 0; a < 3; a++)
            {
                foreach (short space in new short[] { 0, -1 })
                {
                    HashSet<MessageKey> first = [.. stores[0].Keys(Account(a), space)];
                    foreach (StoreFixture other in stores[1..]) Assert.Equal(first, [.. other.Keys(Account(a), space)]);
                    if (space == -1) Assert.True(first.Count <= 1);
                }
            }
        }
        finally
        {
            foreach (StoreFixture store in stores) store.Dispose();
        }
    }

    [Fact]
    public async Task Sums_kept_along_the_way_are_those_that_a_restart_computes()
    {
        using var f = new StoreFixture();
        var dice = new Random(7);
        for (int i = 0; i < 300; i++)
        {
            AccountId account = Account(dice.Next(4));
            MessageKey key = KeyOf([(byte)dice.Next(30)], account);
            if (dice.Next(3) > 0) await f.TryPut(account, [(byte)dice.Next(30)], ttl: 1000 + dice.Next(5000));
            else if (dice.Next(2) > 0) await f.Delete(account, key);
            else await f.Store.ApplyAsync(new ExpireOp(account, f.NextStamp(), 0, [key], [T + dice.Next(4000)], ExpireMode.Set), T);
            if (i % 50 == 49) await f.Store.CleanAsync(T + dice.Next(3000));
        }

        ulong root = f.Store.Digests.Root;
        f.Reopen();
        Assert.Equal(root, f.Store.Digests.Root);
        Assert.True(await f.Store.SetScopeAsync(a => a == Account(1)));
        Assert.NotEqual(root, f.Store.Digests.Root);
        ulong one = f.Store.Digests.Root;
        await f.Put(Account(2), [200]);
        Assert.Equal(one, f.Store.Digests.Root); // another swarm's account is not in the sums
        await f.Put(Account(1), [200]);
        Assert.NotEqual(one, f.Store.Digests.Root);
    }

    [Fact]
    public async Task A_bucket_lists_exactly_what_its_sum_covers()
    {
        using var f = new StoreFixture();
        for (int i = 0; i < 200; i++) await f.Put(Account(i % 5), [(byte)i]);
        await f.Delete(Account(0), KeyOf([0], Account(0)));
        ulong total = 0;
        int count = 0;
        for (int bucket = 0; bucket < DigestTree.Buckets; bucket++)
        {
            List<RecordEntry> entries = f.Store.Bucket(bucket, _ => true);
            Assert.All(entries, e => Assert.Equal(bucket, e.Key.Bucket));
            count += entries.Count;
            foreach (RecordEntry entry in entries) total += entry.Fingerprint();
        }

        Assert.Equal(200, count);
        Assert.Equal(f.Store.Digests.Root, total);
    }
}
