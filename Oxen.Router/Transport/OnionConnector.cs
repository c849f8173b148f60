using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Transport;

/// <summary>What a connection is opened through.</summary>
internal sealed record OnionWays(ServiceReach Services, IOnionStreams Exit);

/// <summary>Opens a connection by name: to a hidden service, or through an exit where that is wanted.</summary>
internal sealed class OnionConnector(Func<CancellationToken, ValueTask<OnionWays>> ways, OtherNames otherNames, IsolationKey isolation, TimeProvider time)
{
    // The exit's own limits are shorter, so its reason arrives.
    private static readonly TimeSpan ExitTime = TimeSpan.FromSeconds(25);

    /// <exception cref="SocketException">There is no connection; the message says why.</exception>
    public async ValueTask<Stream> ConnectAsync(string host, int port, CancellationToken cancel)
    {
        string name = host.TrimEnd('.').ToLowerInvariant();
        bool outside = ServiceNames.ZoneOf(name) == NameZone.Outside;
        if (outside && otherNames == OtherNames.Refused) throw new OnionSocketException(SocketError.AccessDenied, "only hidden services are reached from here: this is no `.loki` name");
        OnionWays through = await ways(cancel).ConfigureAwait(false);
        return new OnionNetworkStream(outside
            ? await OpenExitAsync(through.Exit, name, (ushort)port, cancel).ConfigureAwait(false)
            : await OpenServiceAsync(through.Services, name, (ushort)port, cancel).ConfigureAwait(false));
    }

    private async ValueTask<OnionStream> OpenServiceAsync(ServiceReach services, string name, ushort port, CancellationToken cancel)
    {
        ServiceAddress service;
        try
        {
            (service, name) = await ServiceNames.ResolveAsync(name, services.Names, cancel).ConfigureAwait(false);
        }
        catch (OnionUnavailableException e)
        {
            throw new OnionSocketException(SocketError.HostNotFound, e.Message);
        }

        try
        {
            return await services.Streams.OpenAsync(service, name, port, isolation, cancel).ConfigureAwait(false);
        }
        catch (OnionRefusedException e)
        {
            throw new OnionSocketException(OnionSocketException.ErrorOf(e.Status), e.Message);
        }
        catch (OnionUnavailableException e)
        {
            throw new OnionSocketException(SocketError.HostUnreachable, e.Message);
        }
    }

    private async ValueTask<OnionStream> OpenExitAsync(IOnionStreams exit, string host, ushort port, CancellationToken cancel)
    {
        if (!ProxyDestination.TryFromHost(host, port, out ProxyDestination target)) throw new OnionSocketException(SocketError.HostNotFound, "this is no name that an exit could resolve");
        ProxyConnection connection = await ProxyDoor.ConnectAsync(exit, isolation, target, ExitTime, time, cancel).ConfigureAwait(false);
        if (connection.Stream is { } stream) return stream;
        throw connection.Unavailable is { } reason ? new OnionSocketException(SocketError.NetworkUnreachable, reason) : OnionSocketException.OfExit(connection.Status);
    }
}
