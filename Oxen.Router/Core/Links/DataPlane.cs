using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;

namespace Oxen.Router.Core.Links;

/// <summary>
/// The shards as the control thread sees them: gives out receiver indexes, path handles and path numbers, and posts commands.
/// Whatever was posted is done before the next batch of packets, in order.
/// </summary>
internal sealed class DataPlane
{
    private readonly ShardCore[] _shards;
    private readonly ReceiverIndexAllocator[] _indexes;
    private readonly HandleAllocator[] _handles;
    private readonly PathNumberAllocator[] _numbers;
    private readonly bool[] _posted;
    private readonly int _slots;
    private readonly int _receivers;
    private int _nextShard;

    public DataPlane(ShardCore[] shards, ShardOptions options, IEntropy entropy)
    {
        _shards = shards;
        _slots = options.MaxSlots;
        _receivers = options.MaxReceivers;
        _indexes = [.. shards.Select((_, i) => new ReceiverIndexAllocator(i, shards.Length, options.MaxReceivers, entropy))];
        _handles = [.. shards.Select((_, i) => new HandleAllocator(i, shards.Length, options.MaxSlots, entropy))];
        _numbers = [.. shards.Select(_ => new PathNumberAllocator(options.MaxPaths))];
        _posted = new bool[shards.Length];
    }

    public int Shards => _shards.Length;

    /// <summary>Sees each command before its shard does: for simulations that watch what is installed.</summary>
    public Action<int, ShardCommand>? Watch { get; set; }

    /// <summary>Handles and receiver indexes that are given out.</summary>
    public (int Handles, int Indexes) InUse => (_handles.Sum(h => _slots - h.FreeCount), _indexes.Sum(i => _receivers - i.FreeCount));

    /// <summary>Receiver indexes of each shard.</summary>
    public int ReceiversPerShard => _receivers;

    /// <summary>Paths that cross or end here.</summary>
    public int PathCount => _numbers.Sum(n => n.InUse);

    /// <summary>True once after something was posted to this shard: its driver is to be woken.</summary>
    public bool TakePosted(int shard)
    {
        bool posted = _posted[shard];
        _posted[shard] = false;
        return posted;
    }

    // ---- links ----

    public bool TryAddReceiver(int link, int shard, int senderShard, in UdpAddress peer, byte suite, ReadOnlySpan<byte> sendingSecret, out uint index, int keepFree = 0)
    {
        index = 0;
        if (_indexes[shard].FreeCount <= keepFree) return false;

        // Index 0 is left out: the control messages use it for "none".
        while (true)
        {
            if (!_indexes[shard].TryTake(out index)) return false;
            if (index != 0) break;
        }

        byte[] secret = new byte[LinkKeys.SecretBytes];
        LinkKeys.ReceiverSecret(sendingSecret, index, secret);
        Post(shard, new AddLinkReceiver(index, link, (byte)senderShard, peer, (LinkSuite)suite, secret));
        return true;
    }

    public void RemoveReceiver(uint index)
    {
        int shard = (int)(index % (uint)Shards);
        Post(shard, new RemoveLinkReceiver(index));
        _indexes[shard].Release(index);
    }

    public void AddSender(int link, int shard, int peerShard, uint peerIndex, in UdpAddress peer, byte suite, ReadOnlySpan<byte> sendingSecret)
    {
        byte[] secret = new byte[LinkKeys.SecretBytes];
        LinkKeys.ReceiverSecret(sendingSecret, peerIndex, secret);
        Post(shard, new AddLinkSender(link, (byte)peerShard, peerIndex, peer, (LinkSuite)suite, secret));
    }

    public void RemoveLink(int link)
    {
        for (int shard = 0; shard < Shards; shard++) Post(shard, new RemoveLink(link));
    }

    // ---- paths ----

    /// <summary>The shard for the next path: each in turn.</summary>
    public int ChooseShard() => _nextShard = (_nextShard + 1) % Shards;

    public bool TryTakeHandle(int shard, out PathHandle handle) => _handles[shard].TryTake(out handle);

    public void ReleaseHandle(PathHandle handle)
    {
        if (!handle.IsNone) _handles[handle.ShardOf(Shards)].Release(handle);
    }

    public bool TryTakePath(int shard, out PathRef path)
    {
        bool taken = _numbers[shard].TryTake(out PathNumber number);
        path = new PathRef(shard, number);
        return taken;
    }

    /// <summary>Gives back a number that no shard has heard of yet, or one that its shard has retired.</summary>
    public void ReleasePath(PathRef path) => _numbers[path.Shard].Release(path.Number);

    public void AddTransit(PathRef path, SizeClass sizeClass, PathIngress up, PathEgress onward, PathIngress down, PathEgress back, HopChains keys, Instant expires) =>
        Post(path.Shard, new AddTransitPath(path.Number, sizeClass, up, onward, down, back, keys, expires));

    public void AddTerminal(PathRef path, SizeClass sizeClass, PathIngress up, PathEgress back, HopChains keys, Instant expires) =>
        Post(path.Shard, new AddTerminalPath(path.Number, sizeClass, up, back, keys, expires));

    public void AddClient(PathRef path, SizeClass sizeClass, PathEgress first, PathIngress down, HopChains[] hops, Instant expires) =>
        Post(path.Shard, new AddClientPath(path.Number, sizeClass, first, down, hops, expires));

    public void RemovePath(PathRef path)
    {
        Post(path.Shard, new RemovePath(path.Number));
        _numbers[path.Shard].Release(path.Number);
    }

    /// <summary>Ends a path behind what was written for it; the number is the caller's until <see cref="ShardEventKind.PathRetired"/>.</summary>
    public void RetirePath(PathRef path) => Post(path.Shard, new RetirePath(path.Number));

    private void Post(int shard, ShardCommand command)
    {
        Watch?.Invoke(shard, command);
        _shards[shard].Post(command);
        _posted[shard] = true;
    }
}
