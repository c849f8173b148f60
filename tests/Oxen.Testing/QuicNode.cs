using Oxen.Router.Core;
using Oxen.Router.Core.Quic;

namespace Oxen.Testing;

/// <summary>A <see cref="QuicEndpoint"/> on a simulated network: pumps datagrams, hands events to a callback.</summary>
internal sealed class QuicNode : ISimNode
{
    private readonly SimNetwork _network;
    private readonly byte[] _buffer = new byte[64 * 1024];
    private int _stillDue;

    public QuicNode(SimNetwork network, UdpAddress address, QuicEndpointOptions options, ulong seed)
    {
        _network = network;
        Address = address;
        Endpoint = new QuicEndpoint(options, new SeededEntropy(seed));
        network.Attach(address, this);
    }

    public UdpAddress Address { get; }

    public QuicEndpoint Endpoint { get; set; }

    public List<QuicConnection> Accepted { get; } = [];

    /// <summary>Called for each event.</summary>
    public Action<QuicEvent, Instant>? OnEvent { get; set; }

    public Action<QuicConnection, Instant>? OnAccept { get; set; }

    public List<QuicEvent> Events { get; } = [];

    public Instant NextDeadline => Endpoint.NextDeadline;

    public void OnDatagram(Span<byte> datagram, in UdpAddress from, in UdpAddress to, Instant now)
    {
        Endpoint.HandleDatagram(datagram, from, now);
        Pump(now);
    }

    public void OnTimer(Instant now)
    {
        Endpoint.HandleTimeout(now);
        Pump(now);

        // A deadline that stays in the past would spin a driver. Once or twice is fair: a loss timer may uncover a probe that is due.
        _stillDue = Endpoint.NextDeadline <= now ? _stillDue + 1 : 0;
        if (_stillDue > 5) throw new InvalidOperationException($"still due at {now}");
    }

    public void Pump(Instant now)
    {
        bool more = true;
        while (more)
        {
            more = false;
            while (Endpoint.TryAccept(out QuicConnection connection))
            {
                Accepted.Add(connection);
                OnAccept?.Invoke(connection, now);
            }

            while (Endpoint.TryTakeEvent(out QuicEvent happened))
            {
                if (OnEvent is null) Events.Add(happened);
                else OnEvent(happened, now);
            }

            while (Endpoint.TryTransmit(_buffer, out int bytes, out int segment, out UdpAddress to, now))
            {
                more = true;
                for (int at = 0; at < bytes; at += segment) _network.Send(_buffer.AsSpan(at, Math.Min(segment, bytes - at)), Address, to);
            }
        }
    }
}
