using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

/// <summary>What a store can do at the moment.</summary>
internal enum StoreCondition
{
    Ready = 0,

    /// <summary>The last write found no room; reads go on, and writes are tried again.</summary>
    Full = 1,

    /// <summary>The disk or the database fails; <see cref="MessageStore.Trouble"/> says how.</summary>
    Failing = 2,
}

// The messages of a node in one SQLite file: WAL, synchronous FULL, one writing connection behind CommitQueue, a few reading
// ones. A write is done when it is on disk. kill -9 at any moment loses nothing that was acknowledged: SQLite's log is replayed
// at the next start. Reads never show what has expired, whether or not it was cleaned up.

/// <summary>Keeps records on disk. Any thread.</summary>
internal sealed partial class MessageStore : IDisposable
{
    private const int Readers = 6;
    private const int BusySeconds = 15;

    private readonly StoreOptions _options;
    private readonly CommitQueue _queue;
    private readonly ConcurrentBag<ReadSession> _readers = [];
    private readonly SemaphoreSlim _readerPermits = new(Readers);
    private volatile string? _trouble;
    private volatile StoreCondition _condition;
    private volatile bool _closed;

    private MessageStore(StoreOptions options, WriteSession session, DigestTree digests)
    {
        _options = options;
        Digests = digests;
        _queue = new CommitQueue(session, Note);
    }

    public DigestTree Digests { get; }

    public StoreCondition Condition => _condition;

    /// <summary>What is wrong, for people; null when nothing is.</summary>
    public string? Trouble => _trouble;

    /// <summary>Commits so far, and writes in them.</summary>
    public (long Commits, long Writes) Totals => _queue.Totals;

    /// <summary>Opens or creates the file and brings it to the newest version.</summary>
    /// <exception cref="StoreException">It cannot be opened, is damaged, or belongs to something else.</exception>
    public static MessageStore Open(StoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        SqliteConnection? connection = null;
        WriteSession? session = null;
        try
        {
            connection = Connect(options.Path, SqliteOpenMode.ReadWriteCreate);
            Execute(connection, $"PRAGMA journal_mode=WAL; PRAGMA synchronous={(options.Durable ? "FULL" : "OFF")}; PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-16000;");
            Schema.Upgrade(connection, options.Path);
            Execute(connection, $"PRAGMA max_page_count={Math.Max(64, options.MaxBytes / 4096)};");
            var digests = new DigestTree();
            session = new WriteSession(connection, options, digests);
            session.SetScope(_ => true);
            return new MessageStore(options, session, digests);
        }
        catch (SqliteException e)
        {
            session?.Dispose();
            connection?.Dispose();
            throw new StoreException($"{options.Path}: {Explain(e)}", e);
        }
        catch
        {
            session?.Dispose();
            connection?.Dispose();
            throw;
        }
    }

    /// <summary>What went wrong and what to do about it.</summary>
    public static string Explain(SqliteException e) => e.SqliteErrorCode switch
    {
        13 => "no room: the disk or the storage's size limit is full; free some space or raise the limit", // SQLITE_FULL
        11 or 26 => $"the database is damaged ({e.Message}); stop the node, move the file and its -wal and -shm away and start again: the swarm fills an empty one", // CORRUPT, NOTADB
        10 => $"the disk fails ({e.Message}); is it full? If not, look into the system's log", // IOERR
        8 or 14 => $"the file cannot be opened or written ({e.Message}); check its directory, owner and mode", // READONLY, CANTOPEN
        5 or 6 => "another process holds the database; only one node may use it", // BUSY, LOCKED
        _ => e.Message,
    };

    /// <summary>Carries one operation out. Failures of the disk are a status, never an exception.</summary>
    public async Task<WriteOutcome> ApplyAsync(WriteOp op, long now)
    {
        try
        {
            return await _queue.RunAsync(s => s.Apply(op, now)).ConfigureAwait(false);
        }
        catch (StoreException e)
        {
            return new WriteOutcome { Status = e.InnerException is SqliteException { SqliteErrorCode: 13 } ? WriteStatus.Full : WriteStatus.Unavailable };
        }
    }

    /// <summary>Takes records of other nodes; the number of news, or null if they could not be written.</summary>
    public async Task<int?> MergeAsync(IReadOnlyList<SwarmRecord> records, long now)
    {
        try
        {
            return await _queue.RunAsync(s => s.Merge(records, now)).ConfigureAwait(false);
        }
        catch (StoreException)
        {
            return null;
        }
    }

    /// <summary>Removes what is over, in small transactions, so that writes do not wait. Returns how much went.</summary>
    public async Task<int> CleanAsync(long now)
    {
        const int step = 500;
        int total = 0, gone;
        do
        {
            gone = await TryAsync(s => s.Clean(now, step)).ConfigureAwait(false);
            total += gone;
        }
        while (gone >= step);
        return total;
    }

    public Task<int> HandOverAsync(IReadOnlyList<RecordEntry> entries) => TryAsync(s => s.HandOver(entries));

    public Task<bool> AddHintsAsync(byte[] node, IReadOnlyList<MessageKey> keys) => TryAsync(s => s.AddHints(node, keys));

    public Task<bool> RemoveHintsAsync(byte[] node, IReadOnlyList<MessageKey> keys) => TryAsync(s =>
    {
        s.RemoveHints(node, keys);
        return true;
    });

    public Task<bool> SetStateAsync(string name, byte[] value) => TryAsync(s =>
    {
        s.SetState(name, value);
        return true;
    });

    /// <summary>Which accounts <see cref="Digests"/> speaks of.</summary>
    public Task<bool> SetScopeAsync(Func<AccountId, bool> scope) => TryAsync(s =>
    {
        s.SetScope(scope);
        return true;
    });

    /// <summary>Writes a consistent copy of the database while it is in use.</summary>
    /// <exception cref="StoreException">The copy could not be written.</exception>
    public void Backup(string path)
    {
        try
        {
            using SqliteConnection source = Connect(_options.Path, SqliteOpenMode.ReadOnly);
            using SqliteConnection target = Connect(path, SqliteOpenMode.ReadWriteCreate);
            source.BackupDatabase(target);
            Execute(target, "PRAGMA journal_mode=DELETE;"); // one file, to be carried away
        }
        catch (SqliteException e)
        {
            throw new StoreException($"{path}: {Explain(e)}", e);
        }
    }

    public void Dispose()
    {
        _closed = true;
        for (int i = 0; i < Readers; i++) _readerPermits.Wait();
        while (_readers.TryTake(out ReadSession? reader)) reader.Dispose();
        _queue.Dispose(); // the last one, which may write, takes the log into the file
        _readerPermits.Dispose();
    }

    private async Task<T> TryAsync<T>(Func<WriteSession, T> work)
    {
        try
        {
            return await _queue.RunAsync(work).ConfigureAwait(false);
        }
        catch (StoreException)
        {
            return default!;
        }
    }

    internal static SqliteConnection Connect(string path, SqliteOpenMode mode, int busySeconds = BusySeconds)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = mode, Pooling = false, DefaultTimeout = busySeconds }.ToString());
        try
        {
            connection.Open();
            SQLitePCL.raw.sqlite3_busy_timeout(connection.Handle, busySeconds * 1000);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private void Note(SqliteException? failure)
    {
        if (failure is null)
        {
            if (_condition == StoreCondition.Ready) return;
            _condition = StoreCondition.Ready;
            _trouble = null;
            return;
        }

        _trouble = $"{_options.Path}: {Explain(failure)}";
        _condition = failure.SqliteErrorCode == 13 ? StoreCondition.Full : StoreCondition.Failing;
    }
}
