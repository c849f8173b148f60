using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Hidden;

/// <summary>
/// Gives the 32 random bytes of a period, the same to everybody on the network. False: not known yet (a ledger that has not come so far).
/// </summary>
internal delegate bool PeriodRandomness(ulong period, Span<byte> randomness);

/// <summary>Periods of 24 hours, in which a service has one blinded key and one set of places (docs/protocol/hidden-service.md#periods).</summary>
internal static class ServicePeriod
{
    /// <summary>Specification.</summary>
    public const long Seconds = 24 * 3600;

    public const int RandomnessBytes = 32;

    public static ulong At(long unixSeconds) => (ulong)(unixSeconds / Seconds);

    public static long StartOf(ulong period) => (long)period * Seconds;

    /// <summary>
    /// A static network's: SHA-256("oxen period randomness v1" || network id || period 8). Everybody can compute it ahead of time, so whoever
    /// chooses the list's router ids can choose places; a network that takes ids from strangers needs randomness that comes later than they.
    /// </summary>
    public static PeriodRandomness OfNetwork(ReadOnlySpan<byte> networkId)
    {
        byte[] id = networkId.ToArray();
        return (period, randomness) =>
        {
            ReadOnlySpan<byte> label = "oxen period randomness v1"u8;
            Span<byte> input = stackalloc byte[label.Length + id.Length + 8];
            label.CopyTo(input);
            id.CopyTo(input[label.Length..]);
            BinaryPrimitives.WriteUInt64BigEndian(input[^8..], period);
            SHA256.HashData(input, randomness);
            return true;
        };
    }
}
