using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Daemon.Demo;

/// <summary>A small SOCKS5 client for UDP (RFC 1928 section 7), as a user's program would have it.</summary>
internal sealed class SocksUdpClient : IDisposable
{
    private readonly TcpClient _control;
    private readonly UdpClient _udp;

    private SocksUdpClient(TcpClient control, UdpClient udp)
    {
        _control = control;
        _udp = udp;
    }

    public static async Task<SocksUdpClient> AssociateAsync(IPEndPoint proxy, CancellationToken cancel)
    {
        var control = new TcpClient(proxy.AddressFamily);
        UdpClient? udp = null;
        try
        {
            await control.ConnectAsync(proxy, cancel).ConfigureAwait(false);
            NetworkStream stream = control.GetStream();
            await stream.WriteAsync(new byte[] { 5, 1, 0 }, cancel).ConfigureAwait(false);
            byte[] answer = new byte[22];
            await stream.ReadExactlyAsync(answer.AsMemory(0, 2), cancel).ConfigureAwait(false);
            if (answer[1] != 0) throw new IOException("the proxy wants a password");
            await stream.WriteAsync(new byte[] { 5, 3, 0, 1, 0, 0, 0, 0, 0, 0 }, cancel).ConfigureAwait(false);
            await stream.ReadExactlyAsync(answer.AsMemory(0, 4), cancel).ConfigureAwait(false);
            if (answer[1] != 0) throw new IOException($"the proxy refused UDP (code {answer[1]})");
            int length = answer[3] == 4 ? 16 : 4;
            await stream.ReadExactlyAsync(answer.AsMemory(4, length + 2), cancel).ConfigureAwait(false);
            var relay = new IPEndPoint(new IPAddress(answer.AsSpan(4, length)), BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(4 + length)));
            udp = new UdpClient(relay.AddressFamily);
            udp.Connect(relay);
            return new SocksUdpClient(control, udp);
        }
        catch
        {
            udp?.Dispose();
            control.Dispose();
            throw;
        }
    }

    public Task SendAsync(ReadOnlyMemory<byte> payload, IPEndPoint to, CancellationToken cancel) => SendAsync(payload, ProxyDestination.FromEndPoint(to), cancel);

    public async Task SendAsync(ReadOnlyMemory<byte> payload, ProxyDestination to, CancellationToken cancel)
    {
        byte[] datagram = new byte[Socks5Wire.MaxUdpHeadBytes + payload.Length];
        int head = Socks5Wire.WriteUdpHead(to, datagram);
        payload.CopyTo(datagram.AsMemory(head));
        await _udp.SendAsync(datagram.AsMemory(0, head + payload.Length), cancel).ConfigureAwait(false);
    }

    public async Task<byte[]> ReceiveAsync(CancellationToken cancel) => (await ReceiveFromAsync(cancel).ConfigureAwait(false)).Payload;

    public async Task<(byte[] Payload, ProxyDestination From)> ReceiveFromAsync(CancellationToken cancel)
    {
        UdpReceiveResult received = await _udp.ReceiveAsync(cancel).ConfigureAwait(false);
        if (!Socks5Wire.TryReadUdp(received.Buffer, out ProxyDestination from, out ReadOnlySpan<byte> payload)) throw new IOException("the proxy sent a malformed UDP header");
        return (payload.ToArray(), from);
    }

    public void Dispose()
    {
        _udp.Dispose();
        _control.Dispose();
    }
}
