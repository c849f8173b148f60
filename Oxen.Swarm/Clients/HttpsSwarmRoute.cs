using Oxen.Swarm.Nodes;
using Oxen.Swarm.Peers;

namespace Oxen.Swarm.Clients;

/// <summary>Asks nodes by their HTTPS doors. They see the asker's address, or the proxy's.</summary>
public sealed class HttpsSwarmRoute : ISwarmRoute, IDisposable
{
    private const int MaxAnswerBytes = 16 * 1024 * 1024;
    private const int MaxConnections = 64;
    private readonly HttpClient _http;

    /// <summary>Makes a route.</summary>
    /// <param name="patience">How long one node may take.</param>
    /// <param name="proxy">Through this proxy, such as a client's SOCKS5 door; null: straight.</param>
    public HttpsSwarmRoute(TimeSpan patience, System.Net.IWebProxy? proxy = null)
    {
        SocketsHttpHandler handler = HttpsPeerTransport.CreateHandler();
        handler.MaxConnectionsPerServer = MaxConnections; // whoever asks for many accounts at once waits for the nodes, not for himself
        if (proxy is not null)
        {
            handler.Proxy = proxy;
            handler.UseProxy = true;
            handler.ConnectTimeout = patience; // a path may have to be built first
        }

        _http = new HttpClient(handler) { Timeout = patience, MaxResponseContentBufferSize = MaxAnswerBytes };
    }

    /// <inheritdoc/>
    public Task<SwarmAnswer> AskAsync(SwarmMember node, ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(node);
        return node.Address is null || node.HttpsPort == 0 ? Task.FromResult(SwarmAnswer.None) : PostAsync(node, "/storage_rpc/v1", request, cancel);
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>Asks as seeds are asked, `POST /json_rpc`.</summary>
    internal Task<SwarmAnswer> AskSeedAsync(SwarmMember node, ReadOnlyMemory<byte> request, CancellationToken cancel) => PostAsync(node, "/json_rpc", request, cancel);

    private async Task<SwarmAnswer> PostAsync(SwarmMember node, string path, ReadOnlyMemory<byte> request, CancellationToken cancel)
    {
        try
        {
            using var content = new ReadOnlyMemoryContent(request);
            using HttpResponseMessage reply = await _http.PostAsync(new UriBuilder("https", node.Address!.ToString(), node.HttpsPort, path).Uri, content, cancel).ConfigureAwait(false);
            return new SwarmAnswer((int)reply.StatusCode, await reply.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false));
        }
        catch (Exception e) when (!cancel.IsCancellationRequested && e is HttpRequestException or IOException or OperationCanceledException)
        {
            cancel.ThrowIfCancellationRequested();
            return SwarmAnswer.None;
        }
    }
}
