using System.CommandLine;
using System.Security.Cryptography;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Proofs;
using Oxen.Ons.Resolving;
using Oxen.Ons.Rpc;
using Oxen.Ons.Zones;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Names;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>The verbs of `oxen ons` that ask a ledger: compatible names bought, changed, renewed, looked up and proven.</summary>
internal sealed class OnsLedgerCommands(Screen screen)
{
    private const string Owners = "An account: 64 hexadecimal digits, or its key file.";
    private static readonly string[] Terms = ["session", "wallet", "lokinet", "lokinet_2y", "lokinet_5y", "lokinet_10y"];

    public void AddTo(Command ons)
    {
        foreach (Command command in new[] { Price(), Buy(), Update(), Renew(), Resolve(), List(), Verify(), new ZoneCommands(screen).Build() }) ons.Add(command);
        new SubnameCommands(screen).AddTo(ons);
    }

    private Command Price()
    {
        Option<bool> json = CommandTree.Json();
        var command = new Command("price", "Show what names cost and how long they last. Works offline.") { json };
        command.SetAction(parsed =>
        {
            (string Type, ulong Price, ulong Blocks)[] rows = [.. Terms.Select((t, raw) => (t, NamePrices.Price(raw, NamePrices.LatestHardFork)!.Value, LedgerRules.Default.TermBlocks(raw)))];
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteStartArray("prices");
                    foreach ((string type, ulong price, ulong blocks) in rows)
                    {
                        w.WriteStartObject();
                        w.WriteString("type", type);
                        w.WriteNumber("atomic", price);
                        w.WriteString("oxen", OxenAmount.Format(price));
                        w.WriteNumber("blocks", blocks);
                        w.WriteEndObject();
                    }

                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Table(["type", "OXEN", "blocks"], rows.Select(r => (IReadOnlyList<string>)[r.Type, OxenAmount.Format(r.Price), r.Blocks == 0 ? "for ever" : r.Blocks.ToString()]));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Buy()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet(), term = Term();
        Argument<string> name = Name();
        var value = new Option<string>("--value") { Description = "What the name stands for.", HelpName = "VALUE", Required = true };
        Option<string?> owner = Owner("--owner", "Who owns it; without it: the paying account."), backup = Owner("--backup", "A second owner, who may do the same.");
        var burn = new Option<string?>("--burn") { Description = "What to pay, in OXEN; without it: the price.", HelpName = "OXEN" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("buy", "Buy a name.") { name, term, value, owner, backup, burn, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            int raw = Array.IndexOf(Terms, parsed.GetRequiredValue(term));
            (string folded, NameType type) = Checked(parsed.GetRequiredValue(name), raw);
            byte[] stored = Sealed(folded, type, parsed.GetRequiredValue(value));
            ulong price = parsed.GetValue(burn) is { } given ? LedgerConnection.Amount(given, "--burn") : NamePrices.Price(raw, NamePrices.LatestHardFork)!.Value;
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "purchase", (_, key, _) =>
            {
                var payload = new NamePayload { RawType = (ushort)raw, Hash = NameHash.Of(folded), Owner = OwnerOf(parsed.GetValue(owner)) ?? NameOwner.Of(key.Id), Backup = OwnerOf(parsed.GetValue(backup)), Value = stored };
                return Task.FromResult<Func<ulong, Bytes32, OperationBody>>((_, _) => new NameBody(price, payload));
            }, cancel);
        });
        return command;
    }

    private Command Update()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet(), type = Type();
        Argument<string> name = Name();
        var value = new Option<string?>("--value") { Description = "What the name stands for from now on.", HelpName = "VALUE" };
        Option<string?> owner = Owner("--owner", "Who owns it from now on."), backup = Owner("--backup", "The second owner from now on.");
        Option<bool> json = CommandTree.Json();
        var command = new Command("update", "Change a name's value or owners. --wallet is the owner's or second owner's key.") { name, type, value, owner, backup, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            int raw = Array.IndexOf(Terms, parsed.GetRequiredValue(type));
            (string folded, NameType kind) = Checked(parsed.GetRequiredValue(name), raw);
            byte[]? stored = parsed.GetValue(value) is { } text ? Sealed(folded, kind, text) : null;
            NameOwner? first = OwnerOf(parsed.GetValue(owner)), second = OwnerOf(parsed.GetValue(backup));
            if (stored is null && first is null && second is null) throw LedgerConnection.Misuse("the update changes nothing", "Give at least one of --value, --owner, --backup.");
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "update", async (ledger, key, c) =>
            {
                Bytes32 previous = await LastAsync(ledger, folded, kind, c).ConfigureAwait(false);
                NamePayload payload = new NamePayload { RawType = (ushort)kind, Hash = NameHash.Of(folded), Previous = previous, Owner = first, Backup = second, Value = stored }.SignedBy(key);
                return (_, _) => new NameBody(0, payload);
            }, cancel);
        });
        return command;
    }

    private Command Renew()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet(), term = Term();
        Argument<string> name = Name();
        Option<bool> json = CommandTree.Json();
        var command = new Command("renew", "Pay for more years of a lokinet name; anybody may.") { name, term, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            int raw = Array.IndexOf(Terms, parsed.GetRequiredValue(term));
            (string folded, NameType kind) = Checked(parsed.GetRequiredValue(name), raw);
            if (NamePrices.Years(raw) == 0) throw LedgerConnection.Misuse($"{Terms[raw]} names do not expire", "--type lokinet, lokinet_2y, lokinet_5y or lokinet_10y.");
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "renewal", async (ledger, _, c) =>
            {
                var payload = new NamePayload { RawType = (ushort)raw, Hash = NameHash.Of(folded), Previous = await LastAsync(ledger, folded, kind, c).ConfigureAwait(false) };
                return (_, _) => new NameBody(NamePrices.Price(raw, NamePrices.LatestHardFork)!.Value, payload);
            }, cancel);
        });
        return command;
    }

    private Command Resolve()
    {
        Option<string> server = LedgerConnection.Server(), type = Type();
        Argument<string> name = Name();
        Option<bool> json = CommandTree.Json();
        var command = new Command("resolve", "Look a name up at a ledger or an oxend, which is believed. `verify` believes nobody. Exits 1 if there is none.") { name, type, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            (string label, string folded, NameType kind) = Looked(parsed.GetRequiredValue(name), parsed.GetRequiredValue(type));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            if (kind == NameType.Lokinet && await ZoneAsync(ledger, label, folded, cancel).ConfigureAwait(false) is { } records) return ShowAddress(Full(label, folded), records, parsed.GetValue(json), null);
            JsonElement answer = await ledger.CallAsync("ons_resolve", new { type = (int)kind, name_hash = NameHash.Of(folded).ToBase64() }, cancel).ConfigureAwait(false);
            if (!answer.TryGetProperty("encrypted_value", out JsonElement value)) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"nobody has the {Terms[(int)kind]} name {folded}", "");
            byte[] stored = StoredOf(answer, value);
            return Show(folded, kind, stored, parsed.GetValue(json), null);
        });
        return command;
    }

    private Command List()
    {
        Option<string> server = LedgerConnection.Server();
        var account = new Argument<string>("owner") { Description = "The owner: 64 hexadecimal digits, or the key file of an account.", HelpName = "OWNER" };
        var expired = new Option<bool>("--expired") { Description = "Expired names too." };
        Option<bool> json = CommandTree.Json();
        var command = new Command("list", "Show the names of an owner. The ledger knows hashes, not names.") { account, expired, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string text = parsed.GetRequiredValue(account);
            if (File.Exists(text))
            {
                using LedgerKey key = AccountFile.Load(text);
                text = key.Id.ToString();
            }

            if (NameOwner.Parse(text) is null) throw LedgerConnection.Misuse($"{text} is no owner", Owners);
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            JsonElement answer = await ledger.CallAsync("ons_owners_to_names", new { entries = new[] { text }, include_expired = parsed.GetValue(expired) }, cancel).ConfigureAwait(false);
            JsonElement[] entries = [.. answer.GetProperty("entries").EnumerateArray()];
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteStartArray("names");
                    foreach (JsonElement entry in entries) entry.WriteTo(w);
                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Table(
                    ["type", "name hash", "expires", "operation"],
                    entries.Select(e => (IReadOnlyList<string>)[Terms[e.GetProperty("type").GetInt32()], e.GetProperty("name_hash").GetString()!, e.TryGetProperty("expiration_height", out JsonElement h) ? h.ToString() : "never", e.GetProperty("txid").GetString()!]));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Verify()
    {
        Option<string> server = LedgerConnection.Server(), type = Type();
        Argument<string> name = Name();
        var genesis = new Option<string>("--genesis") { Description = "The network's genesis file, from whom you trust: its committee is where belief begins.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("verify", "Look a name up and have it proven, presence or absence: the server is not believed. Exits 1 if there is none.") { name, type, genesis, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            (string label, string folded, NameType kind) = Looked(parsed.GetRequiredValue(name), parsed.GetRequiredValue(type));
            LightClient client = LightClient.From(LedgerStores.ReadGenesis(parsed.GetRequiredValue(genesis)));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            var source = new RpcProofSource(ledger.Client);
            var hash = NameHash.Of(folded);
            try
            {
                while (await source.WayAsync(client.Height, client.Committee, cancel).ConfigureAwait(false) is { Count: > 0 } way)
                {
                    foreach (HandOver step in way)
                    {
                        if (client.Follow(step) is not ProofFault.None and var wrong) throw Unbelieved(wrong);
                    }
                }

                if (kind == NameType.Lokinet && await ProvenZoneAsync(source, client, label, folded, parsed.GetValue(json), cancel).ConfigureAwait(false) is { } shown) return shown;
                byte[] answer = (await source.AskAsync([NameEntry.Key(kind, hash)], cancel).ConfigureAwait(false))[0];
                ProofFault fault = client.CheckName(answer, kind, hash, out NameEntry? entry, out BlockHeader? header);
                if (fault != ProofFault.None) throw Unbelieved(fault);
                if (entry is null) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"nobody has the {Terms[(int)kind]} name {folded}: proven at height {header!.Height}, {answer.Length} bytes", "");
                return Show(folded, kind, entry.Value, parsed.GetValue(json), (header!.Height, answer.Length));
            }
            catch (ProofSourceException e)
            {
                throw new UserException(ExitCode.Network, "OXN6003", e.Message, "", e);
            }
        });
        return command;
    }

    private static UserException Unbelieved(ProofFault fault) => new(ExitCode.Network, "OXN6006", $"the server's answer is not to be believed: {fault}", "Ask another server of the same network; a wrong --genesis looks the same.");

    private int Show(string name, NameType type, byte[] stored, bool json, (ulong Height, int Bytes)? proof)
    {
        ValueFault fault = ValueCipher.Decrypt(stored, name, type, out byte[]? opened);
        return ShowValue(name, type, fault == ValueFault.None ? opened : null, json, proof, fault);
    }

    private int ShowValue(string name, NameType type, byte[]? opened, bool json, (ulong Height, int Bytes)? proof, ValueFault fault = ValueFault.None)
    {
        NameValue? value = null;
        if (opened is not null) fault = NameValue.Read(opened, type, out value);
        if (value is null) throw new UserException(ExitCode.CheckFailed, "OXN6002", $"the name is there, and its value is not to be read: {fault}", "Its owner stored something else, or the server lies; `oxen ons verify` tells which.");
        if (json)
        {
            screen.Json(w =>
            {
                w.WriteString("name", name);
                w.WriteString("type", Terms[(int)type]);
                w.WriteString("value", value.Text);
                w.WriteBoolean("proven", proof is not null);
                if (proof is not { } p) return;
                w.WriteNumber("height", p.Height);
                w.WriteNumber("proof_bytes", p.Bytes);
            });
        }
        else
        {
            screen.Facts("name", [("name", name), ("type", Terms[(int)type]), ("value", value.Text), ("proven", proof is { } p ? $"at height {p.Height}, {p.Bytes} bytes" : "no")]);
        }

        return ExitCode.Ok;
    }

    // Of the same text, the zone comes before the compatible name. Null: there is no such zone.
    private async Task<int?> ProvenZoneAsync(RpcProofSource source, LightClient client, string label, string folded, bool json, CancellationToken cancel)
    {
        ZoneIndex index = ZoneIndex.Of(folded, NameType.Lokinet, client.Network);
        byte[] answer = (await source.AskAsync([ZoneEntry.Key(index.Index)], cancel).ConfigureAwait(false))[0];
        ProofFault fault = client.CheckZone(answer, index.Index, out ZoneEntry? zone, out BlockHeader? header);
        if (fault != ProofFault.None) throw Unbelieved(fault);
        if (zone is null) return null;
        ContentFault wrong = ZoneContent.Open(zone, index, client.Network, header!.Height, out ZoneContent? content);
        if (content is null) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"the zone {folded} is proven at height {header.Height}, and its value is not to be believed: {wrong}", "");
        IReadOnlyList<ZoneRecord> records = content.Records;
        if (label.Length > 0 && content.Find(ZoneRecordKind.Delegation) is { } delegation)
        {
            var key = new Bytes32(delegation.Data);
            records = SubnameCommands.Opened(await source.SubnameAsync(zone.Index, Subname.LookupOf(label, key), cancel).ConfigureAwait(false), label, folded, key);
        }

        return ShowAddress(Full(label, folded), records, json, (header.Height, answer.Length));
    }

    // An oxend has no zones and does not know the question.
    private static async Task<IReadOnlyList<ZoneRecord>?> ZoneAsync(LedgerConnection ledger, string label, string folded, CancellationToken cancel)
    {
        try
        {
            return await SubnameCommands.ResolveAsync(ledger, label, folded, cancel).ConfigureAwait(false);
        }
        catch (UserException e) when (e.InnerException is OxendException { Code: RpcRefusal.UnknownMethod })
        {
            return null;
        }
    }

    private int ShowAddress(string name, IReadOnlyList<ZoneRecord> records, bool json, (ulong Height, int Bytes)? proof)
    {
        if (records.FirstOrDefault(r => r.Kind == ZoneRecordKind.Address) is not { } address) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"{name} has no address", "`oxen ons zone show` shows what a zone has.");
        return ShowValue(name, NameType.Lokinet, address.Data, json, proof);
    }

    private static string Full(string label, string folded) => label.Length == 0 ? folded : $"{label}.{folded}";

    private static (string Label, string Folded, NameType Type) Looked(string name, string type)
    {
        if (type == Terms[(int)NameType.Lokinet] && name.Split('.').Length > 2)
        {
            (string label, string zone) = SubnameCommands.Split(name);
            return (label, zone, NameType.Lokinet);
        }

        (string folded, NameType kind) = Checked(name, Array.IndexOf(Terms, type));
        return ("", folded, kind);
    }

    /// <summary>The stored bytes of an answer to `ons_resolve`: encrypted value, then nonce.</summary>
    internal static byte[] StoredOf(JsonElement answer, JsonElement value)
    {
        string hex = value.GetString() + (answer.TryGetProperty("nonce", out JsonElement nonce) ? nonce.GetString() : "");
        byte[] stored = new byte[hex.Length / 2];
        return Convert.FromHexString(hex, stored, out _, out _) == System.Buffers.OperationStatus.Done ? stored : throw new UserException(ExitCode.Network, "OXN6003", "the server gave a value that is not hexadecimal", "");
    }

    private static async Task<Bytes32> LastAsync(LedgerConnection ledger, string name, NameType type, CancellationToken cancel)
    {
        JsonElement answer = await ledger.CallAsync("ons_names_to_owners", new { entries = new[] { new { name_hash = NameHash.Of(name).ToBase64(), types = new[] { (int)type } } }, include_expired = true }, cancel).ConfigureAwait(false);
        JsonElement entries = answer.GetProperty("entries");
        if (entries.GetArrayLength() == 0) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"nobody has the {Terms[(int)type]} name {name}", "`oxen ons buy` buys it.");
        return LedgerConnection.Hash(entries[0].GetProperty("txid").GetString()!, "the name's last operation");
    }

    private static (string Folded, NameType Type) Checked(string name, int raw)
    {
        var type = (NameType)Math.Min(raw, (int)NameType.Lokinet);
        string folded = NameRules.Fold(name);
        NameFault fault = NameRules.Check(folded, type);
        return fault == NameFault.None ? (folded, type) : throw LedgerConnection.Misuse($"{name} is no {Terms[(int)type]} name: {OnsCommands.Why(fault)}", "`oxen ons hash NAME` shows for which types it is one.");
    }

    private static byte[] Sealed(string name, NameType type, string text)
    {
        ValueFault fault = NameValue.Parse(text, type, out NameValue? value);
        if (value is null) throw LedgerConnection.Misuse($"{text} is no {Terms[(int)type]} value: {OnsCommands.Why(fault)}", "`oxen ons encrypt --help` says what values look like.");
        return ValueCipher.Encrypt(value.Bytes, name, RandomNumberGenerator.GetBytes(ValueCipher.NonceBytes));
    }

    private static NameOwner? OwnerOf(string? text)
    {
        if (text is null) return null;
        if (File.Exists(text)) return NameOwner.Of(ZoneRecordOptions.AccountOf(text, "the owner"));
        return NameOwner.Parse(text) ?? throw LedgerConnection.Misuse($"{text} is no owner", Owners);
    }

    private static Argument<string> Name() => new("name") { Description = "The name; lokinet's with `.loki`.", HelpName = "NAME" };

    private static Option<string?> Owner(string option, string description) => new(option) { Description = description, HelpName = "ACCOUNT" };

    private static Option<string> Term() => Words("--type", "session, wallet, lokinet (a year), lokinet_2y, lokinet_5y or lokinet_10y.", Terms);

    private static Option<string> Type() => Words("--type", "session, wallet or lokinet.", Terms[..3]);

    private static Option<string> Words(string option, string description, string[] words)
    {
        var made = new Option<string>(option) { Description = description, HelpName = "TYPE", DefaultValueFactory = _ => "lokinet" };
        made.AcceptOnlyFromAmong(words);
        return made;
    }
}
