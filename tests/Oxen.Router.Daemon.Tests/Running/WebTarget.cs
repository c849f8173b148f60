using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>A web server on loopback that answers each request with an endless body, or with a short text at /short. It keeps what it was sent.</summary>
internal sealed class WebTarget : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _accepting;

    public WebTarget()
    {
        _listener.Start();
        _accepting = Task.Run(AcceptAsync);
    }

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    public string Url => $"http://{EndPoint}/";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                TcpClient peer = await _listener.AcceptTcpClientAsync(_stop.Token);
                _ = Task.Run(() => ServeAsync(peer));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(TcpClient peer)
    {
        using TcpClient _ = peer;
        try
        {
            NetworkStream stream = peer.GetStream();
            byte[] buffer = new byte[16384];
            int read = await stream.ReadAsync(buffer, _stop.Token);
            if (Encoding.ASCII.GetString(buffer, 0, read).StartsWith("GET /short ", StringComparison.Ordinal))
            {
                await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"u8.ToArray(), _stop.Token);
                return;
            }

            await stream.WriteAsync("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"u8.ToArray(), _stop.Token);
            while (true) await stream.WriteAsync(buffer, _stop.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
        {
            // The reader has gone, or the test is over.
        }
    }
}
