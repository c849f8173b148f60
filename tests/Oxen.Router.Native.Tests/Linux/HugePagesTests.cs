using Oxen.Router.Native.Linux;

namespace Oxen.Router.Native.Tests.Linux;

public sealed class HugePagesTests
{
    [Fact]
    public void A_large_table_keeps_its_bytes()
    {
        byte[] table = GC.AllocateArray<byte>(HugePages.LeastBytes + 3 * 4096 + 17, pinned: true);
        for (int i = 0; i < table.Length; i += 4096) table[i] = (byte)(i / 4096);
        table[^1] = 9;
        HugePages.Ask(table);
        for (int i = 0; i < table.Length; i += 4096) Assert.Equal((byte)(i / 4096), table[i]);
        Assert.Equal(9, table[^1]);
        Assert.Equal(0, table[^2]);
    }

    [Fact]
    public void A_small_table_is_left_alone()
    {
        Assert.False(HugePages.Ask(new byte[HugePages.LeastBytes - 1]));
        Assert.False(HugePages.Ask([]));
    }
}
