using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>
/// How a network with a static directory is made: each relay writes its contact (`oxen contact`), whoever holds the list key signs
/// them together (`oxen contacts sign`), anybody looks (`oxen contacts show`). docs/own-network.md goes through it.
/// </summary>
internal sealed class ContactVerbs(Screen screen)
{
    private const int MaxDays = 399; // with the hour before now, within the format's 400 days
    private const long Hour = 3600;
    private const long Day = 24 * Hour;

    public Command Contact()
    {
        var file = new Option<string>("--config") { Description = "The relay's TOML file.", HelpName = "FILE", Required = true };
        var to = new Option<string>("--out") { Description = "Where to write the contact.", HelpName = "FILE", Required = true };
        Option<int> valid = Days(365);
        Option<bool> json = CommandTree.Json();
        var command = new Command("contact", "Write this relay's signed contact, to be put on a contact list.") { file, to, valid, json };
        command.SetAction(parsed =>
        {
            RouterConfig? config = ConfigReader.ReadFile(parsed.GetRequiredValue(file), out IReadOnlyList<ConfigDiagnostic> diagnostics);
            if (config is null)
            {
                foreach (ConfigDiagnostic d in diagnostics) screen.ErrorOutput.WriteLine(d);
                return ExitCode.Usage;
            }

            if (!config.Roles.HasFlag(RouterRoles.Relay)) throw new UserException(ExitCode.Usage, "OXN2001", "only a relay has a contact, and the configuration's roles are without \"relay\"", "A client needs none: it shows a fresh key on each link.");
            using RouterIdentity identity = IdentityFile.Load(config.IdentityFile, IdentityFile.RelayRole);
            using OnionKeyPair onion = OnionKeyFile.Load(config.OnionKeyFile);
            UdpAddress address = UdpAddress.From(config.ReachedAt);
            if (!RouterContact.IsPublishable(address)) throw new UserException(ExitCode.Usage, "OXN2001", $"{config.ReachedAt} is no address that others could reach", "Set `address` to a unicast address that is not link-local.");
            long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
            RouterCapabilities capabilities = config.Capabilities;
            RouterContact contact = RouterContact.Create(identity, onion, capabilities, [address], config.Relay.Region, config.Relay.Operator, now - Hour, now + parsed.GetValue(valid) * Day, ranges: config.AnnouncedRanges);
            string path = parsed.GetRequiredValue(to);
            ContactFiles.Write(path, contact.Encoded);
            if (parsed.GetValue(json)) screen.Json(w => WriteContact(w, contact, ContactFault.None));
            else screen.Facts("contact", [("file", path), ("router id", contact.Id.ToString()), ("address", config.ReachedAt.ToString()), ("does", ContactWords.Of(capabilities)), ("valid until", ContactWords.Date(contact.ValidUntilUnixSeconds))]);
            return ExitCode.Ok;
        });
        return command;
    }

    public Command Contacts() => new("contacts", "Sign and read contact lists.") { Sign(), Show() };

    private Command Sign()
    {
        var key = new Option<string>("--key") { Description = "The list key file, made with `oxen keygen --role list`.", HelpName = "FILE", Required = true };
        var to = new Option<string>("--out") { Description = "Where to write the list; an older one there is replaced.", HelpName = "FILE", Required = true };
        var network = new Option<string>("--network") { Description = "The network's name.", HelpName = "NAME", DefaultValueFactory = _ => "oxen" };
        network.Validators.Add(r => { if (r.Tokens.Count == 1 && !ContactWords.TryNetworkId(r.Tokens[0].Value, out _)) r.AddError("--network expects 1 to 32 visible ASCII characters"); });
        Option<int> valid = Days(30);
        var files = new Argument<string[]>("contacts") { Description = "The relays' contact files.", HelpName = "FILE...", Arity = ArgumentArity.OneOrMore };
        Option<bool> json = CommandTree.Json();
        var command = new Command("sign", "Sign a list of contacts.") { key, to, network, valid, files, json };
        command.SetAction(parsed =>
        {
            DateTimeOffset now = DateTimeOffset.UtcNow;
            var contacts = new List<RouterContact>();
            foreach (string file in parsed.GetRequiredValue(files))
            {
                RouterContact contact = ContactFiles.ReadContact(file, now);
                if (contacts.Exists(c => c.Id == contact.Id)) throw new UserException(ExitCode.Usage, "OXN2001", $"{file}: this router is there already", "Name each router's contact once.");
                contacts.Add(contact);
            }

            if (contacts.Count > ContactList.MaxContacts) throw new UserException(ExitCode.Usage, "OXN2001", $"a list holds at most {ContactList.MaxContacts} contacts", "");
            ContactWords.TryNetworkId(parsed.GetRequiredValue(network), out byte[] networkId);
            using RouterIdentity listKey = IdentityFile.Load(parsed.GetRequiredValue(key), IdentityFile.ListRole);
            long unix = now.ToUnixTimeSeconds();
            ContactList list = ContactList.Create(listKey, networkId, contacts, unix - Hour, unix + parsed.GetValue(valid) * Day);
            string path = parsed.GetRequiredValue(to);
            ContactFiles.Write(path, list.Encoded);
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("file", path);
                    w.WriteString("contacts_key", listKey.Id.ToString());
                    WriteHead(w, list);
                });
            }
            else
            {
                screen.Facts("contact list", [("file", path), .. Head(list), ("contacts_key", listKey.Id.ToString())]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Show()
    {
        var file = new Argument<string>("file") { Description = "A contact list, or one contact.", HelpName = "FILE" };
        var key = new Option<string?>("--key") { Description = "The public list key; without it the list's signature is not checked.", HelpName = "HEX" };
        key.Validators.Add(r => { if (r.Tokens.Count == 1 && !RouterId.TryParse(r.Tokens[0].Value, out _)) r.AddError("--key expects 64 hexadecimal digits"); });
        Option<bool> json = CommandTree.Json();
        var command = new Command("show", "Show what a contact list says, and whether it is good. Exits 1 if it is not.") { file, key, json };
        command.SetAction(parsed =>
        {
            string path = parsed.GetRequiredValue(file);
            byte[] data = ContactFiles.Read(path, ContactList.MaxBytes);
            RouterId? listKey = parsed.GetValue(key) is { } hex && RouterId.TryParse(hex, out RouterId id) ? id : null;
            return data.AsSpan().StartsWith("OXCL"u8) ? ShowList(data, listKey, parsed.GetValue(json)) : ShowContact(data, parsed.GetValue(json));
        });
        return command;
    }

    private int ShowContact(byte[] data, bool json)
    {
        ContactFault fault = RouterContact.TryDecode(data, out RouterContact? contact);
        if (contact is null) throw new UserException(ExitCode.CheckFailed, "OXN4004", $"this is neither a contact list nor a contact: {ContactWords.Of(fault)}", "Fetch or make it anew.");
        fault = contact.Verify(DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        if (json) screen.Json(w => WriteContact(w, contact, fault));
        else Rows([contact], _ => fault);
        return fault == ContactFault.None ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    private int ShowList(byte[] data, RouterId? listKey, bool json)
    {
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        ContactFault fault = ContactList.ReadContacts(data, out ContactList? list);
        if (list is null) throw new UserException(ExitCode.CheckFailed, "OXN4004", $"the list is refused: {ContactWords.Of(fault)}", "Fetch it anew from whoever signs it.");
        fault = listKey is { } key ? ContactList.TryOpen(data, key, list.NetworkId, now, out _)
            : now < list.IssuedUnixSeconds ? ContactFault.NotYetValid
            : now >= list.ExpiresUnixSeconds ? ContactFault.Expired : ContactFault.None;
        string verdict = fault == ContactFault.None && listKey is null ? "in form; its signature was not checked (give --key)" : ContactWords.Of(fault);
        if (json)
        {
            screen.Json(w =>
            {
                w.WriteBoolean("ok", fault == ContactFault.None);
                w.WriteString("verdict", verdict);
                w.WriteBoolean("signature_checked", listKey is not null);
                WriteHead(w, list);
                w.WriteStartArray("routers");
                foreach (RouterContact contact in list.Contacts)
                {
                    w.WriteStartObject();
                    WriteContact(w, contact, contact.Verify(now));
                    w.WriteEndObject();
                }

                w.WriteEndArray();
            });
        }
        else
        {
            screen.Facts("contact list", [.. Head(list), ("verdict", verdict)]);
            Rows(list.Contacts, c => c.Verify(now));
        }

        return fault == ContactFault.None ? ExitCode.Ok : ExitCode.CheckFailed;
    }

    private void Rows(IEnumerable<RouterContact> contacts, Func<RouterContact, ContactFault> verify) => screen.Table(
        ["router", "does", "address", "operator", "region", "until", "verdict"],
        contacts.Select(c => (IReadOnlyList<string>)[c.Id.ToString(), ContactWords.Of(c.Capabilities), string.Join(" ", c.Addresses.ToArray()), c.Operator, c.Region, ContactWords.Date(c.ValidUntilUnixSeconds), ContactWords.Of(verify(c))]));

    private static (string, string)[] Head(ContactList list) =>
    [
        ("network", ContactWords.NetworkName(list.NetworkId)),
        ("routers", list.Contacts.Count.ToString(CultureInfo.InvariantCulture)),
        ("issued", ContactWords.Date(list.IssuedUnixSeconds)),
        ("expires", ContactWords.Date(list.ExpiresUnixSeconds)),
    ];

    private static void WriteHead(Utf8JsonWriter json, ContactList list)
    {
        json.WriteString("network", ContactWords.NetworkName(list.NetworkId));
        json.WriteNumber("count", list.Contacts.Count);
        json.WriteNumber("issued", list.IssuedUnixSeconds);
        json.WriteNumber("expires", list.ExpiresUnixSeconds);
    }

    private static void WriteContact(Utf8JsonWriter json, RouterContact contact, ContactFault fault)
    {
        json.WriteString("router_id", contact.Id.ToString());
        json.WriteBoolean("relay", contact.IsRelay);
        json.WriteBoolean("exit", contact.IsExit);
        json.WriteBoolean("wants_token", contact.WantsToken);
        json.WriteStartArray("ranges");
        foreach (IpPrefix range in contact.Ranges) json.WriteStringValue(range.ToString());
        json.WriteEndArray();
        json.WriteStartArray("addresses");
        foreach (UdpAddress address in contact.Addresses) json.WriteStringValue(address.ToString());
        json.WriteEndArray();
        json.WriteString("operator", contact.Operator);
        json.WriteString("region", contact.Region);
        json.WriteString("onion_key_id", contact.OnionKeyId.ToString("x16", CultureInfo.InvariantCulture));
        json.WriteNumber("published", contact.PublishedUnixSeconds);
        json.WriteNumber("valid_until", contact.ValidUntilUnixSeconds);
        json.WriteString("verdict", ContactWords.Of(fault));
    }

    private static Option<int> Days(int otherwise)
    {
        var option = new Option<int>("--valid") { Description = $"Days that it is valid for, 1 to {MaxDays}.", HelpName = "DAYS", DefaultValueFactory = _ => otherwise };
        option.Validators.Add(r =>
        {
            if (r.Tokens.Count == 1 && int.TryParse(r.Tokens[0].Value, CultureInfo.InvariantCulture, out int days) && days is < 1 or > MaxDays) r.AddError($"--valid expects a number of days from 1 to {MaxDays}, found {r.Tokens[0].Value}");
        });
        return option;
    }
}
