using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Client;
using Oxen.Router.Hosting;
using Oxen.Router.Transport;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Transport;

/// <summary>An app of Kestrel that is a hidden service on a twin of the network, and clients of it.</summary>
internal sealed class SiteFixture : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
    private WebApplication? _app;

    public TwinServices Network { get; } = new();

    public WebApplication App => _app!;

    public string KeyFile => Path.Combine(_directory, "keys", "site");

    /// <summary>As Kestrel says it: `http://….loki` first.</summary>
    public string[] Addresses { get; private set; } = [];

    public Uri Url => new(Addresses[0]);

    public static async Task<SiteFixture> StartAsync(Action<WebApplication> map, Action<ListenOptions>? configure = null, Action<KestrelServerOptions, string>? kestrel = null)
    {
        var site = new SiteFixture();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = site._directory });
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IConnectionListenerFactory>(new OnionListenerFactory(site.Network, NullLogger.Instance));
        builder.WebHost.ConfigureKestrel(k =>
        {
            k.Listen(new OnionEndPoint(site.KeyFile), configure ?? (static _ => { }));
            k.Limits.MaxRequestBodySize = null;
            kestrel?.Invoke(k, site.KeyFile);
        });
        site._app = builder.Build();
        site._app.UseWebSockets();
        map(site._app);
        await site._app.StartAsync(TestContext.Current.CancellationToken);
        site.Addresses = [.. site._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        return site;
    }

    public OnionConnector Connector(IOnionStreams? exit = null, OtherNames others = OtherNames.ThroughExit, IsolationKey isolation = default) =>
        new(_ => ValueTask.FromResult(new OnionWays(new ServiceReach(Network, null!, null), exit ?? new FakeOnion(_ => Task.CompletedTask) { Unavailable = "there is no exit here" })), others, isolation, TimeProvider.System);

    public HttpClient Client(OnionHttpOptions? options = null, OnionConnector? connector = null) =>
        new(new OnionHttpHandler(connector ?? Connector(), options)) { Timeout = Patience, BaseAddress = Url };

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            try
            {
                await _app.StopAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                // A connection that a test left open.
            }

            await _app.DisposeAsync();
        }

        Network.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
