using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Exit;

namespace Oxen.Router.Daemon.Demo;

/// <summary>The files of `oxen demo --processes` and `--tun`: keys, configurations and the contact list in a private directory that goes with the demo.</summary>
internal sealed class DemoDirectory : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("oxen-demo-").FullName; // mode 0700

    private string _ledger = "";

    public string Root => _root;

    public string StatusSocket => Path.Combine(_root, "demo.sock");

    public string ContactsFile => Path.Combine(_root, "contacts.list");

    /// <summary>Writes a router's keys; the onion key's seed is wiped.</summary>
    public void AddKeys(string router, RouterIdentity identity, byte[] onionSeed)
    {
        IdentityFile.Write(Path.Combine(_root, router, IdentityFile.NameFor(IdentityFile.RelayRole)), IdentityFile.RelayRole, identity);
        OnionKeyFile.Write(Path.Combine(_root, router, OnionKeyFile.Name), onionSeed);
    }

    public void SetContacts(ContactList list) => ContactFiles.Write(ContactsFile, list.Encoded);

    /// <summary>Where belief in the ledger begins.</summary>
    public string GenesisFile => Path.Combine(_root, "genesis.bin");

    /// <summary>The network's ledger.</summary>
    /// <param name="rpc">Where routers with processes of their own copy it from, so that they can answer look-ups; null: there are none.</param>
    public void SetLedger(DemoLedger ledger, Uri? rpc)
    {
        File.WriteAllBytes(GenesisFile, ledger.Genesis.Encoded);
        if (rpc is not null) _ledger = $"\n[ledger]\ngenesis = \"../genesis.bin\"\nfollow = \"{rpc}\"\nsnapshot = \"off\"\n";
    }

    /// <summary>Writes a router's configuration and gives its file and its status socket.</summary>
    /// <param name="ledger">It has a copy of the network's ledger, if there is one.</param>
    public (string ConfigFile, string StatusSocket) AddConfig(string router, IPEndPoint listen, string operatorLabel, RouterId listKey, string network, IReadOnlyList<ExitRule>? exceptions, bool ledger = false)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"""
            [router]
            roles = [{(exceptions is null ? "\"relay\"" : "\"relay\", \"exit\"")}]
            listen = "{listen}"
            identity = "identity.key"
            network = "{network}"
            contacts = "../contacts.list"
            contacts_key = "{listKey}"
            shards = 1

            [relay]
            operator = "{operatorLabel}"
            replay_filter = "4 MiB"

            [log]
            level = "warning"
            """);
        if (ledger) text.Append(_ledger);
        if (exceptions is not null) text.AppendLine(CultureInfo.InvariantCulture, $"\n[exit]\nexcept = [{string.Join(", ", exceptions.Select(e => $"\"{e}\""))}]");
        return AddConfig(router, text.ToString());
    }

    /// <summary>Writes a configuration as it is and gives its file and its status socket.</summary>
    public (string ConfigFile, string StatusSocket) AddConfig(string router, string text)
    {
        string directory = Directory.CreateDirectory(Path.Combine(_root, router)).FullName;
        string file = Path.Combine(directory, "oxen.toml");
        File.WriteAllText(file, text);
        return (file, Path.Combine(directory, "oxen.sock"));
    }

    /// <summary>A UDP port of this address that nobody uses now.</summary>
    public static IPEndPoint FreeEndPoint(IPAddress address)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(address, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(_root, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Somebody was faster.
        }
    }
}
