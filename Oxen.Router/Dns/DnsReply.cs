using ARSoft.Tools.Net.Dns;

namespace Oxen.Router.Dns;

/// <summary>An answer of our own, before it is written: the code, the records, and a sentence for whoever looks with `dig`.</summary>
internal sealed class DnsReply(int code)
{
    // 512 less header, the longest question and the options' head leaves 226.
    private const int MaxText = 200;

    public int Code { get; } = code;

    /// <summary>Out of a zone that we hold.</summary>
    public bool Authoritative { get; init; }

    public List<DnsRecordBase> Answers { get; init; } = [];

    public List<DnsRecordBase> Authority { get; init; } = [];

    /// <summary>Code of an extended error (RFC 8914 section 4); the text goes with it.</summary>
    public ushort? ExtendedCode { get; init; }

    public string ExtendedText { get; init; } = "";

    /// <param name="text">What went wrong, in words; cut where it would not fit the smallest answer.</param>
    public static DnsReply Failure(int code, ushort extended, string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new DnsReply(code) { ExtendedCode = extended, ExtendedText = text.Length <= MaxText ? text : text[..MaxText] };
    }
}

/// <summary>Codes of extended errors that we give.</summary>
internal static class ExtendedError
{
    public const ushort Other = 0, Blocked = 15, Prohibited = 18, NotSupported = 21, NoReachableAuthority = 22, NetworkError = 23;
}
