using System.Reflection;
using System.Text;

namespace Oxen.Router.Core.Packets;

/// <summary>
/// Counts drops by reason. One per shard or loop, written by that thread alone, read by anyone at any time
/// (64-bit reads do not tear on the machines that .NET 10 runs on).
/// </summary>
internal sealed class DropCounters
{
    public static readonly int ReasonCount = Enum.GetValues<DropReason>().Length;

    // Snake case names and texts, by reason.
    private static readonly string[] Names = [.. Enum.GetNames<DropReason>().Select(SnakeCase)];
    private static readonly string[] Texts = [.. Enum.GetNames<DropReason>().Select(n => typeof(DropReason).GetField(n)!.GetCustomAttribute<DropTextAttribute>()?.Text ?? n)];

    private readonly long[] _counts = new long[ReasonCount];

    public void Count(DropReason reason) => _counts[(int)reason]++;

    public void Count(DropReason reason, long packets) => _counts[(int)reason] += packets;

    public long this[DropReason reason] => _counts[(int)reason];

    public long Total
    {
        get
        {
            long sum = 0;
            for (int i = 1; i < _counts.Length; i++) sum += _counts[i];
            return sum;
        }
    }

    public static string NameOf(DropReason reason) => Names[(int)reason];

    public static string TextOf(DropReason reason) => Texts[(int)reason];

    /// <summary>Adds the non-zero counts to `sum`, by the counter's name.</summary>
    public void AddTo(IDictionary<string, long> sum)
    {
        ArgumentNullException.ThrowIfNull(sum);
        for (int i = 1; i < _counts.Length; i++)
        {
            if (_counts[i] == 0) continue;
            sum.TryGetValue(Names[i], out long before);
            sum[Names[i]] = before + _counts[i];
        }
    }

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (char c in name)
        {
            if (char.IsUpper(c) && text.Length > 0) text.Append('_');
            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }
}
