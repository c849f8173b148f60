using Oxen.Router.Hosting;
using Oxen.Testing;

namespace Oxen.Router.Tests.Hosting;

public sealed class SystemEntropyTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(20)]
    [InlineData(1024)]
    [InlineData(1025)]
    [InlineData(100_000)]
    public void It_fills_all_of_the_destination_and_nothing_else(int length)
    {
        var entropy = new SystemEntropy();
        byte[] bytes = new byte[length + 2];
        var union = new byte[length];
        for (int round = 0; round < 40; round++)
        {
            if (round % 2 == 0) entropy.FillPublic(bytes.AsSpan(1, length));
            else entropy.FillSecret(bytes.AsSpan(1, length));
            for (int i = 0; i < length; i++) union[i] |= bytes[i + 1];
        }

        Assert.Equal(0, bytes[0]);
        Assert.Equal(0, bytes[^1]);
        Assert.DoesNotContain((byte)0, union); // 40 random bytes have no common zero but with probability 2^-317
    }

    [Fact]
    public void No_public_bytes_are_given_twice()
    {
        var entropy = new SystemEntropy();
        var seen = new HashSet<Int128>();
        Span<byte> bytes = stackalloc byte[16];
        for (int i = 0; i < 5000; i++)
        {
            entropy.FillPublic(bytes);
            Assert.True(seen.Add(new Int128(BitConverter.ToUInt64(bytes), BitConverter.ToUInt64(bytes[8..]))));
        }
    }

    [Fact]
    public void Two_threads_are_never_given_the_same_bytes()
    {
        var entropy = new SystemEntropy();
        var drawn = new UInt128[2][];
        Thread[] threads = [.. Enumerable.Range(0, 2).Select(t => new Thread(() =>
        {
            var mine = new UInt128[300_000];
            Span<byte> bytes = stackalloc byte[16];
            for (int i = 0; i < mine.Length; i++)
            {
                entropy.FillPublic(bytes);
                mine[i] = System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes);
            }

            drawn[t] = mine;
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Assert.Equal(600_000, drawn[0].Concat(drawn[1]).Distinct().Count());
    }

    [Fact]
    public void Public_bytes_allocate_nothing()
    {
        var entropy = new SystemEntropy();
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            Span<byte> bytes = stackalloc byte[20];
            entropy.FillPublic(bytes);
        }));
    }
}
