using System.Net;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Udp;

namespace Oxen.Router.Hosting;

/// <summary>How a <see cref="RawKeyQuic"/> endpoint speaks.</summary>
public sealed class RawKeyQuicOptions
{
    /// <summary>Where it listens, UDP; port 0 takes a free one.</summary>
    public IPEndPoint Listen { get; init; } = new(IPAddress.Any, 0);

    /// <summary>Application protocol (ALPN), 1 to 255 ASCII characters.</summary>
    public required string Protocol { get; init; }

    /// <summary>Streams that a peer may have open at a time.</summary>
    public int MaxStreams { get; init; } = 128;

    /// <summary>Serves a stream that a peer opened; the stream ends when the task does. Null: this endpoint only connects.</summary>
    public Func<RawKeyStream, CancellationToken, Task>? Serve { get; init; }

    /// <summary>A connection that a peer made is over.</summary>
    public Action<RawKeyConnection>? Closed { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>
/// QUIC v1 (RFC 9000) with TLS 1.3 raw public keys (RFC 7250), Ed25519, on a UDP socket of its own: for protocols of others that
/// ask for it. A peer's key is pinned or told, never derived from a certificate. Any thread.
/// </summary>
public sealed class RawKeyQuic : IAsyncDisposable
{
    private readonly TlsIdentity _identity;
    private readonly RawKeyLoop _loop;
    private readonly byte[][] _alpn;
    private readonly CancellationTokenSource _stop = new();
    private readonly RawKeyQuicOptions _options;
    private int _disposed;

    private RawKeyQuic(RawKeyQuicOptions options, TlsIdentity identity, IUdpSocket socket)
    {
        _options = options;
        _identity = identity;
        _alpn = [Encoding.ASCII.GetBytes(options.Protocol)];
        var transport = new QuicTransportOptions
        {
            InitialMaxData = 16 << 20, InitialMaxStreamData = 4 << 20, MaxBidiStreams = options.MaxStreams, MaxUniStreams = 0, SendBufferBytes = 2 << 20,
            IdleTimeout = TimeSpan.FromSeconds(60), KeepAlive = TimeSpan.FromSeconds(20), InitialRtt = LinkOptions.InitialRtt,
            AckEvery = 10, // a request's datagrams are mostly acknowledged by its answer
        };
        var endpoint = new QuicEndpoint(
            new QuicEndpointOptions
            {
                Transport = transport,
                Server = options.Serve is null ? null : new TlsServerOptions { Identity = identity, RequestClientKey = true, Alpn = _alpn },
            },
            new SystemEntropy());
        _loop = new RawKeyLoop(endpoint, socket, options.Time, OnStream, c => options.Closed?.Invoke(c));
        LocalEndPoint = socket.LocalAddress.ToIPEndPoint();
        _loop.Start();
    }

    /// <summary>Where it really listens.</summary>
    public IPEndPoint LocalEndPoint { get; }

    /// <summary>This endpoint's key: Ed25519, 32 bytes.</summary>
    public ReadOnlyMemory<byte> PublicKey => _identity.PublicKey.ToArray();

    /// <summary>Opens the socket and begins to speak.</summary>
    /// <param name="options">How.</param>
    /// <param name="seed">The endpoint's Ed25519 seed, 32 bytes; it is copied into guarded memory.</param>
    /// <exception cref="IOException">The address is taken, not ours, or forbidden.</exception>
    public static RawKeyQuic Open(RawKeyQuicOptions options, ReadOnlySpan<byte> seed)
    {
        ArgumentNullException.ThrowIfNull(options);
        var identity = TlsIdentity.FromSeed(seed);
        IUdpSocket? socket = null;
        try
        {
            socket = UdpSocketFactory.Open(UdpAddress.From(options.Listen), new UdpSocketOptions { ReceiveBufferBytes = 4 << 20, SendBufferBytes = 4 << 20 });
            return new RawKeyQuic(options, identity, socket);
        }
        catch
        {
            socket?.Dispose();
            identity.Dispose();
            throw;
        }
    }

    /// <summary>Connects to a peer and shows this endpoint's key.</summary>
    /// <param name="to">The peer's address.</param>
    /// <param name="serverKey">Its Ed25519 key, 32 bytes; another one ends the handshake.</param>
    /// <param name="cancel">Gives up.</param>
    /// <exception cref="IOException">It does not answer, or refuses, or has another key.</exception>
    public Task<RawKeyConnection> ConnectAsync(IPEndPoint to, ReadOnlyMemory<byte> serverKey, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(to);
        var tls = new TlsClientOptions { Identity = _identity, PinnedServerKey = serverKey.ToArray(), Alpn = _alpn };
        return _loop.ConnectAsync(UdpAddress.From(to), tls, cancel);
    }

    /// <summary>Says good-bye to every peer and closes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.StopAsync().ConfigureAwait(false);
        _loop.Dispose();
        _identity.Dispose();
        _stop.Dispose();
    }

    private void OnStream(RawKeyStream stream) => _ = Task.Run(async () =>
    {
        await using (stream.ConfigureAwait(false))
        {
            try
            {
                await _options.Serve!(stream, _stop.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
            {
                stream.Abort(); // the peer is gone, or we stop
            }
        }
    });
}
