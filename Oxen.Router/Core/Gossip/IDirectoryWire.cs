using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>How the directory's machines reach other relays: the links of a router, or a model of them in memory.</summary>
internal interface IDirectoryWire
{
    /// <summary>
    /// Asks a relay. The answer comes later, with the token that is returned here, as a reply or a failure; never during this call.
    /// Null: it cannot be asked now.
    /// </summary>
    /// <param name="message">Beginning with <see cref="DirectoryMessages.Kind"/>; owned by the wire from now on.</param>
    object? Ask(RouterId relay, byte[] message, int maxReplyBytes, Instant now);

    /// <summary>Nothing more will be asked of this relay for a while: a link that nobody else needs may end.</summary>
    void Release(RouterId relay, Instant now);
}
