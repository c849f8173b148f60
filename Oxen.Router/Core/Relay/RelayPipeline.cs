// Relay pipeline, some packets at a time so that their bytes stay in the near cache:
//   1 classify (open the link's seal; length and kind are known)   -> strangers, replays and forgeries of the link drop here
//   2 look up  (handle -> slot, epoch bits -> epoch, shares)       -> unknown, stale, misplaced packets drop here
//   3 peel     (one layer, in place; a client's are unwrapped)     -> what fails at an end of the path drops here
//   4 replay   (filter over heads; exact window where addressed)
//   5 route    (new header for the next link; deliver; answer)
//   6 seal     (for the link that it leaves by)
// The methods below stand in this order. Small descriptors move, bytes stay.
using System.Buffers.Binary;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native;

namespace Oxen.Router.Core.Relay;

/// <summary>Takes sealed datagrams through all stages. What leaves is sealed and stands in the egress lists.</summary>
internal sealed class RelayPipeline(ShardTables tables, ClientPipeline client, PathFairness fairness, EgressLists egress, Packet[] packets, TunnelLane? tunnel)
{
    /// <summary>Packets that go through the stages together: 32 full ones are 45 kB.</summary>
    public const int Chunk = 32;

    // A capped path may send so many packets at once.
    private const int CapBurst = 64;

    private readonly ulong[] _mixes = new ulong[Chunk];

    /// <param name="received">Where the packets came from: a packet's Next is its row here.</param>
    public void Run(int from, int to, Received[] received, in PathEpochs epochs, Instant now)
    {
        Classify(from, to, received, now);
        LookUp(from, to, epochs, now);
        Peel(from, to, now);
        Replay(from, to);
        Route(from, to, epochs, now);
        Seal(from, to, now);
    }

    private void Classify(int from, int to, Received[] received, Instant now)
    {
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            Span<byte> datagram = tables.Slab.Slice(p.Offset, p.Length);
            DropReason reason = tables.Links.Open(datagram, received[p.Next].From, out p.Ingress, out bool moved, now);
            if (reason != DropReason.None)
            {
                Drop(ref p, reason);
                if (moved)
                {
                    int link = tables.Links.Receiver(p.Ingress).Link;
                    tables.Events.TryAdd(new ShardEvent { Kind = ShardEventKind.LinkAddressChanged, Link = link, Address = received[p.Next].From, At = now });
                }

                continue;
            }

            // The inner header is readable now: its slot will be wanted in a moment.
            p.Slot = tables.Hops.RowOf(BinaryPrimitives.ReadUInt32BigEndian(datagram[SealedDatagram.HandleAt..]));
            if (p.Slot >= 0) Prefetch.Line(ref tables.Hops.Slot(p.Slot));
        }
    }

    private void LookUp(int from, int to, in PathEpochs epochs, Instant now)
    {
        bool busy = fairness.IsAwake;
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            if (p.Verdict != Verdict.Undecided) continue;
            if (!SealedDatagram.TryReadInner(tables.Slab.Slice(p.Offset, SealedDatagram.HeaderBytes), out ulong handle, out uint epochBits, out SizeClass size))
            {
                Drop(ref p, DropReason.ReservedNotZero);
                continue;
            }

            if (p.Slot < 0)
            {
                Drop(ref p, DropReason.UnknownPath);
                continue;
            }

            ref SlotRow slot = ref tables.Hops.Slot(p.Slot);
            DropReason reason = tables.Hops.Check(slot, (uint)handle, tables.Links.Receiver(p.Ingress).Link, size, now);
            if (reason == DropReason.None && SealedDatagram.Bytes(size) != p.Length) reason = DropReason.WrongClass;
            if (reason != DropReason.None)
            {
                Drop(ref p, reason);
                continue;
            }

            p.Class = size;
            p.Epoch = epochs.Resolve(epochBits);
            if (p.Epoch == 0)
            {
                Drop(ref p, DropReason.WrongEpoch);
                continue;
            }

            if ((busy && !fairness.TryPass(p.Slot)) || (slot.CapInterval != 0 && !UnderCap(ref slot, now)))
            {
                Drop(ref p, DropReason.PathShare);
                continue;
            }

            slot.Packets++;
            tables.Keys.PrefetchKeys(slot.Path, slot.Direction, p.Epoch);
        }
    }

    private void Peel(int from, int to, Instant now)
    {
        int waiting = -1; // for a second one: two layers at once cost less than one after the other
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            if (p.Verdict != Verdict.Undecided) continue;
            ref SlotRow slot = ref tables.Hops.Slot(p.Slot);
            if (slot.Kind == SlotKind.Closed)
            {
                Drop(ref p, DropReason.PathClosed); // by a packet before it in this chunk
                continue;
            }

            if (slot.Kind == SlotKind.ClientDown)
            {
                DropReason reason = client.Receive(slot.Path, p.Offset + SealedDatagram.HeaderBytes, Body(p), p.Class, p.Epoch, now);
                if (reason == DropReason.None) p.Verdict = Verdict.Done;
                else Drop(ref p, reason);
                continue;
            }

            if (tables.Keys.Keys(slot.Path, slot.Direction, p.Epoch).IsEmpty)
            {
                Drop(ref p, DropReason.WrongEpoch);
                continue;
            }

            if (waiting < 0)
            {
                waiting = i;
                continue;
            }

            ref Packet q = ref packets[waiting];
            PathDirection first = tables.Hops.Slot(q.Slot).Direction, second = slot.Direction;
            OnionLayer.ForwardTwo(
                Body(q), tables.Keys.Keys(tables.Hops.Slot(q.Slot).Path, first, q.Epoch), LayerTweak.ForData(q.Class, first, q.Epoch),
                Body(p), tables.Keys.Keys(slot.Path, second, p.Epoch), LayerTweak.ForData(p.Class, second, p.Epoch));
            Peeled(ref q, out _mixes[waiting - from], now);
            Peeled(ref p, out _mixes[i - from], now);
            waiting = -1;
        }

        if (waiting < 0) return;
        ref Packet last = ref packets[waiting];
        ref SlotRow lastSlot = ref tables.Hops.Slot(last.Slot);
        OnionLayer.Forward(
            Body(last), tables.Keys.Keys(lastSlot.Path, lastSlot.Direction, last.Epoch), LayerTweak.ForData(last.Class, lastSlot.Direction, last.Epoch));
        Peeled(ref last, out _mixes[waiting - from], now);
    }

    private void Peeled(ref Packet p, out ulong mix, Instant now)
    {
        ref SlotRow slot = ref tables.Hops.Slot(p.Slot);
        Span<byte> body = Body(p);
        mix = 0;
        if (slot.Kind == SlotKind.Closed)
        {
            Drop(ref p, DropReason.PathClosed);
        }
        else if (slot.Direction == PathDirection.Upstream && ShardTables.HasTenZeros(body))
        {
            p.Verdict = Verdict.Addressed;
        }
        else if (slot.Kind == SlotKind.TerminalUp)
        {
            Drop(ref p, DropReason.NotRecognised);
            tables.CountFailure(slot.Path, p.Epoch, now);
        }
        else
        {
            p.Verdict = Verdict.Forward;
            mix = tables.Filter.Mix(body, tables.Hops.SlotNumber(p.Slot), slot.Generation);
            tables.Filter.Fetch(mix, p.Epoch);
        }
    }

    private void Replay(int from, int to)
    {
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            if (p.Verdict == Verdict.Forward)
            {
                if (!tables.Filter.TryAdd(_mixes[i - from], p.Epoch)) Drop(ref p, DropReason.ReplayFilter);
            }
            else if (p.Verdict == Verdict.Addressed)
            {
                DropReason reason = tables.TakeNumber(Body(p), ref tables.Hops.Path(tables.Hops.Slot(p.Slot).Path).Windows[0]);
                if (reason != DropReason.None) Drop(ref p, reason);
            }
        }
    }

    private void Route(int from, int to, in PathEpochs epochs, Instant now)
    {
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            if (p.Verdict == Verdict.Forward)
            {
                ref SlotRow slot = ref tables.Hops.Slot(p.Slot);
                int sender = tables.EgressSender(ref slot);
                if (sender < 0)
                {
                    Drop(ref p, DropReason.NoEgressLink);
                    continue;
                }

                SealedDatagram.WriteInner(tables.Slab.Slice(p.Offset, SealedDatagram.HeaderBytes), slot.EgressHandle, p.Epoch, p.Class);
                p.Ingress = sender;
                p.Verdict = Verdict.Leave;
            }
            else if (p.Verdict == Verdict.Addressed)
            {
                RouteAddressed(ref p, epochs, now);
            }
        }
    }

    private void RouteAddressed(ref Packet p, in PathEpochs epochs, Instant now)
    {
        ref SlotRow slot = ref tables.Hops.Slot(p.Slot);
        ref PathRow path = ref tables.Hops.Path(slot.Path);
        Span<byte> body = Body(p);
        byte command = body[OnionLayer.HeadBytes];
        ReadOnlySpan<byte> content = body[(OnionLayer.HeadBytes + 1)..];
        switch (command)
        {
            case OnionCommand.FirstOfEnds when tunnel is not null && path.Kind == PathKind.Terminal
                && !tunnel.Take(slot.Path, p.Offset + SealedDatagram.HeaderBytes + OnionLayer.HeadBytes + 1, content.Length, now):
                p.Verdict = Verdict.Done;
                break;
            case Sessions.EndCommand.Joined when path.JoinedRow > 0 && TryCross(ref p, path, epochs, now):
                break;
            case >= OnionCommand.FirstOfEnds when path.Kind == PathKind.Terminal:
                tables.Deliver(slot.Path, 0, command, content, now);
                p.Verdict = Verdict.Done;
                break;
            case OnionCommand.Probe or OnionCommand.Statistics:
                Answer(ref p, ref path, slot.Path, command, BinaryPrimitives.ReadUInt64BigEndian(content), epochs, now);
                break;
            case OnionCommand.Teardown:
                tables.Close(slot.Path, ShardEventKind.TeardownReceived, now);
                p.Verdict = Verdict.Done;
                break;
            default:
                Drop(ref p, DropReason.BadCommand);
                break;
        }
    }

    // A rendezvous: command and content stay where they are and leave by the other path, with that path's number and layer. False:
    // that path is gone or going; the session thread knows what is to be done.
    private bool TryCross(ref Packet p, in PathRow from, in PathEpochs epochs, Instant now)
    {
        int row = from.JoinedRow - 1;
        if (!tables.Hops.IsPath(row, from.JoinedGeneration)) return false;
        ref PathRow path = ref tables.Hops.Path(row);
        if (path.Closed || path.Expires <= now.Nanoseconds) return false;
        uint epoch = ShardTables.OriginEpoch(path, epochs);
        DropReason reason = Originator.WrapDownstream(tables, row, ref path, epoch, tables.Slab.Slice(p.Offset, p.Length), p.Class, now);
        if (reason != DropReason.None)
        {
            Drop(ref p, reason);
            return true;
        }

        p.Ingress = path.OutSender;
        p.Epoch = epoch;
        p.Verdict = Verdict.Leave;
        tables.Crossed++;
        return true;
    }

    // Hop control is answered downstream in the same turn, in the bytes that the question came in.
    private void Answer(ref Packet p, ref PathRow path, int row, byte command, ulong id, in PathEpochs epochs, Instant now)
    {
        if (!tables.MayAnswer(ref path, now))
        {
            Drop(ref p, DropReason.AnswerLimit);
            return;
        }

        Span<byte> body = Body(p);
        Span<byte> content = body[(OnionLayer.HeadBytes + 1)..];
        content.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(content, id);
        if (command == OnionCommand.Statistics)
        {
            BinaryPrimitives.WriteUInt64BigEndian(content[8..], path.UpSlot >= 0 ? (ulong)tables.Hops.Slot(path.UpSlot).Packets : 0);
            BinaryPrimitives.WriteUInt64BigEndian(content[16..], path.DownSlot >= 0 ? (ulong)tables.Hops.Slot(path.DownSlot).Packets : 0);
        }

        body[OnionLayer.HeadBytes] = command == OnionCommand.Probe ? OnionCommand.Answer : OnionCommand.StatisticsAnswer;
        uint epoch = ShardTables.OriginEpoch(path, epochs);
        DropReason reason = Originator.WrapDownstream(tables, row, ref path, epoch, tables.Slab.Slice(p.Offset, p.Length), p.Class, now);
        if (reason != DropReason.None)
        {
            Drop(ref p, reason);
            return;
        }

        p.Ingress = path.OutSender;
        p.Epoch = epoch;
        p.Verdict = Verdict.Leave;
    }

    private void Seal(int from, int to, Instant now)
    {
        for (int i = from; i < to; i++)
        {
            ref Packet p = ref packets[i];
            if (p.Verdict != Verdict.Leave) continue;
            if (tables.Links.Seal(tables.Slab.Slice(p.Offset, p.Length), p.Ingress, now)) egress.Add(packets, i);
            else Drop(ref p, DropReason.LinkKeyExhausted);
        }
    }

    private static bool UnderCap(ref SlotRow slot, Instant now)
    {
        long empty = Math.Max(slot.CapNext, now.Nanoseconds);
        if (empty - now.Nanoseconds > (long)slot.CapInterval * CapBurst) return false;
        slot.CapNext = empty + slot.CapInterval;
        return true;
    }

    private Span<byte> Body(in Packet p) => tables.Slab.Slice(p.Offset + SealedDatagram.HeaderBytes, p.Length - SealedDatagram.HeaderBytes - SealedDatagram.TagBytes);

    private void Drop(ref Packet p, DropReason reason)
    {
        p.Verdict = Verdict.Drop;
        tables.Drops.Count(reason);
    }
}
