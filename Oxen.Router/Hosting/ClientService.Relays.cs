using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

// Requests to plug-ins of relays that the caller names: for each relay and isolation key a group of its own, whose paths end at
// that relay. It stays for a while after its last use, and goes when it is idle.
internal sealed partial class ClientService
{
    private const int FirstRelayGroup = 0x5000_0000;
    private const int MaxRelayGroups = 16;
    private const int MaxResponseBytes = 2 << 20;
    private static readonly TimeSpan RelayIdle = TimeSpan.FromSeconds(60);

    private readonly Dictionary<(RouterId Relay, IsolationKey Isolation), int> _relayGroups = [];
    private int _nextRelayGroup = FirstRelayGroup;

    /// <summary>Asks a plug-in of one relay, through a path that ends there.</summary>
    /// <exception cref="OnionUnavailableException">There is no path to it; the message says why.</exception>
    /// <exception cref="IOException">The path or the session with the relay ended before the answer was there.</exception>
    public async Task<(ResponseCode Code, byte[] Body)> RequestAsync(RouterId relay, IsolationKey isolation, string method, ReadOnlyMemory<byte> body, CancellationToken cancel)
    {
        OnionStream stream = await OpenToRelayAsync(relay, isolation, cancel).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            return await RequestExchange.RunAsync(stream.Transport, method, body, MaxResponseBytes, cancel).ConfigureAwait(false);
        }
    }

    public Task<IReadOnlyList<RouterId>> FindRelaysAsync(RouterCapabilities capability, CancellationToken cancel) =>
        _control.InvokeAsync(_ => _control.Core.Client!.Find(capability)).WaitAsync(cancel);

    public ValueTask<OnionStream> OpenToRelayAsync(RouterId relay, IsolationKey isolation, CancellationToken cancel) =>
        OpenInAsync(now => RelayGroupFor(relay, isolation, now), $"{MaxRelayGroups} relays are being asked; wait for their answers", cancel);

    // ---- session thread ----

    private ClientGroup? RelayGroupFor(RouterId relay, IsolationKey isolation, Instant now)
    {
        if (!_relayGroups.TryGetValue((relay, isolation), out int number))
        {
            if (_relayGroups.Count >= MaxRelayGroups) DropIdleRelays(now, TimeSpan.Zero, most: 1);
            if (_relayGroups.Count >= MaxRelayGroups) return null;
            number = _nextRelayGroup++;
            _relayGroups.Add((relay, isolation), number);
            _control.Post(t => _control.Core.Client!.WantPath(number, relay, PathPurpose.Session, once: false, t));
        }

        _lastUse[number] = now;
        return _sessions.Client!.GetOrAdd(number);
    }

    private void DropIdleRelays(Instant now, TimeSpan idle, int most = int.MaxValue)
    {
        foreach (((RouterId, IsolationKey) key, int number) in _relayGroups.OrderBy(g => _lastUse[g.Value]).ToArray())
        {
            if (most == 0 || now - _lastUse[number] < idle) return;
            if (IsBusy(number)) continue;
            most--;
            _relayGroups.Remove(key);
            End(number, now);
        }
    }
}
