using System.Buffers.Binary;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Links;

namespace Oxen.Router.Core.Gossip;

// Requests of the directory on a link (docs/protocol/directory.md#requests). All begin with kind 3 and the operation:
//
//   1 COMPARE   set 1 | ranges                              reply: ranges
//   2 FETCH     count 1 | router ids 32 each                reply: contacts one after another, those that are held
//   3 NEWS      count 1 | (router id 32 | published 8) each reply: one bit each, the highest of a byte first: "give me that one"
//   4 GIVE      contacts one after another                  reply: one byte, 0
//
// Anybody may send 1 and 2; 3 and 4 are between relays.

internal enum DirectoryOperation : byte
{
    Compare = 1,
    Fetch = 2,
    News = 3,
    Give = 4,
}

/// <summary>Sizes and small parsers of the directory's requests.</summary>
internal static class DirectoryMessages
{
    public const byte Kind = (byte)RequestKind.Directory;
    public const int HeaderBytes = 2;

    /// <summary>No request and no reply is longer.</summary>
    public const int MaxBytes = 60_000;

    /// <summary>So many contacts fit into <see cref="MaxBytes"/> however long they are.</summary>
    public const int MaxContacts = 40;

    public const int MaxNews = 200;
    public const int NewsBytes = RouterId.Bytes + 8;

    public static byte[] Compare(DirectorySet set, ReadOnlySpan<byte> ranges) => [Kind, (byte)DirectoryOperation.Compare, (byte)set, .. ranges];

    public static byte[] Fetch(ReadOnlySpan<RouterId> ids)
    {
        byte[] message = new byte[HeaderBytes + 1 + (ids.Length * RouterId.Bytes)];
        (message[0], message[1], message[2]) = (Kind, (byte)DirectoryOperation.Fetch, (byte)ids.Length);
        for (int i = 0; i < ids.Length; i++) ids[i].CopyTo(message.AsSpan(3 + (i * RouterId.Bytes)));
        return message;
    }

    public static byte[] News(ReadOnlySpan<RouterContact> contacts)
    {
        byte[] message = new byte[HeaderBytes + 1 + (contacts.Length * NewsBytes)];
        (message[0], message[1], message[2]) = (Kind, (byte)DirectoryOperation.News, (byte)contacts.Length);
        for (int i = 0; i < contacts.Length; i++)
        {
            Span<byte> one = message.AsSpan(3 + (i * NewsBytes), NewsBytes);
            contacts[i].Id.CopyTo(one);
            BinaryPrimitives.WriteInt64BigEndian(one[RouterId.Bytes..], contacts[i].PublishedUnixSeconds);
        }

        return message;
    }

    public static byte[] Give(IReadOnlyList<RouterContact> contacts)
    {
        byte[] message = new byte[HeaderBytes + contacts.Sum(c => c.Encoded.Length)];
        (message[0], message[1]) = (Kind, (byte)DirectoryOperation.Give);
        int at = HeaderBytes;
        foreach (RouterContact contact in contacts)
        {
            contact.Encoded.CopyTo(message.AsSpan(at));
            at += contact.Encoded.Length;
        }

        return message;
    }

    /// <summary>Takes the next of several contacts. The length stands at one place in every version, so unknown ones can be stepped over.</summary>
    public static bool TryTakeContact(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> contact)
    {
        contact = default;
        if (rest.Length < 4) return false;
        int length = BinaryPrimitives.ReadUInt16BigEndian(rest[2..]);
        if (length is < 4 or > RouterContact.MaxBytes || length > rest.Length) return false;
        contact = rest[..length];
        rest = rest[length..];
        return true;
    }
}
