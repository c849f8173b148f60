namespace Oxen.Ons.Tests;

public class NameHashTests
{
    [Theory]
    // oxen-core, core_tests/oxen_tests.cpp
    [InlineData("AnotherName", "Dw4l4Qtc8plvIoVDpE7LjigVVEkjfl6CGiLIZJ0A+pE=")]
    [InlineData("MyName", "pwlWkoJq8LXb6Y2ILlCXNvfyBQBt71XWz3c7rkt6myM=")]
    [InlineData("Lorem.loki", "GsM6OUk5E5D9keBIK2PlA4kjwiPe+/UB0nUurjKvFJQ=")]
    [InlineData("ipSum.loki", "p8IYR3ZWr0KSU4ZPazYxTkwvXsm0dzq5dmour7VmIDY=")]
    [InlineData("Wallet1", "2dRJORvkHcT6Ns8mXprzgiZ26v7OT7FhiMo+DMB3Myw=")]
    [InlineData("Wallet2", "634Je6csR8w9a8vj/DEOIb1E1qk/ZmZF9DXSlh/p0zI=")]
    [InlineData("", "DldRwCblQ7Loqy6wYJnaodHl30d3j3eH+qtFzfEv46g=")]
    // oxen-core, documentation of ons_resolve
    [InlineData("blocks.loki", "IeynFEjyxigd0Lcmo5FWYaGp/uVXsa5grK8Jml0ai3o=")]
    [InlineData("jagerman", "yB7mbm2q1MaczqNZCYguH+71z5jooEMeXA0sncfni+g=")]
    // Derived from the format with libsodium.
    [InlineData("my ons name", "+jIsaMmOKAx448rlmRNGWeHZMK+iA3y+JjmLaHPo85A=")]
    [InlineData("abcdefg", "szImz3BYMwaMnCehIRouZpoJ9iwX6Sy/9DK8omc1U/8=")]
    [InlineData("mywallet", "XrNCcDWn7AZOudH4dAxBa997sq0pqC1wPXIHKudCGYk=")]
    public void A_name_has_the_published_hash(string name, string base64)
    {
        NameHash hash = NameHash.Of(name);
        Assert.Equal(base64, hash.ToBase64());
        Assert.Equal(base64, hash.ToString());
        Assert.Equal(hash, NameHash.Of(name.ToUpperInvariant()));
    }

    [Fact]
    public void Hexadecimal_is_the_same_hash()
    {
        // oxen-core, documentation of ons_resolve
        const string Hex = "21eca71448f2c6281dd0b726a3915661a1a9fee557b1ae60acaf099a5d1a8b7a";
        Assert.Equal(Hex, NameHash.Of("blocks.loki").ToHex());
        Assert.Equal("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8", NameHash.Of("").ToHex());
    }

    [Fact]
    public void The_hash_of_nothing_and_zeros_are_forbidden()
    {
        Assert.True(NameHash.Of("").IsForbidden);
        Assert.True(default(NameHash).IsForbidden);
        Assert.True(NameHash.FromBytes(new byte[NameHash.Bytes]).IsForbidden);
        Assert.False(NameHash.Of("a").IsForbidden);
    }

    [Fact]
    public void Every_way_of_writing_a_hash_reads_as_the_same()
    {
        NameHash hash = NameHash.Of("AnotherName");
        byte[] bytes = new byte[NameHash.Bytes];
        hash.CopyTo(bytes);
        Assert.Equal(hash, NameHash.FromBytes(bytes));
        foreach (string text in new[] { hash.ToBase64(), hash.ToBase64()[..43], hash.ToHex(), hash.ToHex().ToUpperInvariant() })
        {
            Assert.True(NameHash.TryParse(text, out NameHash read));
            Assert.True(hash == read);
            Assert.Equal(hash.GetHashCode(), read.GetHashCode());
        }
    }

    [Fact]
    public void Cut_and_changed_texts_are_refused_or_are_another_hash()
    {
        NameHash hash = NameHash.Of("blocks.loki");
        foreach (string text in new[] { hash.ToBase64(), hash.ToHex() })
        {
            for (int length = 0; length < text.Length; length++) Assert.Equal(text.Length == 44 && length == 43, NameHash.TryParse(text.AsSpan(0, length), out _));
            Assert.False(NameHash.TryParse(text + "=", out _));
            for (int i = 0; i < text.Length; i++)
            {
                foreach (char c in "Q0=- \n\0\u00e9\uffff")
                {
                    string changed = text[..i] + c + text[(i + 1)..];
                    if (changed == text || !NameHash.TryParse(changed, out NameHash read)) continue;
                    Assert.True(read != hash);
                    Assert.Contains(changed, new[] { read.ToBase64(), read.ToHex() });
                }
            }
        }
    }

    [Fact]
    public void Bits_beyond_the_last_byte_are_refused()
    {
        string text = NameHash.Of("blocks.loki").ToBase64(); // ends in `o=`; `p` has the same first four bits
        Assert.EndsWith("o=", text, StringComparison.Ordinal);
        Assert.False(NameHash.TryParse(text[..42] + "p=", out _));
        Assert.False(NameHash.TryParse(text[..42] + "p", out _));
    }
}
