using System.Collections.Frozen;
using Microsoft.Extensions.Logging;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Hosting;

/// <summary>Where a process finds the network, and where it keeps what it learns of it.</summary>
internal sealed record DirectoryKeeperOptions
{
    /// <summary>Absolute.</summary>
    public required string ContactsFile { get; init; }

    public required RouterId ContactsKey { get; init; }

    public required string Network { get; init; }

    /// <summary>False: the contact list is all there is.</summary>
    public bool Gossip { get; init; } = true;

    /// <summary>Absolute; empty: nothing is kept.</summary>
    public string StateDirectory { get; init; } = "";

    public FetchOptions Fetch { get; init; } = new();
}

// What a process has of the network on disk:
//
//   the contact list            where it begins; who is a relay, as long as it is valid. Read again when the file changes
//   state/relay.directory       what its relay, and
//   state/client.directory      what its client learnt: the next start needs no list that is still valid
//   state/guards.json           a client's guards
//   state/second.json           the second hops of its paths to hidden services
//
/// <summary>Reads and writes the directory's files, and tells the routers what time the machine thinks it is.</summary>
internal sealed class DirectoryKeeper : IAsyncDisposable
{
    private const string RelayFile = "relay.directory";
    private const string ClientFile = "client.directory";

    private static readonly TimeSpan ClockEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan ListEvery = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan SaveEvery = TimeSpan.FromMinutes(10);

    private readonly DirectoryKeeperOptions _options;
    private readonly ILogger _log;
    private readonly TimeProvider _time;
    private readonly byte[] _networkId;
    private readonly List<(RouterNode Node, string File, int SavedVersion)> _nodes = [];
    private readonly CancellationTokenSource _stop = new();
    private ContactList _list;
    private RouterContact[] _contacts;
    private DateTime _listWritten;
    private ContactListNodes? _storage;
    private volatile FrozenDictionary<RouterId, RouterContact> _found = FrozenDictionary<RouterId, RouterContact>.Empty;
    private Task _work = Task.CompletedTask;

    private DirectoryKeeper(DirectoryKeeperOptions options, ILogger log, TimeProvider time, byte[] networkId, ContactList list)
    {
        _options = options;
        _log = log;
        _time = time;
        _networkId = networkId;
        _list = list;
        _contacts = [.. list.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None)];
        _listWritten = File.GetLastWriteTimeUtc(options.ContactsFile);
        GuardStore = options.Gossip && options.StateDirectory.Length > 0 ? new GuardFile(InState("guards.json"), trouble => RouterLog.StateTrouble(log, trouble)) : null;
        SecondLayerStore = options.Gossip && options.StateDirectory.Length > 0 ? new GuardFile(InState("second.json"), trouble => RouterLog.StateTrouble(log, trouble)) : null;
    }

    /// <summary>Where a client's guards are kept; null without a state directory.</summary>
    public GuardFile? GuardStore { get; }

    /// <summary>Where the second layer is kept.</summary>
    public GuardFile? SecondLayerStore { get; }

    private long Unix => _time.GetUtcNow().ToUnixTimeSeconds();

    /// <exception cref="OxenException">The list cannot be used.</exception>
    public static DirectoryKeeper Load(DirectoryKeeperOptions options, ILogger log, TimeProvider time)
    {
        ContactWords.TryNetworkId(options.Network, out byte[] networkId);
        ContactList list = ContactFiles.ReadList(options.ContactsFile, options.ContactsKey, options.Network, options.Gossip ? null : time.GetUtcNow());
        var keeper = new DirectoryKeeper(options, log, time, networkId, list);
        RouterLog.ListRead(log, keeper._contacts.Length, ContactWords.Date(list.ExpiresUnixSeconds), list.Contacts.Count - keeper._contacts.Length);
        if (keeper.Unix >= list.ExpiresUnixSeconds) RouterLog.ListExpired(log, ContactWords.Date(list.ExpiresUnixSeconds));
        return keeper;
    }

    /// <summary>The routers of the list. With gossip, only for comparing: each router gets a directory of its own.</summary>
    public NodeDirectory ListDirectory()
    {
        if (!_options.Gossip) return NodeDirectory.From(_list, Unix);
        NodeDirectory directory = NodeDirectory.Empty;
        directory.Show(RelayRoster.From(_list), _contacts, static _ => true);
        return directory;
    }

    /// <summary>What a relay's directory begins with; null without gossip.</summary>
    public DirectoryOptions? ForRelay(OwnRouter own)
    {
        if (!_options.Gossip) return null;
        return new DirectoryOptions
        {
            // A relay does not ask others who is one. It keeps the list that it has until there is another.
            Roster = RelayRoster.From(_list),
            Contacts = [.. _contacts, .. Cached(RelayFile)?.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None) ?? []],
            Own = own,
        };
    }

    /// <summary>What a client's directory begins with; null without gossip.</summary>
    public DirectoryOptions? ForClient()
    {
        if (!_options.Gossip) return null;
        DirectoryCache? cache = Cached(ClientFile);
        bool expired = Unix >= _list.ExpiresUnixSeconds;
        return new DirectoryOptions
        {
            Roster = expired && cache is not null && cache.WrittenUnixSeconds > _list.IssuedUnixSeconds ? cache.Roster : RelayRoster.From(_list),
            RosterUntilUnixSeconds = _list.ExpiresUnixSeconds,
            Contacts = [.. _contacts, .. cache?.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None) ?? []],
            Fetch = _options.Fetch,
        };
    }

    /// <summary>Keeps what this router learns, from now on.</summary>
    public void Keep(RouterNode node, bool isClient)
    {
        if (_options.Gossip) _nodes.Add((node, InState(isClient ? ClientFile : RelayFile), -1));
    }

    /// <summary>The storage nodes of the contact list.</summary>
    public ContactListNodes StorageNodes()
    {
        _storage ??= new ContactListNodes(_contacts, (ulong)_list.IssuedUnixSeconds);
        return _storage;
    }

    /// <summary>A storage node has another address; heard on a thread of the pool.</summary>
    public event Action? StorageMoved;

    /// <summary>Where a router is found: by the newest contact that is known, of the list or of the network. Null: not known.</summary>
    public UdpAddress? AddressOf(ReadOnlySpan<byte> routerId)
    {
        var id = new RouterId(routerId);
        RouterContact? contact = _found.GetValueOrDefault(id) ?? Array.Find(_contacts, c => c.Id == id);
        return contact?.Addresses[0];
    }

    public void Start() => _work = Task.Run(WorkAsync, CancellationToken.None);

    /// <summary>Writes everything down. The routers still run.</summary>
    public async Task SaveAsync()
    {
        for (int i = 0; i < _nodes.Count; i++)
        {
            (RouterNode node, string file, int saved) = _nodes[i];
            if (_options.StateDirectory.Length == 0) break;
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
        SecondLayerStore?.Flush();
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
                    await LookForStorageAsync().ConfigureAwait(false);
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

    // Routers move; the list's word of where a storage node is may be old.
    private async Task LookForStorageAsync()
    {
        if ((_storage is null && StorageMoved is null) || _nodes.Count == 0) return;
        try
        {
            IReadOnlyList<RouterContact> known = await _nodes[0].Node.ReadStorageContactsAsync().WaitAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);
            if (known.All(c => _found.TryGetValue(c.Id, out RouterContact? before) && before.Addresses[0] == c.Addresses[0])) return;
            _found = known.ToFrozenDictionary(c => c.Id);
            _storage?.Set(_contacts, (ulong)_list.IssuedUnixSeconds);
            StorageMoved?.Invoke();
        }
        catch (TimeoutException)
        {
            // The next round.
        }
    }

    private void ReadListAgain()
    {
        try
        {
            DateTime written = File.GetLastWriteTimeUtc(_options.ContactsFile);
            if (written == _listWritten) return;
            _listWritten = written;
            ContactList list = ContactFiles.ReadList(_options.ContactsFile, _options.ContactsKey, _options.Network, null);
            if (list.IssuedUnixSeconds <= _list.IssuedUnixSeconds) return;
            _list = list;
            _contacts = [.. list.Contacts.Where(c => c.VerifyTimeless() == ContactFault.None)];
            _storage?.Set(_contacts, (ulong)_list.IssuedUnixSeconds);
            foreach ((RouterNode node, _, _) in _nodes) node.SetRoster(RelayRoster.From(list), list.ExpiresUnixSeconds, _contacts);
            RouterLog.ListRead(_log, _contacts.Length, ContactWords.Date(list.ExpiresUnixSeconds), list.Contacts.Count - _contacts.Length);
        }
        catch (Exception e) when (e is OxenException or IOException or UnauthorizedAccessException)
        {
            RouterLog.StateTrouble(_log, $"the new contact list is not taken, the one before stays: {e.Message}");
        }
    }

    private DirectoryCache? Cached(string name) => _options.StateDirectory.Length == 0 ? null : StateFiles.ReadCache(InState(name), _networkId);

    private string InState(string name) => Path.Combine(_options.StateDirectory, name);
}
