using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>Ordinary certificates, for interoperation: P-256 and Ed25519 in both roles, RSA as something shown to us.</summary>
public sealed class TlsCertificateTests : IDisposable
{
    private readonly TlsIdentity _bob = TlsPair.Identity(2);
    private readonly ECDsa _p256 = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    [Fact]
    public void A_P256_certificate_serves_clients_without_raw_keys()
    {
        TlsServerOptions server = new() { Identity = _bob, Alpn = [TlsPair.Protocol], CertificateChain = [P256Certificate(), [1, 2, 3]], CertificateKey = _p256 };
        using TlsPair pair = new TlsPair(1, Client(), server) { Pieces = 100 }.Run();
        Assert.True(pair.IsComplete, pair.Client.AlertReason ?? pair.Server.AlertReason);
        Assert.Empty(pair.Client.PeerPublicKey.ToArray());

        // The same server shows its raw key to those who ask for it.
        using TlsPair raw = new TlsPair(1, new TlsClientOptions { Alpn = [TlsPair.Protocol], PinnedServerKey = _bob.PublicKey.ToArray() }, server).Run();
        Assert.True(raw.IsComplete);
        Assert.Equal(_bob.PublicKey.ToArray(), raw.Client.PeerPublicKey.ToArray());
    }

    [Fact]
    public void An_Ed25519_certificate_serves_too_and_can_be_pinned()
    {
        byte[] certificate = Certificate(w => Ed25519Spki(w, _bob.PublicKey.ToArray()));
        TlsServerOptions server = new() { Identity = _bob, Alpn = [TlsPair.Protocol], CertificateChain = [certificate] };
        using TlsPair any = new TlsPair(1, Client(), server).Run();
        Assert.True(any.IsComplete, any.Client.AlertReason);
        Assert.Equal(_bob.PublicKey.ToArray(), any.Client.PeerPublicKey.ToArray());
        using TlsPair pinned = new TlsPair(1, Client(_bob.PublicKey.ToArray()), server).Run();
        Assert.True(pinned.IsComplete);
        using TlsPair wrong = new TlsPair(1, Client(new byte[32]), server).Run();
        Assert.Equal(TlsAlert.CertificateUnknown, wrong.ClientAlert);
    }

    [Fact]
    public void A_pinned_client_never_takes_a_P256_certificate()
    {
        TlsServerOptions server = new() { Identity = _bob, Alpn = [TlsPair.Protocol], CertificateChain = [P256Certificate()], CertificateKey = _p256 };
        using TlsPair pair = new TlsPair(1, Client(_bob.PublicKey.ToArray()), server).Run();
        Assert.Equal(TlsAlert.CertificateUnknown, pair.ClientAlert);
    }

    [Fact]
    public void A_certificate_with_another_key_than_the_servers_does_not_hold()
    {
        using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        TlsServerOptions server = new() { Identity = _bob, Alpn = [TlsPair.Protocol], CertificateChain = [P256Certificate()], CertificateKey = other };
        using TlsPair pair = new TlsPair(1, Client(), server).Run();
        Assert.Equal(TlsAlert.DecryptError, pair.ClientAlert);
        TlsServerOptions mixed = new() { Identity = _bob, Alpn = [TlsPair.Protocol], CertificateChain = [P256Certificate()] };      // signs with Ed25519
        using TlsPair pair2 = new TlsPair(1, Client(), mixed).Run();
        Assert.Equal(TlsAlert.IllegalParameter, pair2.ClientAlert);
    }

    [Fact]
    public void A_server_without_certificates_turns_X509_clients_away()
    {
        using TlsPair pair = new TlsPair(1, Client(), new TlsServerOptions { Identity = _bob, Alpn = [TlsPair.Protocol] }).Run();
        Assert.Equal(TlsAlert.UnsupportedCertificate, pair.ServerAlert);
    }

    [Fact]
    public void Keys_are_found_in_the_librarys_certificates()
    {
        using RSA rsa = RSA.Create(2048);
        CertificateRequest request = new("CN=test", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        Assert.Equal(0, TlsPeerKey.FromCertificate(certificate.RawData, out TlsPeerKey? key));
        byte[] content = [1, 2, 3];
        Assert.Equal(0, key!.Verify(TlsSignatureScheme.RsaPssRsaeSha256, content, rsa.SignData(content, HashAlgorithmName.SHA256, RSASignaturePadding.Pss)));
        Assert.Equal(TlsAlert.DecryptError, key.Verify(TlsSignatureScheme.RsaPssRsaeSha256, content, rsa.SignData(content, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)));

        Assert.Equal(0, TlsPeerKey.FromCertificate(P256Certificate(), out key));
        byte[] signature = _p256.SignData(content, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        Assert.Equal(0, key!.Verify(TlsSignatureScheme.EcdsaP256Sha256, content, signature));
        Assert.Equal(TlsAlert.IllegalParameter, key.Verify(TlsSignatureScheme.Ed25519, content, signature));
        for (int keep = 0; keep < signature.Length; keep++) Assert.Equal(TlsAlert.DecryptError, key.Verify(TlsSignatureScheme.EcdsaP256Sha256, content, signature.AsSpan(0, keep)));

        using ECDsa p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using X509Certificate2 big = new CertificateRequest("CN=test", p384, HashAlgorithmName.SHA384).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        Assert.Equal(TlsAlert.UnsupportedCertificate, TlsPeerKey.FromCertificate(big.RawData, out _));
    }

    [Fact]
    public void A_point_off_the_curve_is_no_key_and_no_exception()
    {
        byte[] certificate = P256Certificate();
        byte[] point = _p256.ExportParameters(false).Q.Y!;
        int at = certificate.AsSpan().IndexOf(point);
        certificate[at + 7] ^= 1;
        if (TlsPeerKey.FromCertificate(certificate, out TlsPeerKey? key) == 0)
            Assert.Equal(TlsAlert.DecryptError, key!.Verify(TlsSignatureScheme.EcdsaP256Sha256, [1], _p256.SignData([1], HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)));
    }

    [Fact]
    public void Certificates_cut_or_bent_anywhere_throw_nothing()
    {
        foreach (byte[] certificate in (byte[][])[P256Certificate(), Rfc8448.Certificate[11..^2], Certificate(w => Ed25519Spki(w, _bob.PublicKey.ToArray()))])
        {
            for (int i = 0; i < certificate.Length; i++)
            {
                Assert.NotEqual(0, TlsPeerKey.FromCertificate(certificate.AsSpan(0, i), out _));
                foreach (byte value in (byte[])[0, 1, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xFF, (byte)(certificate[i] ^ 1)])
                {
                    byte[] bent = [.. certificate];
                    bent[i] = value;
                    byte alert = TlsPeerKey.FromCertificate(bent, out TlsPeerKey? key);
                    Assert.Equal(alert == 0, key is not null);
                    key?.Verify(TlsSignatureScheme.EcdsaP256Sha256, [1], [0x30, 6, 2, 1, 1, 2, 1, 1]);
                    key?.Verify(TlsSignatureScheme.RsaPssRsaeSha256, [1], new byte[128]);
                }
            }
        }
    }

    public void Dispose()
    {
        _bob.Dispose();
        _p256.Dispose();
    }

    private static TlsClientOptions Client(byte[]? pinned = null) => new() { RawPublicKeys = false, Alpn = [TlsPair.Protocol], PinnedServerKey = pinned is null ? (ReadOnlyMemory<byte>?)null : pinned, ServerName = "localhost" };

    private byte[] P256Certificate()
    {
        CertificateRequest request = new("CN=test", _p256, HashAlgorithmName.SHA256);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        return certificate.RawData;
    }

    private static void Ed25519Spki(AsnWriter writer, byte[] key)
    {
        using (writer.PushSequence())
        {
            using (writer.PushSequence()) writer.WriteObjectIdentifier("1.3.101.112");
            writer.WriteBitString(key);
        }
    }

    // A certificate whose signature nobody checks.
    private static byte[] Certificate(Action<AsnWriter> spki)
    {
        AsnWriter writer = new(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            using (writer.PushSequence())
            {
                using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0))) writer.WriteInteger(2);
                writer.WriteInteger(1);
                using (writer.PushSequence()) writer.WriteObjectIdentifier("1.3.101.112");
                using (writer.PushSequence())
                {
                }

                using (writer.PushSequence())
                {
                    writer.WriteUtcTime(DateTimeOffset.UnixEpoch);
                    writer.WriteUtcTime(DateTimeOffset.UnixEpoch);
                }

                using (writer.PushSequence())
                {
                }

                spki(writer);
            }

            using (writer.PushSequence()) writer.WriteObjectIdentifier("1.3.101.112");
            writer.WriteBitString(new byte[64]);
        }

        return writer.Encode();
    }
}
