using Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Core.Carrier;

/// <summary>
/// Opens and seals one sealed datagram in place. Associated data is the 16 clear bytes; so is the nonce of AEGIS-128L,
/// while the others take its last 12 (receiver index || counter): docs/protocol/link.md#suites.
/// </summary>
internal static class LinkSeal
{
    private const int ShortNonceAt = SealedDatagram.IndexAt;

    /// <summary>False: not authentic, and the bytes must not be used.</summary>
    public static bool Open(Span<byte> datagram, ReadOnlySpan<byte> readyKey, LinkSuite suite)
    {
        ReadOnlySpan<byte> clear = datagram[..SealedDatagram.ClearBytes];
        Span<byte> data = datagram[SealedDatagram.ClearBytes..^SealedDatagram.TagBytes];
        ReadOnlySpan<byte> tag = datagram[^SealedDatagram.TagBytes..];
        return suite switch
        {
            LinkSuite.Aegis128L => Aegis128L.Open(data, readyKey[..Aegis128L.KeyBytes], clear, clear, tag),
            LinkSuite.ChaCha20Poly1305 => ChaCha20Poly1305.Open(data, readyKey[..ChaCha20Poly1305.KeyBytes], clear[ShortNonceAt..], clear, tag),
            LinkSuite.AesGcm128 => AesGcm128.Open(data, readyKey[..AesGcm128.ExpandedBytes], clear[ShortNonceAt..], clear, tag),
            _ => false,
        };
    }

    /// <summary>The header is written; encrypts and writes the tag.</summary>
    public static void Seal(Span<byte> datagram, ReadOnlySpan<byte> readyKey, LinkSuite suite)
    {
        ReadOnlySpan<byte> clear = datagram[..SealedDatagram.ClearBytes];
        Span<byte> data = datagram[SealedDatagram.ClearBytes..^SealedDatagram.TagBytes];
        Span<byte> tag = datagram[^SealedDatagram.TagBytes..];
        switch (suite)
        {
            case LinkSuite.Aegis128L:
                Aegis128L.Seal(data, readyKey[..Aegis128L.KeyBytes], clear, clear, tag);
                break;
            case LinkSuite.ChaCha20Poly1305:
                ChaCha20Poly1305.Seal(data, readyKey[..ChaCha20Poly1305.KeyBytes], clear[ShortNonceAt..], clear, tag);
                break;
            case LinkSuite.AesGcm128:
                AesGcm128.Seal(data, readyKey[..AesGcm128.ExpandedBytes], clear[ShortNonceAt..], clear, tag);
                break;
        }
    }
}
