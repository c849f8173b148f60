using System.Buffers;
using System.Globalization;
using System.Text;

namespace Oxen.Router.Client;

/// <summary>Why a head is not one; the text is for whoever sent it.</summary>
internal readonly record struct HttpRefusal(int Status, string Cause)
{
    public bool IsNone => Status == 0;
}

/// <summary>How the bytes behind a head end.</summary>
internal enum HttpBodyKind : byte
{
    None,
    Length,
    Chunked,
}

/// <summary>
/// The head of an HTTP/1.x message, parsed strictly (RFC 9112 sections 2 to 6): what is ambiguous is refused, because a
/// proxy and a server that read one request differently are a hole. Bounded by its caller's buffer and by <see cref="MaxFields"/>.
/// </summary>
internal sealed class HttpHead
{
    public const int MaxFields = 128;

    private static readonly SearchValues<byte> Token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"u8);

    private HttpHead(string first, string second, string third, List<(string Name, string Value)> fields)
    {
        First = first;
        Second = second;
        Third = third;
        Fields = fields;
    }

    /// <summary>Request: method. Response: version.</summary>
    public string First { get; }

    /// <summary>Request: target. Response: status code.</summary>
    public string Second { get; }

    /// <summary>Request: version. Response: reason phrase, maybe empty.</summary>
    public string Third { get; }

    public List<(string Name, string Value)> Fields { get; }

    public HttpBodyKind BodyKind { get; private set; }

    public long BodyBytes { get; private set; }

    /// <param name="head">From the first byte to the empty line, both included.</param>
    public static HttpRefusal TryParseRequest(ReadOnlySpan<byte> head, out HttpHead? request)
    {
        request = null;
        HttpRefusal refusal = Split(head, out string line, out List<(string, string)> fields);
        if (!refusal.IsNone) return refusal;
        string[] parts = line.Split(' ');
        if (parts.Length != 3 || !IsToken(parts[0]) || parts[1].Length == 0 || parts[1].AsSpan().ContainsAnyExceptInRange('!', '~')) return Bad("the request line is not `METHOD TARGET HTTP/1.1`");
        if (parts[2] is not ("HTTP/1.1" or "HTTP/1.0")) return new HttpRefusal(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
        var parsed = new HttpHead(parts[0], parts[1], parts[2], fields);
        refusal = parsed.FindBody();
        if (refusal.IsNone) request = parsed;
        return refusal;
    }

    /// <param name="head">From the first byte to the empty line, both included.</param>
    public static bool TryParseResponse(ReadOnlySpan<byte> head, out HttpHead? response, out int status)
    {
        response = null;
        status = 0;
        if (!Split(head, out string line, out List<(string, string)> fields).IsNone) return false;
        string[] parts = line.Split(' ', 3);
        if (parts.Length < 2 || parts[0] is not ("HTTP/1.1" or "HTTP/1.0")) return false;
        if (parts[1].Length != 3 || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out status) || status < 100) return false;
        response = new HttpHead(parts[0], parts[1], parts.Length == 3 ? parts[2] : "", fields);
        return true;
    }

    /// <summary>The first field of this name, or null.</summary>
    public string? Field(string name)
    {
        foreach ((string field, string value) in Fields)
        {
            if (field.Equals(name, StringComparison.OrdinalIgnoreCase)) return value;
        }

        return null;
    }

    /// <summary>
    /// Drops what is meant for one hop only (RFC 9110 section 7.6.1): `Connection`, the fields it names, and all
    /// `Proxy-*`. Message framing is never dropped, whatever `Connection` says.
    /// </summary>
    public void RemoveHopFields()
    {
        var named = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "Connection", "Keep-Alive", "Upgrade", "TE", "HTTP2-Settings" };
        foreach ((string name, string value) in Fields)
        {
            if (!name.Equals("Connection", StringComparison.OrdinalIgnoreCase)) continue;
            foreach (string option in value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)) named.Add(option);
        }

        named.ExceptWith(["Content-Length", "Transfer-Encoding", "Host"]);
        Fields.RemoveAll(f => named.Contains(f.Name) || f.Name.StartsWith("Proxy-", StringComparison.OrdinalIgnoreCase));
    }

    public byte[] Format(string first, string second, string third)
    {
        var text = new StringBuilder(512);
        text.Append(first).Append(' ').Append(second).Append(' ').Append(third).Append("\r\n");
        foreach ((string name, string value) in Fields) text.Append(name).Append(": ").Append(value).Append("\r\n");
        text.Append("\r\n");
        return Encoding.Latin1.GetBytes(text.ToString());
    }

    private static HttpRefusal Split(ReadOnlySpan<byte> head, out string line, out List<(string, string)> fields)
    {
        line = "";
        fields = [];
        if (!head.EndsWith("\r\n\r\n"u8)) return Bad("the head does not end with an empty line");
        head = head[..^2];
        int end = head.IndexOf("\r\n"u8);
        if (!TryText(head[..end], out line)) return Bad("the first line holds control characters");
        head = head[(end + 2)..];
        while (!head.IsEmpty)
        {
            end = head.IndexOf("\r\n"u8);
            ReadOnlySpan<byte> field = head[..end];
            head = head[(end + 2)..];
            int colon = field.IndexOf((byte)':');
            if (colon <= 0 || field[..colon].ContainsAnyExcept(Token)) return Bad("a header line is not `Name: value`");
            if (!TryText(field[(colon + 1)..].Trim(" \t"u8), out string value)) return Bad("a header value holds control characters");
            if (fields.Count == MaxFields) return new HttpRefusal(431, "there are too many headers");
            fields.Add((Encoding.ASCII.GetString(field[..colon]), value));
        }

        return default;
    }

    // RFC 9112 section 6.3. Both framings at once, or two lengths, is request smuggling.
    private HttpRefusal FindBody()
    {
        bool chunked = false;
        long length = -1;
        foreach ((string name, string value) in Fields)
        {
            if (name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase))
            {
                if (chunked || !value.Equals("chunked", StringComparison.OrdinalIgnoreCase) || Third == "HTTP/1.0") return Bad("the transfer encoding is not plain `chunked`");
                chunked = true;
            }
            else if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                if (!long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long given) || (length >= 0 && length != given)) return Bad("the content length is not one number");
                length = given;
            }
        }

        if (chunked && length >= 0) return Bad("it has both a content length and a transfer encoding");
        BodyKind = chunked ? HttpBodyKind.Chunked : length > 0 ? HttpBodyKind.Length : HttpBodyKind.None;
        BodyBytes = Math.Max(0, length);
        return default;
    }

    private static bool TryText(ReadOnlySpan<byte> bytes, out string text)
    {
        text = "";
        foreach (byte b in bytes)
        {
            if (b is < 0x20 and not (byte)'\t' or 0x7F) return false;
        }

        text = Encoding.Latin1.GetString(bytes);
        return true;
    }

    private static bool IsToken(string text) => text.Length is > 0 and <= 32 && text.All(c => c < 128 && Token.Contains((byte)c));

    private static HttpRefusal Bad(string cause) => new(400, cause);
}
