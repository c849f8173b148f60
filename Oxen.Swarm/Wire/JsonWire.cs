using System.Text.Encodings.Web;
using System.Text.Json;

namespace Oxen.Swarm.Wire;

// JSON to and from the same values as bt encoding: long (ulong above 2^63-1), double, bool, string, List<object>, WireMap.
// null is left out of dictionaries, since for every request of the API null means absent.

/// <summary>Reads and writes JSON.</summary>
internal static class JsonWire
{
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = BtEncoding.MaxDepth, CommentHandling = JsonCommentHandling.Disallow };

    // Plus and slash of base64 stay themselves.
    private static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Reads a whole document; false if it is none. A missing value at the top is null.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> source, out object? value)
    {
        value = null;
        try
        {
            var reader = new Utf8JsonReader(source.Span, Reading);
            reader.Read();
            object? read = Take(ref reader);
            if (reader.Read()) return false; // it throws when more follows
            value = read;
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

    // The value that begins at the reader's token; the reader's depth is limited, and so is this one's.
    private static object? Take(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => reader.GetString(),
        JsonTokenType.True => true,
        JsonTokenType.False => false,
        JsonTokenType.Number => reader.TryGetInt64(out long small) ? (object)small : reader.TryGetUInt64(out ulong great) ? (object)great : reader.GetDouble(),
        JsonTokenType.StartArray => TakeList(ref reader),
        JsonTokenType.StartObject => TakeMap(ref reader),
        _ => null,
    };

    private static List<object> TakeList(ref Utf8JsonReader reader)
    {
        var list = new List<object>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) list.Add(Take(ref reader) ?? DBNull.Value);
        return list;
    }

    private static WireMap TakeMap(ref Utf8JsonReader reader)
    {
        var map = new WireMap();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            if (Take(ref reader) is { } value) map[name] = value;
            else map.Remove(name);
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
