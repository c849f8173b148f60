using System.Buffers;

namespace Oxen.Ons;

// Which texts are names. Only programs that register names hold to these rules: a ledger sees hashes alone.
// Rules: docs/protocol/ons.md#names
//
//   session, wallet   1 - 64 characters, first and last a-z 0-9 _ , between them also -
//   lokinet           label.loki; the label has 1 - 32 characters, or up to 63 if one is a hyphen; first and last a-z 0-9,
//                     between them also - ; no dot: what stands before a further dot is the owner's affair
//
// Capital ASCII letters count as small ones. Other scripts come as punycode (`xn--`).

/// <summary>The rules for names, by type.</summary>
public static class NameRules
{
    private const string LokiEnding = ".loki";
    private const int MaxLength = 64;            // session, wallet
    private const int MaxLabel = 63;             // a DNS label
    private const int MaxLabelWithoutHyphen = 32; // so that no name looks like the 52 characters of an address

    private static readonly SearchValues<char> AlphaNumeric = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789");
    private static readonly SearchValues<char> LabelInner = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789-");
    private static readonly SearchValues<char> WordEdge = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_");
    private static readonly SearchValues<char> WordInner = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-");

    /// <summary>The name with small letters for the ASCII capitals. Other characters stay as they are.</summary>
    public static string Fold(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return string.Create(name.Length, name, static (folded, from) =>
        {
            for (int i = 0; i < folded.Length; i++) folded[i] = char.IsAsciiLetterUpper(from[i]) ? (char)(from[i] | 0x20) : from[i];
        });
    }

    /// <summary>Whether a text, in capitals or not, is a name of this type, and if not why not.</summary>
    public static NameFault Check(string name, NameType type)
    {
        string folded = Fold(name);
        return type switch
        {
            NameType.Lokinet => CheckLokinet(folded),
            NameType.Session or NameType.Wallet => CheckWord(folded),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "There is no such type of name."),
        };
    }

    private static NameFault CheckWord(string name)
    {
        if (name.Length == 0) return NameFault.Empty;
        if (name.Length > MaxLength) return NameFault.TooLong;
        return CheckCharacters(name, WordEdge, WordInner);
    }

    private static NameFault CheckLokinet(string name)
    {
        if (name.Length == 0) return NameFault.Empty;
        if (!name.EndsWith(LokiEnding, StringComparison.Ordinal)) return NameFault.Ending;
        ReadOnlySpan<char> label = name.AsSpan(0, name.Length - LokiEnding.Length);
        if (label.IsEmpty) return NameFault.Empty;
        if (label.Length > (label.Contains('-') ? MaxLabel : MaxLabelWithoutHyphen)) return NameFault.TooLong;
        if (label is "localhost" or "loki" or "snode") return NameFault.Reserved;

        // RFC 5891 section 4.2.3.1 keeps this place for encodings such as punycode's.
        if (label.Length >= 4 && label[2..4] is "--" && label[..2] is not "xn") return NameFault.Hyphens;
        return CheckCharacters(label, AlphaNumeric, LabelInner);
    }

    private static NameFault CheckCharacters(ReadOnlySpan<char> text, SearchValues<char> edge, SearchValues<char> inner)
    {
        if (text.ContainsAnyExcept(inner)) return NameFault.Character;
        return edge.Contains(text[0]) && edge.Contains(text[^1]) ? NameFault.None : NameFault.Edge;
    }
}
