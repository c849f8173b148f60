using System.Numerics;
using Oxen.Router.Tests.Reference;

namespace Oxen.Router.Tests.Core.Hidden;

/// <summary>Encodings that no key may have: small order, not canonical, mixed order.</summary>
internal static class BadPoints
{
    public static IEnumerable<byte[]> All
    {
        get
        {
            // The eight points of small order: y = 1, -1, 0 (twice), and the roots of order 8 (four), with both signs where they have one.
            (BigInteger X, BigInteger Y) eight = OfOrderEight();
            (BigInteger X, BigInteger Y) point = (0, 1);
            for (int i = 0; i < 8; i++)
            {
                yield return SlowEd25519.Encode(point);
                point = SlowEd25519.Add(point, eight);
            }

            // Not canonical: y + p where it fits into 255 bits, and a sign for x = 0.
            for (int y = 0; y < 19; y++) yield return SlowEd25519.Bytes(SlowEd25519.P + y);
            byte[] minusZero = SlowEd25519.Bytes(1);
            minusZero[31] |= 0x80;
            yield return minusZero;

            // Mixed order: a good point and one of order 8.
            yield return SlowEd25519.Encode(SlowEd25519.Add(SlowEd25519.Base, eight));
        }
    }

    // Any point of the curve times L has small order; one of the first that are found has order 8.
    private static (BigInteger X, BigInteger Y) OfOrderEight()
    {
        for (int y = 2; ; y++)
        {
            (BigInteger X, BigInteger Y) p;
            try
            {
                p = SlowEd25519.Decode(SlowEd25519.Bytes(y));
            }
            catch (ArgumentException)
            {
                continue; // no such point
            }

            (BigInteger X, BigInteger Y) small = SlowEd25519.Multiply(p, SlowEd25519.L);
            if (SlowEd25519.Multiply(small, 4) != (0, 1)) return small;
        }
    }
}
