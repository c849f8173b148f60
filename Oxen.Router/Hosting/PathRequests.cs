using System.Globalization;
using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

// Where path n ends: at the nth of the relays that say they can answer, in an order that a secret of this process makes. So the same
// few are asked for as long as it runs, each path another one if there are enough, and nobody outside can tell which. A relay that is
// not reached goes behind the others for a while. Where no relay says so, paths end at exits: perhaps one of them answers.

/// <summary>
/// Requests to plug-ins through the client's own paths. Each number has an isolation group of its own, so a request never travels
/// beside what a program sends through the doors.
/// </summary>
/// <param name="capability">What a relay's contact says if it answers such requests.</param>
internal sealed class PathRequests(IRelayStreams streams, RouterCapabilities capability, string purpose, TimeProvider time) : IPathRequests, IDisposable
{
    private const int MostFailed = 256;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan LeftAloneFor = TimeSpan.FromMinutes(10);

    private readonly IsolationKeys _keys = new();
    private readonly Lock _gate = new();
    private readonly Dictionary<RouterId, DateTimeOffset> _failed = [];

    public async Task<PathResponse> AskAsync(int path, string method, ReadOnlyMemory<byte> body, int mostBytes, CancellationToken cancel)
    {
        if (!RequestFraming.IsMethod(Encoding.ASCII.GetBytes(method))) throw new ArgumentException("a method is 1 to 64 of a-z 0-9 _ . -", nameof(method));
        using var limit = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        RouterId relay = default;
        try
        {
            relay = EndOf(path, await streams.FindRelaysAsync(capability, both.Token).ConfigureAwait(false));
            IsolationKey group = _keys.Derive(purpose, Encoding.ASCII.GetBytes(path.ToString(CultureInfo.InvariantCulture)), []);
            OnionStream stream = relay.IsNone ? await streams.OpenAsync(group, both.Token).ConfigureAwait(false) : await streams.OpenToRelayAsync(relay, group, both.Token).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                (ResponseCode code, byte[] answer) = await RequestExchange.RunAsync(stream.Transport, method, body, mostBytes, both.Token).ConfigureAwait(false);
                return new PathResponse(code, code == ResponseCode.Ok ? answer : ReadOnlyMemory<byte>.Empty);
            }
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            LeaveAlone(relay);
            throw new IOException($"no answer came within {Patience.TotalSeconds:F0} s", e);
        }
        catch (Exception e) when (e is OnionUnavailableException or InvalidOperationException or IOException)
        {
            LeaveAlone(relay);
            throw e as IOException ?? new IOException(e.Message, e);
        }
    }

    public void Dispose() => _keys.Dispose();

    private RouterId EndOf(int path, IReadOnlyList<RouterId> relays)
    {
        if (relays.Count == 0) return default;
        Span<byte> id = stackalloc byte[RouterId.Bytes];
        var order = new List<(bool Failed, ulong Place, RouterId Relay)>(relays.Count);
        DateTimeOffset now = time.GetUtcNow();
        lock (_gate)
        {
            foreach (RouterId relay in relays)
            {
                relay.CopyTo(id);
                order.Add((_failed.TryGetValue(relay, out DateTimeOffset until) && until > now, _keys.Derive(purpose + " relays", id, []).Low, relay));
            }
        }

        order.Sort(static (a, b) => a.Failed != b.Failed ? a.Failed.CompareTo(b.Failed) : a.Place.CompareTo(b.Place));
        return order[path % order.Count].Relay;
    }

    private void LeaveAlone(RouterId relay)
    {
        if (relay.IsNone) return;
        lock (_gate)
        {
            if (_failed.Count >= MostFailed) _failed.Clear();
            _failed[relay] = time.GetUtcNow() + LeftAloneFor;
        }
    }
}
