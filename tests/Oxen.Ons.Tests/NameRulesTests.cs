namespace Oxen.Ons.Tests;

public class NameRulesTests
{
    // oxen-core, unit_tests/oxen_name_system.cpp, name_tests
    [Theory]
    [InlineData("a.loki")]
    [InlineData("domain.loki")]
    [InlineData("xn--tda.loki")]
    [InlineData("xn--Mnchen-Ost-9db.loki")]
    [InlineData("xn--fwg93vdaef749it128eiajklmnopqrstu7dwaxyz0a1a2a3a643qhok169a.loki")]
    [InlineData("abcdefghijklmnopqrstuvwxyz123456.loki")]
    [InlineData("a-cdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789a.loki")]
    public void Lokinet_takes(string name) => Assert.Equal(NameFault.None, NameRules.Check(name, NameType.Lokinet));

    [Theory]
    [InlineData("abc.domain.loki", NameFault.Character)]
    [InlineData("a", NameFault.Ending)]
    [InlineData("a.loko", NameFault.Ending)]
    [InlineData("a domain name.loki", NameFault.Character)]
    [InlineData("-.loki", NameFault.Edge)]
    [InlineData("a_b.loki", NameFault.Character)]
    [InlineData(" a.loki", NameFault.Character)]
    [InlineData("a.loki ", NameFault.Ending)]
    [InlineData(" a.loki ", NameFault.Ending)]
    [InlineData("localhost.loki", NameFault.Reserved)]
    [InlineData("localhost", NameFault.Ending)]
    [InlineData("loki.loki", NameFault.Reserved)]
    [InlineData("snode.loki", NameFault.Reserved)]
    [InlineData("abcdefghijklmnopqrstuvwxyz1234567.loki", NameFault.TooLong)]
    [InlineData("a-cdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789ab.loki", NameFault.TooLong)]
    [InlineData("xn--fwg93vdaef749it128eiajklmnopqrstu7dwaxyz0a1a2a3a643qhok169ab.loki", NameFault.TooLong)]
    [InlineData("ab--xyz.loki", NameFault.Hyphens)]
    // Ours: the edges of the same rules.
    [InlineData("", NameFault.Empty)]
    [InlineData(".loki", NameFault.Empty)]
    [InlineData("LOCALHOST.LOKI", NameFault.Reserved)]
    [InlineData("a-.loki", NameFault.Edge)]
    [InlineData("m\u00fcnchen.loki", NameFault.Character)]
    [InlineData("ab--.loki", NameFault.Hyphens)]
    public void Lokinet_refuses(string name, NameFault fault) => Assert.Equal(fault, NameRules.Check(name, NameType.Lokinet));

    [Theory]
    [InlineData("Hello")]
    [InlineData("1Hello")]
    [InlineData("1Hello1")]
    [InlineData("_Hello1")]
    [InlineData("1Hello_")]
    [InlineData("_Hello_")]
    [InlineData("999")]
    [InlineData("xn--tda")]
    [InlineData("xn--Mnchen-Ost-9db")]
    [InlineData("a")]
    [InlineData("ab--cd")]
    public void Session_and_wallet_take(string name)
    {
        Assert.Equal(NameFault.None, NameRules.Check(name, NameType.Session));
        Assert.Equal(NameFault.None, NameRules.Check(name, NameType.Wallet));
    }

    [Theory]
    [InlineData("-", NameFault.Edge)]
    [InlineData("@", NameFault.Character)]
    [InlineData("'Hello", NameFault.Character)]
    [InlineData("@Hello", NameFault.Character)]
    [InlineData("[Hello", NameFault.Character)]
    [InlineData("]Hello", NameFault.Character)]
    [InlineData("Hello ", NameFault.Character)]
    [InlineData(" Hello", NameFault.Character)]
    [InlineData(" Hello ", NameFault.Character)]
    [InlineData("Hello World", NameFault.Character)]
    [InlineData("Hello\\ World", NameFault.Character)]
    [InlineData("\"hello\"", NameFault.Character)]
    [InlineData("hello\"", NameFault.Character)]
    [InlineData("\"hello", NameFault.Character)]
    [InlineData("", NameFault.Empty)]
    [InlineData("blocks.loki", NameFault.Character)]
    [InlineData("hello-", NameFault.Edge)]
    [InlineData("\u212aelvin", NameFault.Character)] // the Kelvin sign, whose small letter is k in other foldings
    public void Session_and_wallet_refuse(string name, NameFault fault)
    {
        Assert.Equal(fault, NameRules.Check(name, NameType.Session));
        Assert.Equal(fault, NameRules.Check(name, NameType.Wallet));
    }

    [Fact]
    public void A_session_name_has_up_to_64_characters()
    {
        Assert.Equal(NameFault.None, NameRules.Check(new string('a', 64), NameType.Session));
        Assert.Equal(NameFault.TooLong, NameRules.Check(new string('a', 65), NameType.Session));
    }

    [Fact]
    public void Only_ASCII_capitals_fold() => Assert.Equal("az@[`{\u00c4\u0130\u212a", NameRules.Fold("AZ@[`{\u00c4\u0130\u212a"));

    [Fact]
    public void Any_text_gets_an_answer()
    {
        var random = new Random(20261122);
        const string Letters = "abz019AZ_-. \u00e9\ud800\0loki";
        for (int round = 0; round < 20_000; round++)
        {
            string name = string.Concat(Enumerable.Range(0, random.Next(75)).Select(_ => Letters[random.Next(Letters.Length)])) + (random.Next(2) == 0 ? ".loki" : "");
            foreach (NameType type in Enum.GetValues<NameType>())
            {
                NameFault fault = NameRules.Check(name, type);
                Assert.True(Enum.IsDefined(fault));
                Assert.Equal(fault, NameRules.Check(NameRules.Fold(name), type));
            }
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => NameRules.Check("a", (NameType)3));
    }
}
