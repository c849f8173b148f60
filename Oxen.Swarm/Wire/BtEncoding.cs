using System.Globalization;
using System.Text;

namespace Oxen.Swarm.Wire;

// bt encoding ("bencode"), strict. docs/protocol/swarm.md#encodings
//
//   integer   i-12e        no leading zeros, no minus zero, -2^63 .. 2^64-1
//   string    5:hello      no leading zeros in the length
//   list      l ... e
//   dict      d key value ... e      keys are strings, strictly ascending by bytes
//
// Values in memory: long (ulong above 2^63-1), byte[] for every string read, List<object>, WireMap. Keys are Latin-1 so that
// any byte keeps its value and its order. One value has exactly one encoding, and whatever is read can be written back as it was.

/// <summary>Reads and writes bt encoding.</summary>
internal static class BtEncoding
{
    /// <summary>Lists and dicts inside each other; a batch inside ifelse inside ifelse needs 8.</summary>
    public const int MaxDepth = 24;

    /// <summary>Longest digits that make sense: 2^64-1 has twenty.</summary>
    private const int MaxDigits = 20;

    // Nodes' messages have no others.
    private static readonly string[] OneByteKeys = [.. Enumerable.Range(0, 256).Select(b => ((char)b).ToString())];

    /// <summary>Reads one value that fills `source`. False for anything else; no exception for any bytes.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out object? value)
    {
        int at = 0;
        if (TryReadValue(source, ref at, 0, out value) && at == source.Length) return true;
        value = null;
        return false;
    }

    /// <summary>Reads one value from the front of `source`.</summary>
    public static bool TryReadFirst(ReadOnlySpan<byte> source, out object? value, out int length)
    {
        length = 0;
        return TryReadValue(source, ref length, 0, out value);
    }

    /// <summary>Reads `5:hello` at `at`: the bytes' place in `source`.</summary>
    public static bool TryReadString(ReadOnlySpan<byte> source, ref int at, out Range bytes)
    {
        bytes = default;
        int start = at;
        long length = 0;
        while (at < source.Length && char.IsAsciiDigit((char)source[at]))
        {
            if (at - start >= MaxDigits / 2) return false;
            length = (length * 10) + (source[at++] - '0');
        }

        if (at == start || at >= source.Length || source[at] != ':') return false;
        if (source[start] == '0' && at - start > 1) return false;
        at++;
        if (length > source.Length - at) return false;
        bytes = at..(at + (int)length);
        at += (int)length;
        return true;
    }

    public static byte[] Write(object value)
    {
        MemoryStream stream = WireStream.Take();
        Write(value, stream);
        return WireStream.Give(stream);
    }

    public static void Write(object value, MemoryStream to)
    {
        switch (value)
        {
            case bool flag: to.Write(flag ? "i1e"u8 : "i0e"u8); break;
            case int number: WriteNumber(number, to); break;
            case long number: WriteNumber(number, to); break;
            case ulong number: WriteText($"i{number}e", to); break;
            case double number: WriteString(Encoding.ASCII.GetBytes(number.ToString("R", CultureInfo.InvariantCulture)), to); break;
            case string text: WriteString(text, Encoding.UTF8, to); break;
            case byte[] bytes: WriteString(bytes, to); break;
            case ReadOnlyMemory<byte> bytes: WriteString(bytes.Span, to); break;
            // A hash is text to its readers in either encoding.
            case WireBytes { Form: BytesForm.Base64Bare } hash: WriteString(Encoding.ASCII.GetBytes(hash.ToText()), to); break;
            case WireBytes bytes: WriteString(bytes.Data.Span, to); break;
            case EncodedBt encoded: to.Write(encoded.Bytes); break;
            case WireMap map:
                to.WriteByte((byte)'d');
                foreach ((string key, object item) in map)
                {
                    WriteString(key, Encoding.Latin1, to);
                    Write(item, to);
                }

                to.WriteByte((byte)'e');
                break;
            case System.Collections.IEnumerable list:
                to.WriteByte((byte)'l');
                foreach (object item in list) Write(item, to);
                to.WriteByte((byte)'e');
                break;
            default: throw new ArgumentException($"bt encoding has no {value.GetType().Name}", nameof(value));
        }
    }

    private static void WriteNumber(long number, MemoryStream to)
    {
        to.WriteByte((byte)'i');
        WriteDigits(number, to);
        to.WriteByte((byte)'e');
    }

    private static void WriteDigits(long number, MemoryStream to)
    {
        Span<byte> digits = stackalloc byte[MaxDigits];
        number.TryFormat(digits, out int length, default, CultureInfo.InvariantCulture);
        to.Write(digits[..length]);
    }

    private static void WriteText(string text, MemoryStream to)
    {
        foreach (char c in text) to.WriteByte((byte)c);
    }

    private static void WriteString(string text, Encoding encoding, MemoryStream to)
    {
        const int shortBytes = 256;
        if (encoding.GetMaxByteCount(text.Length) > shortBytes)
        {
            WriteString(encoding.GetBytes(text), to);
            return;
        }

        Span<byte> bytes = stackalloc byte[shortBytes];
        WriteString(bytes[..encoding.GetBytes(text, bytes)], to);
    }

    private static void WriteString(ReadOnlySpan<byte> bytes, MemoryStream to)
    {
        WriteDigits(bytes.Length, to);
        to.WriteByte((byte)':');
        to.Write(bytes);
    }

    private static bool TryReadValue(ReadOnlySpan<byte> source, ref int at, int depth, out object? value)
    {
        value = null;
        if (at >= source.Length) return false;
        switch ((char)source[at])
        {
            case 'i':
                at++;
                return TryReadNumber(source, ref at, out value);
            case 'l':
                if (depth >= MaxDepth) return false;
                at++;
                var list = new List<object>();
                while (at < source.Length && source[at] != 'e')
                {
                    if (!TryReadValue(source, ref at, depth + 1, out object? item)) return false;
                    list.Add(item!);
                }

                value = list;
                return at++ < source.Length;
            case 'd':
                if (depth >= MaxDepth) return false;
                at++;
                return TryReadMap(source, ref at, depth, out value);
            default:
                if (!TryReadString(source, ref at, out Range bytes)) return false;
                value = source[bytes].ToArray();
                return true;
        }
    }

    private static bool TryReadMap(ReadOnlySpan<byte> source, ref int at, int depth, out object? value)
    {
        var map = new WireMap();
        string? last = null;
        value = map;
        while (at < source.Length && source[at] != 'e')
        {
            if (!TryReadString(source, ref at, out Range bytes)) return false;
            ReadOnlySpan<byte> name = source[bytes];
            string key = name.Length == 1 ? OneByteKeys[name[0]] : Encoding.Latin1.GetString(name);
            if (last is not null && string.CompareOrdinal(last, key) >= 0) return false;
            if (!TryReadValue(source, ref at, depth + 1, out object? item)) return false;
            map.Add(key, item!);
            last = key;
        }

        return at++ < source.Length;
    }

    // Behind the i.
    private static bool TryReadNumber(ReadOnlySpan<byte> source, ref int at, out object? value)
    {
        value = null;
        int end = source[at..].IndexOf((byte)'e');
        if (end is < 1 or > MaxDigits + 1) return false;
        ReadOnlySpan<byte> digits = source.Slice(at, end);
        bool negative = digits[0] == '-';
        ReadOnlySpan<byte> bare = negative ? digits[1..] : digits;
        if (bare.IsEmpty || bare.ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
        if (bare[0] == '0' && (negative || bare.Length > 1)) return false;
        if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long small)) value = small;
        else if (ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong great)) value = great;
        else return false;
        at += end + 1;
        return true;
    }
}
