using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Oxen.Router.Native.Linux;

namespace Oxen.Router.Native.Tests.Linux;

public sealed class SecretBlockTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(100_000)]
    public void It_begins_zeroed_and_keeps_what_is_written(int bytes)
    {
        using var block = new SecretBlock(bytes);
        Assert.Equal(bytes, block.Length);
        Assert.Equal(bytes, block.Span.Length);
        Assert.Equal(-1, block.Span.IndexOfAnyExcept((byte)0));
        block.Span.Fill(0xA5);
        Assert.Equal(-1, block.Slice(bytes / 2, bytes - bytes / 2).IndexOfAnyExcept((byte)0xA5));
    }

    [Fact]
    public void Use_after_dispose_throws_and_a_second_dispose_does_not()
    {
        var block = new SecretBlock(64);
        block.Dispose();
        block.Dispose();
        Assert.Throws<ObjectDisposedException>(() => block.Span.Length);
        Assert.Throws<ObjectDisposedException>(() => block.Slice(0, 1).Length);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(0, 65)]
    [InlineData(64, 1)]
    [InlineData(65, 0)]
    [InlineData(1, int.MaxValue)]
    public void A_slice_outside_is_refused(int offset, int length)
    {
        using var block = new SecretBlock(64);
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Slice(offset, length).Length);
    }

    [Fact]
    public void On_Linux_the_pages_are_guarded_undumpable_and_wiped_on_fork_by_the_kernels_own_account()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        using var block = new SecretBlock(64);
        Assert.True(block.IsGuarded);
        Assert.True(block.IsUndumpable);
        Assert.True(block.IsWipedOnFork);
        string[] flags = VmFlagsOf(block);
        Assert.Contains("dd", flags);                         // do not dump
        Assert.Contains("wf", flags);                         // wipe on fork
        Assert.Equal(block.IsLocked, flags.Contains("lo"));   // locked, exactly if it says so
    }

    [Fact]
    public void A_small_block_is_locked_as_far_as_the_limit_allows()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        using var block = new SecretBlock(32);
        long limit = SecretBlock.LockableBytes;
        Assert.Equal(limit is < 0 or >= 1 << 20, block.IsLocked);
    }

    [Fact]
    public void Secrets_are_gone_from_memory_after_dispose()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        // Not `new byte[]`: the pattern itself must not lie on the heap, so it is made twice from a formula.
        var block = new SecretBlock(64);
        for (int i = 0; i < 64; i++) block.Span[i] = Formula(i);
        Assert.Equal(1, CountInMemory());
        block.Dispose();
        Assert.Equal(0, CountInMemory());
    }

    [Fact]
    public void Dumps_can_be_forbidden()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "needs Linux");
        // Only asked here: the test process stays as it is, for the debugger's sake.
        Assert.NotNull(ProcessGuard.IsDumpable);
    }

    private static byte Formula(int i) => (byte)(i * 73 + 11 ^ i << 3);

    private static int CountInMemory()
    {
        int found = 0;
        byte[] buffer = new byte[1 << 20];
        using FileStream memory = File.OpenRead("/proc/self/mem");
        foreach (string line in File.ReadAllLines("/proc/self/maps"))
        {
            // Private anonymous mappings outside the heap of the collector are small; the block's own line has no name.
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length != 5 || !parts[1].StartsWith("rw-p", StringComparison.Ordinal)) continue;
            long start = Convert.ToInt64(parts[0].Split('-')[0], 16), end = Convert.ToInt64(parts[0].Split('-')[1], 16);
            if (end - start > 64 << 10) continue;
            memory.Position = start;
            int n;
            try
            {
                n = memory.ReadAtLeast(buffer.AsSpan(0, (int)(end - start)), (int)(end - start), throwOnEndOfStream: false);
            }
            catch (IOException)
            {
                continue;
            }

            for (int at = 0; at + 64 <= n; at++)
            {
                int i = 0;
                while (i < 64 && buffer[at + i] == Formula(i)) i++;
                if (i == 64) found++;
            }
        }

        return found;
    }

    private static string[] VmFlagsOf(SecretBlock block)
    {
        long address = Address(ref MemoryMarshal.GetReference(block.Span));
        bool mine = false;
        foreach (string line in File.ReadLines("/proc/self/smaps"))
        {
            string first = line.Split(' ')[0];
            int dash = first.IndexOf('-', StringComparison.Ordinal);
            if (dash > 0 && long.TryParse(first[..dash], System.Globalization.NumberStyles.HexNumber, null, out long start)
                && long.TryParse(first[(dash + 1)..], System.Globalization.NumberStyles.HexNumber, null, out long end))
            {
                mine = start <= address && address < end;
            }
            else if (mine && line.StartsWith("VmFlags:", StringComparison.Ordinal))
            {
                return line["VmFlags:".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            }
        }

        return [];
    }

    // The memory does not move, so its distance from nowhere is its address.
    private static long Address(ref byte at) => Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref at);
}
