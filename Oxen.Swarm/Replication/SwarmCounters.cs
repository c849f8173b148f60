namespace Oxen.Swarm.Replication;

/// <summary>What a node did since its start. Any thread.</summary>
internal sealed class SwarmCounters
{
    private long _stores, _retrieves, _refused, _onions, _proxied, _retries, _writeBacks, _hinted, _repaired, _pushed, _handedOver;

    public long Stores => Interlocked.Read(ref _stores);

    public long Retrieves => Interlocked.Read(ref _retrieves);

    /// <summary>Writes that found no quorum.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    public long Onions => Interlocked.Read(ref _onions);

    public long Proxied => Interlocked.Read(ref _proxied);

    /// <summary>Writes that were tried again with a later stamp.</summary>
    public long Retries => Interlocked.Read(ref _retries);

    /// <summary>Writes whose quorum had to be told what only some of it knew.</summary>
    public long WriteBacks => Interlocked.Read(ref _writeBacks);

    /// <summary>Records noted for nodes that did not answer.</summary>
    public long Hinted => Interlocked.Read(ref _hinted);

    /// <summary>Records that came by comparison with a peer.</summary>
    public long Repaired => Interlocked.Read(ref _repaired);

    /// <summary>Records that peers got from us by comparison or as hints.</summary>
    public long Pushed => Interlocked.Read(ref _pushed);

    /// <summary>Records that went to another swarm.</summary>
    public long HandedOver => Interlocked.Read(ref _handedOver);

    public void CountStore() => Interlocked.Increment(ref _stores);

    public void CountRetrieve() => Interlocked.Increment(ref _retrieves);

    public void CountRefused() => Interlocked.Increment(ref _refused);

    public void CountOnion() => Interlocked.Increment(ref _onions);

    public void CountProxied() => Interlocked.Increment(ref _proxied);

    public void CountRetry() => Interlocked.Increment(ref _retries);

    public void CountWriteBack() => Interlocked.Increment(ref _writeBacks);

    public void CountHinted(long records) => Interlocked.Add(ref _hinted, records);

    public void CountRepaired(long records) => Interlocked.Add(ref _repaired, records);

    public void CountPushed(long records) => Interlocked.Add(ref _pushed, records);

    public void CountHandedOver(long records) => Interlocked.Add(ref _handedOver, records);
}
