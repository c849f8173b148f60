namespace Oxen.Router.Core.Quic;

// Memory that strangers can make us keep, by asking for much and reading nothing (the Sniper attack: Jansen, Tschorsch, Johnson, Scheuermann,
// NDSS 2014). Each connection may have a quarter of what is free, so none has much when many have some (dynamic thresholds: Choudhury, Hahne,
// IEEE/ACM Transactions on Networking 6(2), 1998); and when three quarters are used, those that kept theirs longest lose it.
internal sealed partial class QuicEndpoint
{
    private const int ClosedAtOnce = 16;
    private static readonly TimeSpan RelieveEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Stalled = TimeSpan.FromSeconds(10);

    private Instant _relieveAt = Instant.Zero;

    /// <summary>Bytes that all connections keep.</summary>
    public long Kept { get; private set; }

    /// <summary>The time of the last call.</summary>
    internal Instant Now { get; private set; }

    /// <summary>What one connection may keep to send, beside the little that every stream may.</summary>
    internal long Share => _options.MaxKeptBytes == 0 ? long.MaxValue : Math.Max(0, (_options.MaxKeptBytes - Kept) / 4);

    internal void Keep(long bytes) => Kept += bytes;

    private void Relieve(Instant now)
    {
        long most = _options.MaxKeptBytes;
        if (most == 0 || Kept <= most / 4 * 3 || (now < _relieveAt && Kept <= most)) return;
        _relieveAt = now + RelieveEvery;
        for (int closed = 0; closed < ClosedAtOnce && Kept > most / 2; closed++)
        {
            QuicConnection? oldest = null;
            foreach (QuicConnection connection in _connections.Values)
                if (connection.Kept > 0 && !connection.IsClosed && (oldest is null || connection.KeptSince < oldest.KeptSince)) oldest = connection;

            // Above the limit somebody has to go, even if nobody has stood still for long.
            if (oldest is null || (now - oldest.KeptSince < Stalled && Kept <= most)) return;
            Counters.ClosedStalled++;
            oldest.Close(QuicError.NoError, "its buffers are needed by others", now);
        }
    }
}
