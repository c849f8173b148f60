using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Daemon.Demo.Tunnel;

/// <summary>The namespaces of a demo and the cables between them. Needs root. Disposing takes everything away.</summary>
internal sealed class Lab : IDisposable
{
    private const string Spaces = "/run/netns";
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);

    private Lab(LabPlan plan, LabClaim claim)
    {
        Plan = plan;
        Claim = claim;
    }

    public LabPlan Plan { get; }

    public LabClaim Claim { get; }

    public static bool HasIPv6 => Directory.Exists("/proc/sys/net/ipv6");

    /// <summary>Makes it, after taking away what a killed demo of this name left.</summary>
    /// <exception cref="UserException">Something is missing or refused, or a demo of this name lives; nothing stays.</exception>
    public static Lab Build(LabPlan plan)
    {
        LabClaim claim = LabClaim.Take(plan.Prefix);
        bool noted = false;
        try
        {
            if (claim.LeftOver is { } dead) TakeAway(dead);
            claim.Clear();
            string[] spaces = [plan.Net, .. plan.Machines.Select(m => m.Space)];
            string? taken = spaces.FirstOrDefault(s => File.Exists(Path.Combine(Spaces, s)));
            if (taken is not null) throw new UserException(ExitCode.Environment, "OXN3024", $"the network namespace {taken} exists, and no demo made it", $"If nobody needs it: `ip netns delete {taken}`. Or give this demo another name: --netns {plan.Prefix}2.");
            string resolver = ResolverDirectory(plan);
            if (Directory.Exists(resolver)) throw new UserException(ExitCode.Environment, "OXN3024", $"{resolver} exists, and no demo made it", $"If nobody needs it, remove it. Or give this demo another name: --netns {plan.Prefix}2.");
            claim.Note([.. spaces.Select(s => "space " + s), "directory " + resolver]);
            noted = true;
            UseOwnResolver(resolver);
            foreach (string space in spaces) IpProgram.Run("netns", "add", space);
            foreach (string space in spaces) LinuxNamespace.Run(space, () => Settle(forwards: space == plan.Net));
            IpProgram.Batch(plan.Net, [.. Up("lo"), .. plan.Machines.SelectMany(Cable)]);
            foreach (LabMachine machine in plan.Machines) IpProgram.Batch(machine.Space, [.. Up("lo"), .. Card(machine)]);
            Forbid(plan);
            return new Lab(plan, claim);
        }
        catch
        {
            if (noted)
            {
                Remove([plan.Net, .. plan.Machines.Select(m => m.Space)]);
                RemoveResolver(plan);
                claim.Clear();
            }

            claim.Dispose();
            throw;
        }
    }

    /// <summary>A socket of a machine. It stays there whoever uses it.</summary>
    public static Socket Socket(string space, AddressFamily family, SocketType type, ProtocolType protocol) =>
        LinuxNamespace.Run(space, () => new Socket(family, type, protocol));

    /// <summary>Lets a machine forward for inner addresses that it does not translate, and sends them there.</summary>
    public void Forward(LabMachine machine, IPNetwork four, IPNetwork six)
    {
        LinuxNamespace.Run(machine.Space, () => Settle(forwards: true));
        IpProgram.Batch(Plan.Net, HasIPv6 ? [$"route add {four} via {machine.Address}", $"route add {six} via {machine.AddressIPv6}"] : [$"route add {four} via {machine.Address}"]);
    }

    public void Dispose()
    {
        Remove([Plan.Net, .. Plan.Machines.Select(m => m.Space)]);
        RemoveResolver(Plan);
        Claim.Clear();
        Claim.Dispose();
    }

    // ---- the making ----

    // A new namespace may take its settings from the machine's (sysctl net.core.devconf_inherit_init_net): say all that matters.
    private static bool Settle(bool forwards)
    {
        Set("ipv4/ip_forward", forwards ? "1" : "0");
        Set("ipv4/conf/all/rp_filter", "0");
        Set("ipv4/conf/default/rp_filter", "0");
        if (HasIPv6) Set("ipv6/conf/all/forwarding", forwards ? "1" : "0");
        return true;

        static void Set(string name, string value)
        {
            try
            {
                File.WriteAllText("/proc/sys/net/" + name, value);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new UserException(ExitCode.Environment, "OXN3023", $"/proc/sys/net/{name} cannot be set in a namespace of the demo: {e.Message}", "Containers often forbid it; `oxen demo` without --tun needs none.", e);
            }
        }
    }

    private static IEnumerable<string> Up(string device) => [$"link set {device} up"];

    private static IEnumerable<string> Cable(LabMachine machine)
    {
        yield return $"link add {machine.Name} type veth peer name eth0 netns {machine.Space}";
        yield return $"address add {machine.Gateway}/24 dev {machine.Name}";
        if (HasIPv6) yield return $"address add {machine.GatewayIPv6}/64 dev {machine.Name} nodad";
        yield return $"link set {machine.Name} up";
    }

    private static IEnumerable<string> Card(LabMachine machine)
    {
        yield return $"address add {machine.Address}/24 dev eth0";
        if (HasIPv6) yield return $"address add {machine.AddressIPv6}/64 dev eth0 nodad";
        yield return "link set eth0 up";
        yield return $"route add default via {machine.Gateway}";
        if (HasIPv6) yield return $"route add default via {machine.GatewayIPv6}";
    }

    // There is no way from the client to the target but the tunnel: what arrives came out of an exit. None to the site but by name.
    private static void Forbid(LabPlan plan)
    {
        foreach (LabMachine machine in new[] { plan.Target, plan.Site })
        {
            IpProgram.Run("-4", "-n", plan.Net, "rule", "add", "priority", "100", "iif", plan.Client.Name, "to", $"{machine.Address}/32", "prohibit");
            if (HasIPv6) IpProgram.Run("-6", "-n", plan.Net, "rule", "add", "priority", "100", "iif", plan.Client.Name, "to", $"{machine.AddressIPv6}/128", "prohibit");
        }
    }

    // `ip netns exec` shows a program this file in place of /etc/resolv.conf (ip-netns(8)).
    private static string ResolverDirectory(LabPlan plan) => Path.Combine("/etc/netns", plan.Client.Space);

    private static void UseOwnResolver(string directory)
    {
        try
        {
            Directory.CreateDirectory(directory);
            File.WriteAllText(Path.Combine(directory, "resolv.conf"), "nameserver 127.0.0.1\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(directory, e.Message, e);
        }
    }

    private static void RemoveResolver(LabPlan plan)
    {
        try
        {
            Directory.Delete(ResolverDirectory(plan), recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone.
        }
    }

    // ---- the end ----

    private static void TakeAway(LabClaim.LeftOvers dead)
    {
        foreach ((int process, long start) in dead.Processes) End(process, start);
        Remove(dead.Spaces);
        foreach (string directory in dead.Directories)
        {
            try
            {
                Directory.Delete(directory, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Gone, or the system's cleaner was faster.
            }
        }
    }

    // Children of a killed demo end by themselves; this is for one that hangs. Their number may be another's by now.
    private static void End(int process, long start)
    {
        for (var watch = Stopwatch.StartNew(); UndoJournal.Owner.StartOf(process) == start;)
        {
            try
            {
                using var child = Process.GetProcessById(process);
                child.Kill();
                if (child.WaitForExit(EndPatience)) return;
            }
            catch (Exception e) when (e is ArgumentException or InvalidOperationException)
            {
                return; // gone between the look and the word
            }

            if (watch.Elapsed > EndPatience) throw new UserException(ExitCode.Environment, "OXN3024", string.Create(CultureInfo.InvariantCulture, $"process {process} of an earlier demo cannot be ended"), "Look at it with `ps`; the kernel may hold it.");
        }
    }

    /// <summary>
    /// Cables first: a program that somebody still runs inside keeps its namespace alive, without a name, but takes no part any
    /// more. What is not there is no trouble.
    /// </summary>
    private static void Remove(IReadOnlyList<string> spaces)
    {
        string[] there = [.. spaces.Where(s => File.Exists(Path.Combine(Spaces, s)))];
        foreach (string space in there)
        {
            string inode = "";
            try
            {
                inode = LinuxNamespace.Run(space, UndoJournal.Inode);
                IpProgram.TryRun(["-n", space, "link", "delete", "eth0"]);
            }
            catch (IOException)
            {
                // A name without a namespace: `ip netns add` was interrupted.
            }

            IpProgram.TryRun(["netns", "delete", space]);
            if (inode.Length > 0) UndoJournal.Forget(inode, [ExitNatOptions.DefaultJournal]);
        }

        string? stays = there.FirstOrDefault(s => File.Exists(Path.Combine(Spaces, s)));
        if (stays is not null) throw new UserException(ExitCode.Environment, "OXN3024", $"the network namespace {stays} of the demo cannot be removed", $"Try `ip netns delete {stays}`.");
    }
}
