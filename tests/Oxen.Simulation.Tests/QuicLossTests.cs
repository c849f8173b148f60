using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

// A7, A8 of the QUIC acceptance list: whatever the network does short of cutting it, the bytes arrive, in bounded time.
public sealed class QuicLossTests
{
    private static readonly double[] LossRates = [0, 0.01, 0.05, 0.20];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_thousand_networks_carry_the_bytes_both_ways(int part)
    {
        for (ulong seed = (ulong)part * 200; seed < (ulong)(part + 1) * 200; seed++)
        {
            int bytes = seed % 40 == 7 ? 1 << 20 : 40_000;
            (bool ok, _, string story) = Run(seed, bytes);
            Assert.True(ok, $"seed {seed}: {story}");
        }
    }

    [Fact]
    public void The_same_seed_makes_the_same_trace()
    {
        for (ulong seed = 0; seed < 20; seed++)
        {
            (_, ulong first, _) = Run(seed, 30_000);
            (_, ulong second, _) = Run(seed, 30_000);
            Assert.Equal(first, second);
        }

        Assert.NotEqual(Run(1, 30_000).Trace, Run(2, 30_000).Trace);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public void The_handshake_survives_the_loss_of_any_one_or_two_of_the_first_datagrams(int amplificationFactor)
    {
        for (int a = 0; a < 12; a++)
        {
            for (int b = a; b < 12; b++)
            {
                var options = new QuicTransportOptions { AmplificationFactor = amplificationFactor, InitialRtt = TimeSpan.FromMilliseconds(100) };
                using var pair = new QuicPair(11, client: options, server: options, groups: [TlsGroup.X25519MlKem768]);
                pair.Network.DropWhen = (number, _, _, _) => number == a || number == b;
                QuicConnection client = pair.Connect();
                bool done = pair.Network.RunUntil(() => client.IsConfirmed && pair.Accepted is { IsEstablished: true }, TimeSpan.FromSeconds(10));
                Assert.True(done, $"datagrams {a} and {b} lost: {client.Stats.CloseReason} after {pair.Network.Now}");
                Assert.True(pair.Network.Now < Instant.FromMilliseconds(3000), $"datagrams {a} and {b} lost: took {pair.Network.Now}");
            }
        }
    }

    private static (bool Ok, ulong Trace, string Story) Run(ulong seed, int bytes)
    {
        var link = new SimLink
        {
            Delay = TimeSpan.FromMilliseconds(5 + seed % 30),
            Loss = LossRates[seed % 4],
            Jitter = TimeSpan.FromMilliseconds(seed / 4 % 3 * 4),
            Reorder = seed / 8 % 2 * 0.05,
            Duplicate = seed / 16 % 2 * 0.05,
            BitsPerSecond = seed % 5 == 4 ? 20_000_000 : 0,
        };
        var options = new QuicTransportOptions
        {
            Congestion = seed % 2 == 0 ? QuicCongestion.NewReno : QuicCongestion.Cubic,
            IdleTimeout = TimeSpan.FromSeconds(60),
            HandshakeTimeout = TimeSpan.FromSeconds(60),
            InitialRtt = TimeSpan.FromMilliseconds(100),
            InitialMaxStreamData = 256 * 1024,
            InitialMaxData = 384 * 1024,
        };
        using var pair = new QuicPair(seed, link, options, options);
        var transfer = new QuicTransfer(pair, bytes, seed);
        bool ok = transfer.Run(TimeSpan.FromSeconds(300));
        return (ok, pair.Network.TraceHash, $"{link}, at {pair.Network.Now}, client {transfer.Client.Stats}, server {pair.Accepted?.Stats}");
    }
}
