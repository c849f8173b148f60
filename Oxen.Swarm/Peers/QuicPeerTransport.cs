using System.Collections.Concurrent;
using System.Net;
using Oxen.Router.Hosting;
using Oxen.Swarm.Doors;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Peers;

// Requests between nodes over QUIC: one connection to each node, whose streams carry one request at a time and then the next. Both ends show their Ed25519 keys in the TLS
// handshake, so nothing more is sealed. docs/protocol/swarm.md#between-nodes
//
// Nobody waits for a handshake: until a connection stands, and when QUIC does not come through at all, requests go by HTTPS.

/// <summary>Requests between nodes by QUIC, and by HTTPS where QUIC does not come through. Any thread.</summary>
internal sealed class QuicPeerTransport(IPeerTransport https, SwarmClock clock) : IPeerTransport, IDisposable
{
    /// <summary>Endpoint of the QUIC door.</summary>
    public const string Endpoint = "oxen_peer";

    // The frame around a request needs a few bytes of the door's limit.
    private const int MaxBytes = BtRequests.MaxBytes - 1024;
    private const int MaxStreams = 96; // of the 128 that a door allows one connection
    private const int MaxConnections = 512; // more nodes than that are asked by HTTPS
    private static readonly TimeSpan RetryAfter = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(2);

    private readonly ConcurrentDictionary<string, Way> _ways = new();
    private volatile QuicDoor? _door;
    private long _quicCalls, _httpsCalls;

    private sealed class OpenStream(RawKeyStream quic)
    {
        public RawKeyStream Quic => quic;

        /// <summary>Requests so far; only whoever has the stream counts.</summary>
        public long Asked { get; set; }
    }

    private sealed class Way
    {
        public int Open;

        public ConcurrentStack<OpenStream> Idle { get; } = new();

        public Lock Gate { get; } = new();

        public RawKeyConnection? Connection { get; set; }

        public IPEndPoint? To { get; set; }

        public Task<RawKeyConnection?> Connecting { get; set; } = Task.FromResult<RawKeyConnection?>(null);

        /// <summary>When the last attempt failed; 0: none did.</summary>
        public long Failed { get; set; }

        public long Used { get; set; }
    }

    /// <summary>Requests that were answered over QUIC, and those that went by HTTPS.</summary>
    public (long Quic, long Https) Calls => (Interlocked.Read(ref _quicCalls), Interlocked.Read(ref _httpsCalls));

    /// <summary>From now on connections are made from this door's socket, with its key.</summary>
    public void Use(QuicDoor door) => _door = door;

    public async Task<byte[]?> CallAsync(SwarmMember peer, byte[] request, TimeSpan limit, CancellationToken cancel)
    {
        long begun = clock.Provider.GetTimestamp();
        if (_door is { } door && peer.QuicPort != 0 && peer.Address is not null && request.Length <= MaxBytes && WayTo(peer.Hex) is { } way)
        {
            using var timeout = new CancellationTokenSource(limit, clock.Provider);
            using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, timeout.Token);
            RawKeyConnection? connection = await ConnectionAsync(door, way, peer, peer.HttpsPort == 0, linked.Token).ConfigureAwait(false);
            if (connection is not null)
            {
                try
                {
                    if (await AskAsync(way, connection, request, linked.Token).ConfigureAwait(false) is { } answer)
                    {
                        Interlocked.Increment(ref _quicCalls);
                        return answer;
                    }
                }
                catch (Exception e) when (e is IOException or InvalidDataException or InvalidOperationException or OperationCanceledException)
                {
                    // A peer that was killed says nothing, and its next process does not know the connection.
                    if (!cancel.IsCancellationRequested) Drop(way, connection);
                }
            }
        }

        TimeSpan left = limit - clock.Provider.GetElapsedTime(begun);
        if (left <= TimeSpan.Zero || cancel.IsCancellationRequested) return null;
        Interlocked.Increment(ref _httpsCalls);
        return await https.CallAsync(peer, request, left, cancel).ConfigureAwait(false);
    }

    public void Dispose() => (https as IDisposable)?.Dispose();

    // Null: not an answer that can be used, or no stream is free, and HTTPS may do better.
    private static async Task<byte[]?> AskAsync(Way way, RawKeyConnection connection, byte[] request, CancellationToken cancel)
    {
        if (await StreamAsync(way, connection).ConfigureAwait(false) is not { } stream) return null;
        bool whole = false;
        try
        {
            long id = ++stream.Asked;
            await stream.Quic.Transport.Output.WriteAsync(BtRequests.Write(new BtMessage('C', id, Endpoint, request)), cancel).ConfigureAwait(false);
            BtMessage? answer = await BtRequests.ReadAsync(stream.Quic.Transport.Input, cancel).ConfigureAwait(false);
            whole = answer is not null && answer.Id == id;
            return answer is { Kind: 'R' } && whole ? answer.Body : null;
        }
        finally
        {
            if (whole)
            {
                way.Idle.Push(stream);
            }
            else
            {
                Interlocked.Decrement(ref way.Open);
                stream.Quic.Abort();
                await stream.Quic.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    // One that has answered, else a new one.
    private static async Task<OpenStream?> StreamAsync(Way way, RawKeyConnection connection)
    {
        while (way.Idle.TryPop(out OpenStream? idle))
        {
            if (idle.Quic.Connection == connection) return idle;
            Interlocked.Decrement(ref way.Open); // of a connection that is over
            await idle.Quic.DisposeAsync().ConfigureAwait(false);
        }

        if (Interlocked.Increment(ref way.Open) <= MaxStreams)
        {
            try
            {
                return new OpenStream(await connection.OpenStreamAsync().ConfigureAwait(false));
            }
            catch (IOException) when (!connection.IsClosed)
            {
                // the peer allows no more now
            }
            catch
            {
                Interlocked.Decrement(ref way.Open);
                throw;
            }
        }

        Interlocked.Decrement(ref way.Open);
        return null;
    }

    private static void Drop(Way way, RawKeyConnection connection)
    {
        lock (way.Gate)
        {
            if (way.Connection == connection) way.Connection = null;
        }

        connection.Close();
    }

    private Way? WayTo(string hex)
    {
        if (_ways.TryGetValue(hex, out Way? known)) return known;
        if (_ways.Count >= MaxConnections) Forget();
        return _ways.Count >= MaxConnections ? null : _ways.GetOrAdd(hex, _ => new Way());
    }

    // Those that nobody used for a while make room.
    private void Forget()
    {
        foreach ((string hex, Way way) in _ways)
        {
            lock (way.Gate)
            {
                if (clock.Provider.GetElapsedTime(way.Used) < IdleLimit || !way.Connecting.IsCompleted) continue;
                _ways.TryRemove(hex, out _);
                way.Connection?.Close();
                way.Connection = null;
            }
        }
    }

    private Task<RawKeyConnection?> ConnectionAsync(QuicDoor door, Way way, SwarmMember peer, bool wait, CancellationToken cancel)
    {
        lock (way.Gate)
        {
            way.Used = clock.Provider.GetTimestamp();
            var to = new IPEndPoint(peer.Address!, peer.QuicPort);
            bool moved = !to.Equals(way.To);
            if (way.Connection is { IsClosed: false } ready && !moved) return Task.FromResult<RawKeyConnection?>(ready);
            way.Connection?.Close();
            way.Connection = null;
            way.To = to;
            bool recently = way.Failed != 0 && clock.Provider.GetElapsedTime(way.Failed) < RetryAfter && !wait;
            if (moved || (way.Connecting.IsCompleted && !recently)) way.Connecting = Task.Run(() => ConnectAsync(door, way, to, peer.Ed25519), CancellationToken.None);
            if (!wait) return Task.FromResult<RawKeyConnection?>(null);
        }

        return WaitAsync(way.Connecting, cancel);
    }

    private static async Task<RawKeyConnection?> WaitAsync(Task<RawKeyConnection?> connecting, CancellationToken cancel)
    {
        try
        {
            return await connecting.WaitAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private async Task<RawKeyConnection?> ConnectAsync(QuicDoor door, Way way, IPEndPoint to, ReadOnlyMemory<byte> key)
    {
        RawKeyConnection? made = null;
        try
        {
            made = await door.ConnectAsync(to, key).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException or System.Net.Sockets.SocketException)
        {
            // HTTPS goes on
        }

        lock (way.Gate)
        {
            if (to.Equals(way.To))
            {
                way.Connection = made;
                way.Failed = made is null ? clock.Provider.GetTimestamp() : 0;
                return made;
            }
        }

        made?.Close(); // it has moved meanwhile
        return null;
    }
}
