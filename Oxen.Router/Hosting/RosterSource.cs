using Oxen.Router.Core.Directory;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

/// <summary>Turns a registry of service nodes into who may be a relay.</summary>
internal static class RosterSource
{
    /// <summary>The active nodes; an operator's name that is no short visible ASCII text counts as not known.</summary>
    public static RelayRoster Of(NodeRegistry registry) => new(registry.Nodes.Where(n => n.Active).Select(n => new RosterEntry(new RouterId(n.RouterId.Span), n.Operator)));
}
