using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;
using Oxen.Router.Hosting;

namespace Oxen.Testing;

/// <summary>
/// A network of one pair: hidden services and their clients in this process. Their streams are those of a router, on a real QUIC
/// connection with its flow control, over a simulated link that one thread drives.
/// </summary>
internal sealed class TwinServices : IServiceStreams, IServiceHosting, IDisposable
{
    private readonly BridgeFixture _net = new();
    private readonly ConcurrentQueue<Action> _work = new();
    private readonly ConcurrentDictionary<ServiceAddress, Service> _services = new();
    private readonly Queue<(Service Service, string Host, ushort Port)> _opening = new();
    private readonly Thread _thread;
    private volatile bool _stop;

    public TwinServices()
    {
        _thread = new Thread(Turn) { IsBackground = true, Name = "twin of sessions" };
        _thread.Start();
    }

    public ConcurrentQueue<IsolationKey> Isolations { get; } = new();

    /// <summary>Runs on the thread that drives the link.</summary>
    public void Post(Action<BridgeFixture> action) => _work.Enqueue(() => action(_net));

    public Task<IHostedService> HostAsync(HiddenServiceOptions options, CancellationToken cancel)
    {
        using var key = new ServiceKey(options.Seed);
        var service = new Service(this, key.Address);
        return _services.TryAdd(key.Address, service) ? Task.FromResult<IHostedService>(service) : throw new ArgumentException("hosted here already");
    }

    public async ValueTask<OnionStream> OpenAsync(ServiceAddress service, string host, ushort port, IsolationKey isolation, CancellationToken cancel)
    {
        Isolations.Enqueue(isolation);
        if (!_services.TryGetValue(service, out Service? hosted)) throw new OnionUnavailableException("no introset of this service is found");
        var opened = new TaskCompletionSource<StreamBridge>(TaskCreationOptions.RunContinuationsAsynchronously);
        _work.Enqueue(() =>
        {
            _opening.Enqueue((hosted, host, port));
            opened.SetResult(_net.Open());
        });
        StreamBridge near = await opened.Task.WaitAsync(cancel);
        await near.Transport.Output.WriteAsync(new byte[1], cancel);
        ProxyStatus status = await ReplyAsync(near.Transport.Input, cancel);
        if (status == ProxyStatus.Connected) return near;
        await near.DisposeAsync();
        throw OnionRefusedException.OfService(status);
    }

    public void Dispose()
    {
        _stop = true;
        _thread.Join();
        _net.Dispose();
    }

    private void Turn()
    {
        while (!_stop)
        {
            while (_work.TryDequeue(out Action? action)) action();
            _net.Turn();

            // No datagram is lost, so streams arrive in the order in which they were opened.
            while (_net.Far.Opened.TryDequeue(out StreamBridge? far))
            {
                (Service service, string host, ushort port) = _opening.Dequeue();
                _ = service.ArrivedAsync(far, host, port);
            }

            _net.WaitPosted();
        }
    }

    private static async ValueTask<ProxyStatus> ReplyAsync(PipeReader input, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await input.ReadAsync(cancel);
            WireResult result = ProxyWire.ReadReply(read.Buffer.ToArray(), out ProxyStatus status, out _, out int consumed);
            if (result != WireResult.Incomplete)
            {
                input.AdvanceTo(read.Buffer.GetPosition(consumed));
                return status;
            }

            if (read.IsCompleted) throw new IOException("no answer");
            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private sealed class Service(TwinServices twin, ServiceAddress address) : IHostedService
    {
        private readonly Channel<ServiceStream> _streams = Channel.CreateUnbounded<ServiceStream>();

        public ServiceAddress Address => address;

        public ChannelReader<ServiceStream> Streams => _streams.Reader;

        public ChannelReader<ServiceDatagram> Datagrams { get; } = Channel.CreateUnbounded<ServiceDatagram>().Reader;

        public bool TrySend(long client, ushort association, ushort port, ReadOnlySpan<byte> payload) => false;

        public void TakePackets(IServicePacketTaker taker) => throw new NotSupportedException();

        public bool TrySendPacket(long client, ReadOnlySpan<byte> packet) => false;

        public Task WaitPublishedAsync(CancellationToken cancel) => Task.CompletedTask;

        public Task<HostedServiceView> ReadViewAsync() => throw new NotSupportedException();

        public async Task ArrivedAsync(StreamBridge far, string host, ushort port)
        {
            ReadResult read = await far.Transport.Input.ReadAsync();
            far.Transport.Input.AdvanceTo(read.Buffer.GetPosition(1));
            var stream = new ServiceStream(far, ProxyDestination.TryFromHost(host, port, out ProxyDestination target) ? target : default, client: 7);
            if (!_streams.Writer.TryWrite(stream)) await stream.RefuseAsync(ProxyStatus.ConnectionRefused);
        }

        public ValueTask DisposeAsync()
        {
            twin._services.TryRemove(address, out _);
            _streams.Writer.TryComplete();
            return ValueTask.CompletedTask;
        }
    }
}
