using System.CommandLine;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen node`: service nodes of the ledger. docs/protocol/ledger.md#service-nodes</summary>
internal sealed class NodeCommands(Screen screen)
{
    public Command Build() => new("node", "Service nodes: register one, add to its stake, get rewards and stake back, see it.")
    {
        Register(), OnNode("unlock", "Ask for a stake back.", n => new NodeUnlockBody(n)), OnNode("collect", "Have a node's rewards paid out.", n => new NodeCollectBody(n)), Contribute(), Status(), new NodeVoteCommands(screen).Prove(), new NodeVoteCommands(screen).Vote(),
    };

    private Command Register()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var identity = new Option<string>("--identity") { Description = "The node's identity.key, made with `oxen keygen`.", HelpName = "FILE", Required = true };
        var stake = new Option<string>("--stake") { Description = "The operator's part, in OXEN; at least a quarter.", HelpName = "OXEN", Required = true };
        var fee = new Option<string>("--fee") { Description = "The operator's cut of rewards, in percent with at most two decimals.", HelpName = "PERCENT", DefaultValueFactory = _ => "0" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("register", "Register a service node and pay the operator's part of its stake.") { identity, stake, fee, wallet, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            using RouterIdentity router = IdentityFile.Load(parsed.GetRequiredValue(identity), IdentityFile.RelayRole);
            using var node = new LedgerKey(router.Seed);
            if (!decimal.TryParse(parsed.GetRequiredValue(fee), System.Globalization.CultureInfo.InvariantCulture, out decimal percent) || percent is < 0 or > 100 || percent * 100 % 1 != 0) throw LedgerConnection.Misuse("--fee is no percentage", "0 to 100 with at most two decimals.");
            ulong amount = LedgerConnection.Amount(parsed.GetRequiredValue(stake), "--stake");
            var body = new NodeRegisterBody(node.Id, (ushort)(percent * 100), amount, [], []);
            return await LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "registration", (_, key, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((nonce, network) => body.SignedBy(node, key.Id, nonce, network)), cancel).ConfigureAwait(false);
        });
        return command;
    }

    private Command Contribute()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var node = new Argument<string>("node") { Description = "The node's router id.", HelpName = "NODE" };
        var amount = new Argument<string>("amount") { Description = "How much, in OXEN.", HelpName = "OXEN" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("contribute", "Add to a node's stake.") { node, amount, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            var body = new NodeContributeBody(LedgerConnection.Hash(parsed.GetRequiredValue(node), "the node"), LedgerConnection.Amount(parsed.GetRequiredValue(amount), "the amount"));
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "contribution", (_, _, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => body), cancel);
        });
        return command;
    }

    private Command OnNode(string name, string description, Func<Bytes32, OperationBody> body)
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var node = new Argument<string>("node") { Description = "The node's router id.", HelpName = "NODE" };
        Option<bool> json = CommandTree.Json();
        var command = new Command(name, description) { node, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            OperationBody made = body(LedgerConnection.Hash(parsed.GetRequiredValue(node), "the node"));
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, name, (_, _, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => made), cancel);
        });
        return command;
    }

    private Command Status()
    {
        Option<string> server = LedgerConnection.Server();
        var node = new Argument<string?>("node") { Description = "The node's router id; without it: all nodes.", HelpName = "NODE", Arity = ArgumentArity.ZeroOrOne };
        Option<bool> json = CommandTree.Json();
        var command = new Command("status", "Show service nodes: stage, stake, swarm, credit.") { node, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            string[] wanted = parsed.GetValue(node) is { } id ? [LedgerConnection.Hash(id, "the node").ToString()] : [];
            JsonElement answer = await ledger.CallAsync("get_service_nodes", new { service_node_pubkeys = wanted }, cancel).ConfigureAwait(false);
            JsonElement[] nodes = [.. answer.GetProperty("service_node_states").EnumerateArray()];
            if (wanted.Length > 0 && nodes.Length == 0) throw new UserException(ExitCode.CheckFailed, "OXN6004", "the ledger knows no such node", "`oxen node status` lists them.");
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WritePropertyName("nodes");
                    w.WriteStartArray();
                    foreach (JsonElement n in nodes) n.WriteTo(w);
                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Table(
                    ["node", "active", "funded", "stake", "swarm", "credit"],
                    nodes.Select(n => (IReadOnlyList<string>)[n.GetProperty("service_node_pubkey").GetString()!, n.GetProperty("active").ToString(), n.GetProperty("funded").ToString(), OxenAmount.Format(n.GetProperty("total_contributed").GetUInt64()), n.GetProperty("swarm").GetString()!, n.GetProperty("earned_downtime_blocks").ToString()]));
            }

            return ExitCode.Ok;
        });
        return command;
    }
}
