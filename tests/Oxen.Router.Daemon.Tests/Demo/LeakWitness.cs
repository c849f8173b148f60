using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Oxen.Router.Daemon.Demo.Tunnel;
using Oxen.Router.Native.Linux;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Demo;

/// <summary>tcpdump at the client's network card: every packet that leaves by it. Its own links to relays are known, all others are leaks.</summary>
internal sealed partial class LeakWitness : IAsyncDisposable
{
    private const int FencePort = 9;
    private const int LinkPort = 1090;
    private const int SolSocket = 1, SoMark = 36; // socket(7)

    private readonly LabPlan _plan;
    private readonly uint _mark;
    private readonly Process _dump;
    private readonly Lock _lock = new();
    private readonly List<string> _leaks = [];
    private readonly HashSet<string> _routers;
    private readonly TaskCompletionSource _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string _words = "";
    private int _fence, _fenceSeen;

    private LeakWitness(LabPlan plan, uint mark)
    {
        _plan = plan;
        _mark = mark;
        _routers = [.. plan.Relays.Concat(plan.Exits).Select(m => m.Address.ToString())];
        var start = new ProcessStartInfo("tcpdump", ["-n", "-l", "-t", "--immediate-mode", "-Z", "root", "-Q", "out", "-i", "eth0"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        _dump = new Process { StartInfo = start };
        _dump.OutputDataReceived += (_, line) => See(line.Data);
        _dump.ErrorDataReceived += (_, line) =>
        {
            _words += line.Data + " ";
            if (line.Data?.StartsWith("listening on", StringComparison.Ordinal) == true) _listening.TrySetResult();
        };
        LinuxNamespace.Run(plan.Client.Space, _dump.Start);
        _dump.BeginOutputReadLine();
        _dump.BeginErrorReadLine();
    }

    /// <summary>Packets of our own links: without them the witness would not look at the right card.</summary>
    public long LinkPackets { get; private set; }

    public static async Task<LeakWitness> StartAsync(LabPlan plan, uint mark)
    {
        var witness = new LeakWitness(plan, mark);
        await witness._listening.Task.WaitAsync(TimeSpan.FromSeconds(60));
        return witness;
    }

    /// <summary>The leaks since the last call, once everything that was sent before has been seen.</summary>
    public async Task<List<string>> TakeAsync()
    {
        // A packet of ours that may pass follows them out; its length is its number.
        int fence = _fence = _fence % 1000 + 1;
        using Socket socket = LinuxNamespace.Run(_plan.Client.Space, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        socket.SetRawSocketOption(SolSocket, SoMark, BitConverter.GetBytes(_mark));
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(20))
        {
            lock (_lock)
            {
                if (_fenceSeen == fence)
                {
                    List<string> leaks = [.. _leaks];
                    _leaks.Clear();
                    return leaks;
                }
            }

            if (watch.Elapsed > TimeSpan.FromSeconds(60)) Assert.Fail($"the witness sees nothing any more: fence {fence}, last {_fenceSeen}, {(_dump.HasExited ? $"tcpdump ended with {_dump.ExitCode}" : "tcpdump runs")}; {_words} {NetworkLab.TryShell(_plan.Client.Space, "ip -s link show eth0; ip address show eth0; ip neigh").Output}");
            if (watch.Elapsed > TimeSpan.FromSeconds(1) || watch.ElapsedMilliseconds < 20) socket.SendTo(new byte[fence], new IPEndPoint(_plan.Client.Gateway, FencePort));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _dump.Kill();
        await _dump.WaitForExitAsync();
        _dump.Dispose();
    }

    private void See(string? line)
    {
        if (line is null || line.StartsWith("ARP", StringComparison.Ordinal) || Neighbours().IsMatch(line)) return;
        lock (_lock)
        {
            Match to = Destination().Match(line);
            if (to.Success && to.Groups[2].Value == LinkPort.ToString(CultureInfo.InvariantCulture) && _routers.Contains(to.Groups[1].Value)) LinkPackets++;
            else if (to.Success && to.Groups[1].Value == _plan.Client.Gateway.ToString() && to.Groups[2].Value == FencePort.ToString(CultureInfo.InvariantCulture) && Length().Match(line) is { Success: true } length) _fenceSeen = int.Parse(length.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            else _leaks.Add(line);
        }
    }

    [GeneratedRegex("ICMP6, (neighbor|router) (solicitation|advertisement)")]
    private static partial Regex Neighbours();

    [GeneratedRegex(@"> (\d+\.\d+\.\d+\.\d+)\.(\d+): UDP")]
    private static partial Regex Destination();

    [GeneratedRegex(@"length (\d+)$")]
    private static partial Regex Length();
}
