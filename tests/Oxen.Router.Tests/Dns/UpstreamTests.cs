using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;
using Oxen.Router.Dns;
using Oxen.Testing;

namespace Oxen.Router.Tests.Dns;

/// <summary>How other resolvers are asked: by UDP, by TCP, and through the exit.</summary>
public class UpstreamTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly DnsCounters _counters = new();
    private readonly AddressMap _map = new(new AddressMapOptions(), TimeProvider.System);

    [Fact]
    public async Task Each_question_by_UDP_has_a_port_and_an_id_of_its_own()
    {
        using var server = new UdpServer((m, _) => [Answer(m)]);
        UdpUpstream upstream = Udp(server.EndPoint);
        for (int i = 0; i < 20; i++) Assert.True((await upstream.AskAsync(Query($"n{i}.example.com"), CancellationToken.None)).IsAnswer);
        Assert.True(server.From.Select(e => e.Port).Distinct().Count() > 15);
        Assert.True(server.Messages.Select(m => BinaryPrimitives.ReadUInt16BigEndian(m)).Distinct().Count() > 18);
    }

    [Fact]
    public async Task Forged_answers_are_ignored_until_the_true_one_comes()
    {
        using var server = new UdpServer((m, _) =>
        {
            byte[] wrongId = Answer(m), wrongName = Answer(m), query = [.. m], runt = [1, 2, 3], wrongType = Answer(m);
            wrongId[0] ^= 1;
            wrongName[14] ^= 1;
            wrongType[30] ^= 2;
            return [wrongId, wrongName, query, runt, wrongType, Answer(m)];
        });
        UpstreamResult result = await Udp(server.EndPoint).AskAsync(Query("abc.example.com"), CancellationToken.None);
        Assert.True(result.IsAnswer, result.Reason);
        Assert.Equal(4, _counters[DnsCount.UpstreamMismatch]);
        Assert.Equal(1, _counters[DnsCount.UpstreamMalformed]);
    }

    [Fact]
    public async Task An_answer_from_another_address_is_not_even_seen()
    {
        using var forger = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        forger.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var server = new UdpServer((m, from) =>
        {
            forger.SendTo(Answer(m, 66), from);
            return [Answer(m)];
        });
        UpstreamResult result = await Udp(server.EndPoint).AskAsync(Query("abc.example.com"), CancellationToken.None);
        Assert.Equal(1, result.Answer!.Write(Query("abc.example.com"), 0, 1232, 512, out _)[^1]);
        Assert.Equal(0, _counters[DnsCount.UpstreamMismatch]);
    }

    [Fact]
    public async Task An_answer_that_was_cut_is_asked_again_by_TCP()
    {
        using var tcp = new TcpServer(m => Answer(m, 7));
        using var server = new UdpServer((m, _) =>
        {
            byte[] cut = [.. m[..^11]];
            (cut[2], cut[3], cut[11]) = (0x83, 0x80, 0);
            return [cut];
        }, tcp.EndPoint.Port);
        await using StreamUpstream streams = Tcp(tcp.EndPoint);
        UpstreamResult result = await Udp(server.EndPoint, streams).AskAsync(Query("abc.example.com"), CancellationToken.None);
        Assert.Equal(7, result.Answer!.Write(Query("abc.example.com"), 0, 1232, 512, out _)[^1]);
        Assert.Single(server.Messages);
        Assert.Single(tcp.Messages);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_passed_over_and_the_one_that_answers_is_kept_to()
    {
        using var gone = new UdpServer((_, _) => []);
        IPEndPoint dead = gone.EndPoint;
        gone.Dispose();
        using var server = new UdpServer((m, _) => [Answer(m)]);
        UdpUpstream upstream = Udp([dead, server.EndPoint]);
        for (int i = 0; i < 3; i++) Assert.True((await upstream.AskAsync(Query("abc.example.com"), CancellationToken.None)).IsAnswer);
        UpstreamResult none = await Udp(dead).AskAsync(Query("abc.example.com"), CancellationToken.None);
        Assert.False(none.IsAnswer);
        Assert.Contains("ConnectionRefused", none.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silent_server_costs_the_attempts_and_no_more()
    {
        var time = new FakeTimeProvider();
        using var server = new UdpServer((_, _) => []);
        var upstream = new UdpUpstream([server.EndPoint], null!, new UpstreamOptions(), _map, time, _counters);
        Task<UpstreamResult> asking = upstream.AskAsync(Query("abc.example.com"), CancellationToken.None).AsTask();
        for (int attempt = 1; attempt <= 3; attempt++)
        {
            await server.UntilAsync(attempt);
            time.Advance(TimeSpan.FromSeconds(2));
        }

        UpstreamResult result = await asking.WaitAsync(Patience);
        Assert.False(result.IsAnswer);
        Assert.Equal(3, server.Messages.Count);
    }

    [Fact]
    public async Task Many_questions_share_one_stream_through_the_exit_and_answers_come_in_any_order()
    {
        var held = new List<byte[]>();
        var onion = Exit(async (message, write) =>
        {
            held.Add(message);
            if (held.Count < 10) return;
            for (int i = held.Count - 1; i >= 0; i--) await write(Answer(held[i], held[i][14]));
        });
        await using StreamUpstream upstream = Onion(onion);
        UpstreamResult[] results = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => upstream.AskAsync(Query($"n{i}.example.com"), CancellationToken.None).AsTask())).WaitAsync(Patience);
        for (int i = 0; i < 10; i++) Assert.Equal('0' + i, results[i].Answer!.Write(Query($"n{i}.example.com"), 0, 1232, 512, out _)[^1]);
        Assert.Single(onion.Isolations);
        Assert.Equal(10, held.Select(m => BinaryPrimitives.ReadUInt16BigEndian(m)).Distinct().Count());
    }

    [Fact]
    public async Task A_stream_takes_so_many_questions_at_a_time()
    {
        var onion = Exit((_, _) => Task.CompletedTask);
        var time = new FakeTimeProvider();
        await using var upstream = new StreamUpstream([new IPEndPoint(IPAddress.Parse("9.9.9.9"), 53)], new OnionDialer(onion, default, TimeSpan.FromSeconds(9), TimeProvider.System), new UpstreamOptions { StreamInFlight = 4 }, _map, time, _counters);
        Task<UpstreamResult>[] open = [.. Enumerable.Range(0, 5).Select(i => upstream.AskAsync(Query($"n{i}.example.com"), CancellationToken.None).AsTask())];
        Task<UpstreamResult> full = await Task.WhenAny(open).WaitAsync(Patience);
        Assert.Equal(DnsCount.Busy, (await full).Failure);
        time.Advance(TimeSpan.FromSeconds(5));
        UpstreamResult[] all = await Task.WhenAll(open).WaitAsync(Patience);
        Assert.Equal(4, all.Count(r => r.Failure == DnsCount.UpstreamFailed));
    }

    [Fact]
    public async Task A_stream_that_the_resolver_closed_is_opened_again_for_the_next_question()
    {
        int served = 0;
        var onion = Exit(async (message, write) =>
        {
            await write(Answer(message));
            if (++served == 1) throw new IOException("the resolver closes after one");
        });
        await using StreamUpstream upstream = Onion(onion);
        Assert.True((await upstream.AskAsync(Query("a.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience)).IsAnswer);
        Assert.True((await upstream.AskAsync(Query("b.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience)).IsAnswer);
        Assert.Equal(2, onion.Isolations.Count);
    }

    [Fact]
    public async Task A_stream_that_fell_silent_is_not_asked_again()
    {
        int streams = 0;
        var asked = new SemaphoreSlim(0);
        var onion = new FakeOnion(async far =>
        {
            int stream = Interlocked.Increment(ref streams);
            await ServeAsync(far, async (message, write) =>
            {
                asked.Release();
                if (stream > 1) await write(Answer(message));
            });
        });
        var time = new FakeTimeProvider();
        await using var upstream = new StreamUpstream([new IPEndPoint(IPAddress.Parse("9.9.9.9"), 53)], new OnionDialer(onion, default, TimeSpan.FromSeconds(9), TimeProvider.System), new UpstreamOptions(), _map, time, _counters);
        Task<UpstreamResult> first = upstream.AskAsync(Query("a.example.com"), CancellationToken.None).AsTask();
        Assert.True(await asked.WaitAsync(Patience));
        time.Advance(TimeSpan.FromSeconds(5));
        Assert.False((await first.WaitAsync(Patience)).IsAnswer);
        Assert.True((await upstream.AskAsync(Query("b.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience)).IsAnswer);
        Assert.Equal(2, streams);
    }

    [Fact]
    public async Task A_stream_without_questions_is_closed_after_a_while()
    {
        var onion = Exit((message, write) => write(Answer(message)));
        var time = new FakeTimeProvider();
        await using var upstream = new StreamUpstream([new IPEndPoint(IPAddress.Parse("9.9.9.9"), 53)], new OnionDialer(onion, default, TimeSpan.FromSeconds(9), TimeProvider.System), new UpstreamOptions(), _map, time, _counters);
        Assert.True((await upstream.AskAsync(Query("a.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience)).IsAnswer);
        Assert.False(Assert.Single(onion.Streams).Aborted);
        time.Advance(TimeSpan.FromSeconds(30));
        Assert.True(Assert.Single(onion.Streams).Aborted);
        Assert.True((await upstream.AskAsync(Query("b.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience)).IsAnswer);
    }

    [Fact]
    public async Task Without_a_path_the_answer_says_why()
    {
        var onion = Exit((_, _) => Task.CompletedTask);
        onion.Unavailable = "no relay is known";
        await using StreamUpstream upstream = Onion(onion);
        UpstreamResult result = await upstream.AskAsync(Query("a.example.com"), CancellationToken.None);
        Assert.Equal("no relay is known", result.Reason);
    }

    [Fact]
    public async Task A_resolver_that_speaks_no_DNS_is_left()
    {
        var onion = Exit(async (message, write) =>
        {
            for (int i = 0; i < 20; i++) await write([(byte)i, 1, 2]);
        });
        await using StreamUpstream upstream = Onion(onion);
        UpstreamResult result = await upstream.AskAsync(Query("a.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience);
        Assert.False(result.IsAnswer);
        Assert.Equal(16, _counters[DnsCount.UpstreamMismatch]);
    }

    [Fact]
    public async Task Through_the_real_exit_code_the_question_reaches_a_resolver_on_the_other_side()
    {
        using var tcp = new TcpServer(m => Answer(m, 9));
        await using var upstream = new StreamUpstream([tcp.EndPoint], new OnionDialer(FakeOnion.WithExit(), default, TimeSpan.FromSeconds(9), TimeProvider.System), new UpstreamOptions(), _map, TimeProvider.System, _counters);
        for (int i = 0; i < 3; i++)
        {
            UpstreamResult result = await upstream.AskAsync(Query("abc.example.com"), CancellationToken.None).AsTask().WaitAsync(Patience);
            Assert.True(result.IsAnswer, result.Reason);
        }

        Assert.Equal(1, tcp.Connections);
        Assert.Equal(3, tcp.Messages.Count);
    }

    internal static byte[] Answer(byte[] question, byte last = 1)
    {
        Assert.True(DnsName.TryRead(question, 12, out DnsName? name));
        ushort type = BinaryPrimitives.ReadUInt16BigEndian(question.AsSpan(12 + name.Wire.Length));
        return new AnswerBytes(name.Wire, type, BinaryPrimitives.ReadUInt16BigEndian(question)).Record(0, [0xC0, 12], 1, 60, [192, 0, 2, last]).ToArray();
    }

    private static DnsQuery Query(string name)
    {
        Assert.Equal(DnsVerdict.Answer, DnsDoor.Read(DnsRig.Question(name, 1, udpBytes: 0), out DnsQuery? query));
        return query!;
    }

    private UdpUpstream Udp(IPEndPoint server, StreamUpstream? streams = null) => Udp([server], streams);

    private UdpUpstream Udp(IReadOnlyList<IPEndPoint> servers, StreamUpstream? streams = null) => new(servers, streams!, new UpstreamOptions { UdpTime = Patience }, _map, TimeProvider.System, _counters);

    private StreamUpstream Tcp(IPEndPoint server) => new([server], new TcpDialer(Patience, TimeProvider.System), new UpstreamOptions { StreamTime = Patience }, _map, TimeProvider.System, _counters);

    private StreamUpstream Onion(FakeOnion onion)
        => new([new IPEndPoint(IPAddress.Parse("9.9.9.9"), 53)], new OnionDialer(onion, default, Patience, TimeProvider.System), new UpstreamOptions { StreamTime = Patience }, _map, TimeProvider.System, _counters);

    // An exit that says "connected", and a resolver behind it.
    private static FakeOnion Exit(Func<byte[], Func<byte[], Task>, Task> answer) => new(far => ServeAsync(far, answer));

    private static async Task ServeAsync(IDuplexPipe far, Func<byte[], Func<byte[], Task>, Task> answer)
    {
        async Task<byte[]> TakeAsync(int count)
        {
            ReadResult read = await far.Input.ReadAtLeastAsync(count);
            if (read.Buffer.Length < count) throw new EndOfStreamException();
            byte[] bytes = new byte[count];
            System.Buffers.BuffersExtensions.CopyTo(read.Buffer.Slice(0, count), bytes);
            far.Input.AdvanceTo(read.Buffer.GetPosition(count));
            return bytes;
        }

        try
        {
            byte[] head = await TakeAsync(8);
            Assert.Equal(WireResult.Complete, ProxyWire.ReadStreamHeader(head, out StreamKind kind, out ProxyDestination to, out _));
            Assert.Equal((StreamKind.Connect, "9.9.9.9:53"), (kind, to.ToString()));
            byte[] reply = new byte[ProxyWire.MaxHeaderBytes];
            await far.Output.WriteAsync(reply.AsMemory(0, ProxyWire.WriteReply(ProxyStatus.Connected, default, reply)));
            while (true)
            {
                int length = BinaryPrimitives.ReadUInt16BigEndian(await TakeAsync(2));
                await answer(await TakeAsync(length), async bytes => await far.Output.WriteAsync((byte[])[(byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes]));
            }
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            await far.Output.CompleteAsync();
            await far.Input.CompleteAsync();
        }
    }
}

/// <summary>A resolver by UDP on loopback that keeps what it was asked.</summary>
internal sealed class UdpServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly SemaphoreSlim _came = new(0);
    private int _seen;

    public UdpServer(Func<byte[], IPEndPoint, byte[][]> answer, int port = 0)
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
        EndPoint = (IPEndPoint)_socket.LocalEndPoint!;
        _ = Task.Run(async () =>
        {
            byte[] buffer = new byte[4096];
            while (true)
            {
                SocketReceiveFromResult got = await _socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0));
                byte[] message = buffer[..got.ReceivedBytes];
                Messages.Enqueue(message);
                From.Enqueue((IPEndPoint)got.RemoteEndPoint);
                foreach (byte[] reply in answer(message, (IPEndPoint)got.RemoteEndPoint)) _socket.SendTo(reply, got.RemoteEndPoint);
                _came.Release();
            }
        });
    }

    public IPEndPoint EndPoint { get; }

    public ConcurrentQueue<byte[]> Messages { get; } = new();

    public ConcurrentQueue<IPEndPoint> From { get; } = new();

    public async Task UntilAsync(int messages)
    {
        while (_seen < messages)
        {
            Assert.True(await _came.WaitAsync(TimeSpan.FromSeconds(20)));
            _seen++;
        }
    }

    public void Dispose() => _socket.Dispose();
}

/// <summary>A resolver by TCP on loopback.</summary>
internal sealed class TcpServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    public TcpServer(Func<byte[], byte[]> answer)
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _ = Task.Run(async () =>
        {
            while (true)
            {
                Socket socket = await _listener.AcceptAsync();
                Connections++;
                _ = Task.Run(async () =>
                {
                    using var stream = new NetworkStream(socket, ownsSocket: true);
                    byte[] prefix = new byte[2];
                    while (true)
                    {
                        await stream.ReadExactlyAsync(prefix);
                        byte[] message = new byte[BinaryPrimitives.ReadUInt16BigEndian(prefix)];
                        await stream.ReadExactlyAsync(message);
                        Messages.Enqueue(message);
                        byte[] reply = answer(message);
                        await stream.WriteAsync((byte[])[(byte)(reply.Length >> 8), (byte)reply.Length, .. reply]);
                    }
                });
            }
        });
    }

    public int Connections { get; private set; }

    public IPEndPoint EndPoint { get; }

    public ConcurrentQueue<byte[]> Messages { get; } = new();

    public void Dispose() => _listener.Dispose();
}
