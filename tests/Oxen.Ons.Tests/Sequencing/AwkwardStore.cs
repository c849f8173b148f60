using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>A store that fails when it is told to, or keeps who appends waiting.</summary>
/// <param name="durable">What fails is done all the same, and only the answer is lost.</param>
internal sealed class AwkwardStore(IBlockSequencer inner, bool durable = false) : IBlockSequencer
{
    /// <summary>So many appends fail from now on.</summary>
    public int Failures { get; set; }

    /// <summary>Appends wait for this.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Somebody waits at the gate.</summary>
    public TaskCompletionSource Held { get; } = new();

    public string Name => inner.Name;

    public string Remedy => "Put it out.";

    public bool IsShared => inner.IsShared;

    public async Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
    {
        if (!Gate.IsCompleted) Held.TrySetResult();
        await Gate.WaitAsync(cancel);
        if (Failures == 0) return await inner.AppendAsync(height, block, cancel);
        Failures--;
        if (durable) await inner.AppendAsync(height, block, cancel);
        throw new IOException("the disk is on fire");
    }

    public Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel) => inner.ReadAsync(from, count, cancel);

    public Task TruncateAsync(ulong from, CancellationToken cancel) => inner.TruncateAsync(from, cancel);

    public Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel) => inner.PutSignaturesAsync(height, signatures, cancel);

    public Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel) => inner.GetSignaturesAsync(height, cancel);

    public Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel) => inner.ShareVoteAsync(vote, forget, cancel);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
