using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

public sealed class QuicEndpointTests
{
    private static readonly UdpAddress Other = UdpAddress.FromBytes([10, 9, 9, 9], 999);

    [Fact]
    public void Retry_proves_the_address_and_the_handshake_goes_on()
    {
        using var pair = new QuicPair(21, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.Always });
        QuicConnection client = pair.Establish();
        Assert.True(client.IsEstablished);
        Assert.Equal(1, pair.Server.Endpoint.Counters.RetriesSent);
        Assert.True(new QuicTransfer(pair, 100_000, 3).Run(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void Under_load_only_the_handshakes_over_the_threshold_get_a_Retry()
    {
        using var pair = new QuicPair(22, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.UnderLoad, RetryAboveHalfOpen = 2, HandshakesPerPrefix = 0 });
        for (ulong i = 0; i < 5; i++)
        {
            using var raw = new RawQuicClient(pair.Server.Endpoint, UdpAddress.FromBytes([10, 0, 0, (byte)i], 5), pair.Tls, i);
            raw.SendTls();
        }

        Assert.Equal(2, pair.Server.Endpoint.HalfOpen);
        Assert.Equal(3, pair.Server.Endpoint.Counters.RetriesSent);
        Assert.True(pair.Establish().IsEstablished);
    }

    [Fact]
    public void A_token_that_is_late_forged_or_from_another_address_opens_nothing()
    {
        var entropy = new SeededEntropy(4);
        using var retry = new Oxen.Router.Core.Quic.Protection.RetryProtection(entropy);
        var original = new Oxen.Router.Core.Quic.Packets.ConnectionId([1, 2, 3, 4, 5, 6, 7, 8]);
        byte[] token = new byte[Oxen.Router.Core.Quic.Protection.RetryProtection.MaxTokenBytes];
        var now = Instant.FromMilliseconds(1000);
        TimeSpan life = TimeSpan.FromSeconds(10);
        int n = retry.WriteToken(original, Other, now, token);
        token = token[..n];
        Assert.True(retry.TryReadToken(token, Other, life, now + life, out Oxen.Router.Core.Quic.Packets.ConnectionId read));
        Assert.Equal(original, read);
        Assert.False(retry.TryReadToken(token, Other, life, now + life + TimeSpan.FromMilliseconds(1), out _));
        Assert.False(retry.TryReadToken(token, Other, life, now - TimeSpan.FromMilliseconds(1), out _));
        Assert.False(retry.TryReadToken(token, UdpAddress.FromBytes([10, 9, 9, 9], 998), life, now, out _));
        Assert.False(retry.TryReadToken(token, UdpAddress.FromBytes([10, 9, 9, 8], 999), life, now, out _));
        for (int i = 0; i < token.Length; i++)
        {
            token[i] ^= 0x10;
            Assert.False(retry.TryReadToken(token, Other, life, now, out _));
            token[i] ^= 0x10;
            Assert.False(retry.TryReadToken(token.AsSpan(0, i), Other, life, now, out _));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_spoofed_Initial_never_yields_more_than_the_factor_allows(int factor)
    {
        using var pair = new QuicPair(23, server: new QuicTransportOptions { AmplificationFactor = factor, HandshakeTimeout = TimeSpan.FromSeconds(30) });
        using var raw = new RawQuicClient(pair.Server.Endpoint, QuicPair.ClientAddress, pair.Tls, 3);
        raw.SendTls();
        for (int i = 0; i < 2000; i++)
        {
            raw.Receive();
            Assert.True(raw.BytesReceived <= factor * raw.BytesSent, $"{raw.BytesReceived} for {raw.BytesSent}");
            raw.Now += TimeSpan.FromMilliseconds(20);
            pair.Server.Endpoint.HandleTimeout(raw.Now);
            if (i % 500 == 200) raw.Send(0, [1]);                      // a little more credit
            if (i % 500 == 300) raw.Deliver(new byte[1200]);            // junk of nobody's: no credit, no answer
        }

        Assert.True(raw.BytesReceived > 0);
        Assert.Equal(0, pair.Server.Endpoint.HalfOpen);                 // given up in the end
    }

    [Fact]
    public void Keys_are_updated_from_either_side_while_bytes_flow()
    {
        var fast = new QuicTransportOptions { KeyUpdatePackets = 40 };
        foreach ((QuicTransportOptions? a, QuicTransportOptions? b) in (ReadOnlySpan<(QuicTransportOptions?, QuicTransportOptions?)>)[(fast, null), (null, fast), (fast, fast)])
        {
            var link = new SimLink { Delay = TimeSpan.FromMilliseconds(3), Jitter = TimeSpan.FromMilliseconds(3), Loss = 0.01 };
            using var pair = new QuicPair(24, link, client: a, server: b);
            var transfer = new QuicTransfer(pair, 1_000_000, 3);
            Assert.True(transfer.Run(TimeSpan.FromSeconds(30)), $"{transfer.Client.Stats} {pair.Accepted?.Stats}");
            Assert.True(transfer.Client.Stats.KeyUpdates > 2);
            Assert.InRange(transfer.Client.Stats.KeyUpdates - pair.Accepted!.Stats.KeyUpdates, -1, 1);
        }
    }

    [Fact]
    public void Silence_ends_a_connection_without_a_word()
    {
        using var pair = new QuicPair(25, client: new QuicTransportOptions { IdleTimeout = TimeSpan.FromSeconds(5) });
        QuicConnection client = pair.Establish();
        long sent = pair.Network.Sent;
        pair.Network.Run(TimeSpan.FromSeconds(4));
        Assert.True(client.IsEstablished);
        pair.Network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(QuicCloseReason.IdleTimeout, client.Stats.CloseReason);
        Assert.Equal(QuicCloseReason.IdleTimeout, pair.Accepted!.Stats.CloseReason);
        Assert.InRange(pair.Network.Sent - sent, 0, 4);
        Assert.Equal(0, pair.Server.Endpoint.ConnectionCount);
        Assert.Equal(0, pair.Client.Endpoint.ConnectionCount);
        Assert.Contains(pair.Client.Events, e => e.Kind == QuicEventKind.Closed);
    }

    [Fact]
    public void What_is_abandoned_says_no_word_more_and_is_forgotten()
    {
        using var pair = new QuicPair(25);
        QuicConnection client = pair.Establish();
        pair.Network.Run(TimeSpan.FromSeconds(1));
        long sent = pair.Network.Sent;
        Assert.True(client.TryOpenStream(true, out long stream));
        client.Write(stream, new byte[5000]);
        client.Abandon(pair.Network.Now);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(sent, pair.Network.Sent);
        Assert.Equal(QuicCloseReason.Local, client.Stats.CloseReason);
        Assert.Equal(0, pair.Client.Endpoint.ConnectionCount);
        Assert.Contains(pair.Client.Events, e => e.Kind == QuicEventKind.Closed);
        client.Abandon(pair.Network.Now); // again: nothing
    }

    [Fact]
    public void Keep_alive_holds_it_open()
    {
        var options = new QuicTransportOptions { IdleTimeout = TimeSpan.FromSeconds(5), KeepAlive = TimeSpan.FromSeconds(2) };
        using var pair = new QuicPair(26, client: options);
        QuicConnection client = pair.Establish();
        long sent = pair.Network.Sent;
        pair.Network.Run(TimeSpan.FromSeconds(60));
        Assert.True(client.IsEstablished);
        Assert.True(pair.Accepted!.IsEstablished);
        Assert.InRange(pair.Network.Sent - sent, 50, 90);      // a PING and its ACK each two seconds
    }

    [Fact]
    public void Close_reaches_the_peer_with_its_code()
    {
        using var pair = new QuicPair(27);
        QuicConnection client = pair.Establish();
        client.Close(77, "done", pair.Network.Now);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(5));
        Assert.Equal((QuicCloseReason.Peer, 77UL), (pair.Accepted!.Stats.CloseReason, pair.Accepted.Stats.CloseError));
        Assert.Contains(pair.Server.Events, e => e is { Kind: QuicEventKind.Closed, ErrorCode: 77 });
        Assert.Equal(0, pair.Client.Endpoint.ConnectionCount);
        Assert.Equal(0, pair.Server.Endpoint.ConnectionCount);
    }

    [Fact]
    public void A_wrong_pin_ends_both_sides_with_the_TLS_alert()
    {
        using var pair = new QuicPair(28);
        var tls = new Oxen.Router.Core.Quic.Tls.TlsClientOptions { Alpn = pair.Tls.Alpn, Identity = pair.Tls.Identity, PinnedServerKey = new byte[32] };
        QuicConnection client = pair.Client.Endpoint.Connect(QuicPair.ServerAddress, tls, null, pair.Network.Now);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(QuicCloseReason.LocalError, client.Stats.CloseReason);
        Assert.InRange(client.Stats.CloseError, QuicError.CryptoBase, QuicError.CryptoBase + 255);
        Assert.Null(pair.Accepted);
        Assert.Equal(0, pair.Server.Endpoint.HalfOpen);
    }

    [Fact]
    public void A_server_that_forgot_everything_resets_the_connection_in_one_round_trip()
    {
        using var pair = new QuicPair(29);
        QuicConnection client = pair.Establish();
        pair.Network.Run(TimeSpan.FromSeconds(1));

        // The same endpoint key, no connections: the server was restarted.
        pair.Server.Endpoint = new QuicEndpoint(QuicPair.ServerOptions(), new SeededEntropy(29 * 2 + 2));
        client.TryOpenStream(true, out long stream);
        client.Write(stream, new byte[500]);
        pair.Network.Wake(pair.Client);
        Instant asked = pair.Network.Now;
        pair.Network.RunUntil(() => client.IsClosed, TimeSpan.FromSeconds(1));
        Assert.Equal(QuicCloseReason.StatelessReset, client.Stats.CloseReason);
        Assert.True(pair.Network.Now - asked < TimeSpan.FromMilliseconds(30));
        Assert.Equal(1, pair.Server.Endpoint.Counters.StatelessResetsSent);
        long sent = pair.Network.Sent;
        pair.Network.Run(TimeSpan.FromSeconds(10));
        Assert.Equal(sent, pair.Network.Sent);                 // and nobody answers it
    }

    [Fact]
    public void Stateless_resets_are_smaller_than_their_cause_and_limited_in_rate()
    {
        using var pair = new QuicPair(30);
        QuicEndpoint server = pair.Server.Endpoint;
        byte[] buffer = new byte[2048];
        var now = Instant.FromMilliseconds(5000);
        int answers = 0;
        for (int length = 1; length < 1300; length++)
        {
            byte[] junk = new byte[length];
            new SeededEntropy((ulong)length).FillPublic(junk);
            junk[0] = 0x41;
            server.HandleDatagram(junk, Other, now);
            while (server.TryTransmit(buffer, out int bytes, out _, out _, now))
            {
                answers++;
                Assert.True(bytes < length);
            }
        }

        Assert.InRange(answers, 1, 50);
    }

    [Fact]
    public void Unknown_versions_are_told_of_version_1_unless_they_are_small()
    {
        using var pair = new QuicPair(31);
        QuicEndpoint server = pair.Server.Endpoint;
        byte[] buffer = new byte[2048];
        byte[] hello = new byte[1200];
        new byte[] { 0xC0, 0xBA, 0xBA, 0xBA, 0xBA, 3, 1, 2, 3, 2, 9, 8 }.CopyTo(hello, 0);
        server.HandleDatagram(hello, Other, Instant.Zero);
        Assert.True(server.TryTransmit(buffer, out int bytes, out _, out UdpAddress to, Instant.Zero));
        Assert.Equal(Other, to);
        Assert.Equal([0, 0, 0, 0, 2, 9, 8, 3, 1, 2, 3, 0, 0, 0, 1], buffer[1..16]);
        Assert.Equal(0xC0, buffer[0] & 0xC0);
        server.HandleDatagram(hello.AsSpan(0, 1199), Other, Instant.Zero);
        Assert.False(server.TryTransmit(buffer, out bytes, out _, out _, Instant.Zero));
    }

    [Fact]
    public void A_flood_of_Initials_leaves_memory_bounded_and_an_honest_peer_connected()
    {
        using var pair = new QuicPair(32, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.UnderLoad, RetryAboveHalfOpen = 8, MaxHalfOpen = 16 });
        QuicEndpoint server = pair.Server.Endpoint;
        using var raw = new RawQuicClient(server, Other, pair.Tls, 3);
        byte[] one = raw.Seal(0, [1]);
        byte[] buffer = new byte[65536], datagram = new byte[one.Length];
        var now = Instant.FromMilliseconds(1);
        var random = new SeededEntropy(8);
        for (int i = 0; i < 100_000; i++)
        {
            one.CopyTo(datagram, 0);
            BitConverter.TryWriteBytes(datagram.AsSpan(6), random.NextUInt64());        // another connection each time: mostly junk inside
            server.HandleDatagram(datagram, UdpAddress.FromBytes([11, (byte)(i >> 16), (byte)(i >> 8), (byte)i], 7), now);
            while (server.TryTransmit(buffer, out _, out _, out _, now))
            {
            }

            now += TimeSpan.FromMicroseconds(20);
        }

        Assert.InRange(server.ConnectionCount, 0, 16);
        Assert.Equal(0, server.HalfOpen);                       // none of them was authentic
        pair.Network.Clock.AdvanceTo(now);
        Assert.True(pair.Establish().IsEstablished);
    }

    [Fact]
    public void Junk_from_everywhere_costs_a_Retry_each_and_no_memory_and_honest_peers_come_through()
    {
        using var pair = new QuicPair(35, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.UnderLoad, RetryAboveHalfOpen = 64 });
        QuicEndpoint server = pair.Server.Endpoint;
        using var raw = new RawQuicClient(server, Other, pair.Tls, 3);
        byte[] one = raw.Seal(0, [1]);
        byte[] buffer = new byte[65536], datagram = new byte[one.Length];
        var now = Instant.FromMilliseconds(1);
        var random = new SeededEntropy(9);
        void Junk(int i)
        {
            one.CopyTo(datagram, 0);
            BitConverter.TryWriteBytes(datagram.AsSpan(6), random.NextUInt64());
            server.HandleDatagram(datagram, UdpAddress.FromBytes([(byte)(11 + (i >> 16)), (byte)(i >> 8), (byte)i, 1], 7), now);
            while (server.TryTransmit(buffer, out _, out _, out _, now))
            {
            }

            now += TimeSpan.FromMicroseconds(10);
        }

        for (int i = 0; i < 100; i++) Junk(i);
        long opened = 100 - server.Counters.RetriesSent;
        Assert.InRange(opened, 60, 70);
        int at = 100;
        Assert.InRange(AllocationAssert.Measure(() => Junk(at++)), 0, 0);
        for (; at < 50_000; at++) Junk(at);
        Assert.InRange(at - server.Counters.RetriesSent, 60, 70 + 64); // half a second of flood
        Assert.Equal(0, server.HalfOpen);
        pair.Network.Clock.AdvanceTo(now);
        Assert.True(pair.Establish().IsEstablished);

        // Over: nobody is asked for a proof any more.
        now += TimeSpan.FromSeconds(30);
        pair.Network.Clock.AdvanceTo(now);
        long retries = server.Counters.RetriesSent;
        Junk(at);
        Assert.Equal(retries, server.Counters.RetriesSent);
    }

    [Fact]
    public void A_Retry_costs_the_server_no_allocation()
    {
        using var pair = new QuicPair(33, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.Always, HandshakesPerPrefix = 0 });
        using var raw = new RawQuicClient(pair.Server.Endpoint, Other, pair.Tls, 3);
        byte[] one = raw.Seal(0, [1]);
        byte[] datagram = new byte[one.Length], buffer = new byte[65536];
        long bytes = AllocationAssert.Measure(() =>
        {
            one.CopyTo(datagram, 0);
            pair.Server.Endpoint.HandleDatagram(datagram, Other, Instant.Zero);
            pair.Server.Endpoint.TryTransmit(buffer, out _, out _, out _, Instant.Zero);
        });
        Assert.Equal(0, bytes);
        Assert.Equal(0, pair.Server.Endpoint.ConnectionCount);
    }

    [Fact]
    public void One_prefix_cannot_take_all_handshakes()
    {
        using var pair = new QuicPair(34, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.Never, HandshakesPerPrefix = 5, HandshakeBurstPerPrefix = 10 });
        for (ulong i = 0; i < 50; i++)
        {
            using var raw = new RawQuicClient(pair.Server.Endpoint, UdpAddress.FromBytes([12, 1, 1, (byte)i], 5), pair.Tls, i) { Now = Instant.Zero };
            raw.SendTls();
        }

        Assert.Equal(10, pair.Server.Endpoint.HalfOpen);
        Assert.Equal(40, pair.Server.Endpoint.Counters.DroppedByPrefixLimit);
        Assert.True(pair.Establish().IsEstablished);
    }

    [Fact]
    public void Spoofed_Initials_of_a_prefix_do_not_use_up_the_handshakes_of_those_who_live_there()
    {
        using var pair = new QuicPair(38, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.UnderLoad, HandshakesPerPrefix = 1, HandshakeBurstPerPrefix = 4 });
        for (ulong i = 0; i < 100; i++)
        {
            // Of the client's own /24, and never answering what comes back.
            using var raw = new RawQuicClient(pair.Server.Endpoint, UdpAddress.FromBytes([10, 0, 0, (byte)(100 + i)], 5), pair.Tls, 500 + i) { Now = Instant.Zero };
            raw.SendTls();
            byte[] buffer = new byte[65536];
            while (pair.Server.Endpoint.TryTransmit(buffer, out _, out _, out _, Instant.Zero))
            {
            }
        }

        Assert.Equal(4, pair.Server.Endpoint.HalfOpen);
        Assert.Equal(0, pair.Server.Endpoint.Counters.DroppedByPrefixLimit);
        Instant began = pair.Network.Now;
        Assert.True(pair.Establish().IsEstablished);
        Assert.True(pair.Network.Now - began < TimeSpan.FromMilliseconds(200), "it had to wait for another try");
    }

    [Fact]
    public void One_address_cannot_take_the_handshakes_of_the_others_where_addresses_are_sessions()
    {
        using var pair = new QuicPair(39, serverEndpoint: new QuicEndpointOptions { Retry = QuicRetryPolicy.Never, MaxConnectionsPerAddress = 2, MaxHalfOpen = 8 });
        for (ulong i = 0; i < 20; i++)
        {
            using var raw = new RawQuicClient(pair.Server.Endpoint, UdpAddress.FromVirtual(7), pair.Tls, 600 + i) { Now = Instant.Zero };
            raw.SendTls();
        }

        Assert.Equal(2, pair.Server.Endpoint.HalfOpen);
        Assert.True(pair.Establish().IsEstablished);

        // What is gone makes room again.
        pair.Network.Run(TimeSpan.FromSeconds(60));
        using var later = new RawQuicClient(pair.Server.Endpoint, UdpAddress.FromVirtual(7), pair.Tls, 700) { Now = pair.Network.Now };
        later.SendTls();
        Assert.Equal(1, pair.Server.Endpoint.HalfOpen);
    }

    [Fact]
    public void Packets_of_a_connection_from_another_address_are_counted_and_ignored()
    {
        using var pair = new QuicPair(35);
        QuicConnection client = pair.Establish();
        List<byte[]> packets = [];
        pair.Network.Tap = (_, _, bytes) => packets.Add(bytes.ToArray());
        client.TryOpenStream(true, out long stream);
        client.Write(stream, [1, 2, 3]);
        pair.Network.DropWhen = (_, _, _, _) => true;
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromMilliseconds(1));
        pair.Server.Endpoint.HandleDatagram(packets[^1], Other, pair.Network.Now);
        Assert.Equal(1, pair.Server.Endpoint.Counters.DroppedOtherAddress);
        Assert.Equal(0, pair.Accepted!.Read(stream, new byte[10], out _));
    }

    [Fact]
    public void Another_path_under_a_connection_goes_on_at_once_with_a_fresh_window()
    {
        using var pair = new QuicPair(36, new SimLink { Delay = TimeSpan.FromMilliseconds(100) });
        QuicConnection client = pair.Establish();
        client.TryOpenStream(true, out long stream);
        pair.Network.SetLink(QuicPair.ClientAddress, QuicPair.ServerAddress, new SimLink { Cut = true });
        client.Write(stream, new byte[100_000]);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromMilliseconds(500));
        pair.Network.SetLink(QuicPair.ClientAddress, QuicPair.ServerAddress, new SimLink { Delay = TimeSpan.FromMilliseconds(5) });
        client.OnPathChanged(TimeSpan.FromMilliseconds(10), pair.Network.Now);
        pair.Accepted!.OnPathChanged(TimeSpan.FromMilliseconds(10), pair.Network.Now);
        pair.Network.Wake(pair.Client);
        Instant changed = pair.Network.Now;
        long read = 0;
        byte[] sink = new byte[65536];
        pair.Network.RunUntil(
            () =>
            {
                read += pair.Accepted.Read(stream, sink, out _);
                return read == 100_000;
            },
            TimeSpan.FromSeconds(2));
        Assert.Equal(100_000, read);
        Assert.True(pair.Network.Now - changed < TimeSpan.FromMilliseconds(100), $"{pair.Network.Now - changed}");
        Assert.True(client.Stats.SmoothedRtt < TimeSpan.FromMilliseconds(30));
    }

    [Fact]
    public void Streams_are_opened_finished_reset_and_stopped_as_both_sides_ask()
    {
        using var pair = new QuicPair(37, server: new QuicTransportOptions { MaxBidiStreams = 2 });
        QuicConnection client = pair.Establish();
        Assert.True(client.TryOpenStream(true, out long a));
        Assert.True(client.TryOpenStream(true, out long b));
        Assert.False(client.TryOpenStream(true, out _));
        client.Write(a, "hello"u8);
        client.Write(b, "world"u8);
        client.Finish(b);
        Run(pair);
        client.Reset(a, 5);
        client.StopSending(a, 6);
        Run(pair);
        QuicConnection server = pair.Accepted!;
        Assert.Contains(pair.Server.Events, e => e is { Kind: QuicEventKind.StreamReset, ErrorCode: 5 } && e.StreamId == a);
        Assert.Contains(pair.Server.Events, e => e is { Kind: QuicEventKind.StreamStopped, ErrorCode: 6 } && e.StreamId == a);
        byte[] into = new byte[10];
        Assert.Equal(5, server.Read(b, into, out bool finished));
        Assert.True(finished);
        server.Finish(b);
        pair.Network.Wake(pair.Server);
        Run(pair);
        Assert.Contains(pair.Client.Events, e => e.Kind == QuicEventKind.StreamReadable && e.StreamId == b);
        Assert.Equal(0, client.Read(b, into, out finished));
        Assert.True(finished);
        Run(pair);
        Assert.Contains(pair.Client.Events, e => e.Kind == QuicEventKind.StreamsAvailable);
        Assert.True(client.TryOpenStream(true, out _));
        Assert.Equal(1, client.StreamCount);
        Assert.Equal(0, server.StreamCount);
    }

    [Fact]
    public void A_slow_reader_stops_the_writer_and_starts_it_again()
    {
        var small = new QuicTransportOptions { InitialMaxData = 20_000, InitialMaxStreamData = 10_000 };
        using var pair = new QuicPair(38, client: small, server: small);
        QuicConnection client = pair.Establish();
        client.TryOpenStream(true, out long stream);
        Assert.Equal(10_000, client.Write(stream, new byte[50_000]));
        pair.Network.Wake(pair.Client);
        Run(pair);
        Assert.Equal(0, client.Write(stream, new byte[1]));
        byte[] sink = new byte[6000];
        Assert.Equal(6000, pair.Accepted!.Read(stream, sink, out _));
        pair.Network.Wake(pair.Server);
        Run(pair);
        Assert.Contains(pair.Client.Events, e => e.Kind == QuicEventKind.StreamWritable && e.StreamId == stream);
        Assert.Equal(6000, client.Write(stream, new byte[50_000]));
    }

    private static void Run(QuicPair pair)
    {
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromMilliseconds(200));
    }
}
