using Oxen.Router.Core.Quic.Packets;

namespace Oxen.Router.Core.Quic;

internal sealed partial class QuicConnection
{
    private const int MaxReasonBytes = 200;

    private Phase _phase;
    private QuicCloseReason _closeReason;
    private ulong _closeError;
    private ulong _closeFrameType;
    private bool _closeByApplication;
    private byte[] _closeText = [];
    private bool _closeDue;
    private int _packetsWhileClosing;
    private int _nextCloseAnswer = 1;
    private Instant _goneAt = Instant.Never;

    /// <summary>The peer (or our own state) is at fault: closes with a transport error. Always false, for `return Fail(…)`.</summary>
    private bool Fail(ulong error, ulong frameType, Instant now)
    {
        if (_phase == Phase.Open) BeginClose(QuicCloseReason.LocalError, error, application: false, frameType, default, now);
        return false;
    }

    private void BeginClose(QuicCloseReason reason, ulong error, bool application, ulong frameType, ReadOnlySpan<byte> text, Instant now)
    {
        _phase = Phase.Closing;
        _closeReason = reason;
        _closeError = error;
        _closeByApplication = application;
        _closeFrameType = frameType;
        _closeText = text[..Math.Min(text.Length, MaxReasonBytes)].ToArray();
        _closeDue = true;
        _goneAt = now + new TimeSpan(3 * ProbeTimeout(PacketSpace.Application) / 100);   // RFC 9000 section 10.2
        Over(now);
    }

    /// <summary>Ends without a word: the peer closed, reset, or fell silent.</summary>
    private void EndSilently(QuicCloseReason reason, ulong error, Instant now)
    {
        if (_phase != Phase.Open) return;
        bool drains = reason is QuicCloseReason.Peer or QuicCloseReason.PeerError or QuicCloseReason.StatelessReset;
        _phase = drains ? Phase.Draining : Phase.Gone;
        _closeReason = reason;
        _closeError = error;
        _goneAt = drains ? now + new TimeSpan(3 * ProbeTimeout(PacketSpace.Application) / 100) : now;
        Over(now);
    }

    private void Over(Instant now)
    {
        ForgetUndecryptable();
        ReleaseStreams();
        _endpoint.OnClosed(this, _closeError);
        UpdateDeadline(now);
        Touched();
    }

    // RFC 9000 section 10.2.1: answer fewer and fewer of the packets that still come.
    private void OnPacketWhileClosing()
    {
        if (++_packetsWhileClosing < _nextCloseAnswer) return;
        _packetsWhileClosing = 0;
        _nextCloseAnswer = Math.Min(_nextCloseAnswer * 2, 1 << 16);
        _closeDue = true;
        Touched();
    }

    /// <summary>Keys and tables go; called once by the endpoint.</summary>
    internal void Dispose()
    {
        _phase = Phase.Gone;
        ForgetAllIds();
        foreach (PacketSpace space in _spaces)
        {
            space.DropKeys();
            space.CryptoOut.Release();
            space.CryptoIn.Release();
        }

        _previousRead?.Dispose();
        _nextRead?.Dispose();
        _pendingRead?.Dispose();
        ForgetUndecryptable();
        ReleaseStreams();
        _tls.Dispose();
    }
}
