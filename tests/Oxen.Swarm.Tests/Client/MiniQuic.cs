using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Hosting;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Client;

/// <summary>A client of the door: one connection, one stream.</summary>
internal sealed class MiniQuic : IAsyncDisposable
{
    private readonly RawKeyQuic _endpoint;
    private readonly RawKeyStream _stream;
    private readonly List<byte> _received = [];
    private readonly Queue<(string Endpoint, byte[] Body)> _notifications = new();
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private long _next;

    private MiniQuic(RawKeyQuic endpoint, RawKeyConnection connection, RawKeyStream stream)
    {
        _endpoint = endpoint;
        Connection = connection;
        _stream = stream;
    }

    public RawKeyConnection Connection { get; }

    public static async Task<MiniQuic> ConnectAsync(TestSwarm swarm, int node)
    {
        RawKeyQuic endpoint = RawKeyQuic.Open(new RawKeyQuicOptions { Protocol = "oxenstorage", Listen = new IPEndPoint(IPAddress.Loopback, 0) }, RandomNumberGenerator.GetBytes(32));
        RawKeyConnection connection = await endpoint.ConnectAsync(new IPEndPoint(IPAddress.Loopback, swarm[node].QuicPort), swarm.Entries[node].Identity.Ed25519, TestContext.Current.CancellationToken);
        return new MiniQuic(endpoint, connection, await connection.OpenStreamAsync());
    }

    public static byte[] Frame(long id, string endpoint, byte[] body)
    {
        byte[] list = [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"l1:Ci{id}e{endpoint.Length}:{endpoint}{body.Length}:")), .. body, (byte)'e'];
        return [.. Encoding.ASCII.GetBytes($"{list.Length}:"), .. list];
    }

    public async Task<(char Kind, string Text)> AskAsync(string endpoint, string body)
    {
        (char kind, byte[] answer) = await AskBytesAsync(endpoint, Encoding.UTF8.GetBytes(body));
        return (kind, Encoding.UTF8.GetString(answer));
    }

    public async Task<(char Kind, byte[] Body)> AskBytesAsync(string endpoint, byte[] body)
    {
        long id = ++_next;
        await _stream.Transport.Output.WriteAsync(Frame(id, endpoint, body), TestContext.Current.CancellationToken);
        while (true)
        {
            byte[] list = await ReadAsync();
            string head = Encoding.Latin1.GetString(list);
            if (head.StartsWith("l1:C", StringComparison.Ordinal)) Keep(list);
            else return Split(list, $"l1:{head[3]}i{id}e");
        }
    }

    public async Task<(string Endpoint, byte[] Body)> NotificationAsync()
    {
        while (_notifications.Count == 0) Keep(await ReadAsync());
        return _notifications.Dequeue();
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        await _endpoint.DisposeAsync();
    }

    private void Keep(byte[] list)
    {
        int at = Array.IndexOf(list, (byte)'e') + 1; // behind the number
        byte[] endpoint = String(list, ref at), body = String(list, ref at);
        _notifications.Enqueue((Encoding.ASCII.GetString(endpoint), body));
    }

    private static (char Kind, byte[] Body) Split(byte[] list, string head)
    {
        Assert.StartsWith(head, Encoding.Latin1.GetString(list), StringComparison.Ordinal);
        int at = head.Length;
        return (head[3], String(list, ref at));
    }

    private static byte[] String(byte[] source, ref int at)
    {
        int colon = Array.IndexOf(source, (byte)':', at), length = int.Parse(Encoding.ASCII.GetString(source, at, colon - at), CultureInfo.InvariantCulture);
        at = colon + 1 + length;
        return source[(colon + 1)..at];
    }

    // The list of the next frame.
    private async Task<byte[]> ReadAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            int colon = _received.IndexOf((byte)':');
            if (colon > 0)
            {
                int length = int.Parse(Encoding.ASCII.GetString([.. _received[..colon]]), CultureInfo.InvariantCulture);
                if (_received.Count >= colon + 1 + length)
                {
                    byte[] list = [.. _received.Skip(colon + 1).Take(length)];
                    _received.RemoveRange(0, colon + 1 + length);
                    return list;
                }
            }

            ReadResult read = await _stream.Transport.Input.ReadAsync(limit.Token);
            foreach (ReadOnlyMemory<byte> part in read.Buffer) _received.AddRange(part.Span);
            _stream.Transport.Input.AdvanceTo(read.Buffer.End);
            Assert.False(read.IsCompleted, "the door ended the stream");
        }
    }
}
