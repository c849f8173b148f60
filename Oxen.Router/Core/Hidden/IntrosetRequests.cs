using System.Buffers.Binary;

namespace Oxen.Router.Core.Hidden;

// Requests to a relay that keeps introsets (docs/protocol/hidden-service.md#requests), at the end of a path:
//
//   introset_put   body: an introset                    answer: 1 byte, IntrosetPut
//   introset_get   body: blinded key 32 | period 8      answer: length 4 | introset (4096, 8192 or 16384);
//                                                       length 0 and 4096 zeros when there is none

/// <summary>Bodies of the requests about introsets; both ends use them.</summary>
internal static class IntrosetRequests
{
    public const string Put = "introset_put";
    public const string Get = "introset_get";
    public const int GetBytes = KeyBlinding.KeyBytes + 8;
    public const int LengthBytes = 4;

    public static byte[] WriteGet(ReadOnlySpan<byte> blinded, ulong period)
    {
        byte[] body = new byte[GetBytes];
        blinded.CopyTo(body);
        BinaryPrimitives.WriteUInt64BigEndian(body.AsSpan(KeyBlinding.KeyBytes), period);
        return body;
    }

    /// <summary>The answer to a get: as long as for an introset of the smallest class when there is none.</summary>
    public static byte[] Answer(IntrosetStore store, ReadOnlySpan<byte> get, long nowUnixSeconds)
    {
        ulong period = BinaryPrimitives.ReadUInt64BigEndian(get[KeyBlinding.KeyBytes..]);
        if (!store.TryGet(get[..KeyBlinding.KeyBytes], period, nowUnixSeconds, out Introset? found)) return new byte[LengthBytes + Introset.SmallestBytes];
        byte[] answer = new byte[LengthBytes + found!.Encoded.Length];
        BinaryPrimitives.WriteInt32BigEndian(answer, found.Encoded.Length);
        found.Encoded.CopyTo(answer.AsSpan(LengthBytes));
        return answer;
    }

    /// <summary>The introset of an answer. False: there is none, or the answer is malformed.</summary>
    public static bool TryReadAnswer(ReadOnlySpan<byte> answer, out Introset? introset)
    {
        introset = null;
        if (answer.Length < LengthBytes) return false;
        uint length = BinaryPrimitives.ReadUInt32BigEndian(answer);
        return length <= (uint)(answer.Length - LengthBytes) && Introset.TryRead(answer.Slice(LengthBytes, (int)length), out introset);
    }
}
