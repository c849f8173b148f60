using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

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

    public async Task SendAsync(ReadOnlyMemory<byte> payload, IPEndPoint to, CancellationToken cancel)
    {
        byte[] address = to.Address.GetAddressBytes();
        byte[] datagram = new byte[6 + address.Length + payload.Length];
        datagram[3] = (byte)(address.Length == 4 ? 1 : 4);
        address.CopyTo(datagram, 4);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4 + address.Length), (ushort)to.Port);
        payload.CopyTo(datagram.AsMemory(6 + address.Length));
        await _udp.SendAsync(datagram, cancel).ConfigureAwait(false);
    }

    public async Task<byte[]> ReceiveAsync(CancellationToken cancel)
    {
        UdpReceiveResult received = await _udp.ReceiveAsync(cancel).ConfigureAwait(false);
        if (received.Buffer.Length < 10 || received.Buffer[3] is not (1 or 4)) throw new IOException("the proxy sent a malformed UDP header");
        return received.Buffer[(received.Buffer[3] == 1 ? 10 : 22)..];
    }

    public void Dispose()
    {
        _udp.Dispose();
        _control.Dispose();
    }
}
