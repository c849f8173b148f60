using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo;

/// <summary>Where the demo's targets listen.</summary>
/// <param name="Space">A network namespace; null: this program's.</param>
/// <param name="AddressIPv6">Null: no IPv6.</param>
/// <param name="WebPort">0: a free one.</param>
internal sealed record DemoPlace(string? Space, IPAddress Address, IPAddress? AddressIPv6, int WebPort, int EchoPort, int NamesPort = 0)
{
    public static DemoPlace Loopback { get; } = new(null, IPAddress.Loopback, Socket.OSSupportsIPv6 ? IPAddress.IPv6Loopback : null, 0, 0);
}

/// <summary>What the demo fetches from: a small web server, a UDP echo and a name server. They stand for the open internet.</summary>
internal sealed class DemoTargets : IAsyncDisposable
{
    private readonly WebApplication _web;
    private readonly Socket _echo;
    private readonly Task _echoing;
    private readonly DemoNames _names;

    private DemoTargets(WebApplication web, Socket echo, DemoNames names, DemoPlace place, int webPort)
    {
        Place = place;
        _web = web;
        _echo = echo;
        _names = names;
        WebPort = webPort;
        UdpPort = ((IPEndPoint)echo.LocalEndPoint!).Port;
        _echoing = Task.Run(EchoAsync);
    }

    /// <summary>Largest download that the web server makes.</summary>
    public const long MaxBytes = 1L << 32;

    public DemoPlace Place { get; }

    public int WebPort { get; }

    public int UdpPort { get; }

    /// <summary>The name server of this internet.</summary>
    public DemoNames Names => _names;

    public bool HasIPv6 { get; private init; }

    public string Url => UrlOf(Place.Address);

    public string UrlIPv6 => UrlOf(Place.AddressIPv6 ?? IPAddress.IPv6None);

    public static Task<DemoTargets> StartAsync(DemoPlace place, CancellationToken cancel) => StartAsync(place, Page, cancel);

    /// <param name="page">The web server's first page.</param>
    public static async Task<DemoTargets> StartAsync(DemoPlace place, Func<HttpContext, string> page, CancellationToken cancel)
    {
        bool v6 = place.AddressIPv6 is not null;
        int port = place.WebPort == 0 ? FreePort(ref v6) : place.WebPort;
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k =>
        {
            k.Listen(place.Address, port);
            if (v6) k.Listen(place.AddressIPv6!, port);
            k.Limits.MaxRequestBodySize = MaxBytes;
            k.AddServerHeader = false;
        });
        if (place.Space is { } space) builder.WebHost.UseSockets(s => s.CreateBoundListenSocket = at => LinuxNamespace.Run(space, () => SocketTransportOptions.CreateDefaultBoundListenSocket(at)));
        WebApplication web = builder.Build();
        web.Run(context => ServeAsync(context, page));
        await web.StartAsync(cancel).ConfigureAwait(false);
        Socket echo = place.Space is { } there ? LinuxNamespace.Run(there, NewEcho) : NewEcho();
        echo.Bind(new IPEndPoint(place.Address, place.EchoPort));
        return new DemoTargets(web, echo, DemoNames.Start(place, place.NamesPort), place, port) { HasIPv6 = v6 };

        static Socket NewEcho() => new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    }

    public async ValueTask DisposeAsync()
    {
        _echo.Dispose();
        await _echoing.ConfigureAwait(false);
        await _names.DisposeAsync().ConfigureAwait(false);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await _web.StopAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Connections that do not end are ended.
        }

        await _web.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>SHA-256 of a download of this length.</summary>
    public static async Task<byte[]> DigestAsync(long length)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await WriteAsync(length, block =>
        {
            hash.AppendData(block.Span);
            return ValueTask.CompletedTask;
        }).ConfigureAwait(false);
        return hash.GetHashAndReset();
    }

    /// <summary>The bytes of a download, block by block: the block repeats with its number in front, cheap to make, and a misplaced one shows.</summary>
    private static async Task WriteAsync(long length, Func<ReadOnlyMemory<byte>, ValueTask> write)
    {
        byte[] block = new byte[64 * 1024];
        for (int at = 0; at < block.Length; at += 32) SHA256.HashData(BitConverter.GetBytes(at), block.AsSpan(at));
        for (long left = length; left > 0; left -= block.Length)
        {
            BitConverter.TryWriteBytes(block, left);
            await write(block.AsMemory(0, (int)Math.Min(left, block.Length))).ConfigureAwait(false);
        }
    }

    // GET /            a page that says where one is
    // GET /bytes/N     N bytes, the same each time
    // PUT /digest      SHA-256 of the body, in hex
    public static async Task ServeAsync(HttpContext context, Func<HttpContext, string> page)
    {
        string path = context.Request.Path.Value ?? "/";
        if (path.StartsWith("/bytes/", StringComparison.Ordinal) && long.TryParse(path.AsSpan(7), out long length) && length is >= 0 and <= MaxBytes)
        {
            await SendAsync(context, length).ConfigureAwait(false);
        }
        else if (path == "/digest")
        {
            byte[] digest = await SHA256.HashDataAsync(context.Request.Body, context.RequestAborted).ConfigureAwait(false);
            await context.Response.WriteAsync(Convert.ToHexStringLower(digest), context.RequestAborted).ConfigureAwait(false);
        }
        else if (path == "/")
        {
            context.Response.ContentType = "text/html; charset=utf-8";
            await context.Response.WriteAsync(page(context), context.RequestAborted).ConfigureAwait(false);
        }
        else
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
        }
    }

    private static async Task SendAsync(HttpContext context, long length)
    {
        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = length;
        await WriteAsync(length, async block => await context.Response.BodyWriter.WriteAsync(block, context.RequestAborted).ConfigureAwait(false)).ConfigureAwait(false);
    }

    /// <summary>A plain page of a web server of the demo.</summary>
    /// <param name="text">HTML.</param>
    public static string PageOf(string title, string heading, string text) => $$"""
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{title}}</title>
        <style>body{font:18px/1.5 system-ui,sans-serif;max-width:38em;margin:4em auto;padding:0 1em;color:#123}code{background:#eef;padding:.1em .3em;border-radius:.2em}</style></head>
        <body><h1>{{heading}}</h1>
        <p>{{text}}</p>
        <p>Try <code>/bytes/67108864</code> for a download of 64 MiB.</p></body></html>
        """;

    private static string Page(HttpContext context) => PageOf("Through the onion", "You came through the onion.", $"""
        This page was fetched by an Oxen exit router. The web server saw the connection come from
        <code>{context.Connection.RemoteIpAddress}:{context.Connection.RemotePort}</code>: the exit's socket, not yours.
        """);

    private string UrlOf(IPAddress address) => new Uri($"http://{new IPEndPoint(address, WebPort)}/").ToString(); // without port 80

    private async Task EchoAsync()
    {
        byte[] buffer = new byte[65536];
        var from = new SocketAddress(AddressFamily.InterNetwork);
        while (true)
        {
            try
            {
                int length = await _echo.ReceiveFromAsync(buffer, SocketFlags.None, from).ConfigureAwait(false);
                await _echo.SendToAsync(buffer.AsMemory(0, length), SocketFlags.None, from).ConfigureAwait(false);
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.OperationAborted or SocketError.Interrupted)
            {
                return;
            }
            catch (SocketException)
            {
                // An ICMP error of an earlier send.
            }
        }
    }

    /// <summary>A port that is free on both loopback addresses; without IPv6 on 127.0.0.1 alone.</summary>
    private static int FreePort(ref bool v6)
    {
        for (int attempt = 0; ; attempt++)
        {
            using var four = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            four.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            int port = ((IPEndPoint)four.LocalEndPoint!).Port;
            if (!v6) return port;
            try
            {
                using var six = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
                six.Bind(new IPEndPoint(IPAddress.IPv6Loopback, port));
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressNotAvailable)
            {
                v6 = false;
            }
            catch (SocketException) when (attempt < 20)
            {
                // Taken there: try another.
            }
        }
    }
}
