using System.Text.Encodings.Web;
using System.Text.Json;
using Oxen.Router.Hosting;
using Spectre.Console;

namespace Oxen.Router.Daemon.Terminal;

/// <summary>
/// Where the program speaks: tables for a person at a terminal, plain `name: value` lines for a pipe or a file, one JSON
/// object with `--json`. Errors go to standard error in the same three-part form everywhere.
/// </summary>
internal sealed class Screen(TextWriter output, TextWriter error, bool interactive)
{
    // For people and programs, not for pages: a plus is a plus.
    private static readonly JsonWriterOptions Line = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }, Indented = Line with { Indented = true };

    public TextWriter Output { get; } = output;

    public TextWriter ErrorOutput { get; } = error;

    public bool Interactive { get; } = interactive;

    public static bool ShowsTraces => Environment.GetEnvironmentVariable("OXEN_DEBUG") == "1";

    public void Facts(string title, IEnumerable<(string Name, string Value)> facts)
    {
        if (!Interactive)
        {
            foreach ((string name, string value) in facts) Output.WriteLine($"{name}: {value}");
            return;
        }

        var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(title)).HideHeaders().AddColumn("").AddColumn("");
        foreach ((string name, string value) in facts) table.AddRow($"[grey]{Markup.Escape(name)}[/]", Markup.Escape(value));
        Console().Write(table);
    }

    public void Table(IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        if (!Interactive)
        {
            foreach (IReadOnlyList<string> row in rows) Output.WriteLine(string.Join("  ", columns.Zip(row, (column, cell) => $"{column}={cell}")));
            return;
        }

        var table = new Table().Border(TableBorder.Rounded);
        foreach (string column in columns) table.AddColumn(Markup.Escape(column));
        foreach (IReadOnlyList<string> row in rows) table.AddRow([.. row.Select(Markup.Escape)]);
        Console().Write(table);
    }

    public void Json(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Indented))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        Output.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.ToArray()));
    }

    /// <summary>One object on one line, for a stream of events.</summary>
    public void JsonLine(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Line))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        Output.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.ToArray()));
        Output.Flush();
    }

    public void Error(string code, string message, string remedy)
    {
        ErrorOutput.WriteLine($"oxen: error {code}: {message}");
        if (remedy.Length > 0) ErrorOutput.WriteLine($"  {remedy}");
    }

    public void Error(OxenException e)
    {
        Error(e.Code, e.Message, e.Remedy);
        if (ShowsTraces) ErrorOutput.WriteLine(e);
    }

    /// <summary>A Spectre console on our writer, for live views; only when <see cref="Interactive"/>.</summary>
    public IAnsiConsole Console() => AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Output) });
}
