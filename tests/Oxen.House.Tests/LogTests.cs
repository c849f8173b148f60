using System.Text.RegularExpressions;

namespace Oxen.House.Tests;

/// <summary>Log lines live in one file, so that one reader can judge what the router writes down about people.</summary>
public partial class LogTests
{
    private const string Log = "Oxen.Router/Hosting/RouterLog.cs";

    [Fact]
    public void Every_message_has_an_id_of_its_own()
    {
        string[] ids = [.. Message().Matches(Repository.Read(Log)).Select(m => m.Groups[1].Value)];
        Assert.NotEmpty(ids);
        Assert.Equal(ids.Length, ids.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void Messages_stand_in_RouterLog_alone()
        => Assert.Empty(Repository.ProductSources.Where(f => f != Log).SelectMany(f => Repository.Matches(f, Repository.Code(f), Elsewhere())));

    [Fact]
    public void Whoever_is_named_in_a_message_is_redacted()
    {
        MatchCollection methods = Parameters().Matches(Repository.Read(Log));
        Assert.NotEmpty(methods);
        foreach (Match method in methods)
        {
            foreach (string parameter in method.Groups[1].Value.Split(','))
            {
                string[] words = parameter.Trim().Split(' ');
                if (Person().IsMatch(words[^1])) Assert.StartsWith("Redacted<", words[^2], StringComparison.Ordinal);
            }
        }
    }

    [GeneratedRegex(@"\[LoggerMessage\((?:EventId\s*=\s*)?(\d+)")]
    private static partial Regex Message();

    [GeneratedRegex(@"\[LoggerMessage\b|\.Log(Trace|Debug|Information|Warning|Error|Critical)\(")]
    private static partial Regex Elsewhere();

    [GeneratedRegex(@"public static partial void \w+\(([^)]*)\)")]
    private static partial Regex Parameters();

    [GeneratedRegex("^(peer|router|client|destination|host|path|user|name|relay|link)$")]
    private static partial Regex Person();
}
