using System.Text.Encodings.Web;
using System.Text.Json;

namespace Oxen.Swarm.Wire;

// JSON to and from the same values as bt encoding: long (ulong above 2^63-1), double, bool, string, List<object>, WireMap.
// null is left out of dictionaries, since for every request of the API null means absent.

/// <summary>Reads and writes JSON.</summary>
internal static class JsonWire
{
    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = BtEncoding.MaxDepth, CommentHandling = JsonCommentHandling.Disallow };

    // Plus and slash of base64 stay themselves.
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Reads a whole document; false if it is none. A missing value at the top is null.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> source, out object? value)
    {
        value = null;
        try
        {
            using var document = JsonDocument.Parse(source, Reading);
            value = Take(document.RootElement);
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false; // no JSON, too deep, or a string that is no Unicode
        }
    }

    public static byte[] Write(object value)
    {
        MemoryStream stream = WireStream.Take();
        using (var writer = new Utf8JsonWriter(stream, Writing)) Write(value, writer);
        return WireStream.Give(stream);
    }

    private static object? Take(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number => element.TryGetInt64(out long small) ? (object)small : element.TryGetUInt64(out ulong great) ? (object)great : element.GetDouble(),
        JsonValueKind.Array => element.EnumerateArray().Select(e => Take(e) ?? DBNull.Value).ToList(),
        JsonValueKind.Object => TakeMap(element),
        _ => null,
    };

    private static WireMap TakeMap(JsonElement element)
    {
        var map = new WireMap();
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (Take(property.Value) is { } value) map[property.Name] = value;
            else map.Remove(property.Name);
        }

        return map;
    }

    private static void Write(object value, Utf8JsonWriter to)
    {
        switch (value)
        {
            case DBNull: to.WriteNullValue(); break;
            case bool flag: to.WriteBooleanValue(flag); break;
            case int number: to.WriteNumberValue(number); break;
            case long number: to.WriteNumberValue(number); break;
            case ulong number: to.WriteNumberValue(number); break;
            case double number: to.WriteNumberValue(number); break;
            case string text: to.WriteStringValue(text); break;
            case byte[] bytes: to.WriteBase64StringValue(bytes); break;
            case WireBytes { Form: BytesForm.Base64 } bytes: to.WriteBase64StringValue(bytes.Data.Span); break;
            case WireBytes bytes: to.WriteStringValue(bytes.ToText()); break;
            case WireMap map:
                to.WriteStartObject();
                foreach ((string key, object item) in map)
                {
                    to.WritePropertyName(key);
                    Write(item, to);
                }

                to.WriteEndObject();
                break;
            case System.Collections.IEnumerable list:
                to.WriteStartArray();
                foreach (object item in list) Write(item, to);
                to.WriteEndArray();
                break;
            default: throw new ArgumentException($"JSON has no {value.GetType().Name}", nameof(value));
        }
    }
}
