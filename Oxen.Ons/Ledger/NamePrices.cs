namespace Oxen.Ons.Ledger;

/// <summary>Prices and terms of compatible names, as the chain had them. docs/protocol/ons.md#prices</summary>
internal static class NamePrices
{
    /// <summary>The last rules of the chain with OXEN.</summary>
    public const byte LatestHardFork = 19;

    private static readonly ulong[] YearFactors = [1, 2, 4, 6];

    /// <summary>The years that a raw type buys: 1, 2, 5, 10; 0 for types that do not expire.</summary>
    public static int Years(int rawType) => rawType switch { 2 => 1, 3 => 2, 4 => 5, 5 => 10, _ => 0 };

    /// <summary>Which of the four terms a raw type is; -1 for types that do not expire.</summary>
    public static int Term(int rawType) => rawType is >= 2 and <= 5 ? rawType - 2 : -1;

    /// <summary>The hard fork from which a raw type may be bought, or 0 if there is no such type.</summary>
    public static byte AllowedFrom(int rawType) => rawType switch { 0 => 15, 1 => 18, >= 2 and <= 5 => 16, _ => 0 };

    /// <summary>In atomic units; null where the type cannot be bought at this hard fork.</summary>
    public static ulong? Price(int rawType, byte hardFork)
    {
        byte from = AllowedFrom(rawType);
        if (from == 0 || hardFork < from) return null;
        ulong yearly = hardFork switch { 15 => 20, 16 or 17 => 15, _ => 7 };
        return yearly * OxenAmount.Oxen * (Term(rawType) < 0 ? 1 : YearFactors[Term(rawType)]);
    }
}
