using Npgsql;
using NpgsqlTypes;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

/// <summary>Blocks in PostgreSQL, one statement and so one transaction a block; the server must run with synchronous_commit on, its default.</summary>
internal sealed class PostgresSequencer : IBlockSequencer
{
    private readonly NpgsqlDataSource _source;
    private readonly string _network;

    private PostgresSequencer(NpgsqlDataSource source, string network) => (_source, _network) = (source, network);

    public string Name => "postgresql";

    public string Remedy => "Look whether the server runs, takes connections and lets this user write.";

    public bool IsShared => true;

    /// <summary>Connects and makes the tables if they are missing. `network` keeps networks in one database apart.</summary>
    public static async Task<PostgresSequencer> OpenAsync(string connectionString, string network, CancellationToken cancel)
    {
        NpgsqlDataSource source = NpgsqlDataSource.Create(connectionString);
        try
        {
            await using NpgsqlCommand command = source.CreateCommand(
                """
                CREATE TABLE IF NOT EXISTS oxen_blocks (network text, height bigint, body bytea NOT NULL, PRIMARY KEY (network, height));
                CREATE TABLE IF NOT EXISTS oxen_signatures (network text, height bigint, body bytea NOT NULL, PRIMARY KEY (network, height));
                CREATE TABLE IF NOT EXISTS oxen_votes (network text, height bigint, about bytea, member bytea, signature bytea NOT NULL, PRIMARY KEY (network, height, about, member));
                """);
            await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
            return new PostgresSequencer(source, network);
        }
        catch
        {
            await source.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
    {
        await using NpgsqlCommand command = Command(
            """
            INSERT INTO oxen_blocks (network, height, body) SELECT $1, $2, $3
            WHERE $2 = 0 OR EXISTS (SELECT 1 FROM oxen_blocks WHERE network = $1 AND height = $2 - 1)
            ON CONFLICT DO NOTHING
            """,
            height,
            block);
        return await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false) == 1;
    }

    public async Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel)
    {
        await using NpgsqlCommand command = Command("SELECT height, body FROM oxen_blocks WHERE network = $1 AND height >= $2 ORDER BY height LIMIT $3", from);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = count });
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancel).ConfigureAwait(false);
        var blocks = new List<byte[]>();
        while (await reader.ReadAsync(cancel).ConfigureAwait(false) && reader.GetInt64(0) == (long)from + blocks.Count) blocks.Add(reader.GetFieldValue<byte[]>(1));
        return blocks;
    }

    public async Task TruncateAsync(ulong from, CancellationToken cancel)
    {
        await using NpgsqlConnection connection = await _source.OpenConnectionAsync(cancel).ConfigureAwait(false);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancel).ConfigureAwait(false);
        foreach (string text in new[] { "DELETE FROM oxen_blocks WHERE network = $1 AND height >= $2", "DELETE FROM oxen_signatures WHERE network = $1 AND height >= $2" })
        {
            await using var command = new NpgsqlCommand(text, connection, transaction);
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _network });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = (long)from });
            await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        }

        await transaction.CommitAsync(cancel).ConfigureAwait(false);
    }

    public async Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel)
    {
        await using NpgsqlCommand command = Command("INSERT INTO oxen_signatures (network, height, body) VALUES ($1, $2, $3) ON CONFLICT (network, height) DO UPDATE SET body = excluded.body", height, signatures);
        await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
    }

    public async Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel)
    {
        await using NpgsqlCommand command = Command("SELECT body FROM oxen_signatures WHERE network = $1 AND height = $2", height);
        return await command.ExecuteScalarAsync(cancel).ConfigureAwait(false) as byte[];
    }

    public async Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel)
    {
        await using (NpgsqlCommand command = Command("DELETE FROM oxen_votes WHERE network = $1 AND height < $2", forget)) await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        byte[] about = vote.About.ToArray();
        await using (NpgsqlCommand command = Command("INSERT INTO oxen_votes (network, height, about, member, signature) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (network, height, about, member) DO UPDATE SET signature = excluded.signature", vote.Height, about))
        {
            foreach (byte[] bytes in new[] { vote.Member.ToArray(), vote.Signature }) command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = bytes });
            await command.ExecuteNonQueryAsync(cancel).ConfigureAwait(false);
        }

        await using NpgsqlCommand read = Command("SELECT member, signature FROM oxen_votes WHERE network = $1 AND height = $2 AND about = $3 LIMIT $4", vote.Height, about);
        read.Parameters.Add(new NpgsqlParameter<int> { TypedValue = StoredVote.Most });
        await using NpgsqlDataReader reader = await read.ExecuteReaderAsync(cancel).ConfigureAwait(false);
        var votes = new List<StoredVote>();
        while (await reader.ReadAsync(cancel).ConfigureAwait(false))
        {
            if (reader.GetFieldValue<byte[]>(0) is { Length: Bytes32.Length } member) votes.Add(vote with { Member = new Bytes32(member), Signature = reader.GetFieldValue<byte[]>(1) });
        }

        return votes;
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private NpgsqlCommand Command(string text, ulong height, ReadOnlyMemory<byte>? body = null)
    {
        NpgsqlCommand command = _source.CreateCommand(text);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = _network });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = (long)height });
        if (body is { } bytes) command.Parameters.Add(new NpgsqlParameter { Value = bytes.ToArray(), NpgsqlDbType = NpgsqlDbType.Bytea });
        return command;
    }
}
