using System.CommandLine;
using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Oxen.Swarm;
using Oxen.Swarm.Clients;
using Oxen.Swarm.Nodes;

namespace Oxen.Router.Daemon.Commands;

/// <summary>What the verbs of `oxen swarm` share: which network, by which way, and whose account.</summary>
internal sealed class SwarmConnection : IAsyncDisposable
{
    private static readonly TimeSpan NodePatience = TimeSpan.FromSeconds(20);
    private readonly RouterNode? _router;
    private readonly HttpsSwarmRoute? _https;
    private readonly OnionSwarmRoute? _onion;

    private SwarmConnection(SwarmClient client, RouterNode? router, HttpsSwarmRoute? https, OnionSwarmRoute? onion)
    {
        Client = client;
        _router = router;
        _https = https;
        _onion = onion;
    }

    public SwarmClient Client { get; }

    /// <summary>How nodes are asked, in words.</summary>
    public string Way => _onion is null ? "HTTPS" : "onion";

    public static Option<string?> Config() => new("--config") { Description = "The TOML file of a client (or relay) of the network: nodes are asked through onion paths.", HelpName = "FILE" };

    public static Option<bool> Direct() => new("--direct") { Description = "With --config: ask by HTTPS instead, faster; the nodes see this machine's address." };

    public static Option<string?> Node() => new("--node") { Description = "Or ask by HTTPS, beginning with this node.", HelpName = "https://ADDR:PORT" };

    public static Option<string> Account() => new("--account") { Description = "The account's key file, made with `oxen wallet new`.", HelpName = "FILE", Required = true };

    public static Option<short> Space() => new("--namespace") { Description = "The namespace, -32768 to 32767.", HelpName = "N", DefaultValueFactory = _ => 0 };

    public static UserException Misuse(string message, string remedy) => new(ExitCode.Usage, "OXN7002", message, remedy);

    /// <summary>Reads a file; its diagnostics are the error's words.</summary>
    public static RouterConfig Read(string file)
    {
        RouterConfig? config = ConfigReader.ReadFile(file, out IReadOnlyList<ConfigDiagnostic> diagnostics);
        return config ?? throw new UserException(ExitCode.Usage, diagnostics[0].Code, $"{file}:{diagnostics[0].Line}:{diagnostics[0].Column}: {diagnostics[0].Message}", diagnostics[0].Remedy);
    }

    /// <summary>The account of a key file. The caller owns it and ends it.</summary>
    public static SwarmAccount LoadAccount(string file)
    {
        using Ons.Ledger.LedgerKey key = AccountFile.Load(file);
        byte[] seed = key.ExportSeed();
        try
        {
            return new SwarmAccount(seed);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    public static AccountId ParseAccount(string text) =>
        AccountId.TryParse(text, allowTestNetwork: false, out AccountId id) ? id : throw Misuse($"{text} is no account", "66 hexadecimal digits, 05 first for a person.");

    /// <exception cref="UserException">The options do not name one way, or its files cannot be used.</exception>
    public static async Task<SwarmConnection> OpenAsync(string? configFile, string? url, bool direct, CancellationToken cancel)
    {
        if ((configFile is null) == (url is null)) throw Misuse("which network?", "--config FILE of a client of it, or --node https://ADDR:PORT of one of its storage nodes.");
        if (url is not null)
        {
            var https = new HttpsSwarmRoute(NodePatience);
            return new SwarmConnection(new SwarmClient(https, [await NodeOfAsync(url, cancel).ConfigureAwait(false)]), null, https, null);
        }

        RouterConfig config = Read(configFile!);
        DirectoryKeeper keeper = RouterProcess.LoadDirectory(config, NullLogger.Instance, TimeProvider.System);
        await using (keeper.ConfigureAwait(false))
        {
            using var directory = new RegistryDirectory(keeper.StorageNodes(), id => SwarmEnd.ContactOf(keeper.AddressOf(id.Span)));
            IReadOnlyList<SwarmMember> members = directory.Current.Members;
            // With a ledger the swarms are the registry's, which the nodes know.
            if (config.Directory.Nodes != NodesFrom.List) members = [.. members.Select(m => new SwarmMember(m.Ed25519, SwarmRing.Unassigned, m.Address, m.HttpsPort, m.QuicPort))];
            if (members.Count == 0) throw new UserException(ExitCode.Network, "OXN7003", "the contact list has no storage node", "A relay becomes one by the section [swarm]; its contact says so, and the list is signed anew.");
            if (direct)
            {
                var https = new HttpsSwarmRoute(NodePatience);
                return new SwarmConnection(new SwarmClient(https, members), null, https, null);
            }

            RouterNode router = RouterProcess.OpenClient(config, keeper, nodes: null, TimeProvider.System, proxied: false, tunnel: null, notice: null);
            router.Start(keeper.ListDirectory());
            var onion = new OnionSwarmRoute(router.Client!, default);
            return new SwarmConnection(new SwarmClient(onion, members), router, null, onion);
        }
    }

    /// <summary>Runs one request; what the swarm or the way to it refuses becomes an error for people.</summary>
    public async Task<T> RunAsync<T>(Func<SwarmClient, Task<T>> work)
    {
        try
        {
            return await work(Client).ConfigureAwait(false);
        }
        catch (SwarmRequestException e) when (e.Status is 0 or >= 500)
        {
            string why = _onion?.Trouble is { Length: > 0 } trouble ? $"{e.Message}: {trouble}" : e.Message;
            throw new UserException(ExitCode.Network, "OXN7003", why, e.Status == 0 ? "Is a storage node up there? `oxen swarm status` asks one." : "Nothing was acknowledged; try again when more members are up.", e);
        }
        catch (SwarmRequestException e)
        {
            throw new UserException(ExitCode.CheckFailed, "OXN7004", $"the swarm refuses it ({e.Status}): {e.Message}", Remedy(e.Status), e);
        }
    }

    private static string Remedy(int status) => status switch
    {
        401 => "A namespace that is no multiple of 10 needs --account FILE, its owner's key; and the owner's key alone reads and deletes.",
        403 => "A message is kept for 10 s to 14 days, in namespaces that only their owner writes to for 30 days.",
        406 => "Is this machine's clock right?",
        _ => "",
    };

    /// <summary>A node by its address alone; names are resolved here.</summary>
    public static async Task<SwarmMember> NodeOfAsync(string url, CancellationToken cancel)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) || uri.Scheme != "https") throw Misuse($"{url} is no address of a storage node", "An address such as https://192.0.2.10:1090.");
        try
        {
            IPAddress[] addresses = await System.Net.Dns.GetHostAddressesAsync(uri.IdnHost, cancel).ConfigureAwait(false);
            return new SwarmMember(new byte[RouterId.Bytes], SwarmRing.Unassigned, addresses[0], uri.Port, 0);
        }
        catch (System.Net.Sockets.SocketException e)
        {
            throw new UserException(ExitCode.Network, "OXN7003", $"{uri.IdnHost} cannot be resolved: {e.Message}", "Write its address.", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_router is not null) await _router.DisposeAsync().ConfigureAwait(false);
        _https?.Dispose();
    }
}
