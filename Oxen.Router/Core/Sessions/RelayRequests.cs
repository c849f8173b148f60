using System.Buffers.Binary;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

/// <summary>What requests need from the control thread.</summary>
internal interface IRelayRequestEvents
{
    /// <summary>A path to this relay, for <see cref="ClientSessions"/>.</summary>
    void WantSession(int group, RouterId relay, Instant now);

    void DropSession(int group, Instant now);
}

/// <summary>Told once, on the session thread. `code` is that of docs/protocol/requests.md; -1: no answer at all.</summary>
internal delegate void RelayResponse(int code, ReadOnlySpan<byte> body, Instant now);

/// <summary>
/// A client's requests to plug-ins of relays: each over a path of its own, in a session of its own, so that the relays which answer
/// cannot tell that one client asked them all. Session thread, sans-IO.
/// </summary>
internal sealed class RelayRequests(ClientSessions sessions, IRelayRequestEvents events)
{
    private const int FirstGroup = 0x6000_0000;
    private const int MaxAtOnce = 8;
    private const int MaxResponseBytes = 64 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private sealed class Pending
    {
        public required int Group { get; init; }

        public required RouterId Relay { get; init; }

        public required byte[] Output { get; init; }

        public required RelayResponse Done { get; init; }

        public required Instant Deadline { get; init; }

        public int Sent { get; set; }

        public QuicConnection? Quic { get; set; }

        public long Stream { get; set; } = -1;

        public byte[] Input { get; set; } = new byte[1024];

        public int Received { get; set; }

        public bool Started { get; set; }
    }

    private readonly Dictionary<int, Pending> _pending = [];
    private readonly Queue<Pending> _queue = new();
    private readonly Queue<int> _finished = new(); // groups to close, not from within what the sessions tell
    private int _next = FirstGroup;
    private int _running;

    /// <summary>Requests that wait or are under way.</summary>
    public int Count => _pending.Count;

    public Instant NextDeadline
    {
        get
        {
            if (_finished.Count > 0 || (_queue.Count > 0 && _running < MaxAtOnce)) return Instant.Zero;
            Instant next = Instant.Never;
            foreach (Pending pending in _pending.Values) next = Instant.Earlier(next, pending.Deadline);
            return next;
        }
    }

    public static bool Owns(int group) => group >= FirstGroup;

    public void Send(RouterId relay, string method, ReadOnlySpan<byte> body, RelayResponse done, Instant now)
    {
        byte[] output = new byte[2 + method.Length + 4 + body.Length];
        var writer = new WireWriter(output);
        writer.Byte((byte)StreamKind.Request);
        writer.Byte((byte)method.Length);
        writer.Put(Encoding.ASCII.GetBytes(method));
        writer.UInt32((uint)body.Length);
        writer.Put(body);
        var pending = new Pending { Group = _next++, Relay = relay, Output = output, Done = done, Deadline = now + Patience };
        _pending.Add(pending.Group, pending);
        _queue.Enqueue(pending);
    }

    public void OnGroupReady(ClientGroup group, Instant now)
    {
        if (!_pending.TryGetValue(group.Number, out Pending? pending) || pending.Stream >= 0) return;
        if (group.Quic is not { } quic || !quic.TryOpenStream(bidirectional: true, out long stream))
        {
            Finish(pending, -1, default, now);
            return;
        }

        pending.Quic = quic;
        pending.Stream = stream;
        Write(pending);
    }

    public void OnGroupLost(ClientGroup group, Instant now)
    {
        if (_pending.TryGetValue(group.Number, out Pending? pending)) Finish(pending, -1, default, now);
    }

    /// <returns>False when the connection is not one of ours.</returns>
    public bool OnQuic(in QuicEvent happened, Instant now)
    {
        if (happened.Connection.Tag is not ClientGroup group || !Owns(group.Number)) return false;
        if (!_pending.TryGetValue(group.Number, out Pending? pending) || pending.Quic != happened.Connection) return true;
        switch (happened.Kind)
        {
            case QuicEventKind.StreamWritable when happened.StreamId == pending.Stream:
                Write(pending);
                break;
            case QuicEventKind.StreamReadable when happened.StreamId == pending.Stream:
                Read(pending, now);
                break;
            case QuicEventKind.Closed:
            case QuicEventKind.StreamReset when happened.StreamId == pending.Stream:
                Finish(pending, -1, default, now);
                break;
        }

        return true;
    }

    public void HandleTimeout(Instant now)
    {
        List<Pending>? late = null;
        foreach (Pending pending in _pending.Values) if (pending.Deadline <= now) (late ??= []).Add(pending);
        foreach (Pending pending in late ?? []) Finish(pending, -1, default, now);
        while (_finished.TryDequeue(out int group))
        {
            if (sessions.TryGet(group, out ClientGroup? finished)) sessions.Close(finished!, now);
            events.DropSession(group, now);
        }

        while (_running < MaxAtOnce && _queue.TryDequeue(out Pending? pending))
        {
            if (!_pending.ContainsKey(pending.Group)) continue; // it waited too long
            pending.Started = true;
            _running++;
            sessions.GetOrAdd(pending.Group);
            events.WantSession(pending.Group, pending.Relay, now);
        }
    }

    private static void Write(Pending pending)
    {
        if (pending.Sent == pending.Output.Length) return;
        pending.Sent += pending.Quic!.Write(pending.Stream, pending.Output.AsSpan(pending.Sent));
        if (pending.Sent == pending.Output.Length) pending.Quic.Finish(pending.Stream);
    }

    private void Read(Pending pending, Instant now)
    {
        while (true)
        {
            if (pending.Received == pending.Input.Length)
            {
                if (pending.Input.Length >= MaxResponseBytes)
                {
                    Finish(pending, -1, default, now);
                    return;
                }

                byte[] larger = new byte[2 * pending.Input.Length];
                pending.Input.CopyTo(larger, 0);
                pending.Input = larger;
            }

            int read = pending.Quic!.Read(pending.Stream, pending.Input.AsSpan(pending.Received), out bool end);
            pending.Received += read;
            ReadOnlySpan<byte> got = pending.Input.AsSpan(0, pending.Received);
            if (got.Length >= 5)
            {
                uint length = BinaryPrimitives.ReadUInt32BigEndian(got[1..]);
                if (length > MaxResponseBytes)
                {
                    Finish(pending, -1, default, now);
                    return;
                }

                if (got.Length >= 5 + length)
                {
                    Finish(pending, got[0], got.Slice(5, (int)length), now);
                    return;
                }
            }

            if (end)
            {
                Finish(pending, -1, default, now);
                return;
            }

            if (read == 0) return;
        }
    }

    private void Finish(Pending pending, int code, ReadOnlySpan<byte> body, Instant now)
    {
        if (!_pending.Remove(pending.Group)) return;
        if (pending.Started)
        {
            _running--;
            _finished.Enqueue(pending.Group);
        }

        pending.Done(code, body, now);
    }
}
