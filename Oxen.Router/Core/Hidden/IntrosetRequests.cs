using System.Buffers.Binary;

namespace Oxen.Router.Core.Hidden;

// Requests to a relay that keeps introsets (docs/protocol/hidden-service.md#requests), at the end of a path:
//
//   introset_put   body: an introset                    answer: 1 byte, IntrosetPut
//   introset_get   body: blinded key 32 | period 8      answer: for each instance length 4 | introset (4096, 8192 or 16384), as many
//                                                       as fit; length 0 and 4096 zeros when there is none

/// <summary>Bodies of the requests about introsets; both ends use them.</summary>
internal static class IntrosetRequests
{
    public const string Put = "introset_put";
    public const string Get = "introset_get";
    public const int GetBytes = KeyBlinding.KeyBytes + 8;
    public const int LengthBytes = 4;

    /// <summary>What fits into one response, with its head.</summary>
    public const int MaxAnswerBytes = 60_000;

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
        IReadOnlyList<Introset> found = store.Get(get[..KeyBlinding.KeyBytes], period, nowUnixSeconds);
        if (found.Count == 0) return new byte[LengthBytes + Introset.SmallestBytes];
        byte[] answer = new byte[MaxAnswerBytes];
        int length = 0;
        foreach (Introset introset in found)
        {
            if (length + LengthBytes + introset.Encoded.Length > answer.Length) break;
            BinaryPrimitives.WriteInt32BigEndian(answer.AsSpan(length), introset.Encoded.Length);
            introset.Encoded.CopyTo(answer.AsSpan(length + LengthBytes));
            length += LengthBytes + introset.Encoded.Length;
        }

        return answer[..length];
    }

    /// <summary>The introsets of an answer, at most one for each instance; empty when there is none, or from where it is malformed.</summary>
    public static List<Introset> ReadAnswer(ReadOnlySpan<byte> answer)
    {
        List<Introset> found = [];
        while (answer.Length >= LengthBytes && found.Count < Introset.MaxInstances)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(answer);
            if (length > (uint)(answer.Length - LengthBytes) || !Introset.TryRead(answer.Slice(LengthBytes, (int)length), out Introset? introset)) break;
            found.Add(introset!);
            answer = answer[(LengthBytes + (int)length)..];
        }

        return found;
    }
}
