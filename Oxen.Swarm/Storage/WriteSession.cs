using Microsoft.Data.Sqlite;
using SQLitePCL;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

// The writing connection: what a transaction may do to the tables, kept together with the accounts' totals and the
// fingerprints. Only the thread of CommitQueue comes here. Changes of fingerprints wait until the transaction is on disk.
// The operations of clients stand in WriteSession.Operations.cs, agreement with other nodes in WriteSession.Merge.cs.

/// <summary>Reads and changes records inside a transaction.</summary>
internal sealed partial class WriteSession : IDisposable
{
    /// <summary>How long a deletion is remembered: as long as any copy of a message could live, and a day.</summary>
    public static readonly TimeSpan TombstoneLife = StoreLimits.MaxLifetime + TimeSpan.FromDays(1);

    private const int MaxKnownOwners = 50_000;
    private const int MaxRevocations = 50;

    private readonly SqliteConnection _connection;
    private readonly StoreOptions _options;
    private readonly DigestTree _digests;
    private readonly List<Statement> _statements = [];
    private readonly List<DigestDelta> _deltas = [];
    private readonly Dictionary<AccountId, Owner> _owners = [];
    private readonly HashSet<long> _maybeEmpty = [];
    private readonly Dictionary<string, int> _hintCounts = [];
    private readonly Statement _begin, _commit, _rollBack, _countAccounts;
    private readonly Statement _findOwner, _ownerOf, _addOwner, _chargeOwner, _pages, _free;
    private readonly Statement _findMessage, _addMessage, _removeMessage, _changeExpiry;
    private readonly Statement _findTombstone, _putTombstone, _removeTombstone;
    private readonly Statement _inSpace, _inAll, _tombstonesInSpace, _tombstonesInAll;
    private readonly Statement _findRevocation, _putRevocation, _removeRevocation, _revocationsOf;
    private Func<AccountId, bool> _scope = _ => true;
    private long _usedBytes, _accounts;

    public WriteSession(SqliteConnection connection, StoreOptions options, DigestTree digests)
    {
        _connection = connection;
        _options = options;
        _digests = digests;
        try
        {
            _begin = Prepare("BEGIN IMMEDIATE", 0);
            _commit = Prepare("COMMIT", 0);
            _rollBack = Prepare("ROLLBACK", 0);
            _findOwner = Prepare("SELECT id, bytes FROM owners WHERE account=$0", 1);
            _ownerOf = Prepare("SELECT account FROM owners WHERE id=$0", 1);
            _addOwner = Prepare("INSERT INTO owners(account) VALUES($0) RETURNING id", 1);
            _chargeOwner = Prepare("UPDATE owners SET bytes=bytes+$1, messages=messages+$2 WHERE id=$0", 3);
            _pages = Prepare("PRAGMA page_count", 0);
            _free = Prepare("PRAGMA freelist_count", 0);
            _findMessage = Prepare("SELECT id, owner, space, timestamp, expiry, latest, stamp, length(data) FROM messages WHERE key=$0", 1);
            _addMessage = Prepare("INSERT INTO messages(key, owner, space, timestamp, expiry, latest, stamp, data) VALUES($0,$1,$2,$3,$4,$5,$6,$7)", 8);
            _removeMessage = Prepare("DELETE FROM messages WHERE id=$0", 1);
            _changeExpiry = Prepare("UPDATE messages SET expiry=$1, latest=MAX(latest,$1), stamp=$2 WHERE id=$0", 3);
            _findTombstone = Prepare("SELECT owner, space, stamp, gone FROM tombstones WHERE key=$0", 1);
            _putTombstone = Prepare("INSERT INTO tombstones(key, owner, space, stamp, gone) VALUES($0,$1,$2,$3,$4) ON CONFLICT(key) DO UPDATE SET stamp=$3, gone=MAX(gone,$4)", 5);
            _removeTombstone = Prepare("DELETE FROM tombstones WHERE key=$0", 1);
            _inSpace = Prepare("SELECT key, id, space, timestamp, expiry, latest, stamp, length(data) FROM messages WHERE owner=$0 AND space=$1", 2);
            _inAll = Prepare("SELECT key, id, space, timestamp, expiry, latest, stamp, length(data) FROM messages WHERE owner=$0", 1);
            _tombstonesInSpace = Prepare("SELECT key, space, stamp FROM tombstones WHERE owner=$0 AND space=$1", 2);
            _tombstonesInAll = Prepare("SELECT key, space, stamp FROM tombstones WHERE owner=$0", 1);
            _findRevocation = Prepare("SELECT revoked, stamp, gone FROM revocations WHERE key=$0", 1);
            _putRevocation = Prepare(
                "INSERT INTO revocations(key, owner, token, timestamp, stamp, revoked, gone) VALUES($0,$1,$2,$3,$4,$5,$6) ON CONFLICT(key) DO UPDATE SET timestamp=$3, stamp=$4, revoked=$5, gone=$6", 7);
            _removeRevocation = Prepare("DELETE FROM revocations WHERE key=$0", 1);
            _revocationsOf = Prepare("SELECT key, stamp FROM revocations WHERE owner=$0 AND revoked=1 ORDER BY timestamp DESC, token DESC", 1);
            _countAccounts = Prepare("SELECT COUNT(*) FROM owners WHERE messages>0", 0);
            _accounts = _countAccounts.Number()!.Value;
            using Statement.Rows hints = Prepare("SELECT node, COUNT(*) FROM hints GROUP BY node", 0).Query();
            while (hints.Read()) _hintCounts[Convert.ToHexStringLower(hints.GetBytes(0))] = hints.GetInt32(1);
        }
        catch
        {
            foreach (Statement statement in _statements) statement.Dispose(); // or the file stays open
            throw;
        }
    }

    private sealed class Owner(long id, AccountId account, bool inScope)
    {
        public long Id => id;

        public AccountId Account => account;

        public bool InScope => inScope;

        public long Bytes { get; set; }
    }

    private readonly record struct MessageRow(MessageKey Key, long Id, long Owner, short Space, long Timestamp, long Expiry, long Latest, long Stamp, int Bytes)
    {
        public RecordEntry Entry => new(Key, RecordKind.Message, Stamp, Expiry);
    }

    public void Begin()
    {
        _begin.Run();
        _usedBytes = (_pages.Number()!.Value - _free.Number()!.Value) * 4096;
    }

    public void Commit()
    {
        _commit.Run();
        _digests.Apply(_deltas);
        _deltas.Clear();
    }

    public void RollBack()
    {
        _deltas.Clear();
        _owners.Clear(); // totals in it may be of the lost transaction
        try
        {
            if (raw.sqlite3_get_autocommit(_connection.Handle) == 0) _rollBack.Run(); // else SQLite has rolled back by itself
        }
        catch (SqliteException)
        {
            // it cannot: the next Begin shows
        }

        try
        {
            _accounts = _countAccounts.Number()!.Value;
        }
        catch (SqliteException)
        {
            _accounts = Math.Max(_accounts, 1); // damaged: nothing will be stored anyway
        }
    }

    public void Dispose()
    {
        foreach (Statement statement in _statements) statement.Dispose();
        _connection.Dispose();
    }

    /// <summary>Which accounts the fingerprints speak of; they are summed up anew.</summary>
    public void SetScope(Func<AccountId, bool> scope)
    {
        _scope = scope;
        _owners.Clear();
        _deltas.Clear();
        ulong[] sums = new ulong[DigestTree.Buckets];
        var inScope = new HashSet<long>();
        using (Statement all = Transient("SELECT id, account FROM owners", 0))
        {
            using Statement.Rows owners = all.Query();
            while (owners.Read())
            {
                if (AccountId.TryRead(owners.GetBytes(1), false, out AccountId account) && scope(account)) inScope.Add(owners.GetInt64(0));
            }
        }

        Sum("SELECT key, owner, stamp, expiry, 0 FROM messages");
        Sum("SELECT key, owner, stamp, gone, 1 FROM tombstones");
        Sum("SELECT key, owner, stamp, gone, 3-revoked FROM revocations");
        _digests.Reset(sums);

        void Sum(string sql)
        {
            using Statement all = Transient(sql, 0);
            using Statement.Rows rows = all.Query();
            while (rows.Read())
            {
                if (!inScope.Contains(rows.GetInt64(1))) continue;
                var entry = new RecordEntry(rows.GetKey(0), (RecordKind)rows.GetInt32(4), rows.GetInt64(2), rows.GetInt64(3));
                unchecked { sums[entry.Key.Bucket] += entry.Fingerprint(); }
            }
        }
    }

    public void SetState(string name, byte[] value)
    {
        using Statement put = Transient("INSERT INTO state(name, value) VALUES($0,$1) ON CONFLICT(name) DO UPDATE SET value=$1", 2);
        put.Run(name, value);
    }

    /// <summary>Remembers that a node must be told these. False: too many already, it will have to compare everything.</summary>
    public bool AddHints(ReadOnlySpan<byte> node, IReadOnlyList<MessageKey> keys)
    {
        string name = Convert.ToHexStringLower(node);
        int have = _hintCounts.GetValueOrDefault(name);
        if (have + keys.Count > _options.MaxHints) return false;
        byte[] id = node.ToArray();
        using Statement add = Transient("INSERT OR IGNORE INTO hints(node, key) VALUES($0,$1)", 2);
        foreach (MessageKey key in keys) have += add.Run(id, key.ToArray());
        _hintCounts[name] = have;
        return true;
    }

    public void RemoveHints(ReadOnlySpan<byte> node, IReadOnlyList<MessageKey> keys)
    {
        string name = Convert.ToHexStringLower(node);
        byte[] id = node.ToArray();
        using Statement remove = Transient("DELETE FROM hints WHERE node=$0 AND key=$1", 2);
        foreach (MessageKey key in keys) _hintCounts[name] = Math.Max(0, _hintCounts.GetValueOrDefault(name) - remove.Run(id, key.ToArray()));
    }

    private Statement Prepare(string sql, int arguments)
    {
        var statement = new Statement(_connection, sql, arguments);
        _statements.Add(statement);
        return statement;
    }

    private Statement Transient(string sql, int arguments) => new(_connection, sql, arguments);

    private Owner? Find(AccountId account)
    {
        if (_owners.TryGetValue(account, out Owner? known)) return known;
        byte[] bytes = new byte[AccountId.Bytes];
        account.CopyTo(bytes);
        using Statement.Rows row = _findOwner.Query(bytes);
        return row.Read() ? Know(row.GetInt64(0), account, row.GetInt64(1)) : null;
    }

    private Owner FindOrAdd(AccountId account)
    {
        if (Find(account) is { } known) return known;
        byte[] bytes = new byte[AccountId.Bytes];
        account.CopyTo(bytes);
        return Know(_addOwner.Number(bytes)!.Value, account, 0);
    }

    private Owner FindById(long id)
    {
        AccountId account;
        using (Statement.Rows row = _ownerOf.Query(id))
        {
            row.Read();
            AccountId.TryRead(row.GetBytes(0), false, out account);
        }

        return Find(account)!;
    }

    private Owner Know(long id, AccountId account, long bytes)
    {
        if (_owners.Count >= MaxKnownOwners) _owners.Clear();
        return _owners[account] = new Owner(id, account, _scope(account)) { Bytes = bytes };
    }

    private MessageRow? FindMessage(MessageKey key)
    {
        using Statement.Rows row = _findMessage.Query(key.ToArray());
        if (!row.Read()) return null;
        return new MessageRow(key, row.GetInt64(0), row.GetInt64(1), row.GetInt16(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6), row.GetInt32(7));
    }

    private (long Owner, short Space, long Stamp, long Gone)? FindTombstone(MessageKey key)
    {
        using Statement.Rows row = _findTombstone.Query(key.ToArray());
        return row.Read() ? (row.GetInt64(0), row.GetInt16(1), row.GetInt64(2), row.GetInt64(3)) : null;
    }

    private List<MessageRow> MessagesOf(Owner owner, short? space)
    {
        var rows = new List<MessageRow>();
        using Statement.Rows row = space is { } s ? _inSpace.Query(owner.Id, s) : _inAll.Query(owner.Id);
        while (row.Read())
        {
            rows.Add(new MessageRow(row.GetKey(0), row.GetInt64(1), owner.Id, row.GetInt16(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6), row.GetInt32(7)));
        }

        return rows;
    }

    private List<(MessageKey Key, short Space, long Stamp)> TombstonesOf(Owner owner, short? space)
    {
        var rows = new List<(MessageKey, short, long)>();
        using Statement.Rows row = space is { } s ? _tombstonesInSpace.Query(owner.Id, s) : _tombstonesInAll.Query(owner.Id);
        while (row.Read()) rows.Add((row.GetKey(0), row.GetInt16(1), row.GetInt64(2)));
        return rows;
    }

    private void Insert(SwarmRecord message, Owner owner)
    {
        _addMessage.Run(message.Key.ToArray(), owner.Id, message.Space, message.Timestamp, message.Expiry, Math.Max(message.Latest, message.Expiry), message.Stamp, message.Data);
        Charge(owner, message.Data.Length, 1);
        Added(owner, message.Entry);
    }

    private void Remove(MessageRow row, Owner owner)
    {
        _removeMessage.Run(row.Id);
        Charge(owner, -row.Bytes, -1);
        Removed(owner, row.Entry);
    }

    private void SetExpiry(MessageRow row, long expiry, long stamp, Owner owner)
    {
        _changeExpiry.Run(row.Id, expiry, stamp);
        Removed(owner, row.Entry);
        Added(owner, row.Entry with { Expiry = expiry, Stamp = stamp });
    }

    private void Bury(MessageKey key, short space, long stamp, long gone, Owner owner)
    {
        if (FindTombstone(key) is { } old) Removed(owner, new RecordEntry(key, RecordKind.Tombstone, old.Stamp, old.Gone));
        _putTombstone.Run(key.ToArray(), owner.Id, space, stamp, gone);
        Added(owner, new RecordEntry(key, RecordKind.Tombstone, stamp, gone));
    }

    private void Unbury(MessageKey key, long stamp, Owner owner)
    {
        if (_removeTombstone.Run(key.ToArray()) > 0) Removed(owner, new RecordEntry(key, RecordKind.Tombstone, stamp, 0));
    }

    private void Charge(Owner owner, long bytes, int messages)
    {
        _chargeOwner.Run(owner.Id, bytes, messages);
        bool hadNone = owner.Bytes == 0;
        owner.Bytes += bytes;
        if (hadNone && owner.Bytes > 0) _accounts++;
        if (!hadNone && owner.Bytes == 0) _accounts--;
    }

    private void Added(Owner owner, RecordEntry entry)
    {
        if (owner.InScope) _deltas.Add(DigestDelta.Added(entry));
    }

    private void Removed(Owner owner, RecordEntry entry)
    {
        _maybeEmpty.Add(owner.Id);
        if (owner.InScope) _deltas.Add(DigestDelta.Removed(entry));
    }
}
