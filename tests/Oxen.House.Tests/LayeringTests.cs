using System.Text.RegularExpressions;

namespace Oxen.House.Tests;

// Who may know whom inside Oxen.Router:
//
//   Daemon  ->  Transport  ->  Hosting, Mapped  ->  Dns  ->  Client, Exit, Handlers, Udp, Tun  ->  Core  ->  Oxen.Router.Native
//
// Core knows nobody above it. Doors (Client), Exit and Handlers see values of Core, not its machines.
public partial class LayeringTests
{
    // Folder of Oxen.Router, and the namespaces it may speak of ("" is Oxen.Router itself).
    // A trailing dot means the namespace and everything in it.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Core/Wire"] = ["Core"],
        ["Core/Packets"] = ["Core", "Native"],
        ["Core/Carrier/Kernels"] = ["Core", "Native."],
        ["Core/Onion"] = ["Core", "Core.Onion.", "Core.Carrier.Kernels", "Native."],
        ["Core/Quic"] = ["Core", "Core.Quic.", "Core.Carrier.Kernels", "Core.Packets", "Native."],
        ["Core"] = ["Core.", "Native."],
        ["Udp"] = ["Core", "Core.Packets", "Core.Relay", "Native.", "Tun"],
        ["Tun"] = ["Core", "Core.Packets", "Native."],
        ["Handlers"] = ["Core", "Core.Hidden", "Core.Wire"],
        ["Client"] = ["Core", "Core.Hidden", "Core.Wire", "Core.Packets", "Handlers"],
        ["Dns"] = ["Core", "Core.Wire", "Client", "Handlers"],
        ["Mapped"] = ["Core", "Core.Hidden", "Core.Packets", "Core.Tunnel", "Client", "Dns", "Exit", "Tun", "Native.Linux"],
        ["Exit"] = ["Core", "Core.Wire", "Core.Packets", "Core.Tunnel", "Client", "Handlers"],
        ["Hosting"] = ["Core.", "Native.", "Udp", "Tun", "Handlers", "Client", "Exit", "Dns"],
        ["Transport"] = ["Core.", "Udp", "Client", "Handlers", "Hosting"],
        ["Daemon"] = ["", "Core.", "Native.", "Udp", "Tun", "Handlers", "Client", "Exit", "Dns", "Mapped", "Hosting", "Transport", "Daemon."],
    };

    public static TheoryData<string> Folders => [.. Allowed.Keys];

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_layer_speaks_only_of_the_layers_below_it(string folder)
    {
        string[] files = [.. FilesOf(folder)];
        Assert.True(files.Length > 0, $"no file belongs to {folder}: the table above is out of date");
        var wrong = new List<string>();
        foreach (string file in files)
        {
            string own = NamespaceOf(file);
            foreach (Match spoken in Spoken().Matches(Repository.Code(file)))
            {
                string name = spoken.Groups[1].Value;
                string full = "Oxen.Router." + name;
                if (full == own || own.StartsWith(full + ".", StringComparison.Ordinal) || IsAllowed(folder, name)) continue;
                wrong.Add($"{file} speaks of {full}");
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_folder_of_the_library_has_its_line_in_the_table()
        => Assert.DoesNotContain(
            Repository.Sources.Where(f => f.StartsWith("Oxen.Router/", StringComparison.Ordinal) && f.Count(c => c == '/') > 1),
            f => Owner(f) is null);

    [Fact]
    public void A_namespace_is_its_folder()
    {
        var wrong = new List<string>();
        foreach (string file in Repository.Sources)
        {
            string? found = NamespaceLine().Match(Repository.Code(file)) is { Success: true } m ? m.Groups[1].Value : null;
            if (found is not null && found != NamespaceOf(file)) wrong.Add($"{file} says {found}, its folder says {NamespaceOf(file)}");
        }

        Assert.Empty(wrong);
    }

    private static string? Owner(string file) =>
        Allowed.Keys.Where(k => file.StartsWith($"Oxen.Router/{k}/", StringComparison.Ordinal)).MaxBy(k => k.Length);

    private static IEnumerable<string> FilesOf(string folder) => Repository.Sources.Where(f => Owner(f) == folder);

    private static bool IsAllowed(string folder, string name) => Allowed[folder].Any(
        a => a.EndsWith('.') ? name == a[..^1] || name.StartsWith(a, StringComparison.Ordinal) || name.StartsWith(a[..^1] + ".", StringComparison.Ordinal) : name == a);

    // tests/Oxen.Router.Tests/Core/Carrier/X.cs -> Oxen.Router.Tests.Core.Carrier
    private static string NamespaceOf(string file)
    {
        string folder = Path.GetDirectoryName(file)!.Replace('\\', '/');
        foreach (string outer in new[] { "tests/", "bench/" })
        {
            if (folder.StartsWith(outer, StringComparison.Ordinal)) folder = folder[outer.Length..];
        }

        return folder.Replace('/', '.');
    }

    // A using, or a name in full. Only namespaces count: types begin a part that is no folder, which the pattern leaves out.
    [GeneratedRegex(@"\bOxen\.Router\.((?:Core|Native|Udp|Tun|Handlers|Client|Exit|Dns|Mapped|Hosting|Daemon|Transport)(?:\.(?:Carrier|Directory|Frames|Hidden|Kernels|Linux|Links|Onion|Packets|Paths|Protection|Quic|Recovery|Relay|Sessions|Sodium|Streams|Tls|Wire)\b)*)")]
    private static partial Regex Spoken();

    [GeneratedRegex(@"^namespace\s+([\w.]+)\s*;", RegexOptions.Multiline)]
    private static partial Regex NamespaceLine();
}
