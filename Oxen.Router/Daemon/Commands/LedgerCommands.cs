using System.CommandLine;
using System.Net;
using System.Text.Json;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Sequencing;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen ledger`: the ledger of a private network. docs/protocol/ledger.md</summary>
internal sealed class LedgerCommands(Screen screen)
{
    public Command Build() => new("ledger", "The ledger of a private network: begin one, run it, look at it, check it.") { Begin(), Run(), Status(), Verify() };

    private Command Begin()
    {
        var to = new Option<string>("--out") { Description = "Where to write the genesis.", HelpName = "FILE", Required = true };
        var name = new Option<string>("--network") { Description = "The network's name, 1 to 32 visible ASCII characters.", HelpName = "NAME", Required = true };
        var committee = new Option<string[]>("--committee") { Description = "The accounts whose quorum signs blocks until there are service nodes; one or more.", HelpName = "ACCOUNT", Required = true, AllowMultipleArgumentsPerToken = true };
        var money = new Option<string[]>("--allocate") { Description = "ACCOUNT=OXEN: what an account begins with.", HelpName = "ACCOUNT=OXEN", AllowMultipleArgumentsPerToken = true };
        var quick = new Option<bool>("--quick") { Description = "Terms of a few blocks (a zone's year has 10) and small stakes: for trying things out." };
        Option<bool> json = CommandTree.Json();
        var command = new Command("genesis", "Write the beginning of a network: its name, rules, committee and money.") { to, name, committee, money, quick, json };
        command.SetAction(parsed =>
        {
            string network = parsed.GetRequiredValue(name), path = parsed.GetRequiredValue(to);
            if (!Genesis.IsName(network)) throw LedgerConnection.Misuse("--network is no name", "1 to 32 visible ASCII characters.");
            Bytes32[] members = [.. parsed.GetRequiredValue(committee).Select(c => LedgerConnection.Hash(c, "--committee")).Distinct()];
            if (members.Length > Committee.MaxMembers) throw LedgerConnection.Misuse("--committee has too many members", $"At most {Committee.MaxMembers}.");
            var allocations = new Dictionary<Bytes32, ulong>();
            foreach (string text in parsed.GetValue(money) ?? [])
            {
                string[] parts = text.Split('=', 2);
                if (parts.Length != 2 || !allocations.TryAdd(LedgerConnection.Hash(parts[0], "--allocate"), LedgerConnection.Amount(parts[1], "--allocate"))) throw LedgerConnection.Misuse($"--allocate {text}", "ACCOUNT=OXEN, each account once.");
            }

            Genesis genesis;
            try
            {
                genesis = Genesis.Create(network, (ulong)DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), parsed.GetValue(quick) ? LedgerRules.Quick : LedgerRules.Default, Committee.Of(members), allocations);
                using var file = new FileStream(path, FileMode.CreateNew);
                file.Write(genesis.Encoded);
            }
            catch (ArgumentException e)
            {
                throw LedgerConnection.Misuse(e.Message, "");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw OxenException.FileTrouble(path, e.Message, e);
            }

            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("network", genesis.Network.ToString());
                    w.WriteString("file", path);
                });
            }
            else
            {
                screen.Facts("genesis", [("name", network), ("network", genesis.Network.ToString()), ("file", path)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Run()
    {
        var genesis = new Option<string>("--genesis") { Description = "The network's genesis file.", HelpName = "FILE", Required = true };
        var store = new Option<string>("--store") { Description = "sqlite:FILE, etcd:URL[,URL] or postgresql:CONNECTION.", HelpName = "STORE", Required = true };
        var listen = new Option<string>("--listen") { Description = "Where JSON-RPC is served; port 0 takes a free one.", HelpName = "ADDR:PORT", DefaultValueFactory = _ => "127.0.0.1:22023" };
        var sign = new Option<string[]>("--sign") { Description = "Key files of committee members, accounts' or relays'; each block is signed with them. What was signed is noted in the first one's name with .signed.", HelpName = "FILE", AllowMultipleArgumentsPerToken = true };
        var interval = new Option<double>("--interval") { Description = "A block every so many seconds, also empty ones; 0: a block whenever there are operations.", HelpName = "SECONDS" };
        var follow = new Option<string?>("--follow") { Description = "Make no blocks: copy and check those of this ledger, and send operations on to it.", HelpName = "URL" };
        var snapshot = new Option<string?>("--snapshot") { Description = "Write the state down here now and then, and begin from it.", HelpName = "FILE" };
        var subnames = new Option<string?>("--subnames") { Description = "Keep names below zones in files here; without it: in memory, until the end.", HelpName = "DIRECTORY" };
        var stdin = new Option<bool>("--stdin") { Description = "Stop when standard input ends: for programs that start this one." };
        var command = new Command("run", "Run a ledger and serve it. Prints one JSON object when it is ready.") { genesis, store, listen, sign, interval, follow, snapshot, subnames, stdin };
        command.SetAction(async (parsed, cancel) =>
        {
            if (!ConfigReader.TryEndPoint(parsed.GetRequiredValue(listen), out IPEndPoint? endPoint)) throw LedgerConnection.Misuse("--listen is no ADDR:PORT", "Such as 127.0.0.1:22023.");
            double seconds = parsed.GetValue(interval);
            if (seconds is < 0 or > 86_400) throw LedgerConnection.Misuse("--interval is out of range", "0 to 86400 seconds.");
            Uri? followed = null;
            if (parsed.GetValue(follow) is { } text && !ConfigReader.IsUrl(text, out followed)) throw LedgerConnection.Misuse($"--follow {text} is no address", "Such as http://127.0.0.1:22023/.");
            if (followed is not null && seconds > 0) throw LedgerConnection.Misuse("--interval is the pace of blocks, and a ledger with --follow makes none", "Leave one of them out.");
            string[] keys = parsed.GetValue(sign) ?? [];
            var config = new LedgerConfig
            {
                GenesisFile = parsed.GetRequiredValue(genesis),
                Store = parsed.GetRequiredValue(store),
                Listen = endPoint,
                Interval = TimeSpan.FromSeconds(seconds),
                SignFiles = keys,
                JournalFile = keys.Length > 0 ? keys[0] + ".signed" : null,
                Follow = followed,
                SnapshotFile = parsed.GetValue(snapshot),
                SubnameDirectory = parsed.GetValue(subnames),
            };
            await using LedgerEnd ledger = await LedgerEnd.OpenAsync(config, trouble => screen.ErrorOutput.WriteLine($"oxen: {trouble}"), TimeProvider.System, cancel).ConfigureAwait(false);
            screen.JsonLine(w =>
            {
                w.WriteString("event", "ready");
                w.WriteString("ledger", ledger.Rpc!.ToString());
                w.WriteString("network", ledger.Host.State.Network.ToString());
                w.WriteNumber("height", ledger.Host.State.Height);
            });
            try
            {
                // The ledger runs on its own threads; here the end is waited for: of the input, or Ctrl-C and SIGTERM, which cancel.
                if (parsed.GetValue(stdin)) await Console.In.ReadToEndAsync(cancel).ConfigureAwait(false);
                else await Task.Delay(Timeout.Infinite, cancel).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancel.IsCancellationRequested)
            {
                // asked to stop
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Status()
    {
        Option<string> server = LedgerConnection.Server();
        Option<bool> json = CommandTree.Json();
        var command = new Command("status", "Show a ledger's height, root, money and nodes.") { server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            JsonElement status = await ledger.CallAsync("ledger_status", new { }, cancel).ConfigureAwait(false);
            if (parsed.GetValue(json)) screen.Json(w => { foreach (JsonProperty field in status.EnumerateObject()) field.WriteTo(w); });
            else screen.Facts("ledger", status.EnumerateObject().Select(f => (f.Name.Replace('_', ' '), f.Name is "issued" or "burned" or "staked" or "operation_fee" ? OxenAmount.Format(f.Value.GetUInt64()) + " OXEN" : f.Value.ToString())));
            return ExitCode.Ok;
        });
        return command;
    }

    private Command Verify()
    {
        var genesis = new Option<string>("--genesis") { Description = "The network's genesis file.", HelpName = "FILE", Required = true };
        var store = new Option<string>("--store") { Description = "sqlite:FILE, etcd:URL[,URL] or postgresql:CONNECTION.", HelpName = "STORE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("verify", "Replay a store from its beginning, every signature and root, and audit the end. Exits 1 if something is wrong.") { genesis, store, json };
        command.SetAction(async (parsed, cancel) =>
        {
            Genesis begin = LedgerStores.ReadGenesis(parsed.GetRequiredValue(genesis));
            await using IBlockSequencer source = await LedgerStores.OpenAsync(parsed.GetRequiredValue(store), begin, cancel).ConfigureAwait(false);
            (LedgerState state, string reason) = await LedgerStores.AskAsync(parsed.GetRequiredValue(store), source, () => ReplayAsync(source, begin, cancel)).ConfigureAwait(false);
            string[] wrong = [.. reason.Length > 0 ? [reason] : Array.Empty<string>(), .. LedgerAudit.Check(state)];
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteBoolean("ok", wrong.Length == 0);
                    w.WriteNumber("height", state.Height);
                    w.WriteString("state_root", state.Root.ToString());
                    w.WriteStartArray("wrong");
                    foreach (string line in wrong) w.WriteStringValue(line);
                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Facts("ledger", [("height", state.Height.ToString()), ("state root", state.Root.ToString()), ("result", wrong.Length == 0 ? "sound" : string.Join("; ", wrong))]);
            }

            return wrong.Length == 0 ? ExitCode.Ok : ExitCode.CheckFailed;
        });
        return command;
    }

    private static async Task<(LedgerState State, string Reason)> ReplayAsync(IBlockSequencer source, Genesis genesis, CancellationToken cancel)
    {
        LedgerState state = LedgerState.Of(genesis);
        IReadOnlyList<byte[]> first = await source.ReadAsync(0, 1, cancel).ConfigureAwait(false);
        if (first.Count == 0 || !first[0].AsSpan().SequenceEqual(genesis.Encoded)) return (state, "the store does not begin with this genesis");
        while (await source.ReadAsync(state.Height + 1, 64, cancel).ConfigureAwait(false) is { Count: > 0 } blocks)
        {
            foreach (byte[] bytes in blocks)
            {
                if (Block.Read(bytes, genesis.Network) is not { } block) return (state, $"block {state.Height + 1} is garbled");
                if (StateMachine.Apply(state, block, out string reason) is not { } next) return (state, $"block {state.Height + 1}: {reason}");
                state = next;
            }
        }

        return (state, "");
    }
}
