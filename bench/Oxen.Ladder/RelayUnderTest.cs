using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Native;
using Oxen.Router.Udp;

namespace Oxen.Ladder;

/// <summary>
/// A relay's core with paths through it, and the neighbour that sends to it: the neighbour seals random bodies under the link's
/// key, a path after another. To a relay in the middle any body is as good as a client's, so the neighbour needs no layers
/// and costs less than the relay.
/// </summary>
internal sealed class RelayUnderTest : IDisposable
{
    private const int InLink = 1, OutLink = 2;

    private readonly LinkTable _neighbour;
    private readonly PinnedBlock _unused = new(64);
    private readonly int _sender;
    private readonly ulong[] _handles;
    private readonly NetworkClock _network;
    private int _next;

    public RelayUnderTest(int paths, LinkSuite suite, UdpAddress source, UdpAddress target)
    {
        var entropy = new SystemBytes();
        _network = Clock.StartNetworkClock();
        Instant now = Clock.Now;
        var options = new ShardOptions
        {
            DeliverySlots = 256, OriginationSlots = 256, MaxPaths = paths, MaxClientPaths = 1, MaxReceivers = 16, MaxSenders = 16, ReplayFilterBytes = 128L << 20,
        };
        Core = new ShardCore(options, _network, entropy);
        var handles = new HandleAllocator(0, 1, options.MaxSlots, entropy);
        var numbers = new PathNumberAllocator(paths);
        var indexes = new ReceiverIndexAllocator(0, 1, options.MaxReceivers, entropy);
        indexes.TryTake(out uint index);
        byte[] secret = RandomNumberGenerator.GetBytes(32);
        Core.Post(new AddLinkReceiver(index, InLink, 0, source, suite, [.. secret]));
        Core.Post(new AddLinkSender(OutLink, 0, 0xABCD0123, target, suite, RandomNumberGenerator.GetBytes(32)));
        _neighbour = new LinkTable(1, 16, 16, new TransmitBatch(_unused, 16));
        _sender = _neighbour.AddSender(InLink, 0, index, source, suite, secret);
        _handles = new ulong[paths];
        for (int i = 0; i < paths; i++)
        {
            numbers.TryTake(out PathNumber number);
            handles.TryTake(out PathHandle up);
            handles.TryTake(out PathHandle down);
            _handles[i] = up.ToWire();
            Core.Post(new AddTransitPath(
                number, SizeClass.Full, new PathIngress(InLink, up), new PathEgress(OutLink, 0, new PathHandle(77, 99)), new PathIngress(OutLink, down),
                new PathEgress(InLink, 0, new PathHandle(5, 6)), new HopChains(RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32), _network.EpochAt(now)), Instant.Never));
        }

        while (Core.HasPendingWork) Core.HandleCommands(now);

        // Equal bodies would be replays.
        entropy.FillPublic(Core.Slab.Slice(0, Core.Receives.Slots * ReceiveBatch.SlotBytes));
    }

    public MonotonicClock Clock { get; } = new(TimeProvider.System);

    public ShardCore Core { get; }

    /// <summary>Seals whatever bytes lie there as bodies of the paths in turn. What was sealed before is random enough.</summary>
    public void Prepare(Span<byte> packets, int packetBytes, Instant now)
    {
        uint epoch = _network.EpochAt(now);
        for (int at = 0; at < packets.Length; at += packetBytes)
        {
            Span<byte> datagram = packets.Slice(at, packetBytes);
            SealedDatagram.WriteInner(datagram, _handles[_next], epoch, SizeClass.Full);
            _next = _next + 1 == _handles.Length ? 0 : _next + 1;
            _neighbour.Seal(datagram, _sender, now);
        }
    }

    public void Dispose()
    {
        _neighbour.Dispose();
        _unused.Dispose();
        Core.Dispose();
    }

    private sealed class SystemBytes : IEntropy
    {
        public void FillPublic(Span<byte> destination) => RandomNumberGenerator.Fill(destination);

        public void FillSecret(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
    }
}
