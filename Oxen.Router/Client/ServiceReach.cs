using Oxen.Router.Core.Wire;
using Oxen.Router.Handlers;

namespace Oxen.Router.Client;

/// <summary>What a door needs to reach hidden services.</summary>
/// <param name="Names">Says what short names stand for; null: whole addresses alone are understood.</param>
internal sealed record ServiceReach(IServiceStreams Streams, IServiceDatagrams Datagrams, INameSource? Names)
{
    // Two paths each way, and a service that is met first.
    private static readonly TimeSpan MeetingTime = TimeSpan.FromSeconds(60);

    /// <summary>Opens a stream to a name in `.loki`; one in `.snode` is refused.</summary>
    public async ValueTask<ProxyConnection> ConnectAsync(ProxyDestination target, IsolationKey isolation, TimeProvider time, CancellationToken cancel)
    {
        using var limit = new CancellationTokenSource(MeetingTime, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            (Core.Hidden.ServiceAddress service, string host) = await ServiceNames.ResolveAsync(target.Name!, Names, linked.Token).ConfigureAwait(false);
            OnionStream stream = await Streams.OpenAsync(service, host, target.Port, isolation, linked.Token).ConfigureAwait(false);
            return new ProxyConnection(stream, ProxyStatus.Connected, default, null);
        }
        catch (OnionRefusedException e)
        {
            return new ProxyConnection(null, e.Status, default, null, e.Message);
        }
        catch (OnionUnavailableException e)
        {
            return new ProxyConnection(null, ProxyStatus.HostUnreachable, default, e.Message);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new ProxyConnection(null, ProxyStatus.TimedOut, default, null, "the hidden service did not answer in time");
        }
    }
}
