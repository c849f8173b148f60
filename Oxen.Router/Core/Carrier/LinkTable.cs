using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Core.Carrier;

/// <summary>One receiver index: who may use it, under which epoch. Its keys and window lie in slabs beside the table.</summary>
internal struct LinkReceiver
{
    public uint Index;
    public int Link;            // -1: the row is free
    public uint Epoch;          // absolute; the newest that a packet opened under
    public LinkSuite Suite;
    public byte SenderShard;
    public bool HasPrevious;
    public UdpAddress Peer;
    public long PreviousUntil;  // nanoseconds
    public long NextAddressTrial;
}

/// <summary>One pair (our shard, shard of the peer) to send to.</summary>
internal struct LinkSender
{
    public ulong Counter;       // runs on as long as the peer's index lives, over all its epochs
    public uint PeerIndex;
    public int Link;            // -1: the row is free
    public uint Epoch;
    public LinkSuite Suite;
    public byte ReceiverShard;
    public long EpochEnds;      // nanoseconds; long.MaxValue until the first packet of the epoch
    public ulong EpochCounterEnd;
}

/// <summary>
/// The links of one shard, from the data plane's side: receiver indexes with keys of three link epochs and a replay window
/// each, and senders. A sender's row is its route in the <see cref="TransmitBatch"/>.
/// </summary>
/// <remarks>
/// Key slab, per receiver: key of epoch e at place e % 3 (previous, current, next), then chain[current + 2].
/// Per sender: the current key, then chain[current + 1].
/// </remarks>
internal sealed class LinkTable : IDisposable
{
    /// <summary>A sender moves to the next key at the latest so long after the first packet under the current one ...</summary>
    public static readonly TimeSpan EpochLength = TimeSpan.FromSeconds(120);

    /// <summary>... or after so many packets: AES-GCM's confidentiality limit of RFC 9001 appendix B.1.1.</summary>
    public const ulong EpochPackets = 1UL << 23;

    /// <summary>How long packets of the previous epoch, overtaken on the way, are still taken.</summary>
    public static readonly TimeSpan PreviousEpoch = TimeSpan.FromSeconds(5);

    // One packet from an unexpected address is opened per link in this time, to see whether the peer has moved.
    private static readonly TimeSpan AddressTrial = TimeSpan.FromMilliseconds(100);

    // A sender that was not heard for several epochs is found again by walking the chain so far ahead, once in AddressTrial. An hour,
    // the life of a connection, is thirty epochs.
    private const uint MostEpochsAhead = 31;

    private readonly int _shardCount;
    private readonly int _keyBytes = LinkKeys.ReadyKeyBytes;
    private readonly int _receiverKeyBytes;
    private readonly int _senderKeyBytes;
    private readonly LinkReceiver[] _receivers;
    private readonly LinkSender[] _senders;
    private readonly ulong[] _windows;
    private readonly SecretBlock _receiverKeys;
    private readonly SecretBlock _senderKeys;
    private readonly Dictionary<(int Link, byte Shard), int> _senderRows = [];
    private readonly TransmitBatch _transmits;
    private int _freshSenders;
    private readonly Stack<int> _freeSenders = new();

    public LinkTable(int shardCount, int maxReceivers, int maxSenders, TransmitBatch transmits)
    {
        _shardCount = shardCount;
        _transmits = transmits;
        _receivers = new LinkReceiver[maxReceivers];
        _senders = new LinkSender[maxSenders];
        _windows = new ulong[maxReceivers * ReplayWindow.Words];
        _receiverKeyBytes = 3 * _keyBytes + 64;
        _senderKeyBytes = _keyBytes + 64;
        _receiverKeys = new SecretBlock(maxReceivers * _receiverKeyBytes);
        _senderKeys = new SecretBlock(maxSenders * _senderKeyBytes);
        for (int i = 0; i < maxReceivers; i++) _receivers[i].Link = -1;
        for (int i = 0; i < maxSenders; i++) _senders[i].Link = -1;
        if (transmits.Routes.Length < maxSenders) transmits.Routes = new UdpAddress[maxSenders];
    }

    /// <summary>When the next previous key must be wiped; looked at by the shard's sweep.</summary>
    public Instant NextWipe { get; private set; } = Instant.Never;

    public ref readonly LinkReceiver Receiver(int row) => ref _receivers[row];

    public ref readonly LinkSender Sender(int row) => ref _senders[row];

    // ---- the packet path ----

    /// <summary>
    /// Checks everything about one datagram that needs no key (length and kind are known to be good), opens it in place and
    /// moves the window. Returns the reason of the drop, or <see cref="DropReason.None"/>.
    /// </summary>
    /// <param name="moved">The datagram is authentic, but came from another address than the link's.</param>
    public DropReason Open(Span<byte> datagram, in UdpAddress from, out int row, out bool moved, Instant now)
    {
        moved = false;
        uint index = SealedDatagram.Index(datagram);
        row = ReceiverIndexAllocator.RowOf(index, _shardCount, _receivers.Length);
        ref LinkReceiver receiver = ref _receivers[row];
        if (!SealedDatagram.ReservedIsZero(datagram)) return DropReason.ReservedNotZero;
        if (receiver.Link < 0 || receiver.Index != index) return DropReason.UnknownIndex;

        uint ahead = ((uint)datagram[0] - receiver.Epoch) & SealedDatagram.EpochMask;
        uint epoch;
        if (ahead == 0) epoch = receiver.Epoch;
        else if (ahead == 1) epoch = receiver.Epoch + 1;
        else if (ahead == SealedDatagram.EpochMask && receiver.HasPrevious && now.Nanoseconds < receiver.PreviousUntil) epoch = receiver.Epoch - 1;
        else if (ahead <= MostEpochsAhead && from == receiver.Peer) return CatchUp(datagram, row, ahead, now);
        else return DropReason.WrongLinkEpoch;

        Span<ulong> window = Window(row);
        ulong counter = SealedDatagram.Counter(datagram);
        if (!ReplayWindow.IsNew(window, counter)) return DropReason.LinkReplay;

        if (from != receiver.Peer)
        {
            if (now.Nanoseconds < receiver.NextAddressTrial) return DropReason.WrongAddress;
            receiver.NextAddressTrial = (now + AddressTrial).Nanoseconds;
            moved = LinkSeal.Open(datagram, KeyOf(row, epoch), receiver.Suite);
            return moved ? DropReason.WrongAddress : DropReason.LinkAuthentication;
        }

        if (!LinkSeal.Open(datagram, KeyOf(row, epoch), receiver.Suite)) return DropReason.LinkAuthentication;
        if (ahead == 1) Advance(row, now);
        ReplayWindow.Mark(window, counter);
        return DropReason.None;
    }

    /// <summary>Seals a datagram whose inner header and body stand; false when the sender's numbers are used up.</summary>
    public bool Seal(Span<byte> datagram, int row, Instant now)
    {
        ref LinkSender sender = ref _senders[row];
        ulong counter = sender.Counter;
        if (now.Nanoseconds >= sender.EpochEnds || counter >= sender.EpochCounterEnd) Ratchet(row, now);
        else if (sender.EpochEnds == long.MaxValue) sender.EpochEnds = (now + EpochLength).Nanoseconds;
        if (counter >= 1UL << 62) return false;
        sender.Counter = counter + 1;
        SealedDatagram.WriteClear(datagram, sender.Epoch, sender.PeerIndex, counter);
        LinkSeal.Seal(datagram, _senderKeys.Slice(row * _senderKeyBytes, _keyBytes), sender.Suite);
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool IsSender(int row, int link) => (uint)row < (uint)_senders.Length && _senders[row].Link == link;

    // ---- commands ----

    /// <summary>False: the row that the index names is taken, or the suite is unknown.</summary>
    public bool AddReceiver(uint index, int link, byte senderShard, in UdpAddress peer, LinkSuite suite, Span<byte> secret)
    {
        int row = ReceiverIndexAllocator.RowOf(index, _shardCount, _receivers.Length);
        ref LinkReceiver receiver = ref _receivers[row];
        if (receiver.Link >= 0 || !LinkKeys.IsKnown(suite) || link < 0) return false;
        receiver = new LinkReceiver { Index = index, Link = link, SenderShard = senderShard, Peer = peer, Suite = suite };
        Window(row).Clear();

        // Keys of epochs 0 and 1 stand ready; the slab keeps chain[2].
        Span<byte> chain = ReceiverChain(row);
        secret[..LinkKeys.SecretBytes].CopyTo(chain);
        for (uint epoch = 0; epoch < 2; epoch++) DeriveStep(chain, KeyOf(row, epoch), suite);
        return true;
    }

    public void RemoveReceiver(uint index)
    {
        int row = ReceiverIndexAllocator.RowOf(index, _shardCount, _receivers.Length);
        if (_receivers[row].Link >= 0 && _receivers[row].Index == index) WipeReceiver(row);
    }

    /// <summary>Returns the row, or -1 when the table is full or the suite unknown.</summary>
    public int AddSender(int link, byte receiverShard, uint peerIndex, in UdpAddress peer, LinkSuite suite, Span<byte> secret)
    {
        if (!LinkKeys.IsKnown(suite) || link < 0) return -1;
        if (!_senderRows.TryGetValue((link, receiverShard), out int row))
        {
            if (!_freeSenders.TryPop(out row))
            {
                if (_freshSenders == _senders.Length) return -1;
                row = _freshSenders++;
            }

            _senderRows.Add((link, receiverShard), row);
        }

        _senders[row] = new LinkSender
        {
            Link = link, PeerIndex = peerIndex, ReceiverShard = receiverShard, Suite = suite, EpochEnds = long.MaxValue, EpochCounterEnd = EpochPackets,
        };
        _transmits.Routes[row] = peer;
        Span<byte> chain = SenderChain(row);
        secret[..LinkKeys.SecretBytes].CopyTo(chain);
        DeriveStep(chain, SenderKey(row), suite);
        return row;
    }

    public int FindSender(int link, byte receiverShard) => _senderRows.TryGetValue((link, receiverShard), out int row) ? row : -1;

    public void Move(int link, in UdpAddress peer)
    {
        for (int i = 0; i < _receivers.Length; i++)
        {
            if (_receivers[i].Link == link) _receivers[i].Peer = peer;
        }

        for (int i = 0; i < _freshSenders; i++)
        {
            if (_senders[i].Link == link) _transmits.Routes[i] = peer;
        }
    }

    public void RemoveLink(int link)
    {
        for (int i = 0; i < _receivers.Length; i++)
        {
            if (_receivers[i].Link == link) WipeReceiver(i);
        }

        for (int i = 0; i < _freshSenders; i++)
        {
            if (_senders[i].Link != link) continue;
            _senderRows.Remove((link, _senders[i].ReceiverShard));
            CryptographicOperations.ZeroMemory(_senderKeys.Slice(i * _senderKeyBytes, _senderKeyBytes));
            _senders[i] = new LinkSender { Link = -1 };
            _freeSenders.Push(i);
        }
    }

    // ---- epochs ----

    /// <summary>Wipes the previous keys whose time is over.</summary>
    public void WipePrevious(Instant now)
    {
        if (now < NextWipe) return;
        Instant next = Instant.Never;
        for (int row = 0; row < _receivers.Length; row++)
        {
            ref LinkReceiver receiver = ref _receivers[row];
            if (receiver.Link < 0 || !receiver.HasPrevious) continue;
            if (now.Nanoseconds < receiver.PreviousUntil)
            {
                next = Instant.Earlier(next, new Instant(receiver.PreviousUntil));
                continue;
            }

            CryptographicOperations.ZeroMemory(KeyOf(row, receiver.Epoch - 1));
            receiver.HasPrevious = false;
        }

        NextWipe = next;
    }

    public void Dispose()
    {
        _receiverKeys.Dispose();
        _senderKeys.Dispose();
    }

    // Nothing of the epochs between came: whoever dropped all of it for two epochs must not have ended the link for the rest of its hour.
    private DropReason CatchUp(Span<byte> datagram, int row, uint ahead, Instant now)
    {
        ref LinkReceiver receiver = ref _receivers[row];
        Span<ulong> window = Window(row);
        ulong counter = SealedDatagram.Counter(datagram);
        if (!ReplayWindow.IsNew(window, counter)) return DropReason.LinkReplay;
        if (now.Nanoseconds < receiver.NextAddressTrial) return DropReason.WrongLinkEpoch;
        receiver.NextAddressTrial = (now + AddressTrial).Nanoseconds;

        // The slab keeps chain[current + 2].
        Span<byte> chain = stackalloc byte[LinkKeys.SecretBytes], next = stackalloc byte[LinkKeys.SecretBytes], key = stackalloc byte[_keyBytes];
        ReceiverChain(row).CopyTo(chain);
        for (uint step = 2; step < ahead; step++)
        {
            LinkKeys.NextChain(chain, next);
            next.CopyTo(chain);
        }

        DeriveStep(chain, key, receiver.Suite);
        bool opened = LinkSeal.Open(datagram, key, receiver.Suite);
        if (opened)
        {
            for (uint i = 0; i < 3; i++) CryptographicOperations.ZeroMemory(KeyOf(row, i));
            receiver.Epoch += ahead;
            receiver.HasPrevious = false;
            key.CopyTo(KeyOf(row, receiver.Epoch));
            DeriveStep(chain, KeyOf(row, receiver.Epoch + 1), receiver.Suite);
            chain.CopyTo(ReceiverChain(row));
            ReplayWindow.Mark(window, counter);
        }

        CryptographicOperations.ZeroMemory(chain);
        CryptographicOperations.ZeroMemory(next);
        CryptographicOperations.ZeroMemory(key);
        return opened ? DropReason.None : DropReason.LinkAuthentication;
    }

    // A packet opened under the next key: it is the current one now, and the one after it is made ready.
    private void Advance(int row, Instant now)
    {
        ref LinkReceiver receiver = ref _receivers[row];
        receiver.Epoch++;
        receiver.HasPrevious = true;
        receiver.PreviousUntil = (now + PreviousEpoch).Nanoseconds;
        NextWipe = Instant.Earlier(NextWipe, new Instant(receiver.PreviousUntil));
        DeriveStep(ReceiverChain(row), KeyOf(row, receiver.Epoch + 1), receiver.Suite);
    }

    // One step at a time, and only to send: a receiver is more than one behind only if it heard nothing of a whole epoch.
    private void Ratchet(int row, Instant now)
    {
        ref LinkSender sender = ref _senders[row];
        sender.Epoch++;
        sender.EpochEnds = (now + EpochLength).Nanoseconds;
        sender.EpochCounterEnd = sender.Counter + EpochPackets;
        DeriveStep(SenderChain(row), SenderKey(row), sender.Suite);
    }

    // key from chain[e], then chain[e+1] over chain[e].
    private static void DeriveStep(Span<byte> chain, Span<byte> key, LinkSuite suite)
    {
        LinkKeys.ReadyKey(chain, suite, key);
        Span<byte> next = stackalloc byte[LinkKeys.SecretBytes];
        LinkKeys.NextChain(chain, next);
        next.CopyTo(chain);
        CryptographicOperations.ZeroMemory(next);
    }

    private void WipeReceiver(int row)
    {
        CryptographicOperations.ZeroMemory(_receiverKeys.Slice(row * _receiverKeyBytes, _receiverKeyBytes));
        _receivers[row] = new LinkReceiver { Link = -1 };
    }

    private Span<ulong> Window(int row) => _windows.AsSpan(row * ReplayWindow.Words, ReplayWindow.Words);

    private Span<byte> KeyOf(int row, uint epoch) => _receiverKeys.Slice(row * _receiverKeyBytes + (int)(epoch % 3) * _keyBytes, _keyBytes);

    private Span<byte> ReceiverChain(int row) => _receiverKeys.Slice(row * _receiverKeyBytes + 3 * _keyBytes, LinkKeys.SecretBytes);

    private Span<byte> SenderKey(int row) => _senderKeys.Slice(row * _senderKeyBytes, _keyBytes);

    private Span<byte> SenderChain(int row) => _senderKeys.Slice(row * _senderKeyBytes + _keyBytes, LinkKeys.SecretBytes);
}
