using System.Net;
using System.Text.Json;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Commands;

public sealed class CommandTreeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
    private DemoOptions? _demo;
    private RunOptions? _run;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<(int Code, string Out, string Error)> OxenAsync(params string[] arguments)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        var bodies = new CommandBodies
        {
            Demo = (options, _, _) => { _demo = options; return Task.FromResult(0); },
            Run = (options, _, _) => { _run = options; return options.ConfigFile.Contains("busy", StringComparison.Ordinal) ? throw UserException.PortBusy("SOCKS5 proxy", "127.0.0.1:1080") : Task.FromResult(0); },
        };
        int code = await new CommandTree(new Screen(output, error, interactive: false), bodies).RunAsync(arguments, CancellationToken.None);
        return (code, output.ToString(), error.ToString());
    }

    [Fact]
    public async Task Help_names_the_verbs_and_no_arguments_mean_help()
    {
        (int code, string text, _) = await OxenAsync("--help");
        Assert.Equal(0, code);
        foreach (string verb in new[] { "demo", "run", "keygen", "contact", "contacts", "status", "config", "version" }) Assert.Contains(verb, text, StringComparison.Ordinal);
        Assert.Equal(text, (await OxenAsync()).Out);
    }

    [Fact]
    public async Task A_verb_without_a_body_is_not_offered()
    {
        var output = new StringWriter();
        await new CommandTree(new Screen(output, output, false), new CommandBodies()).RunAsync(["--help"], CancellationToken.None);
        Assert.DoesNotContain("demo", output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_is_plain_or_json()
    {
        Assert.StartsWith("oxen: 0.1", (await OxenAsync("version")).Out, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse((await OxenAsync("version", "--json")).Out);
        Assert.StartsWith("0.1", json.RootElement.GetProperty("version").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Misuse_exits_2_with_a_code_and_a_hint()
    {
        (int code, string text, string error) = await OxenAsync("keygne");
        Assert.Equal(2, code);
        Assert.Empty(text);
        Assert.Contains("error OXN2001: ", error, StringComparison.Ordinal);
        Assert.Contains("Did you mean `keygen`?", error, StringComparison.Ordinal);
        (code, _, error) = await OxenAsync("keygen");
        Assert.Equal(2, code);
        Assert.Contains("--out", error, StringComparison.Ordinal);
        Assert.Contains("`oxen keygen --help`", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("trace hello.loki --socket", "--socket")]
    [InlineData("ping hello.loki --config", "--config")]
    [InlineData("status", "--config FILE or by --socket FILE")]
    public async Task A_running_process_is_named_whole(string line, string words)
    {
        (int code, _, string error) = await OxenAsync(line.Split(' '));
        Assert.Equal(2, code);
        Assert.Contains("error OXN2001: ", error, StringComparison.Ordinal);
        Assert.Contains(words, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Demo_options_arrive_typed()
    {
        Assert.Equal((0, "", ""), await OxenAsync("demo", "--relays", "12", "--hops", "5", "--socks", "[::1]:0", "--http", "127.0.0.1:9000", "--seconds", "2.5", "--seed", "18446744073709551615", "--endpoints", "e.json", "--processes", "--check", "--json", "--spares", "0"));
        Assert.Equal(new DemoOptions { Relays = 12, Hops = 5, Socks = new IPEndPoint(IPAddress.IPv6Loopback, 0), Http = new IPEndPoint(IPAddress.Loopback, 9000), Duration = TimeSpan.FromSeconds(2.5), Seed = ulong.MaxValue, EndpointsFile = "e.json", Processes = true, Check = true, Json = true, Spares = 0 }, _demo);
        Assert.Equal(0, (await OxenAsync("demo", "--tun", "--netns", "lab-2")).Code);
        Assert.Equal(new DemoOptions { Tun = true, Netns = "lab-2" }, _demo);
        Assert.Equal(0, (await OxenAsync("demo")).Code);
        Assert.Equal(new DemoOptions(), _demo);
    }

    [Theory]
    [InlineData("--relays 2", "from 3 to 64, found 2")]
    [InlineData("--hops 9", "from 2 to 8, found 9")]
    [InlineData("--relays 3 --hops 5", "needs at least 4 relays")]
    [InlineData("--socks localhost", "ADDR:PORT")]
    [InlineData("--socks 127.0.0.1:1 --http 127.0.0.1:1", "same address")]
    [InlineData("--seconds 0", "above 0")]
    [InlineData("--seed -1", "-1")]
    [InlineData("--relay 4", "--relay")]
    [InlineData("--tun --netns ../x", "small letters")]
    [InlineData("--tun --seed 1", "--seed")]
    [InlineData("--tun --socks 127.0.0.1:0", "name the proxies' ports")]
    public async Task A_wrong_demo_option_is_refused_in_words(string options, string words)
    {
        (int code, _, string error) = await OxenAsync(["demo", .. options.Split(' ')]);
        Assert.Equal(2, code);
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.Null(_demo);
    }

    [Fact]
    public async Task Keygen_writes_a_closed_file_and_never_overwrites()
    {
        string to = Path.Combine(_directory, "new");
        (int code, string text, _) = await OxenAsync("keygen", "--out", to, "--json");
        Assert.Equal(0, code);
        using JsonDocument json = JsonDocument.Parse(text);
        string file = json.RootElement.GetProperty("file").GetString()!;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(to));
        using Core.Directory.RouterIdentity identity = Daemon.Keys.IdentityFile.Load(file, out string role);
        Assert.Equal("relay", role);
        Assert.Equal(json.RootElement.GetProperty("router_id").GetString(), identity.Id.ToString());
        byte[] before = File.ReadAllBytes(file);
        (code, _, string error) = await OxenAsync("keygen", "--out", to);
        Assert.Equal(4, code);
        Assert.StartsWith("oxen: error OXN4006: ", error, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(file));
    }

    [Fact]
    public async Task Config_check_tells_errors_as_text_and_as_json()
    {
        string file = Path.Combine(_directory, "oxen.toml");
        await File.WriteAllTextAsync(file, "[router]\nrole = 1\n");
        (int code, string text, string error) = await OxenAsync("config", "check", file);
        Assert.Equal(2, code);
        Assert.Empty(text);
        Assert.Contains($"{file}:2:1: error OXN1003: unknown key `role` in [router]\n  Did you mean `roles`?", error, StringComparison.Ordinal);
        (code, text, _) = await OxenAsync("config", "check", file, "--json");
        using JsonDocument json = JsonDocument.Parse(text);
        Assert.Equal(2, code);
        Assert.False(json.RootElement.GetProperty("ok").GetBoolean());
        Assert.True(json.RootElement.GetProperty("diagnostics").GetArrayLength() >= 4);
        Assert.Contains("OXN1008", (await OxenAsync("config", "check", Path.Combine(_directory, "missing.toml"))).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_reads_its_file_and_a_busy_port_exits_3_with_a_remedy_and_no_trace()
    {
        string good = Path.Combine(_directory, "busy.toml");
        File.Copy(Path.Combine(Configuration.ConfigReaderTests.Root(), "Oxen.Router", "Daemon", "oxen.example.toml"), good);
        (int code, _, string error) = await OxenAsync("run", "--config", good);
        Assert.Equal(3, code);
        Assert.Equal("oxen: error OXN3001: SOCKS5 proxy: the address 127.0.0.1:1080 is in use\n  Stop the program that listens there (`ss -lnptu` shows it), or choose another port.\n", error);
        Assert.Equal(good, _run!.ConfigFile);
    }
}
