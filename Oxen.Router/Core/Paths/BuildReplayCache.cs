using System.Buffers.Binary;
using System.Numerics;

namespace Oxen.Router.Core.Paths;

// Which builds were opened before. One open-addressed table per epoch that a record may be stamped with (five), each
// holding 16 bytes of the record hash. A table is emptied when its place is needed for an epoch five later, by when its
// own is refused anyway. Only opened records are noted, so a stranger's noise does not fill it; a full table refuses.
internal sealed class BuildReplayCache
{
    private const int Tables = (2 * (int)BuildFormat.EpochTolerance) + 1;

    private readonly (ulong High, ulong Low)[][] _slots = new (ulong, ulong)[Tables][];
    private readonly int[] _counts = new int[Tables];
    private readonly uint[] _epochs = new uint[Tables];
    private readonly int _capacity;
    private readonly int _shift;
    private readonly ulong _mask;
    private readonly ulong _secret;

    /// <param name="capacityPerEpoch">Builds that one epoch (60 s) may bring; memory is 160 to 320 bytes for each.</param>
    public BuildReplayCache(int capacityPerEpoch, IEntropy entropy)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacityPerEpoch, 16);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacityPerEpoch, 1 << 24);
        _capacity = capacityPerEpoch;
        int slots = (int)BitOperations.RoundUpToPowerOf2((uint)capacityPerEpoch * 2);
        for (int i = 0; i < Tables; i++) _slots[i] = new (ulong, ulong)[slots];
        _shift = 64 - BitOperations.Log2((uint)slots);
        _mask = (ulong)slots - 1;

        // Secret per start: whoever can choose record hashes still cannot aim them at one slot.
        Span<byte> secret = stackalloc byte[8];
        entropy.FillSecret(secret);
        _secret = BinaryPrimitives.ReadUInt64BigEndian(secret) | 1;
    }

    /// <summary>Whether this record was noted under any epoch that is still accepted.</summary>
    public bool Contains(ReadOnlySpan<byte> recordHash)
    {
        (ulong, ulong) key = Key(recordHash);
        for (int table = 0; table < Tables; table++)
        {
            if (_counts[table] > 0 && _slots[table][Find(table, key)] == key) return true;
        }

        return false;
    }

    /// <summary>False when the epoch's table is full, or now belongs to a later epoch: refuse then.</summary>
    public bool TryNote(ReadOnlySpan<byte> recordHash, uint epoch)
    {
        int table = (int)(epoch % Tables);
        if (_epochs[table] != epoch)
        {
            // A network clock that was set back: the later epoch's notes are worth more than this build.
            if (_counts[table] > 0 && epoch < _epochs[table]) return false;
            if (_counts[table] > 0) Array.Clear(_slots[table]);
            _counts[table] = 0;
            _epochs[table] = epoch;
        }

        if (_counts[table] >= _capacity) return false;
        (ulong, ulong) key = Key(recordHash);
        _slots[table][Find(table, key)] = key;
        _counts[table]++;
        return true;
    }

    private static (ulong High, ulong Low) Key(ReadOnlySpan<byte> recordHash)
        => (BinaryPrimitives.ReadUInt64BigEndian(recordHash), BinaryPrimitives.ReadUInt64BigEndian(recordHash[8..]) | 1);   // never all zeros

    private int Find(int table, (ulong High, ulong Low) key)
    {
        (ulong, ulong)[] slots = _slots[table];
        ulong at = unchecked((BitOperations.RotateLeft(key.High ^ _secret, 29) ^ key.Low) * _secret) >> _shift;
        while (slots[at].Item2 != 0 && slots[at] != key) at = (at + 1) & _mask;
        return (int)at;
    }
}
