using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Oxen.Swarm.Tests.Client;

/// <summary>Requests of JSON as bt encoding has them, and answers back, from the format document alone: bytes are raw there.</summary>
internal static class MiniBt
{
    private static readonly string[] Bytes = ["data", "signature", "subaccount", "subaccount_sig"];
    private static readonly string[] Flags = ["already", "failed", "query_failure", "timeout", "more", "condition"];

    public static byte[] Write(JsonNode? value, string name = "")
    {
        switch (value)
        {
            case JsonObject map:
                return [(byte)'d', .. map.OrderBy(p => p.Key, StringComparer.Ordinal).SelectMany(p => (byte[])[.. String(Encoding.UTF8.GetBytes(p.Key)), .. Write(p.Value, p.Key)]), (byte)'e'];
            case JsonArray list: return [(byte)'l', .. list.SelectMany(item => Write(item, name)), (byte)'e'];
        }

        return value!.GetValueKind() switch
        {
            JsonValueKind.True => "i1e"u8.ToArray(),
            JsonValueKind.False => "i0e"u8.ToArray(),
            JsonValueKind.Number => Encoding.ASCII.GetBytes($"i{value.ToJsonString()}e"),
            _ => String(Raw((string)value!, name)),
        };
    }

    /// <summary>Back: flags and bytes as JSON has them.</summary>
    public static JsonNode Read(byte[] source)
    {
        int at = 0;
        JsonNode value = Read(source, ref at, "");
        Assert.Equal(source.Length, at);
        return value;
    }

    private static byte[] Raw(string text, string name)
    {
        if (Array.IndexOf(Bytes, name) >= 0) return Convert.FromBase64String(text);
        return name is "revoke" or "unrevoke" or "pubkey_ed25519" ? Convert.FromHexString(text) : Encoding.UTF8.GetBytes(text);
    }

    private static byte[] String(byte[] bytes) => [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{bytes.Length}:")), .. bytes];

    private static JsonNode Read(byte[] source, ref int at, string name)
    {
        switch ((char)source[at])
        {
            case 'i':
                int end = Array.IndexOf(source, (byte)'e', at);
                string number = Encoding.ASCII.GetString(source, at + 1, end - at - 1);
                at = end + 1;
                return Array.IndexOf(Flags, name) >= 0 ? JsonValue.Create(number == "1") : JsonNode.Parse(number)!;
            case 'l':
                var list = new JsonArray();
                for (at++; source[at] != 'e';) list.Add(Read(source, ref at, name));
                at++;
                return list;
            case 'd':
                var map = new JsonObject();
                for (at++; source[at] != 'e';)
                {
                    string key = Encoding.UTF8.GetString(ReadString(source, ref at));
                    map[key] = Read(source, ref at, key);
                }

                at++;
                return map;
            default:
                byte[] bytes = ReadString(source, ref at);
                return JsonValue.Create(name is "data" or "signature" or "revoked_subaccounts" ? Convert.ToBase64String(bytes) : Encoding.UTF8.GetString(bytes))!;
        }
    }

    private static byte[] ReadString(byte[] source, ref int at)
    {
        int colon = Array.IndexOf(source, (byte)':', at), length = int.Parse(Encoding.ASCII.GetString(source, at, colon - at), CultureInfo.InvariantCulture);
        at = colon + 1 + length;
        return source[(colon + 1)..at];
    }
}
