using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Runtime.Versioning;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Dns;
using Oxen.Router.Mapped;
using Oxen.Testing;

namespace Oxen.Router.Tests.Mapped;

/// <summary>The client's door for IP packets, between an interface in memory and services in this process.</summary>
[SupportedOSPlatform("linux")]
public sealed class PacketDoorTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly FakeTimeProvider _time = new();
    private readonly AddressMap _map;
    private readonly MemoryTun _tun = new("oxenp0");
    private readonly Services _services = new();
    private readonly SharedDropCounters _drops = new();
    private readonly PacketDoor _door;
    private readonly MappedAddresses _mapped;

    public PacketDoorTests()
    {
        _map = new AddressMap(new AddressMapOptions { Packets = true }, _time);
        Assert.True(_map.TryAssign(MappedLab.Key(1), out _mapped, packets: true));
        _door = new PacketDoor(_map, _services, _tun, InnerAddresses.From(IPAddress.Parse("10.99.128.1"), null), _drops, _time, _ => { });
    }

    public async ValueTask DisposeAsync()
    {
        await _door.DisposeAsync();
        _tun.Dispose();
    }

    [Fact]
    public async Task What_comes_before_the_service_is_met_waits_and_its_answers_come_from_the_mapped_address()
    {
        Assert.Equal("10.99.128.2", _mapped.IPv4!.ToString());
        for (byte i = 0; i < 20; i++) _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", i));
        await UntilAsync(() => _drops[DropReason.NoPath] == 4); // 16 wait
        _services.Reached.SetResult();
        await UntilAsync(() => _services.Sent.Count == 16);
        foreach ((byte[] packet, byte i) in _services.Sent.Select((p, i) => (p, (byte)i))) Assert.Equal(("192.0.0.2", "192.0.0.1", i), Read(packet));

        _services.Handler!(Echo("192.0.0.1", "192.0.0.2", 77));
        Assert.True(_tun.TryTakeWritten(out TunPacket back));
        Assert.Equal(("10.99.128.2", "10.99.128.1", (byte)77), Read(back.Bytes));

        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 78));
        await UntilAsync(() => _services.Sent.Count == 17);
        Assert.Equal(1, _door.Services);
    }

    [Fact]
    public async Task What_a_service_writes_that_is_no_packet_of_its_own_is_dropped()
    {
        _services.Reached.SetResult();
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 1));
        await UntilAsync(() => _services.Handler is not null && _services.Sent.Count == 1);
        byte[] good = Echo("192.0.0.1", "192.0.0.2", 1);
        foreach (byte[] bad in (byte[][])[[], good[..^1], [.. good, 0], Echo("10.99.128.2", "10.99.128.1", 1), Echo("192.0.0.2", "192.0.0.1", 1), Echo("192.0.0.1", "127.0.0.1", 1), Echo("127.0.0.1", "192.0.0.2", 1)]) _services.Handler!(bad);
        Assert.False(_tun.TryTakeWritten(out _));
        Assert.Equal(7, _drops[DropReason.BadIpHeader] + _drops[DropReason.TunnelAddress]);
        _services.Handler!(good);
        Assert.True(_tun.TryTakeWritten(out _));
    }

    [Fact]
    public async Task A_program_is_told_that_there_is_no_way()
    {
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.9", 1)); // stands for nothing
        TunPacket answer = await WrittenAsync();
        AssertUnreachable(answer.Bytes, "10.99.128.9");

        _services.Reached.SetException(new OnionUnavailableException("nobody found its introset"));
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 1)); // waits, and is lost
        await UntilAsync(() => _drops[DropReason.NoPath] == 1);
        TunPacket? told = null;
        await UntilAsync(() =>
        {
            _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 2));
            return _tun.TryTakeWritten(out told!);
        });
        AssertUnreachable(told!.Bytes, "10.99.128.2");

        // After a rest it is tried again.
        int asked = _services.Asked;
        _time.Advance(TimeSpan.FromSeconds(2));
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 3));
        await UntilAsync(() => _services.Asked > asked);
    }

    [Fact]
    public async Task A_silent_service_is_let_go_with_its_address()
    {
        _services.Reached.SetResult();
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 1));
        await UntilAsync(() => _services.Sent.Count == 1);
        _time.Advance(TimeSpan.FromSeconds(100));
        _services.Handler!(Echo("192.0.0.1", "192.0.0.2", 1)); // not silent
        _time.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(1, _door.Services);
        _time.Advance(TimeSpan.FromSeconds(60));
        await UntilAsync(() => _door.Services == 0 && _services.Ended == 1);
        Assert.Throws<ArgumentException>(() => _map.Release(MappedLab.Key(1))); // nobody holds it any more
    }

    [Fact]
    public async Task Packets_with_another_source_do_not_leave()
    {
        _services.Reached.SetResult();
        _tun.SystemSends(Echo("192.0.2.2", "10.99.128.2", 1));
        _tun.SystemSends(Echo("10.99.128.1", "10.99.128.2", 2));
        await UntilAsync(() => _services.Sent.Count == 1);
        Assert.Equal(1, _drops[DropReason.TunnelAddress]);
    }

    private static byte[] Echo(string from, string to, byte mark)
    {
        byte[] packet = new byte[29];
        packet[0] = 0x45;
        packet[3] = 29;
        (packet[8], packet[9], packet[20], packet[28]) = (64, 1, 8, mark);
        IPAddress.Parse(from).TryWriteBytes(packet.AsSpan(12), out _);
        IPAddress.Parse(to).TryWriteBytes(packet.AsSpan(16), out _);
        Sum(packet.AsSpan(0, 20), 10);
        Sum(packet.AsSpan(20), 2);
        return packet;
    }

    private static void Sum(Span<byte> bytes, int at)
    {
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i += 2) sum += (uint)(bytes[i] << 8 | (i + 1 < bytes.Length ? bytes[i + 1] : 0));
        while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
        (bytes[at], bytes[at + 1]) = ((byte)(~sum >> 8), (byte)~sum);
    }

    private static (string From, string To, byte Mark) Read(ReadOnlySpan<byte> packet)
    {
        Assert.Equal(DropReason.None, IpClassifier.Read(packet, out _)); // its header's checksum is right
        return (new IPAddress(packet[12..16]).ToString(), new IPAddress(packet[16..20]).ToString(), packet[28]);
    }

    private static void AssertUnreachable(ReadOnlySpan<byte> packet, string from)
    {
        Assert.Equal((from, "10.99.128.1"), (new IPAddress(packet[12..16]).ToString(), new IPAddress(packet[16..20]).ToString()));
        Assert.Equal((3, 1), (packet[20], packet[21])); // host unreachable
        Assert.Equal(from, new IPAddress(packet[44..48]).ToString()); // about what the program sent, as it sent it
    }

    private async Task<TunPacket> WrittenAsync()
    {
        TunPacket? packet = null;
        await UntilAsync(() => _tun.TryTakeWritten(out packet!));
        return packet!;
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var watch = Stopwatch.StartNew(); !condition(); await Task.Delay(10, TestContext.Current.CancellationToken)) Assert.True(watch.Elapsed < Patience); // the door's thread tells nobody
    }

    private sealed class Services : IServicePackets
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ConcurrentQueue<byte[]> Sent { get; } = new();

        public ServicePacketHandler? Handler { get; private set; }

        public int Asked { get; private set; }

        public int Ended { get; private set; }

        public async ValueTask<IPacketExchange> ExchangeAsync(ServiceAddress service, ServicePacketHandler handler, CancellationToken cancel)
        {
            Asked++;
            await Reached.Task.WaitAsync(cancel);
            Handler = handler;
            return new Exchange(this);
        }

        private sealed class Exchange(Services owner) : IPacketExchange
        {
            public bool TrySend(ReadOnlySpan<byte> packet)
            {
                owner.Sent.Enqueue(packet.ToArray());
                return true;
            }

            public ValueTask DisposeAsync()
            {
                owner.Ended++;
                return ValueTask.CompletedTask;
            }
        }
    }
}
