using Oxen.Router.Hosting;

namespace Oxen.Router.Transport;

/// <summary>
/// Sends the requests of an `HttpClient` through the onion: `.loki` names to their hidden services, others through an exit or not at
/// all. Nothing is resolved and nothing connects on this machine's own network. HTTP/1.1, HTTP/2 (also in the clear, with
/// `HttpVersionPolicy.RequestVersionExact`) and WebSockets; no HTTP/3, which goes past a stream.
/// </summary>
/// <remarks>
/// Where there is no connection, `HttpRequestException.HttpRequestError` is `NameResolutionError` for a name that nobody has and
/// `ConnectionError` for the rest; the message says why.
/// </remarks>
public sealed class OnionHttpHandler : DelegatingHandler
{
    /// <param name="client">The router; it is started by the first request if it does not run. It stays its owner's.</param>
    /// <param name="options">Null: the defaults.</param>
    public OnionHttpHandler(OxenClient client, OnionHttpOptions? options = null)
        : this(ConnectorOf(client, options), options)
    {
    }

    internal OnionHttpHandler(OnionConnector connector, OnionHttpOptions? options)
        : base(Create(connector, options ?? new OnionHttpOptions()))
    {
    }

    private static OnionConnector ConnectorOf(OxenClient client, OnionHttpOptions? options)
    {
        ArgumentNullException.ThrowIfNull(client);
        return client.Connector(options?.OtherNames ?? OtherNames.ThroughExit, options?.Isolation);
    }

    private static SocketsHttpHandler Create(OnionConnector connector, OnionHttpOptions options)
    {
        var handler = new SocketsHttpHandler();
        options.Configure?.Invoke(handler);
        handler.UseProxy = false; // the system's proxy would be told every name
        handler.ActivityHeadersPropagator = null; // a trace's number in a header would tie requests to different services together
        handler.ConnectTimeout = options.ConnectTimeout;
        handler.ConnectCallback = (context, cancel) => connector.ConnectAsync(context.DnsEndPoint.Host, context.DnsEndPoint.Port, cancel);
        return handler;
    }
}
