using Microsoft.Data.Sqlite;

namespace Oxen.Swarm.Storage;

/// <summary>A prepared statement with arguments `$0`, `$1`, … given by place. One connection, one thread at a time.</summary>
internal sealed class Statement : IDisposable
{
    private readonly SqliteCommand _command;

    public Statement(SqliteConnection connection, string sql, int arguments)
    {
        _command = connection.CreateCommand();
        _command.CommandText = sql;
        for (int i = 0; i < arguments; i++) _command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
    }

    public SqliteTransaction? Transaction
    {
        set => _command.Transaction = value;
    }

    public int Run(params ReadOnlySpan<object> arguments)
    {
        Bind(arguments);
        return _command.ExecuteNonQuery();
    }

    public SqliteDataReader Query(params ReadOnlySpan<object> arguments)
    {
        Bind(arguments);
        return _command.ExecuteReader();
    }

    /// <summary>The first column of the first row; null if there is no row.</summary>
    public object? Scalar(params ReadOnlySpan<object> arguments)
    {
        Bind(arguments);
        return _command.ExecuteScalar();
    }

    public void Dispose() => _command.Dispose();

    private void Bind(ReadOnlySpan<object> arguments)
    {
        for (int i = 0; i < arguments.Length; i++) _command.Parameters[i].Value = arguments[i];
    }
}
