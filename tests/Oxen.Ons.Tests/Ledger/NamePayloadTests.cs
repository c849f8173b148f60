using Oxen.Ons.Ledger;

namespace Oxen.Ons.Tests.Ledger;

public class NamePayloadTests
{
    // Built from the published order of fields, with published hashes and values; signatures by Ed25519 over the published message.
    private const string Buy = "7a000098da69ebd80929de2bba711ad8b679332594a70d4b8cc94ff31b4c6cb0c156e70000000000000000000000000000000000000000000000000000000000000000090103a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b849e1f5150c0ed002464f9e3b4d132aa1b7792ef25bb247b4a0ff73fcc52acd8abfe02d11a6eaad4ba2e9e2237ad83e8c7a256465666768696a6b6c6d6e6f707172737475767778797a7b";
    private const string Renewal = "7a000421eca71448f2c6281dd0b726a3915661a1a9fee557b1ae60acaf099a5d1a8b7a111111111111111111111111111111111111111111111111111111111111111100";
    private static readonly Bytes32 Elevens = new([.. Enumerable.Repeat((byte)0x11, 32)]);
    private static readonly LedgerKey Signer = new([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);
    private static readonly LedgerKey Other = new([.. Enumerable.Range(32, 32).Select(i => (byte)i)]);

    private static byte[] Value => NamePayload.Read(Convert.FromHexString(Buy))!.Value!;

    [Fact]
    public void A_published_buy_reads_and_writes_byte_for_byte()
    {
        NamePayload buy = NamePayload.Read(Convert.FromHexString(Buy))!;
        Assert.Equal((PayloadShape.Buy, NameType.Session, NameHash.Of("keejef"), 0x09, 73), (buy.Shape, buy.Type, buy.Hash, buy.Fields, buy.Value!.Length));
        Assert.Equal("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", buy.Owner!.Text);
        Assert.Equal(Buy, Convert.ToHexStringLower(buy.ToBytes()));
        var made = new NamePayload { RawType = 0, Hash = NameHash.Of("keejef"), Owner = NameOwner.Of(Signer.Id), Value = Value };
        Assert.Equal(Buy, Convert.ToHexStringLower(made.ToBytes()));
    }

    [Fact]
    public void A_published_renewal_reads_and_writes_byte_for_byte()
    {
        NamePayload renewal = NamePayload.Read(Convert.FromHexString(Renewal))!;
        Assert.Equal((PayloadShape.Renew, (ushort)4, NameHash.Of("blocks.loki"), Elevens), (renewal.Shape, renewal.RawType, renewal.Hash, renewal.Previous));
        Assert.Equal(Renewal, Convert.ToHexStringLower(renewal.ToBytes()));
        Assert.Equal("7900863ba101000000", Convert.ToHexStringLower(NamePayload.BurnField(7_000_000_000)));
    }

    [Fact]
    public void The_message_of_an_update_and_its_signature_are_the_published_ones()
    {
        Assert.Equal("29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7", Other.Id.ToString());
        NameOwner other = NameOwner.Of(Other.Id), wallet = NameOwner.Wallet([.. Enumerable.Repeat((byte)0xAA, 32)], [.. Enumerable.Repeat((byte)0xBB, 32)], false);
        Check(new NamePayload { RawType = 0, Hash = default, Previous = Elevens, Value = Value }, "efd06c2898f52f1f3e8a7896c6355c4015815732a40f1c01159abe7e3edc1f93", "3df31989a2e7a8ccbcf9bb907f2cd61d5b634ae6a22e9b77c50076db111fc414b6d80c778154320e2aed82bc6aae498c010d4e04d2c5b501167a380fc2e1fd02");
        const string Ambiguous = "c2a4ce39c07264507dbf9875c9faf30fd4e14357298cb945eb6c1c6af4cf7e0d";
        const string Same = "0b180f54f545b0509b89a0f4fbdb6531cdf0548960bdcbf0958543a62ea45f95fa790bc84f69ab1dddd23ab80466e8a1275881958424f471e60cb5cce94ed503";
        Check(new NamePayload { RawType = 0, Hash = default, Previous = Elevens, Owner = other }, Ambiguous, Same);
        Check(new NamePayload { RawType = 0, Hash = default, Previous = Elevens, Backup = other }, Ambiguous, Same);
        Check(
            new NamePayload { RawType = 0, Hash = default, Previous = Elevens, Value = Value, Owner = other, Backup = wallet },
            "e4ebb4e338b404296df2cefe75361f7ee1093fafbdc63ca5fdb81bdbb5b2672f",
            "39286e656e09195dcfe418522b02a2b31cd6b426789a8cf92bc65b9966c87945352ae17dafb4aeb3e7dc3fbecd12bac853a07d6ccd216eef4a396fad38a0f10b");

        static void Check(NamePayload payload, string message, string signature)
        {
            Assert.Equal(message, payload.UpdateMessage(Elevens).ToString());
            NamePayload signed = payload.SignedBy(Signer);
            Assert.Equal(signature, Convert.ToHexStringLower(signed.Signature!));
            Assert.Equal(PayloadShape.Update, signed.Shape);
            Assert.Equal(Convert.ToHexString(signed.ToBytes()), Convert.ToHexString(NamePayload.Read(signed.ToBytes())!.ToBytes()));
        }
    }

    [Fact]
    public void Cut_and_lengthened_payloads_are_refused_and_changed_ones_are_others_or_refused()
    {
        foreach (string hex in new[] { Buy, Renewal })
        {
            byte[] bytes = Convert.FromHexString(hex);
            for (int i = 0; i < bytes.Length; i++) Assert.Null(NamePayload.Read(bytes.AsSpan(0, i)));
            Assert.Null(NamePayload.Read([.. bytes, 0]));
            for (int bit = 0; bit < 8 * bytes.Length; bit++)
            {
                byte[] changed = [.. bytes];
                changed[bit / 8] ^= (byte)(1 << (bit % 8));
                if (NamePayload.Read(changed) is { } read) Assert.Equal(changed, read.ToBytes());
            }
        }
    }

    [Theory]
    [InlineData(0, 15, 20)]
    [InlineData(0, 16, 15)]
    [InlineData(0, 17, 15)]
    [InlineData(0, 18, 7)]
    [InlineData(1, 18, 7)]
    [InlineData(2, 16, 15)]
    [InlineData(3, 17, 30)]
    [InlineData(4, 16, 60)]
    [InlineData(5, 16, 90)]
    [InlineData(2, 19, 7)]
    [InlineData(3, 19, 14)]
    [InlineData(4, 19, 28)]
    [InlineData(5, 19, 42)]
    public void Prices_are_those_of_the_chain(int type, byte hardFork, ulong oxen) => Assert.Equal(oxen * OxenAmount.Oxen, NamePrices.Price(type, hardFork));

    [Fact]
    public void Types_had_no_price_before_they_came_and_terms_are_those_of_the_chain()
    {
        Assert.Null(NamePrices.Price(1, 17));
        Assert.Null(NamePrices.Price(2, 15));
        Assert.Null(NamePrices.Price(6, 19));
        Assert.Equal([264_960UL, 529_920, 1_324_800, 2_649_600], Enumerable.Range(2, 4).Select(LedgerRules.Default.TermBlocks));
    }

    [Theory]
    [InlineData("7", 7_000_000_000)]
    [InlineData("0.000000001", 1)]
    [InlineData("18.3333", 18_333_300_000)]
    [InlineData("0", 0)]
    public void Amounts_read_and_write(string text, ulong atomic)
    {
        Assert.True(OxenAmount.TryParse(text, out ulong read));
        Assert.Equal(atomic, read);
        Assert.Equal(text, OxenAmount.Format(atomic));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".5")]
    [InlineData("5.")]
    [InlineData("-1")]
    [InlineData("1e3")]
    [InlineData("1 ")]
    [InlineData("0.0000000001")]
    [InlineData("18446744073.709551616")]
    [InlineData("99999999999999999999999999999999999999999999")]
    public void What_is_no_amount_is_refused(string text) => Assert.False(OxenAmount.TryParse(text, out _));
}
