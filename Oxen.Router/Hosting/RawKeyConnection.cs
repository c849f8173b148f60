using System.IO.Pipelines;
using System.Net;
using Oxen.Router.Core.Quic;

namespace Oxen.Router.Hosting;

/// <summary>A connection of a <see cref="RawKeyQuic"/> endpoint. Any thread.</summary>
public sealed class RawKeyConnection
{
    private readonly RawKeyLoop _loop;

    internal RawKeyConnection(RawKeyLoop loop, QuicConnection quic)
    {
        _loop = loop;
        Quic = quic;
        PeerKey = quic.PeerPublicKey.ToArray();
        RemoteEndPoint = quic.RemoteAddress.ToIPEndPoint();
    }

    /// <summary>The peer's Ed25519 key, 32 bytes, proven; empty for a client that showed none.</summary>
    public ReadOnlyMemory<byte> PeerKey { get; }

    /// <summary>The peer's address, as it was when the connection was made.</summary>
    public IPEndPoint RemoteEndPoint { get; }

    /// <summary>The connection is over.</summary>
    public bool IsClosed { get; internal set; }

    internal QuicConnection Quic { get; }

    /// <summary>Opens a stream both ways.</summary>
    /// <exception cref="IOException">The connection is over, or the peer allows no more streams now.</exception>
    public Task<RawKeyStream> OpenStreamAsync() => _loop.OpenStreamAsync(this);

    /// <summary>Ends the connection; what was not yet sent is lost.</summary>
    public void Close() => _loop.Close(this);
}

/// <summary>A stream both ways. Completing the writer ends our half; disposing ends both.</summary>
public sealed class RawKeyStream : IAsyncDisposable
{
    private readonly StreamBridge _bridge;

    internal RawKeyStream(RawKeyConnection connection, StreamBridge bridge)
    {
        Connection = connection;
        _bridge = bridge;
    }

    /// <summary>The connection that it belongs to.</summary>
    public RawKeyConnection Connection { get; }

    /// <summary>Its number on the wire; 0 is the first that a client opens.</summary>
    public long Id => _bridge.Stream;

    /// <summary>Its bytes. The reader throws <see cref="IOException"/> when the peer or the connection ends abruptly.</summary>
    public IDuplexPipe Transport => _bridge.Transport;

    /// <summary>Ends both halves at once and tells the peer.</summary>
    public void Abort() => _bridge.Abort();

    /// <summary>Ends our half after what was written, refuses what would still come.</summary>
    public ValueTask DisposeAsync() => _bridge.DisposeAsync();
}
