using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;

namespace Oxen.Router.Tests.Dns;

/// <summary>The sockets, with a client of our own and with `dig`, which shares no code with us.</summary>
public sealed class DnsHostTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly OnionAddress Hello = DnsRig.Service(1);

    private readonly DnsRig _rig = new(zones: new OnionZoneOptions { OwnService = DnsRig.Service(7), OwnIPv4 = IPAddress.Parse("10.99.0.1") });
    private readonly List<DnsHost> _hosts = [];

    public DnsHostTests()
    {
        _rig.Names.Add("hello", Hello, TimeSpan.FromSeconds(90));
        _rig.Services.Records[Hello] = new ServiceRecords([new("http", "tcp", 5, 6, 8080)], ["motto=far and wide"]);
    }

    [Fact]
    public async Task UDP_and_TCP_answer_on_the_same_port()
    {
        IPEndPoint at = Start();
        DnsMessage udp = DnsMessage.Parse(await AskUdpAsync(at, DnsRig.Question("hello.loki", 1)));
        Assert.Equal(2, udp.AnswerRecords.Count);
        using Socket tcp = await ConnectAsync(at);
        await SendAsync(tcp, DnsRig.Question("hello.loki", 1, id: 5));
        Assert.Equal(5, DnsMessage.Parse(await ReceiveAsync(tcp)).TransactionID);
    }

    [Fact]
    public async Task Questions_of_one_connection_are_answered_as_answers_are_ready()
    {
        IPEndPoint at = Start();
        _rig.Outside.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using Socket tcp = await ConnectAsync(at);
        await SendAsync(tcp, DnsRig.Question("slow.example.com", 1, id: 1));
        await SendAsync(tcp, DnsRig.Question("hello.loki", 1, id: 2));
        Assert.Equal(2, BinaryPrimitives.ReadUInt16BigEndian(await ReceiveAsync(tcp)));
        tcp.Shutdown(SocketShutdown.Send); // it still wants its answer
        _rig.Outside.Gate.SetResult();
        Assert.Equal(1, BinaryPrimitives.ReadUInt16BigEndian(await ReceiveAsync(tcp)));
        Assert.Equal(0, await tcp.ReceiveAsync(new byte[1]));
    }

    [Fact]
    public async Task A_question_that_comes_byte_by_byte_is_a_question()
    {
        using Socket tcp = await ConnectAsync(Start());
        byte[] question = DnsRig.Question("hello.loki", 1, id: 9);
        foreach (byte b in (byte[])[0, (byte)question.Length, .. question])
        {
            await tcp.SendAsync(new[] { b });
            await Task.Yield();
        }

        Assert.Equal(9, BinaryPrimitives.ReadUInt16BigEndian(await ReceiveAsync(tcp)));
    }

    [Fact]
    public async Task A_connection_that_sends_nothing_is_closed()
    {
        using Socket tcp = await ConnectAsync(Start());
        await SendAsync(tcp, DnsRig.Question("hello.loki", 1));
        await ReceiveAsync(tcp);
        Task<int> closed = tcp.ReceiveAsync(new byte[1], SocketFlags.None);
        // The timer starts when the server waits again, which nobody sees from here: time goes on until it has.
        while (!closed.IsCompleted)
        {
            _rig.Time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }

        Assert.Equal(0, await closed);
        Assert.Equal(1, _rig.Counters[DnsCount.TcpIdle]);
    }

    [Theory]
    [InlineData(new byte[] { 0, 0 })]
    [InlineData(new byte[] { 0, 11 })]
    [InlineData(new byte[] { 0x10, 1 })]
    [InlineData(new byte[] { (byte)'G', (byte)'E', (byte)'T' })]
    public async Task A_length_that_no_question_has_ends_the_connection(byte[] bytes)
    {
        using Socket tcp = await ConnectAsync(Start());
        await tcp.SendAsync(bytes);
        Assert.Equal(0, await EndAsync(tcp));
        Assert.Equal(1, _rig.Counters[DnsCount.TcpFraming]);
    }

    [Fact]
    public async Task Only_so_many_connections_are_open_at_one_time()
    {
        IPEndPoint at = Start(new DnsHostOptions { MaxTcpConnections = 2 });
        using Socket one = await ConnectAsync(at), two = await ConnectAsync(at);
        foreach (Socket open in new[] { one, two })
        {
            await SendAsync(open, DnsRig.Question("hello.loki", 1));
            await ReceiveAsync(open);
        }

        using Socket three = await ConnectAsync(at);
        Assert.Equal(0, await EndAsync(three));
        Assert.Equal(1, _rig.Counters[DnsCount.TcpLimit]);
    }

    [Fact]
    public async Task Strangers_get_no_word()
    {
        IPEndPoint at = Start(new DnsHostOptions { Clients = [IPNetwork.Parse("127.0.0.2/32")] });
        using (Socket stranger = await ConnectAsync(at)) Assert.Equal(0, await EndAsync(stranger));
        using var foreign = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        await foreign.SendAsync(DnsRig.Question("hello.loki", 1), at);
        byte[] answer = await AskUdpAsync(at, DnsRig.Question("hello.loki", 1), IPAddress.Parse("127.0.0.2"));
        Assert.Equal(2, DnsMessage.Parse(answer).AnswerRecords.Count);
        Assert.Equal(0, foreign.Available); // it was asked before, and the loop answers in order
        Assert.Equal(2, _rig.Counters[DnsCount.ForeignClient]);
    }

    [Fact]
    public async Task While_too_many_questions_are_open_others_are_dropped()
    {
        IPEndPoint at = Start(new DnsHostOptions { MaxUdpInFlight = 1 });
        _rig.Outside.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var client = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        await client.SendAsync(DnsRig.Question("a.example.com", 1, id: 1), at);
        await client.SendAsync(DnsRig.Question("b.example.com", 1, id: 2), at);
        SpinWait.SpinUntil(() => _rig.Counters[DnsCount.Busy] == 1, Patience);
        _rig.Outside.Gate.SetResult();
        Assert.Equal(1, BinaryPrimitives.ReadUInt16BigEndian((await client.ReceiveAsync().WaitAsync(Patience)).Buffer));
        Assert.Equal(0, client.Available);
        Assert.Equal(1, _rig.Counters[DnsCount.Busy]);
    }

    [Fact]
    public async Task Garbage_does_not_stop_the_listener()
    {
        IPEndPoint at = Start();
        using var client = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        for (int length = 0; length < 200; length++) await client.SendAsync(Enumerable.Range(0, length).Select(i => (byte)(i * length)).ToArray(), at);
        await client.SendAsync(new byte[5000], at);
        Assert.Equal(2, DnsMessage.Parse(await AskUdpAsync(at, DnsRig.Question("hello.loki", 1))).AnswerRecords.Count);
    }

    [Fact]
    public async Task An_address_in_use_is_named_in_the_error()
    {
        IPEndPoint at = Start();
        SocketException e = Assert.Throws<SocketException>(() => DnsHost.Start(_rig.Resolver, new DnsHostOptions { Listen = [at] }, _rig.Time));
        Assert.Contains(at.ToString(), e.Message, StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    [Fact]
    public async Task Dig_reads_every_kind_of_record()
    {
        SkipWithoutDig();
        IPEndPoint at = Start();
        string key = Hello.ToString();
        Assert.Equal([$"{key}.", "10.99.0.2"], await DigAsync(at, "+short", "hello.loki", "A"));
        Assert.Equal(["fd6f:7865:6e00:3::2"], await DigAsync(at, "+short", key, "AAAA"));
        Assert.Equal([$"{key}."], await DigAsync(at, "+short", "-x", "10.99.0.2"));
        Assert.Equal([$"{key}."], await DigAsync(at, "+short", "-x", "fd6f:7865:6e00:3::2"));
        Assert.Equal([$"\"address={key}\" \"lifetime=3600\"", "\"motto=far and wide\""], await DigAsync(at, "+short", key, "TXT"));
        Assert.Equal([$"5 6 8080 {key}."], await DigAsync(at, "+short", $"_http._tcp.{key}", "SRV"));
        Assert.Equal([$"{key}."], await DigAsync(at, "+short", "hello.loki", "CNAME"));
        Assert.Equal(["localhost.loki. nobody.invalid. 1 3600 600 86400 60"], await DigAsync(at, "+short", "loki", "SOA"));
        Assert.Equal([$"{DnsRig.Service(7)}.", "10.99.0.1"], await DigAsync(at, "+short", "localhost.loki"));
        Assert.Equal([$"{DnsRig.Service(7)}."], await DigAsync(at, "+short", "-x", "10.99.0.1"));
        Assert.Equal(["192.0.2.1"], await DigAsync(at, "+short", "+tcp", "www.example.com"));
        Assert.Equal(["\"RFC8482\" \"\""], await DigAsync(at, "+short", "+notcp", "www.example.com", "ANY"));
    }

    [Fact]
    public async Task Dig_finds_nothing_wrong_with_codes_flags_and_forms()
    {
        SkipWithoutDig();
        IPEndPoint at = Start();
        foreach ((string[] question, string[] parts) in new (string[], string[])[]
        {
            (["nobody.loki"], ["status: NXDOMAIN", "flags: qr aa rd ra;", "AUTHORITY: 1", "loki.\t\t\t30\tIN\tSOA"]),
            (["hello.loki", "MX"], ["status: NOERROR", "ANSWER: 1", "AUTHORITY: 1"]),
            (["version.bind", "TXT", "CH"], ["status: REFUSED", "EDE: 21 (Not Supported)"]),
            (["+norecurse", "www.example.com"], ["status: REFUSED", "EDE: 18 (Prohibited)", "flags: qr ra;"]),
            (["+noedns", "hello.loki"], ["status: NOERROR", "ADDITIONAL: 0"]),
            (["+edns=1", "+noednsnegotiation", "hello.loki"], ["status: BADVERS", "EDNS: version: 0"]),
            (["+opcode=notify", "+noedns", "hello.loki"], ["status: NOTIMP"]),
            (["+dnssec", "+cd", "www.example.com"], ["status: NOERROR", "flags: qr rd ra cd;", "flags: do; udp: 1232"]),
            (["+cookie", "+subnet=192.0.2.0/24", "www.example.com"], ["status: NOERROR", "ANSWER: 1"]),
            (["HeLLo.LoKi"], [";HeLLo.LoKi.", "HeLLo.LoKi.\t\t90\tIN\tCNAME"]),
        })
        {
            string text = string.Join('\n', await DigAsync(at, question));
            Assert.All(parts, p => Assert.Contains(p, text, StringComparison.Ordinal));
            Assert.DoesNotContain("WARNING", text, StringComparison.Ordinal);
            Assert.DoesNotContain("FORMERR", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Dig_follows_a_cut_answer_to_TCP()
    {
        SkipWithoutDig();
        IPEndPoint at = Start();
        _rig.Outside.Answer = (q, id) =>
        {
            var answer = new AnswerBytes(q.Name.Wire, q.Type, id);
            for (byte i = 0; i < 100; i++) answer.Record(0, [0xC0, 12], 1, 60, [192, 0, 2, i]);
            return answer.ToArray();
        };
        string[] whole = await DigAsync(at, "+bufsize=512", "www.example.com");
        Assert.Contains(whole, l => l.StartsWith(";; Truncated, retrying in TCP mode", StringComparison.Ordinal));
        Assert.Equal(100, whole.Count(l => l.Contains("\tA\t192.0.2.", StringComparison.Ordinal)));
        string cut = string.Join('\n', await DigAsync(at, "+bufsize=512", "+ignore", "www.example.com"));
        Assert.Contains("flags: qr tc rd ra;", cut, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (DnsHost host in _hosts) await host.DisposeAsync();
    }

    private IPEndPoint Start(DnsHostOptions? options = null)
    {
        var host = DnsHost.Start(_rig.Resolver, (options ?? new DnsHostOptions()) with { Listen = [new IPEndPoint(IPAddress.Loopback, 0)] }, _rig.Time);
        _hosts.Add(host);
        return host.EndPoints[0];
    }

    private static async Task<byte[]> AskUdpAsync(IPEndPoint at, byte[] question, IPAddress? from = null)
    {
        using var client = new UdpClient(new IPEndPoint(from ?? IPAddress.Loopback, 0));
        await client.SendAsync(question, at);
        return (await client.ReceiveAsync().WaitAsync(Patience)).Buffer;
    }

    private static async Task<Socket> ConnectAsync(IPEndPoint at)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(at);
        return socket;
    }

    private static async Task SendAsync(Socket tcp, byte[] message) => await tcp.SendAsync((byte[])[(byte)(message.Length >> 8), (byte)message.Length, .. message]);

    private static async Task<byte[]> ReceiveAsync(Socket tcp) => await ReceiveAsync(tcp, BinaryPrimitives.ReadUInt16BigEndian(await ReceiveAsync(tcp, 2)));

    private static async Task<byte[]> ReceiveAsync(Socket tcp, int count)
    {
        byte[] bytes = new byte[count];
        for (int have = 0; have < count;)
        {
            int read = await tcp.ReceiveAsync(bytes.AsMemory(have), SocketFlags.None).AsTask().WaitAsync(Patience);
            Assert.NotEqual(0, read);
            have += read;
        }

        return bytes;
    }

    // Closed with bytes unread, a socket resets the connection: an end as good as another.
    private static async Task<int> EndAsync(Socket tcp)
    {
        try
        {
            return await tcp.ReceiveAsync(new byte[1], SocketFlags.None).WaitAsync(Patience);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            return 0;
        }
    }

    private static void SkipWithoutDig() => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(p => File.Exists(Path.Combine(p, "dig"))),
        "dig is not installed (Debian: bind9-dnsutils)");

    private static async Task<string[]> DigAsync(IPEndPoint at, params string[] arguments)
    {
        var start = new ProcessStartInfo("dig", [$"@{at.Address}", "-p", $"{at.Port}", "+tries=1", "+time=15", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process dig = Process.Start(start)!;
        string output = await dig.StandardOutput.ReadToEndAsync().WaitAsync(Patience);
        await dig.WaitForExitAsync();
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
