using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Hosting;

namespace Oxen.Ladder;

/// <summary>
/// The product's own client behind the tunnel of <see cref="TunRung"/>: a whole <see cref="ShardCore"/> with its <see cref="TunnelLane"/>, a link and a
/// path of three hops, everything on. Its peer is a far <see cref="LayeredEnd"/>.
/// </summary>
internal static class LaneEnd
{
    public static ShardCore Make(LayeredSecrets secrets, UdpAddress peer, NetworkClock network, InnerAddresses own, InnerAddresses leased)
    {
        var options = new ShardOptions
        {
            DeliverySlots = 256, OriginationSlots = 256, MaxPaths = 16, MaxClientPaths = 2, MaxReceivers = 16, MaxSenders = 16,
            Tunnel = new TunnelOptions { IsClient = true, Own = own },
        };
        var core = new ShardCore(options, network, new SystemEntropy());
        core.Tunnel!.Connect([core], _ => { });
        new PathNumberAllocator(options.MaxPaths).TryTake(out PathNumber number);
        HopChains[] hops = [.. Enumerable.Range(0, LayeredSecrets.Hops).Select(hop => new HopChains(secrets.Bytes($"up {hop}"), secrets.Bytes($"down {hop}"), secrets.StartEpoch))];
        core.Post(new AddLinkReceiver(LayeredEnd.ClientIndex, LayeredEnd.Link, 0, peer, LinkSuite.Aegis128L, secrets.Bytes("to client")));
        core.Post(new AddLinkSender(LayeredEnd.Link, 0, LayeredEnd.FarIndex, peer, LinkSuite.Aegis128L, secrets.Bytes("to far")));
        core.Post(new AddClientPath(number, SizeClass.Full, PathEgress.To(LayeredEnd.Link, secrets.Handle, 1), new PathIngress(LayeredEnd.Link, secrets.Handle), hops, Instant.Never));
        core.Post(new OpenTunnelPeer(0, leased));
        core.Post(new BindTunnelPath(0, number));
        core.Post(new RouteTunnelPeer(0, new PathRef(0, number)));
        return core;
    }
}
