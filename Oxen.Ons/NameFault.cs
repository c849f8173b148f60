namespace Oxen.Ons;

/// <summary>Why a text is no name of its type.</summary>
public enum NameFault : byte
{
    None = 0,

    /// <summary>No character, or none before `.loki`.</summary>
    Empty,

    /// <summary>Session, wallet: above 64 characters. Lokinet: above 32 before `.loki`, or above 63 if one of them is a hyphen.</summary>
    TooLong,

    /// <summary>A lokinet name that does not end in `.loki`.</summary>
    Ending,

    /// <summary>A lokinet name that programs keep for themselves: localhost, loki, snode.</summary>
    Reserved,

    /// <summary>Two hyphens as third and fourth character of a lokinet name that does not begin with `xn--`.</summary>
    Hyphens,

    /// <summary>The first or last character may not stand there.</summary>
    Edge,

    /// <summary>A character that no such name has.</summary>
    Character,
}
