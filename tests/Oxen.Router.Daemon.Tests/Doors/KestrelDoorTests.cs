using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Oxen.Router.Client;
using Oxen.Router.Core.Packets;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Doors;

/// <summary>Both doors as the program hosts them, in Kestrel, with a path of no hops behind them and real clients in front.</summary>
public sealed class KestrelDoorTests : IAsyncLifetime
{
    private readonly FakeOnion _onion = FakeOnion.WithExit(name => name == "web.test" ? [IPAddress.Loopback] : []);
    private readonly EchoDatagrams _datagrams = new();
    private readonly SharedDropCounters _drops = new();
    private WebApplication _doors = null!, _web = null!;
    private int _socks, _http, _webV4, _webV6;

    public async ValueTask InitializeAsync()
    {
        var keys = new IsolationKeys();
        var socks = new Socks5ConnectionHandler(_onion, _datagrams, keys, new ProxyDoorOptions { Listener = "socks" }, TimeProvider.System, _drops);
        var http = new HttpProxyConnectionHandler(_onion, keys, new ProxyDoorOptions { Listener = "http" }, TimeProvider.System);
        _doors = Build(k =>
        {
            k.Listen(IPAddress.Loopback, 0, l => l.Run(socks.OnConnectedAsync));
            k.Listen(IPAddress.Loopback, 0, l => l.Run(http.OnConnectedAsync));
        });
        await _doors.StartAsync();
        (_socks, _http) = Ports(_doors);

        _web = Build(k =>
        {
            k.Listen(IPAddress.Loopback, 0);
            k.Listen(IPAddress.IPv6Loopback, 0);
            k.Limits.MaxRequestBodySize = null;
        });
        _web.MapGet("/hello", (HttpContext c) => $"hello {c.Request.Host} {string.Join(',', c.Request.Headers.Keys.Where(h => h.StartsWith("Proxy", StringComparison.Ordinal)))}");
        _web.MapPost("/echo", async (HttpContext c) => await c.Request.Body.CopyToAsync(c.Response.Body));
        await _web.StartAsync();
        (_webV4, _webV6) = Ports(_web);
    }

    public async ValueTask DisposeAsync()
    {
        await _doors.DisposeAsync();
        await _web.DisposeAsync();
    }

    private static WebApplication Build(Action<KestrelServerOptions> listen)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(listen);
        return builder.Build();
    }

    private static (int First, int Second) Ports(WebApplication app)
    {
        int[] ports = [.. app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a).Port)];
        return (ports[0], ports[1]);
    }

    private static async Task<(int Code, string Out)> CurlAsync(params string[] arguments)
    {
        Process curl;
        try
        {
            curl = Process.Start(new ProcessStartInfo("curl", ["--silent", "--show-error", "--max-time", "30", .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("curl is not installed");
            throw;
        }

        using (curl)
        {
            Task<string> error = curl.StandardError.ReadToEndAsync();
            string text = await curl.StandardOutput.ReadToEndAsync();
            await curl.WaitForExitAsync();
            return (curl.ExitCode, text + await error);
        }
    }

    [Fact]
    public async Task Curl_fetches_through_socks5_by_name_by_ipv4_and_by_ipv6()
    {
        Assert.Equal((0, $"hello web.test:{_webV4} "), await CurlAsync("--socks5-hostname", $"127.0.0.1:{_socks}", $"http://web.test:{_webV4}/hello"));
        Assert.Equal((0, $"hello 127.0.0.1:{_webV4} "), await CurlAsync("--socks5", $"127.0.0.1:{_socks}", $"http://127.0.0.1:{_webV4}/hello"));
        Assert.Equal((0, $"hello [::1]:{_webV6} "), await CurlAsync("--socks5", $"127.0.0.1:{_socks}", $"http://[::1]:{_webV6}/hello"));
        (int code, string text) = await CurlAsync("--socks5-hostname", $"127.0.0.1:{_socks}", "http://nowhere.test/");
        Assert.Equal(97, code); // CURLE_PROXY
        Assert.Contains("(4)", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Curl_fetches_through_the_http_proxy_plain_and_by_connect()
    {
        Assert.Equal((0, $"hello web.test:{_webV4} "), await CurlAsync("--proxy", $"http://127.0.0.1:{_http}", $"http://web.test:{_webV4}/hello"));
        Assert.Equal((0, $"hello [::1]:{_webV6} "), await CurlAsync("--proxytunnel", "--proxy", $"http://a:b@127.0.0.1:{_http}", $"http://[::1]:{_webV6}/hello"));
        (int code, string text) = await CurlAsync("--proxy", $"http://127.0.0.1:{_http}", "http://10.0.0.1/");
        Assert.Equal(0, code);
        Assert.Contains("policy refuses", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Users_of_curl_are_isolated_from_each_other()
    {
        await CurlAsync("--proxy", $"socks5h://alice:x@127.0.0.1:{_socks}", $"http://web.test:{_webV4}/hello");
        await CurlAsync("--proxy", $"socks5h://bob:x@127.0.0.1:{_socks}", $"http://web.test:{_webV4}/hello");
        await CurlAsync("--proxy", $"http://alice:x@127.0.0.1:{_http}", $"http://web.test:{_webV4}/hello");
        Assert.Equal(3, _onion.Isolations.Distinct().Count());
        Assert.DoesNotContain(_onion.Isolations, k => k.IsShared);
    }

    [Theory]
    [InlineData("--socks5-hostname", false)]
    [InlineData("--proxy", true)]
    public async Task Eight_mebibytes_stream_both_ways_at_once(string option, bool http)
    {
        string file = Path.GetTempFileName();
        try
        {
            byte[] data = new byte[8 * 1024 * 1024];
            Random.Shared.NextBytes(data);
            await File.WriteAllBytesAsync(file, data);
            (int code, string text) = await CurlAsync(option, (http ? "http://" : "") + $"127.0.0.1:{(http ? _http : _socks)}", "--data-binary", "@" + file, "--output", file + ".back", $"http://web.test:{_webV4}/echo");
            Assert.Equal((0, ""), (code, text));
            Assert.Equal(data, await File.ReadAllBytesAsync(file + ".back"));
        }
        finally
        {
            File.Delete(file);
            File.Delete(file + ".back");
        }
    }

    [Fact]
    public async Task Half_close_works_both_ways_over_a_real_socket()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        Task<string> heard = Task.Run(async () =>
        {
            using TcpClient accepted = await server.AcceptTcpClientAsync();
            NetworkStream mine = accepted.GetStream();
            await mine.WriteAsync("first word"u8.ToArray());
            accepted.Client.Shutdown(SocketShutdown.Send); // the server ends first
            using var reader = new StreamReader(mine);
            return await reader.ReadToEndAsync();
        });
        int port = ((IPEndPoint)server.LocalEndpoint).Port;
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _socks);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(new byte[] { 5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (byte)(port >> 8), (byte)port });
        await stream.ReadExactlyAsync(new byte[12]);
        var first = new MemoryStream();
        await stream.CopyToAsync(first).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("first word", Encoding.ASCII.GetString(first.ToArray()));
        await stream.WriteAsync("last word"u8.ToArray());
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal("last word", await heard.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task Udp_associate_carries_datagrams_for_its_client_alone_and_ends_with_the_connection()
    {
        using var control = new TcpClient();
        await control.ConnectAsync(IPAddress.Loopback, _socks);
        NetworkStream stream = control.GetStream();
        await stream.WriteAsync(new byte[] { 5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0 });
        byte[] reply = new byte[12];
        await stream.ReadExactlyAsync(reply);
        Assert.Equal<byte>([5, 0, 5, 0, 0, 1, 127, 0, 0, 1], reply[..10]);
        var relay = new IPEndPoint(IPAddress.Loopback, reply[10] << 8 | reply[11]);
        using var client = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        using var stranger = new UdpClient(new IPEndPoint(IPAddress.Parse("127.0.0.5"), 0));
        byte[] datagram = [0, 0, 0, 3, 8, .. "dns.test"u8, 0, 53, 1, 2, 3];
        stranger.Send(datagram, relay);
        client.Send([0, 0, 1, .. datagram[3..]], relay); // a fragment
        client.Send(datagram, relay);
        UdpReceiveResult back = await client.ReceiveAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal<byte>([0, 0, 0, 1, 1, 2, 3, 4, 0, 53, 1, 2, 3], back.Buffer);
        Assert.Equal("dns.test", Assert.Single(_datagrams.Sent).Name);
        Assert.Equal(1, _drops[DropReason.WrongAddress]);
        Assert.Equal(1, _drops[DropReason.BadRecord]);
        control.Close();
        var until = DateTime.UtcNow.AddSeconds(20);
        while (Volatile.Read(ref _datagrams.Open) != 0 && DateTime.UtcNow < until) await Task.Yield();
        Assert.Equal(0, _datagrams.Open);
    }
}
