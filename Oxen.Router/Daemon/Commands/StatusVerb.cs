using System.CommandLine;
using System.Globalization;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen status`: asks a running process how it does.</summary>
internal sealed class StatusVerb(Screen screen)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public Command Build()
    {
        var process = new RunningProcess();
        Option<bool> json = CommandTree.Json();
        var command = new Command("status", "Show what a running router or client does: traffic, paths, drops.") { json };
        process.AddTo(command);
        command.SetAction(async (parsed, cancel) =>
        {
            if (process.Socket(parsed, screen) is not { } path) return ExitCode.Usage;
            string text = await StatusSocket.AskAsync(path, Patience, cancel).ConfigureAwait(false);
            if (parsed.GetValue(json)) screen.Output.WriteLine(text);
            else Show(StatusReport.Parse(text));
            return ExitCode.Ok;
        });
        return command;
    }

    private void Show(StatusReport report)
    {
        screen.Facts("oxen", [
            ("version", report.Version), ("roles", report.Roles), ("process", report.Process.ToString(CultureInfo.InvariantCulture)), ("up for", TimeSpan.FromSeconds(report.UptimeSeconds).ToString("c", CultureInfo.InvariantCulture)),
            .. report.Trouble.Length > 0 ? new (string, string)[] { ("trouble", report.Trouble) } : []]);
        screen.Table(
            ["router", "paths", "datagrams in", "datagrams out", "MiB in", "MiB out", "drops"],
            report.Routers.Select(r => (IReadOnlyList<string>)[r.Router, Number(r.Paths), Number(r.DatagramsReceived), Number(r.DatagramsSent), Mebibytes(r.BytesReceived), Mebibytes(r.BytesSent), Drops(r)]));
        if (report.Tunnel is { } tunnel)
        {
            screen.Facts("tunnel", [
                ("interface", tunnel.Interface), ("state", tunnel.Carries ? "IP packets pass" : "no exit has leased addresses yet; nothing passes"), ("packets out", Number(tunnel.PacketsRead)),
                ("packets in", Number(tunnel.PacketsWritten)), ("moved to a spare path", $"{Number(tunnel.Switches)} times")]);
        }

        if (report.Dns is { } dns)
        {
            screen.Facts("resolver", [
                ("listens on", string.Join(" ", dns.Listen)), ("other names", dns.Forward switch { "exit" => "go through the exit", "upstream" => "go to the upstream, in the clear", _ => "are refused" }),
                ("mapped addresses", string.Create(CultureInfo.InvariantCulture, $"{dns.Mapped} of {dns.Capacity}")), ("connections to them", dns.Connections is { } open ? string.Create(CultureInfo.InvariantCulture, $"{open} TCP, {dns.Flows} UDP") : "not taken"), ("counts", dns.Counts.Count == 0 ? "none" : string.Join(" ", dns.Counts.Select(c => $"{c.Key}={c.Value}")))]);
        }

        if (report.Network.Count > 0)
        {
            screen.Table(
                ["network as seen by", "members", "known", "relays to build with", "exits to build with", "asked"],
                report.Network.Select(n => (IReadOnlyList<string>)[n.Router, Number(n.Members), Number(n.Known), Number(n.Relays), Number(n.Exits), n.AskedUnixSeconds == 0 ? "" : ContactWords.Date(n.AskedUnixSeconds)]));
        }

        if (report.Swarm is { } swarm) SwarmNodeCommands.Show(screen, swarm);
        if (report.Services.Count > 0)
        {
            screen.Table(
                ["service", "address", "announced at", "introduced by", "clients", "streams", "udp"],
                report.Services.Select(s => (IReadOnlyList<string>)[
                    s.Name, s.Address, s.Published ? $"{s.Keepers} of {s.KeepersAsked} relays" : "not yet", s.Introductions.Count == 0 ? "nobody yet" : string.Join(" ", s.Introductions.Select(i => i[..8])),
                    s.Meetings > 0 ? $"{s.Sessions} (+{s.Meetings})" : Number(s.Sessions), Number(s.Streams), Number(s.Datagrams)]));
        }

        if (report.ServiceClients.Count > 0)
        {
            screen.Table(
                ["reached service", "state", "hops to the rendezvous, with round trip", "met after (look-up)", "round trip", "moves", "streams", "udp"],
                report.ServiceClients.Select(s => (IReadOnlyList<string>)[
                    s.Address, s.State + (s.Trouble.Length > 0 && s.State != "ready" ? $" ({s.Trouble})" : ""), Hops(s.Hops, s.HopMilliseconds),
                    s.MetMilliseconds > 0 ? string.Create(CultureInfo.InvariantCulture, $"{s.MetMilliseconds:F0} ms ({s.LookUpMilliseconds:F0} ms)") : "",
                    s.Milliseconds > 0 ? string.Create(CultureInfo.InvariantCulture, $"{s.Milliseconds:F1} ms") : "", Number(s.Moves), Number(s.Streams), Number(s.Associations)]));
        }

        if (report.Paths.Count == 0) return;
        screen.Table(
            ["path", "hops, with round trip", "packets up", "packets down", "lasts"],
            report.Paths.Select(p => (IReadOnlyList<string>)[
                p.Active ? "in use" : p.Crowded ? "spare (crowded)" : "spare",
                Hops(p.Hops, p.HopMilliseconds),
                Number(p.PacketsUp), Number(p.PacketsDown), TimeSpan.FromSeconds((int)p.SecondsLeft).ToString("c", CultureInfo.InvariantCulture)]));
    }

    private static string Hops(IReadOnlyList<string> ids, IReadOnlyList<double> milliseconds) =>
        string.Join(" -> ", ids.Select((h, i) => string.Create(CultureInfo.InvariantCulture, $"{h[..8]} ({milliseconds[i]:F1} ms)")));

    private static string Drops(RouterFigures figures) => figures.Drops.Count == 0 ? "none" : string.Join(" ", figures.Drops.Select(d => $"{d.Key}={d.Value}"));

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Mebibytes(long bytes) => (bytes / 1048576.0).ToString("F1", CultureInfo.InvariantCulture);
}
