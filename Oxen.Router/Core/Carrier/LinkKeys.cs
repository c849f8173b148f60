using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Core.Carrier;

/// <summary>
/// Derives the keys of a link's sealed datagrams (docs/protocol/link.md#keys). All of it is HKDF-SHA256 (RFC 5869):
/// <code>
///   exporter value 64 = TLS-Exporter("EXPORTER-oxen-link sealed", "", 64) = client's sending secret 32 || server's 32
///   chain[0] = Expand(sending secret, "oxen link receiver" || receiver index 4, 32)
///   key[e]   = Expand(chain[e], "oxen link key" || suite 1, length of the suite's key)
///   chain[e+1] = Expand(chain[e], "oxen link chain", 32)
/// </code>
/// </summary>
internal static class LinkKeys
{
    public const string ExporterLabel = "EXPORTER-oxen-link sealed";
    public const int ExporterBytes = 64;
    public const int SecretBytes = 32;

    /// <summary>A key as the kernels take it: raw for AEGIS and ChaCha20, expanded for AES-GCM.</summary>
    public static readonly int ReadyKeyBytes = (Math.Max(32, AesGcm128.ExpandedBytes) + 63) / 64 * 64;

    private static ReadOnlySpan<byte> ReceiverLabel => "oxen link receiver"u8;

    private static ReadOnlySpan<byte> KeyLabel => "oxen link key"u8;

    private static ReadOnlySpan<byte> ChainLabel => "oxen link chain"u8;

    public static bool IsKnown(LinkSuite suite) => suite is LinkSuite.Aegis128L or LinkSuite.ChaCha20Poly1305 or LinkSuite.AesGcm128;

    /// <summary>The half of the exporter value that the QUIC client (or server) sends under.</summary>
    public static ReadOnlySpan<byte> SendingSecret(ReadOnlySpan<byte> exporterValue, bool ofClient)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(exporterValue.Length, ExporterBytes);
        return ofClient ? exporterValue[..SecretBytes] : exporterValue[SecretBytes..];
    }

    /// <summary>chain[0] of one receiver index: what <c>AddLinkReceiver</c> and <c>AddLinkSender</c> take as their secret.</summary>
    public static void ReceiverSecret(ReadOnlySpan<byte> sendingSecret, uint receiverIndex, Span<byte> secret)
    {
        Span<byte> info = stackalloc byte[22];
        ReceiverLabel.CopyTo(info);
        BinaryPrimitives.WriteUInt32BigEndian(info[18..], receiverIndex);
        HKDF.Expand(HashAlgorithmName.SHA256, sendingSecret, secret[..SecretBytes], info);
    }

    public static void NextChain(ReadOnlySpan<byte> chain, Span<byte> next)
        => HKDF.Expand(HashAlgorithmName.SHA256, chain[..SecretBytes], next[..SecretBytes], ChainLabel);

    /// <summary>key[e] from chain[e], ready for <see cref="LinkSeal"/>.</summary>
    public static void ReadyKey(ReadOnlySpan<byte> chain, LinkSuite suite, Span<byte> ready)
    {
        Span<byte> info = stackalloc byte[14];
        KeyLabel.CopyTo(info);
        info[13] = (byte)suite;
        Span<byte> raw = stackalloc byte[32];
        int length = suite == LinkSuite.ChaCha20Poly1305 ? 32 : 16;
        HKDF.Expand(HashAlgorithmName.SHA256, chain[..SecretBytes], raw[..length], info);
        ready.Clear();
        if (suite == LinkSuite.AesGcm128) AesGcm128.Expand(raw[..16], ready[..AesGcm128.ExpandedBytes]);
        else raw[..length].CopyTo(ready);
        CryptographicOperations.ZeroMemory(raw);
    }
}
