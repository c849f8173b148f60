using System.Diagnostics;
using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

// What both roles do: Certificate, CertificateVerify, Finished, and the secrets between them.

internal sealed partial class TlsSession
{
    private const int ContextBytes = 64 + 33 + 1 + TlsKeySchedule.MaxHashBytes;

    // After ServerHello is in the transcript.
    private void DeriveHandshakeSecrets(ReadOnlySpan<byte> shared)
    {
        HashAlgorithmName hash = Suite.Hash();
        int n = TlsKeySchedule.HashBytes(hash);
        Span<byte> early = stackalloc byte[TlsKeySchedule.MaxHashBytes];
        Span<byte> handshake = stackalloc byte[TlsKeySchedule.MaxHashBytes];
        early = early[..n];
        handshake = handshake[..n];
        TlsKeySchedule.EarlySecret(hash, early);
        TlsKeySchedule.NextSecret(hash, early, shared, handshake);

        Span<byte> transcript = _transcript.Current(stackalloc byte[TlsKeySchedule.MaxHashBytes]);
        _clientHandshakeSecret = new byte[n];
        _serverHandshakeSecret = new byte[n];
        _masterSecret = new byte[n];
        TlsKeySchedule.HkdfExpandLabel(hash, handshake, "c hs traffic"u8, transcript, _clientHandshakeSecret);
        TlsKeySchedule.HkdfExpandLabel(hash, handshake, "s hs traffic"u8, transcript, _serverHandshakeSecret);
        TlsKeySchedule.MasterSecret(hash, handshake, _masterSecret);
        CryptographicOperations.ZeroMemory(handshake);
        _secrets.Enqueue(new TlsSecrets(EncryptionLevel.Handshake, Suite, [.. _clientHandshakeSecret], [.. _serverHandshakeSecret]));
    }

    // After the server's Finished is in the transcript.
    private void DeriveApplicationSecrets()
    {
        HashAlgorithmName hash = Suite.Hash();
        int n = TlsKeySchedule.HashBytes(hash);
        Span<byte> transcript = _transcript.Current(stackalloc byte[TlsKeySchedule.MaxHashBytes]);
        byte[] client = new byte[n];
        byte[] server = new byte[n];
        _exporterSecret = new byte[n];
        TlsKeySchedule.HkdfExpandLabel(hash, _masterSecret, "c ap traffic"u8, transcript, client);
        TlsKeySchedule.HkdfExpandLabel(hash, _masterSecret, "s ap traffic"u8, transcript, server);
        TlsKeySchedule.HkdfExpandLabel(hash, _masterSecret, "exp master"u8, transcript, _exporterSecret);
        CryptographicOperations.ZeroMemory(_masterSecret);
        _secrets.Enqueue(new TlsSecrets(EncryptionLevel.Application, Suite, client, server));
    }

    // Certificate (RFC 8446 section 4.4.2), as a raw public key (RFC 7250 section 3) or X.509:
    //   context <0..255> | list <0..2^24-1> of { certificate <1..2^24-1> | extensions <0..2^16-1> }
    private byte OnCertificate(ReadOnlySpan<byte> message)
    {
        TlsReader reader = new(message[HeaderBytes..]);
        if (!reader.TryVector8(0, out ReadOnlySpan<byte> context) || !reader.TryVector24(0, out ReadOnlySpan<byte> list) || !reader.IsEmpty)
            return Fail(TlsAlert.DecodeError, "malformed Certificate");
        if (!context.IsEmpty) return Fail(TlsAlert.IllegalParameter, "Certificate with a context");
        if (list.IsEmpty)
        {
            if (IsClient) return Fail(TlsAlert.DecodeError, "the server shows no certificate");
            if (_server!.RequireClientKey) return Fail(TlsAlert.CertificateRequired, "the client shows no key");
            _transcript.Append(message);
            _state = State.ClientFinished;
            return TlsAlert.None;
        }

        TlsReader entries = new(list);
        ReadOnlySpan<byte> leaf = default;
        int count = 0;
        while (!entries.IsEmpty)
        {
            if (!entries.TryVector24(1, out ReadOnlySpan<byte> certificate) || !entries.TryVector16(0, out ReadOnlySpan<byte> extensions)) return Fail(TlsAlert.DecodeError, "malformed Certificate entry");
            if (!extensions.IsEmpty) return Fail(TlsAlert.UnsupportedExtension, "an extension that nobody asked for in Certificate");
            if (count++ == 0) leaf = certificate;
        }

        bool raw = !IsClient || _client!.RawPublicKeys;
        if (raw && count != 1) return Fail(TlsAlert.IllegalParameter, "more than one raw public key");
        byte alert = raw ? TlsPeerKey.FromRawKey(leaf, out _peerKey) : TlsPeerKey.FromCertificate(leaf, out _peerKey);
        if (alert != 0) return Fail(alert, raw ? "not the raw public key of an Ed25519 key" : "no usable key in the certificate");

        byte[] key = _peerKey!.Ed25519;
        if (IsClient && _client!.PinnedServerKey is { } pinned && !CryptographicOperations.FixedTimeEquals(key, pinned.Span))
            return Fail(TlsAlert.CertificateUnknown, "the server's key is not the pinned one");
        if (!IsClient && _server!.AcceptClientKey is { } accept && !accept(key)) return Fail(TlsAlert.AccessDenied, "the client's key is not welcome");

        _transcript.Append(message);
        _state = IsClient ? State.ServerCertificateVerify : State.ClientCertificateVerify;
        return TlsAlert.None;
    }

    // CertificateVerify (RFC 8446 section 4.4.3): scheme 2 | signature <0..2^16-1>
    private byte OnCertificateVerify(ReadOnlySpan<byte> message)
    {
        TlsReader reader = new(message[HeaderBytes..]);
        if (!reader.TryU16(out ushort scheme) || !reader.TryVector16(0, out ReadOnlySpan<byte> signature) || !reader.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed CertificateVerify");
        bool offered = scheme == TlsSignatureScheme.Ed25519
            || (IsClient && !_client!.RawPublicKeys && scheme is TlsSignatureScheme.EcdsaP256Sha256 or TlsSignatureScheme.RsaPssRsaeSha256);
        if (!offered) return Fail(TlsAlert.IllegalParameter, "a signature scheme that was not offered");

        Span<byte> content = SignedContent(server: IsClient, stackalloc byte[ContextBytes]);
        byte alert = _peerKey!.Verify(scheme, content, signature);
        if (alert != 0) return Fail(alert, "the signature in CertificateVerify does not hold");

        _peerPublicKey = _peerKey.Ed25519;
        _transcript.Append(message);
        _state = IsClient ? State.ServerFinished : State.ClientFinished;
        return TlsAlert.None;
    }

    // Checks Finished and, if it holds, puts it into the transcript.
    private byte CheckFinished(ReadOnlySpan<byte> message, ReadOnlySpan<byte> trafficSecret)
    {
        Span<byte> transcript = _transcript.Current(stackalloc byte[TlsKeySchedule.MaxHashBytes]);
        Span<byte> expected = stackalloc byte[TlsKeySchedule.MaxHashBytes];
        expected = expected[..transcript.Length];
        ReadOnlySpan<byte> given = message[HeaderBytes..];
        if (given.Length != expected.Length) return Fail(TlsAlert.DecodeError, "Finished of another length");
        TlsKeySchedule.FinishedMac(Suite.Hash(), trafficSecret, transcript, expected);
        if (!CryptographicOperations.FixedTimeEquals(given, expected)) return Fail(TlsAlert.DecryptError, "Finished does not hold");
        _transcript.Append(message);
        return TlsAlert.None;
    }

    private void WriteFinished(TlsWriter writer, ReadOnlySpan<byte> trafficSecret)
    {
        Span<byte> transcript = _transcript.Current(stackalloc byte[TlsKeySchedule.MaxHashBytes]);
        int start = writer.Length;
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.Finished);
        TlsKeySchedule.FinishedMac(Suite.Hash(), trafficSecret, transcript, writer.Take(transcript.Length));
        writer.End(body);
        _transcript.Append(writer.Written[start..]);
    }

    private void WriteRawKeyCertificate(TlsWriter writer, TlsIdentity? identity)
    {
        Span<byte> spki = stackalloc byte[TlsPeerKey.SpkiBytes];
        if (identity is null)
        {
            WriteCertificate(writer, []);
            return;
        }

        TlsPeerKey.WriteSpki(identity.PublicKey, spki);
        WriteCertificate(writer, [spki.ToArray()]);
    }

    private void WriteCertificate(TlsWriter writer, ReadOnlySpan<byte[]> certificates)
    {
        int start = writer.Length;
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.Certificate);
        writer.U8(0);       // context
        TlsWriter.Vector list = writer.Begin(3);
        foreach (byte[] certificate in certificates)
        {
            TlsWriter.Vector entry = writer.Begin(3);
            writer.Bytes(certificate);
            writer.End(entry);
            writer.U16(0);  // extensions
        }

        writer.End(list);
        writer.End(body);
        _transcript.Append(writer.Written[start..]);
    }

    // With the Ed25519 key of `identity`, or the P-256 key when there is one.
    private void WriteCertificateVerify(TlsWriter writer, TlsIdentity identity, ECDsa? p256)
    {
        Span<byte> content = SignedContent(server: !IsClient, stackalloc byte[ContextBytes]);
        int start = writer.Length;
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.CertificateVerify);
        writer.U16(p256 is null ? TlsSignatureScheme.Ed25519 : TlsSignatureScheme.EcdsaP256Sha256);
        TlsWriter.Vector signature = writer.Begin(2);
        if (p256 is null)
        {
            Span<byte> bytes = stackalloc byte[TlsIdentity.SignatureBytes];
            identity.Sign(content, bytes);
            writer.Bytes(bytes);
        }
        else
        {
            writer.Bytes(p256.SignData(content.ToArray(), HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
        }

        writer.End(signature);
        writer.End(body);
        _transcript.Append(writer.Written[start..]);
    }

    // RFC 8446 section 4.4.3: 64 spaces, a context string, a zero, the transcript's hash.
    private Span<byte> SignedContent(bool server, Span<byte> buffer)
    {
        ReadOnlySpan<byte> context = server ? "TLS 1.3, server CertificateVerify"u8 : "TLS 1.3, client CertificateVerify"u8;
        Debug.Assert(context.Length == 33);
        buffer[..64].Fill((byte)' ');
        context.CopyTo(buffer[64..]);
        buffer[64 + 33] = 0;
        int n = _transcript.Current(buffer[(64 + 34)..]).Length;
        return buffer[..(64 + 34 + n)];
    }

    // A list of protocol names, each with its length byte.
    private static void WriteAlpn(TlsWriter writer, ReadOnlySpan<byte[]> names)
    {
        TlsWriter.Vector extension = writer.BeginExtension(TlsExtension.Alpn);
        TlsWriter.Vector list = writer.Begin(2);
        foreach (byte[] name in names)
        {
            writer.U8((byte)name.Length);
            writer.Bytes(name);
        }

        writer.End(list);
        writer.End(extension);
    }

    private void WriteTransportParameters(TlsWriter writer)
    {
        TlsWriter.Vector extension = writer.BeginExtension(TlsExtension.QuicTransportParameters);
        writer.Bytes(_transportParameters);
        writer.End(extension);
    }

    private static void WriteByteExtension(TlsWriter writer, ushort type, byte value)
    {
        TlsWriter.Vector extension = writer.BeginExtension(type);
        writer.U8(value);
        writer.End(extension);
    }

    private static void WriteList16(TlsWriter writer, ushort type, ReadOnlySpan<ushort> values)
    {
        TlsWriter.Vector extension = writer.BeginExtension(type);
        TlsWriter.Vector list = writer.Begin(2);
        foreach (ushort value in values) writer.U16(value);
        writer.End(list);
        writer.End(extension);
    }
}
