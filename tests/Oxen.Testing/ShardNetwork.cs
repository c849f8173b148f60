using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Testing;

/// <summary>A datagram between two nodes.</summary>
internal sealed class WireDatagram
{
    public required ShardNode From { get; init; }

    public required ShardNode To { get; init; }

    public required byte[] Bytes { get; set; }

    public Instant Due { get; set; }
}

/// <summary>A path that the network has laid, with what only its client knows.</summary>
internal sealed class TestPath
{
    public required ShardNode[] Nodes { get; init; }   // client, relays, terminal

    public required PathNumber[] Numbers { get; init; }

    public required int[] ShardOf { get; init; }

    /// <summary>What each hop's Up handle is, hop 0 first.</summary>
    public required PathHandle[] UpHandles { get; init; }

    /// <summary>Downstream handles: of the client (for hop 0), of hop 0 (for hop 1), ...</summary>
    public required PathHandle[] DownHandles { get; init; }

    public required byte[][] ChainsUp { get; init; }

    public required byte[][] ChainsDown { get; init; }

    public required SizeClass Class { get; init; }

    public uint StartEpoch { get; init; }

    public int Hops => Nodes.Length - 1;

    public ShardCore ClientCore => Nodes[0].Shards[ShardOf[0]];

    public ShardCore TerminalCore => Nodes[^1].Shards[ShardOf[^1]];

    public ShardCore CoreOf(int hop) => Nodes[hop + 1].Shards[ShardOf[hop + 1]];
}

/// <summary>
/// Data planes joined by memory, in virtual time, on one thread: what one sends the other receives after `Delay`, unless
/// `OnWire` drops it. Links and paths are laid by hand, as the control plane would.
/// </summary>
internal sealed class ShardNetwork : IDisposable
{
    private readonly SeededEntropy _entropy;
    private readonly ShardOptions _sizes;
    private readonly List<ShardNode> _nodes = [];
    private readonly List<WireDatagram> _flying = [];
    private readonly Dictionary<(int From, int To), int> _links = [];
    private readonly Dictionary<uint, (byte[] Secret, LinkSuite Suite, int To)> _secrets = [];
    private int _nextLink = 1;

    public ShardNetwork(ulong seed = 1, ShardOptions? sizes = null, LinkSuite suite = LinkSuite.Aegis128L)
    {
        _entropy = new SeededEntropy(seed);
        Suite = suite;
        _sizes = sizes ?? new ShardOptions
        {
            ReceiveSlots = 4, ControlSlots = 16, DeliverySlots = 256, OriginationSlots = 256, MaxReceivers = 64, MaxSenders = 64,
            MaxPaths = 64, MaxClientPaths = 8, ReplayFilterBytes = 1 << 20,
        };
        Clock.Advance(TimeSpan.FromSeconds(20)); // in the middle of an epoch
    }

    public SimClock Clock { get; } = new();

    public LinkSuite Suite { get; set; }

    public SeededEntropy Entropy => _entropy;

    public TimeSpan Delay { get; set; }

    /// <summary>Sees each datagram on its way; false loses it.</summary>
    public Func<WireDatagram, bool>? OnWire { get; set; }

    public IReadOnlyList<ShardNode> Nodes => _nodes;

    public Instant Now => Clock.Now;

    public ShardNode AddNode(int shards = 1, TimeSpan skew = default, TunnelOptions? tunnel = null)
    {
        var node = new ShardNode(_nodes.Count, shards, _sizes, new NetworkClock(SimClock.StartUnixNanoseconds + skew.Ticks * 100), _entropy, tunnel);
        _nodes.Add(node);
        return node;
    }

    // ---- links ----

    /// <summary>The number that `at` knows its link with `peer` by; laid at the first call.</summary>
    public int LinkOf(ShardNode at, ShardNode peer)
    {
        if (_links.TryGetValue((at.Number, peer.Number), out int link)) return link;
        _links[(at.Number, peer.Number)] = _nextLink++;
        _links[(peer.Number, at.Number)] = _nextLink++;
        GiveKeys(at, peer);
        GiveKeys(peer, at);
        return _links[(at.Number, peer.Number)];
    }

    /// <summary>New indexes and keys for what `from` sends to `to`; the old ones stay until the test removes them.</summary>
    public List<uint> GiveKeys(ShardNode from, ShardNode to)
    {
        List<uint> given = [];
        for (int s = 0; s < from.Shards.Length; s++)
        {
            for (int r = 0; r < to.Shards.Length; r++)
            {
                if (!to.Indexes[r].TryTake(out uint index)) throw new InvalidOperationException("no receiver index left");
                byte[] secret = new byte[32];
                _entropy.FillSecret(secret);
                _secrets[index ^ ((uint)to.Number << 24)] = ([.. secret], Suite, to.Number);
                to.Shards[r].Post(new AddLinkReceiver(index, _links[(to.Number, from.Number)], (byte)s, from.Address, Suite, [.. secret]));
                from.Shards[s].Post(new AddLinkSender(_links[(from.Number, to.Number)], (byte)r, index, to.Address, Suite, [.. secret]));
                given.Add(index);
            }
        }

        return given;
    }

    /// <summary>What a relay could do between opening and sealing: changes the inner bytes (header 16, body) of a datagram.</summary>
    public void Rewrite(WireDatagram datagram, Action<byte[]> change)
    {
        (byte[] key, LinkSuite suite) = KeyOf(datagram);
        if (!LinkSeal.Open(datagram.Bytes, key, suite)) throw new InvalidOperationException("the test does not know the link's key");
        byte[] inner = datagram.Bytes[SealedDatagram.ClearBytes..^SealedDatagram.TagBytes];
        change(inner);
        inner.CopyTo(datagram.Bytes, SealedDatagram.ClearBytes);
        LinkSeal.Seal(datagram.Bytes, key, suite);
    }

    /// <summary>What a relay could do: the same inner bytes once more, under a fresh counter of the link.</summary>
    public byte[] Again(WireDatagram datagram, ulong ahead)
    {
        (byte[] key, LinkSuite suite) = KeyOf(datagram);
        byte[] copy = [.. datagram.Bytes];
        if (!LinkSeal.Open(copy, key, suite)) throw new InvalidOperationException("the test does not know the link's key");
        BinaryPrimitives.WriteUInt64BigEndian(copy.AsSpan(SealedDatagram.CounterAt), SealedDatagram.Counter(copy) + ahead);
        LinkSeal.Seal(copy, key, suite);
        return copy;
    }

    /// <summary>The inner bytes of a datagram on the wire; the datagram itself stays as it is.</summary>
    public byte[] Inner(WireDatagram datagram)
    {
        (byte[] key, LinkSuite suite) = KeyOf(datagram);
        byte[] copy = [.. datagram.Bytes];
        if (!LinkSeal.Open(copy, key, suite)) throw new InvalidOperationException("the test does not know the link's key");
        return copy[SealedDatagram.ClearBytes..^SealedDatagram.TagBytes];
    }

    // ---- paths ----

    public TestPath LayPath(ShardNode[] nodes, SizeClass size = SizeClass.Full, int[]? shards = null, TimeSpan? lifetime = null)
    {
        int hops = nodes.Length - 1;
        shards ??= new int[nodes.Length];
        Instant expires = lifetime is { } t ? Now + t : Instant.Never;
        uint epoch = nodes[0].Clock.EpochAt(Now);
        var numbers = new PathNumber[nodes.Length];
        var up = new PathHandle[hops];
        var down = new PathHandle[hops];
        for (int i = 0; i < nodes.Length; i++)
        {
            if (!nodes[i].Numbers[shards[i]].TryTake(out numbers[i])) throw new InvalidOperationException("no path number left");
            if (i > 0 && !nodes[i].Handles[shards[i]].TryTake(out up[i - 1])) throw new InvalidOperationException("no slot left");
            if (i < hops && !nodes[i].Handles[shards[i]].TryTake(out down[i])) throw new InvalidOperationException("no slot left");
        }

        byte[][] chainsUp = [.. Enumerable.Range(0, hops).Select(_ => Secret())];
        byte[][] chainsDown = [.. Enumerable.Range(0, hops).Select(_ => Secret())];
        HopChains Chains(int hop) => new([.. chainsUp[hop]], [.. chainsDown[hop]], epoch);
        PathEgress To(int from, int to, PathHandle handle) => PathEgress.To(LinkOf(nodes[from], nodes[to]), handle, nodes[to].Shards.Length);
        PathIngress From(int at, int peer, PathHandle handle) => new(LinkOf(nodes[at], nodes[peer]), handle);

        for (int i = 0; i < hops; i++) LinkOf(nodes[i], nodes[i + 1]);
        nodes[0].Shards[shards[0]].Post(new AddClientPath(numbers[0], size, To(0, 1, up[0]), From(0, 1, down[0]), [.. Enumerable.Range(0, hops).Select(Chains)], expires));
        for (int i = 1; i < hops; i++)
        {
            nodes[i].Shards[shards[i]].Post(new AddTransitPath(
                numbers[i], size, From(i, i - 1, up[i - 1]), To(i, i + 1, up[i]), From(i, i + 1, down[i]), To(i, i - 1, down[i - 1]), Chains(i - 1), expires));
        }

        nodes[hops].Shards[shards[hops]].Post(new AddTerminalPath(numbers[hops], size, From(hops, hops - 1, up[hops - 1]), To(hops, hops - 1, down[hops - 1]), Chains(hops - 1), expires));
        var path = new TestPath
        {
            Nodes = nodes, Numbers = numbers, ShardOf = shards, UpHandles = up, DownHandles = down, ChainsUp = chainsUp, ChainsDown = chainsDown, Class = size, StartEpoch = epoch,
        };
        HandleCommands();
        return path;
    }

    /// <summary>A client, three relays, of which the last is the terminal's neighbour, and the terminal.</summary>
    public TestPath LayPath(int hops = 4, SizeClass size = SizeClass.Full)
    {
        while (_nodes.Count < hops + 1) AddNode();
        return LayPath([.. _nodes.Take(hops + 1)], size);
    }

    // ---- traffic ----

    /// <summary>Puts content into a core's origination ring; false when it is full.</summary>
    public static bool Originate(ShardCore core, PathNumber path, byte command, ReadOnlySpan<byte> content, int hop = 255)
    {
        if (!core.Originations.TryReserve(out Span<byte> slot)) return false;
        content.CopyTo(slot[PacketRing.Headroom..]);
        core.Originations.Commit(new PacketTag { Subject = path.Row, Generation = path.Generation, Command = command, Hop = (byte)hop, Length = content.Length });
        return true;
    }

    public void SendUp(TestPath path, ReadOnlySpan<byte> content, byte command = 16, int hop = 255)
    {
        if (!Originate(path.ClientCore, path.Numbers[0], command, content, hop)) throw new InvalidOperationException("origination ring is full");
    }

    public void SendDown(TestPath path, ReadOnlySpan<byte> content, byte command = 16)
    {
        if (!Originate(path.TerminalCore, path.Numbers[^1], command, content)) throw new InvalidOperationException("origination ring is full");
    }

    public void Ask(TestPath path, byte command, ulong id, int hop)
    {
        Span<byte> content = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(content, id);
        SendUp(path, content, command, hop);
    }

    /// <summary>All that a core has delivered since the last call.</summary>
    public static List<(PacketTag Tag, byte[] Content)> Deliveries(ShardCore core)
    {
        List<(PacketTag, byte[])> all = [];
        while (core.Deliveries.TryTake(out PacketTag tag, out int offset)) all.Add((tag, core.Slab.Slice(offset + PacketRing.Headroom, tag.Length).ToArray()));
        core.Deliveries.ReleaseTaken();
        return all;
    }

    public static List<ShardEvent> Events(ShardCore core)
    {
        List<ShardEvent> all = [];
        while (core.Events.TryTake(out ShardEvent happened)) all.Add(happened);
        return all;
    }

    public void HandleCommands()
    {
        foreach (ShardCore core in _nodes.SelectMany(n => n.Shards))
        {
            while (true)
            {
                core.HandleCommands(Now);
                bool more = core.HasPendingWork && !core.Originations.IsEmpty;
                if (!core.HasPendingWork || more) break;
            }
        }
    }

    /// <summary>Puts a datagram on the wire by hand.</summary>
    public void Inject(ShardNode from, ShardNode to, byte[] bytes) => _flying.Add(new WireDatagram { From = from, To = to, Bytes = bytes, Due = Now });

    /// <summary>Runs until nothing is due and nothing waits.</summary>
    public void Pump()
    {
        for (bool moved = true; moved;)
        {
            moved = false;
            foreach (ShardNode node in _nodes)
            {
                foreach (ShardCore core in node.Shards) moved |= Turn(node, core);
            }
        }
    }

    /// <summary>Moves time on, in steps, and keeps everything running.</summary>
    public void Run(TimeSpan time, TimeSpan step, Action? each = null)
    {
        for (Instant end = Now + time; Now < end;)
        {
            each?.Invoke();
            Pump();
            Clock.Advance(step);
        }

        Pump();
    }

    public void Dispose()
    {
        foreach (ShardNode node in _nodes) node.Dispose();
    }

    private bool Turn(ShardNode node, ShardCore core)
    {
        bool worked = core.HasPendingWork;
        MemoryTun? tun = node.Tuns.Length > 0 ? node.Tuns[core.Options.Shard] : null;
        if (tun is not null && core.Tunnel!.WantsTunReads) worked |= tun.Read(core.Tunnel.TunReads) > 0;
        core.HandleCommands(Now);
        if (FillBatch(node, core))
        {
            core.HandleDatagrams(core.Receives, Now);
            worked = true;
        }

        if (tun is not null)
        {
            core.Tunnel!.HandleTunnel(Now);
            worked |= core.Tunnel.HasTunnelWork;
        }

        core.HandleOriginations(Now);
        if (core.NextDeadline <= Now) core.HandleTimeout(Now);
        if (tun is not null) tun.Write(core.Tunnel!.TunWrites, core.Drops);
        for (int i = 0; i < core.Transmits.Count; i++)
        {
            Transmit t = core.Transmits.Items[i];
            UdpAddress address = core.Transmits.Routes[t.Route];
            ShardNode? to = _nodes.Find(n => n.Address == address);
            if (to is null) continue;
            var datagram = new WireDatagram { From = node, To = to, Bytes = core.Slab.Slice(t.Offset, t.Length).ToArray(), Due = Now + Delay };
            if (OnWire is null || OnWire(datagram)) _flying.Add(datagram);
            worked = true;
        }

        core.TransmitsSent();
        return worked;
    }

    // Neighbours from one sender and of one length share a receive, as GRO would have it.
    private bool FillBatch(ShardNode node, ShardCore core)
    {
        ReceiveBatch batch = core.Receives;
        batch.Count = 0;
        int shards = node.Shards.Length;
        for (int i = 0; i < _flying.Count; i++)
        {
            WireDatagram d = _flying[i];
            if (d.To != node || d.Due > Now) continue;
            bool steered = d.Bytes.Length >= 8 && (d.Bytes[0] & 0xC0) == 0x80;
            int shard = steered ? (int)(BinaryPrimitives.ReadUInt32BigEndian(d.Bytes.AsSpan(4)) % (uint)shards) : 0;
            if (node.Shards[shard] != core) continue;
            ref Received last = ref batch.Items[Math.Max(batch.Count - 1, 0)];
            if (batch.Count > 0 && last.From == d.From.Address && last.SegmentBytes == d.Bytes.Length && last.Length + d.Bytes.Length < 64000)
            {
                d.Bytes.CopyTo(core.Slab.Slice(last.Offset + last.Length, d.Bytes.Length));
                last.Length += d.Bytes.Length;
            }
            else
            {
                if (batch.Count == batch.Slots) break;
                int offset = batch.Offset + batch.Count * ReceiveBatch.SlotBytes;
                d.Bytes.CopyTo(core.Slab.Slice(offset, d.Bytes.Length));
                batch.Items[batch.Count++] = new Received { Offset = offset, Length = d.Bytes.Length, SegmentBytes = d.Bytes.Length, From = d.From.Address };
            }

            _flying.RemoveAt(i--);
        }

        return batch.Count > 0;
    }

    private (byte[] Key, LinkSuite Suite) KeyOf(WireDatagram datagram)
    {
        (byte[] secret, LinkSuite suite, _) = _secrets[SealedDatagram.Index(datagram.Bytes) ^ ((uint)datagram.To.Number << 24)];
        byte[] chain = [.. secret];
        for (int e = datagram.Bytes[0] & SealedDatagram.EpochMask; e > 0; e--) LinkKeys.NextChain([.. chain], chain);
        byte[] key = new byte[LinkKeys.ReadyKeyBytes];
        LinkKeys.ReadyKey(chain, suite, key);
        return (key, suite);
    }

    private byte[] Secret()
    {
        byte[] secret = new byte[32];
        _entropy.FillSecret(secret);
        return secret;
    }
}
