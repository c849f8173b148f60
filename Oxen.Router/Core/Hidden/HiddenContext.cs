using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

/// <summary>What every machine for hidden services shares.</summary>
internal sealed class HiddenContext
{
    public static readonly byte[] Alpn = "oxen-hidden/1"u8.ToArray();

    public required HiddenPaths Paths { get; init; }

    public required RelayRequests Requests { get; init; }

    public required NodeDirectory Directory { get; set; }

    public required NetworkClock Clock { get; init; }

    public required PeriodRandomness Randomness { get; init; }

    public required QuicTransportOptions Transport { get; init; }

    public required IHiddenEvents Events { get; init; }

    public required IEntropy Entropy { get; init; }

    public required DropCounters Drops { get; init; }

    public long UnixSeconds(Instant now) => Clock.UnixNanoseconds(now) / 1_000_000_000;

    /// <summary>Uniform below `bound`, from secret dice: the choice says who meets where.</summary>
    public int Choose(int bound)
    {
        Span<byte> bytes = stackalloc byte[8];
        Entropy.FillSecret(bytes);
        return (int)Math.BigMul(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes), (ulong)bound, out _);
    }

    /// <summary>A relay of the directory that is none of those; none when there is no other.</summary>
    public RouterId ChooseRelay(Func<RouterId, bool> excluded)
    {
        List<RouterId> left = [];
        foreach (RouterContact relay in Directory.Relays) if (!excluded(relay.Id)) left.Add(relay.Id);
        return left.Count == 0 ? default : left[Choose(left.Count)];
    }
}

/// <summary>What hidden services and their clients tell their owner, on the session thread.</summary>
internal interface IHiddenEvents : IHiddenPathEvents, IRelayRequestEvents
{
    /// <summary>Streams of a connection between client and service; its Tag is the <see cref="HiddenClient"/> or the <see cref="HiddenServiceSession"/>.</summary>
    void OnHiddenQuic(in QuicEvent happened, Instant now);

    /// <summary>A UDP record of a service (<see cref="ServiceUdp"/>).</summary>
    void OnHiddenUdp(HiddenClient client, ReadOnlySpan<byte> record, Instant now);

    /// <summary>A UDP record of a service's client (<see cref="ServiceUdp"/>).</summary>
    void OnServiceUdp(HiddenServiceSession session, ReadOnlySpan<byte> record, Instant now);

    /// <summary>An IP packet of a service (<see cref="ServicePackets"/>), unread.</summary>
    void OnHiddenPacket(HiddenClient client, Span<byte> record, Instant now);

    /// <summary>An IP packet of a client of a service that takes them (<see cref="ServicePackets"/>), unread.</summary>
    void OnServicePacket(HiddenServiceSession session, Span<byte> record, Instant now);

    /// <summary>A client of a service of ours is gone for good.</summary>
    void OnServiceSessionEnded(HiddenServiceSession session);

    /// <summary>Streams may be opened to the service.</summary>
    void OnHiddenClientReady(HiddenClient client, Instant now);

    /// <summary>The service is not reached; whoever wants it asks again.</summary>
    void OnHiddenClientLost(HiddenClient client, string reason, Instant now);

    /// <summary>The service can be found from now on.</summary>
    void OnServicePublished(HiddenService service, Instant now);
}
