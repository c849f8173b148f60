using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Tests.Model;

/// <summary>The same two links by the router's own <see cref="LinkTable"/>, on which a trail of steps can be walked.</summary>
internal sealed class RealLinks : IDisposable
{
    private static readonly UdpAddress Sender = UdpAddress.FromVirtual(1, 1), Receiver = UdpAddress.FromVirtual(2, 2);
    private static readonly LinkSuite[] Suites = [LinkSuite.Aegis128L, LinkSuite.ChaCha20Poly1305, LinkSuite.Aegis128L];

    private readonly PinnedPair _pair = new();
    private readonly List<byte[]> _pool = [];
    private readonly int[] _rows = new int[LinkModel.Receivers];
    private readonly uint[] _indexes = new uint[LinkModel.Receivers];
    private Instant _now;

    /// <summary>Begins anew: everything that the trail before left is forgotten.</summary>
    public void Begin()
    {
        _now += TimeSpan.FromHours(1);
        _pair.Sender.RemoveLink(0);
        _pair.Sender.RemoveLink(1);
        foreach (uint index in _indexes) if (index != 0) _pair.Receiver.RemoveReceiver(index);
        _pool.Clear();
        Array.Clear(_indexes);
        Install(0);
        Install(1);
    }

    public bool Do(LinkAction action)
    {
        switch (action.Step)
        {
            case LinkStep.Send:
                Seal(_indexes[2] != 0 ? 2 : 0);
                return false;
            case LinkStep.SendOther:
                Seal(1);
                return false;
            case LinkStep.WaitEpoch:
                Wait(LinkTable.EpochLength + TimeSpan.FromSeconds(1));
                return false;
            case LinkStep.WaitPrevious:
                Wait(LinkTable.PreviousEpoch + TimeSpan.FromSeconds(1));
                return false;
            case LinkStep.Rehandshake:
                Install(2);
                return false;
            case LinkStep.Retire:
                _pair.Receiver.RemoveReceiver(_indexes[0]);
                return false;
        }

        byte[] datagram = [.. _pool[action.Datagram]];
        switch (action.Step)
        {
            case LinkStep.DeliverTampered:
                datagram[500] ^= 4;
                break;
            case LinkStep.DeliverNextEpoch:
                datagram[0] = (byte)(SealedDatagram.Kind | ((datagram[0] + 1) & SealedDatagram.EpochMask));
                break;
            case LinkStep.DeliverFarEpoch:
                datagram[0] = (byte)(SealedDatagram.Kind | ((datagram[0] + 5) & SealedDatagram.EpochMask));
                break;
            case LinkStep.DeliverToOtherLink:
                uint to = SealedDatagram.Index(datagram) == _indexes[1] ? _indexes[_indexes[2] != 0 ? 2 : 0] : _indexes[1];
                BinaryPrimitives.WriteUInt32BigEndian(datagram.AsSpan(SealedDatagram.IndexAt), to);
                break;
        }

        // Trials of far epochs are limited in time; here each step is an occasion of its own.
        Wait(TimeSpan.FromMilliseconds(101));
        return _pair.Receiver.Open(datagram, Sender, out _, out _, _now) == DropReason.None;
    }

    public void Dispose() => _pair.Dispose();

    private void Seal(int receiver)
    {
        byte[] datagram = new byte[SealedDatagram.ReducedBytes];
        BinaryPrimitives.WriteInt32BigEndian(datagram.AsSpan(SealedDatagram.HeaderBytes), _pool.Count);
        Assert.True(_pair.Sender.Seal(datagram, _rows[receiver], _now));
        _pool.Add(datagram);
    }

    private void Wait(TimeSpan time)
    {
        _now += time;
        _pair.Receiver.WipePrevious(_now);
    }

    // One sending secret for all: keys differ by index and suite alone, as they must.
    private void Install(int receiver)
    {
        uint index = (uint)(receiver + 1);
        byte[] exported = [.. Enumerable.Repeat((byte)7, 32)], secret = new byte[32];
        LinkKeys.ReceiverSecret(exported, index, secret);
        int link = receiver == 1 ? 1 : 0;
        Assert.True(_pair.Receiver.AddReceiver(index, link, 0, Sender, Suites[receiver], [.. secret]));
        _rows[receiver] = _pair.Sender.AddSender(link, 0, index, Receiver, Suites[receiver], [.. secret]);
        _indexes[receiver] = index;
    }

    private sealed class PinnedPair : IDisposable
    {
        private readonly Router.Native.PinnedBlock _slab = new(64 * 1024);

        public PinnedPair()
        {
            Sender = new LinkTable(1, 8, 8, new TransmitBatch(_slab, 8));
            Receiver = new LinkTable(1, 8, 8, new TransmitBatch(_slab, 8));
        }

        public LinkTable Sender { get; }

        public LinkTable Receiver { get; }

        public void Dispose()
        {
            Sender.Dispose();
            Receiver.Dispose();
            _slab.Dispose();
        }
    }
}
