using System.Security.Cryptography;

namespace Oxen.Router.Core.Hidden;

/// <summary>What client and service share after a handshake. One owner, wiped at its end.</summary>
internal sealed class JointKeys : IDisposable
{
    private readonly byte[] _bytes = GC.AllocateArray<byte>(HiddenKeys.FinalBytes, pinned: true);

    internal JointKeys(ReadOnlySpan<byte> final) => final.CopyTo(_bytes);

    public ReadOnlySpan<byte> AnswerKey => _bytes.AsSpan(0, 32);

    public ReadOnlySpan<byte> ClientToService => _bytes.AsSpan(32, 32);

    public ReadOnlySpan<byte> ServiceToClient => _bytes.AsSpan(64, 32);

    /// <summary>Continues the session over another rendezvous.</summary>
    public ReadOnlySpan<byte> Continuation => _bytes.AsSpan(96, 32);

    public ReadOnlySpan<byte> SessionId => _bytes.AsSpan(128, IntroductionFormat.SessionIdBytes);

    public void Dispose() => CryptographicOperations.ZeroMemory(_bytes);
}
