using System.Security.Cryptography;

namespace Oxen.Router.Core.Sessions;

/// <summary>An exit's answer to a session that asks to pass traffic to the outside. On the wire.</summary>
internal enum AdmissionReason : byte
{
    Granted = 0,
    TokenNeeded = 1,
    TokenUnknown = 2,
    TokenInUse = 3,
    NoExit = 4,
}

/// <summary>One token that an exit knows: its hash, and what its holders may have at a time.</summary>
/// <param name="Hash">SHA-256 of the token's 32 bytes.</param>
/// <param name="Sessions">Sessions at a time, of all who hold it.</param>
/// <param name="Streams">Streams at a time, of all its sessions together.</param>
internal sealed record ExitToken(ReadOnlyMemory<byte> Hash, int Sessions, int Streams);

/// <summary>
/// Who may use an exit: with no tokens, everybody. A token is 32 random bytes, so its hash needs no salt; every comparison takes
/// the time of all. Session thread.
/// </summary>
internal sealed class ExitTokens
{
    public const int TokenBytes = 32;

    private readonly ExitToken[] _tokens;
    private readonly int[] _inUse;

    /// <param name="isExit">False: a relay that passes nothing to the outside, whatever is shown.</param>
    public ExitTokens(IReadOnlyList<ExitToken> tokens, bool isExit = true)
    {
        _tokens = [.. tokens];
        _inUse = new int[_tokens.Length];
        IsExit = isExit;
    }

    public bool IsExit { get; }

    /// <summary>Nobody passes without a token.</summary>
    public bool AreNeeded => _tokens.Length > 0;

    /// <param name="token">32 bytes; zeros: none.</param>
    /// <param name="number">Of the token, to be given back; -1: none was needed.</param>
    public AdmissionReason Admit(ReadOnlySpan<byte> token, out int number)
    {
        number = -1;
        if (!IsExit) return AdmissionReason.NoExit;
        if (_tokens.Length == 0) return AdmissionReason.Granted;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(token, hash);
        for (int i = 0; i < _tokens.Length; i++)
        {
            if (CryptographicOperations.FixedTimeEquals(_tokens[i].Hash.Span, hash)) number = i;
        }

        if (number < 0) return token.IndexOfAnyExcept((byte)0) < 0 ? AdmissionReason.TokenNeeded : AdmissionReason.TokenUnknown;
        if (_inUse[number] >= _tokens[number].Sessions)
        {
            number = -1;
            return AdmissionReason.TokenInUse;
        }

        _inUse[number]++;
        return AdmissionReason.Granted;
    }

    /// <summary>A session that was admitted with this token is over.</summary>
    public void Release(int number)
    {
        if (number >= 0) _inUse[number]--;
    }

    public int StreamsOf(int number) => number < 0 ? int.MaxValue : _tokens[number].Streams;

    /// <summary>The refusal in words, for the client's user.</summary>
    public static string Words(AdmissionReason reason) => reason switch
    {
        AdmissionReason.TokenNeeded => "the exit serves only who shows a token: ask its operator for one, and set `token` in [[client.exits]]",
        AdmissionReason.TokenUnknown => "the exit does not know the token that you set in [[client.exits]]: it was mistyped, or taken back",
        AdmissionReason.TokenInUse => "as many sessions as the exit allows for your token are open",
        AdmissionReason.NoExit => "that router is no exit any more",
        _ => "the exit refuses this client",
    };
}
