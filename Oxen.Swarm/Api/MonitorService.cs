using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

/// <summary>Takes notifications for one connection of a push server.</summary>
internal interface INotificationSink
{
    /// <summary>A name that is this connection's alone.</summary>
    string Id { get; }

    /// <summary>Passes a notification on, `message` or `monitor_ended`; must not block.</summary>
    void Push(string command, byte[] body);
}

// Subscriptions of push servers, bt dictionaries (or a list of them), keys ascending:
//
//   P Ed25519 key of a person   or p account      S, T signature and token of a subaccount     d 1: with the data
//   n namespaces, ascending                       s signature over MONITOR account t d n,n,n   t seconds, 14 days back to 1 ahead
//
// A subscription lives 65 minutes. Notifications: @ account, h hash, n namespace, t timestamp, z expiry, ~ data.

/// <summary>Who wants to know of new messages. Any thread.</summary>
internal sealed class MonitorService(SwarmClock clock, Func<SwarmView> view, Func<AccountId, byte[], bool> isRevoked)
{
    private const int MaxAccounts = 100_000;
    private const int MaxSinksPerAccount = 32;
    private static readonly long Life = (long)TimeSpan.FromMinutes(65).TotalMilliseconds;
    private static readonly long MaxAgeSeconds = (long)StoreLimits.MaxInboxLifetime.TotalSeconds;
    private static readonly long MaxAheadSeconds = (long)TimeSpan.FromDays(1).TotalSeconds;

    private readonly ConcurrentDictionary<AccountId, ConcurrentDictionary<string, Subscription>> _subscriptions = new();

    private enum Fault
    {
        Arguments = 1,
        PublicKey = 2,
        Namespaces = 3,
        Timestamp = 4,
        Signature = 5,
        WrongSwarm = 6,
    }

    private sealed record Subscription(INotificationSink Sink, short[] Spaces, bool WithData, long Until);

    public int Count => _subscriptions.Count;

    /// <summary>The reply to a subscription request: a dictionary, or a list of them for a list.</summary>
    public byte[] Subscribe(ReadOnlySpan<byte> body, INotificationSink sink)
    {
        if (!BtEncoding.TryRead(body, out object? value)) return BtEncoding.Write(Error(Fault.Arguments, "Invalid arguments: expected a bt-encoded dict or list of dicts"));
        return BtEncoding.Write(value is List<object> list ? list.ConvertAll(item => (object)Subscribe(item, sink)) : Subscribe(value!, sink));
    }

    /// <summary>Tells everybody who asked for it.</summary>
    public void Notify(StoreRequest message)
    {
        if (!_subscriptions.TryGetValue(message.Account, out ConcurrentDictionary<string, Subscription>? sinks)) return;
        long now = clock.Now;
        foreach ((string id, Subscription subscription) in sinks)
        {
            if (subscription.Until <= now) Drop(message.Account, id);
            else if (Array.BinarySearch(subscription.Spaces, message.Space) >= 0) subscription.Sink.Push("message", ToNotification(message, subscription.WithData));
        }
    }

    /// <summary>A connection is gone.</summary>
    public void Forget(INotificationSink sink)
    {
        foreach (AccountId account in _subscriptions.Keys) Drop(account, sink.Id);
    }

    /// <summary>Ends subscriptions of accounts that this swarm no longer has, and those whose time is up.</summary>
    public void Review()
    {
        SwarmView current = view();
        long now = clock.Now;
        foreach ((AccountId account, ConcurrentDictionary<string, Subscription> sinks) in _subscriptions)
        {
            bool mine = current.Owns(account);
            foreach ((string id, Subscription subscription) in sinks)
            {
                if (mine && subscription.Until > now) continue;
                Drop(account, id);
                if (mine) continue;
                WireMap ended = WrongSwarm(account, current);
                byte[] bytes = new byte[AccountId.Bytes];
                account.CopyTo(bytes);
                ended["@"] = bytes;
                subscription.Sink.Push("monitor_ended", BtEncoding.Write(ended));
            }
        }
    }

    private static byte[] ToNotification(StoreRequest message, bool withData)
    {
        byte[] account = new byte[AccountId.Bytes];
        message.Account.CopyTo(account);
        var map = new WireMap { ["@"] = account, ["h"] = message.Key.ToString(), ["n"] = (long)message.Space, ["t"] = message.Timestamp, ["z"] = message.Expiry };
        if (withData) map["~"] = message.Data;
        return BtEncoding.Write(map);
    }

    private static WireMap Error(Fault fault, string text) => new() { ["errcode"] = (long)fault, ["error"] = text };

    private WireMap Subscribe(object item, INotificationSink sink)
    {
        if (item is not WireMap map) return Error(Fault.Arguments, "Invalid arguments: expected a dict");
        byte[]? person = map.GetValueOrDefault("P") as byte[], other = map.GetValueOrDefault("p") as byte[];
        if ((person is null) == (other is null)) return Error(Fault.Arguments, "Exactly one of 'P' and 'p' is required");
        AccountId account;
        byte[]? key = null;
        if (person is not null)
        {
            if (person.Length != 32) return Error(Fault.PublicKey, "Invalid pubkey: expected 32 bytes");
            key = person;
            AccountId.TryRead([AccountId.PersonNetwork, .. EdwardsMap.ToX25519(person)], false, out account);
        }
        else if (!AccountId.TryRead(other, false, out account) || account.Network == AccountId.PersonNetwork)
        {
            return Error(Fault.PublicKey, "Invalid pubkey: expected 33 bytes and not a 05 account");
        }

        if (map.GetValueOrDefault("n") is not List<object> { Count: > 0 } list || !list.TrueForAll(n => n is long space and >= short.MinValue and <= short.MaxValue))
            return Error(Fault.Namespaces, "Invalid namespaces: expected a list of 16-bit integers");
        short[] spaces = [.. list.Select(n => (short)(long)n)];
        for (int i = 1; i < spaces.Length; i++)
        {
            if (spaces[i - 1] >= spaces[i]) return Error(Fault.Namespaces, "Invalid namespaces: must be ascending and different");
        }

        if (map.GetValueOrDefault("t") is not long time) return Error(Fault.Arguments, "'t' is required");
        long seconds = clock.Now / 1000;
        if (time < seconds - MaxAgeSeconds || time > seconds + MaxAheadSeconds) return Error(Fault.Timestamp, "Invalid timestamp: too old or in the future");
        if (map.GetValueOrDefault("d") is not (null or 0L or 1L)) return Error(Fault.Arguments, "Invalid 'd': expected 0 or 1");
        bool data = map.GetValueOrDefault("d") is 1L;
        if (map.GetValueOrDefault("s") is not byte[] { Length: 64 } signature) return Error(Fault.Signature, "Invalid signature: expected 64 bytes");
        byte[]? token = map.GetValueOrDefault("T") as byte[], tokenSignature = map.GetValueOrDefault("S") as byte[];
        if ((token is null) != (tokenSignature is null) || token is not (null or { Length: 36 }) || tokenSignature is not (null or { Length: 64 }))
            return Error(Fault.Arguments, "'S' and 'T' belong together: 64 and 36 bytes");
        byte[] text = Encoding.ASCII.GetBytes($"MONITOR{account.ToHex()}{time}{(data ? 1 : 0)}{string.Join(',', spaces.Select(s => s.ToString(CultureInfo.InvariantCulture)))}");
        if (!Signatures.Verify(text, account, new RequestAuth(key, signature, token, tokenSignature), Access.Read, isRevoked)) return Error(Fault.Signature, "Signature verification failed");
        SwarmView current = view();
        if (!current.Owns(account)) return WrongSwarm(account, current);
        return Add(account, spaces, data, sink) ? new WireMap { ["success"] = 1L } : Error(Fault.Arguments, "too many subscriptions");
    }

    private bool Add(AccountId account, short[] spaces, bool data, INotificationSink sink)
    {
        if (_subscriptions.Count >= MaxAccounts && !_subscriptions.ContainsKey(account)) return false;
        ConcurrentDictionary<string, Subscription> sinks = _subscriptions.GetOrAdd(account, _ => new ConcurrentDictionary<string, Subscription>());
        if (sinks.Count >= MaxSinksPerAccount && !sinks.ContainsKey(sink.Id)) return false;
        long until = clock.Now + Life;
        sinks.AddOrUpdate(
            sink.Id,
            _ => new Subscription(sink, spaces, data, until),
            (_, old) => new Subscription(sink, [.. old.Spaces.Union(spaces).Order()], old.WithData || data, until));
        return true;
    }

    private void Drop(AccountId account, string id)
    {
        if (!_subscriptions.TryGetValue(account, out ConcurrentDictionary<string, Subscription>? sinks)) return;
        sinks.TryRemove(id, out _);
        if (sinks.IsEmpty) _subscriptions.TryRemove(new KeyValuePair<AccountId, ConcurrentDictionary<string, Subscription>>(account, sinks));
    }

    private static WireMap WrongSwarm(AccountId account, SwarmView current)
    {
        WireMap map = Error(Fault.WrongSwarm, "Account is not in this swarm");
        WireMap swarm = SwarmApi.DescribeSwarm(account, current);
        map["snodes"] = swarm["snodes"];
        map["swarm"] = swarm["swarm"];
        return map;
    }
}
