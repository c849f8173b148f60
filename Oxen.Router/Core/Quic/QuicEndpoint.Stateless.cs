using System.Buffers.Binary;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;

namespace Oxen.Router.Core.Quic;

// Answers that belong to no connection: Retry, Version Negotiation, stateless reset. They wait in a ring of fixed slots; when
// it is full the answer is dropped, nothing grows.
internal sealed partial class QuicEndpoint
{
    private const int Slots = 64;
    private const int SlotBytes = 256;
    private const int MinResetTrigger = 43;
    private const int ResetBytes = 42;

    private readonly byte[] _outbox = new byte[Slots * SlotBytes];
    private readonly (UdpAddress To, int Length)[] _outboxEntries = new (UdpAddress, int)[Slots];
    private int _outboxFirst;
    private int _outboxCount;
    private float _resetTokens = 1;
    private Instant _resetsFilled = Instant.Zero;

    private bool TryTakeStateless(Span<byte> buffer, out int bytes, out UdpAddress to)
    {
        bytes = 0;
        to = default;
        if (_outboxCount == 0) return false;
        (to, bytes) = _outboxEntries[_outboxFirst];
        _outbox.AsSpan(_outboxFirst * SlotBytes, bytes).CopyTo(buffer);
        _outboxFirst = (_outboxFirst + 1) % Slots;
        _outboxCount--;
        return true;
    }

    private Span<byte> NewSlot()
    {
        if (_outboxCount < Slots) return _outbox.AsSpan((_outboxFirst + _outboxCount) % Slots * SlotBytes, SlotBytes);
        Counters.DroppedOutbox++;
        return default;
    }

    private void Commit(int length, in UdpAddress to) => _outboxEntries[(_outboxFirst + _outboxCount++) % Slots] = (to, length);

    // RFC 9000 section 17.2.5
    private void SendRetry(in PacketHeader header, in UdpAddress from, Instant now)
    {
        Span<byte> to = NewSlot();
        if (to.IsEmpty) return;
        to[0] = 0xF0;
        BinaryPrimitives.WriteUInt32BigEndian(to[1..], PacketHeader.Version1);
        int at = 5;
        to[at++] = (byte)header.Source.Length;
        header.Source.CopyTo(to[at..]);
        at += header.Source.Length;
        to[at++] = PacketHeader.LocalIdBytes;
        _entropy.FillPublic(to.Slice(at, PacketHeader.LocalIdBytes));
        at += PacketHeader.LocalIdBytes;
        var original = new ConnectionId(header.Destination);
        at += Retry.WriteToken(original, from, now, to[at..]);
        Retry.Tag(original, to[..at], to.Slice(at, 16));
        Commit(at + 16, from);
        Counters.RetriesSent++;
    }

    // RFC 9000 section 17.2.1. Connection ids of other versions may have 255 bytes: those get no answer.
    private void SendVersionNegotiation(in PacketHeader header, in UdpAddress from)
    {
        if (1 + 4 + 2 + header.Source.Length + header.Destination.Length + 8 > SlotBytes) return;
        Span<byte> to = NewSlot();
        if (to.IsEmpty) return;
        _entropy.FillPublic(to[..1]);
        to[0] |= 0xC0;
        BinaryPrimitives.WriteUInt32BigEndian(to[1..], 0);
        int at = 5;
        to[at++] = (byte)header.Source.Length;
        header.Source.CopyTo(to[at..]);
        at += header.Source.Length;
        to[at++] = (byte)header.Destination.Length;
        header.Destination.CopyTo(to[at..]);
        at += header.Destination.Length;
        BinaryPrimitives.WriteUInt32BigEndian(to[at..], PacketHeader.Version1);
        BinaryPrimitives.WriteUInt32BigEndian(to[(at + 4)..], 0x1A2A3A4A);   // a reserved one, so that clients learn to skip it (section 15)
        Commit(at + 8, from);
        Counters.VersionNegotiationsSent++;
    }

    /// <summary>Tells a peer that its connection is unknown here. Smaller than what caused it and limited in rate: no loops. RFC 9000 section 10.3.3.</summary>
    private void SendReset(ReadOnlySpan<byte> trigger, in UdpAddress from, Instant now)
    {
        if (trigger.Length < MinResetTrigger) return;
        _resetTokens = Math.Min(_options.StatelessResetsPerSecond, _resetTokens + (now.Nanoseconds - _resetsFilled.Nanoseconds) * 1e-9f * _options.StatelessResetsPerSecond);
        _resetsFilled = now;
        if (_resetTokens < 1) return;
        Span<byte> to = NewSlot();
        if (to.IsEmpty) return;
        _resetTokens--;
        to = to[..ResetBytes];
        _entropy.FillPublic(to);
        to[0] = (byte)(0x40 | (to[0] & 0x3F));
        WriteResetToken(new ConnectionId(trigger.Slice(1, PacketHeader.LocalIdBytes)), to[^16..]);
        Commit(ResetBytes, from);
        Counters.StatelessResetsSent++;
    }
}
