using System.Buffers.Binary;

namespace Oxen.Router.Core.Carrier;

/// <summary>
/// Draws receiver indexes of one shard: `index = (random * rows + row) * shardCount + shard`, 32 bits in all. So the
/// remainder by the number of shards steers a datagram to its socket, and the row is found without a hash; the random
/// part is compared in full. Belongs to the control thread.
/// </summary>
internal sealed class ReceiverIndexAllocator
{
    private readonly IEntropy _entropy;
    private readonly uint _shard;
    private readonly uint _shardCount;
    private readonly int[] _free;
    private readonly bool[] _used;

    /// <param name="receivers">The shard's <c>ShardOptions.MaxReceivers</c>: a power of two.</param>
    public ReceiverIndexAllocator(int shard, int shardCount, int receivers, IEntropy entropy)
    {
        ArgumentNullException.ThrowIfNull(entropy);
        if (receivers < 2 || (receivers & (receivers - 1)) != 0) throw new ArgumentOutOfRangeException(nameof(receivers), "a power of two");
        if ((uint)shard >= (uint)shardCount || shardCount > 16) throw new ArgumentOutOfRangeException(nameof(shard));
        _entropy = entropy;
        _shard = (uint)shard;
        _shardCount = (uint)shardCount;
        _free = new int[receivers];
        _used = new bool[receivers];
        for (int i = 0; i < receivers; i++) _free[i] = i;
        FreeCount = receivers;
    }

    public int FreeCount { get; private set; }

    public static int RowOf(uint index, int shardCount, int receivers) => (int)(index / (uint)shardCount) & (receivers - 1);

    public bool TryTake(out uint index)
    {
        if (FreeCount == 0)
        {
            index = 0;
            return false;
        }

        Span<byte> random = stackalloc byte[16];
        do
        {
            _entropy.FillPublic(random);
            index = Draw(random, out int at);
            if (index == 0) continue; // means "none" where indexes are announced
            int row = _free[at];
            _free[at] = _free[--FreeCount];
            _used[row] = true;
        }
        while (index == 0);
        return true;
    }

    public void Release(uint index)
    {
        int row = RowOf(index, (int)_shardCount, _free.Length);
        if (index % _shardCount != _shard || !_used[row]) throw new ArgumentException("not in use", nameof(index));
        _used[row] = false;
        _free[FreeCount++] = row;
    }

    private uint Draw(ReadOnlySpan<byte> random, out int at)
    {
        at = (int)Math.BigMul(BinaryPrimitives.ReadUInt64LittleEndian(random), (ulong)FreeCount, out _);

        // Blocks of rows * shardCount indexes that fit whole into 32 bits.
        ulong blocks = (1UL << 32) / ((ulong)_free.Length * _shardCount);
        ulong block = Math.BigMul(BinaryPrimitives.ReadUInt64LittleEndian(random[8..]), blocks, out _);
        return (uint)(((block * (ulong)_free.Length) + (ulong)_free[at]) * _shardCount + _shard);
    }
}
