using NSec.Cryptography;

namespace Oxen.Ons.Ledger;

/// <summary>BLAKE2b-256 with a tag that says what is hashed: tag text, one zero byte, then the parts. docs/protocol/ledger.md#hashes</summary>
internal static class LedgerHash
{
    private const int ShortBytes = 512;

    [ThreadStatic]
    private static byte[]? t_whole; // one on the stack would be cleared for each hash

    public static Bytes32 Of(ReadOnlySpan<byte> tag, ReadOnlySpan<byte> data) => Of(tag, data, default);

    public static Bytes32 Of(ReadOnlySpan<byte> tag, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        // Most inputs are short: put together they cost one call into the library instead of five.
        if (tag.Length + 1 + first.Length + second.Length <= ShortBytes)
        {
            Span<byte> whole = t_whole ??= new byte[ShortBytes];
            tag.CopyTo(whole);
            whole[tag.Length] = 0;
            first.CopyTo(whole[(tag.Length + 1)..]);
            second.CopyTo(whole[(tag.Length + 1 + first.Length)..]);
            return Bare(whole[..(tag.Length + 1 + first.Length + second.Length)]);
        }

        Span<byte> hash = stackalloc byte[Bytes32.Length];
        IncrementalHash.Initialize(HashAlgorithm.Blake2b_256, out IncrementalHash state);
        IncrementalHash.Update(ref state, tag);
        IncrementalHash.Update(ref state, [0]);
        IncrementalHash.Update(ref state, first);
        if (!second.IsEmpty) IncrementalHash.Update(ref state, second);
        IncrementalHash.Finalize(ref state, hash);
        return new Bytes32(hash);
    }

    /// <summary>Without a tag: for short inputs that begin with a byte of their own (tree nodes).</summary>
    public static Bytes32 Bare(ReadOnlySpan<byte> data)
    {
        Span<byte> hash = stackalloc byte[Bytes32.Length];
        HashAlgorithm.Blake2b_256.Hash(data, hash);
        return new Bytes32(hash);
    }
}
