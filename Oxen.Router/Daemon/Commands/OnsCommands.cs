using System.CommandLine;
using System.Security.Cryptography;
using Oxen.Ons;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Commands;

/// <summary>`oxen ons`; here, what can be done with a name without asking anybody. The formats: docs/protocol/ons.md.</summary>
internal sealed class OnsCommands(Screen screen)
{
    private const int TagBytes = 16;

    public Command Build()
    {
        var command = new Command("ons", "Names: hash them, encrypt and decrypt their values offline; buy, change and look them up at a ledger.") { Hash(), Encrypt(), Decrypt() };
        new OnsLedgerCommands(screen).AddTo(command);
        return command;
    }

    private Command Hash()
    {
        var name = new Argument<string>("name") { Description = "The name; lokinet's with `.loki`. Capital letters count as small ones.", HelpName = "NAME" };
        Option<bool> json = CommandTree.Json();
        var command = new Command("hash", "Show the hash that stands for a name in the ledger.") { name, json };
        command.SetAction(parsed =>
        {
            string folded = NameRules.Fold(parsed.GetRequiredValue(name));
            if (folded.Length == 0) throw Refused("the empty name has no hash that a ledger takes", "Give a name.");
            var hash = NameHash.Of(folded);
            string[] types = [.. Enum.GetValues<NameType>().Where(t => NameRules.Check(folded, t) == NameFault.None).Select(Word)];
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("name", folded);
                    w.WriteString("name_hash", hash.ToBase64());
                    w.WriteString("name_hash_hex", hash.ToHex());
                    w.WriteStartArray("valid_for");
                    foreach (string type in types) w.WriteStringValue(type);
                    w.WriteEndArray();
                });
            }
            else
            {
                screen.Facts("name", [("name", folded), ("name hash", hash.ToBase64()), ("name hash hex", hash.ToHex()), ("valid for", types.Length == 0 ? "no type" : string.Join(", ", types))]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Encrypt()
    {
        Option<NameType> type = Type();
        Option<string> name = Name();
        var text = new Option<string>("--value") { Description = "What the name stands for: an account id (session), an address of 52 characters with .loki (lokinet), the bytes of an address in hexadecimal (wallet).", HelpName = "VALUE", Required = true };
        var nonce = new Option<string?>("--nonce") { Description = "48 hexadecimal digits, never used twice for a name. Without it: random ones.", HelpName = "HEX" };
        nonce.Validators.Add(r => { if (r.Tokens.Count == 1 && !TryHex(r.Tokens[0].Value, ValueCipher.NonceBytes, out _)) r.AddError("--nonce expects 48 hexadecimal digits"); });
        Option<bool> json = CommandTree.Json();
        var command = new Command("encrypt", "Encrypt a value under its name, as the ledger stores it.") { type, name, text, nonce, json };
        command.SetAction(parsed =>
        {
            NameType kind = parsed.GetRequiredValue(type);
            string folded = NameRules.Fold(parsed.GetRequiredValue(name));
            if (NameRules.Check(folded, kind) is not NameFault.None and var fault) throw Refused($"this is no {Word(kind)} name: {Why(fault)}", Remedy(kind));
            if (NameValue.Parse(parsed.GetRequiredValue(text), kind, out NameValue? value) is not ValueFault.None and var wrong) throw Refused($"this is no {Word(kind)} value: {Why(wrong)}", Form(kind));
            byte[] chosen = parsed.GetValue(nonce) is { } hex && TryHex(hex, ValueCipher.NonceBytes, out byte[] given) ? given : RandomNumberGenerator.GetBytes(ValueCipher.NonceBytes);
            byte[] stored = ValueCipher.Encrypt(value!.Bytes, folded, chosen);
            string sealedValue = Convert.ToHexStringLower(stored.AsSpan(0, value.Bytes.Length + TagBytes));
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("type", Word(kind));
                    w.WriteString("name", folded);
                    w.WriteString("name_hash", NameHash.Of(folded).ToBase64());
                    w.WriteString("stored", Convert.ToHexStringLower(stored));
                    w.WriteString("encrypted_value", sealedValue);
                    w.WriteString("nonce", Convert.ToHexStringLower(chosen));
                });
            }
            else
            {
                screen.Facts("encrypted value", [("type", Word(kind)), ("name hash", NameHash.Of(folded).ToBase64()), ("stored", Convert.ToHexStringLower(stored)), ("nonce", Convert.ToHexStringLower(chosen))]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private Command Decrypt()
    {
        Option<NameType> type = Type();
        Option<string> name = Name();
        var bytes = new Option<string>("--stored") { Description = "The stored bytes in hexadecimal: encrypted value, then nonce. Legacy session values have no nonce, and take 256 MiB and some seconds.", HelpName = "HEX", Required = true };
        Option<bool> json = CommandTree.Json();
        var command = new Command("decrypt", "Decrypt a stored value with its name. Exits 1 if it does not open.") { type, name, bytes, json };
        command.SetAction(parsed =>
        {
            NameType kind = parsed.GetRequiredValue(type);
            string hex = parsed.GetRequiredValue(bytes);
            if (!TryHex(hex, hex.Length / 2, out byte[] stored)) throw Refused("--stored is not hexadecimal", "Give an even number of digits 0-9, a-f.");
            ValueFault fault = ValueCipher.Decrypt(stored, parsed.GetRequiredValue(name), kind, out byte[]? opened);
            if (fault == ValueFault.Length) throw Refused($"no stored {Word(kind)} value has {stored.Length} bytes", "It is the encrypted value and then the nonce, as `oxen ons encrypt` prints it.");
            NameValue? value = null;
            if (fault == ValueFault.None) fault = NameValue.Read(opened, kind, out value);
            if (value is null) throw new UserException(ExitCode.CheckFailed, "OXN6002", fault == ValueFault.Sealed ? "the stored value does not open under this name" : $"the value opened, but it is no {Word(kind)} value: {Why(fault)}", "Check the name, the type and the bytes.");
            if (parsed.GetValue(json))
            {
                screen.Json(w =>
                {
                    w.WriteString("type", Word(kind));
                    w.WriteString("value", value.Text);
                    w.WriteString("value_hex", Convert.ToHexStringLower(value.Bytes));
                });
            }
            else
            {
                screen.Facts("value", [("type", Word(kind)), ("value", value.Text)]);
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static Option<NameType> Type()
    {
        var option = new Option<NameType>("--type") { Description = "session, wallet or lokinet.", HelpName = "TYPE", Required = true };
        option.CustomParser = r =>
        {
            foreach (NameType type in Enum.GetValues<NameType>())
            {
                if (r.Tokens.Count == 1 && Word(type) == r.Tokens[0].Value) return type;
            }

            r.AddError("--type expects session, wallet or lokinet");
            return default;
        };
        return option;
    }

    private static Option<string> Name() => new("--name") { Description = "The name; lokinet's with `.loki`.", HelpName = "NAME", Required = true };

    private static UserException Refused(string message, string remedy) => new(ExitCode.Usage, "OXN6001", message, remedy);

    private static bool TryHex(string text, int length, out byte[] bytes)
    {
        bytes = new byte[length];
        return text.Length == 2 * length && Convert.FromHexString(text, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
    }

    private static string Word(NameType type) => type switch { NameType.Session => "session", NameType.Wallet => "wallet", _ => "lokinet" };

    internal static string Why(NameFault fault) => fault switch
    {
        NameFault.Empty => "it is empty",
        NameFault.TooLong => "it is too long",
        NameFault.Ending => "it does not end in .loki",
        NameFault.Reserved => "it is reserved",
        NameFault.Hyphens => "it has two hyphens in third place",
        NameFault.Edge => "it begins or ends with a character that may only stand inside",
        _ => "it has a character that no name has",
    };

    internal static string Why(ValueFault fault) => fault switch
    {
        ValueFault.Length => "it has the wrong length",
        ValueFault.Kind => "it is of another kind",
        _ => "it is not well-formed",
    };

    private static string Remedy(NameType type) => type == NameType.Lokinet
        ? "LABEL.loki: up to 32 letters, digits and hyphens, up to 63 if there is a hyphen; no hyphen at an end."
        : "Up to 64 letters, digits, underscores and hyphens; no hyphen at an end.";

    private static string Form(NameType type) => type switch
    {
        NameType.Session => "An account id: 66 hexadecimal digits that begin with 05.",
        NameType.Wallet => "130 hexadecimal digits: kind 00 or 01, spend key, view key; or 146 with kind 02 and a payment id.",
        _ => "An address: 52 characters of z-base-32 and .loki.",
    };
}
