using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

/// <summary>The service's half: opens an introduction, writes the answer. Single use.</summary>
internal sealed class ServiceHandshake : IDisposable
{
    private readonly byte[] _shared = GC.AllocateArray<byte>(2 * HiddenKeys.SharedBytes, pinned: true);
    private readonly byte[] _hash = new byte[32];
    private readonly byte[] _introduction;
    private readonly byte[] _part = new byte[IntroductionFormat.SealedBytes];

    private ServiceHandshake(ReadOnlySpan<byte> introduction) => _introduction = introduction.ToArray();

    public RouterId Rendezvous => new(_part.AsSpan(0, RouterId.Bytes));

    public ReadOnlySpan<byte> Cookie => _part.AsSpan(IntroductionFormat.CookieAt, IntroductionFormat.CookieBytes);

    /// <summary>The client wants to go on with <see cref="SessionId"/>; see <see cref="ProvesSession"/>.</summary>
    public bool Continues => _part[IntroductionFormat.FlagsAt] == IntroductionFormat.ContinueFlag;

    public ReadOnlySpan<byte> SessionId => _part.AsSpan(IntroductionFormat.SessionIdAt, IntroductionFormat.SessionIdBytes);

    /// <summary>Which session key an introduction was made for.</summary>
    public static ulong KeyIdOf(ReadOnlySpan<byte> introduction) => BinaryPrimitives.ReadUInt64BigEndian(introduction[IntroductionFormat.KeyIdAt..]);

    /// <summary>Null: not for this key and period, or touched on the way.</summary>
    public static ServiceHandshake? TryOpen(ReadOnlySpan<byte> introduction, OnionKeyPair sessionKey, ReadOnlySpan<byte> subcredential)
    {
        if (introduction.Length != IntroductionFormat.Bytes || KeyIdOf(introduction) != sessionKey.Id) return null;
        var made = new ServiceHandshake(introduction);
        if (!made.Open(sessionKey, subcredential))
        {
            made.Dispose();
            return null;
        }

        return made;
    }

    public bool ProvesSession(JointKeys session)
    {
        Span<byte> proof = stackalloc byte[IntroductionFormat.SessionProofBytes];
        HiddenKeys.SessionProof(session.Continuation, _hash, _part.AsSpan(0, IntroductionFormat.VersionAt), proof);
        return CryptographicOperations.FixedTimeEquals(proof, _part.AsSpan(IntroductionFormat.SessionProofAt, IntroductionFormat.SessionProofBytes));
    }

    /// <summary>Draws our share and gives the keys; null when the client's share is of small order.</summary>
    public JointKeys? Answer(ReadOnlySpan<byte> quicKey, bool continued, Span<byte> answer, IEntropy entropy)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(answer.Length, IntroductionFormat.AnswerBytes);
        ArgumentOutOfRangeException.ThrowIfNotEqual(quicKey.Length, 32);
        Span<byte> ephemeral = stackalloc byte[X25519.SecretKeyBytes];
        Span<byte> shared = stackalloc byte[3 * HiddenKeys.SharedBytes];
        Span<byte> final = stackalloc byte[HiddenKeys.FinalBytes];
        entropy.FillSecret(ephemeral);
        X25519.PublicKey(ephemeral, answer[..X25519.PublicKeyBytes]);
        _shared.CopyTo(shared);
        bool agreed = X25519.TryAgree(_introduction.AsSpan(IntroductionFormat.ShareAt, X25519.PublicKeyBytes), ephemeral, shared[(2 * HiddenKeys.SharedBytes)..]);
        CryptographicOperations.ZeroMemory(ephemeral);
        if (!agreed) return null;
        HiddenKeys.Final(shared, _introduction, _hash, answer[..X25519.PublicKeyBytes], final);
        CryptographicOperations.ZeroMemory(shared);
        var keys = new JointKeys(final);
        CryptographicOperations.ZeroMemory(final);
        Span<byte> part = answer.Slice(IntroductionFormat.AnswerSealedAt, IntroductionFormat.AnswerSealedBytes);
        part.Clear();
        quicKey.CopyTo(part);
        part[32] = continued ? IntroductionFormat.ContinueFlag : (byte)0;
        SodiumChaCha20Poly1305.Seal(part, keys.AnswerKey, HiddenKeys.Nonce, answer[^IntroductionFormat.TagBytes..]);
        return keys;
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_shared);
        CryptographicOperations.ZeroMemory(_part);
    }

    private bool Open(OnionKeyPair key, ReadOnlySpan<byte> subcredential)
    {
        ReadOnlySpan<byte> message = _introduction;
        if (!X25519.TryAgree(message.Slice(IntroductionFormat.ShareAt, X25519.PublicKeyBytes), key.XSecret, _shared.AsSpan(0, HiddenKeys.SharedBytes))
            || !MlKem768.Decapsulate(message.Slice(IntroductionFormat.CiphertextAt, MlKem768.CiphertextBytes), key.KemSecret, _shared.AsSpan(HiddenKeys.SharedBytes)))
        {
            return false;
        }

        HiddenKeys.IntroductionHash(message, subcredential, key.XPublic, key.KemPublic, _hash);
        Span<byte> seal = stackalloc byte[SodiumChaCha20Poly1305.KeyBytes];
        HiddenKeys.SealKey(_shared, _hash, seal);
        message.Slice(IntroductionFormat.SealedAt, IntroductionFormat.SealedBytes).CopyTo(_part);
        bool opened = SodiumChaCha20Poly1305.Open(_part, seal, HiddenKeys.Nonce, message[IntroductionFormat.TagAt..]);
        CryptographicOperations.ZeroMemory(seal);
        return opened && _part[IntroductionFormat.VersionAt] == IntroductionFormat.Version && _part[IntroductionFormat.FlagsAt] <= IntroductionFormat.ContinueFlag
            && !_part.AsSpan(IntroductionFormat.ReserveAt).ContainsAnyExcept((byte)0);
    }
}
