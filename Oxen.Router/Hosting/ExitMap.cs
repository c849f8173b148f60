using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Hosting;

/// <summary>Exits for the destinations of some networks.</summary>
/// <param name="Ranges">Destinations; of several routes that have one, the longest range wins.</param>
/// <param name="Exits">Routers, the best first. Empty: the exits are hidden services.</param>
/// <param name="Services">Hidden services that are exits, by their names in `.loki`, the best first. A route has either these or routers.</param>
internal sealed record ExitRoute(IReadOnlyList<IpPrefix> Ranges, IReadOnlyList<RouterId> Exits, IReadOnlyList<string> Services);

/// <summary>
/// Which exits a client uses for which destination. The client's own word alone: what exits announce only keeps them out of
/// traffic that they do not offer, and never draws any to them.
/// </summary>
/// <param name="Usual">For names, and for addresses of no route; the best first, empty: any exit that goes everywhere.</param>
/// <param name="UsualServices">In place of routers: hidden services that are exits.</param>
internal sealed record ExitMap(IReadOnlyList<RouterId> Usual, IReadOnlyList<string> UsualServices, IReadOnlyList<ExitRoute> Routes)
{
    public static ExitMap None { get; } = new([], [], []);

    /// <summary>The number of a destination's route; -1: the usual exits.</summary>
    public int RouteOf(in ProxyDestination destination)
    {
        if (Routes.Count == 0 || destination.IsName || destination.IsNone) return -1;
        UdpAddress address = destination.Address;
        int best = -1, longest = -1;
        for (int i = 0; i < Routes.Count; i++)
        {
            foreach (IpPrefix range in Routes[i].Ranges)
            {
                if (range.Length <= longest || !range.Contains(address)) continue;
                (best, longest) = (i, range.Length);
            }
        }

        return best;
    }

    /// <summary>Hidden services that are the exits of a route; empty: routers are.</summary>
    public IReadOnlyList<string> ServicesOf(int route) => route < 0 ? UsualServices : Routes[route].Services;

    public IReadOnlyList<RouterId> ExitsOf(int route) => route < 0 ? Usual : Routes[route].Exits;
}
