using System.Security.Cryptography;

namespace Oxen.Router.Core.Quic.Tls;

/// <summary>
/// The running hash over all handshake messages (RFC 8446 section 4.4.1). The hash is known only once the suite is chosen;
/// the one message sent before, our first ClientHello, waits here as bytes.
/// </summary>
internal sealed class TlsTranscript : IDisposable
{
    private byte[] _waiting = [];
    private IncrementalHash? _hash;

    public void Append(ReadOnlySpan<byte> message)
    {
        if (_hash is null) _waiting = [.. _waiting, .. message];
        else _hash.AppendData(message);
    }

    public void Choose(HashAlgorithmName hash)
    {
        if (_hash is not null) return;
        _hash = IncrementalHash.CreateHash(hash);
        _hash.AppendData(_waiting);
        _waiting = [];
    }

    /// <summary>At a HelloRetryRequest the first ClientHello is replaced by message_hash(its hash).</summary>
    public void ReplaceByItsHash()
    {
        Span<byte> message = stackalloc byte[4 + TlsKeySchedule.MaxHashBytes];
        int n = _hash!.GetHashAndReset(message[4..]);
        message[0] = TlsMessageType.MessageHash;
        message[1] = 0;
        message[2] = 0;
        message[3] = (byte)n;
        _hash.AppendData(message[..(4 + n)]);
    }

    /// <summary>The hash of everything so far; more may follow.</summary>
    public Span<byte> Current(Span<byte> buffer) => buffer[.._hash!.GetCurrentHash(buffer)];

    public void Dispose() => _hash?.Dispose();
}
