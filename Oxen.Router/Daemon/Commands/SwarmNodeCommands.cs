using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Terminal;
using Oxen.Swarm;
using Oxen.Swarm.Clients;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Storage;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen swarm status` and `repair`: an operator's look at a storage node.</summary>
internal sealed class SwarmNodeCommands(Screen screen)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    public Command Status()
    {
        var config = new Option<string?>("--config") { Description = "The TOML file of a storage node that runs on this machine.", HelpName = "FILE" };
        Option<string?> node = SwarmConnection.Node();
        Option<bool> json = CommandTree.Json();
        var command = new Command("status", "Show what a storage node holds and does. Exits 1 while it refuses clients.") { config, node, json };
        command.SetAction(async (parsed, cancel) =>
        {
            if ((parsed.GetValue(config) is null) == (parsed.GetValue(node) is null)) throw SwarmConnection.Misuse("which node?", "--config FILE of one on this machine, or --node https://ADDR:PORT.");
            return parsed.GetValue(node) is { } url ? await AskAsync(url, parsed.GetValue(json), cancel).ConfigureAwait(false) : await ShowAsync(parsed.GetValue(config)!, parsed.GetValue(json), cancel).ConfigureAwait(false);
        });
        return command;
    }

    public Command Repair()
    {
        var config = new Option<string>("--config") { Description = "The TOML file of a storage node that does not run.", HelpName = "FILE", Required = true };
        var replace = new Option<bool>("--replace") { Description = "If it is damaged: move it away. The node then begins with an empty one, which its swarm fills." };
        Option<bool> json = CommandTree.Json();
        var command = new Command("repair", "Look at every page of a storage node's database. Exits 1 if it is damaged and was left in place.") { config, replace, json };
        command.SetAction(async (parsed, cancel) =>
        {
            RouterConfig router = SwarmConnection.Read(parsed.GetRequiredValue(config));
            if (router.Swarm is not { } swarm) throw SwarmConnection.Misuse("this configuration has no [swarm]", "A relay becomes a storage node by that section.");
            if (SwarmDatabase.IsInUse(swarm.Database) || (router.StatusSocket is { } socket && await RunsAsync(socket, cancel).ConfigureAwait(false))) throw SwarmConnection.Misuse("the node runs", "Stop it first; a running node checks what it reads, and `oxen swarm status` tells what is wrong.");
            IReadOnlyList<string> faults = Check(swarm.Database);
            string? moved = null;
            if (faults.Count > 0 && parsed.GetValue(replace)) moved = SetAside(swarm.Database);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("database", swarm.Database);
                    w.WriteBoolean("sound", faults.Count == 0);
                    w.WriteStartArray("faults");
                    foreach (string fault in faults) w.WriteStringValue(fault);
                    w.WriteEndArray();
                    if (moved is not null) w.WriteString("moved_to", moved);
                });
            }
            else
            {
                screen.Facts("database", [
                    ("database", swarm.Database), ("result", faults.Count == 0 ? "sound" : "damaged"), .. faults.Select(f => ("fault", f)),
                    .. moved is not null ? new (string, string)[] { ("moved to", moved), ("next", "start the node; its swarm fills an empty database") } : faults.Count > 0 ? [("next", "`oxen swarm repair --replace` moves it away; the swarm fills an empty one")] : []]);
            }

            return faults.Count == 0 || moved is not null ? ExitCode.Ok : ExitCode.CheckFailed;
        });
        return command;
    }

    private async Task<int> ShowAsync(string file, bool json, CancellationToken cancel)
    {
        RouterConfig config = SwarmConnection.Read(file);
        string socket = config.StatusSocket ?? throw SwarmConnection.Misuse("this configuration switches the status socket off", "Set `status` in [router], and start the process again.");
        StatusReport report = StatusReport.Parse(await StatusSocket.AskAsync(socket, Patience, cancel).ConfigureAwait(false));
        if (report.Swarm is not { } swarm) throw SwarmConnection.Misuse("the process has no storage", "A relay becomes a storage node by the section [swarm].");
        if (json) screen.Output.WriteLine(StatusReport.Write(swarm));
        else Show(screen, swarm);
        return swarm.Figures.NotReady.Count == 0 ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    /// <summary>For people; `oxen status` shows it too.</summary>
    public static void Show(Screen screen, SwarmStatus swarm)
    {
        SwarmFigures f = swarm.Figures;
        screen.Facts("storage", [
            ("HTTPS", swarm.Https), ("node", f.Node), ("swarm", $"{f.Swarm}, {f.Answering} of {f.Members} members answer"), ("network", $"{f.Nodes} storage nodes in {f.Swarms} swarms"),
            ("clients", f.NotReady.Count == 0 ? "served" : $"refused: {string.Join("; ", f.NotReady)}"), .. f.Trouble.Length > 0 ? new (string, string)[] { ("trouble", f.Trouble) } : [],
            ("messages", $"{Number(f.Messages)} of {Number(f.Accounts)} accounts, {Mebibytes(f.MessageBytes)} MiB"), ("database", $"{Mebibytes(f.DatabaseBytes)} of {Mebibytes(f.MaxDatabaseBytes)} MiB"),
            ("stores", $"{Number(f.Stores)} acknowledged, {Number(f.Refused)} without a quorum"), ("retrievals", Number(f.Retrieves)), ("onion requests", $"{Number(f.Onions)}, {Number(f.Proxied)} to servers"),
            ("repair", $"{Number(f.Repaired)} taken, {Number(f.Pushed)} given, {Number(f.HandedOver)} to other swarms, {Number(f.Hints)} wait for members that do not answer"),
            .. swarm.Unreachable.Select(n => ("does not answer", n))]);
    }

    private async Task<int> AskAsync(string url, bool json, CancellationToken cancel)
    {
        using var route = new HttpsSwarmRoute(Patience);
        SwarmMember node = await SwarmConnection.NodeOfAsync(url, cancel).ConfigureAwait(false);
        SwarmAnswer answer = await route.AskAsync(node, "{\"method\":\"oxend_request\",\"params\":{\"endpoint\":\"get_service_nodes\",\"params\":{}}}"u8.ToArray(), cancel).ConfigureAwait(false);
        if (answer.Status == 0) throw new UserException(ExitCode.Network, "OXN7003", $"nobody answers at {url}", "Is a storage node up there?");
        string words = answer.Status == 200 ? "" : System.Text.Encoding.UTF8.GetString(answer.Body.Span).Trim();
        int nodes = 0, swarms = 0;
        string version = "";
        if (answer.Status == 200)
        {
            (nodes, swarms) = Count(answer);
            SwarmAnswer info = await route.AskAsync(node, "{\"method\":\"info\",\"params\":{}}"u8.ToArray(), cancel).ConfigureAwait(false);
            if (info.Status == 200)
            {
                using JsonDocument document = JsonDocument.Parse(info.Body);
                version = string.Join('.', document.RootElement.GetProperty("version").EnumerateArray().Select(v => v.GetInt32()));
            }
        }

        if (json)
        {
            screen.Json(w =>
            {
                w.WriteString("node", url);
                w.WriteBoolean("serves", answer.Status == 200);
                w.WriteString("version", version);
                w.WriteNumber("nodes", nodes);
                w.WriteNumber("swarms", swarms);
                w.WriteString("trouble", words);
            });
        }
        else
        {
            screen.Facts("storage", [("node", url), ("clients", answer.Status == 200 ? "served" : $"refused: {words}"), ("version", version), ("network", $"{nodes} storage nodes in {swarms} swarms")]);
        }

        return answer.Status == 200 ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    private static (int Nodes, int Swarms) Count(SwarmAnswer answer)
    {
        using JsonDocument document = JsonDocument.Parse(answer.Body);
        if (!document.RootElement.TryGetProperty("result", out JsonElement result) || !result.TryGetProperty("service_node_states", out JsonElement states)) return (0, 0);
        ulong[] ids = [.. states.EnumerateArray().Select(s => s.TryGetProperty("swarm_id", out JsonElement id) && id.TryGetUInt64(out ulong swarm) ? swarm : SwarmRing.Unassigned)];
        return (ids.Length, ids.Where(i => i != SwarmRing.Unassigned).Distinct().Count());
    }

    private static IReadOnlyList<string> Check(string path)
    {
        try
        {
            return SwarmDatabase.Check(path);
        }
        catch (StoreException e)
        {
            throw new UserException(ExitCode.Environment, "OXN7001", e.Message, "The folder is `data` in [swarm].", e);
        }
    }

    private static string SetAside(string path)
    {
        try
        {
            return SwarmDatabase.SetAside(path, DateTimeOffset.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw UserException.FileTrouble(path, e.Message, e);
        }
    }

    private static async Task<bool> RunsAsync(string socket, CancellationToken cancel)
    {
        try
        {
            await StatusSocket.AskAsync(socket, Patience, cancel).ConfigureAwait(false);
            return true;
        }
        catch (UserException)
        {
            return false;
        }
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Mebibytes(long bytes) => (bytes / 1048576.0).ToString("F1", CultureInfo.InvariantCulture);
}
