using System.Net;
using System.Net.Security;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Peers;

/// <summary>Requests between nodes as `POST /swarm_peer/v1`, sealed by <see cref="PeerSeal"/>.</summary>
internal sealed class HttpsPeerTransport : IPeerTransport, IDisposable
{
    public const string Path = "/swarm_peer/v1";

    /// <summary>Header with the sender's id in hexadecimal.</summary>
    public const string SenderHeader = "X-Oxen-Node";

    /// <summary>A request or answer between nodes.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    private readonly HttpClient _http;
    private readonly PeerSeal _seal;
    private readonly SwarmIdentity _identity;
    private readonly SwarmClock _clock;

    public HttpsPeerTransport(SwarmIdentity identity, PeerSeal seal, SwarmClock clock)
    {
        _identity = identity;
        _seal = seal;
        _clock = clock;
        _http = new HttpClient(CreateHandler()) { Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxBytes };
    }

    /// <summary>Nodes' certificates are made by themselves and prove nothing: the seal does.</summary>
    public static SocketsHttpHandler CreateHandler() => new()
    {
#pragma warning disable CA5359 // a node's certificate is of its own making and proves nothing; the seal over each request and answer does
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
#pragma warning restore CA5359
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(2),
        ConnectTimeout = TimeSpan.FromSeconds(2),
        MaxConnectionsPerServer = 8,
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
    };

    public async Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel)
    {
        if (peer.Address is null || peer.HttpsPort == 0) return null;
        if (_seal.SealRequest(request, peer.Ed25519.Span, _clock.Local, out byte[] nonce) is not { } body) return null;
        using var timeout = new CancellationTokenSource(limit, _clock.Provider);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, timeout.Token);
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, new UriBuilder("https", new IPEndPoint(peer.Address, peer.HttpsPort).Address.ToString(), peer.HttpsPort, Path).Uri);
            message.Headers.Add(SenderHeader, Convert.ToHexStringLower(_identity.Ed25519.Span));
            message.Content = new ByteArrayContent(body);
            using HttpResponseMessage response = await _http.SendAsync(message, HttpCompletionOption.ResponseContentRead, linked.Token).ConfigureAwait(false);
            if (response.StatusCode != HttpStatusCode.OK) return null;
            byte[] answer = await response.Content.ReadAsByteArrayAsync(linked.Token).ConfigureAwait(false);
            return _seal.OpenAnswer(answer, peer.Ed25519.Span, nonce);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            return null; // not there, too slow, or we stop
        }
    }

    public void Dispose() => _http.Dispose();
}
