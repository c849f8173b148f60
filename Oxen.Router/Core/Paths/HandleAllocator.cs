using System.Buffers.Binary;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Draws path handles of one shard: a slot uniformly from the free ones, with a generation that begins at random and goes
/// up by one at each reuse. So two handles of a path say nothing about each other (docs/protocol/link.md#handles).
/// Belongs to the control thread.
/// </summary>
internal sealed class HandleAllocator
{
    private readonly IEntropy _entropy;
    private readonly int _shard;
    private readonly int _shardCount;
    private readonly int[] _free;      // rows; the first FreeCount are free
    private readonly uint[] _generations;
    private readonly bool[] _used;

    /// <param name="slots">The shard's <c>ShardOptions.MaxSlots</c>.</param>
    public HandleAllocator(int shard, int shardCount, int slots, IEntropy entropy)
    {
        ArgumentNullException.ThrowIfNull(entropy);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slots);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(shardCount);
        if ((uint)shard >= (uint)shardCount) throw new ArgumentOutOfRangeException(nameof(shard));
        _entropy = entropy;
        _shard = shard;
        _shardCount = shardCount;
        _free = new int[slots];
        _used = new bool[slots];
        _generations = new uint[slots];
        for (int i = 0; i < slots; i++) _free[i] = i;
        FreeCount = slots;
    }

    public int FreeCount { get; private set; }

    /// <summary>False when every slot of the shard is in use: the build is refused.</summary>
    public bool TryTake(out PathHandle handle)
    {
        if (FreeCount == 0)
        {
            handle = default;
            return false;
        }

        Span<byte> random = stackalloc byte[12];
        _entropy.FillSecret(random);
        ulong draw = BinaryPrimitives.ReadUInt64LittleEndian(random);
        int at = (int)Math.BigMul(draw, (ulong)FreeCount, out _); // bias below 2^-32
        int row = _free[at];
        _free[at] = _free[--FreeCount];
        _used[row] = true;
        uint generation = _generations[row];
        if (generation == 0) generation = BinaryPrimitives.ReadUInt32LittleEndian(random[8..]);
        if (generation == 0) generation = 1;
        _generations[row] = generation;
        handle = new PathHandle((uint)row * (uint)_shardCount + (uint)_shard, generation);
        return true;
    }

    public void Release(PathHandle handle)
    {
        uint row = handle.Slot / (uint)_shardCount;
        if (handle.ShardOf(_shardCount) != _shard || row >= (uint)_used.Length || !_used[row] || _generations[row] != handle.Generation)
        {
            throw new ArgumentException("not in use", nameof(handle));
        }

        _used[row] = false;
        _generations[row] = handle.Generation == uint.MaxValue ? 1 : handle.Generation + 1;
        _free[FreeCount++] = (int)row;
    }
}
