using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Oxen.Ons.Rpc;

/// <summary>The interface of a ledger over HTTP: POST /json_rpc, as at an oxend. Meant for this machine and for what stands in front of it: no TLS, no log-in.</summary>
internal sealed class RpcServer : IAsyncDisposable
{
    private const long MaxRequestBytes = 256 * 1024;

    private readonly WebApplication _application;

    private RpcServer(WebApplication application, Uri address) => (_application, Address) = (application, address);

    public Uri Address { get; }

    /// <summary>Listens; port 0 takes a free one.</summary>
    /// <exception cref="IOException">The address is in use.</exception>
    public static async Task<RpcServer> StartAsync(LedgerRpc rpc, IPEndPoint address, CancellationToken cancel)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxRequestBytes;
            kestrel.Limits.MaxConcurrentConnections = 1024;
            kestrel.Listen(address);
        });
        builder.Services.AddRoutingCore();
        WebApplication application = builder.Build();
        application.Run(async context =>
        {
            if (context.Request.Path != "/json_rpc" || !HttpMethods.IsPost(context.Request.Method))
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted).ConfigureAwait(false);
            byte[] answer = await rpc.AnswerAsync(body.GetBuffer().AsMemory(0, (int)body.Length), context.RequestAborted).ConfigureAwait(false);
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = answer.Length;
            await context.Response.Body.WriteAsync(answer, context.RequestAborted).ConfigureAwait(false);
        });
        await application.StartAsync(cancel).ConfigureAwait(false);
        string bound = application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        return new RpcServer(application, new Uri(bound));
    }

    public async ValueTask DisposeAsync()
    {
        await _application.StopAsync().ConfigureAwait(false);
        await _application.DisposeAsync().ConfigureAwait(false);
    }
}
