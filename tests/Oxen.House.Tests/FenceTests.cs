using System.Reflection;
using System.Xml.Linq;

namespace Oxen.House.Tests;

/// <summary>The fence around Core: it stands, nobody climbs over it, and each of its pales names something real.</summary>
public class FenceTests
{
    // Where the platform keeps what BannedSymbols.txt names.
    private static readonly string[] Assemblies =
    [
        "System.Private.CoreLib", "System.Runtime", "System.Console", "System.Security.Cryptography", "System.Net.Sockets",
        "System.IO.Pipelines", "Microsoft.Extensions.Logging.Abstractions",
    ];

    [Fact]
    public void The_analyzer_reads_the_list_and_Core_makes_it_an_error()
    {
        XDocument project = Repository.Project("Oxen.Router/Oxen.Router.csproj");
        Assert.Contains(project.Descendants("PackageReference"), e => (string?)e.Attribute("Include") == "Microsoft.CodeAnalysis.BannedApiAnalyzers");
        Assert.Contains(project.Descendants("AdditionalFiles"), e => (string?)e.Attribute("Include") == "../BannedSymbols.txt");
        Assert.Contains("dotnet_diagnostic.RS0030.severity = error", Repository.Read("Oxen.Router/Core/.editorconfig"), StringComparison.Ordinal);
    }

    [Fact]
    public void No_file_of_Core_switches_the_fence_off()
    {
        Assert.DoesNotContain(
            Repository.Sources.Where(f => f.StartsWith("Oxen.Router/Core/", StringComparison.Ordinal)),
            f => Repository.Read(f).Contains("RS0030", StringComparison.Ordinal));
        string[] settings = [.. Repository.Files.Where(f => f.StartsWith("Oxen.Router/Core/", StringComparison.Ordinal) && f.EndsWith(".editorconfig", StringComparison.Ordinal))];
        Assert.Equal(["Oxen.Router/Core/.editorconfig"], settings);
    }

    [Fact]
    public void Every_banned_symbol_exists_and_says_what_to_do_instead()
    {
        Assembly[] platform = [.. Assemblies.Select(Assembly.Load)];
        string[] lines = [.. Repository.Read("BannedSymbols.txt").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
        Assert.NotEmpty(lines);
        foreach (string line in lines)
        {
            string[] parts = line.Split(';', 2);
            Assert.True(parts.Length == 2 && parts[1].Trim().Length > 10, $"'{line}' gives no advice");
            Assert.True(Exists(platform, parts[0][0], parts[0][2..]), $"'{parts[0]}' names nothing: it bans nothing");
        }
    }

    [Theory]
    [InlineData("T:System.DateTime")]
    [InlineData("T:System.Diagnostics.Stopwatch")]
    [InlineData("T:System.Random")]
    [InlineData("T:System.Security.Cryptography.RandomNumberGenerator")]
    [InlineData("N:System.Net.Sockets")]
    [InlineData("N:System.Threading.Tasks")]
    [InlineData("T:System.Threading.Thread")]
    [InlineData("T:System.Threading.Timer")]
    [InlineData("N:Microsoft.Extensions.Logging")]
    public void Clock_dice_socket_task_thread_and_log_are_banned(string symbol)
        => Assert.Contains(Repository.Read("BannedSymbols.txt").Split('\n'), l => l.StartsWith(symbol + ";", StringComparison.Ordinal));

    private static bool Exists(Assembly[] platform, char kind, string name)
    {
        if (kind == 'T') return platform.Any(a => a.GetType(name) is not null);
        if (kind == 'N') return platform.Any(a => a.GetExportedTypes().Any(t => t.Namespace == name));
        int dot = name.LastIndexOf('.');
        Type? type = platform.Select(a => a.GetType(name[..dot])).FirstOrDefault(t => t is not null);
        string member = name[(dot + 1)..].Split('(')[0];
        return kind switch
        {
            'P' => type?.GetProperty(member) is not null,
            'M' => type?.GetMethods().Any(m => m.Name == member) == true,
            _ => false,
        };
    }
}
