using Oxen.Router.Core.Hidden;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class ServiceAddressTests
{
    // RFC 8032 section 7.1, the public keys of tests 1 to 3; the text from the definition of z-base-32, digit by digit.
    [Theory]
    [InlineData("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")]
    [InlineData("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")]
    [InlineData("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")]
    public void A_key_has_one_text_and_the_text_gives_the_key_back(string hex)
    {
        byte[] key = Convert.FromHexString(hex);
        Assert.True(ServiceAddress.TryFrom(key, out ServiceAddress address));
        string text = address.ToString();
        Assert.Equal(Spell(key) + ".loki", text);
        Assert.True(ServiceAddress.TryParse(text, out ServiceAddress again));
        Assert.True(ServiceAddress.TryParse(text.AsSpan(0, 52), out ServiceAddress bare));
        Assert.Equal(key, again.ToArray());
        Assert.Equal(again, bare);
    }

    [Fact]
    public void Every_other_spelling_is_refused()
    {
        Assert.True(ServiceAddress.TryFrom(Convert.FromHexString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"), out ServiceAddress address));
        string text = address.ToString().Remove(52);
        Assert.False(ServiceAddress.TryParse(text.Remove(51), out _));
        Assert.False(ServiceAddress.TryParse(text + "y", out _));
        Assert.False(ServiceAddress.TryParse(text.ToUpperInvariant(), out _));
        Assert.False(ServiceAddress.TryParse(text + ".LOKI", out _));
        Assert.False(ServiceAddress.TryParse(text + ".loki.", out _));
        Assert.False(ServiceAddress.TryParse("", out _));
        foreach (char c in "lv20-=") Assert.False(ServiceAddress.TryParse(c + text.Substring(1), out _));

        // The four bits that no key has.
        foreach (char c in "bndrfg8ejkmcpqxt1uwisza345h769") Assert.False(ServiceAddress.TryParse(text.Remove(51) + c, out _));
    }

    [Fact]
    public void Bytes_that_are_no_point_of_the_group_are_no_address()
    {
        Assert.False(ServiceAddress.TryFrom(new byte[31], out _));
        foreach (byte[] bad in BadPoints.All) Assert.False(ServiceAddress.TryFrom(bad, out _), Convert.ToHexString(bad));

        // About half of all strings are no y of the curve, and of the rest seven in eight lie outside of the group.
        var dice = new SeededEntropy(1);
        int taken = 0;
        byte[] key = new byte[32];
        for (int i = 0; i < 400; i++)
        {
            dice.FillPublic(key);
            if (ServiceAddress.TryFrom(key, out _)) taken++;
        }

        Assert.InRange(taken, 5, 60);
    }

    private static string Spell(byte[] key)
    {
        string bits = string.Concat(key.Select(b => Convert.ToString(b, 2).PadLeft(8, '0'))) + "0000";
        return string.Concat(Enumerable.Range(0, 52).Select(i => "ybndrfg8ejkmcpqxot1uwisza345h769"[Convert.ToInt32(bits.Substring(5 * i, 5), 2)]));
    }
}
