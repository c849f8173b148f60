using System.CommandLine;
using System.Text;
using System.Text.Json;
using Oxen.Ons;
using Oxen.Ons.Ledger;
using Oxen.Ons.Zones;

namespace Oxen.Router.Daemon.Commands;

/// <summary>The options that say what stands under a zone or a name below one, and how records are shown.</summary>
internal sealed class ZoneRecordOptions
{
    private readonly Option<string?> _address = One("--address", "A .loki address of 52 characters.", "ADDRESS.loki");
    private readonly Option<string?> _session = One("--session", "A messenger account: 66 hexadecimal digits.", "ACCOUNT");
    private readonly Option<string?> _wallet = One("--pay-to", "An OXEN address, its bytes in hexadecimal.", "HEX");
    private readonly Option<string?> _key = One("--public-key", "A public key of the owner's, in hexadecimal.", "HEX");
    private readonly Option<string?> _alias = One("--alias", "Another name that stands for the same.", "NAME");
    private readonly Option<string[]> _text = Many("--text", "Text; may be given several times.", "TEXT");
    private readonly Option<string[]> _service = Many("--service", "\"_proto port target\"; may be given several times.", "SERVICE");
    private readonly Option<string?>? _delegate;

    public ZoneRecordOptions(Command command, bool delegation)
    {
        foreach (Option option in new Option[] { _address, _session, _wallet, _key, _alias, _text, _service }) command.Add(option);
        if (!delegation) return;
        _delegate = One("--delegate", "Who signs names below this one: an account, or its key file.", "ACCOUNT");
        command.Add(_delegate);
    }

    /// <exception cref="Terminal.UserException">One of them is not what its kind says.</exception>
    public List<ZoneRecord> Read(ParseResult parsed)
    {
        var records = new List<ZoneRecord>();
        if (parsed.GetValue(_address) is { } address) records.Add(Of(ZoneRecordKind.Address, "--address", Value(address, NameType.Lokinet, "--address")));
        if (parsed.GetValue(_session) is { } session) records.Add(Of(ZoneRecordKind.Session, "--session", Value(session, NameType.Session, "--session")));
        if (parsed.GetValue(_wallet) is { } wallet) records.Add(Of(ZoneRecordKind.Wallet, "--pay-to", Value(wallet, NameType.Wallet, "--pay-to")));
        if (parsed.GetValue(_key) is { } key) records.Add(Of(ZoneRecordKind.PublicKey, "--public-key", Hex(key, "--public-key")));
        if (parsed.GetValue(_alias) is { } alias) records.Add(Of(ZoneRecordKind.Alias, "--alias", Encoding.UTF8.GetBytes(alias)));
        foreach (string text in parsed.GetValue(_text) ?? []) records.Add(Of(ZoneRecordKind.Text, "--text", Encoding.UTF8.GetBytes(text)));
        foreach (string service in parsed.GetValue(_service) ?? []) records.Add(Of(ZoneRecordKind.Service, "--service", Encoding.UTF8.GetBytes(service)));
        if (_delegate is not null && parsed.GetValue(_delegate) is { } delegation) records.Add(Of(ZoneRecordKind.Delegation, "--delegate", AccountOf(delegation, "--delegate").ToArray()));
        return records;
    }

    /// <summary>An account by its 64 digits, or by its key file.</summary>
    public static Bytes32 AccountOf(string text, string what)
    {
        if (!File.Exists(text)) return LedgerConnection.Hash(text, what);
        using LedgerKey key = Keys.AccountFile.Load(text);
        return key.Id;
    }

    public static void Write(Utf8JsonWriter json, IReadOnlyList<ZoneRecord> records)
    {
        json.WriteStartArray("records");
        foreach (ZoneRecord record in records)
        {
            json.WriteStartObject();
            json.WriteString("kind", Word(record.Kind));
            json.WriteString("value", Text(record));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    public static IEnumerable<(string Name, string Value)> Facts(IReadOnlyList<ZoneRecord> records) => records.Select(r => (Word(r.Kind), Text(r)));

    private static string Word(ZoneRecordKind kind) => kind switch
    {
        ZoneRecordKind.Address => "address", ZoneRecordKind.Session => "session", ZoneRecordKind.Wallet => "wallet", ZoneRecordKind.Text => "text",
        ZoneRecordKind.Service => "service", ZoneRecordKind.Alias => "alias", ZoneRecordKind.PublicKey => "public_key", _ => "delegation",
    };

    private static string Text(ZoneRecord record) => record.Kind switch
    {
        ZoneRecordKind.Address => ZBase32.Encode(record.Data) + ".loki",
        ZoneRecordKind.Text or ZoneRecordKind.Service or ZoneRecordKind.Alias => Encoding.UTF8.GetString(record.Data),
        _ => Convert.ToHexStringLower(record.Data),
    };

    private static ZoneRecord Of(ZoneRecordKind kind, string option, byte[] data)
    {
        var record = new ZoneRecord(kind, data);
        return record.IsSound ? record : throw LedgerConnection.Misuse($"{option} is not what it should be, or has more than {ZoneRecord.MaxDataBytes} bytes", "--help says what it looks like.");
    }

    private static byte[] Value(string text, NameType type, string option)
        => NameValue.Parse(text, type, out NameValue? value) == ValueFault.None ? value!.Bytes.ToArray() : throw LedgerConnection.Misuse($"{option} {text} is no {type} value", "`oxen ons encrypt --help` says what values look like.");

    private static byte[] Hex(string text, string option)
    {
        byte[] bytes = new byte[text.Length / 2];
        return text.Length % 2 == 0 && Convert.FromHexString(text, bytes, out _, out _) == System.Buffers.OperationStatus.Done ? bytes : throw LedgerConnection.Misuse($"{option} is not hexadecimal", "An even number of digits 0-9, a-f.");
    }

    private static Option<string?> One(string name, string description, string help) => new(name) { Description = description, HelpName = help };

    private static Option<string[]> Many(string name, string description, string help) => new(name) { Description = description, HelpName = help };
}
