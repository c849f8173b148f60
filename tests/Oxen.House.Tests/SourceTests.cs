using System.Text.RegularExpressions;

namespace Oxen.House.Tests;

public partial class SourceTests
{
    private const int MaxSourceBytes = 40 * 1024;

    [Fact]
    public void Unsafe_code_and_imports_stand_in_the_native_project_alone()
        => Assert.Empty(Repository.Sources
            .Where(f => !f.StartsWith("Oxen.Router.Native/", StringComparison.Ordinal))
            .SelectMany(f => Repository.Matches(f, Repository.Code(f), Sharp())));

    [Fact]
    public void A_source_file_is_smaller_than_40_kB()
        => Assert.Empty(Repository.Sources
            .Select(f => (File: f, new FileInfo(Path.Combine(Repository.Root, f)).Length))
            .Where(f => f.Length > MaxSourceBytes)
            .Select(f => $"{f.File}: {f.Length} bytes; cut it along its verbs"));

    [Fact]
    public void Nothing_is_left_for_later()
        => Assert.Empty(Repository.Files.SelectMany(f => Repository.Matches(f, Repository.Read(f), Later())));

    [Fact]
    public void No_file_names_a_path_of_somebodys_machine()
        => Assert.Empty(Repository.Files.SelectMany(f => Repository.Matches(f, Repository.Read(f), MachinePath())));

    [Fact]
    public void A_suppression_carries_its_reason_on_the_same_line()
    {
        string[] bare = [.. Repository.Sources
            .SelectMany(f => Repository.Matches(f, Repository.Read(f), Suppression()))
            .Where(l => !l.Contains("//", StringComparison.Ordinal) && !l.Contains("Justification", StringComparison.Ordinal))];
        Assert.Empty(bare);
    }

    [Fact]
    public void Text_ends_its_last_line_and_uses_line_feeds()
        => Assert.DoesNotContain(
            Repository.Files.Where(f => !f.EndsWith(".sln", StringComparison.Ordinal) && !f.EndsWith("packages.lock.json", StringComparison.Ordinal)), // written by tools
            f => Repository.Read(f) is { Length: > 0 } text && (text.Contains('\r', StringComparison.Ordinal) || text[^1] != '\n'));

    [GeneratedRegex(@"\bunsafe\b|\bDllImport\b|\bLibraryImport\b|\bfixed\s*\(")]
    private static partial Regex Sharp();

    // Written so that this file does not find itself.
    [GeneratedRegex(@"\b(TO[D]O|FIX[M]E|HA[C]K)\b|NotImplemented[E]xception")]
    private static partial Regex Later();

    [GeneratedRegex(@"(?<![\w.])/(hom[e]|wor[k]|roo[t]|User[s])/\w|\b[A-Z]:\\+User[s]")]
    private static partial Regex MachinePath();

    [GeneratedRegex(@"#pragma warning disabl[e]|\[\w*:?\s*SuppressMessag[e]")]
    private static partial Regex Suppression();
}
