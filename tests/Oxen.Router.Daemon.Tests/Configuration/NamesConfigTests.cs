using Oxen.Router.Daemon.Configuration;

namespace Oxen.Router.Daemon.Tests.Configuration;

/// <summary>[names] and [ledger], and who [directory] has the relays from.</summary>
public sealed class NamesConfigTests
{
    private const string Good = "contacts = \"contacts.list\"\ncontacts_key = \"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\"\n";

    private static RouterConfig? Read(string more, out string[] errors, string roles = "\"client\"")
    {
        RouterConfig? config = ConfigReader.Read($"[router]\nroles = [{roles}]\nlisten = \"192.0.2.1:1090\"\nidentity = \"identity.key\"\n{Good}{more}", "/etc/oxen/oxen.toml", out IReadOnlyList<ConfigDiagnostic> diagnostics);
        errors = [.. diagnostics.Select(d => d.ToString())];
        return config;
    }

    [Fact]
    public void Without_a_word_there_are_no_names_and_the_contact_list_says_who_is_a_relay()
    {
        RouterConfig? config = Read("", out string[] errors);
        Assert.Empty(errors);
        Assert.Equal(NamesFrom.Off, config!.Names.Source);
        Assert.Null(config.Ledger);
        Assert.Equal((NodesFrom.List, null), (config.Directory.Nodes, config.Directory.NodesServer));
    }

    [Fact]
    public void Everything_that_is_said_is_read()
    {
        RouterConfig? config = Read(
            """
            [names]
            source = "rpc"
            servers = ["http://127.0.0.1:22023", "https://ledger.example/"]
            genesis = "other.bin"
            max_age = "5 min"

            [ledger]
            genesis = "genesis.bin"
            store = "sqlite:data/ledger.db"
            listen = "127.0.0.1:22023"
            interval = "2 s"
            sign = ["member.key"]

            [directory]
            nodes = "ledger"
            """,
            out string[] errors);
        Assert.Empty(errors);
        Assert.Equal(NamesFrom.Rpc, config!.Names.Source);
        Assert.Equal(["http://127.0.0.1:22023/", "https://ledger.example/"], config.Names.Servers.Select(s => s.ToString()));
        Assert.Equal(("/etc/oxen/other.bin", TimeSpan.FromMinutes(5)), (config.Names.GenesisFile, config.Names.MaxAge));
        Assert.Equal(("/etc/oxen/genesis.bin", "sqlite:/etc/oxen/data/ledger.db"), (config.Ledger!.GenesisFile, config.Ledger.Store));
        Assert.Equal(("127.0.0.1:22023", TimeSpan.FromSeconds(2)), (config.Ledger.Listen!.ToString(), config.Ledger.Interval));
        Assert.Equal("/etc/oxen/member.key", Assert.Single(config.Ledger.SignFiles));
        Assert.Equal(NodesFrom.Ledger, config.Directory.Nodes);
    }

    [Fact]
    public void A_ledger_lies_beside_the_file_and_its_genesis_serves_the_names()
    {
        RouterConfig? config = Read("[names]\nsource = \"path\"\n[ledger]\ngenesis = \"g\"\nfollow = \"http://192.0.2.9:22023\"\n[directory]\nnodes = \"http://192.0.2.9:22023\"\n", out string[] errors);
        Assert.Empty(errors);
        Assert.Equal(("/etc/oxen/g", "sqlite:/etc/oxen/ledger.db"), (config!.Names.GenesisFile, config.Ledger!.Store));
        Assert.Equal("http://192.0.2.9:22023/", config.Ledger.Follow!.ToString());
        Assert.Equal((NodesFrom.Server, "http://192.0.2.9:22023/"), (config.Directory.Nodes, config.Directory.NodesServer!.ToString()));
        Assert.Equal("relay, names", config.Capabilities.ToString().ToLowerInvariant()); // its contact says that it answers look-ups
    }

    [Theory]
    [InlineData("[names]\nsource = \"ledger\"\n", "this process's ledger, and it has none")]
    [InlineData("[names]\nsource = \"path\"\n", "set `genesis`")]
    [InlineData("[names]\nsource = \"rpc\"\ngenesis = \"g\"\n", "nobody is named")]
    [InlineData("[names]\nsource = \"oxend\"\n", "nobody is named")]
    [InlineData("[names]\nsource = \"oxend\"\nservers = [\"ftp://x/\"]\n", "expected an address such as")]
    [InlineData("[names]\nsource = \"path\"\ngenesis = \"g\"\n", "only a client builds paths", "\"relay\"")]
    [InlineData("[ledger]\nstore = \"sqlite:x\"\n", "`genesis` is missing in [ledger]")]
    [InlineData("[ledger]\ngenesis = \"g\"\nstore = \"mysql:x\"\n", "expected \"sqlite:FILE\"")]
    [InlineData("[ledger]\ngenesis = \"g\"\nfollow = \"http://x/\"\ninterval = \"2 s\"\n", "makes no blocks")]
    [InlineData("[directory]\nnodes = \"ledger\"\n", "and it has none")]
    [InlineData("[directory]\nnodes = \"somewhere\"\n", "expected an address such as")]
    [InlineData("[directory]\ngossip = false\nnodes = \"http://x/\"\n", "the contact list is all there is")]
    public void What_contradicts_itself_is_refused(string more, string words, string roles = "\"client\"")
    {
        Assert.Null(Read(more, out string[] errors, roles));
        Assert.Contains(errors, e => e.Contains(words, StringComparison.Ordinal));
    }
}
