using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Gossip;

// What a router knew when it wrote this down, for its next start (docs/protocol/directory.md#cache). It is our own file: who is
// a relay is believed from it as it was from those who agreed. The contacts inside are checked anew.
//
//    0    4   "OXDC"
//    4    1   version (1)
//    5    3   zero
//    8   32   network id
//   40    8   written, unix seconds
//   48    4   members, 4 contacts
//   56    .   members: router id 32 | length 1 | operator
//    .    .   contacts, one after another
//    .   32   SHA-256 of everything before: a torn or damaged file is left aside

/// <summary>A directory as a file.</summary>
internal sealed record DirectoryCache(RelayRoster Roster, IReadOnlyList<RouterContact> Contacts, long WrittenUnixSeconds)
{
    public const int MaxBytes = HeaderBytes + (RelayRoster.MaxRelays * (RouterId.Bytes + 1 + RelayRoster.MaxOperatorBytes + RouterContact.MaxBytes)) + 32;

    private const byte Version = 1;
    private const int HeaderBytes = 56;

    public static byte[] Write(ReadOnlySpan<byte> networkId, RelayRoster roster, IReadOnlyCollection<RouterContact> contacts, long nowUnixSeconds)
    {
        RosterEntry[] entries = [.. roster.Entries.OrderBy(e => e.Id)];
        RouterContact[] sorted = [.. contacts.OrderBy(c => c.Id)];
        byte[] data = new byte[HeaderBytes + entries.Sum(e => RouterId.Bytes + 1 + e.Operator.Length) + sorted.Sum(c => c.Encoded.Length) + 32];
        var writer = new WireWriter(data);
        writer.Put("OXDC"u8);
        writer.UInt32((uint)Version << 24);
        writer.Put(networkId);
        writer.UInt64((ulong)nowUnixSeconds);
        writer.UInt32((uint)entries.Length);
        writer.UInt32((uint)sorted.Length);
        foreach (RosterEntry entry in entries)
        {
            entry.Id.CopyTo(writer.Reserve(RouterId.Bytes));
            writer.Byte((byte)entry.Operator.Length);
            Encoding.ASCII.GetBytes(entry.Operator, writer.Reserve(entry.Operator.Length));
        }

        foreach (RouterContact contact in sorted) writer.Put(contact.Encoded);
        SHA256.HashData(data.AsSpan(0, data.Length - 32), data.AsSpan(data.Length - 32));
        return data;
    }

    /// <summary>False: damaged, of another version or network.</summary>
    public static bool TryRead(ReadOnlySpan<byte> data, ReadOnlySpan<byte> networkId, out DirectoryCache? cache)
    {
        cache = null;
        if (data.Length is < HeaderBytes + 32 or > MaxBytes || !data.StartsWith("OXDC"u8) || BinaryPrimitives.ReadUInt32BigEndian(data[4..]) != (uint)Version << 24) return false;
        if (!data.Slice(8, 32).SequenceEqual(networkId)) return false;
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(data[..^32], hash);
        if (!hash.SequenceEqual(data[^32..])) return false;
        var reader = new WireReader(data[40..^32]);
        long written = (long)reader.UInt64();
        uint members = reader.UInt32(), count = reader.UInt32();
        if (members > RelayRoster.MaxRelays || count > RelayRoster.MaxRelays || written < 0) return false;
        var entries = new List<RosterEntry>();
        for (uint i = 0; i < members; i++)
        {
            ReadOnlySpan<byte> id = reader.Take(RouterId.Bytes);
            string name = Encoding.Latin1.GetString(reader.Take(reader.Byte()));
            if (reader.Failed || !RelayRoster.IsOperator(name)) return false;
            entries.Add(new RosterEntry(new RouterId(id), name));
        }

        ReadOnlySpan<byte> rest = reader.Rest;
        var contacts = new List<RouterContact>();
        for (uint i = 0; i < count; i++)
        {
            if (!DirectoryMessages.TryTakeContact(ref rest, out ReadOnlySpan<byte> encoded)) return false;
            if (RouterContact.TryDecode(encoded, out RouterContact? contact) == ContactFault.None) contacts.Add(contact!);
        }

        if (!rest.IsEmpty) return false;
        cache = new DirectoryCache(new RelayRoster(entries), contacts, written);
        return true;
    }
}
