using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

/// <summary>The client's half: writes an introduction, reads the answer. Single use.</summary>
internal sealed class ClientHandshake : IDisposable
{
    private readonly byte[] _secret = GC.AllocateArray<byte>(X25519.SecretKeyBytes + 2 * HiddenKeys.SharedBytes, pinned: true); // ephemeral | shared 64
    private readonly byte[] _hash = new byte[32];

    private ClientHandshake()
    {
    }

    /// <summary>The introduction; effort and proof are filled in afterwards (<see cref="IntroductionEffort"/>).</summary>
    public byte[] Introduction { get; } = new byte[IntroductionFormat.Bytes];

    /// <summary>
    /// Null when the introset's session key is unusable: the service's mistake.
    /// </summary>
    /// <param name="continues">The session to go on with; null: a new one.</param>
    public static ClientHandshake? Create(IntrosetContent service, ReadOnlySpan<byte> subcredential, RouterId rendezvous, ReadOnlySpan<byte> cookie, JointKeys? continues, IEntropy entropy)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(cookie.Length, IntroductionFormat.CookieBytes);
        var made = new ClientHandshake();
        Span<byte> message = made.Introduction;
        BinaryPrimitives.WriteUInt64BigEndian(message, service.SessionKeyId);
        service.EffortSeed.AsSpan(0, IntroductionFormat.SeedHeadBytes).CopyTo(message[IntroductionFormat.SeedHeadAt..]);
        Span<byte> ephemeral = made._secret.AsSpan(0, X25519.SecretKeyBytes);
        Span<byte> shared = made._secret.AsSpan(X25519.SecretKeyBytes);
        Span<byte> seed = stackalloc byte[MlKem768.EncapsulationSeedBytes];
        entropy.FillSecret(ephemeral);
        entropy.FillSecret(seed);
        X25519.PublicKey(ephemeral, message.Slice(IntroductionFormat.ShareAt, X25519.PublicKeyBytes));
        if (!X25519.TryAgree(service.SessionX, ephemeral, shared[..HiddenKeys.SharedBytes])
            || !MlKem768.Encapsulate(service.SessionKem, message.Slice(IntroductionFormat.CiphertextAt, MlKem768.CiphertextBytes), shared[HiddenKeys.SharedBytes..], seed))
        {
            made.Dispose();
            return null;
        }

        CryptographicOperations.ZeroMemory(seed);
        HiddenKeys.IntroductionHash(message, subcredential, service.SessionX, service.SessionKem, made._hash);
        Span<byte> part = message.Slice(IntroductionFormat.SealedAt, IntroductionFormat.SealedBytes);
        rendezvous.CopyTo(part);
        cookie.CopyTo(part[IntroductionFormat.CookieAt..]);
        part[IntroductionFormat.VersionAt] = IntroductionFormat.Version;
        if (continues is not null)
        {
            part[IntroductionFormat.FlagsAt] = IntroductionFormat.ContinueFlag;
            continues.SessionId.CopyTo(part[IntroductionFormat.SessionIdAt..]);
            HiddenKeys.SessionProof(continues.Continuation, made._hash, part[..IntroductionFormat.VersionAt], part.Slice(IntroductionFormat.SessionProofAt, IntroductionFormat.SessionProofBytes));
        }

        Span<byte> key = stackalloc byte[SodiumChaCha20Poly1305.KeyBytes];
        HiddenKeys.SealKey(shared, made._hash, key);
        SodiumChaCha20Poly1305.Seal(part, key, HiddenKeys.Nonce, message[IntroductionFormat.TagAt..]);
        CryptographicOperations.ZeroMemory(key);
        return made;
    }

    /// <summary>False: not from the service that was meant, or touched on the way.</summary>
    public bool TryReadAnswer(ReadOnlySpan<byte> answer, out JointKeys? keys, out byte[] quicKey, out bool continued)
    {
        keys = null;
        quicKey = [];
        continued = false;
        if (answer.Length != IntroductionFormat.AnswerBytes) return false;
        Span<byte> shared = stackalloc byte[3 * HiddenKeys.SharedBytes];
        ReadOnlySpan<byte> share = answer[..X25519.PublicKeyBytes];
        if (!X25519.TryAgree(share, _secret.AsSpan(0, X25519.SecretKeyBytes), shared[(2 * HiddenKeys.SharedBytes)..])) return false;
        _secret.AsSpan(X25519.SecretKeyBytes).CopyTo(shared);
        Span<byte> final = stackalloc byte[HiddenKeys.FinalBytes];
        HiddenKeys.Final(shared, Introduction, _hash, share, final);
        CryptographicOperations.ZeroMemory(shared);
        var made = new JointKeys(final);
        CryptographicOperations.ZeroMemory(final);
        byte[] part = answer.Slice(IntroductionFormat.AnswerSealedAt, IntroductionFormat.AnswerSealedBytes).ToArray();
        if (!SodiumChaCha20Poly1305.Open(part, made.AnswerKey, HiddenKeys.Nonce, answer[^IntroductionFormat.TagBytes..])
            || part[32] > IntroductionFormat.ContinueFlag || part.AsSpan(33).ContainsAnyExcept((byte)0))
        {
            made.Dispose();
            return false;
        }

        keys = made;
        quicKey = part[..32];
        continued = part[32] == IntroductionFormat.ContinueFlag;
        return true;
    }

    public void Dispose() => CryptographicOperations.ZeroMemory(_secret);
}
