using System.Buffers.Binary;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;
using Oxen.Router.Udp;

namespace Oxen.Router.Daemon.Services;

/// <summary>What makes a hidden service an exit: joins what its clients send to the outside with sockets there, under the rules of an exit.</summary>
internal sealed class ServiceExit : IExitRecordSink, IDisposable
{
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(1);

    private readonly IHostedService _service;
    private readonly ExitStreamHandler _streams;
    private readonly ExitDatagrams _datagrams;
    private readonly MonotonicClock _clock;
    private readonly TimeProvider _time;

    // The datagrams' sockets are one thread's at a time.
    private readonly Lock _lock = new();
    private readonly byte[] _record = new byte[2 + JointSeal.MaxRecordBytes];
    private bool _disposed;

    public ServiceExit(IHostedService service, ExitPolicy policy, ExitLimits limits, TimeProvider time)
    {
        _service = service;
        _time = time;
        _clock = new MonotonicClock(time);
        var resolver = new SystemResolver();
        _streams = new ExitStreamHandler(policy, resolver, time, limits);
        _datagrams = new ExitDatagrams(policy, resolver, this, limits, time, Drops, Deliver);
    }

    public SharedDropCounters Drops { get; } = new();

    /// <summary>UDP sockets that are open.</summary>
    public int Associations
    {
        get
        {
            lock (_lock) return _datagrams.Count;
        }
    }

    /// <summary>Serves one stream to its end. Never throws for what strangers do.</summary>
    public async Task ServeAsync(ServiceStream stream, CancellationToken cancel)
    {
        await using (stream.ConfigureAwait(false)) await _streams.RunAsync(new ExitGuest(stream.Client), stream.Transport, stream.Target, cancel).ConfigureAwait(false);
    }

    /// <summary>A datagram to the outside: a destination stands before it.</summary>
    public void Take(in ServiceDatagram datagram)
    {
        lock (_lock)
        {
            if (_disposed || datagram.Payload.Length > _record.Length - 2) return;
            BinaryPrimitives.WriteUInt16BigEndian(_record, datagram.Association);
            datagram.Payload.Span.CopyTo(_record.AsSpan(2));
            _datagrams.Handle(datagram.Client, _record.AsSpan(0, 2 + datagram.Payload.Length), _clock.Now);
        }
    }

    /// <summary>Ends sockets that fell silent, now and then, until it is cancelled.</summary>
    public async Task SweepAsync(CancellationToken cancel)
    {
        using var timer = new PeriodicTimer(SweepEvery, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancel).ConfigureAwait(false))
            {
                lock (_lock) if (!_disposed) _datagrams.Sweep(_clock.Now);
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    /// <summary>What came back from the outside, on the thread that received it.</summary>
    public void Send(long session, ReadOnlySpan<byte> record) => _service.TrySend(session, BinaryPrimitives.ReadUInt16BigEndian(record), ServiceUdp.Outside, record[2..]);

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            _datagrams.Dispose();
        }
    }

    private void Deliver()
    {
        lock (_lock) if (!_disposed) _datagrams.DeliverResolved();
    }
}
