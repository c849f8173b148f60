using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Logging;
using Oxen.Router.Hosting;

namespace Oxen.Router.Tests.Hosting;

public sealed class LogTests
{
    private static readonly (string Name, LoggerMessageAttribute Message)[] Messages = [.. typeof(RouterLog)
        .GetMethods(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
        .Select(m => (m.Name, m.GetCustomAttribute<LoggerMessageAttribute>()!))
        .Where(m => m.Item2 is not null)];

    [Fact]
    public void Every_line_has_an_id_and_a_template_of_its_own()
    {
        Assert.NotEmpty(Messages);
        Assert.Equal(Messages.Length, Messages.Select(m => m.Message.EventId).Distinct().Count());
        Assert.Equal(Messages.Length, Messages.Select(m => m.Message.Message).Distinct().Count());
        Assert.All(Messages, m => Assert.InRange(m.Message.EventId, 1000, 1999));
    }

    [Fact]
    public void A_redacted_value_shows_nothing_however_it_is_formatted()
    {
        var secret = new Redacted<string>("mary.example:443");
        Assert.Equal("mary.example:443", secret.Value);
        string[] shown =
        [
            secret.ToString(), secret.ToString("G", null), $"{secret}", $"{secret,40:X}", string.Format(CultureInfo.InvariantCulture, "{0}", secret),
            string.Concat("a", secret), new List<Redacted<string>> { secret }[0].ToString(),
        ];
        Assert.All(shown, s => Assert.DoesNotContain("mary", s, StringComparison.Ordinal));
        Assert.False(secret.TryFormat(new char[3], out int written, default, null));
        Assert.Equal(0, written);
    }
}
