namespace Oxen.Swarm.Wire;

/// <summary>How bytes look in JSON, which has none. In bt encoding they are always raw.</summary>
internal enum BytesForm
{
    Hex = 0,
    Base64 = 1,

    /// <summary>Base64 without padding: message hashes.</summary>
    Base64Bare = 2,
}

/// <summary>Bytes of a reply, with the text that JSON has for them.</summary>
internal sealed record WireBytes(ReadOnlyMemory<byte> Data, BytesForm Form)
{
    public string ToText() => Form switch
    {
        BytesForm.Hex => Convert.ToHexStringLower(Data.Span),
        BytesForm.Base64 => Convert.ToBase64String(Data.Span),
        _ => Convert.ToBase64String(Data.Span).TrimEnd('='),
    };
}

/// <summary>A value that is encoded already; it goes out as it is.</summary>
internal sealed record EncodedBt(byte[] Bytes);
