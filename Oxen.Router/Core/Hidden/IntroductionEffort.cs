using System.Buffers.Binary;
using NSec.Cryptography;

namespace Oxen.Router.Core.Hidden;

// Work that an introduction may bring, to be served before others (docs/protocol/hidden-service.md#effort):
//
//   digest = BLAKE2b-256("oxen introduction effort v1" || seed 32 || introduction without its proof)
//   value  = first 8 bytes, big-endian, of BLAKE2b-256(digest || proof 16)
//   an effort e is shown when value * e < 2^64: e tries on average
//
// One proof serves one introduction (which the replay cache takes once) and one seed (which lives two hours at most), so work can
// neither be shared nor saved up. The hash needs no memory: whoever owns graphics processors works a thousand times faster than an
// honest client. It makes a flood dear, it does not make it impossible.

/// <summary>Measures and finds proofs of effort.</summary>
internal static class IntroductionEffort
{
    private const int DigestBytes = 32;

    public static bool IsShown(ReadOnlySpan<byte> introduction, ReadOnlySpan<byte> seed)
    {
        uint effort = BinaryPrimitives.ReadUInt32BigEndian(introduction[IntroductionFormat.EffortAt..]);
        if (effort == 0) return true;
        Span<byte> input = stackalloc byte[DigestBytes + IntroductionFormat.ProofBytes];
        Digest(introduction, seed, input);
        introduction.Slice(IntroductionFormat.ProofAt, IntroductionFormat.ProofBytes).CopyTo(input[DigestBytes..]);
        return Suffices(input, effort);
    }

    internal static bool Suffices(ReadOnlySpan<byte> input, uint effort)
    {
        Span<byte> hash = stackalloc byte[DigestBytes];
        HashAlgorithm.Blake2b_256.Hash(input, hash);
        return Math.BigMul(BinaryPrimitives.ReadUInt64BigEndian(hash), effort, out _) == 0;
    }

    internal static void Digest(ReadOnlySpan<byte> introduction, ReadOnlySpan<byte> seed, Span<byte> digest)
    {
        ReadOnlySpan<byte> label = "oxen introduction effort v1"u8;
        Span<byte> input = stackalloc byte[label.Length + IntrosetContent.SeedBytes + IntroductionFormat.Bytes - IntroductionFormat.ProofBytes];
        label.CopyTo(input);
        seed.CopyTo(input[label.Length..]);
        introduction[..IntroductionFormat.ProofAt].CopyTo(input[(label.Length + IntrosetContent.SeedBytes)..]);
        introduction[IntroductionFormat.ShareAt..].CopyTo(input[(label.Length + IntrosetContent.SeedBytes + IntroductionFormat.ProofAt)..]);
        HashAlgorithm.Blake2b_256.Hash(input, digest[..DigestBytes]);
    }
}

/// <summary>Looks for a proof, some tries at a time, so that the session thread is never held up.</summary>
internal sealed class IntroductionSolver
{
    private readonly byte[] _introduction;
    private readonly byte[] _input = new byte[48];
    private readonly uint _effort;

    /// <summary>Writes the effort into `introduction`, and the proof when <see cref="Step"/> has found it.</summary>
    /// <param name="first">16 bytes to count up from: public, and different for each try.</param>
    public IntroductionSolver(byte[] introduction, ReadOnlySpan<byte> seed, uint effort, ReadOnlySpan<byte> first)
    {
        _introduction = introduction;
        _effort = effort;
        BinaryPrimitives.WriteUInt32BigEndian(introduction.AsSpan(IntroductionFormat.EffortAt), effort);
        IntroductionEffort.Digest(introduction, seed, _input);
        if (effort > 0) first.CopyTo(_input.AsSpan(32));
        Solved = effort == 0;
    }

    public bool Solved { get; private set; }

    public bool Step(int tries)
    {
        Span<byte> counter = _input.AsSpan(40);
        for (int i = 0; i < tries && !Solved; i++)
        {
            BinaryPrimitives.WriteUInt64BigEndian(counter, unchecked(BinaryPrimitives.ReadUInt64BigEndian(counter) + 1));
            if (!IntroductionEffort.Suffices(_input, _effort)) continue;
            _input.AsSpan(32).CopyTo(_introduction.AsSpan(IntroductionFormat.ProofAt));
            Solved = true;
        }

        return Solved;
    }
}
