using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Oxen.Router.Transport;

namespace Oxen.Router.AspNetCore;

/// <summary>Gives a program's services the onion router of its process.</summary>
public static class OxenServiceExtensions
{
    /// <summary>The configuration's section that says the network.</summary>
    public const string Section = "Oxen";

    /// <summary>
    /// One <see cref="OxenClient"/> for the process, started by whoever first asks something of it. Its options are those that are
    /// registered as <see cref="OxenClientOptions"/>, or the section `Oxen` of the configuration.
    /// </summary>
    /// <param name="services">The program's.</param>
    /// <param name="configure">Changes the options before the router is made, such as `o => o.UseNames("genesis.bin")` of Oxen.Ons.</param>
    public static IServiceCollection AddOxen(this IServiceCollection services, Action<OxenClientOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (configure is not null) services.AddSingleton(configure);
        services.TryAddSingleton(static provider =>
        {
            OxenClientOptions options = provider.GetService<OxenClientOptions>() ?? FromConfiguration(provider);
            foreach (Action<OxenClientOptions> change in provider.GetServices<Action<OxenClientOptions>>()) change(options);
            return new OxenClient(options, provider.GetService<ILoggerFactory>());
        });
        return services;
    }

    /// <summary>Clients of this name connect through the onion: `.loki` names to hidden services, others as the options say.</summary>
    /// <param name="builder">What `AddHttpClient` returns.</param>
    /// <param name="configure">Sets the options; null: the defaults.</param>
    public static IHttpClientBuilder UseOxen(this IHttpClientBuilder builder, Action<OnionHttpOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.AddOxen();
        return builder.ConfigurePrimaryHttpMessageHandler(provider =>
        {
            var options = new OnionHttpOptions();
            configure?.Invoke(options);
            return new OnionHttpHandler(provider.GetRequiredService<OxenClient>(), options);
        });
    }

    internal static void AddOxenListener(this IServiceCollection services)
    {
        services.AddOxen();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConnectionListenerFactory, OnionListenerFactory>());
    }

    private static OxenClientOptions FromConfiguration(IServiceProvider provider)
    {
        IConfiguration? configuration = provider.GetService<IConfiguration>();
        string? root = provider.GetService<IHostEnvironment>()?.ContentRootPath;
        return OxenClientOptions.From(configuration?.GetSection(Section).GetChildren().Select(c => new KeyValuePair<string, string?>(c.Key, c.Value)) ?? [], root);
    }
}
