using System.Text.Json;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Rpc;

/// <summary>A stranger's parameters: each look-up says precisely what is wrong.</summary>
internal readonly struct RpcParameters(JsonElement parameters)
{
    /// <summary>Refuses fields that are not named here.</summary>
    public void Only(params string[] names)
    {
        if (parameters.ValueKind != JsonValueKind.Object) return;
        foreach (JsonProperty field in parameters.EnumerateObject())
        {
            if (!names.Contains(field.Name)) throw Bad($"unknown field {(field.Name.Length <= 64 ? field.Name : field.Name[..64])}; {(names.Length == 0 ? "there are none" : "there are " + string.Join(", ", names))}");
        }
    }

    public bool TryGet(string name, out JsonElement value)
    {
        value = default;
        return parameters.ValueKind == JsonValueKind.Object && parameters.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    public JsonElement Required(string name) => TryGet(name, out JsonElement value) ? value : throw Bad($"{name} is missing");

    public bool Flag(string name) => TryGet(name, out JsonElement value) && (value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Bad($"{name} is true or false"));

    public ulong Number(string name) => Required(name) is { ValueKind: JsonValueKind.Number } value && value.TryGetUInt64(out ulong number) ? number : throw Bad($"{name} is a number from 0 on");

    public string Text(string name) => Text(Required(name), name);

    /// <summary>32 bytes as 64 hexadecimal digits.</summary>
    public Bytes32 Hash(string name) => Bytes32.TryParse(Text(name), out Bytes32 hash) ? hash : throw Bad($"{name} is 64 hexadecimal digits");

    public byte[] Base64(string name, int most)
    {
        string text = Text(name);
        byte[] bytes = new byte[Math.Min(text.Length, 2 * most + 8)];
        if (text.Length > 2 * most + 8) throw Bad($"{name} has more than {most} bytes");
        if (!Convert.TryFromBase64String(text, bytes, out int written)) throw Bad($"{name} is malformed base64");
        return written <= most ? bytes[..written] : throw Bad($"{name} has more than {most} bytes");
    }

    public static string Text(JsonElement value, string name) => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Bad($"{name} is a text");

    public static NameHash NameHashOf(JsonElement value, string name)
        => NameHash.TryParse(Text(value, name), out NameHash hash) ? hash : throw Bad($"{name} is the hash of a name: 64 hexadecimal digits, or 43 or 44 characters of base64; found malformed {(Text(value, name).Length is 43 or 44 ? "base64" : "text")} of {Text(value, name).Length} characters");

    public static NameType TypeOf(JsonElement value)
        => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int type) && type is >= 0 and <= 2 ? (NameType)type : throw Bad("a type is 0 (session), 1 (wallet) or 2 (lokinet)");

    public static RpcRefusal Bad(string message) => new(RpcRefusal.BadParameters, message);
}
