using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Services;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Demo;

/// <summary>The demo's hidden service: its web server and its echo at ports 80 and 7, by a router of its own.</summary>
internal sealed class DemoService : IAsyncDisposable
{
    private readonly RouterNode _node;
    private readonly ServiceRunner _runner;

    private DemoService(RouterNode node, ServiceRunner runner)
    {
        _node = node;
        _runner = runner;
    }

    /// <summary>Its Ed25519 public key: what a name stands for.</summary>
    public byte[] Key => _runner.Address.ToArray();

    public string Address => _runner.Address.ToString();

    public string Url => $"http://{Address}/";

    public static async Task<DemoService> StartAsync(DemoNetwork network, ClientPathOptions paths, DemoTargets targets, CancellationToken cancel)
    {
        var node = new RouterNode(new RouterNodeOptions
        {
            Name = "service",
            Listen = UdpAddress.FromBytes([127, 9, 0, 1], 0),
            Client = paths,
            Proxied = false,
            Shard = DemoNetwork.ClientShard,
        });
        try
        {
            node.Start(network.Directory);
            var config = new ServiceConfig
            {
                Name = "demo",
                KeyFile = "",
                Ports =
                [
                    new PortMapping(new ServicePort(6, 80), new IPEndPoint(IPAddress.Loopback, targets.WebPort), null),
                    new PortMapping(new ServicePort(17, 7), new IPEndPoint(IPAddress.Loopback, targets.UdpPort), null),
                ],
            };
            return new DemoService(node, await ServiceRunner.StartAsync(config, RandomNumberGenerator.GetBytes(ServiceKey.SeedBytes), node.Hidden!, NullLogger.Instance, TimeProvider.System, cancel).ConfigureAwait(false));
        }
        catch
        {
            await node.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _runner.DisposeAsync().ConfigureAwait(false);
        await _node.DisposeAsync().ConfigureAwait(false);
    }
}
