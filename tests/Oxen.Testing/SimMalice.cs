using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Relay;

namespace Oxen.Testing;

/// <summary>How bad a relay is: probabilities for each packet that it sends on.</summary>
internal sealed record SimMaliceOptions
{
    public double Drop { get; init; }

    /// <summary>Flips a bit of the body, or of the inner header.</summary>
    public double Tamper { get; init; }

    /// <summary>Sends it twice, each under a number of the link of its own.</summary>
    public double Replay { get; init; }

    /// <summary>Puts the body on the handle of another path that leaves by the same link.</summary>
    public double Misroute { get; init; }

    /// <summary>Holds it back for up to <see cref="LongestDelay"/>.</summary>
    public double Delay { get; init; }

    public TimeSpan LongestDelay { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>Hides contacts, repeats old ones, invents routers and answers nonsense when asked about the network.</summary>
    public bool Lies { get; init; }
}

/// <summary>
/// A relay of bad will: it holds the keys of its links, so it opens what its honest self has sealed, changes it, and seals it again under
/// numbers of its own. What it does is decided by its seed.
/// </summary>
internal sealed class SimMalice(SimNetwork network, SimMaliceOptions options, UdpAddress own, ulong seed)
{
    private sealed class Way(byte[] secret, LinkSuite suite)
    {
        public readonly byte[] Chain = secret;
        public readonly LinkSuite Suite = suite;
        public readonly List<byte[]> Keys = [];
        public ulong Counter;
        public ulong OtherHandle;
    }

    private readonly SeededEntropy _dice = new(seed ^ 0xBAD);
    private readonly Dictionary<(UdpAddress Peer, uint Index), Way> _ways = [];
    private readonly byte[] _datagram = new byte[SealedDatagram.FullBytes];
    private int _turn;
    private byte[]? _old;

    /// <summary>What it did, by kind.</summary>
    public SortedDictionary<string, long> Deeds { get; } = new(StringComparer.Ordinal);

    /// <summary>Takes note of a link's key, as it was installed. The secret is copied: the shard wipes it.</summary>
    public void Learn(AddLinkSender sender) => _ways[(sender.Peer, sender.PeerIndex)] = new Way([.. sender.Secret], sender.Suite);

    public void Send(ReadOnlySpan<byte> fromShard, in UdpAddress to)
    {
        if (!_ways.TryGetValue((to, SealedDatagram.Index(fromShard)), out Way? way)) throw new InvalidOperationException("a link that it has not heard of");
        Span<byte> datagram = _datagram.AsSpan(0, fromShard.Length);
        fromShard.CopyTo(datagram);
        if (!LinkSeal.Open(datagram, KeyOf(way, datagram[0]), way.Suite)) throw new InvalidOperationException("its own seal does not open");
        if (Does("drop", options.Drop)) return;
        ulong handle = BinaryPrimitives.ReadUInt64BigEndian(datagram[SealedDatagram.HandleAt..]);
        if (Does("misroute", way.OtherHandle == 0 ? 0 : options.Misroute)) BinaryPrimitives.WriteUInt64BigEndian(datagram[SealedDatagram.HandleAt..], way.OtherHandle);
        else if (handle != way.OtherHandle && _dice.Next(4) == 0) way.OtherHandle = handle;
        if (Does("tamper", options.Tamper))
        {
            // Mostly the body; now and then the header, zeros and epoch bits and all.
            int from = _dice.Next(8) == 0 ? SealedDatagram.HandleAt : SealedDatagram.HeaderBytes;
            datagram[from + _dice.Next(datagram.Length - SealedDatagram.TagBytes - from)] ^= (byte)(1 << _dice.Next(8));
        }

        if (Does("replay", options.Replay)) Leave(way, [.. datagram], to);
        if (!Does("delay", options.Delay))
        {
            Leave(way, datagram, to);
            return;
        }

        byte[] held = [.. datagram];
        UdpAddress at = to;
        network.Schedule(network.Now + options.LongestDelay * _dice.NextDouble(), () => Leave(way, held, at));
    }

    /// <summary>In the place of an honest answer about the network.</summary>
    public byte[]? Lie(byte[] request, byte[]? honest)
    {
        Count("lie");
        bool fetch = request.Length > 1 && request[1] == (byte)DirectoryOperation.Fetch;
        byte[]? stale = _old;
        if (fetch && honest is not null) _old ??= honest;
        switch (++_turn % 5)
        {
            case 0:
                return [(byte)RangeMode.Same, 0];
            case 1 when fetch && stale is not null:
                return stale;
            case 2:
                using (RouterIdentity invented = RouterIdentity.Create(_dice)) return [(byte)RangeMode.List, 0, 0, 1, .. invented.Id.ToArray(), .. new byte[24]];
            case 3:
                return null;
            default:
                return honest;
        }
    }

    private void Leave(Way way, Span<byte> opened, in UdpAddress to)
    {
        BinaryPrimitives.WriteUInt64BigEndian(opened[SealedDatagram.CounterAt..], way.Counter++);
        LinkSeal.Seal(opened, KeyOf(way, opened[0]), way.Suite);
        network.Send(opened, own, to);
    }

    private bool Does(string what, double probability)
    {
        if (probability <= 0 || _dice.NextDouble() >= probability) return false;
        Count(what);
        return true;
    }

    private void Count(string what) => Deeds[what] = Deeds.GetValueOrDefault(what) + 1;

    // A link lives an hour, thirty epochs: the six bits are the whole number.
    private static byte[] KeyOf(Way way, byte first)
    {
        int epoch = first & SealedDatagram.EpochMask;
        while (way.Keys.Count <= epoch)
        {
            byte[] key = new byte[LinkKeys.ReadyKeyBytes];
            LinkKeys.ReadyKey(way.Chain, way.Suite, key);
            way.Keys.Add(key);
            LinkKeys.NextChain([.. way.Chain], way.Chain);
        }

        return way.Keys[epoch];
    }
}
