using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Oxen.Router.AspNetCore;
using Oxen.Router.Daemon.Doors;
using Oxen.Router.Transport;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// The demo's hidden web service: an ASP.NET Core app as a stranger would write it, with a router of its own, on the same terms as
/// everybody who has the contact list.
/// </summary>
internal sealed class DemoSite : IAsyncDisposable
{
    private readonly WebApplication _web;

    private DemoSite(WebApplication web, string url)
    {
        _web = web;
        Url = url;
    }

    /// <summary>`http://….loki/`.</summary>
    public string Url { get; }

    /// <summary>The service's address.</summary>
    public string Host => new Uri(Url).Host;

    public static async Task<DemoSite> StartAsync(DemoNetwork network, int hops, CancellationToken cancel)
    {
        DemoDirectory files = network.Files;
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = files.Root });
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IHostLifetime, SilentLifetime>();
        builder.Services.AddRoutingCore();
        builder.Services.AddSingleton(network.JoinOptions("site", hops));
        builder.WebHost.UseKestrelCore().ListenOxen("site/service.key").ConfigureKestrel(k =>
        {
            k.Limits.MaxRequestBodySize = DemoTargets.MaxBytes;
            k.AddServerHeader = false;
        });
        WebApplication web = builder.Build();
        web.Run(context => DemoTargets.ServeAsync(context, Page(hops)));
        try
        {
            await web.StartAsync(cancel).ConfigureAwait(false);
        }
        catch
        {
            await web.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        return new DemoSite(web, web.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/");
    }

    /// <summary>True once clients can find it; false when that takes longer than this.</summary>
    public async Task<bool> WaitFoundAsync(TimeSpan patience, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        try
        {
            await _web.Services.GetRequiredService<OxenClient>().WaitPublishedAsync(limit.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
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

    private static Func<HttpContext, string> Page(int hops) => context =>
    {
        string host = context.Features.Get<IOnionConnectionFeature>()?.ServiceAddress ?? "";
        return string.Create(CultureInfo.InvariantCulture, $$$"""
            <!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A hidden service</title>
            <style>
            :root{color-scheme:light dark;--ink:#1b2430;--soft:#5b6878;--paper:#f7f5f0;--card:#fff;--line:#d8d4ca;--gold:#a86d00}
            @media(prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa7b6;--paper:#12161c;--card:#1a2028;--line:#323b47;--gold:#f0b13c}}
            body{margin:0;background:var(--paper);color:var(--ink);font:17px/1.55 system-ui,sans-serif}
            main{max-width:44em;margin:0 auto;padding:9vh 1.2em 4em}
            h1{font-size:2.3em;line-height:1.1;letter-spacing:-.02em;margin:.1em 0 .4em}
            .small{color:var(--gold);font-weight:600;letter-spacing:.08em;text-transform:uppercase;font-size:.75em;margin:0}
            .address{font:600 .86em/1.5 ui-monospace,monospace;overflow-wrap:anywhere;color:var(--soft)}
            svg{width:100%;height:auto;margin:1.4em 0;background:var(--card);border:1px solid var(--line);border-radius:12px}
            .card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:.2em 1.2em}
            code{font-family:ui-monospace,monospace;font-size:.88em}
            li{margin:.35em 0}
            </style></head><body><main>
            <p class="small">hidden service</p>
            <h1>You found me, and neither of us knows where the other is.</h1>
            <p class="address">{{{host}}}</p>
            <svg viewBox="0 0 640 120" role="img" aria-label="{{{hops}}} hops from you to a meeting point, {{{hops}}} from it to this service">
            <path d="M40 60H600" stroke="var(--line)" stroke-width="3" stroke-dasharray="2 7" stroke-linecap="round"/>
            {{{Dots(hops)}}}
            <g font-size="13" text-anchor="middle" fill="var(--soft)"><text x="40" y="98">you</text><text x="320" y="98">meeting point</text><text x="600" y="98">this app</text></g></svg>
            <div class="card"><ul>
            <li>Your router built a path of {{{hops}}} relays to a meeting point, and this service one of its own.</li>
            <li>Nobody in between reads what we say: the session from end to end is X25519 and ML-KEM-768.</li>
            <li>The address is the key. Whoever answers under it has that key; there is no certificate and no registry.</li>
            <li>This is an ASP.NET Core app: <code>builder.WebHost.ListenOxen("keys/site")</code>.</li></ul></div>
            <p>Try <code>/bytes/67108864</code> for a download of 64 MiB.</p>
            </main></body></html>
            """);
    };

    private static string Dots(int hops)
    {
        var dots = new System.Text.StringBuilder();
        Dot(40, "var(--ink)", 9);
        for (int i = 1; i < 2 * hops; i++)
        {
            bool middle = i == hops;
            Dot(40 + 560.0 * i / (2 * hops), middle ? "var(--gold)" : "var(--soft)", middle ? 10 : 6);
        }

        Dot(600, "var(--ink)", 9);
        return dots.ToString();

        void Dot(double x, string color, int size) => dots.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{x:F0}\" cy=\"60\" r=\"{size}\" fill=\"{color}\"/>");
    }
}
