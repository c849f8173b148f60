using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Commands;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>Keys, contacts, a list and configurations of a small network in a directory that goes at the end, made with the program's own verbs.</summary>
internal sealed class TestFiles : IDisposable
{
    private readonly Dictionary<string, string> _configs = [];

    public TestFiles()
    {
        Root = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        ListKey = Keygen("list");
    }

    public string Root { get; }

    public string ListKey { get; }

    public string ContactsFile => At("contacts.list");

    public string At(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>Runs one command line in this process.</summary>
    public static async Task<(int Code, string Out, string Error)> OxenAsync(params string[] arguments)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        int code = await new CommandTree(new Screen(output, error, interactive: false), new CommandBodies { Run = RunCommand.RunAsync }).RunAsync(arguments, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }

    public static async Task<string> GoodAsync(params string[] arguments)
    {
        (int code, string output, string error) = await OxenAsync(arguments);
        Assert.True(code == 0, $"oxen {string.Join(' ', arguments)}: {code} {error}");
        return output;
    }

    /// <summary>A relay or an exit on a free port of 127.net.0.1, with keys and configuration. Gives its router id.</summary>
    public string AddRelay(string name, byte net, bool exit = false, string more = "", IPEndPoint? listen = null)
    {
        string id = Keygen("relay", name);
        listen ??= FreeUdp(new IPAddress([127, net, 0, 1]));
        Configure(name, $"""
            roles = [{(exit ? "\"relay\", \"exit\"" : "\"relay\"")}]
            listen = "{listen}"
            identity = "identity.key"
            """, $"[relay]\noperator = \"{name}\"\nreplay_filter = \"1 MiB\"\n{more}");
        return id;
    }

    public void AddClient(string name, int hops, string more = "", string socks = "127.0.0.1:0") =>
        Configure(name, "roles = [\"client\"]", $"[client]\nsocks = \"{socks}\"\nhttp = \"off\"\nhops = {hops}\n{more}");

    public void Configure(string name, string router, string rest)
    {
        Directory.CreateDirectory(At(name));
        File.WriteAllText(At(name, "oxen.toml"), $"""
            [router]
            contacts = "../contacts.list"
            contacts_key = "{ListKey}"
            shards = 1
            {router}
            {rest}
            """);
        _configs[name] = At(name, "oxen.toml");
    }

    public string ConfigFile(string name) => _configs[name];

    public RouterConfig Config(string name)
    {
        RouterConfig? config = ConfigReader.ReadFile(_configs[name], out IReadOnlyList<ConfigDiagnostic> diagnostics);
        Assert.Empty(diagnostics);
        return config!;
    }

    /// <summary>Has these relays' contacts written and signed as the network's list.</summary>
    public async Task SignAsync(params string[] relays)
    {
        foreach (string relay in relays) await GoodAsync("contact", "--config", _configs[relay], "--out", At(relay, "relay.contact"));
        await GoodAsync(["contacts", "sign", "--key", At("list.key"), "--out", ContactsFile, .. relays.Select(r => At(r, "relay.contact"))]);
    }

    /// <summary>Signs the contacts of these relays with times and a network of the caller's choice.</summary>
    public void SignBy(string keyFile, string network, DateTimeOffset from, DateTimeOffset until, params string[] relays)
    {
        using RouterIdentity key = IdentityFile.Load(keyFile, IdentityFile.ListRole);
        Assert.True(ContactWords.TryNetworkId(network, out byte[] id));
        ContactList list = ContactList.Create(key, id, relays.Select(r => ContactFiles.ReadContact(At(r, "relay.contact"), DateTimeOffset.UtcNow)), from.ToUnixTimeSeconds(), until.ToUnixTimeSeconds());
        ContactFiles.Write(ContactsFile, list.Encoded);
    }

    public string Keygen(string role, string directory = "")
    {
        (_, RouterId id) = IdentityFile.Create(At(directory), role);
        if (role == "relay") OnionKeyFile.Create(At(directory));
        return id.ToString();
    }

    public static IPEndPoint FreeUdp(IPAddress address)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(address, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    public static IPEndPoint FreeTcp()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
