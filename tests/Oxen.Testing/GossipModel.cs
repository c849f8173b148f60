using System.Globalization;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;

namespace Oxen.Testing;

/// <summary>
/// Many directories, each the real machine of a router, joined by a wire in memory and virtual time instead of links: so that a
/// test can have thousands. Requests and replies take their time, partitions and dead nodes swallow them, liars answer as they
/// like. The same seed gives the same run.
/// </summary>
internal sealed class GossipModel : IDisposable
{
    private const long StartUnix = SimClock.StartUnixNanoseconds / 1_000_000_000;

    private readonly PriorityQueue<Action, (long Time, long Order)> _queue = new();
    private readonly SimClock _clock = new();
    private readonly Dictionary<RouterId, GossipNode> _byId = [];
    private long _order;

    public GossipModel(ulong seed)
    {
        Seed = seed;
        Entropy = new SeededEntropy(seed ^ 0x60551);
    }

    public ulong Seed { get; }

    public SeededEntropy Entropy { get; }

    public Instant Now => _clock.Now;

    public long NowUnix => StartUnix + (long)(Now - Instant.Zero).TotalSeconds;

    public List<GossipNode> Nodes { get; } = [];

    public TimeSpan Delay { get; init; } = TimeSpan.FromMilliseconds(40);

    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Over everything that was asked and answered: equal in two runs that were the same.</summary>
    public ulong TraceHash { get; private set; } = 0xCBF29CE484222325;

    /// <summary>Identities and keys of relays, with the contacts that a list would hold; nothing runs yet.</summary>
    public GossipNode AddRelay(string operatorLabel = "", bool exit = false)
    {
        int number = Nodes.Count;
        RouterIdentity identity = RouterIdentity.Create(Entropy);
        var onion = OnionKeyPair.Create(Entropy);
        UdpAddress address = UdpAddress.FromBytes([(byte)(11 + (number / 250 % 200)), (byte)(number % 250), (byte)(number >> 16), 1], 1090);
        RouterCapabilities can = exit ? RouterCapabilities.Exit : RouterCapabilities.Relay;

        // Keys of different ages, so that they do not all rotate at once.
        TimeSpan age = OnionKeyRing.Term * Entropy.NextDouble();
        var ring = new OnionKeyRing(onion, Instant.Zero - age);
        long published = StartUnix - (long)age.TotalSeconds;
        RouterContact contact = RouterContact.Create(identity, onion, can, [address], "test-1", operatorLabel, published, published + (2 * 86_400));
        var node = new GossipNode(this, $"relay{number}", identity, ring, contact, operatorLabel);
        Nodes.Add(node);
        _byId.Add(identity.Id, node);
        return node;
    }

    public GossipNode AddClient()
    {
        var node = new GossipNode(this, $"client{Nodes.Count}", null, null, null, "");
        Nodes.Add(node);
        return node;
    }

    public RelayRoster RosterOf(IEnumerable<GossipNode> nodes) => new(nodes.Where(n => n.Identity is not null).Select(n => new RosterEntry(n.Id, n.Operator)));

    public GossipNode? Find(RouterId id) => _byId.GetValueOrDefault(id);

    public void Schedule(Instant when, Action work) => _queue.Enqueue(work, (Math.Max(when.Nanoseconds, Now.Nanoseconds), _order++));

    public void Run(TimeSpan time)
    {
        Instant end = Now + time;
        while (_queue.TryPeek(out _, out (long Time, long Order) next) && next.Time <= end.Nanoseconds)
        {
            Action work = _queue.Dequeue();
            _clock.AdvanceTo(new Instant(next.Time));
            work();
        }

        _clock.AdvanceTo(end);
    }

    /// <summary>Runs until it holds, or throws with the seed.</summary>
    public void Until(Func<bool> holds, TimeSpan limit, string what)
    {
        Instant end = Now + limit;
        while (!holds())
        {
            if (Now >= end) throw new SimFailure(string.Create(CultureInfo.InvariantCulture, $"not within {limit}: {what} (OXEN_SEED={Seed})"));
            Run(TimeSpan.FromSeconds(1));
        }
    }

    public void Check(bool holds, string what)
    {
        if (!holds) throw new SimFailure(string.Create(CultureInfo.InvariantCulture, $"does not hold: {what} (OXEN_SEED={Seed}, {Now})"));
    }

    internal void Trace(ReadOnlySpan<byte> bytes)
    {
        ulong h = TraceHash ^ (ulong)Now.Nanoseconds;
        foreach (byte b in bytes) h = (h ^ b) * 0x100000001B3;
        TraceHash = h;
    }

    public void Dispose()
    {
        foreach (GossipNode node in Nodes) node.Dispose();
    }
}

/// <summary>One router's directory in a <see cref="GossipModel"/>.</summary>
internal sealed class GossipNode(GossipModel model, string name, RouterIdentity? identity, OnionKeyRing? keys, RouterContact? contact, string operatorLabel) : IDirectoryWire, IDisposable
{
    private Instant _woken = Instant.Never;
    private int _version;
    private int _incarnation;

    public string Name { get; } = name;

    public RouterIdentity? Identity { get; } = identity;

    public OnionKeyRing? Keys { get; } = keys;

    /// <summary>What a list says of it.</summary>
    public RouterContact? Contact { get; } = contact;

    public string Operator { get; } = operatorLabel;

    public RouterId Id => Identity?.Id ?? default;

    public DirectoryCore Core { get; private set; } = null!;

    public NodeDirectory Directory { get; } = NodeDirectory.Empty;

    public NetworkClock Clock { get; } = new(SimClock.StartUnixNanoseconds);

    public bool Running { get; private set; }

    /// <summary>Nodes of different sides do not reach each other.</summary>
    public int Side { get; set; }

    /// <summary>Sees each request to this node and the honest reply, and gives the reply that is sent; null refuses.</summary>
    public Func<byte[], byte[]?, byte[]?>? Lie { get; set; }

    /// <summary>A client's relays to ask.</summary>
    public Func<IReadOnlyList<RouterId>> Candidates { get; set; } = static () => [];

    public long BytesSent { get; private set; }

    public long BytesReceived { get; private set; }

    public long RequestsSent { get; private set; }

    public long RequestsAnswered { get; private set; }

    public void Start(DirectoryOptions options)
    {
        _incarnation++;
        if (Identity is not null)
        {
            options = options with
            {
                Own = new OwnRouter { Capabilities = Contact!.Capabilities, Addresses = Contact.Addresses.ToArray(), Region = Contact.Region, Operator = Contact.Operator, StoreOnionKey = static _ => true },
            };
        }

        Core = new DirectoryCore(options, Identity, Keys, Directory, this, Clock, new SeededEntropy(model.Entropy.NextUInt64()), _ => Candidates(), model.Now);
        Running = true;
        Wake();
    }

    /// <summary>Goes without a word; what it asked and what it was asked stays without an answer.</summary>
    public void Stop()
    {
        Running = false;
        _incarnation++;
    }

    public void Do(Action<DirectoryCore, Instant> work)
    {
        work(Core, model.Now);
        Wake();
    }

    public object? Ask(RouterId relay, byte[] message, int maxReplyBytes, Instant now)
    {
        object token = new();
        int incarnation = _incarnation;
        RequestsSent++;
        BytesSent += message.Length;
        model.Trace(message);
        GossipNode? peer = model.Find(relay);
        model.Schedule(now + model.Delay, () =>
        {
            if (peer is not { Running: true } || peer.Side != Side)
            {
                model.Schedule(model.Now + model.RequestTimeout, () => Fail(token, incarnation));
                return;
            }

            peer.BytesReceived += message.Length;
            peer.RequestsAnswered++;
            byte[]? reply = peer.Core.Answer(Identity?.Id ?? default, Identity is not null, message, model.Now);
            peer.Wake();
            if (peer.Lie is { } lie) reply = lie(message, reply);
            peer.BytesSent += reply?.Length ?? 0;
            model.Schedule(model.Now + model.Delay, () =>
            {
                if (reply is null || reply.Length >= maxReplyBytes) Fail(token, incarnation);
                else if (incarnation == _incarnation && Running)
                {
                    BytesReceived += reply.Length;
                    model.Trace(reply);
                    Core.OnReply(token, reply, model.Now);
                    Wake();
                }
            });
        });
        return token;
    }

    public void Release(RouterId relay, Instant now)
    {
        // There are no links here that could end.
    }

    public void Dispose()
    {
        Identity?.Dispose();
        Keys?.Dispose();
    }

    private void Fail(object token, int incarnation)
    {
        if (incarnation != _incarnation || !Running) return;
        Core.OnFailed(token, model.Now);
        Wake();
    }

    private void Wake()
    {
        Instant next = Core.NextDeadline;
        if (next == _woken && !next.IsNever) return;
        _woken = next;
        int version = ++_version;
        if (next.IsNever) return;
        model.Schedule(next, () =>
        {
            if (version != _version || !Running) return;
            _woken = Instant.Never;
            Core.HandleTimeout(model.Now);
            Wake();
        });
    }
}
