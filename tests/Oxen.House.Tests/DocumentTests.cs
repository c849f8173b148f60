using System.Text;
using System.Text.RegularExpressions;

namespace Oxen.House.Tests;

public partial class DocumentTests
{
    private static readonly string[] Commands =
    [
        "dotnet run -c Release --project Oxen.Router/Daemon -- demo",
        "dotnet test Oxen.Router.sln",
    ];

    public static TheoryData<string> Documents => [.. Repository.Files.Where(f => f.EndsWith(".md", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_link_of_a_page_leads_somewhere(string page)
    {
        var broken = new List<string>();
        foreach (Match link in Link().Matches(WithoutCode(Repository.Read(page))))
        {
            string target = link.Groups[1].Value;
            if (target.Contains("://", StringComparison.Ordinal) || target.StartsWith("mailto:", StringComparison.Ordinal)) continue;
            string[] parts = target.Split('#', 2);
            string file = parts[0].Length == 0 ? page : Relative(page, parts[0]);
            if (!Repository.Exists(file)) broken.Add($"{target}: no such file");
            else if (parts.Length == 2 && !Anchors(file).Contains(parts[1])) broken.Add($"{target}: no such heading");
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void A_page_that_code_names_exists_with_the_heading()
    {
        var broken = new List<string>();
        foreach (string file in Repository.Sources)
        {
            foreach (Match named in Named().Matches(Repository.Read(file)))
            {
                string page = named.Groups[1].Value;
                if (!Repository.Exists(page)) broken.Add($"{file}: {page} is not there");
                else if (named.Groups[2].Success && !Anchors(page).Contains(named.Groups[2].Value)) broken.Add($"{file}: {named.Value} is no heading");
            }
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void A_source_file_that_a_page_names_exists()
    {
        var broken = new List<string>();
        foreach (string page in Documents.Select(d => d.Data))
        {
            foreach (Match named in Source().Matches(Repository.Read(page)))
            {
                if (!Repository.Exists(named.Groups[1].Value)) broken.Add($"{page}: {named.Groups[1].Value} is not there");
            }
        }

        Assert.Empty(broken);
    }

    [Fact]
    public void The_readme_shows_the_two_commands_and_CI_runs_the_second()
    {
        string readme = Repository.Read("README.md");
        Assert.All(Commands, c => Assert.Contains(c, readme, StringComparison.Ordinal));
        Assert.Contains(Commands[1], Repository.Read(".ci/run"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_CI_script_may_be_executed()
    {
        if (OperatingSystem.IsWindows()) return; // files have no mode there
        Assert.True(File.GetUnixFileMode(Path.Combine(Repository.Root, ".ci/run")).HasFlag(UnixFileMode.UserExecute));
    }

    [Fact]
    public void Decisions_are_numbered_once_each()
    {
        string[] names = [.. Repository.Files.Where(f => f.StartsWith("docs/decisions/", StringComparison.Ordinal)).Select(f => Path.GetFileName(f))];
        Assert.All(names, n => Assert.Matches(@"^(\d{4}-[a-z0-9-]+|README)\.md$", n));
        Assert.Equal(names.Length, names.Select(n => n[..4]).Distinct(StringComparer.Ordinal).Count());
    }

    private static string Relative(string page, string target)
        => Path.GetRelativePath(Repository.Root, Path.GetFullPath(Path.Combine(Repository.Root, Path.GetDirectoryName(page)!, target))).Replace('\\', '/');

    // Headings as the usual viewers make anchors of them: small letters, no punctuation, hyphens for spaces.
    private static HashSet<string> Anchors(string page)
    {
        var anchors = new HashSet<string>(StringComparer.Ordinal);
        foreach (Match heading in Heading().Matches(Fence().Replace(Repository.Read(page), "")))
        {
            var anchor = new StringBuilder();
            foreach (char c in heading.Groups[1].Value.Trim().ToLowerInvariant())
            {
                if (char.IsLetterOrDigit(c) || c is '-' or '_') anchor.Append(c);
                else if (c == ' ') anchor.Append('-');
            }

            anchors.Add(anchor.ToString());
        }

        return anchors;
    }

    private static string WithoutCode(string text) => InlineCode().Replace(Fence().Replace(text, ""), "");

    [GeneratedRegex(@"\[[^\]\n]*\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"\b(docs/[\w/-]+\.md)(?:#([\w-]+))?")]
    private static partial Regex Named();

    [GeneratedRegex(@"`((?:Oxen\.Router|Oxen\.Router\.Native|tests|bench)/[\w./-]+\.(?:cs|c|toml|csproj))`")]
    private static partial Regex Source();

    [GeneratedRegex(@"^#{1,6} (.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^```[\s\S]*?^```", RegexOptions.Multiline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"`[^`\n]*`")]
    private static partial Regex InlineCode();
}
