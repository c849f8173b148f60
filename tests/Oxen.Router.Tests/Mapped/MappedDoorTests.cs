using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Mapped;
using Oxen.Testing;

namespace Oxen.Router.Tests.Mapped;

// In namespaces of their own, with the kernel's own rules. Need root and nft.
[SupportedOSPlatform("linux")]
public sealed class MappedDoorTests
{
    [Fact]
    public async Task A_connection_to_a_mapped_address_reaches_its_service_over_both_families_and_at_its_port()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1), two = lab.Map(2);
        await lab.EchoAsync(one.IPv4!, "hello");
        await lab.EchoAsync(one.IPv6!, "hello six");
        await lab.EchoAsync(two.IPv4!, "another");
        await lab.EchoAsync(two.IPv6!, new('x', 1 << 20));
        Assert.Equal([Address(1), Address(1), Address(2), Address(2)], lab.Services.Asked.Select(a => a.Service));
        Assert.All(lab.Services.Asked, a => Assert.Equal((a.Service.ToString(), (ushort)7), (a.Host, a.Port)));
        Assert.Equal(4, lab.Dns.Counters[DnsCount.Connected]);
        Assert.Equal(0, lab.Seen());
    }

    [Fact]
    public async Task An_address_is_held_as_long_as_a_connection_to_it_is_open()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1);
        using Socket socket = lab.Socket(AddressFamily.InterNetwork);
        await socket.ConnectAsync(new IPEndPoint(one.IPv4!, 7), TestContext.Current.CancellationToken);
        await socket.SendAsync("x"u8.ToArray());
        Assert.Equal(1, await socket.ReceiveAsync(new byte[1]));
        lab.Dns.Map.Release(MappedLab.Key(1)); // one hold was there, and no more
        Assert.Throws<ArgumentException>(() => lab.Dns.Map.Release(MappedLab.Key(1)));
        Assert.True(lab.Dns.Map.TryHold(UdpAddress.From(new IPEndPoint(one.IPv4!, 0)), out _)); // as it was
        socket.Dispose();
        await UntilAsync(() => lab.Door.Connections == 0);
        Assert.Throws<ArgumentException>(() => lab.Dns.Map.Release(MappedLab.Key(1)));
    }

    [Fact]
    public async Task What_is_not_there_is_a_reset_and_not_a_silence()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1), two = lab.Map(2);
        lab.Services.Unreachable = Address(2);
        Assert.Equal("", await lab.SayAsync(one.IPv4!, 25, "a port that it does not serve"));
        Assert.Equal("", await lab.SayAsync(two.IPv4!, 7, "a service that is not reached"));
        Assert.Equal("", await lab.SayAsync(two.IPv6!, 7, "a service that is not reached"));
        Assert.Equal("", await lab.SayAsync(IPAddress.Parse("10.99.200.200"), 7, "an address that stands for nothing"));
        Assert.Equal("", await lab.SayAsync(IPAddress.Parse("fd6f:7865:6e00:3::abcd"), 7, "an address that stands for nothing"));
        Assert.Equal(3, lab.Dns.Counters[DnsCount.ServiceNotReached]);
        Assert.Equal(2, lab.Dns.Counters[DnsCount.NothingMapped]);
        Assert.Equal(3, lab.Services.Asked.Count);

        // The door itself is no way around the map.
        Assert.Equal("", await lab.SayAsync(IPAddress.Loopback, (ushort)lab.Door.PortIPv4!.Value, "hello"));
        Assert.Equal(3, lab.Dns.Counters[DnsCount.NothingMapped]);
        Assert.Equal(0, lab.Seen());
    }

    [Fact]
    public async Task A_router_has_an_address_and_takes_no_connections()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        Assert.True(lab.Dns.Map.TryAssign(new OnionAddress(OnionKind.Router, MappedLab.Key(1).Key()), out MappedAddresses router));
        Assert.Equal("", await lab.SayAsync(router.IPv4!, 80, "hello"));
        Assert.Equal(1, lab.Dns.Counters[DnsCount.NoConnections]);
    }

    [Fact]
    public async Task Datagrams_find_their_service_and_their_way_back()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1);
        foreach (IPAddress address in new[] { one.IPv4!, one.IPv6! })
        {
            using Socket udp = Udp(lab, address), other = Udp(lab, address);
            await udp.ConnectAsync(new IPEndPoint(address, 53), TestContext.Current.CancellationToken);
            await other.ConnectAsync(new IPEndPoint(address, 53), TestContext.Current.CancellationToken);
            for (int i = 0; i < 5; i++) Assert.Equal($"53:word {i}", await SayAsync(udp, $"word {i}"));
            Assert.Equal("53:another program", await SayAsync(other, "another program"));
        }

        Assert.Equal(4, lab.Door.Flows);
        Assert.Equal(0, lab.Seen());
    }

    [Fact]
    public async Task What_no_service_takes_is_refused_and_not_a_silence()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1), two = lab.Map(2);
        lab.Services.Unreachable = Address(2);
        foreach (IPAddress address in new[] { two.IPv4!, two.IPv6!, IPAddress.Parse("10.99.200.200"), IPAddress.Parse("fd6f:7865:6e00:3::abcd") })
        {
            using Socket udp = Udp(lab, address);
            await udp.ConnectAsync(new IPEndPoint(address, 53), TestContext.Current.CancellationToken);
            SocketException refused = await Assert.ThrowsAsync<SocketException>(() => SayAsync(udp, "hello"));
            Assert.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode);
        }

        Assert.NotEqual(0, NetworkLab.TryShell(lab.Machine, $"ping -c 1 -W 20 {one.IPv4}").Code);
        Assert.NotEqual(0, NetworkLab.TryShell(lab.Machine, $"ping -c 1 -W 20 {one.IPv6}").Code);
        Assert.Equal(0, lab.Seen());
    }

    private static Socket Udp(MappedLab lab, IPAddress address) => lab.Inside(() => new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp));

    private static async Task<string> SayAsync(Socket udp, string text)
    {
        byte[] answer = new byte[2000];
        await udp.SendAsync(Encoding.ASCII.GetBytes(text));
        int length = await udp.ReceiveAsync(answer).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        return Encoding.ASCII.GetString(answer, 0, length);
    }

    [Fact]
    public async Task After_a_kill_programs_are_refused_at_once_and_nothing_leaves()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1);
        Assert.Equal("x", await lab.SayAsync(one.IPv4!, 7, "x"));
        await lab.Door.DisposeAsync(); // the kernel closes a killed process's sockets; routes and rules stay
        Assert.Equal("", await lab.SayAsync(one.IPv4!, 7, "x"));
        Assert.Equal("", await lab.SayAsync(one.IPv6!, 7, "x"));

        // Not even if somebody takes the routes away.
        NetworkLab.Shell(lab.Machine, "ip route del local 10.99.0.0/16 table local; ip -6 route del local fd6f:7865:6e00:3::/64 table local");
        foreach (IPAddress address in new[] { one.IPv4!, one.IPv6! })
        {
            using Socket socket = lab.Socket(address.AddressFamily);
            await Assert.ThrowsAnyAsync<SocketException>(async () => await socket.ConnectAsync(new IPEndPoint(address, 7), TestContext.Current.CancellationToken));
            NetworkLab.TryShell(lab.Machine, $"ping -c 1 -W 1 {address}");
        }

        Assert.Equal(0, lab.Seen());
    }

    [Fact]
    public async Task Others_reach_nothing_by_mapped_addresses_and_cannot_pretend_to_have_one()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        MappedAddresses one = lab.Map(1);
        using var listener = lab.Inside(() =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Any, 7));
            socket.Listen();
            return socket;
        });
        NetworkLab.Shell(lab.Neighbour, "ip route add 10.99.0.0/16 via 192.0.2.2; ip address add 10.99.0.77/32 dev lo");
        Assert.NotEqual(0, NetworkLab.TryShell(lab.Neighbour, $"curl -s -m 2 http://{one.IPv4}:7/").Code);
        Assert.NotEqual(0, NetworkLab.TryShell(lab.Neighbour, "ping -c 1 -W 1 -I 10.99.0.77 192.0.2.2").Code);
        Assert.Empty(lab.Services.Asked);
        string rules = NetworkLab.Shell(lab.Machine, $"nft list table inet {MappedRules.Table}");
        Assert.Contains("counter packets 1 ", rules.Split('\n').First(l => l.Contains("ip saddr", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.DoesNotContain("counter packets 0 ", rules.Split('\n').First(l => l.Contains("ip daddr", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_leaves_nothing_and_a_kills_left_overs_are_replaced()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        ExitNatException taken = Assert.Throws<ExitNatException>(() => lab.NewRules());
        Assert.Equal(ExitNatFault.NameTaken, taken.Fault);
        Assert.False(lab.Rules!.Recovered);
        lab.CloseRules();
        Assert.Equal("", State(lab));

        // As a kill leaves it: claim let go of, routes and rules there.
        File.WriteAllText(Directory.GetFiles(lab.Directory, "mapped-*").Single(), $"oxen mapped 1\n{UndoJournal.Boot()}\n10.123.0.0/16\n10.99.0.0/16\n");
        NetworkLab.Shell(lab.Machine, $"ip route add local 10.123.0.0/16 dev lo proto 111; ip route add local 10.99.0.0/16 dev lo proto 111 src 127.0.0.1; nft add table inet {MappedRules.Table}");
        lab.OpenRules();
        Assert.True(lab.Rules!.Recovered);
        Assert.DoesNotContain("10.123.", State(lab), StringComparison.Ordinal);
        Assert.Equal("x", await lab.SayAsync(lab.Map(1).IPv4!, 7, "x"));
        lab.CloseRules();
        Assert.Equal("", State(lab));
    }

    [Fact]
    public async Task Curl_opens_a_page_by_its_name()
    {
        await using MappedLab lab = await MappedLab.StartAsync();
        Assert.SkipWhen(NetworkLab.TryShell(lab.Machine, "curl --version").Code != 0, "curl is not installed");
        string etc = Path.Combine("/etc/netns", lab.Machine);
        Directory.CreateDirectory(etc);
        try
        {
            File.WriteAllText(Path.Combine(etc, "resolv.conf"), "nameserver 127.0.0.1\n");
            Assert.Equal($"This is {Address(5)}.\n", NetworkLab.Shell(lab.Machine, $"curl -sS -m 60 http://{Address(5)}/"));
            Assert.Equal($"This is {Address(5)}.\n", NetworkLab.Shell(lab.Machine, $"curl -sS -6 -m 60 http://www.{Address(5)}/"));
            (int code, string output) = NetworkLab.TryShell(lab.Machine, "curl -sS -m 60 http://nobody.loki/");
            Assert.True(code == 6, output); // could not resolve
        }
        finally
        {
            Directory.Delete(etc, recursive: true);
        }

        Assert.Equal(0, lab.Seen());
    }

    private static ServiceAddress Address(byte service)
    {
        Assert.True(ServiceAddress.TryFrom(MappedLab.Key(service).Key(), out ServiceAddress address));
        return address;
    }

    private static string State(MappedLab lab) => NetworkLab.Shell(lab.Machine, "ip route show table local proto 111; ip -6 route show table local proto 111; nft list tables").Trim();

    private static async Task UntilAsync(Func<bool> condition)
    {
        for (var watch = Stopwatch.StartNew(); !condition(); await Task.Delay(10)) Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60));
    }
}
