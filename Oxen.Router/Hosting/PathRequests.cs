using System.Globalization;
using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

/// <summary>
/// Requests to plug-ins through the client's own paths. Each number has an isolation group of its own, so a request never travels
/// beside what a program sends through the doors.
/// </summary>
internal sealed class PathRequests(IOnionStreams streams, string purpose, TimeProvider time) : IPathRequests, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly IsolationKeys _keys = new();

    public async Task<PathResponse> AskAsync(int path, string method, ReadOnlyMemory<byte> body, int mostBytes, CancellationToken cancel)
    {
        if (!RequestFraming.IsMethod(Encoding.ASCII.GetBytes(method))) throw new ArgumentException("a method is 1 to 64 of a-z 0-9 _ . -", nameof(method));
        using var limit = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            IsolationKey group = _keys.Derive(purpose, Encoding.ASCII.GetBytes(path.ToString(CultureInfo.InvariantCulture)), []);
            OnionStream stream = await streams.OpenAsync(group, both.Token).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                (ResponseCode code, byte[] answer) = await RequestExchange.RunAsync(stream.Transport, method, body, mostBytes, both.Token).ConfigureAwait(false);
                return new PathResponse(code, code == ResponseCode.Ok ? answer : ReadOnlyMemory<byte>.Empty);
            }
        }
        catch (OperationCanceledException e) when (!cancel.IsCancellationRequested)
        {
            throw new IOException($"no answer came within {Patience.TotalSeconds:F0} s", e);
        }
        catch (Exception e) when (e is OnionUnavailableException or InvalidOperationException)
        {
            throw new IOException(e.Message, e);
        }
    }

    public void Dispose() => _keys.Dispose();
}
