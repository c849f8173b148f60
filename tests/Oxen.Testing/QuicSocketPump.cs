using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;

namespace Oxen.Testing;

/// <summary>Runs a <see cref="QuicEndpoint"/> on a real UDP socket of 127.0.0.1, on the caller's thread: for interoperation with other programs.</summary>
internal sealed class QuicSocketPump : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly byte[] _buffer = new byte[64 * 1024];
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    public QuicSocketPump(QuicEndpoint endpoint)
    {
        Endpoint = endpoint;
        _socket.ReceiveBufferSize = 4 << 20;
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
    }

    public QuicEndpoint Endpoint { get; }

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    public Instant Now => new(_clock.ElapsedTicks * (1_000_000_000 / Stopwatch.Frequency));

    /// <summary>Pumps until <paramref name="done"/> or the limit; returns what `done` says.</summary>
    public bool RunUntil(Func<bool> done, TimeSpan limit, Action<QuicEvent> onEvent, Action<QuicConnection>? onAccept = null)
    {
        Instant end = Now + limit;
        while (!done() && Now < end)
        {
            while (_socket.Poll(0, SelectMode.SelectRead))
            {
                EndPoint from = new IPEndPoint(IPAddress.Any, 0);
                int n;
                try
                {
                    n = _socket.ReceiveFrom(_buffer, ref from);
                }
                catch (SocketException)
                {
                    break;   // a refused port of a peer that has gone
                }

                Endpoint.HandleDatagram(_buffer.AsSpan(0, n), UdpAddress.From((IPEndPoint)from), Now);
            }

            if (Endpoint.NextDeadline <= Now) Endpoint.HandleTimeout(Now);
            while (Endpoint.TryAccept(out QuicConnection accepted)) onAccept?.Invoke(accepted);
            while (Endpoint.TryTakeEvent(out QuicEvent happened)) onEvent(happened);
            while (Endpoint.TryTransmit(_buffer, out int bytes, out int segment, out UdpAddress to, Now))
            {
                for (int at = 0; at < bytes; at += segment) _socket.SendTo(_buffer, at, Math.Min(segment, bytes - at), SocketFlags.None, to.ToIPEndPoint());
            }

            long wait = Math.Min(Endpoint.NextDeadline.Nanoseconds, end.Nanoseconds) - Now.Nanoseconds;
            if (wait > 0) _socket.Poll((int)Math.Min(wait / 1000 + 1, 50_000), SelectMode.SelectRead);
        }

        return done();
    }

    public void Dispose()
    {
        _socket.Dispose();
        Endpoint.Dispose();
    }
}
