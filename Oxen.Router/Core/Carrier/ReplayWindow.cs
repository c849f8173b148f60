using System.Numerics;
using System.Runtime.CompilerServices;

namespace Oxen.Router.Core.Carrier;

/// <summary>
/// An exact sliding window over 64-bit numbers: the newest and the <see cref="Bits"/> - 1 before it, a bit each, in a ring.
/// <see cref="IsNew"/> looks before a packet is opened, <see cref="Mark"/> moves it once the packet is authentic.
/// A window is <see cref="Words"/> words of a larger table: word 0 is the newest number + 1 (0: nothing yet), then the bits.
/// </summary>
internal static class ReplayWindow
{
    public const int Bits = 8192;

    private const int FirstWord = 1;
    public const int Words = FirstWord + Bits / 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsNew(ReadOnlySpan<ulong> window, ulong number)
    {
        ulong end = window[0];
        if (number >= end) return number != ulong.MaxValue;
        if (end - number > Bits) return false;
        return (window[FirstWord + (int)((number / 64) % (Bits / 64))] >> (int)(number & 63) & 1) == 0;
    }

    /// <summary>Takes a number that <see cref="IsNew"/> said yes to.</summary>
    public static void Mark(Span<ulong> window, ulong number)
    {
        ulong end = window[0];
        if (number >= end)
        {
            // The numbers from the old end up to this one take over the bits of those that fall out.
            if (number != end) Forget(window, end, number - end);
            window[FirstWord + (int)((number / 64) % (Bits / 64))] &= ~(1UL << (int)(number & 63));
            window[0] = number + 1;
        }

        window[FirstWord + (int)((number / 64) % (Bits / 64))] |= 1UL << (int)(number & 63);
    }

    // Clears the bits of `count` numbers beginning with `from`.
    private static void Forget(Span<ulong> window, ulong from, ulong count)
    {
        if (count >= Bits)
        {
            window[FirstWord..Words].Clear();
            return;
        }

        while (count > 0)
        {
            int bit = (int)(from & 63);
            int run = (int)Math.Min(count, (ulong)(64 - bit));
            ulong mask = (run == 64 ? ulong.MaxValue : (1UL << run) - 1) << bit;
            window[FirstWord + (int)((from / 64) % (Bits / 64))] &= ~mask;
            from += (ulong)run;
            count -= (ulong)run;
        }
    }

    /// <summary>How many numbers of the window were seen; for tests and statistics.</summary>
    public static int CountSeen(ReadOnlySpan<ulong> window)
    {
        int seen = 0;
        foreach (ulong word in window[FirstWord..Words]) seen += BitOperations.PopCount(word);
        return seen;
    }
}
