using System.Globalization;
using System.Net.Sockets;
using Oxen.Router.Native.Linux;
using Oxen.Testing;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>
/// A network namespace for each of three etcds and one in their middle: their packets to each other pass through it, and who writes into them sits
/// there. So a member can be cut off from the others and still be reached from the middle, or lose its cable and be reached by nobody. Needs root and nft.
/// </summary>
internal sealed class EtcdNetwork : IDisposable
{
    private readonly NetworkLab _lab = new();
    private readonly string _middle;
    private readonly string[] _spaces = new string[3];

    public EtcdNetwork()
    {
        _middle = _lab.Add("mid");
        NetworkLab.Shell(_middle, "echo 1 > /proc/sys/net/ipv4/ip_forward");
        for (int member = 0; member < _spaces.Length; member++)
        {
            _spaces[member] = _lab.Add(string.Create(CultureInfo.InvariantCulture, $"m{member}"));
            NetworkLab.Join(_middle, Cable(member), _spaces[member], "eth0");
            NetworkLab.Shell(_middle, $"ip address add {Net(member)}.1/24 dev {Cable(member)}");
            NetworkLab.Shell(_spaces[member], $"ip address add {Net(member)}.2/24 dev eth0; ip route add default via {Net(member)}.1");
        }
    }

    /// <summary>Why there can be none here, or null.</summary>
    public static string? Missing => NetworkLab.Missing ?? (Servers.Find("nft") is null && !File.Exists("/usr/sbin/nft") ? "nft is not installed" : null);

    public static string AddressOf(int member) => Net(member) + ".2";

    public string SpaceOf(int member) => _spaces[member];

    /// <summary>Connections from the middle.</summary>
    public HttpMessageHandler Handler() => new SocketsHttpHandler
    {
        ConnectCallback = async (to, cancel) =>
        {
            Socket socket = LinuxNamespace.Run(_middle, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
            try
            {
                await socket.ConnectAsync(to.DnsEndPoint, cancel);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    };

    /// <summary>What goes between these members and anybody but the middle is dropped without a word.</summary>
    public void Cut(params int[] members)
    {
        string rules = string.Join(' ', members.Select(m => $"iifname {Cable(m)} drop; oifname {Cable(m)} drop;"));
        NetworkLab.Shell(_middle, $"nft 'table ip cut {{ chain forward {{ type filter hook forward priority 0; policy accept; {rules} }}; }}'");
    }

    public void Mend() => NetworkLab.Shell(_middle, "nft delete table ip cut");

    public void Unplug(int member) => NetworkLab.Shell(_middle, $"ip link set {Cable(member)} down");

    public void Plug(int member) => NetworkLab.Shell(_middle, $"ip link set {Cable(member)} up");

    public void Dispose() => _lab.Dispose();

    private static string Net(int member) => string.Create(CultureInfo.InvariantCulture, $"10.98.{member}");

    private static string Cable(int member) => string.Create(CultureInfo.InvariantCulture, $"cable{member}");
}
