using System.Globalization;
using NSec.Cryptography;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm;

// The name of a stored message. No time is in it: the same bytes sent again are the same message, and whoever has them can
// compute the name. docs/protocol/swarm.md#message-hash
//
//   base64 without padding ( BLAKE2b-256 ( account 33 | namespace | data ) )       43 characters
//
// The namespace is decimal text, with a minus sign if it is negative, and nothing at all for 0.

/// <summary>Computes the hash of a message.</summary>
public static class MessageHash
{
    /// <summary>Length of a hash in characters.</summary>
    public const int Length = 43;

    private const int HashBytes = 32;
    private const int MaxNamespaceDigits = 6; // -32768

    /// <summary>The hash of `data` in a namespace of an account.</summary>
    public static string Of(ReadOnlySpan<byte> data, AccountId account, short space) => KeyOf(data, account, space).ToString();

    internal static MessageKey KeyOf(ReadOnlySpan<byte> data, AccountId account, short space)
    {
        Span<byte> head = stackalloc byte[AccountId.Bytes + MaxNamespaceDigits];
        account.CopyTo(head);
        int digits = 0;
        if (space != 0) space.TryFormat(head[AccountId.Bytes..], out digits, default, CultureInfo.InvariantCulture);
        IncrementalHash.Initialize(HashAlgorithm.Blake2b_256, out IncrementalHash state);
        IncrementalHash.Update(ref state, head[..(AccountId.Bytes + digits)]);
        IncrementalHash.Update(ref state, data);
        Span<byte> hash = stackalloc byte[HashBytes];
        IncrementalHash.Finalize(ref state, hash);
        return MessageKey.Read(hash);
    }
}
