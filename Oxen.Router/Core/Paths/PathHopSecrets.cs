using System.Security.Cryptography;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// What a client and one hop share after a build. One owner, one end: whoever holds it copies what the path's slab needs
/// and disposes it.
/// </summary>
internal sealed class PathHopSecrets : IDisposable
{
    public const int PartBytes = 32;

    // chain upstream | chain downstream | session secret | transcript; pinned, so that wiping it wipes the only copy
    private readonly byte[] _bytes = GC.AllocateArray<byte>(4 * PartBytes, pinned: true);

    /// <summary>Head of the key chain for packets from the client (docs/protocol/onion.md#keys).</summary>
    public ReadOnlySpan<byte> ChainUpstream => _bytes.AsSpan(0, PartBytes);

    /// <summary>Head of the key chain for packets to the client.</summary>
    public ReadOnlySpan<byte> ChainDownstream => _bytes.AsSpan(PartBytes, PartBytes);

    /// <summary>For the session with the terminal hop.</summary>
    public ReadOnlySpan<byte> SessionSecret => _bytes.AsSpan(2 * PartBytes, PartBytes);

    /// <summary>Hash over the whole record and the relay's share: names this build of this path. Not a secret of itself.</summary>
    public ReadOnlySpan<byte> Transcript => _bytes.AsSpan(3 * PartBytes, PartBytes);

    /// <summary>The epoch that the chains begin in.</summary>
    public uint StartEpoch { get; internal set; }

    /// <summary>The three secrets, for the derivation to write into.</summary>
    internal Span<byte> WritableSecrets => _bytes.AsSpan(0, 3 * PartBytes);

    internal Span<byte> WritableTranscript => _bytes.AsSpan(3 * PartBytes, PartBytes);

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_bytes);
        StartEpoch = 0;
    }
}
