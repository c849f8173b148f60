using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

public sealed class QuicHandshakeTests
{
    [Fact]
    public void Two_endpoints_shake_hands_and_know_each_other()
    {
        using var pair = new QuicPair(1);
        QuicConnection client = pair.Establish();
        Assert.True(client.IsEstablished);
        Assert.True(pair.Accepted!.IsEstablished);
        Assert.Equal(pair.Tls.PinnedServerKey!.Value.ToArray(), client.PeerPublicKey.ToArray());
        Assert.Equal(pair.Tls.Identity!.PublicKey.ToArray(), pair.Accepted.PeerPublicKey.ToArray());
        Assert.Equal("oxen-test/1"u8.ToArray(), pair.Accepted.Alpn);
        byte[] a = new byte[32], b = new byte[32];
        client.Export("EXPORTER-test"u8, "context"u8, a);
        pair.Accepted.Export("EXPORTER-test"u8, "context"u8, b);
        Assert.Equal(a, b);
        Assert.Equal(0, pair.Server.Endpoint.HalfOpen);
    }

    [Theory]
    [InlineData(TlsCipherSuite.Aes128GcmSha256)]
    [InlineData(TlsCipherSuite.Aes256GcmSha384)]
    [InlineData(TlsCipherSuite.ChaCha20Poly1305Sha256)]
    internal void Every_suite_carries_a_transfer(TlsCipherSuite suite)
    {
        using var pair = new QuicPair(2, suites: [suite]);
        Assert.True(new QuicTransfer(pair, 300_000, 5).Run(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public void A_hybrid_client_hello_spans_two_full_Initial_datagrams()
    {
        using var pair = new QuicPair(3, groups: [TlsGroup.X25519MlKem768, TlsGroup.X25519]);
        List<int> fromClient = [];
        pair.Network.Tap = (from, _, bytes) =>
        {
            if (from == QuicPair.ClientAddress) fromClient.Add(bytes.Length);
        };
        pair.Establish();
        Assert.True(fromClient[0] >= 1200);
        Assert.True(fromClient[1] >= 1200);
    }
}
