using Microsoft.Extensions.Hosting;

namespace Oxen.Router.Daemon.Doors;

/// <summary>Signals are the program's business: the web host's own lifetime would take them, the second one as well.</summary>
internal sealed class SilentLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
