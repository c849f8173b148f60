using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Testing;

namespace Oxen.Fuzz.Core.Quic;

// Nothing that a peer sends, sealed or not, makes the engine throw.
public sealed class QuicFuzzTests
{
    [Fact]
    public void Random_frames_under_true_keys_never_throw()
    {
        for (ulong seed = 0; seed < 300; seed++)
        {
            var random = new SeededEntropy(seed);
            using var pair = new QuicPair(seed);
            using var client = new RawQuicClient(pair.Server.Endpoint, QuicPair.ClientAddress, pair.Tls, seed);
            QuicConnection connection = client.Shake();
            connection.TryOpenStream(true, out long stream);
            connection.Write(stream, new byte[5000]);
            for (int i = 0; i < 200; i++)
            {
                client.Send(2, Frames(random));
                if (i % 5 == 0) client.Receive();
                client.Now += TimeSpan.FromMilliseconds(random.Next(40));
                pair.Server.Endpoint.HandleTimeout(client.Now);
                while (pair.Server.Endpoint.TryTakeEvent(out QuicEvent happened)) connection.Read(happened.StreamId, new byte[100], out _);
                if (connection.IsClosed) break;
            }
        }
    }

    [Fact]
    public void Random_frames_in_handshake_packets_never_throw()
    {
        for (ulong seed = 0; seed < 500; seed++)
        {
            var random = new SeededEntropy(seed);
            using var pair = new QuicPair(seed);
            using var client = new RawQuicClient(pair.Server.Endpoint, QuicPair.ClientAddress, pair.Tls, seed);
            if (random.Next(2) == 0) client.SendTls();
            for (int i = 0; i < 20; i++) client.Send(0, Frames(random));
            client.Receive();
        }
    }

    [Fact]
    public void Mutated_cut_and_doubled_datagrams_never_throw_and_forge_nothing()
    {
        for (ulong seed = 0; seed < 60; seed++)
        {
            var random = new SeededEntropy(seed);
            var link = new SimLink { Delay = TimeSpan.FromMilliseconds(5), Jitter = TimeSpan.FromMilliseconds(2) };
            using var pair = new QuicPair(seed, link, new QuicTransportOptions { InitialRtt = TimeSpan.FromMilliseconds(50) });
            bool inside = false;
            pair.Network.Tap = (from, to, bytes) =>
            {
                if (inside || random.Next(3) != 0) return;
                inside = true;
                byte[] bad = bytes.ToArray();
                int kind = random.Next(3);
                if (kind == 0) bad = bad[..random.Next(bad.Length + 1)];
                else if (kind == 1)
                {
                    for (int i = 1 + random.Next(4); i > 0; i--) bad[random.Next(bad.Length)] ^= (byte)(1 << random.Next(8));
                }
                else bad = [.. bad, .. bad];
                pair.Network.Send(bad, from, to);
                inside = false;
            };
            Assert.True(new QuicTransfer(pair, 20_000, seed).Run(TimeSpan.FromSeconds(60)), $"seed {seed}");
        }
    }

    [Fact]
    public void Random_datagrams_never_throw()
    {
        using var pair = new QuicPair(1);
        QuicConnection client = pair.Establish();
        var random = new SeededEntropy(1);
        byte[] buffer = new byte[65536];
        for (int i = 0; i < 100_000; i++)
        {
            byte[] junk = new byte[random.Next(60) + (random.Next(50) == 0 ? 1200 : 0)];
            random.FillPublic(junk);
            if (junk.Length > 7 && random.Next(2) == 0)
            {
                junk[0] |= 0xC0;
                junk.AsSpan(1, 3).Clear();
                junk[4] = (byte)random.Next(2);
                junk[5] = (byte)random.Next(22);
            }

            pair.Server.Endpoint.HandleDatagram(junk, QuicPair.ClientAddress, pair.Network.Now);
            while (pair.Server.Endpoint.TryTransmit(buffer, out _, out _, out _, pair.Network.Now))
            {
            }
        }

        Assert.True(client.IsEstablished);
        Assert.True(pair.Accepted!.IsEstablished);
    }

    [Fact]
    public void Transport_parameters_of_any_bytes_never_throw()
    {
        var random = new SeededEntropy(3);
        byte[] good = new TransportParameters { InitialSource = new ConnectionId([1, 2, 3]), MaxData = 5, StatelessResetToken = new byte[16] }.Encode();
        for (int i = 0; i < 50_000; i++)
        {
            byte[] bytes = random.Next(2) == 0 ? (byte[])good.Clone() : new byte[random.Next(60)];
            if (bytes.Length != good.Length) random.FillPublic(bytes);
            else bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            TransportParameters.TryDecode(bytes.AsSpan(0, random.Next(bytes.Length + 1)), fromServer: random.Next(2) == 0);
        }
    }

    private static byte[] Frames(SeededEntropy random)
    {
        List<byte> frames = [];
        for (int n = 1 + random.Next(6); n > 0; n--)
        {
            frames.Add((byte)random.Next(0x20));
            for (int fields = random.Next(5); fields > 0; fields--)
            {
                ulong value = random.Next(4) switch
                {
                    0 => (ulong)random.Next(8),
                    1 => (ulong)random.Next(300),
                    2 => random.NextUInt64() & Varint.Max,
                    _ => Varint.Max - (ulong)random.Next(3),
                };
                frames.AddRange(RawQuicClient.Number(value));
            }

            byte[] tail = new byte[random.Next(20)];
            random.FillPublic(tail);
            frames.AddRange(tail);
        }

        return [.. frames];
    }
}
