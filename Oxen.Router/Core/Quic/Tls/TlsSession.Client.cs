using System.Security.Cryptography;
using System.Text;

namespace Oxen.Router.Core.Quic.Tls;

// The client: Start -> ServerHello (after a HelloRetryRequest at most) -> EncryptedExtensions -> [CertificateRequest]
// -> Certificate -> CertificateVerify -> Finished -> our own flight.

internal sealed partial class TlsSession
{
    // For ordinary certificates we say yes to any signature inside the chain: nobody looks at it.
    private static readonly ushort[] ChainSchemes = [0x0807, 0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601];

    private readonly List<TlsKeyShare> _shares = [];
    private TlsCipherSuite _retrySuite;
    private ushort _retryGroup;
    private bool _retried;
    private bool _keyRequested;     // the server asked for a key, and takes a raw Ed25519 one
    private bool _mayShowKey;
    private bool _certificateRequested;

    /// <summary>Client: produces the ClientHello. Once.</summary>
    public void Start()
    {
        if (_client is null || _state != State.Created) throw new InvalidOperationException("only a client starts, and once");
        _entropy.FillPublic(_random);
        for (int i = 0; i < _client.KeyShares; i++) _shares.Add(new TlsKeyShare(_client.Groups[i], _entropy));
        WriteClientHello([]);
        _state = State.ServerHello;
    }

    private void WriteClientHello(ReadOnlySpan<byte> cookie)
    {
        TlsClientOptions o = _client!;
        TlsWriter writer = new();
        TlsWriter.Vector body = writer.BeginMessage(TlsMessageType.ClientHello);
        writer.U16(0x0303);
        writer.Bytes(_random);
        writer.U8(0);                   // session id: empty in QUIC (RFC 9001 section 8.4)
        TlsWriter.Vector suites = writer.Begin(2);
        foreach (TlsCipherSuite suite in o.Suites) writer.U16((ushort)suite);
        writer.End(suites);
        writer.U8(1);                   // compression: none
        writer.U8(0);

        TlsWriter.Vector extensions = writer.Begin(2);
        TlsWriter.Vector versions = writer.BeginExtension(TlsExtension.SupportedVersions);
        writer.U8(2);
        writer.U16(0x0304);
        writer.End(versions);
        if (o.ServerName is { } name) WriteServerName(writer, name);
        WriteList16(writer, TlsExtension.SupportedGroups, o.Groups);
        if (o.RawPublicKeys)
        {
            WriteList16(writer, TlsExtension.SignatureAlgorithms, [TlsSignatureScheme.Ed25519]);
            WriteTypeList(writer, TlsExtension.ServerCertificateType);
        }
        else
        {
            WriteList16(writer, TlsExtension.SignatureAlgorithms, [TlsSignatureScheme.Ed25519, TlsSignatureScheme.EcdsaP256Sha256, TlsSignatureScheme.RsaPssRsaeSha256]);
            WriteList16(writer, TlsExtension.SignatureAlgorithmsCert, ChainSchemes);
        }

        if (o.Identity is not null) WriteTypeList(writer, TlsExtension.ClientCertificateType);
        WriteAlpn(writer, o.Alpn);
        WriteTransportParameters(writer);
        if (!cookie.IsEmpty)
        {
            TlsWriter.Vector extension = writer.BeginExtension(TlsExtension.Cookie);
            TlsWriter.Vector content = writer.Begin(2);
            writer.Bytes(cookie);
            writer.End(content);
            writer.End(extension);
        }

        TlsWriter.Vector shares = writer.BeginExtension(TlsExtension.KeyShare);
        TlsWriter.Vector list = writer.Begin(2);
        foreach (TlsKeyShare share in _shares)
        {
            writer.U16(share.Group);
            TlsWriter.Vector key = writer.Begin(2);
            writer.Bytes(share.Public);
            writer.End(key);
        }

        writer.End(list);
        writer.End(shares);
        writer.End(extensions);
        writer.End(body);
        _transcript.Append(writer.Written);
        Emit(EncryptionLevel.Initial, writer);
    }

    private byte OnServerHello(ReadOnlySpan<byte> message)
    {
        byte alert = ServerHello.TryParse(message[HeaderBytes..], out ServerHello hello, out string reason);
        if (alert != 0) return Fail(alert, reason);
        if (!_client!.Suites.Contains(hello.Suite)) return Fail(TlsAlert.IllegalParameter, "a cipher suite that was not offered");
        if (hello.IsRetry) return OnRetry(message, hello);
        if (_retried && hello.Suite != _retrySuite) return Fail(TlsAlert.IllegalParameter, "another cipher suite than in HelloRetryRequest");
        if (hello.Group == 0) return Fail(TlsAlert.MissingExtension, "ServerHello without key_share");

        TlsKeyShare? ours = _shares.Find(Same(hello.Group));
        if (ours is null) return Fail(TlsAlert.IllegalParameter, "a group that had no share");
        Span<byte> shared = stackalloc byte[TlsKeyShare.MaxSecretBytes];
        if (!ours.TryFinish(hello.Share, shared, out int sharedBytes)) return Fail(TlsAlert.IllegalParameter, "an unusable key share");

        Suite = hello.Suite;
        Group = hello.Group;
        _transcript.Choose(Suite.Hash());
        _transcript.Append(message);
        DeriveHandshakeSecrets(shared[..sharedBytes]);
        CryptographicOperations.ZeroMemory(shared);
        foreach (TlsKeyShare share in _shares) share.Dispose();
        _shares.Clear();
        _state = State.EncryptedExtensions;
        return TlsAlert.None;
    }

    // HelloRetryRequest (RFC 8446 section 4.1.4): obeyed once, and only if it changes something.
    private byte OnRetry(ReadOnlySpan<byte> message, ServerHello hello)
    {
        if (_retried) return Fail(TlsAlert.UnexpectedMessage, "a second HelloRetryRequest");
        if (hello.Group == 0 && hello.Cookie.IsEmpty) return Fail(TlsAlert.IllegalParameter, "a HelloRetryRequest that changes nothing");
        if (hello.Group != 0 && (!_client!.Groups.Contains(hello.Group) || _shares.Exists(Same(hello.Group))))
            return Fail(TlsAlert.IllegalParameter, "a HelloRetryRequest for a group that was not offered or had its share");

        _retried = true;
        _retrySuite = hello.Suite;
        _transcript.Choose(hello.Suite.Hash());
        _transcript.ReplaceByItsHash();
        _transcript.Append(message);
        if (hello.Group != 0)
        {
            foreach (TlsKeyShare share in _shares) share.Dispose();
            _shares.Clear();
            _shares.Add(new TlsKeyShare(hello.Group, _entropy));
        }

        WriteClientHello(hello.Cookie);
        return TlsAlert.None;
    }

    private byte OnEncryptedExtensions(ReadOnlySpan<byte> message)
    {
        TlsReader reader = new(message[HeaderBytes..]);
        if (!reader.TryVector16(0, out ReadOnlySpan<byte> block) || !reader.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed EncryptedExtensions");
        bool rawServerKey = false;
        Span<ulong> seen = stackalloc ulong[TlsExtensionReader.SeenWords];
        seen.Clear();
        TlsExtensionReader extensions = new(block);
        while (extensions.TryNext(seen, out ushort type, out ReadOnlySpan<byte> content))
        {
            TlsReader inner = new(content);
            switch (type)
            {
                case TlsExtension.Alpn:
                    if (!inner.TryVector16(2, out ReadOnlySpan<byte> names) || !inner.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed ALPN");
                    TlsReader list = new(names);
                    if (!list.TryVector8(1, out ReadOnlySpan<byte> name)) return Fail(TlsAlert.DecodeError, "malformed ALPN");
                    if (!list.IsEmpty || !TryFind(_client!.Alpn, name, out byte[] known)) return Fail(TlsAlert.IllegalParameter, "a protocol that was not offered");
                    Alpn = known;
                    break;
                case TlsExtension.QuicTransportParameters:
                    _peerTransportParameters = content.ToArray();
                    HasPeerTransportParameters = true;
                    break;
                case TlsExtension.ServerCertificateType when _client!.RawPublicKeys:
                    if (!inner.TryU8(out byte serverType) || !inner.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed server_certificate_type");
                    if (serverType != TlsCertificateType.RawPublicKey) return Fail(TlsAlert.IllegalParameter, "a certificate type that was not offered");
                    rawServerKey = true;
                    break;
                case TlsExtension.ClientCertificateType when _client!.Identity is not null:
                    if (!inner.TryU8(out byte clientType) || !inner.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed client_certificate_type");
                    if (clientType != TlsCertificateType.RawPublicKey) return Fail(TlsAlert.IllegalParameter, "a certificate type that was not offered");
                    _mayShowKey = true;
                    break;
                case TlsExtension.ServerName when _client!.ServerName is not null:
                    if (!content.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed server_name");
                    break;
                case TlsExtension.SupportedGroups:      // the server's wishes for another time (RFC 8446 section 4.2.7)
                    break;
                case TlsExtension.SupportedVersions or TlsExtension.KeyShare or TlsExtension.SignatureAlgorithms or TlsExtension.SignatureAlgorithmsCert or TlsExtension.Cookie:
                    return Fail(TlsAlert.IllegalParameter, $"extension {type} in EncryptedExtensions");
                default:
                    return Fail(TlsAlert.UnsupportedExtension, $"extension {type} that was not offered");
            }
        }

        if (extensions.Alert != 0) return Fail(extensions.Alert, "malformed or repeated extension in EncryptedExtensions");
        if (Alpn.Length == 0) return Fail(TlsAlert.NoApplicationProtocol, "the server chose no protocol");
        if (!HasPeerTransportParameters) return Fail(TlsAlert.MissingExtension, "no transport parameters");

        // Silence means X.509 (RFC 7250 section 4.2).
        if (_client!.RawPublicKeys && !rawServerKey) return Fail(TlsAlert.UnsupportedCertificate, "the server does not show a raw public key");
        _transcript.Append(message);
        _state = State.CertificateOrRequest;
        return TlsAlert.None;
    }

    // CertificateRequest (RFC 8446 section 4.3.2): context <0..255> | extensions <2..2^16-1>
    private byte OnCertificateRequest(ReadOnlySpan<byte> message)
    {
        TlsReader reader = new(message[HeaderBytes..]);
        if (!reader.TryVector8(0, out ReadOnlySpan<byte> context) || !reader.TryVector16(2, out ReadOnlySpan<byte> block) || !reader.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed CertificateRequest");
        if (!context.IsEmpty) return Fail(TlsAlert.IllegalParameter, "CertificateRequest with a context");
        ReadOnlySpan<byte> schemes = default;
        Span<ulong> seen = stackalloc ulong[TlsExtensionReader.SeenWords];
        seen.Clear();
        TlsExtensionReader extensions = new(block);
        while (extensions.TryNext(seen, out ushort type, out ReadOnlySpan<byte> content))
        {
            // Others are hints for choosing among certificates; unknown ones are to be ignored.
            if (type != TlsExtension.SignatureAlgorithms) continue;
            TlsReader inner = new(content);
            if (!inner.TryVector16(2, out schemes) || schemes.Length % 2 != 0 || !inner.IsEmpty) return Fail(TlsAlert.DecodeError, "malformed signature_algorithms");
        }

        if (extensions.Alert != 0) return Fail(extensions.Alert, "malformed or repeated extension in CertificateRequest");
        if (schemes.IsEmpty) return Fail(TlsAlert.MissingExtension, "CertificateRequest without signature_algorithms");
        _certificateRequested = true;
        _keyRequested = _mayShowKey && TlsReader.Contains16(schemes, TlsSignatureScheme.Ed25519);
        _transcript.Append(message);
        _state = State.ServerCertificate;
        return TlsAlert.None;
    }

    private byte OnServerFinished(ReadOnlySpan<byte> message)
    {
        byte alert = CheckFinished(message, _serverHandshakeSecret);
        if (alert != 0) return alert;
        DeriveApplicationSecrets();

        TlsWriter writer = new();
        if (_certificateRequested)
        {
            TlsIdentity? identity = _keyRequested ? _client!.Identity : null;
            WriteRawKeyCertificate(writer, identity);
            if (identity is not null) WriteCertificateVerify(writer, identity, null);
        }

        WriteFinished(writer, _clientHandshakeSecret);
        Emit(EncryptionLevel.Handshake, writer);
        _state = State.Complete;
        Wipe();
        return TlsAlert.None;
    }

    // NewSessionTicket (RFC 8446 section 4.6.1): lifetime 4 | age_add 4 | nonce <0..255> | ticket <1..> | extensions <0..>
    // Read for its form and forgotten: we do not resume.
    private byte OnNewSessionTicket(ReadOnlySpan<byte> message)
    {
        TlsReader reader = new(message[HeaderBytes..]);
        bool wellFormed = reader.TryTake(8, out _) && reader.TryVector8(0, out _) && reader.TryVector16(1, out _) && reader.TryVector16(0, out _) && reader.IsEmpty;
        return wellFormed ? TlsAlert.None : Fail(TlsAlert.DecodeError, "malformed NewSessionTicket");
    }

    private static Predicate<TlsKeyShare> Same(ushort group) => share => share.Group == group;

    private static bool TryFind(byte[][] names, ReadOnlySpan<byte> name, out byte[] known)
    {
        foreach (byte[] candidate in names)
        {
            if (!name.SequenceEqual(candidate)) continue;
            known = candidate;
            return true;
        }

        known = [];
        return false;
    }

    private static void WriteTypeList(TlsWriter writer, ushort type)
    {
        TlsWriter.Vector extension = writer.BeginExtension(type);
        writer.U8(1);
        writer.U8(TlsCertificateType.RawPublicKey);
        writer.End(extension);
    }

    // RFC 6066 section 3: list of { host_name 0 | name <1..> }
    private static void WriteServerName(TlsWriter writer, string name)
    {
        TlsWriter.Vector extension = writer.BeginExtension(TlsExtension.ServerName);
        TlsWriter.Vector list = writer.Begin(2);
        writer.U8(0);
        TlsWriter.Vector host = writer.Begin(2);
        writer.Bytes(Encoding.ASCII.GetBytes(name));
        writer.End(host);
        writer.End(list);
        writer.End(extension);
    }
}
