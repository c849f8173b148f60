using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Dns;
using Oxen.Router.Tun;

namespace Oxen.Router.Mapped;

// Packets of programs on this machine, to services that take IP packets:
//
//   program -> route of the upper half -> interface -> PacketDoor: whose address is it? -> other addresses -> a packet in the session
//   session -> PacketDoor: other addresses -> interface -> rules of nft: is it an answer? -> program
//
// Out on the interface's thread, in on the session thread. The first packets to a service wait until it is met.

/// <summary>The door for whole IP packets: ping and whatever else a program sends to the mapped address of a service that takes them.</summary>
internal sealed class PacketDoor : IAsyncDisposable
{
    private const int MostWaiting = 16; // of a service, until it is reached
    private const int MostServices = 64;

    private static readonly TimeSpan OpenTime = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(1);

    private readonly AddressMap _map;
    private readonly IServicePackets _services;
    private readonly InnerAddresses _own;
    private readonly SharedDropCounters _drops;
    private readonly TimeProvider _time;
    private readonly PacketDevice _device;
    private readonly ConcurrentDictionary<ServiceAddress, Flow> _flows = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly byte[] _reply = new byte[IcmpReply.LongestReply];
    private readonly ITimer _sweep;

    /// <param name="map">With an upper half.</param>
    /// <param name="device">The interface that has it, of whole packets; the caller's to dispose of, later.</param>
    /// <param name="own">The interface's own addresses.</param>
    /// <param name="lost">The interface is gone.</param>
    public PacketDoor(AddressMap map, IServicePackets services, ITunDevice device, InnerAddresses own, SharedDropCounters drops, TimeProvider time, Action<Exception> lost)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(time);
        (_map, _services, _own, _drops, _time) = (map, services, own, drops, time);
        _device = new PacketDevice(device, drops, Take, lost);
        _sweep = time.CreateTimer(static door => ((PacketDoor)door!).Sweep(), this, Idle / 4, Idle / 4);
        _device.Start();
    }

    /// <summary>Services that packets are exchanged with.</summary>
    public int Services => _flows.Count;

    public async ValueTask DisposeAsync()
    {
        await _sweep.DisposeAsync().ConfigureAwait(false);
        await _stop.CancelAsync().ConfigureAwait(false);
        foreach (Flow flow in _flows.Values) await flow.EndAsync().ConfigureAwait(false);
        _device.Dispose();
    }

    // ---- the interface's thread ----

    private void Take(Span<byte> bytes)
    {
        DropReason reason = ServicePackets.Read(bytes, out IpPacket p, out Span<byte> packet);
        if (reason != DropReason.None)
        {
            _drops.Count(reason);
            return;
        }

        if (p.Source != ServicePackets.Of(_own, in p))
        {
            _drops.Count(DropReason.TunnelAddress);
            return;
        }

        if (FlowTo(in p) is not { } flow || !flow.TrySend(packet, ref p)) Answer(packet, in p);
    }

    private Flow? FlowTo(in IpPacket p)
    {
        if (!_map.TryFind(Address(in p), out OnionAddress mapped) || mapped.Kind != OnionKind.Service || !ServiceAddress.TryFrom(mapped.Key(), out ServiceAddress service))
        {
            _drops.Count(DropReason.TunnelAddress);
            return null;
        }

        if (_flows.TryGetValue(service, out Flow? flow)) return flow;
        if (_flows.Count >= MostServices || !_map.TryHold(Address(in p), out mapped) || !_map.TryAssign(mapped, out MappedAddresses addresses, packets: true))
        {
            _drops.Count(DropReason.NoTunnel);
            return null;
        }

        flow = new Flow(this, service, mapped, InnerAddresses.From(addresses.IPv4, addresses.IPv6));
        _flows[service] = flow;
        flow.Begin();
        return flow;
    }

    // The session thread.
    private void Write(ReadOnlySpan<byte> packet)
    {
        try
        {
            _device.Inward.Write(packet);
        }
        catch (IOException)
        {
            _drops.Count(DropReason.TunRefused); // the interface is gone; its own thread tells
        }
    }

    // As the address itself would answer: there is no way to it now.
    private void Answer(Span<byte> packet, in IpPacket p)
    {
        int length = IcmpReply.Write(packet, in p, IcmpError.NoRoute, p.Destination, _reply);
        if (length > 0) _device.Answers.Write(_reply.AsSpan(0, length));
    }

    private void Sweep()
    {
        foreach (Flow flow in _flows.Values) if (_time.GetElapsedTime(flow.LastUse) >= Idle) _ = flow.EndAsync();
    }

    private static UdpAddress Address(in IpPacket p)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (p.Version != 4) BinaryPrimitives.WriteUInt128BigEndian(bytes, p.Destination);
        else BinaryPrimitives.WriteUInt32BigEndian(bytes, p.Destination4);
        return UdpAddress.FromBytes(bytes[..(p.Version == 4 ? 4 : 16)], 0);
    }

    /// <summary>Packets with one service.</summary>
    private sealed class Flow(PacketDoor owner, ServiceAddress service, OnionAddress held, InnerAddresses mapped)
    {
        private readonly ConcurrentQueue<byte[]> _waiting = new();
        private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly CancellationTokenSource _end = CancellationTokenSource.CreateLinkedTokenSource(owner._stop.Token);
        private volatile IPacketExchange? _exchange;
        private long _failed = long.MinValue;
        private long _lastUse = owner._time.GetTimestamp();
        private int _state; // 0 nobody opens it, 1 somebody does, 2 over

        public long LastUse => Volatile.Read(ref _lastUse);

        public void Begin()
        {
            if (Interlocked.CompareExchange(ref _state, 1, 0) == 0) _ = Task.Run(OpenAsync);
        }

        /// <summary>False: there is no way to the service now. What is dropped for other reasons is lost, as packets are.</summary>
        public bool TrySend(Span<byte> packet, ref IpPacket p)
        {
            long now = owner._time.GetTimestamp();
            Volatile.Write(ref _lastUse, now);
            if (!ServicePackets.TryRewrite(packet, ref p, ServicePackets.Client, ServicePackets.Service))
            {
                owner._drops.Count(DropReason.TunnelAddress);
                return true;
            }

            if (_exchange is { } exchange)
            {
                exchange.TrySend(packet); // what it drops it counts
                return true;
            }

            long failed = Volatile.Read(ref _failed);
            if (failed != long.MinValue && owner._time.GetElapsedTime(failed, now) < Rest)
            {
                // As it came, for who is told of it.
                ServicePackets.TryRewrite(packet, ref p, owner._own, mapped);
                return false;
            }

            if (_waiting.Count >= MostWaiting) owner._drops.Count(DropReason.NoPath);
            else _waiting.Enqueue(packet.ToArray());
            Begin();
            return true;
        }

        public Task EndAsync()
        {
            int before = Interlocked.Exchange(ref _state, 2);
            if (before != 2)
            {
                owner._flows.TryRemove(new KeyValuePair<ServiceAddress, Flow>(service, this));
                _end.Cancel();
                owner._map.Release(held);
                if (before == 0) _ = FinishAsync();
            }

            return _ended.Task;
        }

        private async Task OpenAsync()
        {
            try
            {
                using var limit = new CancellationTokenSource(OpenTime, owner._time);
                using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _end.Token);
                IPacketExchange exchange = await owner._services.ExchangeAsync(service, Take, either.Token).ConfigureAwait(false);
                _exchange = exchange;
                while (_waiting.TryDequeue(out byte[]? packet)) exchange.TrySend(packet);
                Volatile.Write(ref _failed, long.MinValue);
            }
            catch (Exception e) when (e is OnionUnavailableException or OperationCanceledException)
            {
                while (_waiting.TryDequeue(out _)) owner._drops.Count(DropReason.NoPath);
                Volatile.Write(ref _failed, owner._time.GetTimestamp());
            }
            finally
            {
                // Whoever ended it meanwhile did not see the exchange.
                if (Interlocked.CompareExchange(ref _state, 0, 1) != 1) await FinishAsync().ConfigureAwait(false);
            }
        }

        private async Task FinishAsync()
        {
            if (_exchange is { } exchange) await exchange.DisposeAsync().ConfigureAwait(false);
            _end.Dispose();
            _ended.TrySetResult();
        }

        // The session thread.
        private void Take(Span<byte> record)
        {
            Volatile.Write(ref _lastUse, owner._time.GetTimestamp());
            DropReason reason = ServicePackets.Read(record, out IpPacket p, out Span<byte> packet);
            if (reason == DropReason.None && p.Length != record.Length) reason = DropReason.BadIpHeader;
            if (reason == DropReason.None && (p.Source != ServicePackets.Of(ServicePackets.Service, in p) || p.Destination != ServicePackets.Of(ServicePackets.Client, in p) || !ServicePackets.TryRewrite(packet, ref p, mapped, owner._own))) reason = DropReason.TunnelAddress;
            if (reason != DropReason.None) owner._drops.Count(reason);
            else owner.Write(packet);
        }
    }
}
