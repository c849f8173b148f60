using System.Text;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Wire;

public class BtEncodingTests
{
    [Theory]
    [InlineData("i0e")]
    [InlineData("i-1e")]
    [InlineData("i9223372036854775807e")]
    [InlineData("i-9223372036854775808e")]
    [InlineData("i18446744073709551615e")]
    [InlineData("0:")]
    [InlineData("5:hello")]
    [InlineData("le")]
    [InlineData("de")]
    [InlineData("li1e3:abcdee")]
    [InlineData("d1:ai1e1:bl0:ee")]
    [InlineData("d0:i1e1:ai2e2:aai3ee")]
    public void What_is_well_formed_is_read_and_written_back_as_it_was(string text)
    {
        Assert.True(BtEncoding.TryRead(Encoding.ASCII.GetBytes(text), out object? value));
        Assert.Equal(text, Encoding.ASCII.GetString(BtEncoding.Write(value!)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("i")]
    [InlineData("ie")]
    [InlineData("i-e")]
    [InlineData("i-0e")]
    [InlineData("i01e")]
    [InlineData("i+1e")]
    [InlineData("i 1e")]
    [InlineData("i1.5e")]
    [InlineData("i18446744073709551616e")]
    [InlineData("i-9223372036854775809e")]
    [InlineData("01:a")]
    [InlineData("2:a")]
    [InlineData("-1:a")]
    [InlineData("99999999999:a")]
    [InlineData("1a")]
    [InlineData("l")]
    [InlineData("li1e")]
    [InlineData("d1:ae")]
    [InlineData("d1:bi1e1:ai2ee")]
    [InlineData("d1:ai1e1:ai2ee")]
    [InlineData("di1ei2ee")]
    [InlineData("i1ei2e")]
    [InlineData("i1e ")]
    public void What_is_not_is_refused(string text) => Assert.False(BtEncoding.TryRead(Encoding.ASCII.GetBytes(text), out _));

    [Fact]
    public void Nesting_has_a_limit()
    {
        static byte[] Nested(int depth) => Encoding.ASCII.GetBytes(new string('l', depth) + new string('e', depth));
        Assert.True(BtEncoding.TryRead(Nested(BtEncoding.MaxDepth), out _));
        Assert.False(BtEncoding.TryRead(Nested(BtEncoding.MaxDepth + 1), out _));
        Assert.False(BtEncoding.TryRead(Nested(1_000_000), out _));
    }

    [Fact]
    public void Keys_are_sorted_by_bytes_when_written()
    {
        var map = new WireMap { ["b"] = 1L, ["a"] = 2L, ["\u00FF"] = 3L, ["aa"] = 4L };
        byte[] bytes = BtEncoding.Write(map);
        Assert.Equal("d1:ai2e2:aai4e1:bi1e1:\u00FFi3ee", Encoding.Latin1.GetString(bytes));
        Assert.True(BtEncoding.TryRead(bytes, out object? back));
        Assert.Equal(map.Keys, ((WireMap)back!).Keys);
    }

    // Session clients' notification of success.
    [Fact]
    public void A_dictionary_is_written_as_the_network_s_tests_have_it()
        => Assert.Equal("d7:successi1ee", Encoding.ASCII.GetString(BtEncoding.Write(new WireMap { ["success"] = 1L })));

    [Fact]
    public void No_bytes_make_it_throw_and_what_it_accepts_it_writes_back()
    {
        var dice = new Random(20261127);
        int accepted = 0;
        const int rounds = 200_000;
        for (int i = 0; i < rounds; i++)
        {
            byte[] bytes = BtEncoding.Write(Value(dice, 0));
            for (int change = dice.Next(3); change > 0 && bytes.Length > 0; change--)
            {
                switch (dice.Next(3))
                {
                    case 0: bytes[dice.Next(bytes.Length)] = (byte)"0123456789:ildex-"[dice.Next(17)]; break;
                    case 1: bytes = bytes[..dice.Next(bytes.Length)]; break;
                    default: bytes = [.. bytes, (byte)dice.Next(256)]; break;
                }
            }

            if (!BtEncoding.TryRead(bytes, out object? value)) continue;
            accepted++;
            Assert.Equal(bytes, BtEncoding.Write(value!));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"bt: {accepted} of {rounds} accepted");
        Assert.True(accepted > rounds * 0.3);
    }

    private static object Value(Random dice, int depth)
    {
        switch (dice.Next(depth > 4 ? 2 : 4))
        {
            case 0: return dice.NextInt64(long.MinValue, long.MaxValue) >> dice.Next(64);
            case 1:
                byte[] bytes = new byte[dice.Next(12)];
                dice.NextBytes(bytes);
                return bytes;
            case 2: return Enumerable.Range(0, dice.Next(4)).Select(_ => Value(dice, depth + 1)).ToList();
            default:
                var map = new WireMap();
                for (int n = dice.Next(4); n > 0; n--) map[((char)dice.Next(256)).ToString()] = Value(dice, depth + 1);
                return map;
        }
    }
}
