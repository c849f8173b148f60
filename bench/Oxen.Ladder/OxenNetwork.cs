using System.Diagnostics;
using System.Globalization;

namespace Oxen.Ladder;

/// <summary>
/// `oxen run`, five times: a client with a tunnel in namespace A, three relays and an exit in B, which forwards to a third namespace: an exit
/// lets nobody in to itself.
/// </summary>
internal sealed class OxenNetwork : ITunnelUnderTest
{
    private const string Exit = "exit";
    private static readonly string[] Relays = ["r1", "r2", "r3", Exit];

    private OxenNetwork(string serverSpace) => ServerSpace = serverSpace;

    public string Name => "oxen run, 4 hops";

    public string Address4 => "10.25.0.2";

    public string Address6 => "2001:db8:25::2";

    public string? ServerSpace { get; }

    public IReadOnlyDictionary<string, long> Read() => new Dictionary<string, long>();

    /// <summary>The program, built beside this one; null with the reason on standard error.</summary>
    public static string? Find()
    {
        string program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "..", "..", "Oxen.Router.Daemon", "release", "oxen"));
        if (File.Exists(program)) return program;
        Console.Error.WriteLine($"{program} does not exist: dotnet build -c Release Oxen.Router/Daemon");
        return null;
    }

    /// <param name="directory">For keys and configurations; the caller deletes it.</param>
    public static OxenNetwork Start(TunLab lab, string program, string directory)
    {
        var made = new OxenNetwork(lab.AddBehind());
        string key = TunLab.Output(program, "keygen", "--role", "list", "--out", Path.Combine(directory, "list"));
        key = key.Split('\n').First(l => l.StartsWith("list key: ", StringComparison.Ordinal))["list key: ".Length..].Trim();
        string contacts = Path.Combine(directory, "contacts.list");
        string common = $"""
            network = "bench"
            contacts = "{contacts}"
            contacts_key = "{key}"
            """;
        const string Log = """

            [log]
            level = "error"
            """;
        List<string> files = [];
        for (int i = 0; i < Relays.Length; i++)
        {
            // No two hops of one /16.
            string own = Path.Combine(directory, Relays[i]), address = string.Create(CultureInfo.InvariantCulture, $"10.{21 + i}.0.1");
            TunLab.Do("ip", "-n", lab.B, "addr", "add", $"{address}/32", "dev", "lo");
            TunLab.Do("ip", "-n", lab.A, "route", "add", $"{address}/32", "via", "10.97.0.2");
            TunLab.Do(program, "keygen", "--role", "relay", "--out", own);
            bool exit = Relays[i] == Exit;
            File.WriteAllText(Path.Combine(own, "oxen.toml"), $"""
                [router]
                roles = [{(exit ? "\"relay\", \"exit\"" : "\"relay\"")}]
                listen = "{address}:9000"
                identity = "identity.key"
                {common}
                [relay]
                operator = "{Relays[i]}"
                {(exit ? $"[exit]\ntunnel = true\npool = [\"10.94.0.0/16\", \"fd94::/64\"]\nexcept = [\"allow {made.Address4}/32:*\", \"allow [{made.Address6}/128]:*\"]\n" : "")}{Log}
                """);
            string contact = Path.Combine(own, "router.contact");
            TunLab.Do(program, "contact", "--config", Path.Combine(own, "oxen.toml"), "--out", contact);
            files.Add(contact);
        }

        TunLab.Do(program, ["contacts", "sign", "--key", Path.Combine(directory, "list", "list.key"), "--network", "bench", "--out", contacts, .. files]);
        string client = Path.Combine(directory, "client");
        Directory.CreateDirectory(client);
        File.WriteAllText(Path.Combine(client, "oxen.toml"), $"""
            [router]
            roles = ["client"]
            {common}
            [client]
            socks = "off"
            http = "off"
            spares = 0
            [tun]
            {Log}
            """);
        foreach (string name in Relays.Append("client"))
        {
            Process process = lab.StartEnd(name == "client" ? lab.A : lab.B, program, "run", "--config", Path.Combine(directory, name, "oxen.toml"));
            while (process.StandardOutput.ReadLine() is { } line && line != "ready")
            {
            }

            _ = process.StandardOutput.ReadToEndAsync();
        }

        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60); Thread.Sleep(200))
        {
            if (TunLab.Output("ip", "netns", "exec", lab.A, "ping", "-c", "1", "-W", "1", made.Address4).Contains(" 1 received", StringComparison.Ordinal)) return made;
        }

        throw new IOException("no packet passes through the tunnel of `oxen run`");
    }
}
