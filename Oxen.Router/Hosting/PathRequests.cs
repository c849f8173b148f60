using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;
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
        byte[] name = Encoding.ASCII.GetBytes(method);
        if (!RequestFraming.IsMethod(name)) throw new ArgumentException("a method is 1 to 64 of a-z 0-9 _ . -", nameof(method));
        using var limit = new CancellationTokenSource(Patience, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            IsolationKey group = _keys.Derive(purpose, Encoding.ASCII.GetBytes(path.ToString(CultureInfo.InvariantCulture)), []);
            OnionStream stream = await streams.OpenAsync(group, both.Token).ConfigureAwait(false);
            await using (stream.ConfigureAwait(false))
            {
                Write(stream.Transport.Output, name, body.Span);
                await stream.Transport.Output.FlushAsync(both.Token).ConfigureAwait(false);
                await stream.Transport.Output.CompleteAsync().ConfigureAwait(false);
                return await ReadAsync(stream.Transport.Input, mostBytes, both.Token).ConfigureAwait(false);
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

    private static void Write(PipeWriter output, byte[] method, ReadOnlySpan<byte> body)
    {
        Span<byte> head = output.GetSpan(1 + RequestFraming.MaxRequestHeadBytes);
        head[0] = (byte)StreamKind.Request;
        output.Advance(1 + RequestFraming.WriteRequestHead(method, body.Length, head[1..]));
        output.Write(body);
    }

    private static async Task<PathResponse> ReadAsync(PipeReader input, int mostBytes, CancellationToken cancel)
    {
        ReadResult read = await input.ReadAtLeastAsync(RequestFraming.ResponseHeadBytes, cancel).ConfigureAwait(false);
        byte[] head = new byte[RequestFraming.ResponseHeadBytes];
        if (read.Buffer.Length < head.Length) throw new IOException("the answer ended before it began");
        read.Buffer.Slice(0, head.Length).CopyTo(head);
        if (RequestFraming.ReadResponseHead(head, out ResponseCode code, out uint length) != WireResult.Complete) throw new IOException("what came is no answer");
        if (length > (uint)mostBytes) throw new IOException($"the answer announces {length} bytes, {mostBytes} are the most");
        input.AdvanceTo(read.Buffer.GetPosition(head.Length));
        byte[] body = new byte[length];
        int have = 0;
        while (have < body.Length)
        {
            read = await input.ReadAsync(cancel).ConfigureAwait(false);
            int take = (int)Math.Min(read.Buffer.Length, body.Length - have);
            read.Buffer.Slice(0, take).CopyTo(body.AsSpan(have));
            have += take;
            input.AdvanceTo(read.Buffer.GetPosition(take));
            if (have < body.Length && (read.IsCompleted || read.IsCanceled)) throw new IOException("the answer was cut short");
        }

        return new PathResponse(code, code == ResponseCode.Ok ? body : ReadOnlyMemory<byte>.Empty);
    }
}
