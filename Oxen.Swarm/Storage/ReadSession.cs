using Microsoft.Data.Sqlite;

namespace Oxen.Swarm.Storage;

/// <summary>A reading connection and its prepared statements. One thread at a time.</summary>
internal sealed class ReadSession : IDisposable
{
    private readonly Dictionary<string, Statement> _statements = [];
    private readonly SqliteConnection _connection;

    public ReadSession(SqliteConnection connection) => _connection = connection;

    /// <summary>Runs a statement, prepared at its first use; the texts are constants of the callers.</summary>
    public Statement.Rows Query(string sql, params ReadOnlySpan<object> arguments)
    {
        if (!_statements.TryGetValue(sql, out Statement? statement)) _statements[sql] = statement = new Statement(_connection, sql, arguments.Length);
        return statement.Query(arguments);
    }

    public void Dispose()
    {
        foreach (Statement statement in _statements.Values) statement.Dispose();
        _connection.Dispose();
    }
}
