namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    private Instant _idleFrom;
    private bool _elicitingSinceReceive;
    private Instant _lastElicitingSent = new(long.MinValue / 2);
    private Instant _pacedUntil = Instant.Never;

    /// <summary>When <see cref="HandleTimeout"/> wants to be called.</summary>
    internal Instant Deadline { get; private set; } = Instant.Never;

    internal bool IsGone(Instant now) => _phase == Phase.Gone || (_phase != Phase.Open && now >= _goneAt);

    internal void HandleTimeout(Instant now)
    {
        if (_phase != Phase.Open)
        {
            UpdateDeadline(now);
            return;
        }

        if (now >= IdleDeadline) EndSilently(QuicCloseReason.IdleTimeout, 0, now);
        else if (!_complete && now >= _created + _options.HandshakeTimeout) EndSilently(QuicCloseReason.HandshakeTimeout, 0, now);
        if (_phase != Phase.Open) return;

        if (now >= _previousUntil) DropPreviousKeys();
        if (now >= KeepAliveDeadline) _spaces[PacketSpace.Application].PingDue = true;
        HandleRecoveryTimeout(now);
        UpdateDeadline(now);
        Touched();
    }

    /// <summary>RFC 9000 section 10.1: the smaller of both sides' values, but not below three probe timeouts.</summary>
    private Instant IdleDeadline
    {
        get
        {
            long idle = _options.IdleTimeout.Ticks * 100;
            long peer = _peer is null ? 0 : (long)Math.Min(_peer.MaxIdleTimeoutMs, int.MaxValue) * 1_000_000;
            if (idle == 0 || (peer != 0 && peer < idle)) idle = peer;
            if (idle == 0) return Instant.Never;
            return new Instant(_idleFrom.Nanoseconds + Math.Max(idle, 3 * ProbeTimeout(PacketSpace.Application)));
        }
    }

    private Instant KeepAliveDeadline => _options.KeepAlive is { } interval && _complete
        ? Instant.Later(_idleFrom, _lastElicitingSent) + interval
        : Instant.Never;

    private void UpdateDeadline(Instant now)
    {
        if (_phase != Phase.Open)
        {
            Deadline = _phase == Phase.Gone ? now : _goneAt;
            return;
        }

        Instant deadline = Instant.Earlier(IdleDeadline, RecoveryDeadline());
        deadline = Instant.Earlier(deadline, _spaces[PacketSpace.Application].AckDeadline);
        deadline = Instant.Earlier(deadline, _pacedUntil);
        deadline = Instant.Earlier(deadline, _previousUntil);
        if (!_spaces[PacketSpace.Application].PingDue) deadline = Instant.Earlier(deadline, KeepAliveDeadline);
        if (!_complete) deadline = Instant.Earlier(deadline, _created + _options.HandshakeTimeout);
        Deadline = deadline;
    }
}
