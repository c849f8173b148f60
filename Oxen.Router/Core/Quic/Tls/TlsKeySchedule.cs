using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

// The key schedule of RFC 8446 section 7.1, without pre-shared keys:
//
//   zeros ----------> Extract = early secret
//                        | "derived"
//   (EC)DHE secret -> Extract = handshake secret --> "c hs traffic", "s hs traffic"   (ClientHello..ServerHello)
//                        | "derived"
//   zeros ----------> Extract = master secret -----> "c ap traffic", "s ap traffic", "exp master"   (..server Finished)
//
// HKDF is written out over the library's one-shot HMAC: no object, no allocation.

internal static class TlsKeySchedule
{
    /// <summary>Of SHA-384, the largest hash here.</summary>
    public const int MaxHashBytes = 48;

    private const int MaxLabelBytes = 255 - 6;

    public static int HashBytes(HashAlgorithmName hash) => hash == HashAlgorithmName.SHA384 ? 48 : 32;

    public static void Hash(HashAlgorithmName hash, ReadOnlySpan<byte> data, Span<byte> output)
    {
        if (hash == HashAlgorithmName.SHA384) SHA384.HashData(data, output);
        else SHA256.HashData(data, output);
    }

    /// <summary>HKDF-Extract (RFC 5869 section 2.2).</summary>
    public static void HkdfExtract(HashAlgorithmName hash, ReadOnlySpan<byte> material, ReadOnlySpan<byte> salt, Span<byte> output) => Hmac(hash, salt, material, output);

    /// <summary>HKDF-Expand-Label (RFC 8446 section 7.1); the label is given without its "tls13 " in front.</summary>
    public static void HkdfExpandLabel(HashAlgorithmName hash, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, Span<byte> output)
    {
        int hashBytes = HashBytes(hash);
        if (label.Length > MaxLabelBytes) throw new ArgumentException("a label has at most 249 bytes", nameof(label));
        if (context.Length > 255) throw new ArgumentException("a context has at most 255 bytes", nameof(context));
        if (output.Length > 255 * hashBytes) throw new ArgumentException("HKDF gives at most 255 blocks", nameof(output));

        // block n = HMAC(secret, block n-1 || length 2 || label length 1 || "tls13 " label || context length 1 || context || n)
        Span<byte> input = stackalloc byte[MaxHashBytes + 2 + 1 + 255 + 1 + 255 + 1];
        int at = hashBytes;
        BinaryPrimitives.WriteUInt16BigEndian(input[at..], (ushort)output.Length);
        input[at + 2] = (byte)(6 + label.Length);
        "tls13 "u8.CopyTo(input[(at + 3)..]);
        label.CopyTo(input[(at + 9)..]);
        at += 9 + label.Length;
        input[at++] = (byte)context.Length;
        context.CopyTo(input[at..]);
        at += context.Length;

        Span<byte> block = input[..hashBytes];
        for (byte n = 1; !output.IsEmpty; n++)
        {
            input[at] = n;
            Hmac(hash, secret, n == 1 ? input[hashBytes..(at + 1)] : input[..(at + 1)], block);
            int take = Math.Min(hashBytes, output.Length);
            block[..take].CopyTo(output);
            output = output[take..];
        }

        CryptographicOperations.ZeroMemory(block);
    }

    /// <summary>Early secret without a pre-shared key.</summary>
    public static void EarlySecret(HashAlgorithmName hash, Span<byte> output)
    {
        Span<byte> zeros = stackalloc byte[MaxHashBytes];
        zeros.Clear();
        HkdfExtract(hash, zeros[..HashBytes(hash)], zeros[..HashBytes(hash)], output);
    }

    /// <summary>One step down the ladder: Extract(material) salted with Derive-Secret(secret, "derived", "").</summary>
    public static void NextSecret(HashAlgorithmName hash, ReadOnlySpan<byte> secret, ReadOnlySpan<byte> material, Span<byte> output)
    {
        int n = HashBytes(hash);
        Span<byte> empty = stackalloc byte[MaxHashBytes];
        Span<byte> salt = stackalloc byte[MaxHashBytes];
        Hash(hash, [], empty[..n]);
        HkdfExpandLabel(hash, secret, "derived"u8, empty[..n], salt[..n]);
        HkdfExtract(hash, material, salt[..n], output);
        CryptographicOperations.ZeroMemory(salt);
    }

    /// <summary>The master secret, from the handshake secret.</summary>
    public static void MasterSecret(HashAlgorithmName hash, ReadOnlySpan<byte> handshakeSecret, Span<byte> output)
    {
        Span<byte> zeros = stackalloc byte[MaxHashBytes];
        zeros.Clear();
        NextSecret(hash, handshakeSecret, zeros[..HashBytes(hash)], output);
    }

    /// <summary>verify_data of Finished (RFC 8446 section 4.4.4).</summary>
    public static void FinishedMac(HashAlgorithmName hash, ReadOnlySpan<byte> trafficSecret, ReadOnlySpan<byte> transcriptHash, Span<byte> output)
    {
        Span<byte> key = stackalloc byte[MaxHashBytes];
        key = key[..HashBytes(hash)];
        HkdfExpandLabel(hash, trafficSecret, "finished"u8, [], key);
        Hmac(hash, key, transcriptHash, output);
        CryptographicOperations.ZeroMemory(key);
    }

    /// <summary>TLS-Exporter (RFC 8446 section 7.5).</summary>
    public static void Export(HashAlgorithmName hash, ReadOnlySpan<byte> exporterMasterSecret, ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, Span<byte> output)
    {
        int n = HashBytes(hash);
        Span<byte> digest = stackalloc byte[MaxHashBytes];
        Span<byte> secret = stackalloc byte[MaxHashBytes];
        Hash(hash, [], digest[..n]);
        HkdfExpandLabel(hash, exporterMasterSecret, label, digest[..n], secret[..n]);
        Hash(hash, context, digest[..n]);
        HkdfExpandLabel(hash, secret[..n], "exporter"u8, digest[..n], output);
        CryptographicOperations.ZeroMemory(secret);
    }

    // `output` may lie inside `data`: the library reads all before it writes.
    private static void Hmac(HashAlgorithmName hash, ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, Span<byte> output)
    {
        Debug.Assert(hash == HashAlgorithmName.SHA256 || hash == HashAlgorithmName.SHA384);
        if (hash == HashAlgorithmName.SHA384) HMACSHA384.HashData(key, data, output);
        else HMACSHA256.HashData(key, data, output);
    }
}
