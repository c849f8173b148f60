using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

// The server: ClientHello (a second one after our HelloRetryRequest) -> our whole flight -> [Certificate, CertificateVerify]
// -> Finished.

internal sealed partial class TlsSession
{
    private byte OnClientHello(ReadOnlySpan<byte> message)
    {
        byte alert = ClientHello.TryParse(message[HeaderBytes..], out ClientHello hello, out string reason);
        if (alert != 0) return Fail(alert, reason);

        // A second hello is the first again, with one share of the group we asked for (RFC 8446 section 4.1.2).
        if (_retried && (hello.HasEarlyData || !hello.Random.SequenceEqual(_random) || !hello.HasOnlyShare(_retryGroup)))
            return Fail(TlsAlert.IllegalParameter, "the second ClientHello is not what HelloRetryRequest asked for");

        TlsServerOptions o = _server!;
        TlsCipherSuite suite = TlsCipherSuite.None;
        foreach (TlsCipherSuite candidate in o.Suites)
        {
            if (!TlsReader.Contains16(hello.Suites, (ushort)candidate)) continue;
            suite = candidate;
            break;
        }

        if (suite == TlsCipherSuite.None) return Fail(TlsAlert.HandshakeFailure, "no common cipher suite");
        if (_retried && suite != _retrySuite) return Fail(TlsAlert.IllegalParameter, "the second ClientHello offers other suites");
        if (hello.Alpn.IsEmpty || !TryChooseProtocol(hello.Alpn, out byte[] protocol)) return Fail(TlsAlert.NoApplicationProtocol, "no common protocol");

        ushort group = 0;
        ushort common = 0;
        ReadOnlySpan<byte> share = default;
        foreach (ushort candidate in o.Groups)
        {
            if (!TlsReader.Contains16(hello.Groups, candidate)) continue;
            if (common == 0) common = candidate;
            if (!hello.TryFindShare(candidate, out share)) continue;
            group = candidate;
            break;
        }

        if (common == 0) return Fail(TlsAlert.HandshakeFailure, "no common group");

        // Which proof the client understands: our raw key before a certificate.
        bool ed25519 = TlsReader.Contains16(hello.Schemes, TlsSignatureScheme.Ed25519);
        bool rawKey = hello.ServerCertificateTypes.Contains(TlsCertificateType.RawPublicKey) && ed25519;
        bool x509 = o.CertificateChain is { Length: > 0 } && (hello.ServerCertificateTypes.IsEmpty || hello.ServerCertificateTypes.Contains(TlsCertificateType.X509));
        if (!rawKey && !x509)
        {
            return hello.ServerCertificateTypes.Contains(TlsCertificateType.RawPublicKey)
                ? Fail(TlsAlert.HandshakeFailure, "the client does not take Ed25519 signatures")
                : Fail(TlsAlert.UnsupportedCertificate, "the client does not take raw public keys");
        }

        if (!rawKey && !(o.CertificateKey is null ? ed25519 : TlsReader.Contains16(hello.Schemes, TlsSignatureScheme.EcdsaP256Sha256)))
            return Fail(TlsAlert.HandshakeFailure, "the client does not take our certificate's signatures");

        bool rawClientKey = hello.ClientCertificateTypes.Contains(TlsCertificateType.RawPublicKey);
        if (o.RequireClientKey && !rawClientKey) return Fail(TlsAlert.UnsupportedCertificate, "the client has no raw public key to show");

        if (!_retried)
        {
            hello.Random.CopyTo(_random);
            _transcript.Append(message);
            _transcript.Choose(suite.Hash());
            if (group == 0)
            {
                WriteRetry(suite, common);
                return TlsAlert.None;
            }
        }
        else
        {
            _transcript.Append(message);
        }

        Span<byte> shared = stackalloc byte[TlsKeyShare.MaxSecretBytes];
        if (!TlsKeyShare.TryAnswer(group, share, _entropy, out byte[] answer, shared, out int sharedBytes)) return Fail(TlsAlert.IllegalParameter, "an unusable key share");

        Suite = suite;
        Group = group;
        Alpn = protocol;
        _peerTransportParameters = hello.TransportParameters.ToArray();
        HasPeerTransportParameters = true;
        WriteServerHello(suite, group, answer);
        DeriveHandshakeSecrets(shared[..sharedBytes]);
        CryptographicOperations.ZeroMemory(shared);
        WriteServerFlight(rawKey, askClient: o.AsksForClientKey && rawClientKey);
        return TlsAlert.None;
    }

    private void WriteRetry(TlsCipherSuite suite, ushort group)
    {
        _retried = true;
        _retrySuite = suite;
        _retryGroup = group;
        _transcript.ReplaceByItsHash();

        TlsWriter writer = new();
        TlsWriter.Vector body = BeginServerHello(writer, suite, ServerHello.RetryRandom, out TlsWriter.Vector extensions);
        TlsWriter.Vector share = writer.BeginExtension(TlsExtension.KeyShare);
        writer.U16(group);
        writer.End(share);
        writer.End(extensions);
        writer.End(body);
        _transcript.Append(writer.Written);
        Emit(EncryptionLevel.Initial, writer);
    }

    private void WriteServerHello(TlsCipherSuite suite, ushort group, ReadOnlySpan<byte> answer)
    {
        Span<byte> random = stackalloc byte[32];
        _entropy.FillPublic(random);
        TlsWriter writer = new();
        TlsWriter.Vector body = BeginServerHello(writer, suite, random, out TlsWriter.Vector extensions);
        TlsWriter.Vector share = writer.BeginExtension(TlsExtension.KeyShare);
        writer.U16(group);
        TlsWriter.Vector key = writer.Begin(2);
        writer.Bytes(answer);
        writer.End(key);
        writer.End(share);
        writer.End(extensions);
        writer.End(body);
        _transcript.Append(writer.Written);
        Emit(EncryptionLevel.Initial, writer);
    }

    private static TlsWriter.Vector BeginServerHello(TlsWriter writer, TlsCipherSuite suite, ReadOnlySpan<byte> random, out TlsWriter.Vector extensions)
    {
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.ServerHello);
        writer.U16(0x0303);
        writer.Bytes(random);
        writer.U8(0);           // the client's session id, which is empty
        writer.U16((ushort)suite);
        writer.U8(0);
        extensions = writer.Begin(2);
        TlsWriter.Vector versions = writer.BeginExtension(TlsExtension.SupportedVersions);
        writer.U16(0x0304);
        writer.End(versions);
        return body;
    }

    // EncryptedExtensions, [CertificateRequest], Certificate, CertificateVerify, Finished, as one piece.
    private void WriteServerFlight(bool rawKey, bool askClient)
    {
        TlsServerOptions o = _server!;
        TlsWriter writer = new();
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.EncryptedExtensions);
        TlsWriter.Vector extensions = writer.Begin(2);
        WriteAlpn(writer, [Alpn]);
        WriteTransportParameters(writer);
        if (rawKey) WriteByteExtension(writer, TlsExtension.ServerCertificateType, TlsCertificateType.RawPublicKey);
        if (askClient) WriteByteExtension(writer, TlsExtension.ClientCertificateType, TlsCertificateType.RawPublicKey);
        writer.End(extensions);
        writer.End(body);
        _transcript.Append(writer.Written);

        if (askClient)
        {
            int start = writer.Length;
            TlsWriter.Vector request = writer.BeginMessage(TlsMessageType.CertificateRequest);
            writer.U8(0);       // context
            TlsWriter.Vector wishes = writer.Begin(2);
            WriteList16(writer, TlsExtension.SignatureAlgorithms, [TlsSignatureScheme.Ed25519]);
            writer.End(wishes);
            writer.End(request);
            _transcript.Append(writer.Written[start..]);
        }

        if (rawKey) WriteRawKeyCertificate(writer, o.Identity);
        else WriteCertificate(writer, o.CertificateChain);
        WriteCertificateVerify(writer, o.Identity, rawKey ? null : o.CertificateKey);
        WriteFinished(writer, _serverHandshakeSecret);
        Emit(EncryptionLevel.Handshake, writer);
        DeriveApplicationSecrets();
        _state = askClient ? State.ClientCertificate : State.ClientFinished;
    }

    private byte OnClientFinished(ReadOnlySpan<byte> message)
    {
        byte alert = CheckFinished(message, _clientHandshakeSecret);
        if (alert != 0) return alert;
        _state = State.Complete;
        Wipe();
        return TlsAlert.None;
    }

    private bool TryChooseProtocol(ReadOnlySpan<byte> offered, out byte[] protocol)
    {
        foreach (byte[] candidate in _server!.Alpn)
        {
            TlsReader reader = new(offered);
            while (reader.TryVector8(1, out ReadOnlySpan<byte> name))
            {
                if (!name.SequenceEqual(candidate)) continue;
                protocol = candidate;
                return true;
            }
        }

        protocol = [];
        return false;
    }
}
