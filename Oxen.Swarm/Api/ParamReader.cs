using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Api;

// Takes typed values out of a request's dictionary, JSON's or bt's. The first thing that is wrong is kept in `Fault`, in the
// words that clients and the network's tests know; whatever is read after that is worth nothing.
//
//            JSON                                  bt
//   key      66 hexadecimal digits                 33 bytes, or the digits
//   bytes    base64, with or without padding       raw
//   boolean  true, false                           i1e, i0e

/// <summary>Reads the parameters of one request.</summary>
internal sealed class ParamReader(WireMap map, bool bt, bool allowTestNetwork)
{
    /// <summary>Milliseconds below this are seconds by mistake.</summary>
    private const long LeastMilliseconds = 1_000_000_000;

    public string? Fault { get; private set; }

    public bool Has(string name) => map.ContainsKey(name);

    public bool HasAny(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (map.ContainsKey(name)) return true;
        }

        return false;
    }

    public void Fail(string fault) => Fault ??= fault;

    public object? Raw(string name) => map.GetValueOrDefault(name);

    public AccountId Account(bool swarmForm = false)
    {
        if ((Raw("pubkey") ?? Raw("pubKey")) is not { } value)
        {
            Missing("pubkey");
            return default;
        }

        bool read = value switch
        {
            string text => AccountId.TryParse(text, allowTestNetwork, out AccountId a) && Keep(a),
            byte[] { Length: AccountId.Bytes or AccountId.Bytes - 1 } raw => AccountId.TryRead(raw, allowTestNetwork, out AccountId a) && Keep(a),
            byte[] hex => AccountId.TryParse(Encoding.Latin1.GetString(hex), allowTestNetwork, out AccountId a) && Keep(a),
            _ => false,
        };
        if (!read) Fail(swarmForm ? "Pubkey must be 66 hex digits/33 bytes long" : "Pubkey must be 66 hex digits (33 bytes) long");
        return _account;

        bool Keep(AccountId account)
        {
            _account = account;
            return true;
        }
    }

    private AccountId _account;

    /// <summary>Key, signature and subaccount. `required`: there must be a signature.</summary>
    public RequestAuth Auth(AccountId account, bool required)
    {
        byte[]? key = null;
        if (Raw("pubkey_ed25519") is { } given)
        {
            key = given switch
            {
                byte[] { Length: 32 } raw => raw,
                byte[] hex => FromHex(Encoding.Latin1.GetString(hex), 32),
                string hex => FromHex(hex, 32),
                _ => null,
            };
            if (key is null) Fail("invalid pubkey_ed25519: expected 64 hex digits (32 bytes)");
            else if (account.Network != AccountId.PersonNetwork) Fail("pubkey_ed25519 is only permitted for 05[...] pubkeys");
        }

        byte[]? signature = Signature("signature");
        if (required && signature is null) Missing("signature");
        byte[]? token = Raw("subaccount") is { } t ? Token(t) : null;
        byte[]? tokenSignature = Signature("subaccount_sig");
        if (token is not null && tokenSignature is null) Missing("subaccount_sig");
        if (token is null && tokenSignature is not null) Missing("subaccount");
        return new RequestAuth(key, signature, token, tokenSignature);
    }

    /// <summary>36 bytes: raw in bt, base64 or hexadecimal in text.</summary>
    public byte[]? Token(object value)
    {
        byte[]? token = value switch
        {
            byte[] { Length: 36 } raw => raw,
            byte[] text => TokenOfText(Encoding.Latin1.GetString(text)),
            string text => TokenOfText(text),
            _ => null,
        };
        if (token is null) Fail("invalid subaccount token: expected 36 bytes (72 hex digits or 48 base64 characters)");
        return token;
    }

    public bool Flag(string name)
    {
        switch (Raw(name))
        {
            case null: return false;
            case bool flag: return flag;
            case long number when bt && number is 0 or 1: return number == 1;
            default:
                Wrong(name, "boolean");
                return false;
        }
    }

    public long? Integer(string name, string kind = "integer")
    {
        switch (Raw(name))
        {
            case null: return null;
            case long number: return number;
            default:
                Wrong(name, kind);
                return null;
        }
    }

    /// <summary>A namespace; 0 where there is none.</summary>
    public short Space()
    {
        if (Integer("namespace", "16-bit integer") is not { } number) return 0;
        if (number is < short.MinValue or > short.MaxValue) Fail("Invalid value given for 'namespace': value out of range");
        return unchecked((short)number);
    }

    /// <summary>A namespace, 0 where there is none, or null for "all".</summary>
    public short? SpaceOrAll()
    {
        if (Raw("namespace") is { } value && Text(value) == "all") return null;
        if (Raw("namespace") is { } other && other is not long) Wrong("namespace", "integer or \"all\"");
        return Space();
    }

    /// <summary>A time in milliseconds. `text`: digits in a string do too.</summary>
    public long Time(string name, bool text = false)
    {
        if (OptionalTime(name, text) is { } time) return time;
        Missing(name);
        return 0;
    }

    public long? OptionalTime(string name, bool text = false)
    {
        switch (Raw(name))
        {
            case null: return null;
            case long number: return Checked(number, name);
            case string digits when text && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number): return Checked(number, name);
            default:
                Wrong(name, "integer timestamp (in milliseconds)");
                return null;
        }
    }

    public IReadOnlyList<long> Times(string name)
    {
        switch (Raw(name))
        {
            case null:
                Missing(name);
                return [];
            case long single: return [Checked(single, name)];
            case List<object> list when list.TrueForAll(o => o is long): return [.. list.Select(o => Checked((long)o, name))];
            default:
                Wrong(name, "timestamp array");
                return [];
        }
    }

    public string? OptionalText(string name)
    {
        if (Raw(name) is not { } value) return null;
        if (Text(value) is { } text) return text;
        Wrong(name, "string");
        return null;
    }

    public IReadOnlyList<MessageKey> Hashes()
    {
        List<object>? list = Raw("messages") switch
        {
            null => null,
            List<object> several => several,
            { } single => [single],
        };
        if (list is null)
        {
            Missing("messages");
            return [];
        }

        var keys = new List<MessageKey>(list.Count);
        foreach (object item in list)
        {
            if (Text(item) is not { } text) Wrong("messages", "string array");
            else if (MessageKey.TryParse(text, out MessageKey key)) keys.Add(key);
            else Fail($"invalid message hash: {text}");
        }

        if (keys.Count == 0) Fail("messages does not contain any message hashes");
        return keys;
    }

    public List<byte[]> Tokens(string name)
    {
        List<object> list = Raw(name) switch
        {
            null => [],
            List<object> several => several,
            { } single => [single],
        };
        if (!Has(name)) Missing(name);
        else if (list.Count == 0) Fail($"'{name}' does not contain any subaccount tokens");
        var tokens = new List<byte[]>(list.Count);
        foreach (object item in list)
        {
            if (Token(item) is { } token) tokens.Add(token);
        }

        return tokens;
    }

    public byte[] Data()
    {
        switch (Raw("data"))
        {
            case null:
                Missing("data");
                return [];
            case byte[] raw: return Limited(raw);
            case string text:
                // Judge the length first: no decoding of what is too long anyway.
                if (text.Length > ((StoreLimits.MaxDataBytes + 2) / 3 * 4) + 4) return Limited(new byte[StoreLimits.MaxDataBytes + 1]);
                if (FromBase64(text) is { } data) return Limited(data);
                Fail("Invalid 'data' value: not base64 encoded");
                return [];
            default:
                Wrong("data", "string");
                return [];
        }
    }

    /// <summary>The hash to go on after; null if there is none.</summary>
    public MessageKey? LastHash()
    {
        if ((Raw("last_hash") ?? Raw("lastHash")) is not { } value) return null;
        if (Text(value) is not { } text)
        {
            Wrong("last_hash", "string");
            return null;
        }

        if (text.Length == 0) return null;
        if (MessageKey.TryParse(text, out MessageKey key)) return key;
        Fail(FromBase64(text) is null ? "Invalid last_hash: not base64" : "Invalid last_hash: expected base64 (43 chars)");
        return null;
    }

    public void Missing(string name) => Fail($"Required field '{name}' missing");

    public void Wrong(string name, string expected) => Fail($"Invalid value given for '{name}': expected {expected}");

    public static string? Text(object value) => value switch
    {
        string text => text,
        byte[] raw => Encoding.Latin1.GetString(raw),
        _ => null,
    };

    public static byte[]? FromBase64(string text)
    {
        string bare = text.TrimEnd('=');
        if (text.Length - bare.Length > 2 || bare.AsSpan().ContainsAny(" \t\r\n")) return null;
        int padding = (4 - (bare.Length % 4)) % 4;
        if (padding == 3) return null;
        byte[] ascii = new byte[bare.Length + padding];
        Encoding.ASCII.GetBytes(bare, ascii);
        ascii.AsSpan(bare.Length).Fill((byte)'=');
        return Base64.DecodeFromUtf8InPlace(ascii, out int written) == System.Buffers.OperationStatus.Done ? ascii[..written] : null;
    }

    private static byte[]? FromHex(string text, int bytes)
    {
        byte[] result = new byte[bytes];
        return text.Length == 2 * bytes && Convert.FromHexString(text, result, out _, out _) == System.Buffers.OperationStatus.Done ? result : null;
    }

    private static byte[]? TokenOfText(string text) => text.Length switch
    {
        72 => FromHex(text, 36),
        48 => FromBase64(text),
        _ => null,
    };

    private byte[]? Signature(string name)
    {
        switch (Raw(name))
        {
            case null: return null;
            case byte[] { Length: 64 } raw: return raw;
            case byte[]:
                Fail("invalid signature: expected 64-byte Ed25519 signature");
                return null;
            case string { Length: 86 or 88 } text when FromBase64(text) is { Length: 64 } signature: return signature;
            default:
                Fail("invalid signature: expected base64 encoded Ed25519 signature");
                return null;
        }
    }

    private byte[] Limited(byte[] data)
    {
        if (data.Length <= StoreLimits.MaxDataBytes) return data;
        Fail($"Message body exceeds maximum allowed length of {StoreLimits.MaxDataBytes} bytes");
        return [];
    }

    private long Checked(long time, string name)
    {
        if (time < LeastMilliseconds) Fail($"Invalid timestamp for '{name}': timestamp must be in milliseconds");
        return time;
    }
}
