using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Oxen.Router.Core;

namespace Oxen.Ons;

// Values are stored encrypted under a key that follows from the name: whoever knows the name can read the value, and whoever
// has only the hash cannot. That is all it protects: it does not show who wrote the value. docs/protocol/ons.md#encryption
//
//   current     0                n           n + 16       n + 40
//               +----------------+-----------+------------+
//               | ciphertext n   | tag 16    | nonce 24   |    XChaCha20-Poly1305, no associated data
//               +----------------+-----------+------------+    key = BLAKE2b-256(name, keyed with the name's hash)
//
//   legacy      0         16               49
//   (session    +---------+----------------+                   XSalsa20-Poly1305, 24 zero bytes as nonce
//   of 2020)    | tag 16  | ciphertext 33  |                   key = Argon2id 1.3(name; salt 16 zero bytes, 3 passes, 256 MiB, 1 lane)
//               +---------+----------------+
//
// A stored value is legacy exactly if it is a session's and has 49 bytes.

/// <summary>Encrypts values for the ledger and decrypts them. Works on bytes; what they mean is <see cref="NameValue"/>'s affair.</summary>
public static class ValueCipher
{
    /// <summary>Length of the nonce. A fresh random one for each encryption.</summary>
    public const int NonceBytes = 24;

    private const int KeyBytes = 32;
    private const int TagBytes = 16;
    private const int LegacyBytes = SecretBox.TagBytes + 33;
    private const int LegacySaltBytes = 16;

    private static readonly PasswordBasedKeyDerivationAlgorithm LegacyDerivation = PasswordBasedKeyDerivationAlgorithm.Argon2id(
        new Argon2Parameters { DegreeOfParallelism = 1, MemorySize = 256 * 1024, NumberOfPasses = 3 }); // memory in KiB

    // 256 MiB each: one at a time.
    private static readonly Lock LegacyGate = new();

    /// <summary>Whether a stored value of this type may have so many bytes: 73 or 49 (session), 72 (lokinet), 105 or 113 (wallet).</summary>
    public static bool IsStoredLength(int length, NameType type) => IsLegacy(length, type) || NameValue.IsLength(length - TagBytes - NonceBytes, type);

    /// <summary>Encrypts: ciphertext, tag, nonce. `nonce` is 24 bytes that were never used for this name before.</summary>
    public static byte[] Encrypt(ReadOnlySpan<byte> value, string name, ReadOnlySpan<byte> nonce)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(nonce.Length, NonceBytes);
        byte[] stored = new byte[value.Length + TagBytes + NonceBytes];
        using Key key = CurrentKey(name);
        AeadAlgorithm.XChaCha20Poly1305.Encrypt(key, nonce, default, value, stored.AsSpan(0, value.Length + TagBytes));
        nonce.CopyTo(stored.AsSpan(value.Length + TagBytes));
        return stored;
    }

    /// <summary>
    /// Decrypts a stored value, current or legacy. Legacy ones take 256 MiB and seconds of work, and wait for each other:
    /// not for the thread that answers requests. `value` is null unless the answer is None.
    /// </summary>
    public static ValueFault Decrypt(ReadOnlySpan<byte> stored, string name, NameType type, out byte[]? value)
    {
        value = null;
        if (!IsStoredLength(stored.Length, type)) return ValueFault.Length;
        if (IsLegacy(stored.Length, type))
        {
            byte[] opened = new byte[stored.Length - SecretBox.TagBytes];
            if (!OpenLegacy(stored, name, opened)) return ValueFault.Sealed;
            value = opened;
            return ValueFault.None;
        }

        using Key key = CurrentKey(name);
        value = AeadAlgorithm.XChaCha20Poly1305.Decrypt(key, stored[^NonceBytes..], default, stored[..^NonceBytes]);
        return value is null ? ValueFault.Sealed : ValueFault.None;
    }

    private static bool IsLegacy(int length, NameType type) => type == NameType.Session && length == LegacyBytes;

    private static Key CurrentKey(string name)
    {
        Span<byte> hash = stackalloc byte[NameHash.Bytes];
        NameHash.Of(name).CopyTo(hash);
        Span<byte> key = stackalloc byte[KeyBytes];
        using Key mac = Key.Import(MacAlgorithm.Blake2b_256, hash, KeyBlobFormat.RawSymmetricKey);
        MacAlgorithm.Blake2b_256.Mac(mac, Text(name), key);
        try
        {
            return Key.Import(AeadAlgorithm.XChaCha20Poly1305, key, KeyBlobFormat.RawSymmetricKey);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private static bool OpenLegacy(ReadOnlySpan<byte> stored, string name, Span<byte> value)
    {
        Span<byte> key = stackalloc byte[KeyBytes];
        Span<byte> zeros = stackalloc byte[SecretBox.NonceBytes];
        zeros.Clear();
        lock (LegacyGate) LegacyDerivation.DeriveBytes(Text(name), zeros[..LegacySaltBytes], key);
        try
        {
            return SecretBox.Open(stored, key, zeros, value);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private static byte[] Text(string name) => Encoding.UTF8.GetBytes(NameRules.Fold(name));
}
