using Microsoft.Extensions.Logging;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Contacts;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Run;

// What a process has of the network on disk:
//
//   the contact list            where it begins; who is a relay, as long as it is valid. Read again when the file changes
//   state/relay.directory       what its relay, and
//   state/client.directory      what its client learnt: the next start needs no list that is still valid
//   state/guards.json           a client's guards
//
/// <summary>Reads and writes the directory's files, and tells the routers what time the machine thinks it is.</summary>
internal sealed class DirectoryKeeper : IAsyncDisposable
{
    private static readonly TimeSpan ClockEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ListEvery = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SaveEvery = TimeSpan.FromMinutes(10);

    private readonly RouterConfig _config;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly byte[] _networkId;
    private readonly List<(RouterNode Node, string File, int SavedVersion)> _nodes = [];
    private readonly CancellationTokenSource _stop = new();
    private ContactList _list;
    private RouterContact[] _contacts;
    private DateTime _listWritten;
    private Task _work = Task.CompletedTask;

    private DirectoryKeeper(RouterConfig config, ILogger log, TimeProvider time, byte[] networkId, ContactList list)
    {
        _config = config;
        _log = log;
        _time = time;
        _networkId = networkId;
        _list = list;
        _contacts = [.. list.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None)];
        _listWritten = File.GetLastWriteTimeUtc(config.ContactsFile);
        GuardStore = config.Directory.Gossip ? new GuardFile(InState("guards.json"), trouble => RouterLog.StateTrouble(log, trouble)) : null;
    }

    /// <summary>Where a client's guards are kept; null without a state directory.</summary>
    public GuardFile? GuardStore { get; }

    private long Unix => _time.GetUtcNow().ToUnixTimeSeconds();

    /// <exception cref="UserException">The list cannot be used.</exception>
    public static DirectoryKeeper Load(RouterConfig config, ILogger log, TimeProvider time)
    {
        ContactWords.TryNetworkId(config.Network, out byte[] networkId);
        ContactList list = ContactFiles.ReadList(config.ContactsFile, config.ContactsKey, config.Network, config.Directory.Gossip ? null : time.GetUtcNow());
        var keeper = new DirectoryKeeper(config, log, time, networkId, list);
        RouterLog.ListRead(log, keeper._contacts.Length, ContactWords.Date(list.ExpiresUnixSeconds), list.Contacts.Count - keeper._contacts.Length);
        if (keeper.Unix >= list.ExpiresUnixSeconds) RouterLog.ListExpired(log, ContactWords.Date(list.ExpiresUnixSeconds));
        return keeper;
    }

    /// <summary>The routers of the list. With gossip, only for comparing: each router gets a directory of its own.</summary>
    public NodeDirectory ListDirectory()
    {
        if (!_config.Directory.Gossip) return NodeDirectory.From(_list, Unix);
        NodeDirectory directory = NodeDirectory.Empty;
        directory.Show(RelayRoster.From(_list), _contacts, static _ => true);
        return directory;
    }

    /// <summary>What a relay's directory begins with; null without gossip.</summary>
    public DirectoryOptions? ForRelay()
    {
        if (!_config.Directory.Gossip) return null;
        RouterCapabilities capabilities = RouterCapabilities.Relay | (_config.Roles.HasFlag(RouterRoles.Exit) ? RouterCapabilities.Exit : RouterCapabilities.None);
        return new DirectoryOptions
        {
            // A relay does not ask others who is one. It keeps the list that it has until there is another.
            Roster = RelayRoster.From(_list),
            Contacts = [.. _contacts, .. Cached("relay.directory")?.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None) ?? []],
            Own = new OwnRouter
            {
                Capabilities = capabilities,
                Addresses = [UdpAddress.From(_config.ReachedAt)],
                Region = _config.Relay.Region,
                Operator = _config.Relay.Operator,
                StoreOnionKey = StoreOnionKey,
            },
        };
    }

    /// <summary>What a client's directory begins with; null without gossip.</summary>
    public DirectoryOptions? ForClient()
    {
        if (!_config.Directory.Gossip) return null;
        DirectoryCache? cache = Cached("client.directory");
        bool expired = Unix >= _list.ExpiresUnixSeconds;
        return new DirectoryOptions
        {
            Roster = expired && cache is not null && cache.WrittenUnixSeconds > _list.IssuedUnixSeconds ? cache.Roster : RelayRoster.From(_list),
            RosterUntilUnixSeconds = _list.ExpiresUnixSeconds,
            Contacts = [.. _contacts, .. cache?.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None) ?? []],
            Fetch = new FetchOptions { Sources = _config.Directory.Sources, Agree = _config.Directory.Agree },
        };
    }

    /// <summary>The user's rules about paths.</summary>
    /// <exception cref="UserException">The table of networks cannot be read.</exception>
    public PathRules Rules()
    {
        ClientRules rules = _config.Client.Rules;
        return new PathRules
        {
            ExcludedRouters = rules.Routers.ToHashSet(),
            ExcludedNetworks = rules.Networks,
            ExcludedCountries = rules.Countries.ToHashSet(StringComparer.Ordinal),
            Regions = rules.Regions.ToHashSet(StringComparer.Ordinal),
            PrefersQuick = rules.PrefersQuick,
            Networks = _config.Directory.NetworksFile.Length > 0 ? NetworkFile.Read(_config.Directory.NetworksFile) : null,
        };
    }

    /// <summary>Keeps what this router learns, from now on.</summary>
    public void Keep(RouterNode node, bool isClient)
    {
        if (_config.Directory.Gossip) _nodes.Add((node, InState(isClient ? "client.directory" : "relay.directory"), -1));
    }

    public void Start() => _work = Task.Run(WorkAsync, CancellationToken.None);

    /// <summary>Writes everything down. The routers still run.</summary>
    public async Task SaveAsync()
    {
        for (int i = 0; i < _nodes.Count; i++)
        {
            (RouterNode node, string file, int saved) = _nodes[i];
            try
            {
                (int version, byte[] bytes) = await node.ExportDirectoryAsync(_networkId).WaitAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
                if (version == saved) continue;
                StateFiles.Write(file, bytes);
                _nodes[i] = (node, file, version);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or TimeoutException)
            {
                RouterLog.StateTrouble(_log, $"what was learnt of the network cannot be written to {file} ({e.Message}): the next start begins with the contact list");
            }
        }

        GuardStore?.Flush();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _work.ConfigureAwait(false);
        _stop.Dispose();
    }

    // ---- inside ----

    private async Task WorkAsync()
    {
        long began = _time.GetTimestamp();
        TimeSpan listAt = ListEvery, saveAt = SaveEvery;
        try
        {
            while (true)
            {
                await Task.Delay(ClockEvery, _time, _stop.Token).ConfigureAwait(false);
                foreach ((RouterNode node, _, _) in _nodes) node.TellWallClock();
                TimeSpan since = _time.GetElapsedTime(began);
                if (since >= listAt)
                {
                    listAt = since + ListEvery;
                    ReadListAgain();
                }

                if (since < saveAt) continue;
                saveAt = since + SaveEvery;
                await SaveAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private void ReadListAgain()
    {
        try
        {
            DateTime written = File.GetLastWriteTimeUtc(_config.ContactsFile);
            if (written == _listWritten) return;
            _listWritten = written;
            ContactList list = ContactFiles.ReadList(_config.ContactsFile, _config.ContactsKey, _config.Network, null);
            if (list.IssuedUnixSeconds <= _list.IssuedUnixSeconds) return;
            _list = list;
            _contacts = [.. list.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None)];
            foreach ((RouterNode node, _, _) in _nodes) node.SetRoster(RelayRoster.From(list), list.ExpiresUnixSeconds, _contacts);
            RouterLog.ListRead(_log, _contacts.Length, ContactWords.Date(list.ExpiresUnixSeconds), list.Contacts.Count - _contacts.Length);
        }
        catch (Exception e) when (e is UserException or IOException or UnauthorizedAccessException)
        {
            RouterLog.StateTrouble(_log, $"the new contact list is not taken, the one before stays: {e.Message}");
        }
    }

    private bool StoreOnionKey(byte[] seed)
    {
        try
        {
            OnionKeyFile.Rotate(_config.OnionKeyFile, seed);
            RouterLog.OnionKeyRotated(_log);
            return true;
        }
        catch (UserException e)
        {
            RouterLog.StateTrouble(_log, $"the next onion key cannot be written, the old one stays in use: {e.Message}");
            return false;
        }
    }

    private DirectoryCache? Cached(string name) => StateFiles.ReadCache(InState(name), _networkId);

    private string InState(string name) => Path.Combine(_config.Directory.StateDirectory, name);
}
