using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Oxen.Router.Client;
using Oxen.Testing;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Tests.Client;

public sealed class HttpProxyConnectionHandlerTests
{
    /// <summary>An exit with a web server behind it that keeps what it was sent and answers `answer`.</summary>
    private static FakeOnion Server(TaskCompletionSource<(ProxyDestination Target, string Request)> heard, string answer, int bodyBytes = 0, ProxyStatus status = ProxyStatus.Connected) => new(async stream =>
    {
        ReadResult read = await stream.Input.ReadAtLeastAsync(8);
        byte[] head = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, ProxyWire.MaxHeaderBytes)).ToArray();
        Assert.Equal(WireResult.Complete, ProxyWire.ReadStreamHeader(head, out _, out ProxyDestination target, out int consumed));
        stream.Input.AdvanceTo(read.Buffer.GetPosition(consumed));
        byte[] reply = new byte[ProxyWire.MaxHeaderBytes];
        await stream.Output.WriteAsync(reply.AsMemory(0, ProxyWire.WriteReply(status, default, reply)));
        var request = new StringBuilder();
        while (status == ProxyStatus.Connected)
        {
            read = await stream.Input.ReadAsync();
            foreach (ReadOnlyMemory<byte> part in read.Buffer) request.Append(Encoding.Latin1.GetString(part.Span));
            stream.Input.AdvanceTo(read.Buffer.End);
            int end = request.ToString().IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if ((end >= 0 && request.Length >= end + 4 + bodyBytes) || read.IsCompleted) break;
        }

        heard.TrySetResult((target, request.ToString()));
        if (status == ProxyStatus.Connected) await stream.Output.WriteAsync(Encoding.Latin1.GetBytes(answer));
        await stream.Output.CompleteAsync();
    });

    private static TaskCompletionSource<(ProxyDestination Target, string Request)> Ear() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Fact]
    public async Task Connect_opens_a_tunnel_to_an_ipv6_address_in_brackets()
    {
        var heard = Ear();
        var door = new DoorFixture(DoorFixture.Http(Server(heard, "pong")));
        await door.SendSlowlyAsync("CONNECT [2001:db9::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        Assert.StartsWith("HTTP/1.1 200 ", Encoding.ASCII.GetString(await door.ReceiveAsync(39)), StringComparison.Ordinal);
        await door.SendAsync("ping\r\n\r\n");
        Assert.Equal("pong", await door.ReceiveAllAsync());
        Assert.Equal("[2001:db9::1]:443", (await heard.Task).Target.ToString());
        Assert.Equal("ping\r\n\r\n", (await heard.Task).Request);
        await door.Output.CompleteAsync();
        await door.EndAsync();
    }

    [Fact]
    public async Task A_plain_request_is_rewritten_to_origin_form_without_hop_fields()
    {
        var heard = Ear();
        var door = new DoorFixture(DoorFixture.Http(Server(heard, "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")));
        await door.SendAsync("GET http://Example.com:8080/a/b?c=d#e HTTP/1.1\r\nHost: evil\r\nProxy-Connection: keep-alive\r\nConnection: X-Private\r\nX-Private: 1\r\nAccept: */*\r\nProxy-Authorization: Basic YTpi\r\n\r\n");
        string answer = await door.ReceiveAllAsync();
        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok", answer);
        (ProxyDestination target, string request) = await heard.Task;
        Assert.Equal("example.com:8080", target.ToString());
        Assert.Equal("GET /a/b?c=d HTTP/1.1\r\nHost: Example.com:8080\r\nAccept: */*\r\nConnection: close\r\n\r\n", request);
        await door.EndAsync();
    }

    [Fact]
    public async Task A_body_passes_and_a_second_request_behind_it_never_reaches_the_first_server()
    {
        var heard = Ear();
        var door = new DoorFixture(DoorFixture.Http(Server(heard, "HTTP/1.1 204 No Content\r\n\r\n", bodyBytes: 5)));
        await door.SendAsync("POST http://a.test/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET http://b.test/secret HTTP/1.1\r\n\r\n");
        await door.ReceiveAllAsync();
        Assert.EndsWith("\r\n\r\nhello", (await heard.Task).Request, StringComparison.Ordinal);
        await door.EndAsync();
    }

    [Fact]
    public async Task A_chunked_body_passes_unchanged_to_its_end()
    {
        const string Body = "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n";
        var heard = Ear();
        var door = new DoorFixture(DoorFixture.Http(Server(heard, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nyes", bodyBytes: Body.Length)));
        await door.SendSlowlyAsync(Encoding.ASCII.GetBytes("PUT http://a.test/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + Body));
        string answer = await door.ReceiveAllAsync();
        Assert.Equal("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nyes", answer);
        Assert.EndsWith("\r\n\r\n" + Body, (await heard.Task).Request, StringComparison.Ordinal);
        await door.EndAsync();
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n", 400, "not a web server")]
    [InlineData("GET https://a.test/ HTTP/1.1\r\n\r\n", 400, "CONNECT")]
    [InlineData("CONNECT a.test HTTP/1.1\r\n\r\n", 400, "host:port")]
    [InlineData("CONNECT ::1:443 HTTP/1.1\r\n\r\n", 400, "brackets")]
    [InlineData("GET http://a.test/ HTTP/2.0\r\n\r\n", 505, "HTTP/1.1")]
    [InlineData("GET http://a.test/ HTTP/1.1\r\nBad Name: x\r\n\r\n", 400, "Name: value")]
    [InlineData("GET http://a.test/ HTTP/1.1\r\nX: 1\r\n folded\r\n\r\n", 400, "Name: value")]
    [InlineData("POST http://a.test/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "both")]
    [InlineData("POST http://a.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "one number")]
    [InlineData("POST http://a.test/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400, "one number")]
    [InlineData("POST http://a.test/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "chunked")]
    [InlineData("GET http://u:p@a.test/ HTTP/1.1\r\n\r\n", 400, "http://")]
    [InlineData("nonsense\r\n\r\n", 400, "request line")]
    public async Task What_is_wrong_is_answered_with_its_cause(string request, int status, string word)
    {
        var door = new DoorFixture(DoorFixture.Http(new FakeOnion(_ => Task.CompletedTask)));
        await door.SendAsync(request);
        string answer = await door.ReceiveAllAsync();
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.Contains(word, answer, StringComparison.Ordinal);
        await door.EndAsync();
    }

    [Theory]
    [InlineData((byte)ProxyStatus.PolicyRefused, 403)]
    [InlineData((byte)ProxyStatus.NameNotResolved, 502)]
    [InlineData((byte)ProxyStatus.TimedOut, 504)]
    [InlineData((byte)ProxyStatus.Limit, 503)]
    public async Task The_exits_refusal_becomes_a_page(byte status, int code)
    {
        var door = new DoorFixture(DoorFixture.Http(Server(Ear(), "", status: (ProxyStatus)status)));
        await door.SendAsync("GET http://a.test/ HTTP/1.1\r\n\r\n");
        Assert.StartsWith($"HTTP/1.1 {code} ", await door.ReceiveAllAsync(), StringComparison.Ordinal);
        await door.EndAsync();
    }

    [Fact]
    public async Task Without_a_path_the_page_says_why()
    {
        var door = new DoorFixture(DoorFixture.Http(new FakeOnion(_ => Task.CompletedTask) { Unavailable = "The first path is being built." }));
        await door.SendAsync("CONNECT a.test:443 HTTP/1.1\r\n\r\n");
        string answer = await door.ReceiveAllAsync();
        Assert.StartsWith("HTTP/1.1 503 ", answer, StringComparison.Ordinal);
        Assert.Contains("The first path is being built.", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Users_are_asked_for_and_isolate()
    {
        FakeOnion onion = Server(Ear(), "HTTP/1.1 200 OK\r\n\r\n");
        HttpProxyConnectionHandler handler = DoorFixture.Http(onion, new() { ["alice"] = "secret" });
        var nobody = new DoorFixture(handler);
        await nobody.SendAsync("GET http://a.test/ HTTP/1.1\r\n\r\n");
        Assert.Contains("Proxy-Authenticate: Basic", await nobody.ReceiveAllAsync(), StringComparison.Ordinal);
        var alice = new DoorFixture(handler);
        await alice.SendAsync($"GET http://a.test/ HTTP/1.1\r\nProxy-Authorization: Basic {Convert.ToBase64String("alice:secret"u8)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 200 ", await alice.ReceiveAllAsync(), StringComparison.Ordinal);
        Assert.False(Assert.Single(onion.Isolations).IsShared);
    }

    [Fact]
    public async Task A_head_without_end_is_cut_off_at_its_limit()
    {
        var door = new DoorFixture(DoorFixture.Http(new FakeOnion(_ => Task.CompletedTask)));
        await door.SendAsync("GET http://a.test/ HTTP/1.1\r\nX: " + new string('x', 40_000));
        Assert.StartsWith("HTTP/1.1 431 ", await door.ReceiveAllAsync(), StringComparison.Ordinal);
        await door.EndAsync();
    }

    [Fact]
    public async Task A_server_that_speaks_no_http_gives_502()
    {
        var door = new DoorFixture(DoorFixture.Http(Server(Ear(), "SSH-2.0-x\r\n\r\n")));
        await door.SendAsync("GET http://a.test/ HTTP/1.1\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 502 ", await door.ReceiveAllAsync(), StringComparison.Ordinal);
    }
}
