using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using Oxen.Router.Exit;
using Oxen.Router.Native.Linux;
using Oxen.Testing;

namespace Oxen.Router.Tests.Exit;

// client 10.97.0.2 --- oxenx0 [exit] up0 --- world 11.0.0.2
//                             [exit] lan0 -- neighbour 12.0.0.2
//
// A cable stands where the tunnel's interface would be: the rules know it by its name alone.

/// <summary>The exit's rules and switches in real namespaces, with real connections.</summary>
[SupportedOSPlatform("linux")]
public sealed class ExitNatTests : IDisposable
{
    private const string Settings = """
        cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding
        for f in /proc/sys/net/ipv[46]/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra /proc/sys/net/ipv4/conf/*/accept_redirects; do echo $f $(cat $f); done
        """;

    private readonly NetworkLab _lab = new();
    private readonly string _journal = Path.Combine(Path.GetTempPath(), $"oxen-undo-{Guid.NewGuid():N}");
    private string _exit = "", _client = "", _world = "", _neighbour = "";

    public void Dispose()
    {
        _lab.Dispose();
        if (Directory.Exists(_journal)) Directory.Delete(_journal, recursive: true);
    }

    private ExitNatOptions Options(string tun = "oxenx0") => new()
    {
        Tun = tun,
        Pool4 = IPNetwork.Parse("10.97.0.0/16"),
        Pool6 = IPNetwork.Parse("fd6f:7865:6e00:1::/64"),
        Connections = 3,
        JournalDirectories = [_journal],
    };

    private string[] Journals => Directory.Exists(_journal) ? Directory.GetFiles(_journal, "*.undo*") : [];

    private string State() => NetworkLab.Shell(_exit, Settings + "\nnft list ruleset");

    private ExitNat Open(ExitNatOptions options) => LinuxNamespace.Run(_exit, () => ExitNat.Open(options));

    private void Close(ExitNat nat) => LinuxNamespace.Run(_exit, () =>
    {
        nat.Close();
        return 0;
    });

    private void Machine()
    {
        Need();
        _exit = _lab.Add("exit");
        NetworkLab.Shell(_exit, "nft add table inet theirs; nft add chain inet theirs forward '{ type filter hook forward priority 0; policy accept; }'");
    }

    private void Network()
    {
        Machine();
        _client = _lab.Add("client");
        _world = _lab.Add("world");
        _neighbour = _lab.Add("lan");
        NetworkLab.Join(_exit, "oxenx0", _client, "in0");
        NetworkLab.Join(_exit, "up0", _world, "up0");
        NetworkLab.Join(_exit, "lan0", _neighbour, "lan0");

        // A tunnel's interface has no neighbours to look for; here they are known.
        NetworkLab.Shell(_exit, "ip link set oxenx0 address 02:00:00:00:00:01; ip neigh add fd6f:7865:6e00:1::2 lladdr 02:00:00:00:00:02 dev oxenx0");
        NetworkLab.Shell(_client, "ip link set in0 address 02:00:00:00:00:02; ip neigh add fd6f:7865:6e00:1::1 lladdr 02:00:00:00:00:01 dev in0");
        NetworkLab.Shell(_exit, """
            ip address add 10.97.0.1/16 dev oxenx0; ip address add 11.0.0.1/24 dev up0; ip address add 12.0.0.1/24 dev lan0
            ip address add fd6f:7865:6e00:1::1/64 dev oxenx0 nodad; ip address add 2600:11::1/64 dev up0 nodad
            """);
        NetworkLab.Shell(_client, "ip address add 10.97.0.2/16 dev in0; ip address add 10.97.0.3/16 dev in0; ip address add fd6f:7865:6e00:1::2/64 dev in0 nodad; ip route add default via 10.97.0.1; ip -6 route add default via fd6f:7865:6e00:1::1");
        NetworkLab.Shell(_world, "ip address add 11.0.0.2/24 dev up0; ip address add 2600:11::2/64 dev up0 nodad; ip route add default via 11.0.0.1; ip -6 route add default via 2600:11::1");
        NetworkLab.Shell(_neighbour, "ip address add 12.0.0.2/24 dev lan0; ip route add default via 12.0.0.1");
    }

    [Fact]
    public void It_stands_while_the_exit_lives_and_nothing_is_left_after()
    {
        Machine();
        NetworkLab.Shell(_exit, "ip link add card0 type veth peer name card1; echo 1 > /proc/sys/net/ipv4/conf/card0/forwarding; echo 0 > /proc/sys/net/ipv4/conf/all/accept_redirects; echo 2 > /proc/sys/net/ipv6/conf/card0/accept_ra");
        string before = State();
        ExitNat nat = Open(Options());
        Assert.True(nat.HasIPv6);
        Assert.False(nat.Recovered);
        string now = State();
        Assert.StartsWith("1\n1\n", now);
        Assert.Contains("/card1/accept_ra 2\n", now); // its router would be forgotten otherwise
        Assert.Contains("table inet oxen_oxenx0 {", now);
        Assert.Contains("table ip oxen {", now);
        Assert.Contains("table ip6 oxen {", now);
        Assert.Contains("table inet theirs {", now);
        Assert.Single(Journals);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Journals[0]));
        Close(nat);
        Assert.Equal(before, State());
        Assert.Empty(Journals);
    }

    [Fact]
    public void A_machine_that_forwards_already_keeps_its_switches_and_its_neighbours()
    {
        Network();
        NetworkLab.Shell(_exit, "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        string before = State();
        ExitNat nat = Open(Options());
        Assert.DoesNotContain("table ip oxen ", State());
        Assert.Equal(0, NetworkLab.TryShell(_neighbour, "ping -c1 -W2 -q 11.0.0.2").Code);
        Close(nat);
        Assert.Equal(before, State());
    }

    [Fact]
    public void What_clients_begin_goes_out_with_the_exits_address_and_nothing_else_is_forwarded()
    {
        Network();
        ExitNat nat = Open(Options());
        Assert.Equal("11.0.0.1", SeenFrom("11.0.0.2"));
        Assert.Equal("2600:11::1", SeenFrom("2600:11::2"));
        Assert.Equal(0, NetworkLab.TryShell(_client, "ping -c1 -W2 -q 11.0.0.2").Code);
        Assert.Equal(0, NetworkLab.TryShell(_client, "ping -c1 -W2 -q 2600:11::2").Code);

        // To the exit itself, from outside to a client, back into the tunnel, between others.
        Parallel.ForEach(new[] { (_client, "10.97.0.1"), (_client, "11.0.0.1"), (_client, "12.0.0.1"), (_client, "2600:11::1"), (_client, "fd6f:7865:6e00:1::1"), (_world, "10.97.0.2"), (_world, "fd6f:7865:6e00:1::2"), (_neighbour, "11.0.0.2"), (_world, "12.0.0.2") }, way =>
        {
            (string from, string to) = way;
            Assert.True(NetworkLab.TryShell(from, $"ping -c1 -W1 -q {to}").Code != 0, $"{from} reached {to}");
        });

        NetworkLab.Shell(_client, "ip route add 10.97.9.9/32 via 10.97.0.1");
        NetworkLab.Shell(_exit, "ip route add 10.97.9.9/32 via 10.97.0.2 dev oxenx0; ip neigh replace 10.97.9.9 lladdr 02:00:00:00:00:09 dev oxenx0");
        Assert.NotEqual(0, NetworkLab.TryShell(_client, "ping -c1 -W1 -q 10.97.9.9").Code);
        Assert.Matches("oifname \"oxenx0\" counter packets [1-9]", State());

        // A source that is not the pool's.
        NetworkLab.Shell(_client, "ip address add 10.5.5.5/32 dev in0");
        NetworkLab.Shell(_exit, "ip route add 10.5.5.5/32 dev oxenx0");
        Assert.NotEqual(0, NetworkLab.TryShell(_client, "ping -c1 -W1 -q -I 10.5.5.5 11.0.0.2").Code);
        Close(nat);
    }

    [Theory]
    [InlineData("11.0.0.2", "10.97.0.2")]
    [InlineData("2600:11::2", "fd6f:7865:6e00:1::2")]
    public void One_connection_more_than_allowed_is_refused_and_a_place_that_is_free_again_is_given(string world, string inner)
    {
        Network();
        ExitNat nat = Open(Options());
        var address = IPAddress.Parse(world);
        Socket listener = Listen(address);
        var open = new List<Socket>();
        for (int i = 0; i < 3; i++) open.Add(Connect(listener, inner));
        SocketException refused = Assert.Throws<SocketException>(() => Connect(listener, inner));
        Assert.Contains(refused.SocketErrorCode, new[] { SocketError.HostUnreachable, SocketError.AccessDenied });
        if (address.AddressFamily == AddressFamily.InterNetwork) Connect(listener, "10.97.0.3").Dispose(); // another address has its own
        open[0].LingerState = new LingerOption(true, 0); // a reset: the kernel forgets it at once
        open[0].Dispose();
        open.Add(Connect(listener, inner));
        foreach (Socket s in open) s.Dispose();
        listener.Dispose();
        Close(nat);
    }

    [Fact]
    public void The_first_of_two_exits_that_ends_leaves_forwarding_to_the_other()
    {
        Machine();
        string before = State();
        ExitNat one = Open(Options("oxenx0")), two = Open(Options("oxenx1"));
        Assert.Contains("{ \"oxenx0\", \"oxenx1\" }", State());
        ExitNatException taken = Assert.Throws<ExitNatException>(() => Open(Options("oxenx0")));
        Assert.Equal(ExitNatFault.NameTaken, taken.Fault);
        Close(one);
        string now = State();
        Assert.StartsWith("1\n1\n", now);
        Assert.DoesNotContain("oxenx0", now);
        Assert.Contains("iifname != \"oxenx1\"", now);
        Close(two);
        Assert.Equal(before, State());
        Assert.Empty(Journals);
    }

    [Fact]
    public void What_killed_exits_left_is_taken_back_at_the_next_start_and_a_living_one_is_spared()
    {
        Machine();
        string before = State();
        Open(Options("oxenx0"));
        Open(Options("oxenx1"));
        Open(Options("oxenx2"));

        // As after kill -9: the process of that number is another one.
        string journal = Journals[0];
        string[] lines = File.ReadAllLines(journal);
        File.WriteAllLines(journal, lines.Select(l => l.StartsWith("owner oxenx0", StringComparison.Ordinal) ? "owner oxenx0 inet 1 4" : l.StartsWith("owner oxenx1", StringComparison.Ordinal) ? "owner oxenx1 inet 4194305 1" : l));
        Assert.True(LinuxNamespace.Run(_exit, () => ExitNat.Recover([_journal])));
        Assert.DoesNotContain("oxenx0", State());
        Assert.Contains("table inet oxen_oxenx2", State());
        Assert.StartsWith("1\n1\n", State());
        File.WriteAllLines(journal, File.ReadAllLines(journal).Select(l => l.StartsWith("owner ", StringComparison.Ordinal) ? "owner oxenx2 inet 4194305 1" : l));
        ExitNat next = Open(Options("oxenx2"));
        Assert.True(next.Recovered);
        Assert.StartsWith("1\n1\n", State());
        Close(next);
        Assert.Equal(before, State());
        Assert.Empty(Journals);
        Assert.False(LinuxNamespace.Run(_exit, () => ExitNat.Recover([_journal])));
    }

    [Fact]
    public void A_switch_that_somebody_else_turned_meanwhile_stays_as_it_is()
    {
        Machine();
        ExitNat nat = Open(Options());
        NetworkLab.Shell(_exit, "echo 0 > /proc/sys/net/ipv6/conf/default/accept_ra");
        Close(nat);
        Assert.Contains("ipv6/conf/default/accept_ra 0", State());
    }

    [Theory]
    [InlineData("oxen exit undo 1\nboot 00000000-0000-0000-0000-000000000000\n")]
    [InlineData("garbage")]
    [InlineData("")]
    [InlineData("SAME\nset ../../kernel/panic 1 2\nset ipv4/conf/../../../kernel/panic 7\nowner a b\nset\n\0\n")]
    public void A_journal_of_another_boot_or_with_strange_lines_undoes_nothing_strange(string text)
    {
        Machine();
        string before = State();
        ExitNat nat = Open(Options());
        string journal = Journals[0];
        Close(nat);
        ExitNat again = Open(Options());
        string head = string.Join('\n', File.ReadAllLines(journal).Take(3));
        Close(again);
        File.WriteAllText(journal, text.Replace("SAME", head, StringComparison.Ordinal));
        LinuxNamespace.Run(_exit, () => ExitNat.Recover([_journal]));
        Close(Open(Options()));
        Assert.Equal(before, State());
    }

    [Fact]
    public void Where_the_first_directory_cannot_be_written_the_next_one_is_taken()
    {
        Machine();
        string file = Path.GetTempFileName(); // no directory
        ExitNat nat = Open(Options() with { JournalDirectories = [Path.Combine(file, "x"), _journal] });
        Assert.Single(Journals);
        Close(nat);
        ExitNatException nowhere = Assert.Throws<ExitNatException>(() => Open(Options() with { JournalDirectories = [Path.Combine(file, "x")] }));
        Assert.Equal(ExitNatFault.NoJournal, nowhere.Fault);
        File.Delete(file);
    }

    [Fact]
    public void Without_IPv6_there_are_rules_for_IPv4_alone()
    {
        Machine();
        NetworkLab.Shell(_exit, "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
        string before = State();
        ExitNat nat = Open(Options());
        Assert.False(nat.HasIPv6);
        string now = State();
        Assert.StartsWith("1\n0\n", now);
        Assert.Contains("table ip oxen_oxenx0 {", now);
        Assert.DoesNotContain("ip6", now);
        Close(nat);
        Assert.Equal(before, State());
    }

    [Fact]
    public void Several_that_begin_and_end_at_one_time_do_not_disturb_each_other()
    {
        Machine();
        string before = State();
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i =>
        {
            for (int round = 0; round < 3; round++) Close(Open(Options($"oxenx{i}")));
        });
        Assert.Equal(before, State());
        Assert.Empty(Journals);
    }

    private static void Need()
    {
        if (NetworkLab.Missing is { } missing) Assert.Skip(missing);
        Assert.SkipUnless(File.Exists("/usr/sbin/nft"), "nft(8) is not installed");
    }

    private Socket Listen(IPAddress address) => LinuxNamespace.Run(_world, () =>
    {
        var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen();
        return listener;
    });

    private Socket Connect(Socket listener, string from) => LinuxNamespace.Run(_client, () =>
    {
        var socket = new Socket(listener.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
        socket.Connect(listener.LocalEndPoint!);
        return socket;
    });

    private string SeenFrom(string world)
    {
        using Socket listener = Listen(IPAddress.Parse(world));
        using Socket socket = Connect(listener, world.Contains(':', StringComparison.Ordinal) ? "fd6f:7865:6e00:1::2" : "10.97.0.2");
        using Socket accepted = listener.Accept();
        return ((IPEndPoint)accepted.RemoteEndPoint!).Address.ToString();
    }
}
