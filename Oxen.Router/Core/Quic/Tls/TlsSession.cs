using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

// TLS 1.3 (RFC 8446) as QUIC uses it (RFC 9001): no record layer, no clock, no socket. Bytes of CRYPTO frames come in,
// in order, per level; handshake bytes, traffic secrets and finally the exporter come out.
//
//   client                                            server
//   ClientHello                 ---- Initial ---->
//                               <--- Initial -----    ServerHello, or HelloRetryRequest once
//                               <-- Handshake ----    EncryptedExtensions [CertificateRequest] Certificate CertificateVerify Finished
//   [Certificate CertificateVerify] Finished  -- Handshake -->
//                               <- Application ---    NewSessionTicket (read past)
//
// No pre-shared keys, no resumption, no 0-RTT, no KeyUpdate (RFC 9001 section 6 has QUIC's own), no post-handshake authentication.
// The client's half is in TlsSession.Client.cs, the server's in .Server.cs, what both do in .Authentication.cs.
// A stranger's bytes end in an alert, which is an answer and not an exception; after it the session is dead.

/// <summary>One TLS 1.3 handshake. Single-threaded.</summary>
internal sealed partial class TlsSession : IDisposable
{
    /// <summary>Longest handshake message taken. The buffer holds one incomplete message and nothing more.</summary>
    public const int MaxMessageBytes = 32 * 1024;

    private const int HeaderBytes = 4;

    private readonly IEntropy _entropy;
    private readonly TlsClientOptions? _client;
    private readonly TlsServerOptions? _server;
    private readonly TlsTranscript _transcript = new();
    private readonly Queue<(EncryptionLevel Level, byte[] Bytes)> _output = new();
    private readonly Queue<TlsSecrets> _secrets = new();
    private readonly byte[] _random = new byte[32];     // the client's

    private State _state = State.Created;
    private byte _alert;
    private byte[] _transportParameters;
    private byte[] _peerTransportParameters = [];
    private byte[] _peerPublicKey = [];
    private TlsPeerKey? _peerKey;

    private byte[] _message = [];
    private int _messageBytes;

    private byte[] _clientHandshakeSecret = [];
    private byte[] _serverHandshakeSecret = [];
    private byte[] _masterSecret = [];
    private byte[] _exporterSecret = [];

    private TlsSession(TlsClientOptions? client, TlsServerOptions? server, ReadOnlySpan<byte> transportParameters, IEntropy entropy)
    {
        _client = client;
        _server = server;
        _transportParameters = transportParameters.ToArray();
        _entropy = entropy;
    }

    // What the session waits for.
    private enum State : byte
    {
        Created,
        ServerHello,
        EncryptedExtensions,
        CertificateOrRequest,
        ServerCertificate,
        ServerCertificateVerify,
        ServerFinished,
        ClientHello,
        ClientCertificate,
        ClientCertificateVerify,
        ClientFinished,
        Complete,
        Dead,
    }

    /// <summary>Both Finished are through: the client has sent its own, the server has checked it.</summary>
    public bool IsHandshakeComplete => _state == State.Complete;

    public bool IsClient => _client is not null;

    public TlsCipherSuite Suite { get; private set; }

    /// <summary>The group of the key exchange, 0 before it.</summary>
    public ushort Group { get; private set; }

    /// <summary>There was a HelloRetryRequest.</summary>
    public bool Retried => _retried;

    /// <summary>The protocol agreed on; empty before.</summary>
    public byte[] Alpn { get; private set; } = [];

    public bool HasPeerTransportParameters { get; private set; }

    /// <summary>The peer's transport parameters. Trust them only once the handshake is complete.</summary>
    public ReadOnlySpan<byte> PeerTransportParameters => _peerTransportParameters;

    /// <summary>The peer's Ed25519 key, set once it has proven to hold it; empty before, or for another kind of key.</summary>
    public ReadOnlySpan<byte> PeerPublicKey => _peerPublicKey;

    /// <summary>The client's random: names the session in a key log.</summary>
    public ReadOnlySpan<byte> ClientRandom => _random;

    /// <summary>Why the session died, in words for our own diagnostics; the peer gets the number alone.</summary>
    public string? AlertReason { get; private set; }

    public static TlsSession Client(TlsClientOptions options, ReadOnlySpan<byte> transportParameters, IEntropy entropy)
    {
        options.Check();
        return new TlsSession(options, null, transportParameters, entropy);
    }

    public static TlsSession Server(TlsServerOptions options, ReadOnlySpan<byte> transportParameters, IEntropy entropy)
    {
        options.Check();
        return new TlsSession(null, options, transportParameters, entropy) { _state = State.ClientHello };
    }

    /// <summary>Sets the server's transport parameters, which depend on the client's first packet. Before the first <see cref="HandleCrypto"/>.</summary>
    public void SetTransportParameters(ReadOnlySpan<byte> transportParameters)
    {
        if (_state is not (State.Created or State.ClientHello)) throw new InvalidOperationException("the transport parameters are already sent");
        _transportParameters = transportParameters.ToArray();
    }

    /// <summary>
    /// Takes the next bytes of a level's CRYPTO stream, any number of them. 0: fine. Else a TLS alert, in QUIC the error
    /// 0x100 + alert; the session is dead then and answers the same to everything.
    /// </summary>
    public byte HandleCrypto(EncryptionLevel level, ReadOnlySpan<byte> bytes)
    {
        if (_state == State.Created) throw new InvalidOperationException("a client begins with Start");
        if (_state == State.Dead) return _alert;
        while (!bytes.IsEmpty)
        {
            // RFC 9001 section 4.1.3: no bytes for a level that is over, nor for one that has not begun.
            if (level != ReceiveLevel) return Fail(TlsAlert.UnexpectedMessage, $"handshake bytes at level {level} while {_state} is due");

            bool hadHeader = _messageBytes >= HeaderBytes;
            int wanted = hadHeader ? HeaderBytes + BodyBytes : HeaderBytes;
            int take = Math.Min(wanted - _messageBytes, bytes.Length);
            Buffer(bytes[..take]);
            bytes = bytes[take..];
            if (_messageBytes < HeaderBytes) break;
            if (!hadHeader)
            {
                if (!Expects(_message[0])) return Fail(TlsAlert.UnexpectedMessage, $"message {_message[0]} while {_state} is due");
                if (BodyBytes > MaxMessageBytes) return Fail(TlsAlert.DecodeError, $"a message of {BodyBytes} bytes");
            }

            if (_messageBytes < HeaderBytes + BodyBytes) continue;
            ReadOnlySpan<byte> message = _message.AsSpan(0, _messageBytes);
            _messageBytes = 0;
            byte alert = Handle(message);
            if (alert != 0) return alert;

            // Keys change only between messages that end together (RFC 8446 section 5.1).
            if (!bytes.IsEmpty && level != ReceiveLevel) return Fail(TlsAlert.UnexpectedMessage, "bytes behind the last message of a level");
        }

        return TlsAlert.None;
    }

    /// <summary>Handshake bytes to send, in order; put them into the level's CRYPTO stream.</summary>
    public bool TryTakeOutput(out EncryptionLevel level, out byte[] bytes)
    {
        bool any = _output.TryDequeue(out (EncryptionLevel Level, byte[] Bytes) next);
        (level, bytes) = any ? next : (default, []);
        return any;
    }

    /// <summary>
    /// Traffic secrets as they come to be: first Handshake, then Application, each once. The server has its Application
    /// secrets before the client's Finished; it may send with them, but reads with them only once <see cref="IsHandshakeComplete"/>
    /// (RFC 9001 section 5.7).
    /// </summary>
    public bool TryTakeSecrets(out TlsSecrets secrets)
    {
        bool any = _secrets.TryDequeue(out TlsSecrets? next);
        secrets = next!;
        return any;
    }

    /// <summary>Keying material for others (RFC 8446 section 7.5), equal on both sides. Only after <see cref="IsHandshakeComplete"/>.</summary>
    public void Export(ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, Span<byte> output)
    {
        if (!IsHandshakeComplete) throw new InvalidOperationException("the exporter waits for the handshake's end");
        TlsKeySchedule.Export(Suite.Hash(), _exporterSecret, label, context, output);
    }

    public void Dispose()
    {
        if (_state != State.Dead) (_state, _alert) = (State.Dead, TlsAlert.UnexpectedMessage);
        Wipe();
        CryptographicOperations.ZeroMemory(_exporterSecret);
        _transcript.Dispose();
    }

    private EncryptionLevel ReceiveLevel => _state switch
    {
        State.ServerHello or State.ClientHello => EncryptionLevel.Initial,
        State.Complete => EncryptionLevel.Application,
        _ => EncryptionLevel.Handshake,
    };

    private int BodyBytes => _message[1] << 16 | _message[2] << 8 | _message[3];

    private bool Expects(byte type) => _state switch
    {
        State.ServerHello => type == TlsMessageType.ServerHello,
        State.EncryptedExtensions => type == TlsMessageType.EncryptedExtensions,
        State.CertificateOrRequest => type is TlsMessageType.Certificate or TlsMessageType.CertificateRequest,
        State.ServerCertificate or State.ClientCertificate => type == TlsMessageType.Certificate,
        State.ServerCertificateVerify or State.ClientCertificateVerify => type == TlsMessageType.CertificateVerify,
        State.ServerFinished or State.ClientFinished => type == TlsMessageType.Finished,
        State.ClientHello => type == TlsMessageType.ClientHello,
        State.Complete => IsClient && type == TlsMessageType.NewSessionTicket,
        _ => false,
    };

    private byte Handle(ReadOnlySpan<byte> message) => _state switch
    {
        State.ServerHello => OnServerHello(message),
        State.EncryptedExtensions => OnEncryptedExtensions(message),
        State.CertificateOrRequest when message[0] == TlsMessageType.CertificateRequest => OnCertificateRequest(message),
        State.CertificateOrRequest or State.ServerCertificate or State.ClientCertificate => OnCertificate(message),
        State.ServerCertificateVerify or State.ClientCertificateVerify => OnCertificateVerify(message),
        State.ServerFinished => OnServerFinished(message),
        State.ClientHello => OnClientHello(message),
        State.ClientFinished => OnClientFinished(message),
        _ => OnNewSessionTicket(message),
    };

    // Grows with the bytes that came, never with the length they claim.
    private void Buffer(ReadOnlySpan<byte> bytes)
    {
        int needed = _messageBytes + bytes.Length;
        if (needed > _message.Length) Array.Resize(ref _message, Math.Max(needed, Math.Min(2 * _message.Length + 256, HeaderBytes + MaxMessageBytes)));
        bytes.CopyTo(_message.AsSpan(_messageBytes));
        _messageBytes = needed;
    }

    private void Emit(EncryptionLevel level, TlsWriter writer) => _output.Enqueue((level, writer.Written.ToArray()));

    private byte Fail(byte alert, string reason)
    {
        (_state, _alert, AlertReason) = (State.Dead, alert, reason);
        Wipe();
        CryptographicOperations.ZeroMemory(_exporterSecret);
        _output.Clear();
        return alert;
    }

    // What the handshake alone needed. The exporter secret lives on.
    private void Wipe()
    {
        CryptographicOperations.ZeroMemory(_clientHandshakeSecret);
        CryptographicOperations.ZeroMemory(_serverHandshakeSecret);
        CryptographicOperations.ZeroMemory(_masterSecret);
        foreach (TlsKeyShare share in _shares) share.Dispose();
        _shares.Clear();
        if (_state == State.Complete) return;
        while (_secrets.TryDequeue(out TlsSecrets? secrets)) secrets.Dispose();
    }
}
