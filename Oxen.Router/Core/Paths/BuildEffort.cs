using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Paths;

// Effort of a build (docs/protocol/path-build.md#effort): leading zero bits of
//
//   SHA-256("oxen path effort v1" || record hash 32 || epoch 4 || seed 16 || proof 16)
//
// The record hash binds it to one relay, one onion key and one record (which the replay cache takes only once), the
// epoch to a few minutes. So it can be neither shared among relays nor saved up for long.
internal static class BuildEffort
{
    /// <summary>More than this a relay never asks for and a client never pays (about a second of one core).</summary>
    public const int MaxBits = 24;

    private const int InputBytes = 19 + 32 + 4 + (2 * BuildFormat.EffortPartBytes);

    public static int Measure(ReadOnlySpan<byte> recordHash, uint epoch, ReadOnlySpan<byte> seedAndProof)
    {
        Span<byte> input = stackalloc byte[InputBytes];
        Fill(input, recordHash, epoch, seedAndProof);
        return LeadingZeros(input);
    }

    /// <summary>Counts the proof up from where it stands until it carries `bits`.</summary>
    public static void Solve(ReadOnlySpan<byte> recordHash, uint epoch, Span<byte> seedAndProof, int bits)
    {
        if (bits <= 0) return;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bits, MaxBits);
        Span<byte> input = stackalloc byte[InputBytes];
        Fill(input, recordHash, epoch, seedAndProof);
        Span<byte> counter = input[^8..];
        while (LeadingZeros(input) < bits)
        {
            BinaryPrimitives.WriteUInt64BigEndian(counter, unchecked(BinaryPrimitives.ReadUInt64BigEndian(counter) + 1));
        }

        input[^(2 * BuildFormat.EffortPartBytes)..].CopyTo(seedAndProof);
    }

    private static void Fill(Span<byte> input, ReadOnlySpan<byte> recordHash, uint epoch, ReadOnlySpan<byte> seedAndProof)
    {
        "oxen path effort v1"u8.CopyTo(input);
        recordHash.CopyTo(input[19..]);
        BinaryPrimitives.WriteUInt32BigEndian(input[51..], epoch);
        seedAndProof.CopyTo(input[55..]);
    }

    private static int LeadingZeros(ReadOnlySpan<byte> input)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(input, hash);
        return BitOperations.LeadingZeroCount(BinaryPrimitives.ReadUInt64BigEndian(hash));
    }
}
