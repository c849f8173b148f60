using Microsoft.Data.Sqlite;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

/// <summary>
/// Blocks in one SQLite file: write-ahead log, synchronous FULL, one transaction a block. A returned append has reached the disk
/// (as far as the disk tells the truth).
/// </summary>
internal sealed class SqliteSequencer : IBlockSequencer
{
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _append, _read, _put, _get, _vote, _votes, _forget;

    private SqliteSequencer(SqliteConnection connection)
    {
        _connection = connection;
        _append = Command("INSERT INTO blocks (height, body) SELECT $height, $body WHERE $height = (SELECT coalesce(max(height) + 1, 0) FROM blocks)", "$height", "$body");
        _read = Command("SELECT height, body FROM blocks WHERE height >= $height ORDER BY height LIMIT $count", "$height", "$count");
        _put = Command("INSERT OR REPLACE INTO signatures (height, body) VALUES ($height, $body)", "$height", "$body");
        _get = Command("SELECT body FROM signatures WHERE height = $height", "$height");
        _vote = Command("INSERT OR REPLACE INTO votes (height, about, member, signature) VALUES ($height, $about, $member, $signature)", "$height", "$about", "$member", "$signature");
        _votes = Command("SELECT member, signature FROM votes WHERE height = $height AND about = $about LIMIT $count", "$height", "$about", "$count");
        _forget = Command("DELETE FROM votes WHERE height < $height", "$height");
    }

    public string Name => "sqlite";

    public string Remedy => "Look at the disk that the file is on: its room, its health, who may write there.";

    public bool IsShared => false;

    /// <summary>Opens the file, or makes it.</summary>
    /// <exception cref="SqliteException">The file is no database, or cannot be written.</exception>
    public static SqliteSequencer Open(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        try
        {
            connection.Open();
            foreach (string line in new[]
            {
                "PRAGMA busy_timeout = 5000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL",
                "CREATE TABLE IF NOT EXISTS blocks (height INTEGER PRIMARY KEY, body BLOB NOT NULL)",
                "CREATE TABLE IF NOT EXISTS signatures (height INTEGER PRIMARY KEY, body BLOB NOT NULL)",
                "CREATE TABLE IF NOT EXISTS votes (height INTEGER, about BLOB, member BLOB, signature BLOB NOT NULL, PRIMARY KEY (height, about, member))",
            })
            {
                using SqliteCommand command = connection.CreateCommand();
                command.CommandText = line; // one of ours, above
                command.ExecuteNonQuery();
            }

            return new SqliteSequencer(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel) => LockedAsync(() => Set(_append, (long)height, block.ToArray()).ExecuteNonQuery() == 1, cancel);

    public Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel) => LockedAsync<IReadOnlyList<byte[]>>(
        () =>
        {
            var blocks = new List<byte[]>();
            using SqliteDataReader reader = Set(_read, (long)from, count).ExecuteReader();
            while (reader.Read() && reader.GetInt64(0) == (long)from + blocks.Count) blocks.Add(reader.GetFieldValue<byte[]>(1));
            return blocks;
        },
        cancel);

    public Task TruncateAsync(ulong from, CancellationToken cancel) => LockedAsync(
        () =>
        {
            using SqliteTransaction transaction = _connection.BeginTransaction();
            foreach (string table in new[] { "blocks", "signatures" })
            {
                using SqliteCommand command = _connection.CreateCommand();
                command.Transaction = transaction;
                command.CommandText = table == "blocks" ? "DELETE FROM blocks WHERE height >= $height" : "DELETE FROM signatures WHERE height >= $height";
                command.Parameters.AddWithValue("$height", (long)from);
                command.ExecuteNonQuery();
            }

            transaction.Commit();
            return true;
        },
        cancel);

    public Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel) => LockedAsync(() => Set(_put, (long)height, signatures.ToArray()).ExecuteNonQuery(), cancel);

    public Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel) => LockedAsync(() => Set(_get, (long)height).ExecuteScalar() as byte[], cancel);

    public Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel) => LockedAsync<IReadOnlyList<StoredVote>>(
        () =>
        {
            byte[] about = vote.About.ToArray();
            Set(_forget, (long)forget).ExecuteNonQuery();
            Set(_vote, (long)vote.Height, about, vote.Member.ToArray(), vote.Signature).ExecuteNonQuery();
            var votes = new List<StoredVote>();
            using SqliteDataReader reader = Set(_votes, (long)vote.Height, about, StoredVote.Most).ExecuteReader();
            while (reader.Read())
            {
                if (reader.GetFieldValue<byte[]>(0) is { Length: Bytes32.Length } member) votes.Add(vote with { Member = new Bytes32(member), Signature = reader.GetFieldValue<byte[]>(1) });
            }

            return votes;
        },
        cancel);

    public async ValueTask DisposeAsync()
    {
        await _gate.WaitAsync().ConfigureAwait(false);
        foreach (SqliteCommand command in new[] { _append, _read, _put, _get, _vote, _votes, _forget }) await command.DisposeAsync().ConfigureAwait(false);
        await _connection.DisposeAsync().ConfigureAwait(false);
        _gate.Dispose();
    }

    // SQLite works on the caller's thread; one connection is one thread's at a time.
    private async Task<T> LockedAsync<T>(Func<T> work, CancellationToken cancel)
    {
        await _gate.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            return work();
        }
        finally
        {
            _gate.Release();
        }
    }

    private SqliteCommand Command(string text, params string[] parameters)
    {
        SqliteCommand command = _connection.CreateCommand();
        command.CommandText = text;
        foreach (string name in parameters) command.Parameters.Add(new SqliteParameter { ParameterName = name });
        return command;
    }

    private static SqliteCommand Set(SqliteCommand command, params object[] values)
    {
        for (int i = 0; i < values.Length; i++) command.Parameters[i].Value = values[i];
        return command;
    }
}
