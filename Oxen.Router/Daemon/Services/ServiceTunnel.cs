using System.Net;
using Microsoft.Extensions.Logging;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Run;
using Oxen.Router.Hosting;
using Oxen.Router.Tun;

namespace Oxen.Router.Daemon.Services;

/// <summary>
/// The interface of a service that takes IP packets. Each of its clients has an address of the interface's network; whatever
/// listens on the interface's own address is reached by them, and what answers goes back the same way. Sessions' thread in, the
/// interface's thread out.
/// </summary>
internal sealed class ServiceTunnel : IServicePacketTaker, IDisposable
{
    private readonly TunInterface _tun;
    private readonly ServicePacketGate _gate;
    private readonly SharedDropCounters _drops;
    private readonly PacketDevice _device;
    private readonly ILogger _log;
    private IHostedService? _service;
    private int _lost;

    /// <exception cref="Terminal.UserException">The machine refuses the interface, with what to do.</exception>
    public ServiceTunnel(ServiceTunnelConfig config, int sessions, SharedDropCounters drops, ILogger log)
    {
        (_drops, _log) = (drops, log);
        _tun = TunnelEnd.Open(new TunInterfaceOptions
        {
            Name = config.Name,
            Mtu = TunnelConstants.InnerMtu,
            Addresses = [.. new[] { config.Pool4, config.Pool6 }.OfType<IPNetwork>().Select(p => new InterfaceAddress(TunnelEnd.Plus(p.BaseAddress, 1), p.PrefixLength))],
            Ranges = [.. new[] { config.Pool4, config.Pool6 }.OfType<IPNetwork>()],
            SuperPackets = false,
        });
        (uint base4, UInt128 base6) = InnerAddresses.From(config.Pool4.BaseAddress, _tun.HasIPv6 ? config.Pool6?.BaseAddress : null);
        int leases = (int)Math.Min(sessions, Math.Min((1L << (32 - config.Pool4.PrefixLength)) - 3, config.Pool6 is { PrefixLength: > 98 } six ? (1L << (128 - six.PrefixLength)) - 2 : int.MaxValue));
        _gate = new ServicePacketGate(new InnerAddresses(base4 + 1, base6 == 0 ? 0 : base6 + 1), new InnerAddresses(base4 + 2, base6 == 0 ? 0 : base6 + 2), leases);
        _device = new PacketDevice(_tun.Queues[0], drops, FromSystem, Lost);
    }

    public string Name => _tun.Name;

    /// <summary>Takes the packets of the service's clients from now on.</summary>
    public void Begin(IHostedService service)
    {
        _service = service;
        service.TakePackets(this);
        _device.Start();
    }

    /// <summary>After the service has ended: nothing may come from it any more.</summary>
    public void Dispose()
    {
        _device.Dispose();
        _tun.Dispose();
    }

    void IServicePacketTaker.OnPacket(long client, Span<byte> record)
    {
        DropReason reason = _gate.Inward(client, record, out Span<byte> packet);
        if (reason != DropReason.None)
        {
            _drops.Count(reason);
            return;
        }

        try
        {
            _device.Inward.Write(packet);
        }
        catch (IOException e)
        {
            Lost(e);
        }
    }

    void IServicePacketTaker.OnClientGone(long client) => _gate.Gone(client);

    private void FromSystem(Span<byte> bytes)
    {
        DropReason reason = _gate.Outward(bytes, out Span<byte> packet, out long session);
        if (reason != DropReason.None) _drops.Count(reason);
        else _service!.TrySendPacket(session, packet); // what it drops it counts
    }

    private void Lost(Exception e)
    {
        if (Interlocked.Exchange(ref _lost, 1) == 0) RouterLog.PacketsLost(_log, Name, e.Message);
    }
}
