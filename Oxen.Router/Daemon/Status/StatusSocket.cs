using System.Net.Sockets;
using System.Text;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Status;

/// <summary>
/// A Unix socket that answers one line with one JSON object and hangs up: "status" with a <see cref="StatusReport"/>, "ping NAME" with a
/// <see cref="PingReport"/>. Who says nothing is given the status. Mode 0600; nothing that is sent to it changes anything.
/// </summary>
internal sealed class StatusSocket : IAsyncDisposable
{
    public const string StatusRequest = "status";
    public const string PingRequest = "ping";

    private const int MaxReportBytes = 16 << 20;
    private const int MaxRequestBytes = 512;
    private const int MaxPeers = 16;
    private static readonly TimeSpan RequestPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReportPatience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan PingPatience = TimeSpan.FromSeconds(70);
    private static readonly TimeSpan WritePatience = TimeSpan.FromSeconds(2);

    private readonly string _path;
    private readonly Socket _socket;
    private readonly Func<Task<StatusReport>> _report;
    private readonly Func<string, CancellationToken, Task<PingReport>> _ping;
    private readonly SemaphoreSlim _peers = new(MaxPeers);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    private StatusSocket(string path, Socket socket, Func<Task<StatusReport>> report, Func<string, CancellationToken, Task<PingReport>> ping)
    {
        _path = path;
        _socket = socket;
        _report = report;
        _ping = ping;
        _serving = Task.Run(ServeAsync);
    }

    /// <exception cref="UserException">Another process answers there, or the place cannot be written.</exception>
    public static StatusSocket Open(string path, Func<Task<StatusReport>> report, Func<string, CancellationToken, Task<PingReport>> ping)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (File.Exists(path))
            {
                if (Answers(path)) throw UserException.PortBusy("status socket", path);
                File.Delete(path); // left behind by a process that was killed
            }

            socket.Bind(new UnixDomainSocketEndPoint(path));

            // Nobody can connect before it listens, and then it is closed already.
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            socket.Listen(16);
            return new StatusSocket(path, socket, report, ping);
        }
        catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            socket.Dispose();
            throw new UserException(ExitCode.Environment, "OXN3004", $"the status socket {path} cannot be made: {e.Message}", "Set `status` in [router] to a path in a directory that this user may write, or to \"off\".", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks the process behind a socket; its answer is JSON.</summary>
    public static async Task<string> AskAsync(string path, TimeSpan patience, CancellationToken cancel, string request = StatusRequest)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(patience);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token).ConfigureAwait(false);
            await socket.SendAsync(Encoding.ASCII.GetBytes(request + "\n"), SocketFlags.None, limit.Token).ConfigureAwait(false);
            using var answer = new MemoryStream();
            byte[] buffer = new byte[16 * 1024];
            int read;
            while ((read = await socket.ReceiveAsync(buffer, SocketFlags.None, limit.Token).ConfigureAwait(false)) > 0)
            {
                answer.Write(buffer, 0, read);
                if (answer.Length > MaxReportBytes) throw new IOException("its answer has no end");
            }

            if (answer.Length == 0) throw new IOException("it gave no answer");
            return Encoding.UTF8.GetString(answer.GetBuffer(), 0, (int)answer.Length);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw NotThere(path, "no answer in time", null);
        }
        catch (Exception e) when (e is SocketException or IOException or ArgumentException)
        {
            throw NotThere(path, File.Exists(path) ? "it was left behind, or is another user's" : "there is no such socket", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _socket.Dispose();
        await _serving.ConfigureAwait(false);
        _peers.Dispose();
        _stop.Dispose();
        try
        {
            File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Its directory is gone or closed to us; a next start deals with what is left.
        }
    }

    private async Task ServeAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            bool held = false;
            try
            {
                await _peers.WaitAsync(_stop.Token).ConfigureAwait(false);
                held = true;
                Socket peer = await _socket.AcceptAsync(_stop.Token).ConfigureAwait(false);
                held = false; // whoever answers gives the place back
                _ = Task.Run(() => AnswerAsync(peer), CancellationToken.None);
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // We stop, or the asker went away.
            }
            finally
            {
                if (held) _peers.Release();
            }
        }

        // Until nobody is being answered any more.
        for (int i = 0; i < MaxPeers; i++) await _peers.WaitAsync().ConfigureAwait(false);
    }

    private async Task AnswerAsync(Socket peer)
    {
        using Socket open = peer;
        try
        {
            string request = await ReadRequestAsync(peer).ConfigureAwait(false);
            bool ping = request.StartsWith(PingRequest + " ", StringComparison.Ordinal);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
            limit.CancelAfter(ping ? PingPatience : ReportPatience);
            string answer = ping
                ? (await _ping(request[(PingRequest.Length + 1)..], limit.Token).WaitAsync(limit.Token).ConfigureAwait(false)).ToJson()
                : (await _report().WaitAsync(limit.Token).ConfigureAwait(false)).ToJson();
            limit.CancelAfter(WritePatience);
            ReadOnlyMemory<byte> left = Encoding.UTF8.GetBytes(answer);
            while (!left.IsEmpty) left = left[await peer.SendAsync(left, SocketFlags.None, limit.Token).ConfigureAwait(false)..];
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The asker went away or is too slow, or we stop.
        }
        finally
        {
            _peers.Release();
        }
    }

    // One line; what did not come in time was not sent.
    private async Task<string> ReadRequestAsync(Socket peer)
    {
        byte[] line = new byte[MaxRequestBytes];
        int length = 0;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        limit.CancelAfter(RequestPatience);
        try
        {
            while (length < line.Length && !line.AsSpan(0, length).Contains((byte)'\n'))
            {
                int read = await peer.ReceiveAsync(line.AsMemory(length), SocketFlags.None, limit.Token).ConfigureAwait(false);
                if (read == 0) break;
                length += read;
            }
        }
        catch (OperationCanceledException) when (!_stop.IsCancellationRequested)
        {
            // Somebody who only listens.
        }

        return Encoding.ASCII.GetString(line, 0, length).Split('\n')[0].Trim();
    }

    private static bool Answers(string path)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static UserException NotThere(string path, string why, Exception? inner) =>
        new(ExitCode.Environment, "OXN3005", $"nobody answers at {path}: {why}", "Is `oxen run` up with this configuration, and by the same user?", inner);
}
