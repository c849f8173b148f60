using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>Whatever happens to the bytes on the way: no exception, and never two ends that both believe in the handshake.</summary>
public sealed class TlsTamperTests : IDisposable
{
    private readonly TlsIdentity _alice = TlsPair.Identity(1);
    private readonly TlsIdentity _bob = TlsPair.Identity(2);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_flipped_bit_at_any_byte_of_any_flight_is_noticed(bool retry)
    {
        ushort[] groups = retry ? [TlsGroup.X25519] : [TlsGroup.X25519MlKem768, TlsGroup.X25519];
        foreach ((int flight, int length) in Lengths(groups))
        {
            for (int at = 0; at < length; at++)
            {
                byte mask = (byte)(1 << at % 8);
                using TlsPair pair = Pair(groups);
                pair.Change = (i, bytes) => i == flight ? Flip(bytes, at, mask) : bytes;
                pair.Run();
                Assert.False(pair.IsComplete, $"flight {flight}, byte {at}, mask {mask}");
            }
        }
    }

    [Fact]
    public void Every_bit_of_the_short_handshake_counts()
    {
        ushort[] groups = [TlsGroup.X25519];
        foreach ((int flight, int length) in Lengths(groups, groups))
        {
            for (int bit = 0; bit < 8 * length; bit++)
            {
                using TlsPair pair = Pair(groups, groups);
                pair.Change = (i, bytes) => i == flight ? Flip(bytes, bit / 8, (byte)(1 << bit % 8)) : bytes;
                pair.Run();
                Assert.False(pair.IsComplete, $"flight {flight}, bit {bit}");
            }
        }
    }

    [Fact]
    public void A_flight_cut_short_anywhere_never_completes()
    {
        ushort[] groups = [TlsGroup.X25519];
        foreach ((int flight, int length) in Lengths(groups, groups))
        {
            for (int keep = 0; keep < length; keep++)
            {
                using TlsPair pair = Pair(groups, groups);
                pair.Change = (i, bytes) => i == flight ? bytes[..keep] : bytes;
                pair.Run();
                Assert.False(pair.IsComplete, $"flight {flight} cut to {keep}");

                // The rest may still come; only after half a ServerHello the next flight is at the wrong level.
                Assert.Equal(flight == 1 ? TlsAlert.UnexpectedMessage : TlsAlert.None, pair.ClientAlert | pair.ServerAlert);
            }
        }
    }

    [Fact]
    public void Random_surgery_is_survived()
    {
        for (ulong seed = 0; seed < 1500; seed++)
        {
            SeededEntropy random = new(seed);
            using TlsPair pair = Pair([TlsGroup.X25519], [TlsGroup.X25519], seed);
            int flight = random.Next(4);
            bool changed = false;
            pair.Pieces = random.Next(2) * 200;
            pair.Change = (i, bytes) =>
            {
                if (i != flight) return bytes;
                byte[] cut = Surgery(bytes, random);
                changed = !cut.AsSpan().SequenceEqual(bytes);
                return cut;
            };
            pair.Run();
            Assert.False(changed && pair.IsComplete, $"seed {seed}");
        }
    }

    [Fact]
    public void Random_bytes_at_random_levels_are_survived()
    {
        TlsServerOptions server = new() { Identity = _bob, Alpn = [TlsPair.Protocol] };
        TlsClientOptions client = new() { Alpn = [TlsPair.Protocol], Groups = [TlsGroup.X25519] };
        for (ulong seed = 0; seed < 3000; seed++)
        {
            SeededEntropy random = new(seed);
            using TlsSession session = seed % 2 == 0 ? TlsSession.Server(server, [1], random) : TlsSession.Client(client, [1], random);
            if (session.IsClient) session.Start();
            byte alert = 0;
            for (int i = 0; i < 4 && alert == 0; i++)
            {
                byte[] bytes = new byte[4 + random.Next(300)];
                random.FillPublic(bytes);
                bytes[0] = session.IsClient ? (byte)2 : (byte)1;
                bytes[1] = 0;
                bytes[2] = (byte)(bytes.Length - 4 >> 8);
                bytes[3] = (byte)(bytes.Length - 4);
                alert = session.HandleCrypto(random.Next(8) == 0 ? EncryptionLevel.Handshake : EncryptionLevel.Initial, bytes);
            }

            Assert.NotEqual(0, alert);
        }
    }

    [Fact]
    public void A_long_message_takes_memory_only_as_it_comes()
    {
        TlsServerOptions options = new() { Identity = _bob, Alpn = [TlsPair.Protocol] };
        using TlsSession server = TlsSession.Server(options, [1], new SeededEntropy(1));
        byte[] header = [1, 0, 0x7F, 0xFF];
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, header));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4096);
        byte[] rest = new byte[0x7FFE];
        before = GC.GetAllocatedBytesForCurrentThread();
        int alerts = 0;
        for (int i = 0; i < rest.Length; i++) alerts |= server.HandleCrypto(EncryptionLevel.Initial, rest.AsSpan(i, 1));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 * TlsSession.MaxMessageBytes);
        Assert.Equal(0, alerts);
    }

    public void Dispose()
    {
        _alice.Dispose();
        _bob.Dispose();
    }

    private static byte[] Flip(byte[] bytes, int at, byte mask)
    {
        byte[] flipped = [.. bytes];
        flipped[at] ^= mask;
        return flipped;
    }

    private static byte[] Surgery(byte[] bytes, SeededEntropy random)
    {
        List<byte> list = [.. bytes];
        for (int cuts = 1 + random.Next(3); cuts > 0; cuts--)
        {
            int at = random.Next(list.Count);
            int count = Math.Min(1 + random.Next(16), list.Count - at);
            switch (random.Next(4))
            {
                case 0: list.RemoveRange(at, Math.Min(count, list.Count - 1)); break;
                case 1: list.InsertRange(at, list.GetRange(random.Next(list.Count - count + 1), count)); break;
                case 2: list[at] = (byte)random.NextUInt64(); break;
                default: list[at] = random.Next(2) == 0 ? (byte)0 : (byte)0xFF; break;
            }
        }

        return [.. list];
    }

    private List<(int Flight, int Length)> Lengths(ushort[] server, ushort[]? client = null)
    {
        using TlsPair pair = Pair(server, client).Run();
        Assert.True(pair.IsComplete);
        return [.. pair.Flights.Select((f, i) => (i, f.Bytes.Length))];
    }

    private TlsPair Pair(ushort[] server, ushort[]? client = null, ulong seed = 1) => new(
        seed,
        new TlsClientOptions { Identity = _alice, PinnedServerKey = _bob.PublicKey.ToArray(), Alpn = [TlsPair.Protocol], Groups = client ?? [TlsGroup.X25519MlKem768, TlsGroup.X25519] },
        new TlsServerOptions { Identity = _bob, RequireClientKey = true, Alpn = [TlsPair.Protocol], Groups = server });
}
