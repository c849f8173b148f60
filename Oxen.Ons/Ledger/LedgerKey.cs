using NSec.Cryptography;

namespace Oxen.Ons.Ledger;

/// <summary>A secret Ed25519 key that signs for an account, an owner, a node or a zone. Wiped when disposed.</summary>
internal sealed class LedgerKey : IDisposable
{
    private readonly Key _key;

    public LedgerKey(ReadOnlySpan<byte> seed)
    {
        _key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
        Id = new Bytes32(_key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
    }

    /// <summary>The public key: an account's address is this.</summary>
    public Bytes32 Id { get; }

    public byte[] ExportSeed() => _key.Export(KeyBlobFormat.RawPrivateKey);

    public byte[] Sign(ReadOnlySpan<byte> message) => SignatureAlgorithm.Ed25519.Sign(_key, message);

    public byte[] Sign(ReadOnlySpan<byte> tag, Bytes32 digest) => Sign(LedgerSignature.Message(tag, digest));

    public void Dispose() => _key.Dispose();
}
