using System.Security.Cryptography;
using NSec.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

// SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4), the only one we take as a raw public key:
//
//   30 2a | 30 05 06 03 2b6570 | 03 21 00 | key 32           44 bytes, no other encoding, nothing behind it

/// <summary>The key that a peer shows in Certificate, and the check of what it signs with it in CertificateVerify.</summary>
internal sealed class TlsPeerKey
{
    public const int SpkiBytes = 44;

    private readonly PublicKey? _ed25519;
    private readonly ECParameters? _p256;
    private readonly RSAParameters? _rsa;

    private TlsPeerKey(PublicKey key, ReadOnlySpan<byte> raw) => (_ed25519, Ed25519) = (key, raw.ToArray());

    private TlsPeerKey(ECParameters key) => _p256 = key;

    private TlsPeerKey(RSAParameters key) => _rsa = key;

    /// <summary>The 32 bytes of an Ed25519 key; empty for other keys.</summary>
    public byte[] Ed25519 { get; } = [];

    private static ReadOnlySpan<byte> SpkiPrefix => [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

    private static ReadOnlySpan<byte> Ed25519Id => [0x2B, 0x65, 0x70];

    private static ReadOnlySpan<byte> EcPublicKeyId => [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

    private static ReadOnlySpan<byte> P256Id => [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];

    private static ReadOnlySpan<byte> RsaId => [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];

    /// <summary>Writes the 44-byte SubjectPublicKeyInfo of a 32-byte key.</summary>
    public static void WriteSpki(ReadOnlySpan<byte> key, Span<byte> spki)
    {
        SpkiPrefix.CopyTo(spki);
        key.CopyTo(spki[SpkiPrefix.Length..]);
    }

    /// <summary>A raw public key (RFC 7250): byte for byte the form above. Another key's well-formed SPKI is unsupported, the rest is bad.</summary>
    public static byte FromRawKey(ReadOnlySpan<byte> spki, out TlsPeerKey? key)
    {
        key = null;
        if (spki.Length == SpkiBytes && spki.StartsWith(SpkiPrefix)) return FromEd25519(spki[SpkiPrefix.Length..], out key);
        DerReader outer = new(spki);
        bool other = outer.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> content) && outer.IsEmpty && TrySplitSpki(content, out ReadOnlySpan<byte> id, out _, out _) && !id.SequenceEqual(Ed25519Id);
        return other ? TlsAlert.UnsupportedCertificate : TlsAlert.BadCertificate;
    }

    /// <summary>An X.509 certificate: its key is taken, its names, dates and signature are not looked at.</summary>
    public static byte FromCertificate(ReadOnlySpan<byte> certificate, out TlsPeerKey? key)
    {
        key = null;
        DerReader file = new(certificate);
        if (!file.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> signed) || !file.IsEmpty) return TlsAlert.BadCertificate;
        DerReader outer = new(signed);
        if (!outer.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> body) || !outer.Skip(DerReader.Sequence) || !outer.Skip(DerReader.BitString) || !outer.IsEmpty) return TlsAlert.BadCertificate;

        // RFC 5280 section 4.1: version, serial, signature, issuer, validity, subject, key, ...
        DerReader fields = new(body);
        if (fields.NextIs(DerReader.Context0) && !fields.Skip(DerReader.Context0)) return TlsAlert.BadCertificate;
        if (!fields.Skip(DerReader.Integer) || !fields.Skip(DerReader.Sequence) || !fields.Skip(DerReader.Sequence) || !fields.Skip(DerReader.Sequence) || !fields.Skip(DerReader.Sequence)
            || !fields.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> spki) || !TrySplitSpki(spki, out ReadOnlySpan<byte> id, out ReadOnlySpan<byte> parameters, out ReadOnlySpan<byte> bits))
        {
            return TlsAlert.BadCertificate;
        }

        if (id.SequenceEqual(Ed25519Id)) return parameters.IsEmpty ? FromEd25519(bits, out key) : TlsAlert.BadCertificate;
        if (id.SequenceEqual(EcPublicKeyId)) return FromP256(parameters, bits, out key);
        if (id.SequenceEqual(RsaId)) return FromRsa(bits, out key);
        return TlsAlert.UnsupportedCertificate;
    }

    /// <summary>0, illegal_parameter when the scheme does not belong to the key, decrypt_error when the signature is wrong.</summary>
    public byte Verify(ushort scheme, ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature)
    {
        try
        {
            bool? valid = scheme switch
            {
                TlsSignatureScheme.Ed25519 when _ed25519 is not null =>
                    signature.Length == TlsIdentity.SignatureBytes && SignatureAlgorithm.Ed25519.Verify(_ed25519, content, signature),
                TlsSignatureScheme.EcdsaP256Sha256 when _p256 is not null => VerifyP256(content, signature),
                TlsSignatureScheme.RsaPssRsaeSha256 when _rsa is not null => VerifyRsa(content, signature),
                _ => null,
            };
            return valid switch { true => TlsAlert.None, false => TlsAlert.DecryptError, null => TlsAlert.IllegalParameter };
        }
        catch (CryptographicException)
        {
            return TlsAlert.DecryptError;       // the library's word for a key or signature that is no such thing
        }
    }

    private bool VerifyP256(ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature)
    {
        using ECDsa key = ECDsa.Create(_p256!.Value);
        return key.VerifyData(content, signature, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
    }

    private bool VerifyRsa(ReadOnlySpan<byte> content, ReadOnlySpan<byte> signature)
    {
        using RSA key = RSA.Create(_rsa!.Value);
        return key.VerifyData(content, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
    }

    private static bool TrySplitSpki(ReadOnlySpan<byte> spki, out ReadOnlySpan<byte> id, out ReadOnlySpan<byte> parameters, out ReadOnlySpan<byte> bits)
    {
        id = parameters = bits = default;
        DerReader fields = new(spki);
        if (!fields.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> algorithm) || !fields.TryRead(DerReader.BitString, out bits) || !fields.IsEmpty || bits is not [0, ..]) return false;
        bits = bits[1..];
        DerReader inner = new(algorithm);
        if (!inner.TryRead(DerReader.ObjectId, out id, out ReadOnlySpan<byte> wholeId)) return false;
        parameters = algorithm[wholeId.Length..];
        return true;
    }

    private static byte FromEd25519(ReadOnlySpan<byte> raw, out TlsPeerKey? key)
    {
        key = null;
        if (!PublicKey.TryImport(SignatureAlgorithm.Ed25519, raw, KeyBlobFormat.RawPublicKey, out PublicKey? imported) || imported is null) return TlsAlert.BadCertificate;
        key = new TlsPeerKey(imported, raw);
        return TlsAlert.None;
    }

    private static byte FromP256(ReadOnlySpan<byte> parameters, ReadOnlySpan<byte> point, out TlsPeerKey? key)
    {
        key = null;
        DerReader curve = new(parameters);
        if (!curve.TryRead(DerReader.ObjectId, out ReadOnlySpan<byte> id) || !curve.IsEmpty || !id.SequenceEqual(P256Id)) return TlsAlert.UnsupportedCertificate;
        if (point is not [0x04, ..] || point.Length != 65) return TlsAlert.BadCertificate;
        key = new TlsPeerKey(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, Q = { X = point[1..33].ToArray(), Y = point[33..].ToArray() } });
        return TlsAlert.None;
    }

    private static byte FromRsa(ReadOnlySpan<byte> bits, out TlsPeerKey? key)
    {
        key = null;
        DerReader outer = new(bits);
        if (!outer.TryRead(DerReader.Sequence, out ReadOnlySpan<byte> pair) || !outer.IsEmpty) return TlsAlert.BadCertificate;
        DerReader inner = new(pair);
        if (!inner.TryRead(DerReader.Integer, out ReadOnlySpan<byte> modulus) || !inner.TryRead(DerReader.Integer, out ReadOnlySpan<byte> exponent) || !inner.IsEmpty) return TlsAlert.BadCertificate;
        modulus = modulus.TrimStart((byte)0);
        exponent = exponent.TrimStart((byte)0);

        // Bounds against a stranger's arithmetic: 1024 to 8192 bits, exponent up to 32.
        if (modulus.Length is < 128 or > 1024 || exponent.Length is < 1 or > 4) return TlsAlert.UnsupportedCertificate;
        key = new TlsPeerKey(new RSAParameters { Modulus = modulus.ToArray(), Exponent = exponent.ToArray() });
        return TlsAlert.None;
    }
}
