using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>What a server answers to a ClientHello that breaks one rule.</summary>
public sealed class TlsClientHelloTests : IDisposable
{
    private readonly TlsIdentity _bob = TlsPair.Identity(2);

    [Fact]
    public void The_untouched_hello_is_taken() => Assert.Equal(0, Answer(_ => { }));

    [Fact]
    public void Extensions_nobody_knows_are_read_past() => Assert.Equal(0, Answer(e =>
    {
        e.Insert(0, (0x1A1A, []));
        e.Add((0xFFFE, [1, 2, 3]));
    }));

    [Fact]
    public void Every_duplicate_extension_is_illegal()
    {
        int count = 0;
        Answer(e => count = e.Count);
        for (int i = 0; i < count; i++) Assert.Equal(TlsAlert.IllegalParameter, Answer(e => e.Add(e[i])));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => e.AddRange([(0x1A1A, []), (0x1A1A, [])])));
    }

    [Fact]
    public void What_is_mandatory_is_missed()
    {
        Assert.Equal(TlsAlert.ProtocolVersion, Answer(e => e.Drop(TlsExtension.SupportedVersions)));
        Assert.Equal(TlsAlert.ProtocolVersion, Answer(e => e[TlsExtension.SupportedVersions] = [2, 3, 3]));
        Assert.Equal(TlsAlert.ProtocolVersion, Answer(e => e.Clear()));
        Assert.Equal(TlsAlert.MissingExtension, Answer(e => e.Drop(TlsExtension.SupportedGroups)));
        Assert.Equal(TlsAlert.MissingExtension, Answer(e => e.Drop(TlsExtension.KeyShare)));
        Assert.Equal(TlsAlert.MissingExtension, Answer(e => e.Drop(TlsExtension.SignatureAlgorithms)));
        Assert.Equal(TlsAlert.MissingExtension, Answer(e => e.Drop(TlsExtension.QuicTransportParameters)));
        Assert.Equal(TlsAlert.NoApplicationProtocol, Answer(e => e.Drop(TlsExtension.Alpn)));
    }

    [Fact]
    public void Nothing_in_common_is_said_so()
    {
        Assert.Equal(TlsAlert.NoApplicationProtocol, Answer(e => e[TlsExtension.Alpn] = [0, 3, 2, (byte)'h', (byte)'3']));
        Assert.Equal(TlsAlert.UnsupportedCertificate, Answer(e => e.Drop(TlsExtension.ServerCertificateType)));
        Assert.Equal(TlsAlert.UnsupportedCertificate, Answer(e => e[TlsExtension.ServerCertificateType] = [1, 0]));
        Assert.Equal(TlsAlert.HandshakeFailure, Answer(e => e[TlsExtension.SignatureAlgorithms] = [0, 2, 4, 3]));
        Assert.Equal(TlsAlert.HandshakeFailure, Answer(e =>
        {
            e[TlsExtension.SupportedGroups] = [0, 2, 0, 23];
            e[TlsExtension.KeyShare] = [0, 0];
        }));
        Assert.Equal(TlsAlert.HandshakeFailure, AnswerTo(Hello(), hello =>
        {
            // the three suites become ones we do not have
            for (int i = 0; i < 3; i++) hello[4 + 2 + 32 + 1 + 2 + 2 * i + 1] = 4;
        }));
    }

    [Fact]
    public void A_client_that_cannot_show_a_raw_key_is_turned_away_where_one_is_due()
    {
        TlsServerOptions strict = new() { Identity = _bob, RequireClientKey = true, Alpn = [TlsPair.Protocol] };
        using TlsSession server = TlsSession.Server(strict, [1], new SeededEntropy(2));
        Assert.Equal(TlsAlert.UnsupportedCertificate, server.HandleCrypto(EncryptionLevel.Initial, Hello()));
    }

    [Fact]
    public void Key_shares_are_held_to_their_rules()
    {
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, new byte[31]))));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, new byte[33]))));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, new byte[32]))));                              // all zero
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, One()))));                                     // order 1
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519MlKem768, new byte[1215]))));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519MlKem768, new byte[1216]))));                    // X25519 part zero
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519MlKem768, [.. Enumerable.Repeat((byte)0xFF, 1184), .. Nine()]))));  // outside the modulus
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, Nine()), (TlsGroup.X25519, Nine()))));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => Share(e, (TlsGroup.X25519, Nine()), (0x0017, new byte[65]))));            // a group not offered
        Assert.Equal(TlsAlert.DecodeError, Answer(e => Share(e, (TlsGroup.X25519, []))));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.KeyShare] = [0, 1, 0]));
        Assert.Equal(0, Answer(e => Share(e, (TlsGroup.X25519, Nine()))));
    }

    [Fact]
    public void Malformed_extensions_do_not_decode()
    {
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SupportedVersions] = [3, 3, 4, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SupportedVersions] = [2, 3, 4, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SupportedVersions] = []));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SupportedGroups] = [0, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SupportedGroups] = [0, 3, 0, 29, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.SignatureAlgorithms] = [0, 4, 8, 7]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.Alpn] = [0, 1, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.Alpn] = [0, 4, 3, 1, 2, 3, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.Alpn] = [0, 3, 1, 1, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.ServerName] = [0, 0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.ServerCertificateType] = [0]));
        Assert.Equal(TlsAlert.DecodeError, Answer(e => e[TlsExtension.ClientCertificateType] = [2, 2]));
    }

    [Fact]
    public void Fields_QUIC_and_TLS_fix_are_fixed()
    {
        byte[] hello = Hello();
        // a session id of one byte, in front of everything
        byte[] body = [.. hello[4..38], 1, 7, .. hello[39..]];
        Assert.Equal(TlsAlert.IllegalParameter, AnswerTo(TlsEdit.Message(1, body), _ => { }));
        int compression = 4 + 34 + 1 + 2 + 6;
        Assert.Equal(TlsAlert.IllegalParameter, AnswerTo(hello, h => h[compression + 1] = 1));
        Assert.Equal(TlsAlert.DecodeError, AnswerTo(TlsEdit.Message(1, [.. hello[4..], 0]), _ => { }));
        Assert.Equal(TlsAlert.IllegalParameter, Answer(e => e.Insert(0, (TlsExtension.PreSharedKey, [0]))));
        Assert.Equal(0, Answer(e => e.Add((TlsExtension.PreSharedKey, [0]))));                // last: allowed, and not taken
    }

    [Fact]
    public void Other_messages_and_other_levels_are_unexpected()
    {
        foreach (byte type in (byte[])[0, 2, 4, 5, 8, 11, 13, 15, 20, 24, 254, 255])
        {
            using TlsSession server = Server();
            Assert.Equal(TlsAlert.UnexpectedMessage, server.HandleCrypto(EncryptionLevel.Initial, [type, 0, 0, 0]));
        }

        foreach (EncryptionLevel level in (EncryptionLevel[])[EncryptionLevel.Handshake, EncryptionLevel.Application])
        {
            using TlsSession server = Server();
            Assert.Equal(TlsAlert.UnexpectedMessage, server.HandleCrypto(level, Hello()));
            Assert.Equal(TlsAlert.UnexpectedMessage, server.HandleCrypto(EncryptionLevel.Initial, Hello()));       // dead stays dead
            Assert.False(server.TryTakeOutput(out _, out _));
        }
    }

    [Fact]
    public void Bytes_behind_the_hello_are_unexpected()
    {
        using TlsSession server = Server();
        Assert.Equal(TlsAlert.UnexpectedMessage, server.HandleCrypto(EncryptionLevel.Initial, [.. Hello(), 1]));
        using TlsSession later = Server();
        Assert.Equal(0, later.HandleCrypto(EncryptionLevel.Initial, Hello()));
        Assert.Equal(0, later.HandleCrypto(EncryptionLevel.Initial, []));
        Assert.Equal(TlsAlert.UnexpectedMessage, later.HandleCrypto(EncryptionLevel.Initial, [1]));
    }

    [Fact]
    public void A_message_beyond_the_cap_is_refused_at_its_header()
    {
        using TlsSession server = Server();
        Assert.Equal(TlsAlert.DecodeError, server.HandleCrypto(EncryptionLevel.Initial, [1, 0, 0x80, 1]));
        using TlsSession patient = Server();
        Assert.Equal(0, patient.HandleCrypto(EncryptionLevel.Initial, [1, 0, 0x80, 0]));
    }

    [Fact]
    public void The_second_hello_must_be_what_was_asked_for()
    {
        Assert.Equal(0, SecondAnswer(h => h));
        Assert.Equal(TlsAlert.IllegalParameter, SecondAnswer(h => TlsEdit.WithExtensions(h, e => e.Add((TlsExtension.EarlyData, [])))));
        Assert.Equal(TlsAlert.IllegalParameter, SecondAnswer(h => TlsEdit.WithExtensions(h, e => Share(e))));
        Assert.Equal(TlsAlert.IllegalParameter, SecondAnswer(h => TlsEdit.WithExtensions(h, e => Share(e, (TlsGroup.X25519MlKem768, new byte[1216]), (TlsGroup.X25519, Nine())))));
        Assert.Equal(TlsAlert.IllegalParameter, SecondAnswer(h =>
        {
            h[10] ^= 1;     // another random
            return h;
        }));
        Assert.Equal(TlsAlert.IllegalParameter, SecondAnswer(_ => Hello()));    // the first hello once more: no retry loop
    }

    public void Dispose() => _bob.Dispose();

    private static byte[] Nine() => [9, .. new byte[31]];

    private static byte[] One() => [1, .. new byte[31]];

    private static void Share(TlsEdit.Extensions extensions, params (ushort Group, byte[] Key)[] shares)
    {
        TlsWriter writer = new();
        TlsWriter.Vector list = writer.Begin(2);
        foreach ((ushort group, byte[] key) in shares)
        {
            writer.U16(group);
            TlsWriter.Vector content = writer.Begin(2);
            writer.Bytes(key);
            writer.End(content);
        }

        writer.End(list);
        extensions[TlsExtension.KeyShare] = writer.Written.ToArray();
    }

    private static TlsSession Client() => TlsSession.Client(new TlsClientOptions { Alpn = [TlsPair.Protocol] }, [1, 2], new SeededEntropy(1));

    private static byte[] Hello()
    {
        using TlsSession client = Client();
        client.Start();
        Assert.True(client.TryTakeOutput(out _, out byte[] hello));
        return hello;
    }

    private TlsSession Server(params ushort[] groups) => TlsSession.Server(
        new TlsServerOptions { Identity = _bob, Alpn = [TlsPair.Protocol], Groups = groups.Length == 0 ? [TlsGroup.X25519MlKem768, TlsGroup.X25519] : groups }, [1], new SeededEntropy(2));

    private byte Answer(Action<TlsEdit.Extensions> edit) => AnswerTo(TlsEdit.WithExtensions(Hello(), edit), _ => { });

    private byte AnswerTo(byte[] hello, Action<byte[]> edit)
    {
        hello = [.. hello];
        edit(hello);
        using TlsSession server = Server();
        byte alert = server.HandleCrypto(EncryptionLevel.Initial, hello);
        Assert.Equal(alert != 0, server.AlertReason is not null);
        Assert.Equal(alert == 0, server.TryTakeOutput(out _, out _));
        return alert;
    }

    private byte SecondAnswer(Func<byte[], byte[]> edit)
    {
        using TlsSession client = Client();
        using TlsSession server = Server(TlsGroup.X25519);
        client.Start();
        Assert.True(client.TryTakeOutput(out EncryptionLevel level, out byte[] bytes));
        Assert.Equal(0, server.HandleCrypto(level, bytes));
        Assert.True(server.TryTakeOutput(out level, out bytes));
        Assert.Equal(0, client.HandleCrypto(level, bytes));
        Assert.True(client.TryTakeOutput(out level, out bytes));
        return server.HandleCrypto(level, edit(bytes));
    }
}
