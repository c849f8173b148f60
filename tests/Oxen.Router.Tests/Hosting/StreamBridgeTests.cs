using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Connections;
using Oxen.Router.Hosting;
using Oxen.Testing;

namespace Oxen.Router.Tests.Hosting;

public sealed class StreamBridgeTests
{
    private static async Task<byte[]> ReadAllAsync(PipeReader input)
    {
        var all = new MemoryStream();
        await input.CopyToAsync(all);
        return all.ToArray();
    }

    private static Task Write(StreamBridge bridge) => Task.Run(async () => await bridge.Transport.Output.WriteAsync(new byte[1]));

    private static byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(0.02)]
    public void Eight_mebibytes_are_echoed_while_they_stream(double loss)
    {
        using var net = new BridgeFixture(new SimLink { Delay = TimeSpan.FromMilliseconds(2), Loss = loss });
        byte[] sent = Random(8 << 20);
        StreamBridge near = net.Open();
        Task<byte[]> received = Task.Run(() => ReadAllAsync(near.Transport.Input));
        Task writing = Task.Run(async () =>
        {
            for (int at = 0; at < sent.Length; at += 8192) await near.Transport.Output.WriteAsync(sent.AsMemory(at, 8192));
            await near.Transport.Output.CompleteAsync();
        });
        net.Run(() => net.Far.Opened.Count > 0);
        StreamBridge far = net.Far.Opened.Dequeue();
        Task echo = Task.Run(async () =>
        {
            await far.Transport.Input.CopyToAsync(far.Transport.Output);
            await far.Transport.Output.CompleteAsync();
        });
        net.Run(Task.WhenAll(received, writing, echo));
        Assert.Equal(SHA256.HashData(sent), SHA256.HashData(net.Run(received)));
        net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
    }

    [Fact]
    public void All_streams_that_an_exit_grants_hold_a_bounded_sum_when_nobody_reads()
    {
        long sum = 0;
        for (int others = 0; others < new Oxen.Router.Exit.ExitLimits().StreamsInAll; others++) sum += 2L * StreamBridge.PipeBytes(others);
        Assert.True(sum <= 1L << 30, $"{sum >> 20} MiB");

        Assert.True(Takes(others: 0));
        Assert.False(Takes(others: 5000));

        static bool Takes(int others)
        {
            PipeWriter output = new StreamBridge(null!, null!, 0, others).Transport.Output;
            output.Write(new byte[20 * 1024]);
            return output.FlushAsync().AsTask().IsCompleted;
        }
    }

    [Fact]
    public void Either_side_may_end_its_half_first_and_go_on_reading()
    {
        using var net = new BridgeFixture();
        foreach (bool nearFirst in new[] { true, false })
        {
            (StreamBridge near, StreamBridge far) = net.OpenBoth();
            (StreamBridge first, StreamBridge second) = nearFirst ? (near, far) : (far, near);
            byte[] question = Random(300_000), answer = Random(200_001);
            net.Run(Task.Run(async () =>
            {
                await first.Transport.Output.WriteAsync(question);
                await first.Transport.Output.CompleteAsync();
            }));
            Task<byte[]> heard = Task.Run(() => ReadAllAsync(second.Transport.Input));
            net.Run(heard);
            Assert.Equal(question, net.Run(heard));

            Task<byte[]> answered = Task.Run(() => ReadAllAsync(first.Transport.Input));
            net.Run(Task.Run(async () =>
            {
                await second.Transport.Output.WriteAsync(answer);
                await second.Transport.Output.CompleteAsync();
            }));
            net.Run(answered);
            Assert.Equal(answer, net.Run(answered));
            net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_abort_ends_both_sides_with_an_error_and_leaves_no_bridge(bool byNear)
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        (StreamBridge one, StreamBridge other) = byNear ? (near, far) : (far, near);
        Task<byte[]> own = Task.Run(() => ReadAllAsync(one.Transport.Input));
        Task<byte[]> others = Task.Run(() => ReadAllAsync(other.Transport.Input));
        Parallel.For(0, 8, _ => one.Abort(new IOException("enough")));
        net.Run(() => own.IsCompleted && others.IsCompleted);
        Assert.Equal("enough", Assert.IsType<IOException>(own.Exception!.InnerException).Message);
        Assert.IsType<ConnectionResetException>(others.Exception!.InnerException);
        net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
    }

    [Fact]
    public void What_is_reset_behind_its_first_bytes_never_looks_like_a_stream_that_ended()
    {
        using var net = new BridgeFixture();
        for (int i = 0; i < 50; i++)
        {
            StreamBridge near = net.Open();
            net.Run(near.Transport.Output.WriteAsync(new byte[1 + i * 40]).AsTask());
            if (i % 3 == 0) net.Turn();
            near.Transport.Output.Complete(new InvalidOperationException("broke"));
            near.Transport.Input.Complete();
            net.Run(() => net.Far.Opened.Count > 0);
            StreamBridge far = net.Far.Opened.Dequeue();
            Task<byte[]> reading = Task.Run(() => ReadAllAsync(far.Transport.Input));
            net.Run(() => reading.IsCompleted);
            Assert.IsType<ConnectionResetException>(reading.Exception?.InnerException);
            far.Abort();
            net.Run(far.DisposeAsync().AsTask());
            net.Run(near.DisposeAsync().AsTask());
            net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
        }
    }

    [Fact]
    public void A_reader_that_stops_stops_the_writer_and_nothing_is_lost()
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        byte[] bytes = Random(8 << 20);
        int written = 0;
        Task writing = Task.Run(async () =>
        {
            for (; written < bytes.Length; written += 16384) await near.Transport.Output.WriteAsync(bytes.AsMemory(written, 16384));
            await near.Transport.Output.CompleteAsync();
        });

        // First what certainly fits (a window and a pipe), however late the writer's thread gets its turns; then until it stands.
        net.Run(() => Volatile.Read(ref written) >= 1 << 20);
        int before = -1;
        net.Run(() =>
        {
            for (int i = 0; i < 40; i++)
            {
                net.Turn();
                Thread.Yield();
            }

            bool still = Volatile.Read(ref written) == before;
            before = Volatile.Read(ref written);
            return still;
        });

        // Two pipes of 512 KiB, the send buffer and the stream's window of 1 MiB each, and one chunk here and there.
        Assert.InRange(written, 1 << 20, (3 << 20) + (256 << 10));
        Assert.False(writing.IsCompleted);
        Task<byte[]> reading = Task.Run(() => ReadAllAsync(far.Transport.Input));
        net.Run(Task.WhenAll(writing, reading));
        Assert.Equal(bytes, net.Run(reading));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_reader_that_goes_away_ends_the_far_writer_and_the_other_direction_goes_on(bool withError)
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        near.Transport.Input.Complete(withError ? new IOException("cannot") : null);
        Task<bool> writing = Task.Run(async () =>
        {
            try
            {
                while (!(await far.Transport.Output.WriteAsync(new byte[4096])).IsCompleted)
                {
                }

                return false;
            }
            catch (IOException)
            {
                return true;
            }
        });
        net.Run(writing);
        Assert.Equal(withError, net.Run(writing));
        Task<byte[]> reading = Task.Run(() => ReadAllAsync(far.Transport.Input));
        net.Run(Task.Run(async () =>
        {
            await near.Transport.Output.WriteAsync(new byte[] { 1, 2, 3 });
            await near.Transport.Output.CompleteAsync();
        }));
        net.Run(reading);
        Assert.Equal<byte>([1, 2, 3], net.Run(reading));
        net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
    }

    [Fact]
    public void A_lost_connection_is_an_error_for_readers_and_writers_on_both_sides()
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        Task<byte[]> there = Task.Run(() => ReadAllAsync(far.Transport.Input)), here = Task.Run(() => ReadAllAsync(near.Transport.Input));
        net.Connection.Close(0, "", net.Pair.Network.Now);
        net.Run(() => there.IsCompleted && here.IsCompleted);
        Assert.IsType<ConnectionResetException>(there.Exception!.InnerException);
        Assert.IsType<ConnectionResetException>(here.Exception!.InnerException);
        Assert.Throws<ConnectionResetException>(() => net.Run(Write(near)));
        Assert.Throws<ConnectionResetException>(() => net.Run(Write(far)));
        Assert.Equal(0, net.Near.Bridges + net.Far.Bridges);
    }

    [Fact]
    public void A_connection_lost_while_the_reader_lags_is_no_clean_end()
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        Task writing = Task.Run(async () =>
        {
            while (!(await far.Transport.Output.WriteAsync(new byte[65536])).IsCompleted)
            {
            }
        });
        for (int i = 0; i < 300; i++) net.Turn();

        // The reader frees the pipe: the bridge's wake-up stands in the queue, and is run after the close and before its event.
        var work = new CloseBeside(net);
        net.Near.Post(work);
        Task<byte[]> reading = Task.Run(() => ReadAllAsync(near.Transport.Input));
        net.Run(() => reading.IsCompleted && writing.IsCompleted);
        Assert.IsType<ConnectionResetException>(reading.Exception?.InnerException);
    }

    private sealed class CloseBeside(BridgeFixture net) : ILoopWork
    {
        public void Run(Oxen.Router.Core.Instant now)
        {
            Thread.Sleep(20);
            net.Connection.Close(0, "", now);
        }
    }

    [Fact]
    public void Disposing_an_unfinished_stream_sends_what_was_written_and_leaves_no_bridge_behind()
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        byte[] last = Random(100_000);
        net.Run(near.Transport.Output.WriteAsync(last).AsTask());
        net.Run(near.DisposeAsync().AsTask());
        net.Run(near.DisposeAsync().AsTask());
        Task<byte[]> reading = Task.Run(() => ReadAllAsync(far.Transport.Input));
        net.Run(reading);
        Assert.Equal(last, net.Run(reading));

        // The far side never says a word, yet both halves are over: ours refused the other one.
        net.Run(() => net.Near.Bridges + net.Far.Bridges == 0);
    }

    [Fact]
    public void The_applications_code_never_runs_on_the_session_thread()
    {
        using var net = new BridgeFixture();
        (StreamBridge near, StreamBridge far) = net.OpenBoth();
        int session = Environment.CurrentManagedThreadId;
        bool intruded = false;
        Task writing = Task.Run(async () =>
        {
            for (int i = 0; i < 400; i++)
            {
                await near.Transport.Output.WriteAsync(new byte[32768]).ConfigureAwait(false);
                intruded |= Environment.CurrentManagedThreadId == session;
            }

            await near.Transport.Output.CompleteAsync().ConfigureAwait(false);
        });
        Task reading = Task.Run(async () =>
        {
            while (true)
            {
                ReadResult read = await far.Transport.Input.ReadAsync().ConfigureAwait(false);
                intruded |= Environment.CurrentManagedThreadId == session;
                far.Transport.Input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return;
            }
        });
        net.Run(Task.WhenAll(writing, reading));
        Assert.False(intruded);
    }
}
