using System.Globalization;
using System.Net;
using Oxen.Router.Core.Hidden;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>One hidden service of the file: `[[service]]`.</summary>
internal sealed record ServiceConfig
{
    /// <summary>For the log and the status; nobody else sees it.</summary>
    public required string Name { get; init; }

    public required string KeyFile { get; init; }

    public required IReadOnlyList<PortMapping> Ports { get; init; }

    /// <summary>Its clients reach the outside through it, as the rules of [exit] allow.</summary>
    public bool IsExit { get; init; }

    /// <summary>It takes its clients' IP packets; null: connections and datagrams alone.</summary>
    public ServiceTunnelConfig? Tunnel { get; init; }

    public IReadOnlyList<string> Texts { get; init; } = [];

    public IReadOnlyList<ServiceRecord> Records { get; init; } = [];

    /// <summary>X25519 keys of those who may come; empty: everybody who knows the address.</summary>
    public IReadOnlyList<byte[]> Clients { get; init; } = [];

    /// <summary>Which of several processes with one key this is.</summary>
    public int Instance { get; init; }

    /// <summary>Relays that introduce clients.</summary>
    public int Introductions { get; init; } = 3;

    /// <summary>Clients that are connected at a time.</summary>
    public int Sessions { get; init; } = 128;

    /// <summary>Streams of all its clients together.</summary>
    public int Streams { get; init; } = 1024;
}

/// <summary>The interface by which a service takes IP packets: `tun` of [[service]].</summary>
/// <param name="Name">Of the interface.</param>
/// <param name="Pool4">Base + 1 is the service's own address, those behind it are leased to its clients.</param>
/// <param name="Pool6">Null: IPv4 only.</param>
internal sealed record ServiceTunnelConfig(string Name, IPNetwork Pool4, IPNetwork? Pool6)
{
    public static IPNetwork DefaultPool4 { get; } = IPNetwork.Parse("10.96.0.0/16");

    public static IPNetwork DefaultPool6 { get; } = IPNetwork.Parse("fd6f:7865:6e00:4::/64");
}

/// <summary>What stands behind a port of a service: a TCP or UDP socket, or a Unix socket in place of TCP.</summary>
internal sealed record PortMapping(ServicePort Port, IPEndPoint? Target, string? UnixPath)
{
    public const string Form = "such as \"80 -> 127.0.0.1:8080\", \"53/udp -> 127.0.0.1:5353\" or \"22 -> unix:/run/sshd.sock\"";

    public bool IsUdp => Port.Protocol == 17;

    /// <summary>Reads `PORT[/tcp|/udp] -> TARGET`.</summary>
    public static bool TryParse(string text, out PortMapping? mapping)
    {
        mapping = null;
        int arrow = text.IndexOf("->", StringComparison.Ordinal);
        if (arrow < 0) return false;
        string port = text[..arrow].Trim(), target = text[(arrow + 2)..].Trim();
        byte protocol = port.EndsWith("/udp", StringComparison.Ordinal) ? (byte)17 : (byte)6;
        if (protocol == 17 || port.EndsWith("/tcp", StringComparison.Ordinal)) port = port[..^4];
        if (!ushort.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out ushort number) || number == 0) return false;
        const string Unix = "unix:";
        if (target.StartsWith(Unix, StringComparison.Ordinal))
        {
            string path = target[Unix.Length..];
            if (protocol == 17 || !path.StartsWith('/') || path.Contains('\0', StringComparison.Ordinal)) return false;
            mapping = new PortMapping(new ServicePort(protocol, number), null, path);
            return true;
        }

        if (!ConfigReader.TryEndPoint(target, out IPEndPoint? endPoint) || endPoint!.Port == 0) return false;
        mapping = new PortMapping(new ServicePort(protocol, number), endPoint, null);
        return true;
    }
}
