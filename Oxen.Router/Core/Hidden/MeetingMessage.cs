using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Hidden;

// What client and service say to the relay at the end of a path that is to be an introduction relay or a rendezvous: the content of
// command Meeting, then zeros (docs/protocol/hidden-service.md#meeting). A content holds one message. Each name is 32 bytes: the key
// that names a service at its introduction relay, or the cookie.
//
//  ESTABLISH       1 | key 32 | signature 64         service; repeated until answered
//  ESTABLISHED     2 | key 32 | status 1
//  INTRODUCE       3 | key 32 | introduction         client
//  INTRODUCED      4 | key 32 | introduction         to the service
//  INTRODUCE_ACK   5 | key 32 | status 1             to the client
//  AWAIT           6 | cookie 32                     client; repeated until joined, then once more for JOINED if that was lost
//  AWAITING        7 | cookie 32 | status 1
//  JOIN            8 | cookie 32 | answer            service; repeated until answered
//  JOIN_ACK        9 | cookie 32 | status 1
//  JOINED         10 | cookie 32 | answer            to the client
//  PARTED         11 | cookie 32                     to the side that is left

internal enum MeetingType : byte
{
    Establish = 1,
    Established = 2,
    Introduce = 3,
    Introduced = 4,
    IntroduceAck = 5,
    Await = 6,
    Awaiting = 7,
    Join = 8,
    JoinAck = 9,
    Joined = 10,
    Parted = 11,
}

/// <summary>What the relay says to a request.</summary>
internal enum MeetingStatus : byte
{
    Done = 0,

    /// <summary>No service has this key here, or nobody waits with this cookie.</summary>
    Unknown = 1,

    /// <summary>Too many at the moment.</summary>
    Busy = 2,

    /// <summary>This path has another role, or a proof is wrong.</summary>
    Refused = 3,
}

/// <summary>Sizes and codecs of <see cref="MeetingType"/>'s messages.</summary>
internal static class MeetingMessage
{
    public const int NameBytes = 32;
    public const int HeadBytes = 1 + NameBytes;
    public const int StatusBytes = HeadBytes + 1;
    public const int EstablishBytes = HeadBytes + KeyBlinding.SignatureBytes;
    public const int IntroduceBytes = HeadBytes + IntroductionFormat.Bytes;
    public const int AnswerBytes = HeadBytes + IntroductionFormat.AnswerBytes;

    /// <summary>Length of a message of this type; 0 for an unknown one.</summary>
    public static int LengthOf(MeetingType type) => type switch
    {
        MeetingType.Establish => EstablishBytes,
        MeetingType.Established or MeetingType.IntroduceAck or MeetingType.Awaiting or MeetingType.JoinAck => StatusBytes,
        MeetingType.Introduce or MeetingType.Introduced => IntroduceBytes,
        MeetingType.Await or MeetingType.Parted => HeadBytes,
        MeetingType.Join or MeetingType.Joined => AnswerBytes,
        _ => 0,
    };

    /// <summary>Splits a content; what follows the message must be zeros.</summary>
    public static bool TryRead(ReadOnlySpan<byte> content, out MeetingType type, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> body)
    {
        type = content.IsEmpty ? 0 : (MeetingType)content[0];
        name = body = default;
        int length = LengthOf(type);
        if (length == 0 || content.Length < length || content[length..].ContainsAnyExcept((byte)0)) return false;
        name = content.Slice(1, NameBytes);
        body = content[HeadBytes..length];
        return true;
    }

    public static bool Send(PathOutlet[] outlets, PathRef to, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body = default)
    {
        Span<byte> message = stackalloc byte[IntroduceBytes];
        var writer = new WireWriter(message);
        writer.Byte((byte)type);
        writer.Put(name);
        writer.Put(body);
        return outlets[to.Shard].TryCommand(to.Number, PathOutlet.TerminalHop, EndCommand.Meeting, writer.Bytes);
    }

    public static bool Send(PathOutlet[] outlets, PathRef to, MeetingType type, ReadOnlySpan<byte> name, MeetingStatus status) => Send(outlets, to, type, name, [(byte)status]);

    /// <summary>What the signature of ESTABLISH is over: this path and no other.</summary>
    public static byte[] EstablishProof(ReadOnlySpan<byte> transcript, ReadOnlySpan<byte> key) => [.. "oxen establish v1\0"u8, .. transcript, .. key];

    public static bool VerifyEstablish(ReadOnlySpan<byte> transcript, ReadOnlySpan<byte> key, ReadOnlySpan<byte> signature) =>
        RouterIdentity.Verify(EstablishProof(transcript, key), signature, new RouterId(key));
}
