using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Oxen.Router.Client;

/// <summary>
/// Streams with equal keys may share a path, streams with different keys never do. `default` is the shared group.
/// It tells nothing about the user name and password that it was made from.
/// </summary>
internal readonly record struct IsolationKey(ulong High, ulong Low)
{
    public bool IsShared => (High | Low) == 0;
}

/// <summary>Makes isolation keys with a secret drawn at process start, so that a key means nothing outside of this process.</summary>
internal sealed class IsolationKeys : IDisposable
{
    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);

    /// <param name="listener">Which door: the same password on another listener is another group.</param>
    public IsolationKey Derive(string listener, ReadOnlySpan<byte> user, ReadOnlySpan<byte> password)
    {
        ArgumentNullException.ThrowIfNull(listener);
        if (user.IsEmpty && password.IsEmpty) return default;

        // Each part goes in with its length: ("ab", "c") and ("a", "bc") differ.
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _secret);
        Span<byte> length = stackalloc byte[4];
        Append(mac, Encoding.UTF8.GetBytes(listener), length);
        Append(mac, user, length);
        Append(mac, password, length);
        Span<byte> hash = stackalloc byte[32];
        mac.GetHashAndReset(hash);
        return new IsolationKey(BinaryPrimitives.ReadUInt64BigEndian(hash) | 1, BinaryPrimitives.ReadUInt64BigEndian(hash[8..]));
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);

    private static void Append(IncrementalHash mac, ReadOnlySpan<byte> part, Span<byte> length)
    {
        BinaryPrimitives.WriteInt32BigEndian(length, part.Length);
        mac.AppendData(length);
        mac.AppendData(part);
    }
}
