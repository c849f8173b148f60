using System.Globalization;

namespace Oxen.Ons.Ledger;

/// <summary>Amounts in atomic units, 1e-9 OXEN, and their text.</summary>
internal static class OxenAmount
{
    public const ulong Oxen = 1_000_000_000;
    private const int Decimals = 9;

    /// <summary>`7`, `0.5`, `18.333333333`: no trailing zeros.</summary>
    public static string Format(ulong atomic)
    {
        ulong fraction = atomic % Oxen;
        string whole = (atomic / Oxen).ToString(CultureInfo.InvariantCulture);
        return fraction == 0 ? whole : whole + "." + fraction.ToString("D9", CultureInfo.InvariantCulture).TrimEnd('0');
    }

    /// <summary>Reads digits with at most nine decimals; no sign, no exponent, no white space, nothing above 2^64 - 1 atomic.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ulong atomic)
    {
        atomic = 0;
        int point = text.IndexOf('.');
        ReadOnlySpan<char> whole = point < 0 ? text : text[..point];
        ReadOnlySpan<char> fraction = point < 0 ? "" : text[(point + 1)..];
        if (whole.IsEmpty || fraction.Length > Decimals || (point >= 0 && fraction.IsEmpty)) return false;
        UInt128 value = 0;
        foreach (char c in whole)
        {
            if (!char.IsAsciiDigit(c)) return false;
            value = value * 10 + (uint)(c - '0');
            if (value > ulong.MaxValue) return false;
        }

        value *= Oxen;
        ulong unit = Oxen;
        foreach (char c in fraction)
        {
            if (!char.IsAsciiDigit(c)) return false;
            unit /= 10;
            value += unit * (uint)(c - '0');
        }

        if (value > ulong.MaxValue) return false;
        atomic = (ulong)value;
        return true;
    }
}
