using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Native;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Remembers forwarded packets by the head that they left with: a blocked Bloom filter for each of two epochs, 64-byte
/// blocks, 32 bits a packet, 8 of them set. Which block and which bits is a keyed mix (secret per start) of head, slot and
/// generation, so that nobody can choose collisions. One per shard.
/// </summary>
/// <remarks>
/// A block that is full forgets what it held before it takes the next: when an epoch brings more packets than the memory
/// was made for, the covered window shrinks, block by block, and <see cref="BlocksForgotten"/> tells.
/// </remarks>
internal sealed class ReplayFilter
{
    private const int BlockWords = 8;
    private const int BitsPerPacket = 8;

    // At 208 of 512 bits a stranger is taken for a replay with 0.41^8 = 7e-4; at the planned 16 packets, 114 bits, with 6e-6. While an
    // epoch brings no more than planned, few blocks come near the first, and forgetting would open a gap for nothing. Beyond the plan every
    // block would live between none and full and drop one honest packet in 11 000, which halves the speed of a TCP connection; there
    // a block forgets at 16 packets, so that the newest planned number of packets is covered at one false drop in 1.7 million.
    private const int FullBlock = 208;
    private const int CrowdedBlock = 114;

    private readonly ulong[] _words;
    private readonly int _first;      // the first word of a cache line
    private readonly int _blocks;     // per epoch
    private readonly ulong _keyA;
    private readonly ulong _keyB;
    private readonly ulong _keyC;
    private readonly long[] _inserted = new long[2];
    private int _cleared;             // blocks of the set that is being cleared
    private int _clearing = -1;

    public ReplayFilter(long bytes, IEntropy entropy)
    {
        ArgumentNullException.ThrowIfNull(entropy);
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 4096);
        _blocks = (int)Math.Min(bytes / 128, int.MaxValue / 32);

        // Zero pages of the system: memory is touched only as blocks are.
        _words = GC.AllocateArray<ulong>(2 * _blocks * BlockWords + BlockWords, pinned: true);
        HugePages.Ask(MemoryMarshal.AsBytes(_words.AsSpan()));
        _first = (int)((64 - (Marshal.UnsafeAddrOfPinnedArrayElement(_words, 0) & 63)) / 8 % BlockWords);
        Span<byte> key = stackalloc byte[24];
        entropy.FillSecret(key);
        _keyA = BinaryPrimitives.ReadUInt64LittleEndian(key) | 1;
        _keyB = BinaryPrimitives.ReadUInt64LittleEndian(key[8..]) | 1;
        _keyC = BinaryPrimitives.ReadUInt64LittleEndian(key[16..]) | 1;
    }

    /// <summary>Packets that one epoch holds at full accuracy.</summary>
    public long Capacity => (long)_blocks * 16;

    public long Inserted(uint epoch) => _inserted[epoch & 1];

    /// <summary>Blocks that forgot their packets before the epoch's end. More than zero: give the filter more memory.</summary>
    public long BlocksForgotten { get; private set; }

    /// <summary>The packet's place: fetch it early, look later.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Mix(ReadOnlySpan<byte> head, uint slot, uint generation)
    {
        ulong a = BinaryPrimitives.ReadUInt64LittleEndian(head);
        ulong b = BinaryPrimitives.ReadUInt64LittleEndian(head[8..]);
        ulong high = Math.BigMul(a ^ _keyA, b ^ _keyB, out ulong low);
        ulong mixed = high ^ low ^ (((ulong)slot << 32) | generation);
        high = Math.BigMul(mixed ^ _keyC, _keyA + b, out low);
        high = Math.BigMul(high ^ low ^ a, _keyB, out low);
        return high ^ low;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fetch(ulong mix, uint epoch) => Prefetch.Line(ref _words[WordOf(mix, epoch)]);

    /// <summary>True: new, and remembered from now on. False: seen before (or taken for it).</summary>
    public bool TryAdd(ulong mix, uint epoch)
    {
        Span<ulong> block = _words.AsSpan(WordOf(mix, epoch), BlockWords);

        // Eight bits, one in each word: 6 bits of a second mix choose it.
        ulong bits = (mix ^ _keyC) * 0x9E3779B97F4A7C15;
        bits ^= bits >> 29;
        bool seen = true;
        int set = 0;
        for (int i = 0; i < BitsPerPacket; i++)
        {
            ulong word = block[i];
            ulong bit = 1UL << (int)((bits >> (i * 6)) & 63);
            seen &= (word & bit) != 0;
            set += BitOperations.PopCount(word);
        }

        if (seen) return false;
        if (set > (_inserted[epoch & 1] <= Capacity ? FullBlock : CrowdedBlock))
        {
            block.Clear();
            BlocksForgotten++;
        }

        for (int i = 0; i < BitsPerPacket; i++) block[i] |= 1UL << (int)((bits >> (i * 6)) & 63);
        _inserted[epoch & 1]++;
        return true;
    }

    /// <summary>Begins to clear the set that the epoch after `current` will use.</summary>
    public void BeginClearing(uint current)
    {
        _clearing = (int)((current + 1) & 1);
        _cleared = _inserted[_clearing] == 0 ? _blocks : 0;
    }

    /// <summary>Clears up to so many blocks; true when done.</summary>
    public bool Clear(int blocks)
    {
        if (_clearing < 0) return true;
        int n = Math.Min(blocks, _blocks - _cleared);
        _words.AsSpan(_first + (_clearing * _blocks + _cleared) * BlockWords, n * BlockWords).Clear();
        _cleared += n;
        if (_cleared < _blocks) return false;
        _inserted[_clearing] = 0;
        _clearing = -1;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int WordOf(ulong mix, uint epoch)
        => _first + (((int)(epoch & 1) * _blocks) + (int)(((mix >> 32) * (uint)_blocks) >> 32)) * BlockWords;
}

