using Oxen.Router.Client;
using Oxen.Router.Core.Directory;

namespace Oxen.Router.Hosting;

/// <summary>Streams through paths that end at a relay of the caller's choice.</summary>
internal interface IRelayStreams : IOnionStreams
{
    /// <summary>The routers whose contacts say this of them, and that the user's rules allow.</summary>
    Task<IReadOnlyList<RouterId>> FindRelaysAsync(RouterCapabilities capability, CancellationToken cancel);

    /// <summary>Opens a stream to this relay's plug-ins.</summary>
    /// <exception cref="OnionUnavailableException">There is no path to it; the message says why.</exception>
    ValueTask<OnionStream> OpenToRelayAsync(RouterId relay, IsolationKey isolation, CancellationToken cancel);
}
