using Microsoft.Data.Sqlite;

namespace Oxen.Swarm.Storage;

// The database file. Each step takes it one version further; `user_version` tells how far a file is. Steps are never changed
// once they were released, only added.

/// <summary>Creates and upgrades the tables.</summary>
internal static class Schema
{
    /// <summary>`application_id` of the file: "OXsw".</summary>
    public const int ApplicationId = 0x4F587377;

    public static IReadOnlyList<string> Steps { get; } =
    [
        // 1: messages and who owns them; tombstones; revocations, which do not hang on any message.
        """
        CREATE TABLE owners(id INTEGER PRIMARY KEY, account BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL DEFAULT 0, messages INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE messages(id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, owner INTEGER NOT NULL, space INTEGER NOT NULL,
            timestamp INTEGER NOT NULL, expiry INTEGER NOT NULL, latest INTEGER NOT NULL, stamp INTEGER NOT NULL, data BLOB NOT NULL);
        CREATE INDEX messages_by_owner ON messages(owner, space, id);
        CREATE INDEX messages_by_expiry ON messages(expiry);
        CREATE TABLE tombstones(key BLOB PRIMARY KEY, owner INTEGER NOT NULL, space INTEGER NOT NULL, stamp INTEGER NOT NULL, gone INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX tombstones_by_owner ON tombstones(owner, space);
        CREATE INDEX tombstones_by_end ON tombstones(gone);
        CREATE TABLE revocations(key BLOB PRIMARY KEY, owner INTEGER NOT NULL, token BLOB NOT NULL, timestamp INTEGER NOT NULL,
            stamp INTEGER NOT NULL, revoked INTEGER NOT NULL, gone INTEGER NOT NULL) WITHOUT ROWID;
        CREATE INDEX revocations_by_owner ON revocations(owner);
        CREATE TABLE state(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
        """,
        // 2: what nodes that did not answer must still be told.
        "CREATE TABLE hints(node BLOB NOT NULL, key BLOB NOT NULL, PRIMARY KEY(node, key)) WITHOUT ROWID;",
    ];

    /// <summary>Brings an open database to the newest version, one transaction a step.</summary>
    /// <exception cref="StoreException">The file is no storage of ours, or a newer version wrote it.</exception>
    public static void Upgrade(SqliteConnection connection, string path, int upTo = int.MaxValue)
    {
        long application = Pragma(connection, "application_id");
        long version = Pragma(connection, "user_version");
        if (application == 0 && version == 0)
        {
            if (Number(connection, "SELECT COUNT(*) FROM sqlite_master") > 0)
                throw new StoreException($"{path} is an SQLite database of another program; name a file that does not exist yet");
        }
        else if (application != ApplicationId)
        {
            throw new StoreException($"{path} is an SQLite database of another program; name a file that does not exist yet");
        }

        if (version > Steps.Count)
            throw new StoreException($"{path} has version {version}; this program knows up to {Steps.Count}. Run the newer program, or move the file away: the swarm fills an empty one");
        for (long step = version; step < Math.Min(Steps.Count, upTo); step++)
        {
            using SqliteTransaction transaction = connection.BeginTransaction();
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = $"{Steps[(int)step]} PRAGMA user_version={step + 1}; PRAGMA application_id={ApplicationId};";
            command.ExecuteNonQuery();
            transaction.Commit();
        }
    }

    private static long Pragma(SqliteConnection connection, string name) => Number(connection, "PRAGMA " + name);

    private static long Number(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        return (long)command.ExecuteScalar()!;
    }
}
