using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Oxen.Router.Transport;

namespace Oxen.Router.AspNetCore;

/// <summary>Makes an ASP.NET Core app a hidden service.</summary>
public static class OxenWebHostExtensions
{
    /// <summary>
    /// Listens as the hidden service whose key lies in this file; the file is made, for its owner alone, where it is missing. Kestrel's
    /// log says the address (`Now listening on: http://….loki`). The network comes from the section `Oxen` of the configuration
    /// (<see cref="OxenClientOptions"/>).
    /// </summary>
    /// <param name="builder">The host; Kestrel is its server.</param>
    /// <param name="keyFile">Relative to the content root.</param>
    /// <param name="port">The port that clients ask for; none of this machine's. More ports of one key are one service.</param>
    /// <param name="configure">Protocols, limits, TLS of this endpoint, as for any other of Kestrel.</param>
    /// <remarks>
    /// Endpoints of Kestrel's own and the URLs of `--urls` or ASPNETCORE_URLS stay beside it. Without such, no TCP port is opened.
    /// </remarks>
    public static IWebHostBuilder ListenOxen(this IWebHostBuilder builder, string keyFile, int port = OnionEndPoint.DefaultPort, Action<ListenOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrWhiteSpace(keyFile);
        builder.UseSockets(); // is there already in most apps; without it, ours would be the only transport
        builder.ConfigureServices((_, services) => services.AddOxenListener());

        // Kestrel passes over the host's URLs as soon as an endpoint is set in code, so they are set in code as well, once.
        string urls = builder.GetSetting(WebHostDefaults.ServerUrlsKey) ?? "";
        builder.UseSetting(WebHostDefaults.ServerUrlsKey, "");
        return builder.ConfigureKestrel((context, kestrel) =>
        {
            string file = Path.Combine(context.HostingEnvironment.ContentRootPath, keyFile);
            kestrel.Listen(new OnionEndPoint(file, port), configure ?? (static _ => { }));
            ListenUrls(kestrel, urls);
        });
    }

    private static void ListenUrls(KestrelServerOptions kestrel, string urls)
    {
        foreach (string url in urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            BindingAddress address = BindingAddress.Parse(url);
            Action<ListenOptions> scheme = address.Scheme.Equals("https", StringComparison.OrdinalIgnoreCase) ? static l => l.UseHttps() : static _ => { };
            if (address.IsUnixPipe) kestrel.ListenUnixSocket(address.UnixPipePath, scheme);
            else if (address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase)) kestrel.ListenLocalhost(address.Port, scheme);
            else if (System.Net.IPAddress.TryParse(address.Host.Trim('[', ']'), out System.Net.IPAddress? ip)) kestrel.Listen(ip, address.Port, scheme);
            else kestrel.ListenAnyIP(address.Port, scheme);
        }
    }
}
