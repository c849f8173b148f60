using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

/// <summary>Peers that ask for much and read nothing: what they can make an endpoint keep, and who has to go.</summary>
public sealed class QuicMemoryTests(ITestOutputHelper output)
{
    private const long Most = 4 << 20;
    private const int ReaderBytes = 3_000_000;

    [Fact]
    public void A_hundred_stalled_peers_keep_no_more_than_the_limit_and_the_others_hardly_notice()
    {
        // Sixty-four thousand bytes of each: half more than may be kept.
        TimeSpan alone = Read(stalled: 0, TimeSpan.FromSeconds(25), out _, out long closedAlone, out _);
        TimeSpan among = Read(stalled: 100, TimeSpan.FromSeconds(25), out long peak, out _, out _);
        output.WriteLine($"alone {alone.TotalSeconds:F2} s, beside the stalled ones {among.TotalSeconds:F2} s, at most {peak} bytes kept");
        Assert.Equal(0, closedAlone);
        Assert.InRange(peak, Most / 2, Most + (Most / 20));
        Assert.True(alone / among >= 0.9, $"{alone} alone, {among} beside the stalled ones");
    }

    [Fact]
    public void Those_that_kept_theirs_longest_are_closed_when_memory_is_short()
    {
        Read(stalled: 100, TimeSpan.FromSeconds(40), out _, out long closed, out bool[] gone);
        output.WriteLine($"{closed} closed");
        Assert.InRange(closed, 20, 99);

        // The first to come were the first to go, and who reads was left alone.
        int first = gone.Take((int)closed).Count(g => g);
        Assert.True(first >= closed - 5, $"{first} of the first {closed} are gone");
        Assert.False(gone[^1]);
    }

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

    // So many clients send what nobody reads; after a while one comes that reads. Returns how long its bytes took.
    private static TimeSpan Read(int stalled, TimeSpan wait, out long peak, out long closed, out bool[] gone)
    {
        var transport = new QuicTransportOptions { InitialMaxData = 8 << 20, InitialMaxStreamData = 4 << 20, SendBufferBytes = 4 << 20, MaxCongestionWindow = 64 * 1024, IdleTimeout = TimeSpan.FromSeconds(60), KeepAlive = TimeSpan.FromSeconds(20) };
        using var pair = new QuicPair(60, new SimLink { Delay = TimeSpan.FromMilliseconds(10) }, transport, transport, new QuicEndpointOptions { MaxKeptBytes = Most, HandshakesPerPrefix = 0 });
        byte[] zeros = new byte[64 * 1024], sink = new byte[64 * 1024];
        long most = 0;
        int left = ReaderBytes, received = 0;
        bool finished = false;
        QuicConnection? last = null;
        pair.Server.OnEvent = (happened, _) =>
        {
            QuicConnection connection = happened.Connection;
            if (last is null || connection != pair.Server.Accepted[^1] || happened.Kind is not (QuicEventKind.StreamOpened or QuicEventKind.StreamWritable)) return;
            while (left > 0)
            {
                int n = connection.Write(happened.StreamId, zeros.AsSpan(0, Math.Min(left, zeros.Length)));
                if (n == 0) break;
                left -= n;
                if (left == 0) connection.Finish(happened.StreamId);
            }
        };
        pair.Network.Tap = (_, _, _) => most = Math.Max(most, pair.Server.Endpoint.Kept);
        pair.Client.OnEvent = (happened, _) =>
        {
            if (happened.Kind == QuicEventKind.Connected && happened.Connection.TryOpenStream(true, out long stream)) happened.Connection.Write(stream, zeros.AsSpan(0, happened.Connection == last ? 1 : zeros.Length));
            while (happened.Connection == last && happened.Kind == QuicEventKind.StreamReadable)
            {
                int n = last.Read(happened.StreamId, sink, out bool end);
                received += n;
                finished |= end;
                if (n == 0) break;
            }
        };
        for (int i = 0; i < stalled; i++)
        {
            pair.Connect();
            pair.Network.Run(TimeSpan.FromMilliseconds(20));
        }

        pair.Network.Run(wait);
        last = pair.Client.Endpoint.Connect(QuicPair.ServerAddress, pair.Tls, null, pair.Network.Now);
        pair.Network.Wake(pair.Client);
        Instant began = pair.Network.Now;
        Assert.True(pair.Network.RunUntil(() => finished, TimeSpan.FromSeconds(60)), $"{received} of {ReaderBytes} bytes came");
        peak = most;
        closed = pair.Server.Endpoint.Counters.ClosedStalled;
        gone = [.. pair.Server.Accepted.Select(c => c.IsClosed)];
        return pair.Network.Now - began;
    }
}
