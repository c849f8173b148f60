using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Zones;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen ons sub` and `oxen ons reverse`: names below a zone, signed off the ledger; what an address wants to be known by.</summary>
internal sealed class SubnameCommands(Screen screen)
{
    private const int GrantBytes = Bytes32.Length + Bytes32.Length + LedgerSignature.Bytes;

    public void AddTo(Command ons)
    {
        ons.Add(new Command("sub", "Names below a zone, such as www.hello.loki: signed by a key that the zone delegates to, off the ledger and for nothing.") { Grant(), Sign(), Publish(), List() });
        ons.Add(new Command("reverse", "What an address wants to be known by, and whether that name leads to it.") { ReverseSet(), ReverseShow() });
    }

    /// <summary>Splits `www.hello.loki` into label and zone; the label is empty for a zone itself.</summary>
    public static (string Label, string Zone) Split(string name)
    {
        string folded = NameRules.Fold(name);
        string[] parts = folded.Split('.');
        if (parts.Length < 3) return ("", ZoneCommands.Checked(folded));
        string label = string.Join('.', parts[..^2]);
        return Subname.IsLabel(label) ? (label, ZoneCommands.Checked(string.Join('.', parts[^2..]))) : throw LedgerConnection.Misuse($"{label} is no label below a zone", "1 to 63 letters, digits and hyphens, no hyphen at an end, one label.");
    }

    /// <summary>Looks a name below a zone, or the zone's own, up at a server that is believed. Null: there is no such zone.</summary>
    public static async Task<IReadOnlyList<ZoneRecord>?> ResolveAsync(LedgerConnection ledger, string label, string zoneName, CancellationToken cancel)
    {
        JsonElement status = await ledger.CallAsync("ledger_status", new { }, cancel).ConfigureAwait(false);
        Bytes32 network = LedgerConnection.Hash(status.GetProperty("network").GetString()!, "the network's id");
        ulong height = status.GetProperty("height").GetUInt64();
        ZoneIndex index = ZoneIndex.Of(zoneName, NameType.Lokinet, network);
        if (await ZoneCommands.FindAsync(ledger, index, cancel).ConfigureAwait(false) is not { } zone || !zone.IsActive(height + 1)) return null;
        ContentFault fault = ZoneContent.Open(zone, index, network, height, out ZoneContent? content);
        if (content is null) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"the zone {zoneName} has no value that is to be believed: {fault}", "");
        if (label.Length == 0 || content.Find(ZoneRecordKind.Delegation) is not { } delegation) return content.Records;
        var key = new Bytes32(delegation.Data);
        JsonElement answer = await ledger.CallAsync("ledger_subname", new { zone = zone.Index.ToString(), lookup = Subname.LookupOf(label, key).ToString() }, cancel).ConfigureAwait(false);
        return Opened(answer.TryGetProperty("record", out JsonElement given) ? given.GetBytesFromBase64() : null, label, zoneName, key);
    }

    /// <summary>Opens what somebody gave for a name below a zone; an error says that there is none, or why it is not believed.</summary>
    public static IReadOnlyList<ZoneRecord> Opened(byte[]? record, string label, string zone, Bytes32 delegation)
    {
        if (record is null) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"nobody has published {label}.{zone} here", "");
        ContentFault fault = Subname.Open(record, label, delegation, 0, (ulong)DateTimeOffset.UtcNow.ToUnixTimeSeconds(), out IReadOnlyList<ZoneRecord> records, out _);
        return fault == ContentFault.None ? records : throw new UserException(ExitCode.CheckFailed, "OXN6005", $"what was given for {label}.{zone} is not to be believed: {fault}", "");
    }

    private Command Grant()
    {
        Option<string> server = LedgerConnection.Server();
        Argument<string> name = new("name") { Description = "The zone.", HelpName = "NAME" };
        var delegation = new Option<string>("--delegate") { Description = "Who may publish names below: the account that the zone delegates to, or its key file.", HelpName = "ACCOUNT", Required = true };
        var signer = new Option<string>("--owner-key") { Description = "The key file of the zone's owner.", HelpName = "FILE", Required = true };
        var to = new Option<string>("--out") { Description = "Where the grant is written; it is no secret.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("grant", "Let a key publish names below a zone, up to 256 of them. It holds until the zone has another owner. The zone's `update --delegate` says the same to whoever looks names up.") { name, delegation, signer, to, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string zoneName = ZoneCommands.Checked(parsed.GetRequiredValue(name)), file = parsed.GetRequiredValue(to);
            Bytes32 key = ZoneRecordOptions.AccountOf(parsed.GetRequiredValue(delegation), "--delegate");
            using LedgerKey owner = AccountFile.Load(parsed.GetRequiredValue(signer));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            (ZoneEntry zone, _, Bytes32 network) = await ZoneCommands.RequireAsync(ledger, zoneName, cancel).ConfigureAwait(false);
            if (owner.Id != zone.Owner) throw new UserException(ExitCode.CheckFailed, "OXN6004", $"{zone.Owner} owns {zoneName}, and --owner-key is {owner.Id}", "Give the owner's key.");
            Store(file, [.. zone.Index.ToArray(), .. key.ToArray(), .. SubnamePublication.GrantOf(owner, zone.Index, zone.Epoch, key, network)]);
            Written(parsed.GetValue(json), "grant", zoneName, file);
            return ExitCode.Ok;
        });
        return command;
    }

    private Command Sign()
    {
        Argument<string> name = new("name") { Description = "The name below a zone, such as www.hello.loki.", HelpName = "NAME" };
        var grant = new Option<string>("--grant") { Description = "What `grant` wrote.", HelpName = "FILE", Required = true };
        var signer = new Option<string>("--key") { Description = "The key file of the account that the zone delegates to.", HelpName = "FILE", Required = true };
        var days = new Option<int>("--days") { Description = "How long it holds; 1 to 3650.", HelpName = "DAYS", DefaultValueFactory = _ => 90 };
        var sequence = new Option<ulong?>("--sequence") { Description = "Must grow with every change of a name. Without it: the time in milliseconds.", HelpName = "NUMBER" };
        var remove = new Option<bool>("--remove") { Description = "The name stands for nothing from now on: a record without content takes the place of the one before." };
        var to = new Option<string>("--out") { Description = "Where the signed name is written; it is no secret.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("sign", "Sign a name below a zone. Asks nobody.") { name, grant, signer, days, sequence, remove, to, json };
        var options = new ZoneRecordOptions(command, delegation: false);
        command.SetAction(parsed =>
        {
            (string label, string zone) = Split(parsed.GetRequiredValue(name));
            if (label.Length == 0) throw LedgerConnection.Misuse($"{zone} is a zone, not a name below one", "Such as www.hello.loki.");
            List<ZoneRecord> records = options.Read(parsed);
            if (records.Count == 0 != parsed.GetValue(remove)) throw LedgerConnection.Misuse(records.Count == 0 ? "the name stands for nothing" : "--remove goes without records", "Give a record such as --address, or --remove.");
            int held = parsed.GetValue(days);
            if (held is < 1 or > 3650) throw LedgerConnection.Misuse("--days is out of range", "1 to 3650.");
            byte[] granted = Load(parsed.GetRequiredValue(grant), GrantBytes, "grant");
            using LedgerKey key = AccountFile.Load(parsed.GetRequiredValue(signer));
            if (granted.Length != GrantBytes || new Bytes32(granted.AsSpan(Bytes32.Length, Bytes32.Length)) != key.Id) throw LedgerConnection.Misuse("--grant is not for --key", "`oxen ons sub grant` writes one, by the zone's owner.");
            DateTimeOffset now = DateTimeOffset.UtcNow;
            byte[] record = Subname.Seal(label, records, key, parsed.GetValue(sequence) ?? (ulong)now.ToUnixTimeMilliseconds(), (ulong)now.AddDays(held).ToUnixTimeSeconds(), RandomNumberGenerator.GetBytes(24));
            if (record.Length > Subname.MaxBytes) throw LedgerConnection.Misuse($"the records take {record.Length} bytes, and {Subname.MaxBytes} are the most", "Fewer or shorter records.");
            string file = parsed.GetRequiredValue(to);
            Store(file, new SubnamePublication(new Bytes32(granted.AsSpan(0, Bytes32.Length)), key.Id, granted[(2 * Bytes32.Length)..], record).ToBytes());
            Written(parsed.GetValue(json), "name", $"{label}.{zone}", file);
            return ExitCode.Ok;
        });
        return command;
    }

    private Command Publish()
    {
        Option<string> server = LedgerConnection.Server();
        var file = new Argument<string>("file") { Description = "What `sign` wrote.", HelpName = "FILE" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("publish", "Hand a signed name to a ledger, which keeps it and answers for it. Whoever copies the ledger copies it too.") { file, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            byte[] bytes = Load(parsed.GetRequiredValue(file), SubnamePublication.MaxBytes, "signed name");
            if (SubnamePublication.Read(bytes) is not { } publication || Subname.ReadHead(publication.Record, publication.Delegation) is not { } head) throw LedgerConnection.Misuse("the file is no signed name", "`oxen ons sub sign` writes one.");
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            JsonElement answer = await ledger.CallAsync("ledger_subname_publish", new { publication = Convert.ToBase64String(bytes) }, cancel).ConfigureAwait(false);
            if (!answer.GetProperty("accepted").GetBoolean()) throw new UserException(ExitCode.CheckFailed, "OXN6004", $"the ledger refuses it: {answer.GetProperty("fault").GetString()}: {answer.GetProperty("detail").GetString()}", "Nothing was changed.");
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteBoolean("accepted", true);
                    Write(w, publication, head);
                });
            }
            else
            {
                screen.Facts("name below a zone", [("published", "accepted"), ("look-up hash", head.Lookup.ToString()), ("sequence", head.Sequence.ToString()), ("until", Until(head))]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command List()
    {
        Option<string> server = LedgerConnection.Server();
        Argument<string> name = new("name") { Description = "The zone.", HelpName = "NAME" };
        var labels = new Option<string[]>("--label") { Description = "A label that may be among them; those are shown opened.", HelpName = "LABEL", AllowMultipleArgumentsPerToken = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("list", "Show which names below a zone a ledger keeps. It knows hashes, not labels.") { name, labels, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string zoneName = ZoneCommands.Checked(parsed.GetRequiredValue(name));
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            (ZoneEntry zone, _, _) = await ZoneCommands.RequireAsync(ledger, zoneName, cancel).ConfigureAwait(false);
            JsonElement answer = await ledger.CallAsync("ledger_subnames", new { zone = zone.Index.ToString() }, cancel).ConfigureAwait(false);
            var rows = new List<(SubnamePublication Publication, SubnameHead Head, string? Label)>();
            foreach (JsonElement one in answer.GetProperty("publications").EnumerateArray())
            {
                if (SubnamePublication.Read(one.GetProperty("publication").GetBytesFromBase64()) is not { } publication || Subname.ReadHead(publication.Record, publication.Delegation) is not { } head) throw new UserException(ExitCode.Network, "OXN6003", "the server gave a name that is none", "");
                rows.Add((publication, head, (parsed.GetValue(labels) ?? []).FirstOrDefault(l => Subname.LookupOf(l, publication.Delegation) == head.Lookup)));
            }

            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteStartArray("names");
                    foreach ((SubnamePublication publication, SubnameHead head, string? label) in rows)
                    {
                        w.WriteStartObject();
                        if (label is not null) w.WriteString("label", label);
                        Write(w, publication, head);
                        if (label is not null) ZoneRecordOptions.Write(w, Opened(publication.Record, label, zoneName, publication.Delegation));
                        w.WriteEndObject();
                    }

                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Table(["label", "look-up hash", "sequence", "until"], rows.Select(r => (IReadOnlyList<string>)[r.Label ?? "", r.Head.Lookup.ToString(), r.Head.Sequence.ToString(), Until(r.Head)]));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command ReverseSet()
    {
        Option<string> server = LedgerConnection.Server(), wallet = LedgerConnection.Wallet();
        var name = new Argument<string?>("name") { Description = "The .loki name; without it, what was said is taken back.", HelpName = "NAME", Arity = ArgumentArity.ZeroOrOne };
        var address = new Option<string>("--key") { Description = "The secret key of the address: an account's key file, or an identity.key.", HelpName = "FILE", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("set", "Say by which name an address wants to be known, or take it back. Everybody can see it then.") { name, address, wallet, server, json };
        command.SetAction((parsed, cancel) =>
        {
            string folded = parsed.GetValue(name) is { Length: > 0 } given ? ZoneCommands.Checked(given) : "";
            return LedgerConnection.SendAsync(parsed, screen, server, wallet, json, "reverse", (_, payer, _) => Task.FromResult<Func<ulong, Bytes32, OperationBody>>((nonce, network) =>
            {
                using LedgerKey key = Names.LedgerStores.LoadKey(parsed.GetRequiredValue(address));
                return new ReverseBody(key.Id, folded, []).SignedBy(key, payer.Id, nonce, network);
            }), cancel);
        });
        return command;
    }

    private Command ReverseShow()
    {
        Option<string> server = LedgerConnection.Server();
        var address = new Argument<string>("address") { Description = "The address, 52 characters and .loki.", HelpName = "ADDRESS" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("show", "Show the name that an address wants to be known by, if the name leads to it. Exits 1 if it has none, or one that does not.") { address, server, json };
        command.SetAction(async (parsed, cancel) =>
        {
            if (NameValue.Parse(parsed.GetRequiredValue(address), NameType.Lokinet, out NameValue? value) != ValueFault.None) throw LedgerConnection.Misuse("this is no address", "52 characters of z-base-32 and .loki.");
            using var ledger = new LedgerConnection(parsed.GetRequiredValue(server));
            JsonElement answer = await ledger.CallAsync("ledger_reverse", new { address = new Bytes32(value!.Bytes).ToString() }, cancel).ConfigureAwait(false);
            if (!answer.TryGetProperty("name", out JsonElement said)) throw new UserException(ExitCode.CheckFailed, "OXN6005", "this address has said no name", "");
            string name = ZoneCommands.Checked(said.GetString()!);
            if (!await LeadsToAsync(ledger, name, value.Bytes.ToArray(), cancel).ConfigureAwait(false)) throw new UserException(ExitCode.CheckFailed, "OXN6005", $"the address says {name}, and that does not lead to it", "Do not show it by this name.");
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("address", value.Text);
                    w.WriteString("name", name);
                    w.WriteBoolean("forward_verified", true);
                });
            }
            else
            {
                screen.Facts("reverse", [("address", value.Text), ("name", name), ("leads back", "yes")]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    // As whoever looks it up: the zone if there is one, else the compatible name.
    private static async Task<bool> LeadsToAsync(LedgerConnection ledger, string name, byte[] address, CancellationToken cancel)
    {
        if (await ResolveAsync(ledger, "", name, cancel).ConfigureAwait(false) is { } records) return records.FirstOrDefault(r => r.Kind == ZoneRecordKind.Address) is { } record && record.Data.AsSpan().SequenceEqual(address);
        JsonElement answer = await ledger.CallAsync("ons_resolve", new { type = (int)NameType.Lokinet, name_hash = NameHash.Of(name).ToBase64() }, cancel).ConfigureAwait(false);
        if (!answer.TryGetProperty("encrypted_value", out JsonElement value)) return false;
        return ValueCipher.Decrypt(OnsLedgerCommands.StoredOf(answer, value), name, NameType.Lokinet, out byte[]? opened) == ValueFault.None && opened.AsSpan().SequenceEqual(address);
    }

    private void Written(bool json, string what, string name, string file)
    {
        if (!json)
        {
            screen.Facts(what, [("name", name), ("written to", file)]);
            return;
        }

        screen.Json(w =>
        {
            w.WriteString("name", name);
            w.WriteString("file", file);
        });
    }

    private static void Write(Utf8JsonWriter json, SubnamePublication publication, SubnameHead head)
    {
        json.WriteString("zone", publication.Zone.ToString());
        json.WriteString("delegation", publication.Delegation.ToString());
        json.WriteString("lookup", head.Lookup.ToString());
        json.WriteNumber("sequence", head.Sequence);
        json.WriteNumber("last_unix_second", head.LastUnixSecond);
    }

    private static string Until(SubnameHead head) => DateTimeOffset.FromUnixTimeSeconds((long)Math.Min(head.LastUnixSecond, 253_402_300_799)).ToString("u", CultureInfo.InvariantCulture);

    private static byte[] Load(string path, int most, string what)
    {
        try
        {
            return new FileInfo(path).Length <= most ? File.ReadAllBytes(path) : throw LedgerConnection.Misuse($"{path} is no {what}: it is too long", "");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }

    private static void Store(string path, byte[] bytes)
    {
        try
        {
            File.WriteAllBytes(path, bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw OxenException.FileTrouble(path, e.Message, e);
        }
    }
}
