using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Running;

// A tunnel that the machine does not allow: `oxen run` says what is missing and what to do, and leaves nothing behind. In
// namespaces of their own.
public sealed class RunTunnelRefusalTests : IDisposable
{
    private readonly TestFiles _files = new();
    private readonly NetworkLab? _lab = NetworkLab.Missing is null ? new NetworkLab() : null;

    [Fact]
    public async Task A_taken_name()
    {
        string space = await BeginAsync();
        NetworkLab.Shell(space, "ip link add oxen0 type veth peer name other0");
        Refused(space, "", "OXN3012", "an interface named oxen0 exists already", "ip -d link show oxen0");
    }

    [Fact]
    public async Task No_tun_device()
    {
        string space = await BeginAsync();
        Refused(space, "unshare -m sh -c 'mount -t tmpfs none /dev/net && exec \"$0\" \"$@\"' ", "OXN3010", "/dev/net/tun does not exist", "modprobe tun");
    }

    [Fact]
    public async Task Without_the_capability()
    {
        string space = await BeginAsync();
        Refused(space, "setpriv --bounding-set=-net_admin --inh-caps=-net_admin ", "OXN3011", "oxen0", "cap_net_admin");
    }

    [Fact]
    public async Task An_exit_whose_interface_is_taken_leaves_no_tables_and_no_forwarding()
    {
        string space = await BeginAsync();
        Assert.SkipWhen(NetworkLab.TryShell(space, "nft list tables").Code != 0, "nft is not installed");
        NetworkLab.Shell(space, "ip link set lo up; ip link add oxenx0 type veth peer name other0");
        Refused(space, "", "OXN3012", "an interface named oxenx0 exists already", "choose another", "exit");
        Assert.Equal("", NetworkLab.Shell(space, "nft list tables").Trim());
        Assert.Equal("0", NetworkLab.Shell(space, "cat /proc/sys/net/ipv4/ip_forward").Trim());
    }

    public void Dispose()
    {
        _lab?.Dispose();
        _files.Dispose();
    }

    private async Task<string> BeginAsync()
    {
        Assert.SkipWhen(NetworkLab.Missing is not null, NetworkLab.Missing ?? "");
        _files.AddRelay("exit", 41, exit: true, more: "\n[exit]\ntunnel = true\n");
        await _files.SignAsync("exit");
        _files.AddClient("client", 4, socks: "off", more: "\n[tun]\n");
        return _lab!.Add("machine");
    }

    private void Refused(string space, string wrapper, string code, string says, string remedy, string who = "client")
    {
        (int exit, string output) = NetworkLab.TryShell(space, $"{wrapper}{OxenProcess.Program} run --config {_files.ConfigFile(who)} 2>&1");
        Assert.Contains(code, output, StringComparison.Ordinal);
        Assert.Contains(says, output, StringComparison.Ordinal);
        Assert.Contains(remedy, output, StringComparison.Ordinal);
        Assert.DoesNotContain("ready", output.Split('\n'));
        Assert.Equal(3, exit);
        Assert.DoesNotContain("proto 111", NetworkLab.Shell(space, "ip rule; ip -6 rule"), StringComparison.Ordinal);
    }
}
