using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Oxen.Router.Client;
using Oxen.Router.Core.Packets;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Doors;

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
    public static async Task<ProxyDoors> OpenAsync(ClientService client, ServiceReach? services, IPEndPoint? socks, IPEndPoint? http, IReadOnlyDictionary<string, string> users, SharedDropCounters drops, CancellationToken cancel)
    {
        var keys = new IsolationKeys();
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            if (socks is not null)
            {
                var handler = new Socks5ConnectionHandler(client, client, keys, new ProxyDoorOptions { Listener = "socks", Users = users }, TimeProvider.System, drops, services);
                kestrel.Listen(socks, l => l.Run(handler.OnConnectedAsync));
            }

            if (http is not null)
            {
                var handler = new HttpProxyConnectionHandler(client, keys, new ProxyDoorOptions { Listener = "http", Users = users }, TimeProvider.System, services);
                kestrel.Listen(http, l => l.Run(handler.OnConnectedAsync));
            }
        });
        WebApplication app = builder.Build();
        try
        {
            await app.StartAsync(cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            await app.DisposeAsync().ConfigureAwait(false);
            keys.Dispose();
            string address = socks is not null && e.Message.Contains(socks.ToString(), StringComparison.Ordinal) ? socks.ToString()
                : http is not null && e.Message.Contains(http.ToString(), StringComparison.Ordinal) ? http.ToString()
                : string.Join(" or ", new[] { socks, http }.OfType<IPEndPoint>());
            throw UserException.CannotBind("proxy", address, e);
        }

        Queue<IPEndPoint> bound = new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => IPEndPoint.Parse(new Uri(a).Authority)));
        return new ProxyDoors(app, keys)
        {
            Socks = socks is null ? null : bound.Dequeue(),
            Http = http is null ? null : bound.Dequeue(),
        };
    }

    /// <summary>Takes no new connections; those that are open get this long to end.</summary>
    public async Task StopAsync(TimeSpan patience)
    {
        using var limit = new CancellationTokenSource(patience);
        try
        {
            await _app.StopAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Connections that do not end are ended.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(TimeSpan.FromSeconds(1)).ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        _keys.Dispose();
    }
}
