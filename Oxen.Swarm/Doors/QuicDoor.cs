using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Threading.Channels;
using Oxen.Router.Hosting;
using Oxen.Swarm.Api;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Doors;

// The QUIC door: raw public keys, ALPN `oxenstorage`, requests on streams that clients open. docs/protocol/swarm.md#quic
//
//   a method of the API   [code, answer], JSON or bt as the request was; an error is "CODE REASON\n\nwords"
//   onion_req             the body of POST /onion_req/v2, its answer as it is
//   monitor               subscriptions; notifications come as commands on the connection's stream 0
//   snode_ping            pong
//   oxen_peer             messages between nodes, of a node whose key the handshake has proven

/// <summary>The storage API over QUIC.</summary>
internal sealed class QuicDoor : IAsyncDisposable
{
    public const string Protocol = "oxenstorage";
    private const int MaxTrackedAddresses = 10_000;
    private const int MaxAtOnce = 64; // on one stream
    private const int MaxWaiting = 1024; // answers and notifications of one stream

    private readonly DoorTargets _targets;
    private readonly MonitorService _monitor;
    private readonly TokenBuckets<IPAddress> _rate;
    private readonly ConcurrentDictionary<RawKeyConnection, Subscriber> _subscribers = new();
    private readonly RawKeyQuic _quic;

    public QuicDoor(DoorTargets targets, MonitorService monitor, DoorOptions options)
    {
        _targets = targets;
        _monitor = monitor;
        _rate = new TokenBuckets<IPAddress>(options.RateBurst, options.RatePerSecond, MaxTrackedAddresses, targets.Core.Clock.Provider);
        _quic = RawKeyQuic.Open(new RawKeyQuicOptions { Listen = options.Listen, Protocol = Protocol, Serve = ServeAsync, Closed = OnClosed }, targets.Core.Identity.Seed);
    }

    public int Port => _quic.LocalEndPoint.Port;

    public ValueTask DisposeAsync() => _quic.DisposeAsync();

    /// <summary>Connects to another node and shows this node's key.</summary>
    /// <exception cref="IOException">It does not answer, or has another key.</exception>
    public Task<RawKeyConnection> ConnectAsync(IPEndPoint to, ReadOnlyMemory<byte> key) => _quic.ConnectAsync(to, key, CancellationToken.None);

    /// <summary>Whether another node answers a ping by QUIC, with the key that it should have.</summary>
    public async Task<bool> PingAsync(IPEndPoint to, ReadOnlyMemory<byte> key, CancellationToken cancel)
    {
        RawKeyConnection? connection = null;
        try
        {
            connection = await _quic.ConnectAsync(to, key, cancel).ConfigureAwait(false);
            RawKeyStream stream = await connection.OpenStreamAsync().ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                await stream.Transport.Output.WriteAsync(BtRequests.Write(new BtMessage('C', 1, "snode_ping", [])), cancel).ConfigureAwait(false);
                return await BtRequests.ReadAsync(stream.Transport.Input, cancel).ConfigureAwait(false) is { Kind: 'R', Id: 1 } answer && answer.Body.AsSpan().SequenceEqual("pong"u8);
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException or OperationCanceledException)
        {
            return false;
        }
        finally
        {
            connection?.Close();
        }
    }

    private async Task ServeAsync(RawKeyStream stream, CancellationToken cancel)
    {
        // Whoever has an answer also writes it: one hop less.
        var answers = Channel.CreateBounded<BtMessage>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true, AllowSynchronousContinuations = true });
        Task writing = WriteAsync(stream, answers.Reader, cancel);
        if (stream.Id == 0) _subscribers.GetOrAdd(stream.Connection, c => new Subscriber(c)).Attach(answers.Writer);
        List<Task> running = [];
        try
        {
            while (await BtRequests.ReadAsync(stream.Transport.Input, cancel).ConfigureAwait(false) is { } message)
            {
                if (message.Kind != 'C') continue; // an answer to nothing we asked
                if (running.Count >= MaxAtOnce) await Task.WhenAny(running).ConfigureAwait(false);
                running.RemoveAll(t => t.IsCompleted);
                running.Add(RunAsync(stream.Connection, message, answers.Writer, cancel));
            }

            await Task.WhenAll(running).ConfigureAwait(false);
        }
        catch (InvalidDataException)
        {
            stream.Abort();
        }
        finally
        {
            answers.Writer.TryComplete();
            await writing.ConfigureAwait(false);
        }
    }

    private async Task RunAsync(RawKeyConnection from, BtMessage command, ChannelWriter<BtMessage> answers, CancellationToken cancel)
    {
        if (command.Endpoint != QuicPeerTransport.Endpoint) await Task.Yield(); // the next command is read meanwhile; nodes wait for an answer before they send one
        try
        {
            await answers.WriteAsync(await AnswerAsync(from, command, cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
        {
            // whoever asked is gone, or we stop
        }
    }

    private static async Task WriteAsync(RawKeyStream stream, ChannelReader<BtMessage> answers, CancellationToken cancel)
    {
        try
        {
            await foreach (BtMessage message in answers.ReadAllAsync(cancel).ConfigureAwait(false))
            {
                FlushResult flushed = await stream.Transport.Output.WriteAsync(BtRequests.Write(message), cancel).ConfigureAwait(false);
                if (flushed.IsCompleted) break;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            // the same
        }
    }

    private async Task<BtMessage> AnswerAsync(RawKeyConnection from, BtMessage command, CancellationToken cancel)
    {
        switch (command.Endpoint)
        {
            case "snode_ping": return Reply(command, "pong"u8.ToArray());
            case QuicPeerTransport.Endpoint: return await PeerAsync(from, command).ConfigureAwait(false);
            case "monitor": return Reply(command, _monitor.Subscribe(command.Body, _subscribers.GetOrAdd(from, c => new Subscriber(c))));
        }

        if (HttpsDoor.Refusal(_targets) is { } refused) return Error(command, 503, refused);
        bool onion = command.Endpoint == "onion_req";
        if (!onion && !RequestParser.Knows(command.Endpoint)) return Error(command, 404, $"no method {command.Endpoint}");
        if (!_rate.Take(HttpsDoor.Prefix(from.RemoteEndPoint.Address))) return Error(command, ApiResult.TooMany, "Too many requests, try again later");
        if (onion)
        {
            (int status, byte[] body) = await _targets.Onion.HandleAsync(command.Body, cancel).ConfigureAwait(false);
            return status == 200 ? Reply(command, body) : Error(command, status, body);
        }

        (ApiResult result, bool bt) = await _targets.Api.HandleMethodAsync(command.Endpoint, command.Body, cancel).ConfigureAwait(false);
        if (result.Status != ApiResult.Ok) return Error(command, result.Status, result.ToBytes(bt));
        object body200 = result.Body is byte[] bytes && !bt ? new WireBytes(bytes, BytesForm.Base64) : result.Body;
        return Reply(command, bt ? BtEncoding.Write(new List<object> { (long)result.Status, body200 }) : JsonWire.Write(new List<object> { (long)result.Status, body200 }));
    }

    // The handshake has proven who asks; who is no node of the registry is refused before anything is read.
    private async Task<BtMessage> PeerAsync(RawKeyConnection from, BtMessage command)
    {
        if (from.PeerKey.Length != 32 || await _targets.Peers.HandleAsync(from.PeerKey, command.Body).ConfigureAwait(false) is not { } answer) return Error(command, ApiResult.Forbidden, "not a node");
        return Reply(command, answer);
    }

    // Whoever reads a message that is too long gives the whole connection up.
    private static BtMessage Reply(BtMessage command, byte[] body) =>
        body.Length <= BtRequests.MaxBytes - 64 ? new('R', command.Id, "", body) : Error(command, 413, "the answer is too long for this door");

    private static BtMessage Error(BtMessage command, int status, string words) => Error(command, status, Encoding.UTF8.GetBytes(words));

    private static BtMessage Error(BtMessage command, int status, byte[] body) =>
        new('E', command.Id, "", [.. Encoding.ASCII.GetBytes($"{status} {Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase(status)}\n\n"), .. body]);

    private void OnClosed(RawKeyConnection connection)
    {
        if (_subscribers.TryRemove(connection, out Subscriber? subscriber)) _monitor.Forget(subscriber);
    }

    /// <summary>A connection that wants notifications; one that does not read them loses the newest.</summary>
    private sealed class Subscriber(RawKeyConnection connection) : INotificationSink
    {
        private volatile ChannelWriter<BtMessage>? _to;
        private long _next;

        public string Id { get; } = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(8));

        public void Attach(ChannelWriter<BtMessage> to) => _to = to;

        public void Push(string command, byte[] body)
        {
            if (!connection.IsClosed) _to?.TryWrite(new BtMessage('C', Interlocked.Increment(ref _next), command == "message" ? "notify" : command, body));
        }
    }
}
