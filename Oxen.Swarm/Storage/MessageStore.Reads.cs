using Microsoft.Data.Sqlite;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

/// <summary>A message as a retrieval gives it.</summary>
internal sealed record RetrievedMessage(MessageKey Key, long Timestamp, long Expiry, byte[] Data);

/// <summary>What a store holds, in figures.</summary>
internal sealed record StoreFigures(long Messages, long Accounts, long MessageBytes, long Tombstones, long Revocations, long Hints, long UsedBytes, long MaxBytes, IReadOnlyDictionary<short, long> BySpace);

internal sealed partial class MessageStore
{
    /// <summary>What a reply may weigh before its own encryption and base64; 7.8 MB of a limit of 10 MiB.</summary>
    public const long RetrieveBudget = 7_800_000;

    private const int RecordOverhead = 100;

    /// <summary>
    /// Messages in the order in which they came here, after `last` if that is known. `maxCount` 0 is none; `maxBytes` counts
    /// 100, the hash and the data's base64 for each. One message always goes out, however long.
    /// </summary>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public (List<RetrievedMessage> Messages, bool More) Retrieve(AccountId account, short space, MessageKey? last, int maxCount, long maxBytes, long now) => Read(session =>
    {
        var messages = new List<RetrievedMessage>();
        if (OwnerOf(session, account) is not { } owner) return (messages, false);
        long after = 0;
        if (last is { } key)
        {
            using Statement.Rows at = session.Query("SELECT id FROM messages WHERE key=$0 AND owner=$1 AND space=$2", key.ToArray(), owner, space);
            if (at.Read()) after = at.GetInt64(0);
        }

        long left = maxBytes;
        using Statement.Rows row = session.Query("SELECT key, timestamp, expiry, data FROM messages WHERE owner=$0 AND space=$1 AND id>$2 AND expiry>$3 ORDER BY id", owner, space, after, now);
        while (row.Read())
        {
            byte[] data = row.GetBytes(3);
            left -= RecordOverhead + MessageHash.Length + (data.Length * 4L / 3);
            if (messages.Count > 0 && (left < 0 || (maxCount > 0 && messages.Count >= maxCount))) return (messages, true);
            messages.Add(new RetrievedMessage(row.GetKey(0), row.GetInt64(1), row.GetInt64(2), data));
        }

        return (messages, false);
    });

    /// <summary>Expiries of those that are there and the account's.</summary>
    public Dictionary<MessageKey, long> Expiries(AccountId account, IReadOnlyList<MessageKey> keys, long now) => Read(session =>
    {
        var found = new Dictionary<MessageKey, long>();
        if (OwnerOf(session, account) is not { } owner) return found;
        foreach (MessageKey key in keys)
        {
            using Statement.Rows row = session.Query("SELECT expiry FROM messages WHERE key=$0 AND owner=$1 AND expiry>$2", key.ToArray(), owner, now);
            if (row.Read()) found[key] = row.GetInt64(0);
        }

        return found;
    });

    /// <summary>Expiries of all messages of an account.</summary>
    public Dictionary<MessageKey, long> AllExpiries(AccountId account, long now) => Read(session =>
    {
        var found = new Dictionary<MessageKey, long>();
        if (OwnerOf(session, account) is not { } owner) return found;
        using Statement.Rows row = session.Query("SELECT key, expiry FROM messages WHERE owner=$0 AND expiry>$1", owner, now);
        while (row.Read()) found[row.GetKey(0)] = row.GetInt64(1);
        return found;
    });

    /// <summary>Tokens that the account has revoked, newest first.</summary>
    public List<byte[]> Revocations(AccountId account) => Read(session =>
    {
        var tokens = new List<byte[]>();
        if (OwnerOf(session, account) is not { } owner) return tokens;
        using Statement.Rows row = session.Query("SELECT token FROM revocations WHERE owner=$0 AND revoked=1 ORDER BY timestamp DESC, token DESC", owner);
        while (row.Read()) tokens.Add(row.GetBytes(0));
        return tokens;
    });

    public bool IsRevoked(AccountId account, ReadOnlySpan<byte> token)
    {
        byte[] key = SwarmRecord.RevocationKey(token, account).ToArray();
        return Read(session =>
        {
            using Statement.Rows row = session.Query("SELECT 1 FROM revocations WHERE key=$0 AND revoked=1", key);
            return row.Read();
        });
    }

    /// <summary>The records of these keys, as far as there are any, until they weigh `maxBytes`.</summary>
    public List<SwarmRecord> Records(IReadOnlyList<MessageKey> keys, long maxBytes = long.MaxValue) => Read(session =>
    {
        var records = new List<SwarmRecord>();
        foreach (MessageKey key in keys)
        {
            if (maxBytes <= 0) break;
            if (RecordOf(session, key) is not { } record) continue;
            records.Add(record);
            maxBytes -= 200 + record.Data.Length;
        }

        return records;
    });

    /// <summary>What lies in a bucket, of the accounts that `scope` accepts.</summary>
    public List<RecordEntry> Bucket(int bucket, Func<AccountId, bool> scope) => Read(session =>
    {
        byte[] from = new byte[MessageKey.Bytes], to = new byte[MessageKey.Bytes];
        new MessageKey((UInt128)(uint)bucket << 116, 0).CopyTo(from);
        new MessageKey(((UInt128)(uint)bucket << 116) | (UInt128.MaxValue >> 12), UInt128.MaxValue).CopyTo(to);
        var entries = new List<RecordEntry>();
        Add("SELECT key, account, stamp, expiry, 0 FROM messages JOIN owners ON owners.id=owner WHERE key BETWEEN $0 AND $1");
        Add("SELECT key, account, stamp, gone, 1 FROM tombstones JOIN owners ON owners.id=owner WHERE key BETWEEN $0 AND $1");
        Add("SELECT key, account, stamp, gone, 3-revoked FROM revocations JOIN owners ON owners.id=owner WHERE key BETWEEN $0 AND $1");
        return entries;

        void Add(string sql)
        {
            using Statement.Rows row = session.Query(sql, from, to);
            while (row.Read())
            {
                if (!AccountId.TryRead(row.GetBytes(1), false, out AccountId account) || !scope(account)) continue;
                entries.Add(new RecordEntry(row.GetKey(0), (RecordKind)row.GetInt32(4), row.GetInt64(2), row.GetInt64(3)));
            }
        }
    });

    /// <summary>Accounts that `choose` picks, at most `limit`.</summary>
    public List<AccountId> Accounts(Func<AccountId, bool> choose, int limit) => Read(session =>
    {
        var accounts = new List<AccountId>();
        using Statement.Rows row = session.Query("SELECT account FROM owners ORDER BY id");
        while (accounts.Count < limit && row.Read())
        {
            if (AccountId.TryRead(row.GetBytes(0), false, out AccountId account) && choose(account)) accounts.Add(account);
        }

        return accounts;
    });

    /// <summary>Everything known of an account.</summary>
    public List<RecordEntry> EntriesOf(AccountId account) => Read(session =>
    {
        var entries = new List<RecordEntry>();
        if (OwnerOf(session, account) is not { } owner) return entries;
        foreach (string sql in new[] { "SELECT key, stamp, expiry, 0 FROM messages WHERE owner=$0", "SELECT key, stamp, gone, 1 FROM tombstones WHERE owner=$0", "SELECT key, stamp, gone, 3-revoked FROM revocations WHERE owner=$0" })
        {
            using Statement.Rows row = session.Query(sql, owner);
            while (row.Read()) entries.Add(new RecordEntry(row.GetKey(0), (RecordKind)row.GetInt32(3), row.GetInt64(1), row.GetInt64(2)));
        }

        return entries;
    });

    /// <summary>What is known of these keys.</summary>
    public Dictionary<MessageKey, RecordEntry> Entries(IReadOnlyList<MessageKey> keys) => Read(session =>
    {
        var entries = new Dictionary<MessageKey, RecordEntry>();
        foreach (MessageKey key in keys)
        {
            byte[] bytes = key.ToArray();
            foreach (string sql in new[] { "SELECT stamp, expiry, 0 FROM messages WHERE key=$0", "SELECT stamp, gone, 1 FROM tombstones WHERE key=$0", "SELECT stamp, gone, 3-revoked FROM revocations WHERE key=$0" })
            {
                using Statement.Rows row = session.Query(sql, bytes);
                if (!row.Read()) continue;
                entries[key] = new RecordEntry(key, (RecordKind)row.GetInt32(2), row.GetInt64(0), row.GetInt64(1));
                break;
            }
        }

        return entries;
    });

    public List<MessageKey> Hints(byte[] node, int limit) => Read(session =>
    {
        var keys = new List<MessageKey>();
        using Statement.Rows row = session.Query("SELECT key FROM hints WHERE node=$0 LIMIT $1", node, limit);
        while (row.Read()) keys.Add(row.GetKey(0));
        return keys;
    });

    /// <summary>The latest stamp on disk: the logical clock goes on from there after a restart.</summary>
    public long LatestStamp() => Read(session =>
    {
        long latest = 0;
        foreach (string table in new[] { "messages", "tombstones", "revocations" })
        {
            using Statement.Rows row = session.Query($"SELECT MAX(stamp) FROM {table}");
            if (row.Read() && !row.IsNull(0)) latest = Math.Max(latest, row.GetInt64(0));
        }

        return latest;
    });

    public byte[]? GetState(string name) => Read(session =>
    {
        using Statement.Rows row = session.Query("SELECT value FROM state WHERE name=$0", name);
        return row.Read() ? row.GetBytes(0) : null;
    });

    public StoreFigures Figures(long now) => Read(session =>
    {
        var spaces = new Dictionary<short, long>();
        using (Statement.Rows row = session.Query("SELECT space, COUNT(*) FROM messages WHERE expiry>$0 GROUP BY space", now))
        {
            while (row.Read()) spaces[row.GetInt16(0)] = row.GetInt64(1);
        }

        long pages = One("PRAGMA page_count") - One("PRAGMA freelist_count");
        return new StoreFigures(
            One("SELECT TOTAL(messages) FROM owners"), One("SELECT COUNT(*) FROM owners WHERE messages>0"), One("SELECT TOTAL(bytes) FROM owners"),
            One("SELECT COUNT(*) FROM tombstones"), One("SELECT COUNT(*) FROM revocations WHERE revoked=1"), One("SELECT COUNT(*) FROM hints"), pages * 4096, _options.MaxBytes, spaces);

        long One(string sql)
        {
            using Statement.Rows row = session.Query(sql);
            row.Read();
            return (long)row.GetDouble(0);
        }
    });

    private static long? OwnerOf(ReadSession session, AccountId account)
    {
        byte[] bytes = new byte[AccountId.Bytes];
        account.CopyTo(bytes);
        using Statement.Rows row = session.Query("SELECT id FROM owners WHERE account=$0", bytes);
        return row.Read() ? row.GetInt64(0) : null;
    }

    private static SwarmRecord? RecordOf(ReadSession session, MessageKey key)
    {
        byte[] bytes = key.ToArray();
        using (Statement.Rows row = session.Query("SELECT account, space, timestamp, expiry, stamp, data, latest FROM messages JOIN owners ON owners.id=owner WHERE key=$0", bytes))
        {
            if (row.Read() && AccountId.TryRead(row.GetBytes(0), false, out AccountId account))
                return new SwarmRecord(RecordKind.Message, key, account, row.GetInt16(1), row.GetInt64(2), row.GetInt64(3), row.GetInt64(4), row.GetBytes(5), row.GetInt64(6));
        }

        using (Statement.Rows row = session.Query("SELECT account, space, stamp, gone FROM tombstones JOIN owners ON owners.id=owner WHERE key=$0", bytes))
        {
            if (row.Read() && AccountId.TryRead(row.GetBytes(0), false, out AccountId account))
                return new SwarmRecord(RecordKind.Tombstone, key, account, row.GetInt16(1), 0, row.GetInt64(3), row.GetInt64(2), [], 0);
        }

        using (Statement.Rows row = session.Query("SELECT account, token, timestamp, stamp, revoked, gone FROM revocations JOIN owners ON owners.id=owner WHERE key=$0", bytes))
        {
            if (row.Read() && AccountId.TryRead(row.GetBytes(0), false, out AccountId account))
                return new SwarmRecord(row.GetBoolean(4) ? RecordKind.Revoked : RecordKind.Unrevoked, key, account, 0, row.GetInt64(2), row.GetInt64(5), row.GetInt64(3), row.GetBytes(1), 0);
        }

        return null;
    }

    // Readers are made when needed and kept. A damaged database shows here too: it becomes the store's state and one exception.
    private T Read<T>(Func<ReadSession, T> work)
    {
        if (_closed) throw new StoreException("the store is closed");
        _readerPermits.Wait();
        ReadSession? session = null;
        try
        {
            if (!_readers.TryTake(out session)) session = new ReadSession(Connect(_options.Path, SqliteOpenMode.ReadOnly));
            T result = work(session);
            _readers.Add(session);
            session = null;
            return result;
        }
        catch (SqliteException e)
        {
            Note(e);
            throw new StoreException($"{_options.Path}: {Explain(e)}", e);
        }
        finally
        {
            session?.Dispose();
            _readerPermits.Release();
        }
    }
}
