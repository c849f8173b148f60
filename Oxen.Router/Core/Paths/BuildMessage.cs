namespace Oxen.Router.Core.Paths;

// A path build on a link: one request stream, message and reply of the same size.
//
//  0        1          9                           10249
//  +--------+----------+---------------------------+
//  | kind 1 | handle 8 | 8 records x 1280          |
//  +--------+----------+---------------------------+
//
// Request: kind 1 (build); the handle is the one that the sender wants downstream packets of this path under.
// Reply: kind is 0 (installed) or 1 (refused; handle zero); the handle is the one for upstream packets.
// docs/protocol/path-build.md
internal static class BuildMessage
{
    public const int HeaderBytes = 9;
    public const int RecordsBytes = 8 * 1280;
    public const int RequestBytes = HeaderBytes + RecordsBytes;
    public const int ReplyBytes = RequestBytes;
    public const byte Installed = 0;
    public const byte Refused = 1;

    public static void WriteHeader(Span<byte> message, byte kind, PathHandle handle)
    {
        message[0] = kind;
        handle.Write(message[1..]);
    }

    /// <returns>False when the length is wrong.</returns>
    public static bool TryRead(ReadOnlySpan<byte> message, out byte kind, out PathHandle handle)
    {
        kind = 0;
        handle = PathHandle.None;
        if (message.Length != RequestBytes) return false;
        kind = message[0];
        handle = PathHandle.Read(message[1..]);
        return true;
    }
}
