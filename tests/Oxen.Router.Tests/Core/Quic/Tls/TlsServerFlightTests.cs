using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>What a client answers to a server that breaks one rule.</summary>
public sealed class TlsServerFlightTests : IDisposable
{
    private readonly TlsIdentity _alice = TlsPair.Identity(1);
    private readonly TlsIdentity _bob = TlsPair.Identity(2);

    [Fact]
    public void ServerHello_is_held_to_its_rules()
    {
        Assert.Equal(0, ToServerHello((TlsEdit.Extensions _) => { }));
        Assert.Equal(TlsAlert.ProtocolVersion, ToServerHello((TlsEdit.Extensions e) => e.Drop(TlsExtension.SupportedVersions)));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.SupportedVersions] = [3, 3]));
        Assert.Equal(TlsAlert.DecodeError, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.SupportedVersions] = [3, 4, 0]));
        Assert.Equal(TlsAlert.MissingExtension, ToServerHello((TlsEdit.Extensions e) => e.Drop(TlsExtension.KeyShare)));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e.Add(e.ElementAt(1))));
        Assert.Equal(TlsAlert.UnsupportedExtension, ToServerHello((TlsEdit.Extensions e) => e.Add((0x1A1A, []))));
        Assert.Equal(TlsAlert.UnsupportedExtension, ToServerHello((TlsEdit.Extensions e) => e.Add((TlsExtension.PreSharedKey, [0, 0]))));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e.Add((TlsExtension.Alpn, [0, 2, 1, 1]))));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.KeyShare] = [0, 29, 0, 32, 9, .. new byte[31]]));     // X25519 had no share
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.KeyShare] = [0x11, 0xEC, 0, 1, 1]));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.KeyShare] = [0x11, 0xEC, 4, 0x60, .. new byte[1120]]));    // X25519 part zero
        Assert.Equal(TlsAlert.DecodeError, ToServerHello((TlsEdit.Extensions e) => e[TlsExtension.KeyShare] = [0x11, 0xEC]));
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((byte[] h) => h[4 + 1] = 2));                      // legacy_version
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((byte[] h) => h[4 + 34 + 1 + 1] = 3 + 1));         // 0x1304: not offered
        Assert.Equal(TlsAlert.IllegalParameter, ToServerHello((byte[] h) => h[4 + 34 + 1 + 2] = 1));             // compression
    }

    [Fact]
    public void HelloRetryRequest_is_obeyed_once_and_only_for_a_reason()
    {
        byte[] retry = Retry([0, 29]);
        Assert.Equal(0, Answers(retry)[0]);
        Assert.Equal([0, TlsAlert.UnexpectedMessage], Answers(retry, retry));
        Assert.Equal(TlsAlert.IllegalParameter, Answers(Retry([0x11, 0xEC]))[0]);       // had its share
        Assert.Equal(TlsAlert.IllegalParameter, Answers(Retry([0, 23]))[0]);            // not offered
        Assert.Equal(TlsAlert.IllegalParameter, Answers(Retry(null))[0]);               // changes nothing
        Assert.Equal(TlsAlert.IllegalParameter, Answers(Retry([0, 0]))[0]);
        Assert.Equal(TlsAlert.DecodeError, Answers(Retry([0, 29, 0, 0]))[0]);
    }

    [Fact]
    public void A_cookie_comes_back_in_the_second_hello()
    {
        using TlsSession client = Client();
        client.Start();
        Assert.True(client.TryTakeOutput(out _, out byte[] first));
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, TlsEdit.WithExtensions(Retry(null), e => e.Add((TlsExtension.Cookie, [0, 3, 7, 8, 9])))));
        Assert.True(client.TryTakeOutput(out EncryptionLevel level, out byte[] second));
        Assert.Equal(EncryptionLevel.Initial, level);
        TlsEdit.WithExtensions(second, e => Assert.Equal([0, 3, 7, 8, 9], e[TlsExtension.Cookie]));
        Assert.Equal(first, TlsEdit.WithExtensions(second, e => e.Drop(TlsExtension.Cookie)));
    }

    [Fact]
    public void After_a_retry_suite_and_group_are_fixed()
    {
        // Retried to X25519 with AES-128, then a ServerHello of the same server with ChaCha20.
        TlsServerOptions other = new() { Identity = _bob, Alpn = [TlsPair.Protocol], Groups = [TlsGroup.X25519], Suites = [TlsCipherSuite.ChaCha20Poly1305Sha256] };
        using TlsSession client = Client();
        using TlsSession server = TlsSession.Server(other, [1], new SeededEntropy(3));
        client.Start();
        Assert.True(client.TryTakeOutput(out _, out byte[] bytes));
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, bytes));
        Assert.True(server.TryTakeOutput(out _, out _));            // its own retry is lost
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, Retry([0, 29])));
        Assert.True(client.TryTakeOutput(out _, out bytes));
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, bytes));
        Assert.True(server.TryTakeOutput(out _, out bytes));
        Assert.Equal(TlsAlert.IllegalParameter, client.HandleCrypto(EncryptionLevel.Initial, bytes));
    }

    [Fact]
    public void EncryptedExtensions_are_held_to_their_rules()
    {
        Assert.Equal(0, ToEncryptedExtensions(e => { }));
        Assert.Equal(0, ToEncryptedExtensions(e => e.Add((TlsExtension.SupportedGroups, [0, 2, 0, 29]))));
        Assert.Equal(TlsAlert.NoApplicationProtocol, ToEncryptedExtensions(e => e.Drop(TlsExtension.Alpn)));
        Assert.Equal(TlsAlert.MissingExtension, ToEncryptedExtensions(e => e.Drop(TlsExtension.QuicTransportParameters)));
        Assert.Equal(TlsAlert.UnsupportedCertificate, ToEncryptedExtensions(e => e.Drop(TlsExtension.ServerCertificateType)));
        Assert.Equal(TlsAlert.IllegalParameter, ToEncryptedExtensions(e => e[TlsExtension.ServerCertificateType] = [0]));
        Assert.Equal(TlsAlert.DecodeError, ToEncryptedExtensions(e => e[TlsExtension.ServerCertificateType] = [2, 2]));
        Assert.Equal(TlsAlert.IllegalParameter, ToEncryptedExtensions(e => e[TlsExtension.Alpn] = [0, 3, 2, 1, 1]));
        Assert.Equal(TlsAlert.IllegalParameter, ToEncryptedExtensions(e => e[TlsExtension.Alpn] = [0, 14, 11, .. TlsPair.Protocol, 1, 1]));
        Assert.Equal(TlsAlert.DecodeError, ToEncryptedExtensions(e => e[TlsExtension.Alpn] = [0, 0]));
        Assert.Equal(TlsAlert.IllegalParameter, ToEncryptedExtensions(e => e.Add(e.First())));
        Assert.Equal(TlsAlert.UnsupportedExtension, ToEncryptedExtensions(e => e.Add((0x1A1A, []))));
        Assert.Equal(TlsAlert.UnsupportedExtension, ToEncryptedExtensions(e => e.Add((TlsExtension.ServerName, []))));       // we sent none
        Assert.Equal(TlsAlert.UnsupportedExtension, ToEncryptedExtensions(e => e.Add((TlsExtension.EarlyData, []))));
        Assert.Equal(TlsAlert.UnsupportedExtension, ToEncryptedExtensions(e => e.Add((TlsExtension.ClientCertificateType, [2])), withKey: false));
        Assert.Equal(TlsAlert.IllegalParameter, ToEncryptedExtensions(e => e.Add((TlsExtension.KeyShare, []))));
    }

    [Fact]
    public void CertificateRequest_is_held_to_its_rules()
    {
        Assert.Equal(0, ToMessage(1, m => m));
        Assert.Equal(TlsAlert.MissingExtension, ToMessage(1, m => TlsEdit.WithExtensions(m, e => e[0x1A1A] = []), drop: TlsExtension.SignatureAlgorithms));
        Assert.Equal(0, ToMessage(1, m => TlsEdit.WithExtensions(m, e => e[0x1A1A] = [])));
        Assert.Equal(TlsAlert.IllegalParameter, ToMessage(1, m => TlsEdit.WithExtensions(m, e => e.Add(e.First()))));
        Assert.Equal(TlsAlert.IllegalParameter, ToMessage(1, m => TlsEdit.Message(13, [1, 7, .. m[5..]])));
        Assert.Equal(TlsAlert.DecodeError, ToMessage(1, m => TlsEdit.Message(13, [.. m[4..], 0])));
        Assert.Equal(TlsAlert.UnexpectedMessage, ToMessages(m => [m[1], m[1]]));
    }

    [Fact]
    public void The_servers_raw_key_must_be_exactly_the_pinned_one()
    {
        byte[] spki = TlsEdit.Spki(_bob.PublicKey);
        Assert.Equal(0, ToCertificate(spki));
        Assert.Equal(TlsAlert.CertificateUnknown, ToCertificate(TlsEdit.Spki(_alice.PublicKey)));                // another key
        Assert.Equal(TlsAlert.BadCertificate, ToCertificate([.. spki, 0]));                                      // trailing byte
        Assert.Equal(TlsAlert.BadCertificate, ToCertificate(spki[..^1]));
        Assert.Equal(TlsAlert.BadCertificate, ToCertificate(_bob.PublicKey.ToArray()));                          // no SPKI around it
        Assert.Equal(TlsAlert.UnsupportedCertificate, ToCertificate([.. spki[..8], 0x6F, .. spki[9..]]));        // Ed448's number
        Assert.Equal(TlsAlert.UnsupportedCertificate, ToCertificate(Convert.FromHexString("3059301306072a8648ce3d020106082a8648ce3d030107034200" + new string('4', 130))));
        Assert.Equal(TlsAlert.BadCertificate, ToCertificate([0x30, 0x2C, 0x30, 0x07, .. spki[4..9], 0x05, 0x00, .. spki[9..]]));   // NULL parameters: another encoding
        Assert.Equal(TlsAlert.BadCertificate, ToCertificate(Rfc8448.Certificate[11..^2]));                       // X.509 where a raw key is due
        Assert.Equal(TlsAlert.IllegalParameter, ToCertificate(spki, spki));
        Assert.Equal(TlsAlert.DecodeError, ToCertificate());
        Assert.Equal(TlsAlert.DecodeError, ToCertificate([[]]));
    }

    [Fact]
    public void Certificate_is_held_to_its_form()
    {
        byte[] honest = TlsEdit.Certificate(TlsEdit.Spki(_bob.PublicKey));
        Assert.Equal(TlsAlert.IllegalParameter, ToMessage(2, _ => TlsEdit.Message(11, [1, 0, .. honest[5..]])));                     // a context
        Assert.Equal(TlsAlert.DecodeError, ToMessage(2, _ => TlsEdit.Message(11, [.. honest[4..], 0])));
        byte[] extended = [0, 0, 0, 53, .. honest[8..^2], 0, 4, 0, 5, 0, 0];
        Assert.Equal(TlsAlert.UnsupportedExtension, ToMessage(2, _ => TlsEdit.Message(11, extended)));
    }

    [Fact]
    public void CertificateVerify_takes_nothing_but_our_scheme_and_a_true_signature()
    {
        Assert.Equal(0, ToMessage(3, m => m));
        Assert.Equal(TlsAlert.IllegalParameter, ToMessage(3, m => TlsEdit.Message(15, [4, 3, .. m[6..]])));
        Assert.Equal(TlsAlert.IllegalParameter, ToMessage(3, m => TlsEdit.Message(15, [8, 4, .. m[6..]])));
        Assert.Equal(TlsAlert.DecryptError, ToMessage(3, m => TlsEdit.Message(15, [8, 7, 0, 63, .. m[8..^1]])));
        Assert.Equal(TlsAlert.DecryptError, ToMessage(3, m => TlsEdit.Message(15, [8, 7, 0, 0])));
        Assert.Equal(TlsAlert.DecodeError, ToMessage(3, m => TlsEdit.Message(15, [.. m[4..], 0])));
        for (int bit = 0; bit < 64 * 8; bit += 3)
        {
            Assert.Equal(TlsAlert.DecryptError, ToMessage(3, m =>
            {
                m[8 + bit / 8] ^= (byte)(1 << bit % 8);
                return m;
            }));
        }
    }

    [Fact]
    public void Finished_must_hold()
    {
        Assert.Equal(0, ToMessage(4, m => m));
        Assert.Equal(TlsAlert.DecodeError, ToMessage(4, m => TlsEdit.Message(20, m.AsSpan(4, 31))));
        Assert.Equal(TlsAlert.DecodeError, ToMessage(4, m => TlsEdit.Message(20, [.. m[4..], 0])));
        for (int bit = 0; bit < 32 * 8; bit += 3)
        {
            Assert.Equal(TlsAlert.DecryptError, ToMessage(4, m =>
            {
                m[4 + bit / 8] ^= (byte)(1 << bit % 8);
                return m;
            }));
        }
    }

    [Fact]
    public void The_order_of_messages_is_the_only_one()
    {
        // EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished: any one left out, doubled or swapped.
        for (int i = 0; i < 5; i++)
        {
            int at = i;
            if (at is not (1 or 4)) Assert.Equal(TlsAlert.UnexpectedMessage, ToMessages(m => [.. m[..at], .. m[(at + 1)..]]));
            Assert.Equal(TlsAlert.UnexpectedMessage, ToMessages(m => [.. m[..(at + 1)], .. m[at..]]));
            if (at < 4) Assert.Equal(TlsAlert.UnexpectedMessage, ToMessages(m => [.. m[..at], m[at + 1], m[at], .. m[(at + 2)..]]));
        }

        // Without its CertificateRequest the flight's transcript is another.
        Assert.Equal(TlsAlert.DecryptError, ToMessages(m => [m[0], .. m[2..]]));
    }

    [Theory]
    [InlineData(24)]    // KeyUpdate (RFC 9001 section 6)
    [InlineData(5)]     // EndOfEarlyData
    [InlineData(13)]    // post-handshake CertificateRequest
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(20)]
    public void After_the_handshake_only_tickets_come(byte type)
    {
        foreach (bool toClient in (bool[])[true, false])
        {
            using TlsPair pair = new TlsPair(1, Options(), Server()).Run();
            Assert.True(pair.IsComplete);
            TlsSession session = toClient ? pair.Client : pair.Server;
            Assert.Equal(TlsAlert.UnexpectedMessage, session.HandleCrypto(EncryptionLevel.Application, [type, 0, 0, 1, 0]));
            Assert.False(session.IsHandshakeComplete);
            Assert.Throws<InvalidOperationException>(() => session.Export("x"u8, [], new byte[16]));
        }

        using TlsPair other = new TlsPair(1, Options(), Server()).Run();
        Assert.Equal(TlsAlert.UnexpectedMessage, other.Server.HandleCrypto(EncryptionLevel.Application, [4, 0, 0, 0]));      // a ticket from a client
        Assert.Equal(TlsAlert.UnexpectedMessage, other.Client.HandleCrypto(EncryptionLevel.Handshake, [4, 0, 0, 0]));
        using TlsPair bad = new TlsPair(1, Options(), Server()).Run();
        Assert.Equal(TlsAlert.DecodeError, bad.Client.HandleCrypto(EncryptionLevel.Application, [4, 0, 0, 4, 1, 2, 3, 4]));
    }

    [Fact]
    public void Handshake_bytes_in_front_of_ServerHello_are_unexpected()
    {
        using TlsSession client = Client();
        client.Start();
        Assert.Equal(TlsAlert.UnexpectedMessage, client.HandleCrypto(EncryptionLevel.Handshake, [8]));
        using TlsSession fresh = Client();
        Assert.Throws<InvalidOperationException>(() => fresh.HandleCrypto(EncryptionLevel.Initial, [2]));
        fresh.Start();
        Assert.Throws<InvalidOperationException>(fresh.Start);
    }

    public void Dispose()
    {
        _alice.Dispose();
        _bob.Dispose();
    }

    private TlsClientOptions Options(bool withKey = true) => new() { Identity = withKey ? _alice : null, PinnedServerKey = _bob.PublicKey.ToArray(), Alpn = [TlsPair.Protocol] };

    private TlsServerOptions Server() => new() { Identity = _bob, RequestClientKey = true, Alpn = [TlsPair.Protocol] };

    private TlsSession Client() => TlsSession.Client(Options(), [1], new SeededEntropy(1));

    private static byte[] Retry(byte[]? share)
    {
        byte[] empty = TlsEdit.Message(2, [3, 3, .. ServerHello.RetryRandom, 0, 0x13, 0x01, 0, 0, 0]);
        return TlsEdit.WithExtensions(empty, e =>
        {
            e[TlsExtension.SupportedVersions] = [3, 4];
            if (share is not null) e[TlsExtension.KeyShare] = share;
        });
    }

    private List<byte> Answers(params byte[][] hellos)
    {
        using TlsSession client = Client();
        client.Start();
        List<byte> alerts = [];
        foreach (byte[] hello in hellos) alerts.Add(client.HandleCrypto(EncryptionLevel.Initial, hello));
        return alerts;
    }

    // An honest server's two flights for the client; the client has seen nothing yet.
    private (byte[] Hello, List<byte[]> Messages) Flights(TlsSession client)
    {
        using TlsSession server = TlsSession.Server(Server(), [1], new SeededEntropy(2));
        client.Start();
        Assert.True(client.TryTakeOutput(out _, out byte[] clientHello));
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, clientHello));
        Assert.True(server.TryTakeOutput(out _, out byte[] hello));
        Assert.True(server.TryTakeOutput(out _, out byte[] flight));
        return (hello, TlsEdit.Split(flight));
    }

    private byte ToServerHello(Action<TlsEdit.Extensions> edit)
    {
        using TlsSession client = Client();
        return client.HandleCrypto(EncryptionLevel.Initial, TlsEdit.WithExtensions(Flights(client).Hello, edit));
    }

    private byte ToServerHello(Action<byte[]> edit)
    {
        using TlsSession client = Client();
        byte[] hello = Flights(client).Hello;
        edit(hello);
        return client.HandleCrypto(EncryptionLevel.Initial, hello);
    }

    private byte ToEncryptedExtensions(Action<TlsEdit.Extensions> edit, bool withKey = true)
    {
        using TlsSession client = TlsSession.Client(Options(withKey), [1], new SeededEntropy(1));
        (byte[] hello, List<byte[]> messages) = Flights(client);
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, hello));
        return client.HandleCrypto(EncryptionLevel.Handshake, TlsEdit.WithExtensions(messages[0], edit));
    }

    // Delivers the flight up to message `index`, with that one changed.
    private byte ToMessage(int index, Func<byte[], byte[]> edit, ushort drop = 0)
    {
        using TlsSession client = Client();
        (byte[] hello, List<byte[]> messages) = Flights(client);
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, hello));
        for (int i = 0; i < index; i++) Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Handshake, messages[i]));
        byte[] message = edit(messages[index]);
        if (drop != 0) message = TlsEdit.WithExtensions(message, e => e.Drop(drop));
        byte alert = client.HandleCrypto(EncryptionLevel.Handshake, message);
        Assert.Equal(alert == 0 && index == 4, client.IsHandshakeComplete);
        return alert;
    }

    private byte ToCertificate(params byte[][] entries) => ToMessage(2, _ => TlsEdit.Certificate(entries));

    private byte ToMessages(Func<List<byte[]>, List<byte[]>> edit)
    {
        using TlsSession client = Client();
        (byte[] hello, List<byte[]> messages) = Flights(client);
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, hello));
        byte alert = client.HandleCrypto(EncryptionLevel.Handshake, [.. edit(messages).SelectMany(m => m)]);
        Assert.False(client.IsHandshakeComplete);
        return alert;
    }
}
