namespace Oxen.Swarm.Tests;

public class AccountIdTests
{
    // session-storage-server, unit_test/swarm.cpp
    [Theory]
    [InlineData("053506f4a71324b7dd114eddbf4e311f39dde243e1f2cb97c40db1961f70ebaae8", 17589930838143112648)]
    [InlineData("05cf27da303a50ac8c4b2d43d27259505c9bcd73fc21cf2a57902c3d050730b604", 10370619079776428163)]
    [InlineData("03d3511706b8b34f6e8411bf07bd22ba6b2435ca56846fbccf6eb1e166a6cd15cc", 2144983569669512198)]
    [InlineData("ff0f06693428fca9102a451e3f28d9cc743d8ea60a89ab6aa69eb119470c11cbd3", 9690840703409570833)]
    [InlineData("05ffba630924aa1224bb930dde21c0d11bf004608f2812217f8ac812d6c7e3ad48", 4532060000165252872)]
    [InlineData("05eeeeeeeeeeeeeeee777777777777777711111111111111118888888888888888", 0)]
    [InlineData("050123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 0)]
    [InlineData("05fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe", 1)]
    [InlineData("05ffffffffffffffffffffffffffffffffffffffffffffffff7fffffffffffffff", 9223372036854775808)]
    [InlineData("05000000000000000000000000000000000000000000000000ffffffffffffffff", 18446744073709551615)]
    [InlineData("050000000000000000000000000000000000000000000000000123456789abcdef", 0x0123456789abcdef)]
    // Derived from the rules: the accounts of the Ed25519 seed 00..1f, as X25519 key and as Ed25519 key.
    [InlineData("054701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01", 308072453193212310)]
    [InlineData("0303a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", 7271495852289813696)]
    public void The_position_is_the_exclusive_or_of_the_keys_words(string text, ulong position)
    {
        Assert.True(AccountId.TryParse(text, allowTestNetwork: false, out AccountId account));
        Assert.Equal(position, account.Position);
        Assert.Equal(text, account.ToHex());
    }

    [Fact]
    public void Capital_digits_are_the_same_account()
    {
        const string Text = "05cf27da303a50ac8c4b2d43d27259505c9bcd73fc21cf2a57902c3d050730b604";
        Assert.True(AccountId.TryParse(Text, false, out AccountId small));
        Assert.True(AccountId.TryParse(Text.ToUpperInvariant(), false, out AccountId capital));
        Assert.Equal(small, capital);
        Assert.Equal(small.GetHashCode(), capital.GetHashCode());
        Assert.Equal(AccountId.PersonNetwork, small.Network);
    }

    [Fact]
    public void Accounts_with_one_key_on_two_networks_differ_but_share_the_position()
    {
        string key = new('a', 64);
        Assert.True(AccountId.TryParse("05" + key, false, out AccountId person));
        Assert.True(AccountId.TryParse("03" + key, false, out AccountId group));
        Assert.True(person != group);
        Assert.Equal(person.Position, group.Position);
        Assert.Equal(AccountId.GroupNetwork, group.Network);
    }

    [Fact]
    public void A_key_without_network_byte_is_an_account_of_a_test_network_alone()
    {
        string key = new('7', 64);
        Assert.False(AccountId.TryParse(key, allowTestNetwork: false, out _));
        Assert.True(AccountId.TryParse(key, allowTestNetwork: true, out AccountId account));
        Assert.Equal(AccountId.TestNetwork, account.Network);
        Assert.Equal("00" + key, account.ToHex());
    }

    [Fact]
    public void Bytes_come_back_as_they_went_in()
    {
        byte[] bytes = [.. Enumerable.Range(1, AccountId.Bytes).Select(i => (byte)(7 * i))];
        Assert.True(AccountId.TryRead(bytes, false, out AccountId account));
        byte[] back = new byte[AccountId.Bytes];
        account.CopyTo(back);
        Assert.Equal(bytes, back);
        Assert.Throws<ArgumentOutOfRangeException>(() => account.CopyTo(new byte[AccountId.Bytes - 1]));
    }

    [Fact]
    public void Any_cut_text_is_refused_and_any_text_is_answered()
    {
        const string Text = "05cf27da303a50ac8c4b2d43d27259505c9bcd73fc21cf2a57902c3d050730b604";
        for (int length = 0; length < Text.Length; length++) Assert.False(AccountId.TryParse(Text.AsSpan(0, length), false, out _));
        Assert.False(AccountId.TryParse(Text + "0", false, out _));
        for (int i = 0; i < Text.Length; i++)
        {
            foreach (char c in "gG +-\0\u00e9\uffff") Assert.False(AccountId.TryParse(Text[..i] + c + Text[(i + 1)..], true, out _));
        }

        for (int length = 0; length < 70; length++) Assert.Equal(length is 32 or 33, AccountId.TryRead(new byte[length], true, out _));
    }
}
