using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo;

/// <summary>
/// The name server of the demo's internet: DNS over TCP (RFC 7766), as exits' streams carry it. It knows one name, with the
/// addresses of the demo's target; all others do not exist.
/// </summary>
internal sealed class DemoNames : IAsyncDisposable
{
    /// <summary>`example` belongs to nobody (RFC 2606).</summary>
    public const string Name = "www.demo.example";

    private const int HeaderBytes = 12, MostBytes = 4096;
    private const ushort A = 1, Aaaa = 28;
    private const uint Ttl = 5; // seconds

    private readonly DemoPlace _place;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Task, bool> _serving = new();
    private readonly Task _accepting;

    private DemoNames(DemoPlace place, Socket listener)
    {
        _place = place;
        _listener = listener;
        EndPoint = (IPEndPoint)listener.LocalEndPoint!;
        _accepting = Task.Run(AcceptAsync);
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>The names that were asked for, in order, lower case.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    /// <param name="port">0: a free one.</param>
    public static DemoNames Start(DemoPlace place, int port)
    {
        Socket listener = place.Space is { } space ? LinuxNamespace.Run(space, New) : New();
        listener.Bind(new IPEndPoint(place.Address, port));
        listener.Listen();
        return new DemoNames(place, listener);

        static Socket New() => new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener.Dispose();
        await _accepting.ConfigureAwait(false);
        await Task.WhenAll(_serving.Keys).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                Socket peer = await _listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                Task serving = ServeAsync(peer);
                _serving.TryAdd(serving, true);
                _ = serving.ContinueWith(done => _serving.TryRemove(done, out _), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket peer)
    {
        await Task.Yield();
        try
        {
            await using var stream = new NetworkStream(peer, ownsSocket: true);
            byte[] message = new byte[2 + MostBytes];
            while (true)
            {
                await stream.ReadExactlyAsync(message.AsMemory(0, 2), _stop.Token).ConfigureAwait(false);
                int length = BinaryPrimitives.ReadUInt16BigEndian(message);
                if (length is < HeaderBytes or > MostBytes) return;
                await stream.ReadExactlyAsync(message.AsMemory(0, length), _stop.Token).ConfigureAwait(false);
                if (Answer(message.AsSpan(0, length)) is not { } answer) return;
                await stream.WriteAsync(answer, _stop.Token).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or SocketException)
        {
            // It went away, or we do.
        }
    }

    /// <summary>With its length in front; null: no question that we read.</summary>
    private byte[]? Answer(ReadOnlySpan<byte> question)
    {
        var name = new StringBuilder();
        int at = HeaderBytes;
        while (at < question.Length && question[at] is > 0 and < 64 and var label)
        {
            if (at + 1 + label > question.Length) return null;
            if (name.Length > 0) name.Append('.');
            name.Append(Encoding.ASCII.GetString(question.Slice(at + 1, label)).ToLowerInvariant());
            at += 1 + label;
        }

        int end = at + 5; // the root's label, type, class
        if (end > question.Length || question[at] != 0) return null;
        Asked.Enqueue(name.ToString());
        bool known = name.ToString() == Name;
        byte[]? address = !known ? null : BinaryPrimitives.ReadUInt16BigEndian(question[(at + 1)..]) switch
        {
            A => _place.Address.GetAddressBytes(),
            Aaaa => _place.AddressIPv6?.GetAddressBytes(),
            _ => null,
        };
        byte[] answer = new byte[2 + end + (address is null ? 0 : 12 + address.Length)];
        Span<byte> body = answer.AsSpan(2);
        BinaryPrimitives.WriteUInt16BigEndian(answer, (ushort)body.Length);
        question[..end].CopyTo(body);
        body[2] = 0x84;                       // an answer, authoritative
        body[3] = (byte)(known ? 0 : 3);      // NXDOMAIN
        BinaryPrimitives.WriteUInt16BigEndian(body[4..], 1);
        BinaryPrimitives.WriteUInt16BigEndian(body[6..], (ushort)(address is null ? 0 : 1));
        body[8..HeaderBytes].Clear();         // neither authority nor options: an old, simple server
        if (address is null) return answer;
        Span<byte> record = body[end..];
        BinaryPrimitives.WriteUInt16BigEndian(record, 0xC000 | HeaderBytes); // the question's name
        question.Slice(at + 1, 4).CopyTo(record[2..]);
        BinaryPrimitives.WriteUInt32BigEndian(record[6..], Ttl);
        BinaryPrimitives.WriteUInt16BigEndian(record[10..], (ushort)address.Length);
        address.CopyTo(record[12..]);
        return answer;
    }
}
