using Microsoft.Data.Sqlite;

namespace Oxen.Swarm.Storage;

/// <summary>Looks at a node's database while the node does not run.</summary>
public static class SwarmDatabase
{
    private const int MaxFaults = 20;
    private const int BusySeconds = 1;

    /// <summary>Reads the whole file; what is wrong with it, in SQLite's words, at most 20 lines. Empty: it is sound.</summary>
    /// <exception cref="StoreException">It does not exist, or cannot be read.</exception>
    public static IReadOnlyList<string> Check(string path)
    {
        if (!File.Exists(path)) throw new StoreException($"{path} does not exist");
        try
        {
            using SqliteConnection connection = MessageStore.Connect(path, SqliteOpenMode.ReadWrite); // the log of a killed node is taken in
            using SqliteCommand command = connection.CreateCommand();
            command.CommandText = $"PRAGMA integrity_check({MaxFaults});";
            var faults = new List<string>();
            using (SqliteDataReader row = command.ExecuteReader())
            {
                while (row.Read())
                {
                    if (row.GetString(0) != "ok") faults.AddRange(row.GetString(0).Split('\n', StringSplitOptions.RemoveEmptyEntries));
                }
            }

            if (faults.Count == 0) Schema.Upgrade(connection, path, upTo: 0); // is it ours?
            return faults;
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 11 or 26)
        {
            return [e.Message];
        }
        catch (SqliteException e)
        {
            throw new StoreException($"{path}: {MessageStore.Explain(e)}", e);
        }
    }

    /// <summary>Whether another process has the file open: a node that runs. False where that cannot be told, because the file is none or damaged.</summary>
    public static bool IsInUse(string path)
    {
        if (!File.Exists(path)) return false;
        try
        {
            using SqliteConnection connection = MessageStore.Connect(path, SqliteOpenMode.ReadWrite, BusySeconds);
            foreach (string sql in new[] { "PRAGMA locking_mode=EXCLUSIVE", "SELECT COUNT(*) FROM sqlite_master" })
            {
                using var statement = new Statement(connection, sql, 0);
                statement.Run();
            }

            return false;
        }
        catch (SqliteException e)
        {
            return e.SqliteErrorCode is 5 or 6; // BUSY, LOCKED
        }
    }

    /// <summary>Moves the file and its log away, so that the node begins with an empty one that its swarm fills. The new name.</summary>
    /// <exception cref="IOException">They could not be moved.</exception>
    public static string SetAside(string path, DateTimeOffset now)
    {
        string to = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{path}.damaged-{now:yyyyMMddHHmmss}");
        File.Move(path, to);
        foreach (string tail in new[] { "-wal", "-shm" })
        {
            if (File.Exists(path + tail)) File.Move(path + tail, to + tail);
        }

        return to;
    }
}
