using System.Reflection;
using System.Text.RegularExpressions;
using Oxen.Router.Core.Packets;

namespace Oxen.House.Tests;

public class DropReasonTests
{
    private const string List = "Oxen.Router/Core/Packets/DropReason.cs";

    [Fact]
    public void Every_reason_has_a_text_of_its_own()
    {
        string?[] texts = [.. Enum.GetNames<DropReason>().Select(n => typeof(DropReason).GetField(n)!.GetCustomAttribute<DropTextAttribute>()?.Text)];
        Assert.All(texts, t => Assert.False(string.IsNullOrWhiteSpace(t)));
        Assert.Equal(texts.Length, texts.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void Every_reason_has_a_counter_name_of_its_own_in_snake_case()
    {
        string[] names = [.. Enum.GetValues<DropReason>().Select(DropCounters.NameOf)];
        Assert.All(names, n => Assert.Matches("^[a-z][a-z0-9]*(_[a-z0-9]+)*$", n));
        Assert.Equal(names.Length, names.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void The_values_have_no_gap_because_counters_are_an_array()
        => Assert.Equal(Enumerable.Range(0, DropCounters.ReasonCount), Enum.GetValues<DropReason>().Select(r => (int)r));

    [Fact]
    public void Every_reason_is_given_somewhere()
    {
        string code = string.Concat(Repository.ProductSources.Where(f => f != List).Select(Repository.Code));
        Assert.All(Enum.GetNames<DropReason>(), n => Assert.True(Regex.IsMatch(code, $@"\bDropReason\.{n}\b"), $"nothing is ever dropped as {n}"));
    }
}
