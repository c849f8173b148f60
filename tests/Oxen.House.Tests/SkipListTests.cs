using System.Text.RegularExpressions;

namespace Oxen.House.Tests;

/// <summary>tests/allowed-skips.txt: a skipped test fails the build unless its name stands there with a reason.</summary>
public partial class SkipListTests
{
    private static IEnumerable<string> Lines =>
        Repository.Read("tests/allowed-skips.txt").Split('\n').Select(l => l.Trim()).Where(l => l.Length > 0 && l[0] != '#');

    [Fact]
    public void Every_line_is_a_full_name_and_a_reason()
        => Assert.All(Lines, l => Assert.Matches(@"^[\w.+]+\s+# \S.{8,}$", l));

    [Fact]
    public void Every_name_is_a_test_that_exists()
    {
        foreach (string name in Lines.Select(l => l.Split('#')[0].Trim()))
        {
            Match parts = FullName().Match(name);
            Assert.True(parts.Success, $"{name} is no full name");
            string[] files = [.. Repository.Sources.Where(f =>
                Repository.Code(f) is var code
                && code.Contains($"namespace {parts.Groups[1].Value};", StringComparison.Ordinal)
                && Regex.IsMatch(code, $@"\bclass {parts.Groups[2].Value}\b"))];
            Assert.True(files.Any(f => Regex.IsMatch(Repository.Code(f), $@"\b{parts.Groups[3].Value}\(")) || IsInherited(files, parts.Groups[3].Value), $"there is no test {name}");
        }
    }

    // A contract's test has its text in the base class.
    private static bool IsInherited(string[] files, string method) => files.Length > 0 && Repository.Sources
        .Where(f => f.StartsWith("tests/", StringComparison.Ordinal))
        .Select(Repository.Code)
        .Any(code => Regex.IsMatch(code, $@"\babstract class \w+[\s\S]*\b{method}\("));

    [GeneratedRegex(@"^([\w.]+)\.(\w+)\.(\w+)$")]
    private static partial Regex FullName();
}
