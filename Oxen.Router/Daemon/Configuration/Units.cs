using System.Globalization;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>Numbers with their units, as people write them: `5 s`, `128 MiB`. A number without a unit is refused.</summary>
internal static class Units
{
    private static readonly (string Unit, double Factor)[] Times = [("ms", 1e-3), ("s", 1), ("min", 60), ("h", 3600)];
    private static readonly (string Unit, double Factor)[] Sizes = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

    public const string TimeForm = "a time such as \"5 s\" (ms, s, min, h)";
    public const string SizeForm = "a size such as \"128 MiB\" (B, KiB, MiB, GiB)";

    public static bool TrySize(string text, out long bytes) => TryWhole(text, Sizes, 1L << 50, out bytes);

    public static bool TryTime(string text, out TimeSpan time)
    {
        bool ok = Try(text, Times, 86_400 * 366d, out double seconds);
        time = ok ? TimeSpan.FromSeconds(seconds) : default;
        return ok;
    }

    private static bool TryWhole(string text, (string, double)[] units, double limit, out long value)
    {
        bool ok = Try(text, units, limit, out double exact);
        value = ok ? (long)exact : 0;
        return ok;
    }

    private static bool Try(string text, (string Unit, double Factor)[] units, double limit, out double value)
    {
        value = 0;
        ReadOnlySpan<char> trimmed = text.AsSpan().Trim();
        int digits = 0;
        while (digits < trimmed.Length && (char.IsAsciiDigit(trimmed[digits]) || trimmed[digits] == '.')) digits++;
        if (!double.TryParse(trimmed[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)) return false;
        ReadOnlySpan<char> unit = trimmed[digits..].TrimStart();
        foreach ((string name, double factor) in units)
        {
            if (!unit.SequenceEqual(name)) continue;
            value = number * factor;
            return value <= limit;
        }

        return false;
    }
}
