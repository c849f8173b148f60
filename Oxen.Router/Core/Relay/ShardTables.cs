using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Relay;

/// <summary>
/// What the pipelines of one shard share: its tables, its counters, its way out to the other threads. One thread touches it.
/// </summary>
internal sealed class ShardTables(ShardOptions options, PinnedBlock slab, TransmitBatch transmits, PacketRing deliveries, ShardEventQueue events, IEntropy entropy) : IDisposable
{
    // A body that fails at an end of the path was changed on the way. Three in an epoch are no accident.
    private const int FailuresThatClose = 3;

    private const ulong NumbersPerEpoch = 1UL << 32;
    private const ulong NumberEnd = 1UL << 40;

    public readonly PinnedBlock Slab = slab;
    public readonly LinkTable Links = new(options.ShardCount, options.MaxReceivers, options.MaxSenders, transmits);
    public readonly HopTable Hops = new(options.Shard, options.ShardCount, options.MaxSlots, options.MaxPaths);
    public readonly HopKeySlab Keys = new(options.MaxPaths + options.MaxClientPaths * (PerHop.Length - 1));
    public readonly NumberWindows Windows = new((options.MaxPaths + options.MaxClientPaths * PerHop.Length) * 2);
    public readonly ReplayFilter Filter = new(options.ReplayFilterBytes, entropy);
    public readonly DropCounters Drops = new();
    public readonly PacketRing Deliveries = deliveries;
    public readonly ShardEventQueue Events = events;
    public readonly ShardOptions Options = options;

    /// <summary>Packets that crossed between joined paths.</summary>
    public long Crossed;

    private readonly long _answerInterval = 1_000_000_000L / options.AnswersPerSecond;

    public void Dispose()
    {
        Links.Dispose();
        Keys.Dispose();
    }

    // ---- originating: numbers, epochs, the way out ----

    /// <summary>
    /// The epoch to originate in. A path never goes back in it, whatever the clock does; but a clock that was wrong for a
    /// while must not spoil the paths that are built after it.
    /// </summary>
    public static uint OriginEpoch(in PathRow path, in PathEpochs epochs) => Math.Max(Math.Max(epochs.Current, path.NumberEpoch), path.StartEpoch);

    /// <summary>Writes number and ten zeros into the head of a body. False: the path has no number left in this epoch.</summary>
    public bool TryWriteHead(int row, ref PathRow path, uint epoch, Span<byte> body, Instant now)
    {
        if (epoch > path.NumberEpoch)
        {
            path.NumberEpoch = epoch;
            path.NumberLimit = Math.Min(path.NextNumber + NumbersPerEpoch, NumberEnd);
        }

        ulong number = path.NextNumber;
        if (number >= path.NumberLimit)
        {
            if (number == path.NumberLimit)
            {
                // Told once: the limit moves out of reach of this comparison.
                path.NumberLimit = 0;
                Events.TryAdd(new ShardEvent { Kind = ShardEventKind.NumbersExhausted, Path = new PathNumber(row, path.Generation), Link = -1, At = now });
            }

            return false;
        }

        path.NextNumber = number + 1;
        BinaryPrimitives.WriteUInt64BigEndian(body, ((ulong)Options.Shard << 56) | (number << 16));
        BinaryPrimitives.WriteUInt64BigEndian(body[8..], 0);
        return true;
    }

    /// <summary>The sender by which what we originate on this path leaves, or -1.</summary>
    public int OutSender(ref PathRow path)
    {
        if (!Links.IsSender(path.OutSender, path.OutLink)) path.OutSender = Links.FindSender(path.OutLink, path.OutShard);
        return path.OutSender;
    }

    /// <summary>The sender by which a transit direction leaves, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int EgressSender(ref SlotRow slot) => Links.IsSender(slot.EgressSender, slot.EgressLink) ? slot.EgressSender : FindEgress(ref slot);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FindEgress(ref SlotRow slot)
    {
        ref PathRow path = ref Hops.Path(slot.Path);
        slot.EgressSender = Links.FindSender(slot.EgressLink, slot.Kind == SlotKind.TransitUp ? path.OnwardShard : path.OutShard);
        return slot.EgressSender;
    }

    // ---- receiving at an end, or at the hop that is addressed ----

    /// <summary>Six bytes of number, ten zeros (docs/protocol/onion.md).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool HasTenZeros(ReadOnlySpan<byte> body)
        => (BinaryPrimitives.ReadUInt64BigEndian(body[8..]) | BinaryPrimitives.ReadUInt16BigEndian(body[6..])) == 0;

    /// <summary>Looks up the number in the windows that begin with `first` and takes it.</summary>
    public DropReason TakeNumber(ReadOnlySpan<byte> body, ref int first)
    {
        ulong head = BinaryPrimitives.ReadUInt64BigEndian(body);
        byte range = (byte)(head >> 56);
        ulong counter = (head >> 16) & (NumberEnd - 1);
        if (!Windows.IsNew(first, range, counter)) return DropReason.PathReplay;
        return Windows.Mark(ref first, range, counter) ? DropReason.None : DropReason.AnswerLimit;
    }

    /// <summary>A body that nobody of the path's far side made came to its end.</summary>
    public void CountFailure(int row, uint epoch, Instant now)
    {
        ref PathRow path = ref Hops.Path(row);
        if (path.FailureEpoch != epoch)
        {
            path.FailureEpoch = epoch;
            path.Failures = 0;
        }

        if (++path.Failures >= FailuresThatClose) Close(row, ShardEventKind.PathClosed, now);
    }

    /// <summary>Nothing passes on the path any more; the control thread hears of it once.</summary>
    public void Close(int row, ShardEventKind why, Instant now)
    {
        ref PathRow path = ref Hops.Path(row);
        if (path.Closed) return;
        path.Closed = true;
        if (path.UpSlot >= 0) Hops.Slot(path.UpSlot).Kind = SlotKind.Closed;
        if (path.DownSlot >= 0) Hops.Slot(path.DownSlot).Kind = SlotKind.Closed;
        Events.TryAdd(new ShardEvent { Kind = why, Path = new PathNumber(row, path.Generation), Link = -1, At = now });
    }

    /// <summary>Room for one more answer on this path?</summary>
    public bool MayAnswer(ref PathRow path, Instant now)
    {
        long empty = Math.Max(path.AnswerNext, now.Nanoseconds);
        if (empty - now.Nanoseconds > _answerInterval * Options.AnswerBurst) return false;
        path.AnswerNext = empty + _answerInterval;
        return true;
    }

    /// <summary>Copies content to the session thread's ring.</summary>
    public bool Deliver(int row, byte hop, byte command, ReadOnlySpan<byte> content, Instant now)
    {
        if (!Deliveries.TryReserve(out Span<byte> slot))
        {
            Drops.Count(DropReason.DeliveryQueueFull);
            return false;
        }

        content.CopyTo(slot[PacketRing.Headroom..]);
        Deliveries.Commit(new PacketTag
        {
            Subject = row, Generation = Hops.Path(row).Generation, Hop = hop, Command = command, Length = content.Length, At = now,
        });
        return true;
    }
}
