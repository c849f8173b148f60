using System.Net;
using System.Text;

namespace Oxen.Router.Exit;

// The text for nft. One table for each exit, `oxen_` and its interface's name:
//
//   forward      from the tunnel  -> out    not back into it; begun here and from the pool only; so many connections an address
//                to the tunnel    -> back   answers only
//   input        from the tunnel to this machine itself: nothing but ICMP errors about what was let out
//   postrouting  the pool's addresses become this machine's
//
// And one for all exits of a namespace, `oxen`, in each family whose forwarding we turned on: this machine forwards for the
// tunnels alone, as if it still were off. Tables of others are never touched; what they drop stays dropped.

/// <summary>The rules of an exit's address translation.</summary>
internal static class NatRules
{
    public static string Table(string tun) => "oxen_" + tun;

    /// <summary>Without IPv6 the kernel may lack tables of both families.</summary>
    public static string Family(bool six) => six ? "inet" : "ip";

    public static string Exit(ExitNatOptions options, bool six)
    {
        string tun = options.Tun, table = $"{Family(six)} {Table(tun)}", refuse = six ? "reject with icmpx admin-prohibited" : "reject with icmp admin-prohibited";
        var text = new StringBuilder();
        text.Append(Removal(Family(six), Table(tun)));
        text.Append($$"""
            table {{table}} {
                set c4 { type ipv4_addr; size {{options.Leases}}; flags dynamic; }
                {{(six ? $"set c6 {{ type ipv6_addr; size {options.Leases}; flags dynamic; }}" : "")}}
                chain out {
                    oifname "{{tun}}" counter drop
                    ct state established,related accept
                    ct state != new counter drop
                    ip saddr != {{options.Pool4}} counter drop
                    {{(six ? $"ip6 saddr != {options.Pool6} counter drop" : "")}}
                    ip saddr {{options.Pool4}} add @c4 { ip saddr ct count over {{options.Connections}} } counter {{refuse}}
                    {{(six ? $"ip6 saddr {options.Pool6} add @c6 {{ ip6 saddr ct count over {options.Connections} }} counter {refuse}" : "")}}
                    accept
                }
                chain back {
                    ct state established,related accept
                    counter drop
                }
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname "{{tun}}" goto out
                    oifname "{{tun}}" goto back
                }
                chain input {
                    type filter hook input priority filter; policy accept;
                    iifname != "{{tun}}" accept
                    ct state related meta l4proto { icmp, icmpv6 } accept
                    counter drop
                }
                chain postrouting {
                    type nat hook postrouting priority srcnat; policy accept;
                    oifname != "{{tun}}" ip saddr {{options.Pool4}} masquerade
                    {{(six ? $"oifname != \"{tun}\" ip6 saddr {options.Pool6} masquerade" : "")}}
                }
            }

            """);
        return text.ToString();
    }

    /// <param name="tuns">The interfaces that this machine forwards for; none: the table goes.</param>
    public static string Guard(string family, IReadOnlyCollection<string> tuns)
    {
        if (tuns.Count == 0) return Removal(family, "oxen");
        string set = string.Join(", ", tuns.Select(t => $"\"{t}\""));
        return Removal(family, "oxen") + $$"""
            table {{family}} oxen {
                chain forward {
                    type filter hook forward priority filter; policy accept;
                    iifname != { {{set}} } oifname != { {{set}} } counter drop
                }
            }

            """;
    }

    /// <summary>Whether it is there or not.</summary>
    public static string Removal(string family, string table) => $"table {family} {table} {{ }}\ndelete table {family} {table}\n";
}

/// <summary>What an exit's address translation is set up with.</summary>
internal sealed record ExitNatOptions
{
    public required string Tun { get; init; }

    public required IPNetwork Pool4 { get; init; }

    public IPNetwork? Pool6 { get; init; }

    /// <summary>Connections of one inner address at a time.</summary>
    public int Connections { get; init; } = 1024;

    /// <summary>Inner addresses that can be in use at a time.</summary>
    public int Leases { get; init; } = 65536;

    /// <summary>Where what is changed is written down: the first of them that can be written. Those that do not exist are made.</summary>
    public IReadOnlyList<string> JournalDirectories { get; init; } = [DefaultJournal];

    /// <summary>Gone after a boot, like what it speaks of.</summary>
    public const string DefaultJournal = "/run/oxen";
}
