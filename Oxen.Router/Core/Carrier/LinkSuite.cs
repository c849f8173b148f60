namespace Oxen.Router.Core.Carrier;

/// <summary>AEAD of a link's sealed datagrams, by the id that the two ends negotiate (docs/protocol/link.md#suites).</summary>
internal enum LinkSuite : byte
{
    None = 0,

    /// <summary>Fastest with AES instructions; an IRTF draft. Key 16, nonce 16.</summary>
    Aegis128L = 1,

    /// <summary>RFC 8439. Key 32, nonce 12.</summary>
    ChaCha20Poly1305 = 2,

    /// <summary>NIST SP 800-38D. Key 16, nonce 12.</summary>
    AesGcm128 = 3,
}
