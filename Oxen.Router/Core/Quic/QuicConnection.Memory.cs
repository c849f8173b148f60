namespace Oxen.Router.Core.Quic;

// What this connection keeps in memory for its peer: bytes to send that are not acknowledged, bytes received that nobody read.
internal sealed partial class QuicConnection
{
    private long _keptEver;
    private long _letEver;
    private long _mark;
    private Instant _markedAt;

    /// <summary>Bytes kept now.</summary>
    internal long Kept => _keptEver - _letEver;

    /// <summary>Everything kept at this time was kept later; the age of what is kept lies between `now - KeptSince` and half of it.</summary>
    internal Instant KeptSince => Kept == 0 ? _endpoint.Now : _markedAt;

    private void Keep(long bytes)
    {
        if (Kept == 0) Mark();
        _keptEver += bytes;
        _endpoint.Keep(bytes);
    }

    private void Let(long bytes)
    {
        _letEver += bytes;
        _endpoint.Keep(-bytes);
        if (_letEver >= _mark) Mark();
    }

    private void Mark()
    {
        _mark = _keptEver;
        _markedAt = _endpoint.Now;
    }
}
