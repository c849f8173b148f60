using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using Oxen.Router.Dns;
using Oxen.Router.Exit;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Mapped;

// Where packets to mapped addresses go, in the namespace of the calling thread:
//
//   routes   the ranges are this machine's own addresses (RTN_LOCAL on lo): what is sent to them never reaches a cable,
//            a tunnel or a default route, whatever other tables say
//   table    `oxen_mapped`:
//              pre    from other interfaces: dropped, to the ranges and from them
//                     TCP and UDP: given to the door's listeners, whatever the port; no listener, no verdict
//              input  what the door took: let in; the rest: TCP is reset, all else "administratively prohibited"
//              out    should the routes be gone: nothing to or from the ranges leaves by another interface than lo
//            with an interface for packets (PacketDoor), which has the upper half of each range:
//              it is let through like lo, and by it comes only what answers packets of this machine
//
// Neither needs this process: after a kill both stand, no listener is found, and programs are refused at once. The next start
// takes them back, or replaces them.

/// <summary>Routes and rules that lead connections to mapped addresses to <see cref="MappedDoor"/>. Disposing takes them back.</summary>
[SupportedOSPlatform("linux")]
internal sealed class MappedRules : IDisposable
{
    public const string Table = "oxen_mapped";
    private const string Head = "oxen mapped 1";

    private readonly FileStream _claim;
    private readonly Netlink _netlink = new();
    private readonly List<IPNetwork> _routes = [];
    private readonly bool _six;
    private bool _closed;

    private MappedRules(FileStream claim, bool six)
    {
        _claim = claim;
        _six = six;
    }

    /// <summary>A killed process had left routes and rules; they were replaced.</summary>
    public bool Recovered { get; private set; }

    /// <param name="map">Says the ranges.</param>
    /// <param name="port4">The port that the door listens on at 127.0.0.1; null: on none, and connections are refused.</param>
    /// <param name="port6">The same at ::1.</param>
    /// <param name="mark">For packets that the door takes; nobody else is to use it.</param>
    /// <param name="directory">Where the claim is written down, so that two clients do not share one table.</param>
    /// <param name="packets">Name of the interface that has the upper halves; null: there is none.</param>
    /// <exception cref="ExitNatException">Something is missing or refused, or another client has them; everything done before is undone.</exception>
    public static MappedRules Open(AddressMap map, int? port4, int? port6, uint mark, string directory = ExitNatOptions.DefaultJournal, string? packets = null)
    {
        ArgumentNullException.ThrowIfNull(map);
        RefuseOwnNetworks(map, packets);
        FileStream claim = Claim(directory);
        MappedRules? made = null;
        try
        {
            made = new MappedRules(claim, KernelSetting.HasIPv6Stack);
            foreach (IPNetwork left in Read(claim))
            {
                made.Recovered = true;
                made._netlink.TryRemoveLocalRoute(left);
            }

            IPNetwork? six = made._six ? map.IPv6 : null;
            IPNetwork[] local = [.. new[] { map.IPv4, port6 is null ? null : six }.OfType<IPNetwork>().Select(r => packets is null ? r : new IPNetwork(r.BaseAddress, r.PrefixLength + 1))];
            made.Write(local); // without a port IPv6 is switched off

            // The rules first: without them a connection to a mapped address would meet what listens on all addresses of this machine.
            NftProgram.Apply(Text((map.IPv4, port4), (six, port6), made._six, mark, packets));
            foreach (IPNetwork range in local) made.Route(range, range.BaseAddress.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Loopback : IPAddress.IPv6Loopback);
            return made;
        }
        catch (Exception e)
        {
            if (made is null) claim.Dispose();
            else made.Dispose();
            if (e is TunException tun) throw new ExitNatException(tun.Fault == TunFault.NotPermitted ? ExitNatFault.NotPermitted : tun.Fault == TunFault.RangeTaken ? ExitNatFault.NameTaken : ExitNatFault.Refused, tun.Message, tun);
            throw;
        }
    }

    public void Dispose()
    {
        if (_closed) return;
        _closed = true;
        foreach (IPNetwork route in _routes)
        {
            try
            {
                _netlink.TryRemoveLocalRoute(route);
            }
            catch (TunException)
            {
                // It stays and leads to nobody; the next start takes it away.
            }
        }

        try
        {
            NftProgram.Apply(NatRules.Removal(NatRules.Family(_six), Table));
            Write([]);
        }
        catch (ExitNatException)
        {
            // They stay, and refuse; the next start takes them away.
        }

        _netlink.Dispose();
        _claim.Dispose();
    }

    private void Route(IPNetwork range, IPAddress source)
    {
        _netlink.AddLocalRoute(range, source);
        _routes.Add(range);
    }

    // A whole range is made this machine's own: it must not take addresses away that the machine or its neighbours have.
    private static void RefuseOwnNetworks(AddressMap map, string? packets)
    {
        foreach (UnicastIPAddressInformation own in NetworkInterface.GetAllNetworkInterfaces().Where(i => i.Name != packets).SelectMany(i => i.GetIPProperties().UnicastAddresses))
        {
            foreach (IPNetwork range in new[] { map.IPv4, map.IPv6 }.OfType<IPNetwork>())
            {
                if (range.Contains(own.Address)) throw new ExitNatException(ExitNatFault.NameTaken, $"this machine has the address {own.Address}, which is in the range of mapped addresses {range}");
            }
        }
    }

    /// <summary>The text for nft.</summary>
    internal static string Text((IPNetwork? Range, int? Port) four, (IPNetwork? Range, int? Port) six, bool inet, uint mark, string? packets = null)
    {
        string family = NatRules.Family(inet), refuse = inet ? "reject with icmpx admin-prohibited" : "reject with icmp admin-prohibited";
        string ours = packets is null ? "\"lo\"" : $"{{ \"lo\", \"{packets}\" }}";
        var text = new StringBuilder(NatRules.Removal(family, Table));
        text.Append(CultureInfo.InvariantCulture, $"table {family} {Table} {{\n");
        Chain("pre", "prerouting", "mangle", (ip, to, range, port) => [
            $"iifname != {ours} {ip} daddr {range} counter drop",
            $"iifname != {ours} {ip} saddr {range} counter drop",
            port is null ? "" : string.Create(CultureInfo.InvariantCulture, $"iifname \"lo\" {ip} daddr {range} meta l4proto {{ tcp, udp }} tproxy {ip} to {to}:{port} meta mark set {mark} accept")]);
        Chain("input", "input", "filter", (ip, _, range, _) => [
            packets is null ? "" : $"iifname \"{packets}\" {ip} daddr {range} ct state established,related accept",
            packets is null ? "" : $"iifname \"{packets}\" {ip} daddr {range} counter drop",
            string.Create(CultureInfo.InvariantCulture, $"{ip} daddr {range} meta mark {mark} accept"),
            $"{ip} daddr {range} meta l4proto tcp counter reject with tcp reset",
            $"{ip} daddr {range} counter {refuse}"]);
        Chain("out", "output", "filter", (ip, _, range, _) => [
            $"oifname != {ours} {ip} daddr {range} counter {refuse}",
            $"oifname != {ours} {ip} saddr {range} counter drop"]);
        return text.Append("}\n").ToString();

        void Chain(string name, string hook, string priority, Func<string, string, IPNetwork, int?, string[]> lines)
        {
            text.Append(CultureInfo.InvariantCulture, $"    chain {name} {{\n        type filter hook {hook} priority {priority}; policy accept;\n");
            if (four.Range is { } f) foreach (string line in lines("ip", "127.0.0.1", f, four.Port)) text.Append("        ").Append(line).Append('\n');
            if (six.Range is { } s) foreach (string line in lines("ip6", "[::1]", s, six.Port)) text.Append("        ").Append(line).Append('\n');
            text.Append("    }\n");
        }
    }

    // ---- the claim: one line for each range, locked as long as its owner lives ----

    private static FileStream Claim(string directory)
    {
        string file = Path.Combine(directory, $"mapped-{UndoJournal.Inode()}.undo");
        try
        {
            if (!Directory.Exists(directory)) Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            return new FileStream(file, new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
        }
        catch (IOException e) when (e.HResult is 11 or 35) // EWOULDBLOCK: somebody has it
        {
            throw new ExitNatException(ExitNatFault.NameTaken, "another client of this machine takes the connections to mapped addresses", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ExitNatException(e is UnauthorizedAccessException ? ExitNatFault.NotPermitted : ExitNatFault.NoJournal, $"what is changed cannot be written down in {directory}: {e.Message}", e);
        }
    }

    private static List<IPNetwork> Read(FileStream claim)
    {
        var found = new List<IPNetwork>();
        claim.Position = 0;
        using var reader = new StreamReader(claim, Encoding.ASCII, leaveOpen: true);
        if (reader.ReadLine() != Head || reader.ReadLine() != UndoJournal.Boot()) return found;
        while (reader.ReadLine() is { } line)
        {
            if (IPNetwork.TryParse(line, out IPNetwork range) && range.PrefixLength >= 8) found.Add(range);
        }

        return found;
    }

    private void Write(IEnumerable<IPNetwork> ranges)
    {
        try
        {
            byte[] text = Encoding.ASCII.GetBytes($"{Head}\n{UndoJournal.Boot()}\n{string.Concat(ranges.Select(r => r + "\n"))}");
            _claim.SetLength(0);
            _claim.Position = 0;
            _claim.Write(text);
            _claim.Flush(flushToDisk: true);
        }
        catch (IOException e)
        {
            throw new ExitNatException(ExitNatFault.NoJournal, $"what is changed cannot be written down: {e.Message}", e);
        }
    }
}
