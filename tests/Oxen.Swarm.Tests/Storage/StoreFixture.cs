using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Storage;

/// <summary>A store in a folder of its own, and short ways to use it.</summary>
internal sealed class StoreFixture : IDisposable
{
    public const long T = 1_700_000_000_000;
    public const long Hour = 3_600_000;
    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-store-").FullName;
    private long _stamp = T << 16;

    public StoreFixture(Func<StoreOptions, StoreOptions>? change = null)
    {
        Options = new StoreOptions { Path = Path.Combine(_folder, "store.db"), Durable = false };
        Options = change?.Invoke(Options) ?? Options;
        Store = MessageStore.Open(Options);
    }

    public StoreOptions Options { get; }

    public MessageStore Store { get; private set; }

    public static AccountId Account(int n)
    {
        byte[] key = new byte[32];
        BitConverter.TryWriteBytes(key, n);
        Assert.True(AccountId.TryRead([5, .. key], false, out AccountId account));
        return account;
    }

    public static MessageKey KeyOf(byte[] data, AccountId account, short space = 0)
    {
        Assert.True(MessageKey.TryParse(MessageHash.Of(data, account, space), out MessageKey key));
        return key;
    }

    public long NextStamp() => ++_stamp;

    public string File(string name) => Path.Combine(_folder, name);

    public async Task<MessageKey> Put(AccountId account, byte[] data, short space = 0, long ttl = 24 * Hour, long stamp = 0, long now = T)
    {
        MessageKey key = KeyOf(data, account, space);
        WriteOutcome outcome = await TryPut(account, data, space, ttl, stamp, now);
        Assert.Equal(WriteStatus.Done, outcome.Status);
        return key;
    }

    public Task<WriteOutcome> TryPut(AccountId account, byte[] data, short space = 0, long ttl = 24 * Hour, long stamp = 0, long now = T) =>
        Store.ApplyAsync(new StoreOp(account, stamp == 0 ? NextStamp() : stamp, 0, KeyOf(data, account, space), space, now, now + ttl, data), now);

    public Task<WriteOutcome> Delete(AccountId account, params MessageKey[] keys) => Store.ApplyAsync(new DeleteOp(account, NextStamp(), 0, keys), T);

    public List<MessageKey> Keys(AccountId account, short space = 0, long now = T) => [.. Store.Retrieve(account, space, null, 0, MessageStore.RetrieveBudget, now).Messages.Select(m => m.Key)];

    public void Reopen()
    {
        Store.Dispose();
        Store = MessageStore.Open(Options);
    }

    public void Dispose()
    {
        Store.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
