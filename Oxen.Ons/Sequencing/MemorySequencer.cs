using Oxen.Ons.Ledger;

namespace Oxen.Ons.Sequencing;

/// <summary>Keeps blocks for as long as the process lives: for tests, demonstrations and simulations.</summary>
internal sealed class MemorySequencer : IBlockSequencer
{
    private readonly Lock _gate = new();
    private readonly List<byte[]> _blocks = [];
    private readonly Dictionary<ulong, byte[]> _signatures = [];
    private readonly Dictionary<(ulong Height, Bytes32 About, Bytes32 Member), StoredVote> _votes = [];

    public string Name => "memory";

    public string Remedy => "";

    public bool IsShared => true;

    public Task<bool> AppendAsync(ulong height, ReadOnlyMemory<byte> block, CancellationToken cancel)
    {
        lock (_gate)
        {
            if (height != (ulong)_blocks.Count) return Task.FromResult(false);
            _blocks.Add(block.ToArray());
            return Task.FromResult(true);
        }
    }

    public Task<IReadOnlyList<byte[]>> ReadAsync(ulong from, int count, CancellationToken cancel)
    {
        lock (_gate) return Task.FromResult<IReadOnlyList<byte[]>>(from >= (ulong)_blocks.Count ? [] : [.. _blocks.Skip((int)from).Take(count)]);
    }

    public Task TruncateAsync(ulong from, CancellationToken cancel)
    {
        lock (_gate)
        {
            if (from < (ulong)_blocks.Count) _blocks.RemoveRange((int)from, _blocks.Count - (int)from);
            foreach (ulong height in _signatures.Keys.Where(h => h >= from).ToArray()) _signatures.Remove(height);
        }

        return Task.CompletedTask;
    }

    public Task PutSignaturesAsync(ulong height, ReadOnlyMemory<byte> signatures, CancellationToken cancel)
    {
        lock (_gate) _signatures[height] = signatures.ToArray();
        return Task.CompletedTask;
    }

    public Task<byte[]?> GetSignaturesAsync(ulong height, CancellationToken cancel)
    {
        lock (_gate) return Task.FromResult(_signatures.GetValueOrDefault(height));
    }

    public Task<IReadOnlyList<StoredVote>> ShareVoteAsync(StoredVote vote, ulong forget, CancellationToken cancel)
    {
        lock (_gate)
        {
            foreach ((ulong Height, Bytes32, Bytes32) old in _votes.Keys.Where(k => k.Height < forget).ToArray()) _votes.Remove(old);
            _votes[(vote.Height, vote.About, vote.Member)] = vote;
            return Task.FromResult<IReadOnlyList<StoredVote>>([.. _votes.Values.Where(v => v.Height == vote.Height && v.About == vote.About).Take(StoredVote.Most)]);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
