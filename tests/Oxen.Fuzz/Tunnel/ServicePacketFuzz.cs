using System.Collections.Concurrent;
using System.Net;
using System.Runtime.Versioning;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Dns;
using Oxen.Router.Mapped;
using Oxen.Testing;

namespace Oxen.Fuzz.Tunnel;

/// <summary>
/// IP packets between a client and a hidden service, at both ends: what a client sends into a service, what a service sends back to the client's door, and
/// what programs send into the door. Each goes on with the addresses that belong there and a good checksum, or is dropped and counted.
/// </summary>
[SupportedOSPlatform("linux")]
public sealed class ServicePacketFuzz
{
    private const int Inputs = 1_000_000;
    private static readonly InnerAddresses Own = InnerAddresses.From(IPAddress.Parse("10.99.128.1"), IPAddress.Parse("fd00::1"));

    private readonly byte[] _work = new byte[4096];

    [Fact]
    public void Packets_of_clients_into_a_service()
    {
        InnerAddresses first = InnerAddresses.From(IPAddress.Parse("10.98.0.2"), IPAddress.Parse("fd01::2"));
        var gate = new ServicePacketGate(Own, first, 64);
        int turn = 0;
        ParserFuzz.Run("packets into a service", Inputs, Valid("192.0.0.2", "192.0.0.1"), 16 * 1024, b =>
        {
            // More sessions than there are addresses, and one goes now and then.
            long session = ++turn % 70;
            if (turn % 1000 == 0) gate.Gone(turn / 1000 % 70);
            Span<byte> bytes = Copy(b);
            DropReason reason = gate.Inward(session, bytes, out Span<byte> packet);
            if (reason != DropReason.None) return Judged(reason);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
            if (p.Destination != ServicePackets.Of(Own, in p) || p.Source - ServicePackets.Of(first, in p) >= 64) throw new InvalidDataException("another address than the lease's");
            return Fate.Accepted;
        }, repair: Repair);
        Assert.InRange(gate.Leased, 1, 64);
    }

    [Fact]
    public void Packets_that_the_system_sends_to_a_services_clients()
    {
        InnerAddresses first = InnerAddresses.From(IPAddress.Parse("10.98.0.2"), IPAddress.Parse("fd01::2"));
        var gate = new ServicePacketGate(Own, first, 64);
        Assert.Equal(DropReason.None, gate.Inward(5, Copy(Udp("192.0.0.2", "192.0.0.1")), out _));
        ParserFuzz.Run("packets out of a service", Inputs, Valid("10.99.128.1", "10.98.0.2"), 4096, b =>
        {
            DropReason reason = gate.Outward(Copy(b), out Span<byte> packet, out long session);
            if (reason != DropReason.None) return Judged(reason);
            Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
            if (session != 5 || p.Source != ServicePackets.Of(ServicePackets.Service, in p) || p.Destination != ServicePackets.Of(ServicePackets.Client, in p)) throw new InvalidDataException("to somebody else");
            return Fate.Accepted;
        }, repair: Repair);
    }

    [Fact]
    public async Task Packets_of_a_service_and_of_programs_at_the_clients_door()
    {
        TimeProvider time = TimeProvider.System;
        var map = new AddressMap(new AddressMapOptions { Packets = true }, time);
        using var key = new ServiceKey([.. Enumerable.Repeat((byte)3, 32)]);
        byte[] name = new byte[OnionAddress.KeyBytes];
        key.Address.CopyTo(name);
        Assert.True(map.TryAssign(new OnionAddress(OnionKind.Service, name), out MappedAddresses mapped, packets: true));
        using var tun = new MemoryTun("oxenp0");
        var services = new Services();
        var drops = new SharedDropCounters();
        await using var door = new PacketDoor(map, services, tun, InnerAddresses.From(IPAddress.Parse("10.99.128.1"), null), drops, time, _ => { });
        string address = mapped.IPv4!.ToString();

        // Out: what programs send. Each is sent on, answered, or counted.
        var maker = new IpPacketMaker(SimWorld.SeedOr(890));
        byte[] packet = new byte[4096];
        byte[] good = Udp("10.99.128.1", address);
        int inputs = ParserFuzz.InputsOr(Inputs) / 4, given = 0;
        for (int i = 0; i < inputs; i++)
        {
            int length = maker.Make(packet);
            if (maker.Next(3) == 0) (length, _) = (good.Length, good.AsSpan().TryCopyTo(packet));
            if (maker.Next(4) != 0 && length >= 20 && packet[0] >> 4 == 4)
            {
                IPAddress.Parse("10.99.128.1").TryWriteBytes(packet.AsSpan(12), out _);
                IPAddress.Parse(maker.Next(8) == 0 ? "10.99.128.77" : address).TryWriteBytes(packet.AsSpan(16), out _);
                if (maker.Next(8) != 0) Repair(packet.AsSpan(0, length));
            }

            if (length == 0 || length > tun.Mtu) continue;
            SpinWait.SpinUntil(() => tun.SystemSends(packet.AsSpan(0, length)), TimeSpan.FromSeconds(60));
            given++;
        }

        long Sum() => Enum.GetValues<DropReason>().Sum(r => drops[r]);
        Assert.True(SpinWait.SpinUntil(() => services.Sent >= 1, TimeSpan.FromSeconds(60)));
        long answered = 0;
        SpinWait.SpinUntil(() =>
        {
            while (tun.TryTakeWritten(out _)) answered++;
            return services.Sent + Sum() >= given;
        }, TimeSpan.FromSeconds(60));
        TestContext.Current.TestOutputHelper?.WriteLine($"packets of programs: {given} inputs, {services.Sent} sent, {answered} answered, {Sum()} counted as dropped");
        Assert.Equal(given, services.Sent + Sum());
        Assert.True(services.Sent > 0.3 * given && answered > 0);

        // In: what the service sends back.
        ParserFuzz.Run("packets of a service", Inputs, Valid("192.0.0.1", "192.0.0.2"), 64 * 1024, b =>
        {
            long before = Sum();
            services.Handler!(Copy(b));
            if (Sum() == before)
            {
                Assert.True(tun.TryTakeWritten(out TunPacket written));
                Assert.Equal(DropReason.None, IpClassifier.Read(written.Bytes, out IpPacket p));
                return p.Version == 4 ? Fate.Accepted : throw new InvalidDataException("a family that the interface does not have");
            }

            return drops[DropReason.BadIpHeader] > 0 && b.Length < 20 ? Fate.Refused : Fate.Past;
        }, repair: Repair);
    }

    private static Fate Judged(DropReason reason) => reason == DropReason.BadIpHeader ? Fate.Refused : Fate.Past;

    private Span<byte> Copy(ReadOnlySpan<byte> b)
    {
        b.CopyTo(_work);
        return _work.AsSpan(0, b.Length);
    }

    private static byte[][] Valid(string from, string to) => [Udp(from, to), Udp(from, to, 900), Tcp(from, to), Echo(from, to)];

    private static byte[] Udp(string from, string to, int payload = 20)
    {
        byte[] p = Ip(from, to, 17, 8 + payload);
        (p[20], p[21], p[22], p[23]) = (0x30, 0x39, 0, 53);
        (p[24], p[25]) = ((byte)((8 + payload) >> 8), (byte)(8 + payload));
        return p; // without a checksum, as IPv4 allows
    }

    private static byte[] Tcp(string from, string to)
    {
        byte[] p = Ip(from, to, 6, 20);
        (p[20], p[21], p[22], p[23], p[32], p[33]) = (0x30, 0x39, 0, 80, 0x50, 2);
        return p;
    }

    private static byte[] Echo(string from, string to)
    {
        byte[] p = Ip(from, to, 1, 12);
        p[20] = 8;
        Sum(p.AsSpan(20), 2);
        return p;
    }

    private static byte[] Ip(string from, string to, byte protocol, int body)
    {
        byte[] p = new byte[20 + body];
        (p[0], p[2], p[3], p[8], p[9]) = (0x45, (byte)(p.Length >> 8), (byte)p.Length, 64, protocol);
        IPAddress.Parse(from).TryWriteBytes(p.AsSpan(12), out _);
        IPAddress.Parse(to).TryWriteBytes(p.AsSpan(16), out _);
        Sum(p.AsSpan(0, 20), 10);
        return p;
    }

    private static void Sum(Span<byte> bytes, int at)
    {
        (bytes[at], bytes[at + 1]) = (0, 0);
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i += 2) sum += (uint)(bytes[i] << 8 | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
        while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
        (bytes[at], bytes[at + 1]) = ((byte)(~sum >> 8), (byte)~sum);
    }

    // The header's checksum: a mutation breaks it, and who means harm does not.
    private static void Repair(Span<byte> packet)
    {
        if (packet.Length < 20 || packet[0] >> 4 != 4) return;
        int header = 4 * (packet[0] & 15);
        if (header >= 20 && header <= packet.Length) Sum(packet[..header], 10);
    }

    private sealed class Services : IServicePackets
    {
        private long _sent;

        public long Sent => Volatile.Read(ref _sent);

        public ServicePacketHandler? Handler { get; private set; }

        public ValueTask<IPacketExchange> ExchangeAsync(ServiceAddress service, ServicePacketHandler handler, CancellationToken cancel)
        {
            Handler = handler;
            return ValueTask.FromResult<IPacketExchange>(new Exchange(this));
        }

        private sealed class Exchange(Services owner) : IPacketExchange
        {
            public bool TrySend(ReadOnlySpan<byte> packet)
            {
                Assert.Equal(DropReason.None, IpClassifier.Read(packet, out IpPacket p));
                if (p.Source != ServicePackets.Of(ServicePackets.Client, in p) || p.Destination != ServicePackets.Of(ServicePackets.Service, in p)) throw new InvalidDataException("an address of this machine leaves it");
                Interlocked.Increment(ref owner._sent);
                return true;
            }

            public ValueTask DisposeAsync() => ValueTask.CompletedTask;
        }
    }
}
