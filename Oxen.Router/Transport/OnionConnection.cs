using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;
using Oxen.Router.Hosting;

namespace Oxen.Router.Transport;

/// <summary>
/// One stream of a client as a server's connection. The server reads and writes the stream's own pipes: there is no copy between
/// them, and back-pressure reaches from its handler to the client.
/// </summary>
internal sealed class OnionConnection : ConnectionContext, IConnectionIdFeature, IConnectionTransportFeature, IConnectionItemsFeature,
    IConnectionLifetimeFeature, IConnectionEndPointFeature, IMemoryPoolFeature, IOnionConnectionFeature
{
    private static readonly string Prefix = Convert.ToHexStringLower(BitConverter.GetBytes(Environment.TickCount64)); // tells runs apart in a log
    private static long _last;

    private readonly ServiceStream _stream;
    private readonly OnionEndPoint _local;
    private IDictionary<object, object?>? _items;

    public OnionConnection(ServiceStream stream, OnionEndPoint local)
    {
        _stream = stream;
        _local = local;
        Transport = stream.Transport;
        LocalEndPoint = local;
        ConnectionClosed = stream.InputEnded;
        ConnectionId = string.Create(CultureInfo.InvariantCulture, $"{Prefix}-{Interlocked.Increment(ref _last):x}");
        Features.Set<IConnectionIdFeature>(this);
        Features.Set<IConnectionTransportFeature>(this);
        Features.Set<IConnectionItemsFeature>(this);
        Features.Set<IConnectionLifetimeFeature>(this);
        Features.Set<IConnectionEndPointFeature>(this);
        Features.Set<IMemoryPoolFeature>(this);
        Features.Set<IOnionConnectionFeature>(this);
    }

    public override string ConnectionId { get; set; }

    public override IFeatureCollection Features { get; } = new FeatureCollection();

    public override IDictionary<object, object?> Items
    {
        get => _items ??= new ConnectionItems();
        set => _items = value;
    }

    public override IDuplexPipe Transport { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public MemoryPool<byte> MemoryPool => MemoryPool<byte>.Shared;

    string IOnionConnectionFeature.ServiceAddress => _local.Host!;

    string IOnionConnectionFeature.RequestedHost => _stream.Host;

    int IOnionConnectionFeature.Port => _stream.Port;

    long IOnionConnectionFeature.ClientSession => _stream.Client;

    public override void Abort(ConnectionAbortedException abortReason) => _stream.Abort(abortReason);

    /// <summary>What was written still goes out, with its end behind it.</summary>
    public override async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }
}
