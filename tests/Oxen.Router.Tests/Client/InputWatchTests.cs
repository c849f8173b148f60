using System.IO.Pipelines;
using System.Text;
using Oxen.Router.Client;

namespace Oxen.Router.Tests.Client;

/// <summary>A connection that is watched while something else is waited for is as it was afterwards.</summary>
public sealed class InputWatchTests
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    [Fact]
    public async Task First_bytes_that_come_while_the_watch_ends_are_read_and_are_no_abort()
    {
        var stream = new Told();
        PipeReader input = PipeReader.Create(stream);
        using var watch = new InputWatch(input);
        Task<bool> stopping = watch.StopAsync();
        stream.Say("hello"); // the read was on its way when it was cancelled, and succeeds
        Assert.False(await stopping);
        ReadResult read = await input.ReadAsync(Cancel);
        Assert.False(read.IsCanceled);
        Assert.Equal("hello", Encoding.ASCII.GetString(read.Buffer.FirstSpan));
    }

    [Fact]
    public async Task What_came_before_stays_and_so_does_the_end()
    {
        PipeReader input = PipeReader.Create(new MemoryStream("hello"u8.ToArray()));
        using (var watch = new InputWatch(input))
        {
            Assert.False(await watch.Breaks);
            Assert.False(await watch.StopAsync());
        }

        ReadResult read = await input.ReadAsync(Cancel);
        Assert.Equal("hello", Encoding.ASCII.GetString(read.Buffer.FirstSpan));
        input.AdvanceTo(read.Buffer.End);
        using (var watch = new InputWatch(input)) Assert.False(await watch.StopAsync());
        Assert.True((await input.ReadAsync(Cancel)).IsCompleted);
    }

    [Fact]
    public async Task A_connection_that_breaks_is_told()
    {
        var stream = new Told();
        using var watch = new InputWatch(PipeReader.Create(stream));
        stream.Break();
        Assert.True(await watch.Breaks);
        Assert.True(await watch.StopAsync());
    }

    /// <summary>A stream whose reads end when the test says so; a read that has begun is not cancelled, as one that the system has done already.</summary>
    private sealed class Told : MemoryStream
    {
        private readonly SemaphoreSlim _said = new(0);
        private readonly Queue<string?> _words = new();

        public void Say(string? word)
        {
            _words.Enqueue(word);
            _said.Release();
        }

        public void Break() => Say(null);

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            await _said.WaitAsync(CancellationToken.None);
            return Encoding.ASCII.GetBytes(_words.Dequeue() ?? throw new IOException("reset"), buffer.Span);
        }
    }
}
