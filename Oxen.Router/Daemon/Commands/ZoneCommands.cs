using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Zones;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;
using Oxen.Router.Hosting.Files;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen ons zone`: names of the second version, bought by commit and reveal, changed by their owner, recovered by the second one.</summary>
internal sealed class ZoneCommands(Screen screen)
{
    private const int MaxRevealBytes = 2048;

    public Command Build() => new("zone", "Names of the second version: values that only the owner can write, bought hidden, recovered with a second key.") { Commit(), Reveal(), Show(), Update(), Renew(), Recover() };

    /// <summary>A folded .loki name without labels below.</summary>
    public static string Checked(string name)
    {
        string folded = NameRules.Fold(name);
        NameFault fault = NameRules.Check(folded, NameType.Lokinet);
        return fault == NameFault.None ? folded : throw LedgerConnection.Misuse($"{name} is no lokinet name: {OnsCommands.Why(fault)}", "A zone is LABEL.loki; names below it are signed, not bought (`oxen ons sub`).");
    }

    /// <summary>Null: there never was such a zone. One that is over is there until somebody buys it.</summary>
    public static async Task<ZoneEntry?> FindAsync(LedgerConnection ledger, ZoneIndex index, CancellationToken cancel)
    {
        JsonElement answer = await ledger.CallAsync("ledger_zone", new { index = index.Index.ToString() }, cancel).ConfigureAwait(false);
        if (!answer.TryGetProperty("entry", out JsonElement entry)) return null;
        return LedgerEntries.Read(entry.GetBytesFromBase64()) as ZoneEntry is { } zone && zone.Index == index.Index ? zone : throw new UserException(ExitCode.Network, "OXN6003", "the server gave a zone that is none", "");
    }

    /// <summary>The zone of a name, or an error that nobody has it.</summary>
    public static async Task<(ZoneEntry Zone, ZoneIndex Index, Bytes32 Network)> RequireAsync(LedgerConnection ledger, string folded, CancellationToken cancel)
    {
        Bytes32 network = await ledger.NetworkAsync(cancel).ConfigureAwait(false);
        ZoneIndex index = ZoneIndex.Of(folded, NameType.Lokinet, network);
        ZoneEntry zone = await FindAsync(ledger, index, cancel).ConfigureAwait(false) ?? throw new UserException(ExitCode.CheckFailed, "OXN6005", $"nobody has the zone {folded}", "`oxen ons zone commit` begins to buy it.");
        return (zone, index, network);
    }

    private static async Task<LedgerRules> RulesAsync(LedgerConnection ledger, CancellationToken cancel) =>
        Genesis.Read((await ledger.CallAsync("ledger_genesis", new { }, cancel).ConfigureAwait(false)).GetProperty("genesis").GetBytesFromBase64())?.Rules ?? throw new UserException(ExitCode.Network, "OXN6003", "the server gave a genesis that is none", "");

    private Command Commit()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        Argument<string> name = Name();
        var years = new Option<byte>("--years") { Description = "1 to 10.", HelpName = "YEARS", DefaultValueFactory = _ => 1 };
        Option<string?> owner = Account("--owner", "Who owns it; without it: the paying account. Records need the owner's own signature, so they come later then."), backup = Account("--backup", "Who may recover it when the owner's key is lost.");
        var to = new Option<string>("--out") { Description = "Where what was committed to is written. `reveal` needs it: keep it, and keep it to yourself until then.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("commit", "Begin to buy a zone: claim it without telling which. The deposit is the price; `reveal` opens the claim some blocks later.") { name, years, owner, backup, to, wallet, server, json };
        var records = new ZoneRecordOptions(command, delegation: true);
        command.SetAction((parsed, cancel) =>
        {
            string folded = Checked(parsed.GetRequiredValue(name)), file = parsed.GetRequiredValue(to);
            List<ZoneRecord> given = records.Read(parsed);
            byte term = parsed.GetValue(years);
            if (term is 0 or > 10) throw LedgerConnection.Misuse("--years is out of range", "1 to 10.");
            if (File.Exists(file)) throw SecretFile.Exists(file);
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "commitment", async (ledger, key, c) =>
            {
                Bytes32 network = await ledger.NetworkAsync(c).ConfigureAwait(false), owned = parsed.GetValue(owner) is { } other ? ZoneRecordOptions.AccountOf(other, "--owner") : key.Id;
                if (owned != key.Id && given.Count > 0) throw LedgerConnection.Misuse("records are signed by the owner, and --owner is not the paying account", "Leave the records to the owner's `oxen ons zone update`.");
                Bytes32? second = parsed.GetValue(backup) is { } b ? ZoneRecordOptions.AccountOf(b, "--backup") : null;
                ZoneIndex index = ZoneIndex.Of(folded, NameType.Lokinet, network);
                ZoneEntry? old = await FindAsync(ledger, index, c).ConfigureAwait(false);
                byte[] value = given.Count == 0 ? [] : Sealed(index, key, old is null ? 0 : old.Sequence + 1, old is null ? 0 : old.Epoch + 1, given, network);
                var body = new ZoneRevealBody(NameType.Lokinet, index.LengthClass, term, index.Blind, owned, second, value, new Bytes32(RandomNumberGenerator.GetBytes(Bytes32.Length)));
                LedgerRules rules = await RulesAsync(ledger, c).ConfigureAwait(false);

                // Written before it is sent: a claim that nobody can open costs a tenth of its deposit.
                var writer = new LedgerWriter();
                body.Write(writer);
                SecretFile.Create(file, writer.ToArray());
                return (_, _) => new ZoneCommitBody(body.Commitment(key.Id, network), rules.ZonePrice(index.LengthClass) * term);
            }, cancel);
        });
        return command;
    }

    private Command Reveal()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var file = new Argument<string>("file") { Description = "What `commit` wrote.", HelpName = "FILE" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("reveal", "Open a claim: the zone is bought. --wallet is the account that committed.") { file, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            ZoneRevealBody body = ReadReveal(parsed.GetRequiredValue(file));
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "purchase", (_, _, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => body), cancel);
        });
        return command;
    }

    private Command Show()
    {
        Option<string> server = LedgerConnection.Server();
        Argument<string> name = Name();
        Option<bool> json = CommandTree.Json();
        var command = new Command("show", "Show a zone: owners, terms, pending recovery, records. The server is believed.") { name, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string folded = Checked(parsed.GetRequiredValue(name));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            (ZoneEntry zone, ZoneIndex index, Bytes32 network) = await RequireAsync(ledger, folded, cancel).ConfigureAwait(false);
            ulong height = (await ledger.CallAsync("ledger_status", new { }, cancel).ConfigureAwait(false)).GetProperty("height").GetUInt64();
            ulong grace = zone.ExpirationHeight + (await RulesAsync(ledger, cancel).ConfigureAwait(false)).GraceBlocks;
            ContentFault fault = ZoneContent.Open(zone, index, network, height, out ZoneContent? content);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("name", folded);
                    w.WriteString("index", zone.Index.ToString());
                    w.WriteString("owner", zone.Owner.ToString());
                    if (zone.Backup is { } backup) w.WriteString("backup", backup.ToString());
                    w.WriteBoolean("active", zone.IsActive(height + 1));
                    w.WriteNumber("sequence", zone.Sequence);
                    w.WriteNumber("epoch", zone.Epoch);
                    w.WriteNumber("expiration_height", zone.ExpirationHeight);
                    w.WriteNumber("grace_height", grace);
                    if (zone.Recovery is { } recovery)
                    {
                        w.WriteString("recovery_owner", recovery.NewOwner.ToString());
                        w.WriteNumber("recovery_height", recovery.ReadyHeight);
                    }

                    w.WriteString("content", fault == ContentFault.None ? "good" : fault.ToString().ToLowerInvariant());
                    ZoneRecordOptions.Write(w, content?.Records ?? []);
                });
            }
            else
            {
                List<(string, string)> facts = [("name", folded), ("owner", zone.Owner.ToString()), ("second owner", zone.Backup?.ToString() ?? "none"), ("state", zone.IsActive(height + 1) ? "active" : height < grace ? $"expired; it can be renewed up to height {grace}" : "over: anybody may buy it"), ("sequence", zone.Sequence.ToString()), ("epoch", zone.Epoch.ToString()), ("expires after height", zone.ExpirationHeight.ToString())];
                if (zone.Recovery is { } recovery) facts.Add(("recovery", $"for {recovery.NewOwner}, from height {recovery.ReadyHeight} on"));
                if (content is null) facts.Add(("records", fault == ContentFault.Empty ? "none" : $"not to be believed: {fault}"));
                else facts.AddRange(ZoneRecordOptions.Facts(content.Records));
                screen.Facts("zone", facts);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Update()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        Argument<string> name = Name();
        Option<string?> owner = Account("--owner", "Give the zone away; it is empty then."), backup = Account("--backup", "Who may recover it from now on.");
        var none = new Option<bool>("--no-backup") { Description = "Nobody may recover it from now on." };
        var clear = new Option<bool>("--clear") { Description = "Drop all records that are not given here. Without it, those of other kinds stay." };
        Option<string?> signer = new("--owner-key") { Description = "The owner's key file; without it: --wallet is the owner's.", HelpName = "FILE" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("update", "Change a zone's records or owners, by its owner's signature.") { name, owner, backup, none, clear, signer, wallet, server, json };
        var records = new ZoneRecordOptions(command, delegation: true);
        command.SetAction((parsed, cancel) =>
        {
            string folded = Checked(parsed.GetRequiredValue(name));
            List<ZoneRecord> given = records.Read(parsed);
            bool drop = parsed.GetValue(clear), value = drop || given.Count > 0;
            var fields = (parsed.GetValue(owner) is null ? 0 : ZoneFields.Owner) | (parsed.GetValue(backup) is null ? 0 : ZoneFields.Backup) | (parsed.GetValue(none) ? ZoneFields.NoBackup : 0) | (value ? ZoneFields.Value : 0);
            if (fields == ZoneFields.None) throw LedgerConnection.Misuse("the update changes nothing", "Give records, --clear, --owner, --backup or --no-backup.");
            if (fields.HasFlag(ZoneFields.Backup | ZoneFields.NoBackup)) throw LedgerConnection.Misuse("--backup and --no-backup exclude each other", "Leave one of them out.");
            if (fields.HasFlag(ZoneFields.Owner | ZoneFields.Value)) throw LedgerConnection.Misuse("a new owner writes its own records", "Leave the records to the new owner's `oxen ons zone update`.");
            Bytes32 first = parsed.GetValue(owner) is { } o ? ZoneRecordOptions.AccountOf(o, "--owner") : default, second = parsed.GetValue(backup) is { } b ? ZoneRecordOptions.AccountOf(b, "--backup") : default;
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "update", async (ledger, payer, c) =>
            {
                (ZoneEntry zone, ZoneIndex index, Bytes32 network) = await RequireAsync(ledger, folded, c).ConfigureAwait(false);
                using LedgerKey? apart = parsed.GetValue(signer) is { } path ? AccountFile.Load(path) : null;
                LedgerKey key = apart ?? payer;
                byte[] content = [];
                if (value)
                {
                    ulong height = (await ledger.CallAsync("ledger_status", new { }, c).ConfigureAwait(false)).GetProperty("height").GetUInt64();
                    if (!drop && ZoneContent.Open(zone, index, network, height, out ZoneContent? before) == ContentFault.None) given.InsertRange(0, before!.Records.Where(r => given.TrueForAll(g => g.Kind != r.Kind)).ToArray());
                    content = Sealed(index, key, zone.Sequence + 1, zone.Epoch, given, network);
                }

                ZoneUpdateBody body = new ZoneUpdateBody(zone.Index, zone.LastOperation, zone.Sequence + 1, fields, first, second, content, []).SignedBy(key, zone.Type, network);
                return (_, _) => body;
            }, cancel);
        });
        return command;
    }

    private Command Renew()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        Argument<string> name = Name();
        var years = new Option<byte>("--years") { Description = "1 to 10.", HelpName = "YEARS", DefaultValueFactory = _ => 1 };
        Option<bool> json = CommandTree.Json();
        var command = new Command("renew", "Pay for more years of a zone; anybody may, also in its time of grace.") { name, years, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            string folded = Checked(parsed.GetRequiredValue(name));
            byte term = parsed.GetValue(years);
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "renewal", async (ledger, payer, c) =>
            {
                (ZoneEntry zone, ZoneIndex _, Bytes32 _) = await RequireAsync(ledger, folded, c).ConfigureAwait(false);
                LedgerRules rules = await RulesAsync(ledger, c).ConfigureAwait(false);
                return (_, _) => new ZoneRenewBody(zone.Index, term, rules.ZonePrice(zone.LengthClass) * term);
            }, cancel);
        });
        return command;
    }

    private Command Recover() => new("recover", "Take a zone whose owner's key was lost: the second owner starts it, and finishes it after a delay in which the owner may cancel.")
    {
        Step("start", RecoveryStep.Start, "Name the new owner. --wallet or --key is the second owner's."),
        Step("cancel", RecoveryStep.Cancel, "Say no. --wallet or --key is the owner's."),
        Step("finish", RecoveryStep.Finish, "Have the new owner put in place after the delay. --wallet or --key is the second owner's."),
    };

    private Command Step(string verb, RecoveryStep step, string description)
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        Argument<string> name = Name();
        Option<string?> signer = new("--key") { Description = "Who signs, if not the paying account.", HelpName = "FILE" };
        Option<bool> json = CommandTree.Json();
        var command = new Command(verb, description) { name, signer, wallet, server, json };
        Option<string>? to = null;
        if (step == RecoveryStep.Start) command.Add(to = new Option<string>("--to") { Description = "The new owner: an account, or its key file.", HelpName = "ACCOUNT", Required = true });
        command.SetAction((parsed, cancel) =>
        {
            string folded = Checked(parsed.GetRequiredValue(name));
            Bytes32 heir = to is null ? default : ZoneRecordOptions.AccountOf(parsed.GetRequiredValue(to), "--to");
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "recovery", async (ledger, payer, c) =>
            {
                (ZoneEntry zone, _, Bytes32 network) = await RequireAsync(ledger, folded, c).ConfigureAwait(false);
                using LedgerKey? apart = parsed.GetValue(signer) is { } path ? AccountFile.Load(path) : null;
                ZoneRecoverBody body = new ZoneRecoverBody(zone.Index, zone.LastOperation, step, heir, []).SignedBy(apart ?? payer, zone.Type, network);
                return (_, _) => body;
            }, cancel);
        });
        return command;
    }

    private static byte[] Sealed(ZoneIndex index, LedgerKey owner, ulong sequence, uint epoch, List<ZoneRecord> records, Bytes32 network)
    {
        try
        {
            return ZoneContent.Seal(index, owner, sequence, epoch, 0, records, network, RandomNumberGenerator.GetBytes(24));
        }
        catch (ArgumentException e)
        {
            throw LedgerConnection.Misuse(e.Message, "Fewer or shorter records.");
        }
    }

    private static ZoneRevealBody ReadReveal(string path)
    {
        try
        {
            byte[] bytes = new FileInfo(path).Length <= MaxRevealBytes ? File.ReadAllBytes(path) : [];
            var reader = new LedgerReader(bytes);
            return ZoneRevealBody.ReadBody(ref reader) is { } body && reader.Done ? body : throw LedgerConnection.Misuse($"{path} is nothing that `oxen ons zone commit` wrote", "Give the file of its --out.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    private static Argument<string> Name() => new("name") { Description = "The name with `.loki`.", HelpName = "NAME" };

    private static Option<string?> Account(string option, string description) => new(option) { Description = description, HelpName = "ACCOUNT" };
}
