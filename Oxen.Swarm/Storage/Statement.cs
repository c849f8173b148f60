using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Oxen.Swarm.Storage;

// Straight on SQLite's own calls: a command of Microsoft.Data.Sqlite looks its parameters up by name, boxes a reader and asks for
// the statement's shape each time it runs, which together cost more than an insertion does.

/// <summary>A prepared statement with arguments `$0`, `$1`, … given by place. One connection, one thread at a time.</summary>
internal sealed class Statement : IDisposable
{
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;
    private readonly int[] _places;

    /// <exception cref="SqliteException">It is no statement, or names what there is not.</exception>
    public Statement(SqliteConnection connection, string sql, int arguments)
    {
        _database = connection.Handle ?? throw new InvalidOperationException("the connection is closed");
        SqliteException.ThrowExceptionForRC(raw.sqlite3_prepare_v3(_database, sql, raw.SQLITE_PREPARE_PERSISTENT, out _statement), _database);
        _places = new int[arguments];
        for (int i = 0; i < arguments; i++)
        {
            _places[i] = raw.sqlite3_bind_parameter_index(_statement, $"${i}");
            if (_places[i] == 0) throw new ArgumentException($"the statement has no ${i}", nameof(arguments));
        }
    }

    /// <summary>Runs it to its end; how many rows it changed.</summary>
    public int Run(params ReadOnlySpan<object> arguments)
    {
        using Rows rows = Query(arguments);
        while (rows.Read())
        {
        }

        return raw.sqlite3_changes(_database);
    }

    /// <summary>Its rows. They must be disposed of before it runs again.</summary>
    public Rows Query(params ReadOnlySpan<object> arguments)
    {
        Bind(arguments);
        return new Rows(this);
    }

    /// <summary>The first column of the first row, a number; null if there is no row.</summary>
    public long? Number(params ReadOnlySpan<object> arguments)
    {
        using Rows rows = Query(arguments);
        if (!rows.Read()) return null;
        long number = rows.GetInt64(0);
        while (rows.Read())
        {
            // what it changes is done whatever of its rows is taken, but only at its end is it over
        }

        return number;
    }

    public void Dispose() => _statement.Dispose();

    private bool Step()
    {
        int code = raw.sqlite3_step(_statement);
        if (code == raw.SQLITE_ROW) return true;
        if (code != raw.SQLITE_DONE) SqliteException.ThrowExceptionForRC(code, _database);
        return false;
    }

    private void Bind(ReadOnlySpan<object> arguments)
    {
        if (arguments.Length != _places.Length) throw new ArgumentException($"{_places.Length} arguments are needed", nameof(arguments));
        for (int i = 0; i < arguments.Length; i++)
        {
            int code = arguments[i] switch
            {
                byte[] bytes => raw.sqlite3_bind_blob(_statement, _places[i], bytes),
                long number => raw.sqlite3_bind_int64(_statement, _places[i], number),
                int number => raw.sqlite3_bind_int64(_statement, _places[i], number),
                short number => raw.sqlite3_bind_int64(_statement, _places[i], number),
                string text => raw.sqlite3_bind_text(_statement, _places[i], text),
                _ => throw new ArgumentException($"SQLite has no {arguments[i].GetType().Name}", nameof(arguments)),
            };
            SqliteException.ThrowExceptionForRC(code, _database);
        }
    }

    /// <summary>The rows of a statement, one at a time.</summary>
    public readonly struct Rows(Statement statement) : IDisposable
    {
        /// <summary>Goes to the next row; false at the end.</summary>
        /// <exception cref="SqliteException">The database fails.</exception>
        public bool Read() => statement.Step();

        public bool IsNull(int column) => raw.sqlite3_column_type(statement._statement, column) == raw.SQLITE_NULL;

        public long GetInt64(int column) => raw.sqlite3_column_int64(statement._statement, column);

        public int GetInt32(int column) => checked((int)GetInt64(column));

        public short GetInt16(int column) => checked((short)GetInt64(column));

        public bool GetBoolean(int column) => GetInt64(column) != 0;

        public double GetDouble(int column) => raw.sqlite3_column_double(statement._statement, column);

        public byte[] GetBytes(int column) => raw.sqlite3_column_blob(statement._statement, column).ToArray();

        public Wire.MessageKey GetKey(int column) => Wire.MessageKey.Read(raw.sqlite3_column_blob(statement._statement, column));

        public void Dispose() => raw.sqlite3_reset(statement._statement);
    }
}
