using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

/// <summary>Peers that ask for much and read nothing: what they make an endpoint keep.</summary>
public sealed class QuicMemoryTests
{
    private const long Most = 4 << 20;

    [Fact]
    public void What_was_kept_is_given_back_to_the_last_byte()
    {
        using var pair = new QuicPair(61, serverEndpoint: new QuicEndpointOptions { MaxKeptBytes = Most });
        var transfer = new QuicTransfer(pair, 300_000, 4);
        Assert.True(transfer.Run(TimeSpan.FromSeconds(60)));
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(0, pair.Server.Endpoint.Kept);
        pair.Server.OnEvent = pair.Client.OnEvent = null;
        QuicConnection second = pair.Connect();
        Assert.True(pair.Network.RunUntil(() => pair.Server.Accepted.Count == 2, TimeSpan.FromSeconds(5)));
        Assert.True(second.TryOpenStream(true, out long stream));
        second.Write(stream, new byte[50_000]);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(50_000, pair.Server.Endpoint.Kept); // nobody reads it there
        second.Close(0, "", pair.Network.Now);
        pair.Network.Wake(pair.Client);
        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(0, pair.Server.Endpoint.Kept);
    }

    [Fact]
    public void A_thousand_streams_that_nobody_reads_stay_within_the_limit_and_those_that_stand_longest_make_room()
    {
        const int Sessions = 50, StreamsOfEach = 20;
        const long Limit = 24 << 20; // every stream may have 16 KiB in any case
        const long Little = StreamsOfEach * (16 << 10);
        var transport = new QuicTransportOptions { SendBufferBytes = 4 << 20, InitialMaxData = 64 << 10, InitialMaxStreamData = 4 << 20, MaxBidiStreams = StreamsOfEach, KeepAlive = TimeSpan.FromSeconds(1) };
        using var pair = new QuicPair(62, client: transport, serverEndpoint: new QuicEndpointOptions { MaxKeptBytes = Limit, Transport = transport, HandshakesPerPrefix = 0 });
        byte[] plenty = new byte[64 << 10];
        long most = 0;
        List<QuicConnection> ended = [], ready = [];
        var wanted = new HashSet<(QuicConnection, long)>();
        pair.Client.OnEvent = (happened, _) =>
        {
            if (happened.Kind == QuicEventKind.Connected) ready.Add(happened.Connection);
            if (happened.Kind == QuicEventKind.Closed) ended.Add(happened.Connection);
        };
        pair.Server.OnEvent = (happened, _) =>
        {
            // Whatever is asked for, without an end.
            if (happened.Kind == QuicEventKind.StreamOpened) wanted.Add((happened.Connection, happened.StreamId));
            if (happened.Kind is QuicEventKind.StreamOpened or QuicEventKind.StreamWritable)
                while (happened.Connection.Write(happened.StreamId, plenty) > 0) most = Math.Max(most, pair.Server.Endpoint.Kept);
            most = Math.Max(most, pair.Server.Endpoint.Kept);
        };
        List<QuicConnection> stalled = [];
        for (int i = 0; i < Sessions; i++)
        {
            QuicConnection one = pair.Connect();
            stalled.Add(one);
            Assert.True(pair.Network.RunUntil(() => ready.Count == i + 1, TimeSpan.FromSeconds(10)), $"session {i}");
            for (int j = 0; j < StreamsOfEach; j++)
            {
                Assert.True(one.TryOpenStream(true, out long stream));
                one.Write(stream, [1]);
            }

            pair.Network.Wake(pair.Client);
            pair.Network.Run(TimeSpan.FromMilliseconds(10));
        }

        pair.Network.Run(TimeSpan.FromSeconds(1));
        Assert.Equal(Sessions * StreamsOfEach, wanted.Count);

        // One that reads what it asked for has its share all the while.
        QuicConnection honest = pair.Connect();
        long got = 0, asked = -1;
        byte[] scratch = new byte[32 << 10];
        Action<QuicEvent, Instant> before = pair.Client.OnEvent;
        pair.Client.OnEvent = (happened, now) =>
        {
            before(happened, now);
            if (happened.Connection != honest) return;
            if (happened.Kind == QuicEventKind.Connected && honest.TryOpenStream(true, out asked)) honest.Write(asked, [1]);
            if (happened.Kind != QuicEventKind.StreamReadable) return;
            while (honest.Read(asked, scratch, out _) is > 0 and int read) got += read;
        };
        long last = 0;
        for (int second = 0; second < 60; second++)
        {
            pair.Network.Run(TimeSpan.FromSeconds(1));
            Assert.True(got > last, $"bytes of the one that reads in second {second}");
            last = got;
        }

        Assert.InRange(most, Limit / 4 * 3, Limit + Little);
        Assert.InRange(pair.Server.Endpoint.Kept, 0, Limit / 4 * 3 + Little);
        Assert.NotEmpty(ended);
        Assert.DoesNotContain(honest, ended);
        Assert.Equal(stalled.Take(ended.Count), ended); // the longest first, no more than were needed
        Assert.All(ended, e => Assert.Equal((QuicCloseReason.Peer, (ulong)QuicError.NoError), (e.Stats.CloseReason, e.Stats.CloseError)));
        Assert.True(ended.Count < Sessions, "who takes little may stay");
        Assert.Equal(ended.Count, pair.Server.Endpoint.Counters.ClosedStalled);
    }
}
