using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Oxen.House.Tests;

/// <summary>The checkout that this test was built from, as text: the house rules are rules about text.</summary>
internal static partial class Repository
{
    private static readonly string[] Generated = [".git", "artifacts", "bin", "obj", "TestResults", ".vs", ".idea"];
    private static readonly string[] TextEndings =
        [".cs", ".md", ".csproj", ".props", ".targets", ".sln", ".txt", ".json", ".toml", ".c", ".h", ".sh", ".py", ".yml", ".editorconfig", ".gitignore", "/run"];

    /// <summary>The projects that are shipped; the program lies within the library.</summary>
    public static readonly string[] ProductFolders = ["Oxen.Router.Native/", "Oxen.Router/", "Oxen.Router.AspNetCore/", "Oxen.Ons/", "Oxen.Swarm/"];

    public static string Root { get; } = FindRoot();

    /// <summary>Every text file, by its path from the root with forward slashes.</summary>
    public static IReadOnlyList<string> Files { get; } = [.. Walk(Root).Order(StringComparer.Ordinal)];

    public static IEnumerable<string> Sources => Files.Where(f => f.EndsWith(".cs", StringComparison.Ordinal));

    public static IEnumerable<string> ProductSources => Sources.Where(f => ProductFolders.Any(p => f.StartsWith(p, StringComparison.Ordinal)));

    public static IEnumerable<string> Projects => Files.Where(f => f.EndsWith(".csproj", StringComparison.Ordinal));

    public static string Read(string file) => File.ReadAllText(Path.Combine(Root, file));

    public static bool Exists(string file) => File.Exists(Path.Combine(Root, file)) || Directory.Exists(Path.Combine(Root, file));

    public static XDocument Project(string file) => XDocument.Load(Path.Combine(Root, file));

    /// <summary>A source without its comments and the contents of its strings; lines keep their numbers.</summary>
    public static string Code(string file) => NotCode().Replace(Read(file), m => new string('\n', m.Value.Count(c => c == '\n')));

    /// <summary>Lines of a file that match, as "file:line text".</summary>
    public static IEnumerable<string> Matches(string file, string text, Regex pattern)
    {
        string[] lines = text.Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            if (pattern.IsMatch(lines[i])) yield return $"{file}:{i + 1} {lines[i].Trim()}";
        }
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Oxen.Router.sln"))) return at.FullName;
        }

        throw new DirectoryNotFoundException("Oxen.Router.sln stands nowhere above the test program");
    }

    private static IEnumerable<string> Walk(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder))
        {
            string name = Path.GetRelativePath(Root, file).Replace('\\', '/');
            if (TextEndings.Any(e => name.EndsWith(e, StringComparison.Ordinal))) yield return name;
        }

        foreach (string inner in Directory.EnumerateDirectories(folder))
        {
            if (Generated.Contains(Path.GetFileName(inner))) continue;
            foreach (string file in Walk(inner)) yield return file;
        }
    }

    // Raw strings, verbatim strings, strings, characters, comments of both kinds.
    [GeneratedRegex(""""
        \$*"""[\s\S]*?"""|@\$?"(?:""|[^"])*"|\$?"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|//[^\n]*|/\*[\s\S]*?\*/
        """")]
    private static partial Regex NotCode();
}
