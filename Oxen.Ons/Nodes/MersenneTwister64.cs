namespace Oxen.Ons.Nodes;

// std::mt19937_64 and std::seed_seq of C++ (ISO C++20 [rand.eng.mers], [rand.util.seedseq]), with upstream's own ways of drawing: they
// decide who is in which swarm and quorum, so not a bit may differ. Nothing here is secret or unpredictable.
internal sealed class MersenneTwister64
{
    private const int Words = 312, Middle = 156;
    private const ulong LowerMask = (1UL << 31) - 1;

    private readonly ulong[] _state = new ulong[Words];
    private int _next = Words;

    public MersenneTwister64(ulong seed)
    {
        _state[0] = seed;
        for (int i = 1; i < Words; i++) _state[i] = 6364136223846793005UL * (_state[i - 1] ^ (_state[i - 1] >> 62)) + (ulong)i;
    }

    private MersenneTwister64(MersenneTwister64 other)
    {
        other._state.CopyTo(_state, 0);
        _next = other._next;
    }

    /// <summary>Seeded with a seed sequence of these words.</summary>
    public MersenneTwister64(ReadOnlySpan<uint> sequence)
    {
        uint[] words = Sequence(sequence, 2 * Words);
        bool zero = true;
        for (int i = 0; i < Words; i++)
        {
            _state[i] = words[2 * i] | (ulong)words[2 * i + 1] << 32;
            zero &= (i == 0 ? _state[i] & ~LowerMask : _state[i]) == 0;
        }

        if (zero) _state[0] = 1UL << 63;
    }

    public MersenneTwister64 Clone() => new(this);

    public ulong Next()
    {
        if (_next == Words) Twist();
        ulong x = _state[_next++];
        x ^= (x >> 29) & 0x5555555555555555;
        x ^= (x << 17) & 0x71D67FFFEDA60000;
        x ^= (x << 37) & 0xFFF7EEE000000000;
        return x ^ (x >> 43);
    }

    /// <summary>A number below n, as upstream draws it.</summary>
    public ulong Uniform(ulong n)
    {
        const ulong Most = ulong.MaxValue;
        ulong secure = Most - Most % n;
        ulong x;
        do x = Next();
        while (x >= secure);
        return x / (secure / n);
    }

    /// <summary>Upstream's shuffle.</summary>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = 1; i < items.Length; i++)
        {
            int j = (int)Uniform((ulong)i + 1);
            if (i != j) (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private void Twist()
    {
        for (int i = 0; i < Words; i++)
        {
            ulong x = (_state[i] & ~LowerMask) | (_state[(i + 1) % Words] & LowerMask);
            _state[i] = _state[(i + Middle) % Words] ^ (x >> 1) ^ ((x & 1) == 0 ? 0 : 0xB5026F5AA96619E9);
        }

        _next = 0;
    }

    private static uint[] Sequence(ReadOnlySpan<uint> seeds, int count)
    {
        uint[] w = new uint[count];
        Array.Fill(w, 0x8b8b8b8bu);
        int t = count >= 623 ? 11 : count >= 68 ? 7 : count >= 39 ? 5 : count >= 7 ? 3 : (count - 1) / 2;
        int p = (count - t) / 2, q = p + t, m = Math.Max(seeds.Length + 1, count);
        for (int k = 0; k < m; k++)
        {
            uint r1 = 1664525u * Mix(w[k % count] ^ w[(k + p) % count] ^ w[(k + count - 1) % count]);
            uint r2 = r1 + (k == 0 ? (uint)seeds.Length : (uint)(k % count) + (k <= seeds.Length ? seeds[k - 1] : 0));
            w[(k + p) % count] += r1;
            w[(k + q) % count] += r2;
            w[k % count] = r2;
        }

        for (int k = m; k < m + count; k++)
        {
            uint r3 = 1566083941u * Mix(w[k % count] + w[(k + p) % count] + w[(k - 1) % count]);
            uint r4 = r3 - (uint)(k % count);
            w[(k + p) % count] ^= r3;
            w[(k + q) % count] ^= r4;
            w[k % count] = r4;
        }

        return w;
    }

    private static uint Mix(uint x) => x ^ (x >> 27);
}
