using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Oxen.Router.Client;
using Oxen.Router.Core.Packets;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>The SOCKS5 and HTTP doors of a client, on Kestrel: its sockets and connection management, our connection handlers.</summary>
internal sealed class ProxyDoors : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly IsolationKeys _keys;

    private ProxyDoors(WebApplication app, IsolationKeys keys)
    {
        _app = app;
        _keys = keys;
    }

    /// <summary>Null where the door is closed.</summary>
    public IPEndPoint? Socks { get; private init; }

    public IPEndPoint? Http { get; private init; }

    /// <exception cref="UserException">An address is taken or not ours.</exception>
    public static async Task<ProxyDoors> OpenAsync(ClientService client, IPEndPoint? socks, IPEndPoint? http, IReadOnlyDictionary<string, string> users, SharedDropCounters drops, CancellationToken cancel)
    {
        var keys = new IsolationKeys();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            if (socks is not null)
            {
                var handler = new Socks5ConnectionHandler(client, client, keys, new ProxyDoorOptions { Listener = "socks", Users = users }, TimeProvider.System, drops);
                kestrel.Listen(socks, l => l.Run(handler.OnConnectedAsync));
            }

            if (http is not null)
            {
                var handler = new HttpProxyConnectionHandler(client, keys, new ProxyDoorOptions { Listener = "http", Users = users }, TimeProvider.System);
                kestrel.Listen(http, l => l.Run(handler.OnConnectedAsync));
            }
        });
        WebApplication app = builder.Build();
        try
        {
            await app.StartAsync(cancel).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            keys.Dispose();
            throw UserException.PortBusy("the proxy", $"{socks} or {http}", e);
        }

        Queue<IPEndPoint> bound = new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => IPEndPoint.Parse(new Uri(a).Authority)));
        return new ProxyDoors(app, keys)
        {
            Socks = socks is null ? null : bound.Dequeue(),
            Http = http is null ? null : bound.Dequeue(),
        };
    }

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        try
        {
            await _app.StopAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Connections that do not end are ended.
        }

        await _app.DisposeAsync().ConfigureAwait(false);
        _keys.Dispose();
    }
}
