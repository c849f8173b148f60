using System.Buffers;
using System.Buffers.Binary;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Handlers;

// One request and one response on a stream (docs/protocol/requests.md):
//
//   request    method length 1 | method 1-64 | body length 4 | body
//   response   code 1 | body length 4 | body
//
// Big-endian. Lengths are judged against the limits before a byte of the body is read.
internal static class RequestFraming
{
    public const int MaxMethodBytes = 64;
    public const int MaxRequestHeadBytes = 1 + MaxMethodBytes + 4;
    public const int ResponseHeadBytes = 5;

    private static readonly SearchValues<byte> MethodBytes = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_.-"u8);

    public static bool IsMethod(ReadOnlySpan<byte> name) => name.Length is > 0 and <= MaxMethodBytes && !name.ContainsAnyExcept(MethodBytes);

    /// <param name="source">The stream from the request's first byte on.</param>
    /// <param name="method">A slice of `source`.</param>
    public static WireResult ReadRequestHead(ReadOnlySpan<byte> source, out ReadOnlySpan<byte> method, out uint bodyBytes, out int consumed)
    {
        method = default;
        bodyBytes = 0;
        consumed = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        int length = source[0];
        if (length is 0 or > MaxMethodBytes) return WireResult.Malformed;
        ReadOnlySpan<byte> name = source.Slice(1, Math.Min(length, source.Length - 1));
        if (name.ContainsAnyExcept(MethodBytes)) return WireResult.Malformed;
        if (source.Length < 1 + length + 4) return WireResult.Incomplete;
        method = name;
        bodyBytes = BinaryPrimitives.ReadUInt32BigEndian(source[(1 + length)..]);
        consumed = 1 + length + 4;
        return WireResult.Complete;
    }

    /// <summary>The same over a sequence; the method is copied into `methodBuffer` (at least <see cref="MaxMethodBytes"/>).</summary>
    public static WireResult ReadRequestHead(in ReadOnlySequence<byte> source, Span<byte> methodBuffer, out int methodBytes, out uint bodyBytes, out int consumed)
    {
        Span<byte> head = stackalloc byte[MaxRequestHeadBytes];
        int n = (int)Math.Min(source.Length, head.Length);
        source.Slice(0, n).CopyTo(head);
        WireResult result = ReadRequestHead(head[..n], out ReadOnlySpan<byte> method, out bodyBytes, out consumed);
        method.CopyTo(methodBuffer);
        methodBytes = method.Length;
        return result;
    }

    /// <summary>Writes a request's head; the body follows. Returns the head's length.</summary>
    public static int WriteRequestHead(ReadOnlySpan<byte> method, int bodyBytes, Span<byte> destination)
    {
        if (!IsMethod(method)) throw new ArgumentException("a method is 1 to 64 of a-z 0-9 _ . -", nameof(method));
        destination[0] = (byte)method.Length;
        method.CopyTo(destination[1..]);
        BinaryPrimitives.WriteInt32BigEndian(destination[(1 + method.Length)..], bodyBytes);
        return 1 + method.Length + 4;
    }

    public static WireResult ReadResponseHead(ReadOnlySpan<byte> source, out ResponseCode code, out uint bodyBytes)
    {
        code = default;
        bodyBytes = 0;
        if (source.IsEmpty) return WireResult.Incomplete;
        code = (ResponseCode)source[0];
        if (code > ResponseCode.TimedOut) return WireResult.Malformed;
        if (source.Length < ResponseHeadBytes) return WireResult.Incomplete;
        bodyBytes = BinaryPrimitives.ReadUInt32BigEndian(source[1..]);
        return WireResult.Complete;
    }

    public static void WriteResponseHead(ResponseCode code, int bodyBytes, Span<byte> destination)
    {
        destination[0] = (byte)code;
        BinaryPrimitives.WriteInt32BigEndian(destination[1..], bodyBytes);
    }
}
