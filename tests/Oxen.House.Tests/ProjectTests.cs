using System.Reflection;
using System.Xml.Linq;

namespace Oxen.House.Tests;

public class ProjectTests
{
    [Theory]
    [InlineData("Oxen.Router.Native/Oxen.Router.Native.csproj", "")]
    [InlineData("Oxen.Router/Oxen.Router.csproj", "Oxen.Router.Native")]
    [InlineData("Oxen.Ons/Oxen.Ons.csproj", "Oxen.Router")]
    [InlineData("Oxen.Swarm/Oxen.Swarm.csproj", "Oxen.Router")]
    [InlineData("Oxen.Router.AspNetCore/Oxen.Router.AspNetCore.csproj", "Oxen.Router")]
    [InlineData("Oxen.Router/Daemon/Oxen.Router.Daemon.csproj", "Oxen.Ons Oxen.Router Oxen.Router.AspNetCore Oxen.Swarm")]
    [InlineData("tests/Oxen.Testing/Oxen.Testing.csproj", "Oxen.Router")]
    public void A_project_refers_only_to_the_layer_below(string project, string expected)
        => Assert.Equal(expected, string.Join(' ', References(project)));

    [Fact]
    public void Nothing_that_is_shipped_refers_to_tests_or_benches()
    {
        foreach (string project in Repository.Projects.Where(p => Repository.ProductFolders.Any(f => p.StartsWith(f, StringComparison.Ordinal))))
            Assert.All(References(project), r => Assert.Contains(r, new[] { "Oxen.Router.Native", "Oxen.Router", "Oxen.Router.AspNetCore", "Oxen.Ons", "Oxen.Swarm" }));
    }

    [Fact]
    public void The_router_library_knows_the_connection_seam_but_no_web_server_and_no_command_line()
    {
        string[] known = [.. Assembly.Load("Oxen.Router").GetReferencedAssemblies().Select(a => a.Name!)];
        Assert.Contains("Oxen.Router.Native", known);
        Assert.All(
            known.Where(n => n.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal)),
            n => Assert.Contains(n, new[] { "Microsoft.AspNetCore.Connections.Abstractions", "Microsoft.AspNetCore.Http.Features" }));
        Assert.DoesNotContain(known, n => n.StartsWith("Microsoft.Extensions.Hosting", StringComparison.Ordinal));
        Assert.DoesNotContain(known, n => n is "System.CommandLine" or "Tomlyn" or "Spectre.Console");
        Assert.DoesNotContain(Elements("Oxen.Router/Oxen.Router.csproj", "FrameworkReference"), _ => true);
    }

    [Fact]
    public void Unsafe_blocks_are_allowed_in_the_native_project_alone()
    {
        foreach (string project in Repository.Projects)
        {
            bool allows = Elements(project, "AllowUnsafeBlocks").Any(e => e.Value == "true");
            Assert.Equal(project == "Oxen.Router.Native/Oxen.Router.Native.csproj", allows);
        }

        Assert.Contains("<AllowUnsafeBlocks>false</AllowUnsafeBlocks>", Repository.Read("Directory.Build.props"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_solution_lists_every_project_once_and_no_other()
    {
        string[] listed = [.. Repository.Read("Oxen.Router.sln").Split('\n')
            .Where(l => l.StartsWith("Project(", StringComparison.Ordinal))
            .Select(l => l.Split('"')[5].Replace('\\', '/'))
            .Order(StringComparer.Ordinal)];
        Assert.Equal(Repository.Projects, listed);
    }

    [Fact]
    public void Every_project_has_a_lock_file_and_takes_versions_from_the_central_list()
    {
        foreach (string project in Repository.Projects)
        {
            Assert.True(Repository.Exists($"{Path.GetDirectoryName(project)}/packages.lock.json"), $"{project} has no packages.lock.json");
            Assert.All(Elements(project, "PackageReference"), e => Assert.Null(e.Attribute("Version")));
        }
    }

    [Fact]
    public void Warnings_are_errors_and_nullable_is_on_everywhere()
    {
        string props = Repository.Read("Directory.Build.props");
        foreach (string line in new[] { "<TreatWarningsAsErrors>true<", "<Nullable>enable<", "<EnforceCodeStyleInBuild>true<", "<RestorePackagesWithLockFile>true<" })
            Assert.Contains(line, props, StringComparison.Ordinal);
        foreach (string project in Repository.Projects)
        {
            foreach (string name in new[] { "TreatWarningsAsErrors", "Nullable", "EnforceCodeStyleInBuild" })
                Assert.True(!Elements(project, name).Any(), $"{project} sets {name} for itself");
            Assert.All(Elements(project, "NoWarn"), e => Assert.True(e.PreviousNode is XComment || e.NextNode is XComment, $"{project}: NoWarn without a comment that says why"));
        }
    }

    [Theory]
    [InlineData("Oxen.Router")]
    [InlineData("Oxen.Router.AspNetCore")]
    [InlineData("Oxen.Ons")]
    [InlineData("Oxen.Swarm")]
    public void The_public_surface_is_written_down_and_checked_by_the_compiler(string library)
    {
        string project = $"{library}/{library}.csproj";
        Assert.Contains(Elements(project, "PackageReference"), e => (string?)e.Attribute("Include") == "Microsoft.CodeAnalysis.PublicApiAnalyzers");
        foreach (string list in new[] { "PublicAPI.Shipped.txt", "PublicAPI.Unshipped.txt" })
        {
            Assert.Contains(Elements(project, "AdditionalFiles"), e => (string?)e.Attribute("Include") == list);
            Assert.StartsWith("#nullable enable", Repository.Read($"{library}/{list}").TrimStart('\uFEFF'), StringComparison.Ordinal);
        }

        string listed = Repository.Read($"{library}/PublicAPI.Shipped.txt") + Repository.Read($"{library}/PublicAPI.Unshipped.txt");
        Type[] exported = Assembly.Load(library).GetExportedTypes();
        Assert.NotEmpty(exported);
        Assert.All(exported, t => Assert.Contains(t.FullName!.Split('`')[0].Replace('+', '.'), listed, StringComparison.Ordinal));
    }

    [Fact]
    public void The_native_project_has_no_public_surface() => Assert.Empty(Assembly.Load("Oxen.Router.Native").GetExportedTypes());

    [Theory]
    [InlineData("Oxen.Ons", "Oxen.Swarm")]
    [InlineData("Oxen.Swarm", "Oxen.Ons")]
    public void A_plug_in_knows_neither_its_sibling_nor_what_is_not_public(string plugin, string sibling)
    {
        string[] known = [.. Assembly.Load(plugin).GetReferencedAssemblies().Select(a => a.Name!)];
        Assert.NotEmpty(known);
        foreach (string hidden in new[] { sibling, "Oxen.Router.Native", "oxen" }) Assert.DoesNotContain(hidden, known);
        foreach (string library in new[] { "Oxen.Router/Oxen.Router.csproj", "Oxen.Router.Native/Oxen.Router.Native.csproj" })
            Assert.DoesNotContain(Elements(library, "InternalsVisibleTo"), e => (string?)e.Attribute("Include") == plugin);
    }

    private static IEnumerable<XElement> Elements(string project, string name) => Repository.Project(project).Descendants(name);

    private static IEnumerable<string> References(string project) =>
        Elements(project, "ProjectReference").Select(e => Path.GetFileNameWithoutExtension(e.Attribute("Include")!.Value.Replace('\\', '/'))).Order(StringComparer.Ordinal);
}
