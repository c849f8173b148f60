using System.Globalization;
using System.Security.Cryptography;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>
/// Tokens for exits as text. Who holds one has `oxt-` and 64 hexadecimal digits; the exit's configuration has a line with the
/// SHA-256 of those 32 bytes and what its holders may have at a time.
/// </summary>
internal static class ExitTokenText
{
    public const int DefaultSessions = 8;
    public const int DefaultStreams = 512;
    public const string LineForm = "\"<64 hexadecimal digits> sessions=8 streams=512\", as `oxen exit token new` prints it";
    private const string Prefix = "oxt-";

    public static string Secret(ReadOnlySpan<byte> token) => Prefix + Convert.ToHexStringLower(token);

    public static string Line(ReadOnlySpan<byte> token, int sessions, int streams) =>
        string.Create(CultureInfo.InvariantCulture, $"{Convert.ToHexStringLower(SHA256.HashData(token))} sessions={sessions} streams={streams}");

    public static bool TrySecret(string text, out byte[] token)
    {
        token = [];
        if (!text.StartsWith(Prefix, StringComparison.Ordinal) || !TryHex(text[Prefix.Length..], out byte[] bytes)) return false;
        token = bytes;
        return true;
    }

    /// <summary>The hash, then any of `sessions=N` and `streams=N`, each once.</summary>
    public static bool TryLine(string text, out ExitToken? token)
    {
        token = null;
        string[] words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0 || !TryHex(words[0], out byte[] hash)) return false;
        int? sessions = null, streams = null;
        foreach (string word in words[1..])
        {
            int equals = word.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !int.TryParse(word.AsSpan(equals + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int value) || value is < 1 or > 1_000_000) return false;
            switch (word[..equals])
            {
                case "sessions" when sessions is null:
                    sessions = value;
                    break;
                case "streams" when streams is null:
                    streams = value;
                    break;
                default:
                    return false;
            }
        }

        token = new ExitToken(hash, sessions ?? DefaultSessions, streams ?? DefaultStreams);
        return true;
    }

    private static bool TryHex(string text, out byte[] bytes)
    {
        bytes = [];
        if (text.Length != 2 * ExitTokens.TokenBytes || !text.All(char.IsAsciiHexDigit)) return false;
        bytes = Convert.FromHexString(text);
        return true;
    }
}
