using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>HTTP as a program inside a namespace speaks it.</summary>
internal static class LabHttp
{
    /// <param name="socks">A proxy inside the namespace; null: none.</param>
    public static HttpClient In(string space, IPEndPoint? socks = null) => new(new SocketsHttpHandler
    {
        Proxy = socks is null ? null : new WebProxy($"socks5://{socks}"),
        UseProxy = socks is not null,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(1),
        ConnectCallback = async (context, cancel) =>
        {
            var to = new IPEndPoint(IPAddress.Parse(context.DnsEndPoint.Host.Trim('[', ']')), context.DnsEndPoint.Port); // the demo has addresses alone
            Socket socket = Lab.Socket(space, to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.NoDelay = true;
                await socket.ConnectAsync(to, cancel).ConfigureAwait(false);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    })
    {
        Timeout = TimeSpan.FromMinutes(2),
    };
}
