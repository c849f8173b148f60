using System.Net;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Transport;

/// <summary>
/// Lets Kestrel, or any server on the connection abstractions, listen as a hidden service. Stands beside the factories for other
/// endpoints: it takes <see cref="OnionEndPoint"/>s alone. Several ports of one key are one service.
/// </summary>
public sealed class OnionListenerFactory : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly IServiceHosting _hosting;
    private readonly ILogger _log;
    private readonly Lock _lock = new();
    private readonly Dictionary<ServiceAddress, Task<OnionService>> _services = [];

    /// <param name="client">The router that hosts; it is started by the first endpoint that is bound.</param>
    public OnionListenerFactory(OxenClient client)
        : this(client, (client ?? throw new ArgumentNullException(nameof(client))).Log)
    {
    }

    internal OnionListenerFactory(IServiceHosting hosting, ILogger log)
    {
        _hosting = hosting;
        _log = log;
    }

    /// <summary>True for an <see cref="OnionEndPoint"/>.</summary>
    public bool CanBind(EndPoint endpoint) => endpoint is OnionEndPoint;

    /// <summary>Reads or makes the key, begins to host, and gives the listener; its endpoint says the address. Clients find the service some seconds later.</summary>
    /// <exception cref="NotSupportedException">The endpoint is no <see cref="OnionEndPoint"/>.</exception>
    /// <exception cref="AddressInUseException">Something listens on this port of the service already.</exception>
    /// <exception cref="OxenException">The router or the key: the options, a file, the contact list. The message says what to do.</exception>
    public async ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        if (endpoint is not OnionEndPoint wanted) throw new NotSupportedException($"{endpoint} is no endpoint of a hidden service");
        while (true)
        {
            (byte[] seed, ServiceAddress address) = ServiceKeyFile.LoadOrCreateService(wanted.KeyFile);
            OnionService service = await ServiceAsync(address, seed, wanted.Port, cancellationToken).ConfigureAwait(false);
            bool added = service.TryListen(new OnionEndPoint(wanted.KeyFile, wanted.Port, address.ToString()), out OnionListener? listener);
            if (listener is null) continue; // its last listener went in this moment: host it anew
            return added ? listener : throw new AddressInUseException($"port {wanted.Port} of this hidden service has a listener already: {wanted.KeyFile}");
        }
    }

    // Whoever is first hosts; the others wait for that.
    private async Task<OnionService> ServiceAsync(ServiceAddress address, byte[] seed, int port, CancellationToken cancel)
    {
        Task<OnionService>? hosting;
        lock (_lock)
        {
            if (!_services.TryGetValue(address, out hosting)) _services.Add(address, hosting = HostAsync(seed, port, cancel));
        }

        try
        {
            return await hosting.ConfigureAwait(false);
        }
        catch
        {
            lock (_lock)
            {
                if (_services.GetValueOrDefault(address) == hosting) _services.Remove(address);
            }

            throw;
        }
    }

    private async Task<OnionService> HostAsync(byte[] seed, int port, CancellationToken cancel)
    {
        try
        {
            var options = new HiddenServiceOptions { Seed = seed, Ports = [new ServicePort(OnionService.Tcp, (ushort)port)], MaxSessions = OxenClient.MaxSessions };
            return new OnionService(await _hosting.HostAsync(options, cancel).ConfigureAwait(false), Forget, _log);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    // The last listener has gone.
    private void Forget(OnionService service)
    {
        lock (_lock) _services.Remove(service.Address);
    }
}
