namespace Oxen.Ons.Tests;

public class NameValueTests
{
    // oxen-core, documentation of ons_resolve (jagerman, blocks.loki)
    private const string Session = "05fb466d312e1666ad1c84c4ee55b7e034151c0e366a313d95d11436a5f36e1e75";
    private const string Lokinet = "kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loki";
    private const string LokinetKey = "531a0c517fb23b120c37132ab1d771eda3a6ed7cfd64b374ca6ce61ae95a54e4";

    private static readonly string Wallet = "00" + new string('a', 64) + new string('b', 64);
    private static readonly string IntegratedWallet = "02" + new string('a', 64) + new string('b', 64) + new string('c', 16);

    [Fact]
    public void A_session_value_is_66_digits_that_begin_with_05()
    {
        Assert.Equal(ValueFault.None, NameValue.Parse(Session, NameType.Session, out NameValue? value));
        Assert.Equal(Session, value!.Text);
        Assert.Equal(Convert.FromHexString(Session), value.Bytes.ToArray());
        Assert.Equal(NameType.Session, value.Type);
        Assert.Equal(ValueFault.None, NameValue.Parse("053b6b764388cd6c4d38ae0b3e7492a8ecf0076e270c013bb5693d973045f45254", NameType.Session, out _));
        Assert.Equal(ValueFault.Kind, NameValue.Parse("15" + Session[2..], NameType.Session, out value));
        Assert.Null(value);
        Assert.Equal(ValueFault.Length, NameValue.Parse(Session[2..], NameType.Session, out _));
        Assert.Equal(ValueFault.Length, NameValue.Parse(Session + "0", NameType.Session, out _));
        Assert.Equal(ValueFault.Form, NameValue.Parse(Session[..65] + "g", NameType.Session, out _));
    }

    [Fact]
    public void A_lokinet_value_is_the_key_in_z_base_32_with_its_ending()
    {
        Assert.Equal(ValueFault.None, NameValue.Parse(Lokinet, NameType.Lokinet, out NameValue? value));
        Assert.Equal(LokinetKey, Convert.ToHexStringLower(value!.Bytes));
        Assert.Equal(Lokinet, value.Text);
        Assert.Equal(ValueFault.None, NameValue.Parse(Lokinet.ToUpperInvariant(), NameType.Lokinet, out value));
        Assert.Equal(Lokinet, value!.Text);
        Assert.Equal(ValueFault.None, NameValue.Read(Convert.FromHexString(LokinetKey), NameType.Lokinet, out value));
        Assert.Equal(Lokinet, value!.Text);
    }

    [Theory]
    [InlineData("kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1b.loki", ValueFault.Form)]  // the last character may be y or o
    [InlineData("kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1o.loki", ValueFault.None)]
    [InlineData("kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loko", ValueFault.Form)]
    [InlineData("kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y", ValueFault.Length)]
    [InlineData("kcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1yy.loki", ValueFault.Length)]
    [InlineData("lcpyawm9se7trdbzncimdi5t7st4p5mh9i1mg7gkpuubi4k4ku1y.loki", ValueFault.Form)]  // no `l` in the alphabet
    [InlineData("", ValueFault.Length)]
    public void A_lokinet_text_is_exact(string text, ValueFault fault)
    {
        Assert.Equal(fault, NameValue.Parse(text, NameType.Lokinet, out NameValue? value));
        Assert.Equal(fault == ValueFault.None, value is not null);
    }

    [Fact]
    public void A_wallet_value_has_a_payment_id_exactly_if_it_is_integrated()
    {
        Assert.Equal(ValueFault.None, NameValue.Parse(Wallet, NameType.Wallet, out NameValue? value));
        Assert.Equal(65, value!.Bytes.Length);
        Assert.Equal(ValueFault.None, NameValue.Parse("01" + Wallet[2..], NameType.Wallet, out _));
        Assert.Equal(ValueFault.Kind, NameValue.Parse("02" + Wallet[2..], NameType.Wallet, out _));
        Assert.Equal(ValueFault.None, NameValue.Parse(IntegratedWallet, NameType.Wallet, out value));
        Assert.Equal(73, value!.Bytes.Length);
        Assert.Equal(IntegratedWallet, value.Text);
        Assert.Equal(ValueFault.Kind, NameValue.Parse("00" + IntegratedWallet[2..], NameType.Wallet, out _));
        Assert.Equal(ValueFault.Kind, NameValue.Parse("03" + IntegratedWallet[2..], NameType.Wallet, out _));
        Assert.Equal(ValueFault.Length, NameValue.Parse(IntegratedWallet[..140], NameType.Wallet, out _));
    }

    [Fact]
    public void Any_key_has_one_text_and_any_changed_text_is_refused_or_another_key()
    {
        var random = new Random(20261122);
        byte[] key = new byte[32];
        for (int round = 0; round < 200; round++)
        {
            random.NextBytes(key);
            Assert.Equal(ValueFault.None, NameValue.Read(key, NameType.Lokinet, out NameValue? value));
            string text = value!.Text;
            Assert.Equal(ValueFault.None, NameValue.Parse(text, NameType.Lokinet, out NameValue? again));
            Assert.Equal(key, again!.Bytes.ToArray());
            for (int i = 0; i < text.Length; i++)
            {
                string changed = text[..i] + "y2\u00e9b"[random.Next(4)] + text[(i + 1)..];
                if (changed != text && NameValue.Parse(changed, NameType.Lokinet, out again) == ValueFault.None) Assert.NotEqual(key, again!.Bytes.ToArray());
                Assert.Equal(ValueFault.Length, NameValue.Parse(text[..i], NameType.Lokinet, out _));
            }
        }
    }

    [Fact]
    public void Bytes_of_any_length_get_an_answer()
    {
        foreach (NameType type in Enum.GetValues<NameType>())
        {
            for (int length = 0; length < 300; length++)
            {
                ValueFault fault = NameValue.Read(new byte[length], type, out NameValue? value);
                Assert.Equal(!NameValue.IsLength(length, type), fault == ValueFault.Length);
                Assert.Equal(fault == ValueFault.None, value is not null);
                Assert.NotEqual(ValueFault.None, NameValue.Parse(new string('\u4e00', length), type, out _));
            }
        }
    }
}
