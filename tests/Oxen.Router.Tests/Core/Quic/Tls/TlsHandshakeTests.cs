using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>Our two roles against each other: what completes, and what both then know.</summary>
public sealed class TlsHandshakeTests : IDisposable
{
    private readonly TlsIdentity _alice = TlsPair.Identity(1);
    private readonly TlsIdentity _bob = TlsPair.Identity(2);

    public static TheoryData<ushort, ushort, bool> Everything()
    {
        TheoryData<ushort, ushort, bool> all = [];
        foreach (ushort suite in (ushort[])[0x1301, 0x1302, 0x1303])
        {
            foreach (ushort group in (ushort[])[TlsGroup.X25519, TlsGroup.X25519MlKem768])
            {
                all.Add(suite, group, false);
                all.Add(suite, group, true);
            }
        }

        return all;
    }

    [Theory, MemberData(nameof(Everything))]
    public void Each_suite_group_and_key_choice_completes_in_random_pieces(ushort suite, ushort group, bool mutual)
    {
        for (ulong seed = 0; seed < 8; seed++)
        {
            using TlsPair pair = new(seed, Client(mutual, [suite], [group]), Server(mutual)) { Pieces = seed == 0 ? 0 : seed == 1 ? 1 : 700 };
            pair.Run();
            Assert.True(pair.IsComplete, pair.Client.AlertReason ?? pair.Server.AlertReason);
            foreach (TlsSession session in (TlsSession[])[pair.Client, pair.Server])
            {
                Assert.Equal((TlsCipherSuite)suite, session.Suite);
                Assert.Equal(group, session.Group);
                Assert.Equal(TlsPair.Protocol, session.Alpn);
                Assert.True(session.HasPeerTransportParameters);
            }

            Assert.Equal(TlsPair.ServerParameters, pair.Client.PeerTransportParameters.ToArray());
            Assert.Equal(TlsPair.ClientParameters, pair.Server.PeerTransportParameters.ToArray());
            Assert.Equal(_bob.PublicKey.ToArray(), pair.Client.PeerPublicKey.ToArray());
            Assert.Equal(mutual ? _alice.PublicKey.ToArray() : [], pair.Server.PeerPublicKey.ToArray());
            AssertSameSecrets(pair);
            AssertSameExporter(pair);
        }
    }

    [Fact]
    public void A_seed_repeats_every_byte()
    {
        using TlsPair one = new TlsPair(7, Client(true), Server(true)).Run();
        using TlsPair two = new TlsPair(7, Client(true), Server(true)).Run();
        using TlsPair other = new TlsPair(8, Client(true), Server(true)).Run();
        Assert.Equal(one.Flights.Select(f => Convert.ToHexString(f.Bytes)), two.Flights.Select(f => Convert.ToHexString(f.Bytes)));
        Assert.NotEqual(one.Flights.Select(f => Convert.ToHexString(f.Bytes)), other.Flights.Select(f => Convert.ToHexString(f.Bytes)));
    }

    [Theory]
    [InlineData(TlsGroup.X25519MlKem768, TlsGroup.X25519)]
    [InlineData(TlsGroup.X25519, TlsGroup.X25519MlKem768)]
    public void A_server_without_the_first_group_retries_once_and_completes(ushort first, ushort second)
    {
        foreach (int pieces in (int[])[0, 1, 300])
        {
            foreach (ushort suite in (ushort[])[0x1301, 0x1302])
            {
                using TlsPair pair = new(3, Client(true, [suite], [first, second]), Server(true, groups: [second])) { Pieces = pieces };
                pair.Run();
                Assert.True(pair.IsComplete, pair.Client.AlertReason ?? pair.Server.AlertReason);
                Assert.Equal(second, pair.Client.Group);
                Assert.Equal(2, pair.Flights.Count(f => f.Level == EncryptionLevel.Initial && f.FromClient));
                Assert.Equal(ServerHello.RetryRandom.ToArray(), pair.Flights[1].Bytes[6..38]);
                AssertSameSecrets(pair);
                AssertSameExporter(pair);
            }
        }
    }

    [Fact]
    public void A_second_share_saves_the_retry()
    {
        TlsClientOptions client = new() { PinnedServerKey = _bob.PublicKey.ToArray(), Alpn = [TlsPair.Protocol], KeyShares = 2 };
        using TlsPair pair = new TlsPair(4, client, Server(false, groups: [TlsGroup.X25519])).Run();
        Assert.True(pair.IsComplete);
        Assert.Equal(TlsGroup.X25519, pair.Client.Group);
        Assert.Single(pair.Flights, f => f.Level == EncryptionLevel.Initial && f.FromClient);
    }

    [Fact]
    public void The_default_hello_has_one_hybrid_share_and_no_certificate_but_raw_keys()
    {
        using TlsPair pair = new TlsPair(4, Client(false), Server(false)).Run();
        byte[] hello = pair.Flights[0].Bytes;
        Assert.InRange(hello.Length, 1184 + 32, 1184 + 32 + 220);
        Assert.Equal(0, ClientHello.TryParse(hello.AsSpan(4), out ClientHello view, out _));
        Assert.True(view.HasOnlyShare(TlsGroup.X25519MlKem768));
        Assert.Equal([TlsCertificateType.RawPublicKey], view.ServerCertificateTypes.ToArray());
        Assert.Equal([8, 7], view.Schemes.ToArray());
    }

    [Fact]
    public void The_servers_preferences_decide()
    {
        TlsServerOptions server = new()
        {
            Identity = _bob,
            Alpn = ["b"u8.ToArray(), "a"u8.ToArray()],
            Suites = [TlsCipherSuite.ChaCha20Poly1305Sha256, TlsCipherSuite.Aes128GcmSha256],
            Groups = [TlsGroup.X25519, TlsGroup.X25519MlKem768],
        };
        TlsClientOptions client = new() { PinnedServerKey = _bob.PublicKey.ToArray(), Alpn = ["a"u8.ToArray(), "b"u8.ToArray()], KeyShares = 2, ServerName = "example.org" };
        using TlsPair pair = new TlsPair(5, client, server).Run();
        Assert.True(pair.IsComplete);
        Assert.Equal("b"u8.ToArray(), pair.Client.Alpn);
        Assert.Equal(TlsCipherSuite.ChaCha20Poly1305Sha256, pair.Client.Suite);
        Assert.Equal(TlsGroup.X25519, pair.Client.Group);
    }

    [Fact]
    public void A_client_without_a_key_may_enter_where_a_key_is_only_asked_for()
    {
        TlsServerOptions server = new() { Identity = _bob, RequestClientKey = true, Alpn = [TlsPair.Protocol] };
        using TlsPair pair = new TlsPair(6, Client(false), server).Run();
        Assert.True(pair.IsComplete);
        Assert.Empty(pair.Server.PeerPublicKey.ToArray());
    }

    [Fact]
    public void The_servers_parameters_may_be_set_after_its_birth_but_not_after_its_flight()
    {
        using TlsSession client = TlsSession.Client(Client(false), [1], new SeededEntropy(1));
        using TlsSession server = TlsSession.Server(Server(false), [], new SeededEntropy(2));
        server.SetTransportParameters([4, 5, 6]);
        client.Start();
        Assert.True(client.TryTakeOutput(out EncryptionLevel level, out byte[] hello));
        Assert.Equal(0, server.HandleCrypto(level, hello));
        Assert.Throws<InvalidOperationException>(() => server.SetTransportParameters([]));
        while (server.TryTakeOutput(out level, out byte[] bytes)) Assert.Equal(0, client.HandleCrypto(level, bytes));
        Assert.Equal([4, 5, 6], client.PeerTransportParameters.ToArray());
    }

    [Fact]
    public void Secrets_come_when_RFC_9001_allows_and_each_once()
    {
        using TlsSession client = TlsSession.Client(Client(false), [1], new SeededEntropy(1));
        using TlsSession server = TlsSession.Server(Server(false), [2], new SeededEntropy(2));
        client.Start();
        Assert.False(client.TryTakeSecrets(out _));
        Assert.True(client.TryTakeOutput(out _, out byte[] hello));
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, hello));
        Assert.True(server.TryTakeSecrets(out TlsSecrets serverHandshake));
        Assert.Equal(EncryptionLevel.Handshake, serverHandshake.Level);
        Assert.True(server.TryTakeSecrets(out TlsSecrets serverApplication));
        Assert.Equal(EncryptionLevel.Application, serverApplication.Level);
        Assert.False(server.IsHandshakeComplete);
        Assert.Throws<InvalidOperationException>(() => server.Export("x"u8, [], new byte[32]));

        Assert.True(server.TryTakeOutput(out _, out byte[] serverHello));
        Assert.True(server.TryTakeOutput(out _, out byte[] flight));
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Initial, serverHello));
        Assert.True(client.TryTakeSecrets(out TlsSecrets clientHandshake));
        Assert.Equal(serverHandshake.ClientSecret, clientHandshake.ClientSecret);
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Handshake, flight.AsSpan(0, flight.Length - 1)));
        Assert.False(client.TryTakeSecrets(out _));
        Assert.Equal(0, client.HandleCrypto(EncryptionLevel.Handshake, flight.AsSpan(flight.Length - 1)));
        Assert.True(client.IsHandshakeComplete);
        Assert.True(client.TryTakeSecrets(out TlsSecrets clientApplication));
        Assert.Equal(serverApplication.ServerSecret, clientApplication.ServerSecret);
        Assert.False(client.TryTakeSecrets(out _));
    }

    [Fact]
    public void A_session_ticket_is_read_past_in_any_pieces()
    {
        using TlsPair pair = new TlsPair(9, Client(false), Server(false)).Run();
        byte[] ticket = [4, 0, 0, 17, 0, 0, 1, 0, 1, 2, 3, 4, 1, 9, 0, 3, 7, 7, 7, 0, 0];
        byte[] two = [.. ticket, .. ticket];
        foreach (byte b in two) Assert.Equal(0, pair.Client.HandleCrypto(EncryptionLevel.Application, [b]));
        Assert.True(pair.Client.IsHandshakeComplete);
        AssertSameExporter(pair);
    }

    [Fact]
    public void The_exporter_depends_on_label_context_and_session()
    {
        using TlsPair pair = new TlsPair(10, Client(false), Server(false)).Run();
        using TlsPair other = new TlsPair(11, Client(false), Server(false)).Run();
        HashSet<string> all = [];
        foreach (TlsPair p in (TlsPair[])[pair, other])
        {
            foreach (string label in (string[])["EXPORTER-oxen-link-v1", "EXPORTER-other"])
            {
                foreach (byte[] context in (byte[][])[[], [1], new byte[300]])
                {
                    byte[] bytes = new byte[100];
                    p.Client.Export(System.Text.Encoding.ASCII.GetBytes(label), context, bytes);
                    Assert.True(all.Add(Convert.ToHexString(bytes)));
                }
            }
        }
    }

    public void Dispose()
    {
        _alice.Dispose();
        _bob.Dispose();
    }

    private static void AssertSameSecrets(TlsPair pair)
    {
        foreach (EncryptionLevel level in (EncryptionLevel[])[EncryptionLevel.Handshake, EncryptionLevel.Application])
        {
            Assert.True(pair.Client.TryTakeSecrets(out TlsSecrets ours));
            Assert.True(pair.Server.TryTakeSecrets(out TlsSecrets theirs));
            Assert.Equal(level, ours.Level);
            Assert.Equal(level, theirs.Level);
            Assert.Equal(ours.ClientSecret, theirs.ClientSecret);
            Assert.Equal(ours.ServerSecret, theirs.ServerSecret);
            Assert.NotEqual(ours.ClientSecret, ours.ServerSecret);
            Assert.Equal(TlsKeySchedule.HashBytes(ours.Suite.Hash()), ours.ClientSecret.Length);
        }

        Assert.False(pair.Client.TryTakeSecrets(out _));
    }

    private static void AssertSameExporter(TlsPair pair)
    {
        byte[] a = new byte[64], b = new byte[64];
        pair.Client.Export("EXPORTER-oxen-link-v1"u8, [1, 2, 3], a);
        pair.Server.Export("EXPORTER-oxen-link-v1"u8, [1, 2, 3], b);
        Assert.Equal(a, b);
        Assert.NotEqual(new byte[64], a);
    }

    private TlsClientOptions Client(bool mutual, ushort[]? suites = null, ushort[]? groups = null) => new()
    {
        Identity = mutual ? _alice : null,
        PinnedServerKey = _bob.PublicKey.ToArray(),
        Alpn = [TlsPair.Protocol],
        Suites = suites?.Select(s => (TlsCipherSuite)s).ToArray() ?? [TlsCipherSuite.Aes128GcmSha256, TlsCipherSuite.Aes256GcmSha384, TlsCipherSuite.ChaCha20Poly1305Sha256],
        Groups = groups ?? [TlsGroup.X25519MlKem768, TlsGroup.X25519],
    };

    private TlsServerOptions Server(bool mutual, ushort[]? groups = null) => new()
    {
        Identity = _bob,
        RequireClientKey = mutual,
        Alpn = [TlsPair.Protocol],
        Groups = groups ?? [TlsGroup.X25519MlKem768, TlsGroup.X25519],
    };
}
