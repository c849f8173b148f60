using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Transport;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Transport;

/// <summary>ASP.NET Core behind <see cref="OnionListenerFactory"/>, spoken to by clients of the onion.</summary>
public sealed class HiddenSiteTests
{
    private const int Large = 3 << 20;

    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    private static byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static void MapEcho(WebApplication app)
    {
        app.MapGet("/", () => "hello");
        app.MapPost("/digest", async (HttpRequest request) => Convert.ToHexStringLower(await SHA256.HashDataAsync(request.Body)));
        app.MapPost("/echo", async (HttpContext context) =>
        {
            await context.Response.StartAsync();
            await context.Request.Body.CopyToAsync(context.Response.Body);
        });
        app.MapGet("/bytes", () => Results.Bytes(Random(Large)));
        app.MapGet("/who", (HttpContext context) =>
        {
            IOnionConnectionFeature onion = context.Features.Get<IOnionConnectionFeature>()!;
            return $"{onion.ServiceAddress} {onion.RequestedHost} {onion.Port} {onion.ClientSession} {context.Connection.RemoteIpAddress?.ToString() ?? "nobody"}";
        });
    }

    [Fact]
    public async Task A_page_comes_and_large_bodies_go_both_ways()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho);
        using HttpClient http = site.Client();
        Assert.Equal("hello", await http.GetStringAsync("/", Cancel));
        byte[] body = Random(Large);
        using HttpResponseMessage answer = await http.PostAsync("/digest", new ByteArrayContent(body), Cancel);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), await answer.Content.ReadAsStringAsync(Cancel));
        Assert.Equal(body, await http.GetByteArrayAsync("/bytes", Cancel));
    }

    [Fact]
    public async Task The_server_says_its_address_and_the_key_stays()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho);
        string first = site.Addresses[0];
        Assert.Matches("^http://[a-z0-9]{52}\\.loki$", first);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(site.KeyFile));
        (byte[] seed, ServiceAddress again) = ServiceKeyFile.LoadOrCreateService(site.KeyFile);
        Assert.Equal(32, seed.Length);
        Assert.Equal(first, "http://" + again);
    }

    [Fact]
    public async Task The_app_learns_what_was_asked_for_and_not_who_asks()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho);
        using HttpClient http = site.Client();
        string who = await http.GetStringAsync(new Uri($"http://www.{site.Url.Host}/who"), Cancel);
        Assert.Equal($"{site.Url.Host} www.{site.Url.Host} 80 7 nobody", who);
    }

    [Fact]
    public async Task HTTP_2_in_the_clear_streams_both_ways_at_once()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho, l => l.Protocols = HttpProtocols.Http2);
        using HttpClient http = site.Client();
        byte[] body = Random(Large);
        var content = new StreamingContent(body);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/echo") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = content };
        using HttpResponseMessage answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        Assert.Equal(HttpVersion.Version20, answer.Version);
        Assert.Equal(body, await answer.Content.ReadAsByteArrayAsync(Cancel));
    }

    /// <summary>The address alone says who is there; but browsers and proxies may want TLS, and an app may bring its own certificate.</summary>
    [Fact]
    public async Task HTTPS_with_the_apps_own_certificate_and_HTTP_2_by_ALPN()
    {
        using RSA key = RSA.Create(2048);
        var request = new CertificateRequest("CN=a hidden service", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho, kestrel: (k, file) => k.Listen(new OnionEndPoint(file, 443), l => l.UseHttps(certificate)));
        var secure = new Uri($"https://{site.Url.Host}/");
        Assert.Contains($"https://{site.Url.Host}:443", site.Addresses);
        using HttpClient stranger = site.Client();
        HttpRequestException refused = await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetStringAsync(secure, Cancel));
        Assert.Equal(HttpRequestError.SecureConnectionError, refused.HttpRequestError);
        using HttpClient http = site.Client(new OnionHttpOptions { Configure = h => h.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == certificate.GetCertHashString() });
        http.DefaultRequestVersion = HttpVersion.Version20;
        byte[] body = Random(Large);
        using HttpResponseMessage answer = await http.PostAsync(new Uri(secure, "digest"), new ByteArrayContent(body), Cancel);
        Assert.Equal(HttpVersion.Version20, answer.Version);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(body)), await answer.Content.ReadAsStringAsync(Cancel));
    }

    /// <summary>A client that reads while it writes must get everything back, whatever the buffers between them hold.</summary>
    [Fact]
    public async Task An_echo_over_HTTP_1_does_not_hang_when_both_ways_are_full()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho);
        await using Stream stream = await site.Connector().ConnectAsync(site.Url.Host, 80, Cancel);
        byte[] body = Random(Large);
        byte[] head = Encoding.ASCII.GetBytes($"POST /echo HTTP/1.1\r\nHost: {site.Url.Host}\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n");
        Task writing = Task.Run(async () =>
        {
            await stream.WriteAsync(head);
            await stream.WriteAsync(body);
        });
        var answer = new MemoryStream();
        await stream.CopyToAsync(answer, Cancel).WaitAsync(SiteFixture.Patience, Cancel);
        await writing.WaitAsync(SiteFixture.Patience, Cancel);
        Assert.StartsWith("HTTP/1.1 200 OK", Encoding.ASCII.GetString(answer.GetBuffer(), 0, 15), StringComparison.Ordinal);
        Assert.Equal(SHA256.HashData(body), SHA256.HashData(Unchunk(answer.ToArray())));
    }

    [Fact]
    public async Task A_raw_connection_is_echoed_while_both_ways_are_full_and_ends_each_way_on_its_own()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(static _ => { }, l => l.Run(static async connection => await connection.Transport.Input.CopyToAsync(connection.Transport.Output)));
        OnionStream stream = await OpenAsync(site);
        byte[] body = Random(Large);
        Task writing = Task.Run(async () =>
        {
            await stream.Transport.Output.WriteAsync(body);
            await stream.Transport.Output.CompleteAsync();
        });
        var back = new MemoryStream();
        await stream.Transport.Input.CopyToAsync(back, Cancel).WaitAsync(SiteFixture.Patience, Cancel);
        await writing;
        await stream.DisposeAsync();
        Assert.Equal(SHA256.HashData(body), SHA256.HashData(back.ToArray()));
    }

    [Fact]
    public async Task A_client_that_resets_aborts_the_request_and_the_connection()
    {
        var reading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var seen = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.MapPost("/", async (HttpContext context) =>
        {
            context.RequestAborted.Register(aborted.SetResult);
            try
            {
                byte[] buffer = new byte[64];
                while (await context.Request.Body.ReadAsync(buffer) > 0) reading.TrySetResult();
                seen.SetResult(new InvalidOperationException("the body seemed to end well"));
            }
            catch (Exception e)
            {
                seen.SetResult(e);
                await aborted.Task; // the read may fail a moment before; once the handler ends, nobody is told any more
                throw;
            }
        }));
        OnionStream stream = await OpenAsync(site);
        await stream.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: {site.Url.Host}\r\nContent-Length: 1000\r\n\r\nbegin"), Cancel);
        await reading.Task.WaitAsync(SiteFixture.Patience, Cancel);
        stream.Abort();
        await aborted.Task.WaitAsync(SiteFixture.Patience, Cancel);
        Exception e = await seen.Task.WaitAsync(SiteFixture.Patience, Cancel);
        Assert.True(e is ConnectionResetException or ConnectionAbortedException, e.ToString());
        await stream.DisposeAsync();
    }

    [Fact]
    public async Task A_client_that_goes_away_is_noticed_by_a_handler_that_neither_reads_nor_writes()
    {
        var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.MapGet("/", async (HttpContext context) =>
        {
            await context.Response.Body.FlushAsync(); // the head goes out
            context.RequestAborted.Register(aborted.SetResult);
            await aborted.Task;
        }));
        using HttpClient http = site.Client();
        HttpResponseMessage answer = await http.GetAsync(new Uri("/", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, Cancel);
        answer.Dispose();
        await aborted.Task.WaitAsync(SiteFixture.Patience, Cancel);
    }

    [Fact]
    public async Task An_app_that_aborts_is_seen_as_a_reset()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.MapGet("/", async (HttpContext context) =>
        {
            await context.Response.WriteAsync("begin");
            await context.Response.Body.FlushAsync();
            context.Abort();
        }));
        using HttpClient http = site.Client();
        await Assert.ThrowsAnyAsync<Exception>(() => http.GetStringAsync("/", Cancel));
    }

    [Fact]
    public async Task WebSockets_talk()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.Map("/ws", async (HttpContext context) =>
        {
            using WebSocket socket = await context.WebSockets.AcceptWebSocketAsync();
            byte[] buffer = new byte[64 * 1024];
            while (true)
            {
                ValueWebSocketReceiveResult got = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
                if (got.MessageType == WebSocketMessageType.Close) break;
                await socket.SendAsync(buffer.AsMemory(0, got.Count), got.MessageType, got.EndOfMessage, context.RequestAborted);
            }

            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", context.RequestAborted);
        }));
        using var client = new ClientWebSocket();
        using var invoker = new HttpMessageInvoker(new OnionHttpHandler(site.Connector(), null));
        await client.ConnectAsync(new Uri($"ws://{site.Url.Host}/ws"), invoker, Cancel);
        byte[] message = Random(300_000);
        Task sending = client.SendAsync(message.AsMemory(), WebSocketMessageType.Binary, true, Cancel).AsTask();
        byte[] back = new byte[message.Length];
        int at = 0;
        while (at < back.Length) at += (await client.ReceiveAsync(back.AsMemory(at), Cancel).AsTask().WaitAsync(SiteFixture.Patience, Cancel)).Count;
        await sending;
        Assert.Equal(message, back);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, "", Cancel);
    }

    [Fact]
    public async Task A_graceful_stop_lets_a_response_end_and_takes_nobody_new()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.MapGet("/", async () =>
        {
            begun.SetResult();
            await go.Task;
            return "whole";
        }));
        using HttpClient http = site.Client();
        Task<string> under = http.GetStringAsync("/", Cancel);
        await begun.Task.WaitAsync(SiteFixture.Patience, Cancel);
        Task stopping = site.App.StopAsync(Cancel);
        HttpRequestException refused = await RefusedSoonAsync(site);
        Assert.Equal(HttpRequestError.ConnectionError, refused.HttpRequestError);
        go.SetResult();
        Assert.Equal("whole", await under);
        await stopping.WaitAsync(SiteFixture.Patience, Cancel);
    }

    [Fact]
    public async Task Endpoints_of_TCP_and_more_ports_of_the_service_stand_beside_it()
    {
        await using SiteFixture site = await SiteFixture.StartAsync(MapEcho, kestrel: (k, keyFile) =>
        {
            k.Listen(IPAddress.Loopback, 0);
            k.Listen(new OnionEndPoint(keyFile, 8080));
        });
        Assert.Equal(3, site.Addresses.Length);
        using HttpClient http = site.Client();
        Assert.Equal("hello", await http.GetStringAsync("/", Cancel));
        Assert.EndsWith(" 8080 7 nobody", await http.GetStringAsync(new Uri($"http://{site.Url.Host}:8080/who"), Cancel), StringComparison.Ordinal);
        HttpRequestException e = await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri($"http://{site.Url.Host}:81/"), Cancel));
        Assert.Contains("does not serve this port", e.Message, StringComparison.Ordinal);
        using var direct = new HttpClient();
        Assert.Equal("hello", await direct.GetStringAsync(new Uri(site.Addresses.Single(a => a.Contains("127.0.0.1", StringComparison.Ordinal))), Cancel));
    }

    [Fact]
    public async Task A_port_is_bound_once_and_free_again_afterwards()
    {
        using var network = new TwinServices();
        string directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        try
        {
            var factory = new OnionListenerFactory(network, NullLogger.Instance);
            var wanted = new OnionEndPoint(Path.Combine(directory, "key"), 80);
            Assert.True(factory.CanBind(wanted));
            Assert.False(factory.CanBind(new IPEndPoint(IPAddress.Loopback, 80)));
            IConnectionListener listener = await factory.BindAsync(wanted, Cancel);
            await Assert.ThrowsAsync<AddressInUseException>(async () => await factory.BindAsync(wanted, Cancel));
            await listener.UnbindAsync(Cancel);
            Assert.Null(await listener.AcceptAsync(Cancel));
            await listener.DisposeAsync();
            IConnectionListener again = await factory.BindAsync(wanted, Cancel);
            Assert.Equal(((OnionEndPoint)listener.EndPoint).Host, ((OnionEndPoint)again.EndPoint).Host);
            await again.DisposeAsync();
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    // Unbinding takes a moment; until then a connection may still be taken, and its request waits in vain.
    private static async Task<HttpRequestException> RefusedSoonAsync(SiteFixture site)
    {
        using var limit = new CancellationTokenSource(SiteFixture.Patience);
        while (true)
        {
            try
            {
                await using Stream taken = await site.Connector().ConnectAsync(site.Url.Host, 80, limit.Token);
            }
            catch (System.Net.Sockets.SocketException e)
            {
                return new HttpRequestException(HttpRequestError.ConnectionError, e.Message, e);
            }
        }
    }

    private static async Task<OnionStream> OpenAsync(SiteFixture site)
    {
        Assert.True(ServiceAddress.TryParse(site.Url.Host, out ServiceAddress address));
        return await site.Network.OpenAsync(address, site.Url.Host, 80, default, Cancel);
    }

    private static byte[] Unchunk(byte[] message)
    {
        int at = message.AsSpan().IndexOf("\r\n\r\n"u8) + 4;
        var body = new MemoryStream();
        while (true)
        {
            int end = at + message.AsSpan(at).IndexOf("\r\n"u8);
            int length = Convert.ToInt32(Encoding.ASCII.GetString(message, at, end - at), 16);
            if (length == 0) return body.ToArray();
            body.Write(message, end + 2, length);
            at = end + 2 + length + 2;
        }
    }

    /// <summary>A body that is sent while the answer is read.</summary>
    private sealed class StreamingContent(byte[] body) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (int at = 0; at < body.Length; at += 16 * 1024)
            {
                await stream.WriteAsync(body.AsMemory(at, Math.Min(16 * 1024, body.Length - at)));
                await stream.FlushAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
