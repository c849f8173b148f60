using System.Collections.Concurrent;
using System.Diagnostics;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Hosting;

namespace Oxen.Testing;

/// <summary>
/// Stream bridges on both ends of a QUIC connection over a simulated network. The thread that calls <see cref="Run"/> is the
/// session thread of both; the applications run on the thread pool.
/// </summary>
internal sealed class BridgeFixture : IDisposable
{
    private readonly AutoResetEvent _posted = new(false);

    public BridgeFixture(SimLink? link = null)
    {
        // Virtual time runs ahead of the thread pool: nothing may be timed out for that.
        var transport = new QuicTransportOptions { IdleTimeout = TimeSpan.FromDays(10) };
        Pair = new QuicPair(5, link ?? new SimLink { Delay = TimeSpan.FromMilliseconds(2) }, transport, transport);
        Near = new Side(this, Pair.Client);
        Far = new Side(this, Pair.Server);
        Connection = Pair.Establish();
    }

    public QuicPair Pair { get; }

    public QuicConnection Connection { get; }

    public Side Near { get; }

    public Side Far { get; }

    public StreamBridge Open()
    {
        if (!Connection.TryOpenStream(true, out long stream)) throw new InvalidOperationException("QUIC grants no stream");
        StreamBridge bridge = Near.Add(Connection, stream);
        bridge.Start(Pair.Network.Now);
        return bridge;
    }

    /// <summary>Opens a stream, says one byte, and takes it at the far end.</summary>
    public (StreamBridge Near, StreamBridge Far) OpenBoth()
    {
        StreamBridge near = Open();
        Run(near.Transport.Output.WriteAsync(new byte[1]).AsTask());
        Run(() => Far.Opened.Count > 0);
        StreamBridge far = Far.Opened.Dequeue();
        Run(Task.Run(async () => far.Transport.Input.AdvanceTo((await far.Transport.Input.ReadAsync()).Buffer.End)));
        return (near, far);
    }

    public void Run(Task task)
    {
        Run(() => task.IsCompleted);
        task.GetAwaiter().GetResult();
    }

    public T Run<T>(Task<T> task)
    {
        Run(() => task.IsCompleted);
        return task.GetAwaiter().GetResult();
    }

    /// <summary>Both session threads turn until `done`.</summary>
    public void Run(Func<bool> done)
    {
        long started = Stopwatch.GetTimestamp();
        while (!done())
        {
            if (Stopwatch.GetElapsedTime(started) > TimeSpan.FromSeconds(60)) throw new TimeoutException("the bridges stand still");
            Turn();
            WaitPosted();
        }
    }

    public void Turn()
    {
        Near.RunPosted();
        Far.RunPosted();
        Pair.Network.Run(TimeSpan.FromMilliseconds(5));
    }

    /// <summary>A moment, or until something is to be done.</summary>
    public void WaitPosted() => _posted.WaitOne(1);

    public void Dispose()
    {
        Pair.Dispose();
        _posted.Dispose();
    }

    internal sealed class Side : IStreamBridgeHost
    {
        private readonly BridgeFixture _fixture;
        private readonly QuicNode _node;
        private readonly ConcurrentQueue<ILoopWork> _work = new();
        private readonly Dictionary<long, StreamBridge> _bridges = [];

        public Side(BridgeFixture fixture, QuicNode node)
        {
            _fixture = fixture;
            _node = node;
            node.OnEvent = OnEvent;
        }

        public Queue<StreamBridge> Opened { get; } = [];

        public int Bridges => _bridges.Count;

        public StreamBridge Add(QuicConnection connection, long stream)
        {
            var bridge = new StreamBridge(this, connection, stream);
            _bridges.Add(stream, bridge);
            return bridge;
        }

        public void Post(ILoopWork work)
        {
            _work.Enqueue(work);
            _fixture._posted.Set();
        }

        public void Forget(StreamBridge bridge, QuicConnection connection) => _bridges.Remove(bridge.Stream);

        public void RunPosted()
        {
            for (int i = 0; i < 256 && _work.TryDequeue(out ILoopWork? work); i++) work.Run(_fixture.Pair.Network.Now);
            _fixture.Pair.Network.Wake(_node);
        }

        // As SessionLoop does.
        private void OnEvent(QuicEvent happened, Instant now)
        {
            if (happened.Kind == QuicEventKind.Closed)
            {
                foreach (StreamBridge lost in _bridges.Values.ToArray()) lost.OnLost("the connection ended", now);
            }
            else if (happened.Kind == QuicEventKind.StreamOpened)
            {
                StreamBridge opened = Add(happened.Connection, happened.StreamId);
                Opened.Enqueue(opened);
                opened.Start(now);
            }
            else if (_bridges.TryGetValue(happened.StreamId, out StreamBridge? bridge))
            {
                switch (happened.Kind)
                {
                    case QuicEventKind.StreamReadable: bridge.OnReadable(now); break;
                    case QuicEventKind.StreamWritable: bridge.OnWritable(now); break;
                    case QuicEventKind.StreamReset: bridge.OnReset(happened.ErrorCode, now); break;
                    case QuicEventKind.StreamStopped: bridge.OnStopped(happened.ErrorCode, now); break;
                }
            }
        }
    }
}
