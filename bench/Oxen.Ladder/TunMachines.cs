using System.Diagnostics;
using System.Globalization;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Ladder;

/// <summary>A way from namespace A to namespace B, and what its ends have counted.</summary>
internal interface ITunnelUnderTest
{
    string Name { get; }

    /// <summary>Where iperf3 in A reaches the one in B.</summary>
    string Address4 { get; }

    string Address6 { get; }

    /// <summary>The namespace of the server, if it is another than B.</summary>
    string? ServerSpace => null;

    /// <summary>Counters of both ends, by name; empty if there are none.</summary>
    IReadOnlyDictionary<string, long> Read();
}

/// <summary>The cable itself.</summary>
internal sealed class BareWire : ITunnelUnderTest
{
    public string Name => "veth";

    public string Address4 => "10.97.0.2";

    public string Address6 => "fd97::2";

    public IReadOnlyDictionary<string, long> Read() => new Dictionary<string, long>();
}

/// <summary>Two processes that say "ready" and answer a line with "name value name value ...".</summary>
internal sealed class TwoProcesses : ITunnelUnderTest
{
    private readonly Process[] _ends;

    /// <param name="net">The third number of its addresses.</param>
    private TwoProcesses(string name, int net, Process a, Process b)
    {
        Name = name;
        Address4 = $"10.96.{net}.2";
        Address6 = $"fd96:{net}::2";
        _ends = [a, b];
        foreach (Process end in _ends)
        {
            if (end.StandardOutput.ReadLine() != "ready") throw new IOException($"{name}: an end did not start");
        }
    }

    public string Name { get; }

    public string Address4 { get; }

    public string Address6 { get; }

    /// <summary>bench/native/tun_forwarder.c.</summary>
    public static TwoProcesses Native(TunLab lab, string program, int net, TunOptions options)
    {
        const string Device = "c";
        Process Start(string space, int one) => lab.StartEnd(space, program, Device, $"10.97.0.{one}", "4800", $"10.97.0.{3 - one}", "4800", Cpu(lab, space), options.ReceiveBuffer.ToString(CultureInfo.InvariantCulture));
        var made = new TwoProcesses("C", net, Start(lab.A, 1), Start(lab.B, 2));
        foreach ((string space, int one) in new[] { (lab.A, 1), (lab.B, 2) })
        {
            TunLab.Do("ip", "-n", space, "link", "set", Device, "mtu", TunnelConstants.InnerMtu.ToString(CultureInfo.InvariantCulture), "txqueuelen", options.Queue.ToString(CultureInfo.InvariantCulture), "up");
            TunLab.Do("ip", "-n", space, "addr", "add", $"10.96.{net}.{one}/24", "dev", Device);
            TunLab.Do("ip", "-n", space, "addr", "add", $"fd96:{net}::{one}/64", "dev", Device, "nodad");
        }

        return made;
    }

    /// <summary>Link seal and three layers between the two, in C#: with the product's own client in A ("lane"), or <see cref="LayeredEnd"/> at both ends ("client").</summary>
    public static TwoProcesses Layered(TunLab lab, int net, string side, TunOptions options)
    {
        string device = side, port = side == "lane" ? "4801" : "4802";
        string seed = Convert.ToHexString(System.Security.Cryptography.RandomNumberGenerator.GetBytes(16));
        string epoch = (DateTimeOffset.UtcNow.ToUnixTimeSeconds() / 60 - 1).ToString(CultureInfo.InvariantCulture);
        string[] self = Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet" ? [Environment.ProcessPath!, typeof(TwoProcesses).Assembly.Location] : [Environment.ProcessPath!];
        Process Start(string space, string end, int one) => lab.StartEnd(
            space, self[0], [.. self[1..], "tun-end", end, device, $"10.97.0.{one}", $"10.97.0.{3 - one}", port, Cpu(lab, space), seed, epoch, $"10.96.{net}.{one}/24,fd96:{net}::{one}/64", $"10.95.{net}.1/24,fd95:{net}::1/64"]);
        var made = new TwoProcesses(side == "lane" ? "lane + 3 layers" : "3 layers, bare", net, Start(lab.A, side, 1), Start(lab.B, "far", 2));
        foreach (string space in new[] { lab.A, lab.B }) TunLab.Do("ip", "-n", space, "link", "set", device, "txqueuelen", options.Queue.ToString(CultureInfo.InvariantCulture));
        return made;
    }

    public IReadOnlyDictionary<string, long> Read()
    {
        var all = new Dictionary<string, long>();
        foreach (Process end in _ends)
        {
            end.StandardInput.WriteLine();
            end.StandardInput.Flush();
            string[] words = (end.StandardOutput.ReadLine() ?? throw new IOException($"{Name}: an end is gone")).Split(' ');
            for (int i = 0; i + 1 < words.Length; i += 2) all[words[i]] = all.GetValueOrDefault(words[i]) + long.Parse(words[i + 1], CultureInfo.InvariantCulture);
        }

        return all;
    }

    private static string Cpu(TunLab lab, string space) => (space == lab.A ? TunLab.CpuA : TunLab.CpuB).ToString(CultureInfo.InvariantCulture);
}
