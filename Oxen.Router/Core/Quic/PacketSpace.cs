using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Recovery;
using Oxen.Router.Core.Quic.Streams;

namespace Oxen.Router.Core.Quic;

/// <summary>
/// One packet-number space (Initial, Handshake, 1-RTT): keys, what was sent, what came, the TLS bytes of the level.
/// RFC 9000 section 12.3.
/// </summary>
internal sealed class PacketSpace(int index)
{
    public const int Initial = 0, Handshake = 1, Application = 2;

    /// <summary>Ranges of received numbers kept for ACK frames.</summary>
    public const int MaxAckRanges = 64;

    /// <summary>Handshake bytes a peer may have us keep out of order. RFC 9000 section 7.5 asks for at least 4096.</summary>
    public const int MaxCryptoBytes = 64 * 1024;

    public readonly int Index = index;
    public readonly SentPackets Sent = new();
    public readonly RangeSet Received = new();
    public readonly SendBuffer CryptoOut = new();
    public readonly ReceiveBuffer CryptoIn = new();

    public PacketKeys? ReadKeys;
    public PacketKeys? WriteKeys;
    public HeaderKey? ReadHeader;
    public HeaderKey? WriteHeader;
    public bool Discarded;

    // Receiving
    public long LargestReceived = -1;
    public long ReceivedFloor;          // numbers below are not told apart from doubles any more
    public Instant LargestReceivedAt;
    public int UnackedEliciting;        // ack-eliciting packets since our last ACK
    public bool AckNow;
    public Instant AckDeadline = Instant.Never;

    // Sending
    public long LargestAcked = -1;
    public int ElicitingInFlight;
    public Instant LastElicitingSent;
    public Instant LossTime = Instant.Never;
    public int ProbesDue;
    public bool PingDue;

    public bool CanSend => WriteKeys is not null && !Discarded;

    public bool HasCrypto => CryptoOut.HasLost || CryptoOut.HasUnsent;

    public bool IsDuplicate(long number) => number < ReceivedFloor || Received.Contains(number);

    /// <summary>Notes an authenticated packet. RFC 9000 section 13.2.1.</summary>
    public void OnReceived(long number, bool eliciting, int ackEvery, TimeSpan ackDelay, Instant now)
    {
        bool inOrder = number == LargestReceived + 1;
        Received.Add(number, number + 1);
        if (Received.Count > MaxAckRanges)
        {
            ReceivedFloor = Math.Max(ReceivedFloor, Received.First.End);
            Received.RemoveFirst();
        }

        if (number > LargestReceived)
        {
            LargestReceived = number;
            LargestReceivedAt = now;
        }

        if (!eliciting) return;
        UnackedEliciting++;
        if (Index != Application || !inOrder || UnackedEliciting >= ackEvery) AckNow = true;
        else if (AckDeadline.IsNever) AckDeadline = now + ackDelay;
    }

    public void OnAckSent()
    {
        UnackedEliciting = 0;
        AckNow = false;
        AckDeadline = Instant.Never;
    }

    /// <summary>The peer knows that we have all up to <paramref name="largest"/>: no need to tell it again.</summary>
    public void OnAckAcked(long largest)
    {
        if (largest < ReceivedFloor) return;
        Received.Remove(0, largest + 1);
        ReceivedFloor = largest + 1;
    }

    public void DropKeys()
    {
        ReadKeys?.Dispose();
        WriteKeys?.Dispose();
        ReadHeader?.Dispose();
        WriteHeader?.Dispose();
        ReadKeys = WriteKeys = null;
        ReadHeader = WriteHeader = null;
    }
}
