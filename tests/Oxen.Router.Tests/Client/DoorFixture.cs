using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Oxen.Router.Client;
using Oxen.Testing;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Tests.Client;

/// <summary>A door with an in-memory client in front of it.</summary>
internal sealed class DoorFixture
{
    private readonly PipePair _pair = new();

    public DoorFixture(ConnectionHandler door)
    {
        var connection = new DefaultConnectionContext("test", _pair.Far, _pair.Far);
        Served = door.OnConnectedAsync(connection);
    }

    public Task Served { get; }

    public PipeWriter Output => _pair.Near.Output;

    public PipeReader Input => _pair.Near.Input;

    public static Socks5ConnectionHandler Socks(IOnionStreams onion, Dictionary<string, string>? users = null, IOnionDatagrams? datagrams = null, TimeProvider? time = null) =>
        new(onion, datagrams ?? new EchoDatagrams(), new IsolationKeys(), Options(users), time ?? TimeProvider.System, new SharedDropCounters());

    public static HttpProxyConnectionHandler Http(IOnionStreams onion, Dictionary<string, string>? users = null) => new(onion, new IsolationKeys(), Options(users), TimeProvider.System);

    public static ProxyDoorOptions Options(Dictionary<string, string>? users = null) => new() { Listener = "test", Users = users ?? [] };

    public async Task SendAsync(byte[] bytes) => await Output.WriteAsync(bytes);

    public async Task SendAsync(string text) => await Output.WriteAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>Each byte is its own write.</summary>
    public async Task SendSlowlyAsync(byte[] bytes)
    {
        foreach (byte b in bytes)
        {
            await Output.WriteAsync(new[] { b });
            await Task.Yield();
        }
    }

    public async Task<byte[]> ReceiveAsync(int count)
    {
        ReadResult read = await Input.ReadAtLeastAsync(count).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        byte[] bytes = read.Buffer.Slice(0, Math.Min(count, read.Buffer.Length)).ToArray();
        Input.AdvanceTo(read.Buffer.GetPosition(bytes.Length));
        return bytes;
    }

    public async Task<string> ReceiveAllAsync()
    {
        var all = new MemoryStream();
        await Input.CopyToAsync(all).WaitAsync(TimeSpan.FromSeconds(20));
        return Encoding.Latin1.GetString(all.ToArray());
    }

    public async Task EndAsync() => await Served.WaitAsync(TimeSpan.FromSeconds(20));
}
