using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;
using Oxen.Router.Exit;

namespace Oxen.Testing;

/// <summary>A path of no hops: the far end of each stream is given to a function in this process.</summary>
internal sealed class FakeOnion(Func<IDuplexPipe, Task> exit) : IOnionStreams
{
    public ConcurrentQueue<IsolationKey> Isolations { get; } = new();

    public ConcurrentQueue<FakeStream> Streams { get; } = new();

    /// <summary>What the exit answered, as the doors tell it.</summary>
    public ConcurrentQueue<(ProxyDestination Destination, ProxyStatus Status)> Answers { get; } = new();

    public string? Unavailable { get; set; }

    /// <summary>With a real exit behind it that may reach loopback.</summary>
    public static FakeOnion WithExit(Func<string, System.Net.IPAddress[]>? names = null)
    {
        var policy = new ExitPolicy(ExitPolicy.DefaultRules.Select(ExitRule.Parse), [ExitRule.Parse("allow 127.0.0.0/8:*"), ExitRule.Parse("allow [::1]:*")]);
        var handler = new ExitStreamHandler(policy, new FakeResolver(names ?? (_ => [])), TimeProvider.System, new ExitLimits());
        return new FakeOnion(stream => handler.RunAsync(new ExitGuest(1), stream, CancellationToken.None));
    }

    public void OnAnswered(OnionStream stream, ProxyDestination destination, ProxyStatus status, TimeSpan took) => Answers.Enqueue((destination, status));

    public ValueTask<OnionStream> OpenAsync(IsolationKey isolation, CancellationToken cancel)
    {
        Isolations.Enqueue(isolation);
        if (Unavailable is not null) throw new OnionUnavailableException(Unavailable);
        var pair = new PipePair();
        var stream = new FakeStream(pair.Near);
        Streams.Enqueue(stream);
        _ = exit(pair.Far);
        return ValueTask.FromResult<OnionStream>(stream);
    }
}

internal sealed class FakeStream(IDuplexPipe transport) : OnionStream
{
    public override IDuplexPipe Transport => transport;

    public bool Aborted { get; private set; }

    public override void Abort(Exception? reason = null)
    {
        Aborted = true;
        transport.Input.CancelPendingRead();
        transport.Output.CancelPendingFlush();
    }

    public override async ValueTask DisposeAsync()
    {
        Exception? failure = Aborted ? new IOException("aborted") : null;
        await transport.Output.CompleteAsync(failure);
        await transport.Input.CompleteAsync(failure);
    }
}

internal sealed class FakeResolver(Func<string, System.Net.IPAddress[]> names) : IExitResolver
{
    public ConcurrentQueue<string> Asked { get; } = new();

    public async ValueTask<System.Net.IPAddress[]> ResolveAsync(string name, CancellationToken cancel)
    {
        Asked.Enqueue(name);
        await Task.Yield();
        return names(name);
    }
}

/// <summary>An association whose far side answers each datagram with itself.</summary>
internal sealed class EchoDatagrams : IOnionDatagrams
{
    public ConcurrentQueue<ProxyDestination> Sent { get; } = new();

    public int Open;

    public ValueTask<IOnionAssociation> AssociateAsync(IsolationKey isolation, CancellationToken cancel)
    {
        Interlocked.Increment(ref Open);
        return ValueTask.FromResult<IOnionAssociation>(new Association(this));
    }

    private sealed class Association(EchoDatagrams owner) : IOnionAssociation
    {
        private readonly Channel<OnionDatagram> _received = Channel.CreateBounded<OnionDatagram>(16);

        public ChannelReader<OnionDatagram> Received => _received.Reader;

        public bool TrySend(in ProxyDestination to, ReadOnlySpan<byte> payload)
        {
            owner.Sent.Enqueue(to);
            return _received.Writer.TryWrite(new OnionDatagram(to.IsName ? ProxyDestination.FromIPv4(0x01020304, to.Port) : to, payload.ToArray()));
        }

        public void Dispose()
        {
            Interlocked.Decrement(ref owner.Open);
            _received.Writer.TryComplete();
        }
    }
}
