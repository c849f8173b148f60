using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Oxen.Swarm.Api;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Onion;
using Oxen.Swarm.Peers;
using Oxen.Swarm.Replication;

namespace Oxen.Swarm.Doors;

/// <summary>What the doors lead to.</summary>
internal sealed record DoorTargets(NodeCore Core, SwarmApi Api, OnionService Onion, PeerService Peers, PeerSeal Seal, SwarmSettings Settings)
{
    /// <summary>The file server and other applications of this node; null: none.</summary>
    public ServerOnion? Applications { get; init; }

    /// <summary>The longest file that anybody may bring or fetch.</summary>
    public int MaxFileBytes { get; init; } = 10_000_000;

    public Func<bool> IsStopping { get; init; } = () => false;
}

// The HTTPS door, on Kestrel with a certificate of its own making, which nobody checks: clients trust the onion layer, nodes
// the seal. docs/protocol/swarm.md#https
//
//   POST /storage_rpc/v1    readiness 503, rate 429, long poll 410, size 413, then the API
//   POST /onion_req/v2      readiness 503, rate 429, size 413, then the onion service, with limits for what came by other nodes
//   POST /ping_test/v1      always; GET /get_stats/v1; POST /swarm_peer/v1 for nodes; POST /json_rpc if this is a seed
//   POST /oxen/v4/lsrpc, /oxen/v3/lsrpc, /loki/v3/lsrpc   applications, if there are any

/// <summary>Kestrel, and the order of its checks.</summary>
internal sealed class HttpsDoor : IAsyncDisposable
{
    private const int MaxBodyBytes = 10 * 1024 * 1024;
    private const int SmallBytes = 64 * 1024; // announced, and allocated at once
    private const int MaxTrackedAddresses = 10_000;
    private const int MaxAtOnce = 512;
    private const int LargeBytes = 16 * 1024 * 1024;
    private const int FrameBytes = 64 * 1024; // head, headers and seal around a file
    private const int MaxLargeAtOnce = 4; // each is in memory as a whole

    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;
    private readonly DoorTargets _targets;
    private readonly DoorOptions _options;
    private readonly TokenBuckets<IPAddress> _rate;
    private readonly string _server;
    private int _running, _large;

    private HttpsDoor(WebApplication app, X509Certificate2 certificate, DoorTargets targets, DoorOptions options)
    {
        _app = app;
        _certificate = certificate;
        _targets = targets;
        _options = options;
        _server = "Oxen Storage Server/" + targets.Settings.VersionText;
        _rate = new TokenBuckets<IPAddress>(options.RateBurst, options.RatePerSecond, MaxTrackedAddresses, targets.Core.Clock.Provider);
    }

    /// <summary>The port that it really listens on.</summary>
    public int Port { get; private set; }

    /// <summary>Opens the door.</summary>
    /// <exception cref="IOException">The address is taken or not ours.</exception>
    public static async Task<HttpsDoor> OpenAsync(DoorTargets targets, DoorOptions options)
    {
        X509Certificate2 certificate = MakeCertificate();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        // A request goes on where its bytes were read, on a thread of the pool: a hop less each way.
        builder.WebHost.UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = null; // each path has its own limit and words
            kestrel.Limits.MaxConcurrentConnections = 4096;
            kestrel.Limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
            kestrel.Listen(options.Listen, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(certificate, https => https.ClientCertificateMode = ClientCertificateMode.NoCertificate);
            });
        });
        builder.Services.AddSingleton<IHostLifetime, NoSignals>();
        WebApplication app = builder.Build();
        var door = new HttpsDoor(app, certificate, targets, options);
        app.Run(door.HandleAsync);
        await app.StartAsync().ConfigureAwait(false);
        string address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        door.Port = new Uri(address).Port;
        return door;
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        await _app.StopAsync(limit.Token).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _certificate.Dispose();
    }

    /// <summary>A certificate as the reference makes it: CN=localhost, O=Oxen, self-signed.</summary>
    private static X509Certificate2 MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost, O=Oxen", key, HashAlgorithmName.SHA256);
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.UnixEpoch.AddYears(79));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }

    /// <summary>Signals are the program's business, not the door's.</summary>
    private sealed class NoSignals : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private async Task HandleAsync(HttpContext context)
    {
        HttpResponse response = context.Response;
        response.Headers.Server = _server;
        AddCors(context);
        if (Interlocked.Increment(ref _running) > MaxAtOnce)
        {
            Interlocked.Decrement(ref _running);
            await TextAsync(context, 503, "Server busy, try again later").ConfigureAwait(false);
            return;
        }

        try
        {
            await RouteAsync(context).ConfigureAwait(false);
        }
        catch (Microsoft.AspNetCore.Http.BadHttpRequestException)
        {
            await TextAsync(context, 400, "invalid Content-Length").ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            context.Abort(); // the client is gone
        }
        catch (Exception)
        {
            if (!response.HasStarted) await TextAsync(context, 500, "request failed").ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _running);
        }
    }

    private Task RouteAsync(HttpContext context)
    {
        string method = context.Request.Method, path = context.Request.Path.Value ?? "/";
        return (method, path) switch
        {
            ("POST", "/storage_rpc/v1") => StorageAsync(context),
            ("POST", "/onion_req/v2") => OnionAsync(context),
            ("POST", HttpsPeerTransport.Path) => PeerAsync(context),
            ("POST", "/ping_test/v1") => PingAsync(context),
            ("GET", "/get_stats/v1") => WriteAsync(context, 200, "application/json", Encoding.ASCII.GetBytes($"{{\"version\":\"{_targets.Settings.VersionText}\"}}")),
            ("POST", "/json_rpc") when _options.Seed => SeedAsync(context),
            ("POST", "/oxen/v4/lsrpc") when _targets.Applications is not null => ApplicationAsync(context, 4),
            ("POST", "/oxen/v3/lsrpc" or "/loki/v3/lsrpc") when _targets.Applications is not null => ApplicationAsync(context, 3),
            ("OPTIONS", _) when _options.CorsOrigins.Count > 0 => WriteAsync(context, 204, null, []),
            _ => TextAsync(context, 404, $"{method} {path} Not Found"),
        };
    }

    private async Task StorageAsync(HttpContext context)
    {
        if (await IsRefusedAsync(context).ConfigureAwait(false) || await IsTooFastAsync(context).ConfigureAwait(false)) return;
        if (context.Request.Headers.ContainsKey("x-loki-long-poll"))
        {
            await TextAsync(context, 410, "long polling is no longer supported, client upgrade required").ConfigureAwait(false);
            return;
        }

        if (await ReadBodyAsync(context, MaxBodyBytes).ConfigureAwait(false) is not { } body) return;
        ApiResult result = await _targets.Api.HandleJsonAsync(body, null, context.RequestAborted).ConfigureAwait(false);
        string type = result.Body switch
        {
            string => "text/plain",
            byte[] => "application/octet-stream",
            _ => "application/json",
        };
        await WriteAsync(context, result.Status, type, result.ToBytes(bt: false)).ConfigureAwait(false);
    }

    private async Task OnionAsync(HttpContext context)
    {
        if (await IsRefusedAsync(context).ConfigureAwait(false) || await IsTooFastAsync(context).ConfigureAwait(false)) return;
        if (await ReadBodyAsync(context, MaxBodyBytes).ConfigureAwait(false) is not { } body) return;
        (int status, byte[] reply) = await _targets.Onion.HandleAsync(body, context.RequestAborted).ConfigureAwait(false);
        await WriteAsync(context, status, status == 200 ? "application/octet-stream" : "text/plain", reply).ConfigureAwait(false);
    }

    private async Task PeerAsync(HttpContext context)
    {
        if (context.Request.Headers[HttpsPeerTransport.SenderHeader] is not [{ Length: 64 } hex]) { await TextAsync(context, 403, "not a node").ConfigureAwait(false); return; }
        byte[] sender = new byte[32];
        // Unknown senders are refused before anything is read or decrypted.
        if (Convert.FromHexString(hex, sender, out _, out _) != System.Buffers.OperationStatus.Done || _targets.Core.View.Find(sender) is null)
        {
            await TextAsync(context, 403, "not a node").ConfigureAwait(false);
            return;
        }

        if (await ReadBodyAsync(context, HttpsPeerTransport.MaxBytes).ConfigureAwait(false) is not { } body) return;
        if (_targets.Seal.OpenRequest(body, sender, out _, out byte[] nonce) is not { } request || await _targets.Peers.HandleAsync(sender, request).ConfigureAwait(false) is not { } answer)
        {
            await TextAsync(context, 403, "not a node").ConfigureAwait(false);
            return;
        }

        await WriteAsync(context, 200, "application/octet-stream", _targets.Seal.SealAnswer(answer, sender, nonce)).ConfigureAwait(false);
    }

    private Task PingAsync(HttpContext context)
    {
        context.Response.Headers["X-Oxen-Snode-Pubkey"] = Convert.ToBase64String(_targets.Core.Identity.Ed25519.Span);
        return WriteAsync(context, 200, null, []);
    }

    private async Task SeedAsync(HttpContext context)
    {
        if (await ReadBodyAsync(context, 64 * 1024).ConfigureAwait(false) is not { } body) return;
        (int status, byte[] reply) = SeedFacade.JsonRpc(body, _targets.Core.View, _targets.Settings);
        await WriteAsync(context, status, "application/json", reply).ConfigureAwait(false); // exactly this type: clients compare
    }

    private async Task ApplicationAsync(HttpContext context, int version)
    {
        bool large = _targets.MaxFileBytes + FrameBytes > LargeBytes && !(context.Request.ContentLength <= LargeBytes);
        if (large && Interlocked.Increment(ref _large) > MaxLargeAtOnce)
        {
            Interlocked.Decrement(ref _large);
            await TextAsync(context, 503, "Server busy, try again later").ConfigureAwait(false);
            return;
        }

        try
        {
            if (await ReadBodyAsync(context, Math.Max(LargeBytes, _targets.MaxFileBytes + FrameBytes)).ConfigureAwait(false) is not { } body) return;
            (int status, byte[] reply) = await _targets.Applications!.HandleAsync(body, version).ConfigureAwait(false);
            await WriteAsync(context, status, "application/octet-stream", reply).ConfigureAwait(false);
        }
        finally
        {
            if (large) Interlocked.Decrement(ref _large);
        }
    }

    /// <summary>Why nobody is served now; null if everybody is.</summary>
    public static string? Refusal(DoorTargets targets)
    {
        List<string> reasons = [.. targets.Api.NotReady()];
        if (targets.IsStopping()) reasons.Insert(0, "shutting down");
        return reasons.Count == 0 ? null : $"Service node is not ready: {string.Join("; ", reasons)}\n";
    }

    private async Task<bool> IsRefusedAsync(HttpContext context)
    {
        if (Refusal(_targets) is not { } refusal) return false;
        await TextAsync(context, 503, refusal).ConfigureAwait(false);
        return true;
    }

    private async Task<bool> IsTooFastAsync(HttpContext context)
    {
        if (_rate.Take(Prefix(context.Connection.RemoteIpAddress))) return false;
        await TextAsync(context, 429, "Too many requests, try again later").ConfigureAwait(false);
        return true;
    }

    // Null when a refusal has been written.
    private static async Task<byte[]?> ReadBodyAsync(HttpContext context, int limit)
    {
        if (context.Request.ContentLength > limit)
        {
            context.Response.Headers.Connection = "close";
            await TextAsync(context, 413, "Request body too large").ConfigureAwait(false);
            return null;
        }

        if (context.Request.ContentLength is { } length and <= SmallBytes)
        {
            byte[] small = new byte[length];
            int have = await context.Request.Body.ReadAtLeastAsync(small, small.Length, throwOnEndOfStream: false, context.RequestAborted).ConfigureAwait(false);
            return have == small.Length ? small : small[..have];
        }

        // A length that was only announced takes no memory yet.
        using var body = new MemoryStream(SmallBytes);
        byte[] buffer = new byte[16 * 1024];
        int read;
        while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted).ConfigureAwait(false)) > 0)
        {
            if (body.Length + read > limit)
            {
                context.Response.Headers.Connection = "close";
                await TextAsync(context, 413, "Request body too large").ConfigureAwait(false);
                return null;
            }

            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    /// <summary>One IPv4 address, or the /64 of an IPv6 one: whoever has one address there has all of them.</summary>
    public static IPAddress Prefix(IPAddress? address)
    {
        if (address is null) return IPAddress.None;
        if (address.IsIPv4MappedToIPv6) return address.MapToIPv4();
        if (address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork) return address;
        byte[] bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private void AddCors(HttpContext context)
    {
        if (_options.CorsOrigins.Count == 0 || context.Request.Headers.Origin is not [{ } origin]) return;
        if (!_options.CorsOrigins.Contains("*") && !_options.CorsOrigins.Contains(origin)) return;
        context.Response.Headers.AccessControlAllowOrigin = _options.CorsOrigins.Contains("*") ? "*" : origin;
        context.Response.Headers.AccessControlAllowMethods = "GET, POST, OPTIONS";
        context.Response.Headers.AccessControlAllowHeaders = "Content-Type";
        context.Response.Headers.Vary = "Origin";
    }

    private static Task TextAsync(HttpContext context, int status, string text) => WriteAsync(context, status, "text/plain", Encoding.UTF8.GetBytes(text));

    private static async Task WriteAsync(HttpContext context, int status, string? type, byte[] body)
    {
        context.Response.StatusCode = status;
        if (type is not null) context.Response.ContentType = type;
        if (status != 204) context.Response.ContentLength = body.Length;
        if (body.Length > 0) await context.Response.Body.WriteAsync(body, context.RequestAborted).ConfigureAwait(false);
    }
}
