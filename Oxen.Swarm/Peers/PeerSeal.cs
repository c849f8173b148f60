using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Oxen.Swarm.Nodes;

namespace Oxen.Swarm.Peers;

// Requests between nodes are sealed with a key that only the two have, so the certificate of the HTTPS door does not matter:
//
//   key      BLAKE2b-256("oxen swarm peer 1" | X25519 secret of the two | smaller id | greater id)
//   sealed   nonce 24 | XChaCha20-Poly1305 of the body, with "q" (request) or "a" (answer) | id of the sender | tail as associated data
//   tail     request: nothing; answer: the nonce of the request, so that an answer belongs to one request
//   a request's body begins with the sender's time in ms, 8 bytes big-endian
//
// A request that somebody sends again does no harm: what nodes tell each other is ordered by stamps and may come twice.

/// <summary>Seals and opens what goes between two nodes.</summary>
internal sealed class PeerSeal(SwarmIdentity identity) : IDisposable
{
    public const int NonceBytes = 24;
    private const int TagBytes = 16;
    private const int MaxKeys = 4096;

    private static readonly XChaCha20Poly1305 Cipher = AeadAlgorithm.XChaCha20Poly1305;

    private readonly ConcurrentDictionary<string, Key> _keys = new();

    public byte[]? SealRequest(ReadOnlySpan<byte> body, ReadOnlySpan<byte> peer, long localTime, out byte[] nonce)
    {
        nonce = RandomNumberGenerator.GetBytes(NonceBytes);
        byte[] timed = new byte[8 + body.Length];
        BinaryPrimitives.WriteInt64BigEndian(timed, localTime);
        body.CopyTo(timed.AsSpan(8));
        return KeyOf(peer) is { } key ? [.. nonce, .. Cipher.Encrypt(key, nonce, Associated('q', identity.Ed25519.Span, []), timed)] : null;
    }

    public byte[]? OpenRequest(ReadOnlySpan<byte> sealedBody, ReadOnlySpan<byte> sender, out long senderTime, out byte[] nonce)
    {
        senderTime = 0;
        nonce = [];
        if (sealedBody.Length < NonceBytes + TagBytes + 8 || KeyOf(sender) is not { } key) return null;
        nonce = sealedBody[..NonceBytes].ToArray();
        byte[]? timed = Cipher.Decrypt(key, nonce, Associated('q', sender, []), sealedBody[NonceBytes..]);
        if (timed is null) return null;
        senderTime = BinaryPrimitives.ReadInt64BigEndian(timed);
        return timed[8..];
    }

    public byte[] SealAnswer(ReadOnlySpan<byte> body, ReadOnlySpan<byte> requester, ReadOnlySpan<byte> requestNonce)
    {
        byte[] nonce = RandomNumberGenerator.GetBytes(NonceBytes);
        return [.. nonce, .. Cipher.Encrypt(KeyOf(requester)!, nonce, Associated('a', identity.Ed25519.Span, requestNonce), body)];
    }

    public byte[]? OpenAnswer(ReadOnlySpan<byte> sealedBody, ReadOnlySpan<byte> peer, ReadOnlySpan<byte> requestNonce)
    {
        if (sealedBody.Length < NonceBytes + TagBytes || KeyOf(peer) is not { } key) return null;
        return Cipher.Decrypt(key, sealedBody[..NonceBytes], Associated('a', peer, requestNonce), sealedBody[NonceBytes..]);
    }

    public void Dispose()
    {
        foreach (Key key in _keys.Values) key.Dispose();
    }

    private static byte[] Associated(char direction, ReadOnlySpan<byte> sender, ReadOnlySpan<byte> tail) => [(byte)direction, .. sender, .. tail];

    private Key? KeyOf(ReadOnlySpan<byte> peer)
    {
        string name = Convert.ToHexStringLower(peer);
        if (_keys.TryGetValue(name, out Key? known)) return known;
        Span<byte> shared = stackalloc byte[32];
        if (peer.Length != 32 || _keys.Count >= MaxKeys || !identity.TryAgree(EdwardsMap.ToX25519(peer), shared)) return null;
        bool first = identity.Ed25519.Span.SequenceCompareTo(peer) < 0;
        byte[] material =
        [
            .. Encoding.ASCII.GetBytes("oxen swarm peer 1"), .. shared,
            .. first ? identity.Ed25519.Span : peer, .. first ? peer : identity.Ed25519.Span,
        ];
        byte[] secret = NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(material);
        Key key = Key.Import(Cipher, secret, KeyBlobFormat.RawSymmetricKey);
        CryptographicOperations.ZeroMemory(material);
        CryptographicOperations.ZeroMemory(secret);
        shared.Clear();
        if (_keys.TryAdd(name, key)) return key;
        key.Dispose();
        return _keys[name];
    }
}
