using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Quic.Packets;

namespace Oxen.Router.Core.Quic.Protection;

/// <summary>
/// Retry packets: the integrity tag that everyone can make (RFC 9001 section 5.8), and our address tokens.
/// <code>
///  token  0           12       20      21          21+d     +16
///         +-----------+--------+-------+-----------+--------+
///         | nonce     | time   | d     | original  | tag    |   time (ns) and id are sealed under a key of this endpoint;
///         +-----------+--------+-------+-----------+--------+   associated: family, address, port of the client
/// </code>
/// </summary>
internal sealed class RetryProtection : IDisposable
{
    public const int MaxTokenBytes = 12 + 8 + 1 + ConnectionId.MaxBytes + 16;

    private static readonly byte[] IntegrityKey = Convert.FromHexString("be0c690b9f66575a1d766b54e368c84e");
    private static readonly byte[] IntegrityNonce = Convert.FromHexString("461599d35d632bf2239825bb");
    private readonly byte[] _integrity = new byte[AesGcm128.ExpandedBytes];
    private readonly byte[] _token = new byte[AesGcm128.ExpandedBytes];
    private readonly IEntropy _entropy;

    public RetryProtection(IEntropy entropy)
    {
        Span<byte> key = stackalloc byte[16];
        entropy.FillSecret(key);
        AesGcm128.Expand(key, _token);
        AesGcm128.Expand(IntegrityKey, _integrity);
        CryptographicOperations.ZeroMemory(key);
        _entropy = entropy;
    }

    /// <summary>The tag over (length of the original id, original id, Retry packet without its tag).</summary>
    public void Tag(ConnectionId originalDestination, ReadOnlySpan<byte> retryWithoutTag, Span<byte> tag16)
    {
        Span<byte> pseudo = stackalloc byte[1 + ConnectionId.MaxBytes + retryWithoutTag.Length]; // at most 2048 of them
        pseudo[0] = (byte)originalDestination.Length;
        int at = 1 + originalDestination.Write(pseudo[1..]);
        retryWithoutTag.CopyTo(pseudo[at..]);
        AesGcm128.Seal(default, _integrity, IntegrityNonce, pseudo[..(at + retryWithoutTag.Length)], tag16);
    }

    public bool TagMatches(ConnectionId originalDestination, ReadOnlySpan<byte> retry)
    {
        if (retry.Length is < 16 or > 2048) return false;
        Span<byte> tag = stackalloc byte[16];
        Tag(originalDestination, retry[..^16], tag);
        return CryptographicOperations.FixedTimeEquals(tag, retry[^16..]);
    }

    public int WriteToken(ConnectionId originalDestination, in UdpAddress client, Instant now, Span<byte> to)
    {
        Span<byte> associated = stackalloc byte[19];
        associated = associated[..Associated(client, associated)];
        Span<byte> clear = stackalloc byte[9 + ConnectionId.MaxBytes];
        BinaryPrimitives.WriteInt64BigEndian(clear, now.Nanoseconds);
        clear[8] = (byte)originalDestination.Length;
        clear = clear[..(9 + originalDestination.Write(clear[9..]))];
        _entropy.FillPublic(to[..12]);
        Span<byte> text = to.Slice(12, clear.Length);
        clear.CopyTo(text);
        AesGcm128.Seal(text, _token, to[..12], associated, to.Slice(12 + clear.Length, 16));
        return 12 + clear.Length + 16;
    }

    public bool TryReadToken(ReadOnlySpan<byte> token, in UdpAddress client, TimeSpan life, Instant now, out ConnectionId originalDestination)
    {
        originalDestination = default;
        int length = token.Length - 12 - 16;
        if (length is < 9 or > 9 + ConnectionId.MaxBytes) return false;
        Span<byte> associated = stackalloc byte[19];
        associated = associated[..Associated(client, associated)];
        Span<byte> clear = stackalloc byte[length];
        token.Slice(12, length).CopyTo(clear);
        if (!AesGcm128.Open(clear, _token, token[..12], associated, token[^16..])) return false;
        var made = new Instant(BinaryPrimitives.ReadInt64BigEndian(clear));
        if (clear[8] != length - 9 || made > now || made + life < now) return false;
        originalDestination = new ConnectionId(clear[9..]);
        return true;
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_token);
    }

    private static int Associated(in UdpAddress client, Span<byte> to)
    {
        to[0] = (byte)client.Family;
        int at = 1 + client.WriteAddress(to[1..]);
        BinaryPrimitives.WriteUInt16BigEndian(to[at..], client.Port);
        return at + 2;
    }
}
