using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native;
using Oxen.Router.Udp;
using Oxen.Testing;

namespace Oxen.Router.Tests.Contracts;

/// <summary>What every <see cref="IUdpSocket"/> promises. One sealed class below for each implementation.</summary>
public abstract class UdpSocketContract
{
    private protected const int Full = 1424, Reduced = 1232;

    private protected static readonly UdpAddress V4 = UdpAddress.FromBytes([127, 0, 0, 1], 0);
    private protected static readonly UdpAddress V6 = UdpAddress.FromBytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0);

    /// <summary>Bytes that one batch each way may allocate.</summary>
    private protected virtual long BatchBudget => 0;

    /// <summary>Whether it learns what the kernel dropped for want of buffer.</summary>
    private protected virtual bool SeesKernelDrops => true;

    private protected abstract IUdpSocket Open(UdpAddress address);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_datagram_arrives_whole_with_the_senders_address(bool v6)
    {
        using IUdpSocket a = Open(v6 ? V6 : V4), b = Open(v6 ? V6 : V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        end.Add(Full, 0);
        Assert.Equal(1, end.Send());
        List<UdpTestEnd.Datagram> got = far.Collect(1);
        Assert.Equal(end.Sent[0], got[0].Bytes);
        Assert.Equal(a.LocalAddress, got[0].From);
        Assert.Equal(v6 ? UdpFamily.IPv6 : UdpFamily.IPv4, got[0].From.Family);
    }

    [Theory]
    [InlineData(Full, 45)]
    [InlineData(Full, 200)]
    [InlineData(Reduced, 53)]
    [InlineData(Reduced, 120)]
    [InlineData(100, 64)]
    [InlineData(17, 300)]
    [InlineData(1, 70)]
    public void A_run_of_equal_datagrams_arrives_in_order_and_cut_right(int length, int count)
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        for (int i = 0; i < count; i++) end.Add(length, 0);
        Assert.Equal(count, end.Send());
        far.CollectEqual(end.Sent);
    }

    [Fact]
    public void Mixed_sizes_keep_their_order_and_their_edges()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        int[] sizes = [Full, Full, Full, 300, Full, 20, 20, 20, 21, 21, 1, 1, Reduced, Reduced, Full, Full, 1, 5, 4, 3, 2, 1];
        foreach (int size in sizes) end.Add(size, 0);
        Assert.Equal(sizes.Length, end.Send());
        far.CollectEqual(end.Sent);
    }

    [Fact]
    public void Datagrams_that_lie_apart_or_backwards_in_memory_are_gathered_in_batch_order()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        for (int i = 0; i < 40; i++) end.AddAt((39 - i) * 1536, Full, 0);
        Assert.Equal(40, end.Send());
        far.CollectEqual(end.Sent);
    }

    [Fact]
    public void Interleaved_routes_each_get_their_own_in_order()
    {
        using IUdpSocket a = Open(V4), b = Open(V4), c = Open(V4);
        using var end = new UdpTestEnd(a);
        using var farB = new UdpTestEnd(b);
        using var farC = new UdpTestEnd(c);
        end.Route(0, b.LocalAddress);
        end.Route(1, c.LocalAddress);
        for (int i = 0; i < 60; i++) end.Add(Full, i / 3 % 2);
        Assert.Equal(60, end.Send());
        farB.CollectEqual(end.Sent.Where((_, i) => i / 3 % 2 == 0));
        farC.CollectEqual(end.Sent.Where((_, i) => i / 3 % 2 == 1));
    }

    [Fact]
    public void More_datagrams_than_one_call_can_take_all_arrive()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a, capacity: 1024);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        // Sizes that never form a run: one message each, more than a sendmmsg takes.
        for (int i = 0; i < 700; i++) end.Add(30 + i % 7 * 2 + (i % 2 == 0 ? 0 : 40), 0);
        Assert.Equal(700, end.Send());
        far.CollectEqual(end.Sent);
    }

    [Fact]
    public void A_closed_port_poisons_neither_the_batch_nor_the_socket()
    {
        UdpAddress gone;
        using (IUdpSocket closed = Open(V4)) gone = closed.LocalAddress;
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, gone);
        end.Route(1, b.LocalAddress);
        for (int round = 0; round < 5; round++)
        {
            end.Clear();
            for (int i = 0; i < 12; i++) end.Add(Full, i % 2);
            end.Send();
            far.CollectEqual(end.Sent.Where((_, i) => i % 2 == 1));
        }

        // And it still receives.
        far.Route(0, a.LocalAddress);
        far.Add(50, 0);
        Assert.Equal(1, far.Send());
        end.CollectEqual(far.Sent);
    }

    [Fact]
    public void A_destination_of_another_family_is_counted_and_the_others_arrive()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        end.Route(1, UdpAddress.FromBytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 9));
        end.Add(Full, 0);
        end.Add(Full, 1);
        end.Add(Full, 1);
        end.Add(Full, 0);
        Assert.Equal(2, end.Send());
        Assert.Equal(2, end.Drops[DropReason.SendFailed]);
        far.CollectEqual([end.Sent[0], end.Sent[3]]);
    }

    [Fact]
    public void A_wake_ends_the_wait_of_another_thread()
    {
        using IUdpSocket a = Open(V4);
        using var returned = new ManualResetEventSlim();
        var waiter = new Thread(() =>
        {
            a.Wait(TimeSpan.FromSeconds(60));
            returned.Set();
        });
        waiter.Start();
        Thread.Yield();
        a.Wake();
        Assert.True(returned.Wait(TimeSpan.FromSeconds(20)));
        waiter.Join();
    }

    [Fact]
    public void A_wake_before_the_wait_ends_the_next_one_and_only_that()
    {
        using IUdpSocket a = Open(V4);
        using var batch = new UdpTestEnd(a);
        a.Wake();
        a.Wake();
        a.Receive(batch.Batch);                  // a look at the socket does not use the wake up
        a.Wait(Timeout.InfiniteTimeSpan);        // would hang if it were lost

        // A wait may end early for no reason (a signal), but not each time.
        bool waited = false;
        for (int i = 0; i < 5 && !waited; i++)
        {
            long before = Environment.TickCount64;
            a.Wait(TimeSpan.FromMilliseconds(60));
            waited = Environment.TickCount64 - before >= 40;
        }

        Assert.True(waited, "the waits after it ended early although nobody woke them");
    }

    [Fact]
    public void No_wake_is_lost_between_two_threads()
    {
        using IUdpSocket a = Open(V4);
        const int Rounds = 500;
        int given = 0, taken = 0;
        var waiter = new Thread(() =>
        {
            while (taken < Rounds)
            {
                if (Volatile.Read(ref given) > taken) Volatile.Write(ref taken, taken + 1);
                else a.Wait(TimeSpan.FromSeconds(90)); // a lost wake shows as the pusher's patience running out
            }
        });
        waiter.Start();
        long start = Environment.TickCount64;
        for (int i = 0; i < Rounds; i++)
        {
            Volatile.Write(ref given, i + 1);
            a.Wake();
            while (Volatile.Read(ref taken) <= i && Environment.TickCount64 - start < 60_000) Thread.Yield();
        }

        Assert.Equal(Rounds, Volatile.Read(ref taken));
        waiter.Join();
    }

    [Fact]
    public void An_arriving_datagram_ends_the_wait()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        var waiter = new Thread(() => b.Wait(TimeSpan.FromSeconds(60)));
        waiter.Start();
        end.Add(Full, 0);
        end.Send();
        Assert.True(waiter.Join(TimeSpan.FromSeconds(20)));
        far.CollectEqual(end.Sent);
    }

    [Fact]
    public void An_empty_socket_gives_nothing_at_once()
    {
        using IUdpSocket a = Open(V4);
        using var end = new UdpTestEnd(a);
        Assert.Equal(0, a.Receive(end.Batch));
        Assert.Equal(0, end.Batch.Count);
    }

    [Fact]
    public void A_second_sender_sends_from_the_sockets_address()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        end.Add(Full, 0);
        using (IUdpSender second = a.OpenSender()) Assert.Equal(1, second.Send(end.Out, end.Drops));
        Assert.Equal(a.LocalAddress, far.Collect(1)[0].From);
    }

    [Fact]
    public void A_taken_address_is_refused_with_words()
    {
        using IUdpSocket a = Open(V4);
        IOException e = Assert.ThrowsAny<IOException>(() => Open(a.LocalAddress).Dispose());
        Assert.Contains("cannot be bound", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_batch_allocates_nothing_or_the_little_that_it_declares()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        for (int i = 0; i < 90; i++) end.Add(Full, 0);
        const int Times = 1000;
        long bytes = AllocationAssert.Measure(() =>
        {
            a.Send(end.Out, end.Drops);
            b.Wait(TimeSpan.FromSeconds(5));
            b.Receive(far.Batch);
            a.Wake();
            a.Wait(TimeSpan.Zero);
        }, Times);
        Assert.InRange(bytes, 0, BatchBudget * Times);
    }

    [Fact]
    public void What_a_full_receive_buffer_drops_is_counted()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        for (int i = 0; i < 90; i++) end.Add(Full, 0);
        long sent = 0;
        // 128 MiB: more than any buffer that a test may have.
        while (sent < 128 << 20 && end.Drops.Total == 0)
        {
            sent += a.Send(end.Out, end.Drops) * (long)Full;
        }

        // The count comes with the datagrams that were queued after a drop.
        long received = 0, counted = 0;
        while (b.Receive(far.Batch) > 0)
        {
            counted += far.Batch.KernelDrops;
            for (int i = 0; i < far.Batch.Count; i++) received += far.Batch.Items[i].Length / Full;
        }

        a.Send(end.Out, end.Drops);
        sent += 90 * Full;
        b.Wait(TimeSpan.FromSeconds(5));
        while (b.Receive(far.Batch) > 0)
        {
            counted += far.Batch.KernelDrops;
            for (int i = 0; i < far.Batch.Count; i++) received += far.Batch.Items[i].Length / Full;
        }

        Assert.Equal(SeesKernelDrops, counted > 0);
        Assert.True(received < sent / Full, "nothing was dropped");
    }
}

public sealed class MemoryUdpSocketTests : UdpSocketContract
{
    private readonly MemoryUdpNetwork _network = new();

    private protected override IUdpSocket Open(UdpAddress address) => _network.Open(address);

    [Fact]
    public void Two_shards_steer_by_index() => UdpSteering.Check(n => _network.Open(V4, n));
}

public sealed class CoalescingMemoryUdpSocketTests : UdpSocketContract
{
    private readonly MemoryUdpNetwork _network = new();

    private protected override IUdpSocket Open(UdpAddress address) => _network.Open(address, coalescing: true);
}

public sealed class ManagedUdpSocketTests : UdpSocketContract
{
    // The wake-up and the waiting cost something here; a packet does not.
    private protected override long BatchBudget => 1024;

    private protected override bool SeesKernelDrops => false;

    private protected override IUdpSocket Open(UdpAddress address) => new ManagedUdpSocket(address);
}

public sealed class BatchedUdpSocketTests : UdpSocketContract
{
    private protected override IUdpSocket Open(UdpAddress address)
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        return UdpSocketFactory.Open(address);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Forty_five_full_datagrams_are_one_send_and_one_receive(bool v6)
    {
        using var a = (BatchedUdpSocket)Open(v6 ? V6 : V4);
        using var b = (BatchedUdpSocket)Open(v6 ? V6 : V4);
        Assert.SkipUnless(a.Segmentation && b.Coalescing, "the kernel lacks UDP_SEGMENT or UDP_GRO");
        using var end = new UdpTestEnd(a);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        for (int i = 0; i < TransmitBatch.SegmentsPerSend(Full); i++) end.Add(Full, 0);
        Assert.Equal(45, end.Sent.Count);
        Assert.Equal(45, end.Send());
        b.Wait(TimeSpan.FromSeconds(5));
        Assert.Equal(1, b.Receive(far.Batch));
        Assert.Equal(45 * Full, far.Batch.Items[0].Length);
        Assert.Equal(Full, far.Batch.Items[0].SegmentBytes);
    }

    [Fact]
    public void Two_shards_steer_by_index()
        => UdpSteering.Check(n =>
        {
            Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
            return UdpSocketFactory.Open(V4, n);
        });

    [Fact]
    public void A_group_refuses_an_address_that_another_group_has()
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        IUdpSocket[] first = UdpSocketFactory.Open(V4, 2);
        try
        {
            Assert.ThrowsAny<IOException>(() => UdpSocketFactory.Open(first[0].LocalAddress, 2));
        }
        finally
        {
            foreach (IUdpSocket s in first) s.Dispose();
        }
    }

    [Fact]
    public void Too_large_for_the_path_is_refused_and_never_fragmented()
    {
        using IUdpSocket a = Open(V4), b = Open(V4);
        using var end = new UdpTestEnd(a, slotBytes: 70_000);
        using var far = new UdpTestEnd(b);
        end.Route(0, b.LocalAddress);
        end.Add(65_508, 0); // one byte more than IPv4 can carry
        end.Add(Full, 0);
        Assert.Equal(1, end.Send());
        Assert.Equal(1, end.Drops[DropReason.SendFailed]);
        far.CollectEqual([end.Sent[1]]);
    }

    [Fact]
    public void A_dual_stack_socket_speaks_both_families()
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        using IUdpSocket both = UdpSocketFactory.Open(UdpAddress.FromBytes(new byte[16], 0), new UdpSocketOptions { DualStack = true });
        using IUdpSocket four = Open(V4), six = Open(V6);
        using var end = new UdpTestEnd(both);
        using var farFour = new UdpTestEnd(four);
        using var farSix = new UdpTestEnd(six);
        end.Route(0, four.LocalAddress);
        end.Route(1, six.LocalAddress);
        end.Add(Full, 0);
        end.Add(Full, 1);
        Assert.Equal(2, end.Send());
        farFour.CollectEqual([end.Sent[0]]);
        farSix.CollectEqual([end.Sent[1]]);

        farFour.Route(0, UdpAddress.FromBytes([127, 0, 0, 1], both.LocalAddress.Port));
        farFour.Add(33, 0);
        Assert.Equal(1, farFour.Send());
        Assert.Equal(four.LocalAddress, end.Collect(1)[0].From); // as IPv4, not mapped
    }

    [Fact]
    public void A_closed_socket_is_lost_and_says_so()
    {
        IUdpSocket a = Open(V4);
        using var end = new UdpTestEnd(a);
        a.Dispose();
        Assert.ThrowsAny<Exception>(() => a.Receive(end.Batch));
        a.Wake();
    }

    [Fact]
    public void A_datagram_outside_the_slab_is_our_own_mistake()
    {
        using IUdpSocket a = Open(V4);
        using var end = new UdpTestEnd(a);
        end.Route(0, V4);
        Assert.True(end.Out.TryAdd(end.Out.Slab.Length - 10, 11, 0));
        Assert.Throws<ArgumentException>(() => end.Send());
    }
}

/// <summary>The same socket without the kernel's help: what an old kernel or a poor device leaves.</summary>
public sealed class PlainBatchedUdpSocketTests : UdpSocketContract
{
    private protected override IUdpSocket Open(UdpAddress address)
    {
        Assert.SkipWhen(NativeSelfTest.Failure is not null, NativeSelfTest.Failure ?? "");
        return UdpSocketFactory.Open(address, new UdpSocketOptions { Offload = false });
    }
}

internal static class UdpSteering
{
    public static void Check(Func<int, IUdpSocket[]> open)
    {
        IUdpSocket[] shards = open(2);
        IUdpSocket sender = open(1)[0];
        try
        {
            using var end = new UdpTestEnd(sender);
            using var zero = new UdpTestEnd(shards[0]);
            using var one = new UdpTestEnd(shards[1]);
            end.Route(0, shards[0].LocalAddress);
            Assert.Equal(shards[0].LocalAddress, shards[1].LocalAddress);
            (byte Kind, uint Index, int Shard)[] cases =
            [
                (0x80, 6, 0), (0x80, 7, 1), (0xBF, 0xFFFF_FFFF, 1), (0xBF, 0xFFFF_FFFE, 0), (0x9A, 1, 1),
                (0x40, 1, 0), (0xC0, 3, 0), (0xFF, 5, 0), (0x00, 7, 0),
            ];
            foreach ((byte kind, uint index, _) in cases)
            {
                Span<byte> bytes = end.Add(200 + end.Sent.Count, 0); // no two alike: each is steered on its own
                bytes[0] = kind;
                BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], index);
                end.Resent();
            }

            Span<byte> runt = end.Add(5, 0); // shorter than an index: shard 0
            runt[0] = 0x80;
            end.Resent();
            Assert.Equal(cases.Length + 1, end.Send());
            zero.CollectEqual([.. end.Sent.Where((_, i) => i == cases.Length || cases[i].Shard == 0)]);
            one.CollectEqual([.. end.Sent.Where((_, i) => i < cases.Length && cases[i].Shard == 1)]);
        }
        finally
        {
            sender.Dispose();
            foreach (IUdpSocket s in shards) s.Dispose();
        }
    }
}
