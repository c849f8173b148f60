using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen node prove` and `oxen node vote`: a node says that it is up, a committee judges one.</summary>
internal sealed class NodeVoteCommands(Screen screen)
{
    private static readonly (string Word, NodeReasons Reason)[] Reasons =
    [
        ("missed-uptime-proof", NodeReasons.MissedUptimeProof), ("missed-checkpoints", NodeReasons.MissedCheckpoints), ("missed-pulse", NodeReasons.MissedPulse),
        ("storage-unreachable", NodeReasons.StorageUnreachable), ("timestamp-unreachable", NodeReasons.TimestampUnreachable), ("clock-out-of-sync", NodeReasons.ClockOutOfSync),
        ("router-unreachable", NodeReasons.LokinetUnreachable), ("layer-two-unavailable", NodeReasons.LayerTwoUnavailable),
    ];

    public Command Prove()
    {
        Option<string> server = LedgerConnection.Server();
        var identity = new Option<string>("--identity") { Description = "The node's identity.key.", HelpName = "FILE", Required = true };
        var address = new Option<string?>("--address") { Description = "Where the node's router is reached, over IPv4. Without it: where the ledger knows it to be.", HelpName = "ADDR:PORT" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("prove", "Send one proof of uptime for a node. A running relay with a copy of the ledger does it by itself.") { identity, address, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            IPEndPoint? endPoint = null;
            if (parsed.GetValue(address) is { } text && (!ConfigReader.TryEndPoint(text, out endPoint) || endPoint!.AddressFamily != AddressFamily.InterNetwork)) throw LedgerConnection.Misuse("--address is no IPv4 ADDR:PORT", "Such as 192.0.2.10:1090; a proof has room for an IPv4 address alone.");
            using RouterIdentity router = IdentityFile.Load(parsed.GetRequiredValue(identity), IdentityFile.RelayRole);
            using var node = new LedgerKey(router.Seed);
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            NodeFacts facts = await FactsAsync(ledger, node.Id, endPoint, cancel).ConfigureAwait(false);
            (Bytes32 id, ulong height) = await ledger.SubmitAsync(node, (_, _) => new NodeProofBody(facts), cancel).ConfigureAwait(false);
            LedgerConnection.Receipt(screen, parsed.GetValue(json), "proof", id, height);
            return ExitCode.Ok;
        });
        return command;
    }

    // What a proof says takes the place of what the last one said: what is not given here stays, and so do the doors of a storage.
    private static async Task<NodeFacts> FactsAsync(LedgerConnection ledger, Bytes32 node, IPEndPoint? given, CancellationToken cancel)
    {
        string[] fields = ["public_ip", "quorumnet_port", "storage_port", "storage_lmq_port"];
        JsonElement answer = await ledger.CallAsync("get_service_nodes", new { service_node_pubkeys = new[] { node.ToString() }, fields }, cancel).ConfigureAwait(false);
        JsonElement states = answer.GetProperty("service_node_states");
        if (states.GetArrayLength() == 0) throw new UserException(ExitCode.CheckFailed, "OXN6004", $"the ledger knows no node {node}", "`oxen node register` registers one; --identity is the node's own key.");
        IPAddress? known = states[0].TryGetProperty("public_ip", out JsonElement ip) && IPAddress.TryParse(ip.GetString(), out IPAddress? parsed) && parsed.AddressFamily == AddressFamily.InterNetwork && !parsed.Equals(IPAddress.Any) ? parsed : null;
        if (given is null && known is null) throw LedgerConnection.Misuse("the ledger knows no address of this node yet", "--address ADDR:PORT says where its router is reached.");
        ushort Port(string field) => states[0].TryGetProperty(field, out JsonElement port) ? port.GetUInt16() : (ushort)0;
        return LedgerEnd.FactsOf(given ?? new IPEndPoint(known!, Port("quorumnet_port"))) with { StorageHttpsPort = Port("storage_port"), StorageOmqPort = Port("storage_lmq_port"), UnixSeconds = (ulong)DateTimeOffset.UtcNow.ToUnixTimeSeconds() };
    }

    public Command Vote()
    {
        Option<string> server = LedgerConnection.Server();
        var node = new Argument<string>("node") { Description = "The node that is judged: its router id.", HelpName = "NODE" };
        var works = new Option<bool>("--works") { Description = "It works again and shall be taken back. Without it: it fails." };
        var reasons = new Option<string[]>("--reason") { Description = $"Why it fails; one or more of {string.Join(", ", Reasons.Select(r => r.Word))}.", HelpName = "REASON", AllowMultipleArgumentsPerToken = true };
        reasons.AcceptOnlyFromAmong([.. Reasons.Select(r => r.Word)]);
        var height = new Option<ulong?>("--height") { Description = "As of which block; all votes of a verdict name the same. Without it: the newest multiple of ten.", HelpName = "HEIGHT" };
        var sign = new Option<string>("--sign") { Description = "The key file of a member of the committee: an account's, or a relay's identity.key.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("vote", "Vote as a member of the committee about a node. The vote that completes the quorum puts the verdict on the ledger.") { node, works, reasons, height, sign, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            bool good = parsed.GetValue(works);
            NodeReasons why = (parsed.GetValue(reasons) ?? []).Aggregate(NodeReasons.None, (sum, word) => sum | Reasons.First(r => r.Word == word).Reason);
            if (good == (why != NodeReasons.None)) throw LedgerConnection.Misuse(good ? "--works and --reason exclude each other" : "a node that fails, fails for a reason", "--reason WORD, or --works.");
            using LedgerKey key = LedgerStores.LoadKey(parsed.GetRequiredValue(sign));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            JsonElement status = await ledger.CallAsync("ledger_status", new { }, cancel).ConfigureAwait(false);
            ulong newest = status.GetProperty("height").GetUInt64();
            Bytes32 network = LedgerConnection.Hash(status.GetProperty("network").GetString()!, "the network's id");
            var body = new NodeVerdictBody(LedgerConnection.Hash(parsed.GetRequiredValue(node), "the node"), parsed.GetValue(height) ?? newest / 10 * 10, good ? Verdict.Recommission : Verdict.Failing, why, []);
            JsonElement answer = await ledger.CallAsync("ledger_vote", new { node = body.Node.ToString(), height = body.Height, verdict = (int)body.Verdict, reasons = (int)why, member = key.Id.ToString(), signature = Convert.ToBase64String(body.VoteOf(key, network)) }, cancel).ConfigureAwait(false);
            int votes = answer.GetProperty("votes").GetInt32(), quorum = answer.GetProperty("quorum").GetInt32();
            ulong? at = null;
            if (votes >= quorum)
            {
                var reader = new LedgerReader(answer.GetProperty("verdict").GetBytesFromBase64());
                NodeVerdictBody verdict = NodeVerdictBody.ReadBody(ref reader) is { } read && reader.Done ? read : throw new UserException(ExitCode.Network, "OXN6003", "the server gave votes that are none", "");
                (_, ulong block) = await ledger.SubmitAsync(key, (_, _) => verdict, cancel).ConfigureAwait(false);
                at = block;
            }

            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteNumber("votes", votes);
                    w.WriteNumber("quorum", quorum);
                    w.WriteNumber("of_height", body.Height);
                    if (at is { } block) w.WriteNumber("height", block);
                });
            }
            else
            {
                screen.Facts("vote", [("votes", $"{votes} of {quorum}"), ("as of block", body.Height.ToString()), ("verdict", at is { } block ? $"on the ledger at height {block}" : "waits for more votes")]);
            }

            return ExitCode.Ok;
        });
        return command;
    }
}
