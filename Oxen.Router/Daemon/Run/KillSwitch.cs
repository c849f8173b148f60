using System.Globalization;
using System.Text.RegularExpressions;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;

namespace Oxen.Router.Daemon.Run;

// One table of nft, `oxen_killswitch`, in the namespace of the calling thread. It needs nobody to be alive: it stays when the
// program ends, however it ends, until `oxen killswitch off` or the machine's next start.
//
//   output    to ourselves, into the tunnel, and our own packets (by their mark): out
//             what a network card needs to have an address: neighbours and routers of IPv6, DHCP
//             with the local network allowed: private and link-local addresses, but no name is asked there
//             the rest is refused
//   forward   what this machine passes on for others (containers, guests): into and out of the tunnel alone

/// <summary>Nothing leaves this machine but through the tunnel.</summary>
internal static partial class KillSwitch
{
    public const string Table = "oxen_killswitch";

    private static readonly string[] Families = ["inet", "ip"];

    /// <summary>Sets it, or sets it anew.</summary>
    /// <exception cref="UserException">nft is missing or refuses, with what to do; what was there before stays.</exception>
    public static void Set(TunConfig config)
    {
        try
        {
            NftProgram.Apply(Text(config, KernelSetting.HasIPv6Stack));
        }
        catch (ExitNatException e)
        {
            throw Refused(e);
        }
    }

    /// <summary>False: there was none.</summary>
    /// <exception cref="UserException">nft is missing or refuses.</exception>
    public static bool Remove()
    {
        try
        {
            string[] there = [.. Families.Where(f => NftProgram.Show(f, Table) is not null)];
            NftProgram.Apply(string.Concat(there.Select(f => NatRules.Removal(f, Table))));
            return there.Length > 0;
        }
        catch (ExitNatException e)
        {
            throw Refused(e);
        }
    }

    /// <summary>Packets that it refused so far; null: it is off.</summary>
    /// <exception cref="UserException">nft is missing or refuses.</exception>
    public static long? Refusals()
    {
        try
        {
            string[] there = [.. Families.Select(f => NftProgram.Show(f, Table)).OfType<string>()];
            return there.Length == 0 ? null : there.Sum(t => Counters().Matches(t).Sum(m => long.Parse(m.Groups[1].ValueSpan, CultureInfo.InvariantCulture)));
        }
        catch (ExitNatException e)
        {
            throw Refused(e);
        }
    }

    /// <summary>The text for nft.</summary>
    internal static string Text(TunConfig config, bool six)
    {
        string family = NatRules.Family(six), refuse = six ? "reject with icmpx admin-prohibited" : "reject with icmp admin-prohibited";
        string neighbours = six ? "meta l4proto ipv6-icmp icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept\n        udp sport 546 udp dport 547 accept" : "";
        string lan = !config.KillSwitchLan ? "" : $"meta l4proto {{ tcp, udp }} th dport {{ 53, 853, 5353, 5355 }} counter {refuse}\n        "
            + "ip daddr { 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 224.0.0.0/24, 255.255.255.255 } accept\n        "
            + (six ? "ip6 daddr { fc00::/7, fe80::/10, ff02::/16 } accept" : "");
        return NatRules.Removal(family, Table) + string.Create(CultureInfo.InvariantCulture, $$"""
            table {{family}} {{Table}} {
                chain output {
                    type filter hook output priority filter; policy accept;
                    oifname { "lo", "{{config.Name}}" } accept
                    meta mark {{config.Mark}} accept
                    udp sport 68 udp dport 67 accept
                    {{neighbours}}
                    {{lan}}
                    counter {{refuse}}
                }
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname "{{config.Name}}" accept
                    oifname { "lo", "{{config.Name}}" } accept
                    counter {{refuse}}
                }
            }

            """);
    }

    private static UserException Refused(ExitNatException e) => e.Fault switch
    {
        ExitNatFault.NotPermitted => new UserException(ExitCode.Environment, "OXN3011", $"the kill switch: {e.Message}", "Run it as root, or give the program CAP_NET_ADMIN.", e),
        ExitNatFault.NoNft => new UserException(ExitCode.Environment, "OXN3015", $"the kill switch: {e.Message}", "Install nftables (apt-get install nftables), or write kill_switch = false in [tun].", e),
        _ => new UserException(ExitCode.Environment, "OXN3018", $"the kill switch: {e.Message}", "`nft list ruleset` shows what is there.", e),
    };

    [GeneratedRegex(@"counter packets (\d+)")]
    private static partial Regex Counters();
}
