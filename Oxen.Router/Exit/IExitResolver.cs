using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Exit;

/// <summary>Names to addresses, at the exit and nowhere else.</summary>
internal interface IExitResolver
{
    /// <summary>Every address of the name, best first; empty if there is none.</summary>
    ValueTask<IPAddress[]> ResolveAsync(string name, CancellationToken cancel);
}

/// <summary>Asks the operating system.</summary>
internal sealed class SystemResolver : IExitResolver
{
    public async ValueTask<IPAddress[]> ResolveAsync(string name, CancellationToken cancel)
    {
        try
        {
            return await System.Net.Dns.GetHostAddressesAsync(name, cancel).ConfigureAwait(false);
        }
        catch (SocketException)
        {
            return [];
        }
    }
}
