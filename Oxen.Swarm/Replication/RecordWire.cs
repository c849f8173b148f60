using System.Buffers.Binary;
using Oxen.Swarm.Storage;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Replication;

// Records and entries between nodes. docs/protocol/swarm.md#between-nodes
//
//   entry    key 32 | kind 1 | stamp 8 | expiry 8                      49 bytes, big-endian; many stand in one string
//   record   l kind key account space timestamp expiry stamp data latest e

/// <summary>Reads and writes records. Whatever a peer says is checked as if a stranger had said it.</summary>
internal static class RecordWire
{
    public const int EntryBytes = 49;

    /// <summary>A token of a subaccount.</summary>
    private const int TokenBytes = 36;

    public static byte[] WriteEntries(IReadOnlyList<RecordEntry> entries)
    {
        byte[] bytes = new byte[entries.Count * EntryBytes];
        for (int i = 0; i < entries.Count; i++)
        {
            Span<byte> at = bytes.AsSpan(i * EntryBytes);
            entries[i].Key.CopyTo(at);
            at[32] = (byte)entries[i].Kind;
            BinaryPrimitives.WriteInt64BigEndian(at[33..], entries[i].Stamp);
            BinaryPrimitives.WriteInt64BigEndian(at[41..], entries[i].Expiry);
        }

        return bytes;
    }

    /// <summary>Null if the bytes are no entries.</summary>
    public static List<RecordEntry>? ReadEntries(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % EntryBytes != 0) return null;
        var entries = new List<RecordEntry>(bytes.Length / EntryBytes);
        for (; !bytes.IsEmpty; bytes = bytes[EntryBytes..])
        {
            if (bytes[32] > (byte)RecordKind.Unrevoked) return null;
            entries.Add(new RecordEntry(MessageKey.Read(bytes), (RecordKind)bytes[32], BinaryPrimitives.ReadInt64BigEndian(bytes[33..]), BinaryPrimitives.ReadInt64BigEndian(bytes[41..])));
        }

        return entries;
    }

    public static byte[] WriteKeys(IReadOnlyList<MessageKey> keys)
    {
        byte[] bytes = new byte[keys.Count * MessageKey.Bytes];
        for (int i = 0; i < keys.Count; i++) keys[i].CopyTo(bytes.AsSpan(i * MessageKey.Bytes));
        return bytes;
    }

    public static List<MessageKey>? ReadKeys(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length % MessageKey.Bytes != 0) return null;
        var keys = new List<MessageKey>(bytes.Length / MessageKey.Bytes);
        for (; !bytes.IsEmpty; bytes = bytes[MessageKey.Bytes..]) keys.Add(MessageKey.Read(bytes));
        return keys;
    }

    public static byte[] WriteSums(ulong[] sums)
    {
        byte[] bytes = new byte[sums.Length * 8];
        for (int i = 0; i < sums.Length; i++) BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan(i * 8), sums[i]);
        return bytes;
    }

    public static ulong[]? ReadSums(ReadOnlySpan<byte> bytes, int count)
    {
        if (bytes.Length != count * 8) return null;
        ulong[] sums = new ulong[count];
        for (int i = 0; i < count; i++) sums[i] = BinaryPrimitives.ReadUInt64BigEndian(bytes[(i * 8)..]);
        return sums;
    }

    public static List<object> Write(SwarmRecord record)
    {
        byte[] account = new byte[AccountId.Bytes];
        record.Account.CopyTo(account);
        return [(long)record.Kind, record.Key.ToArray(), account, (long)record.Space, record.Timestamp, record.Expiry, record.Stamp, record.Data, record.Latest];
    }

    /// <summary>
    /// Null if it is no record, or one that cannot be true: a message whose hash is not that of its content, a token under
    /// another key, a life longer than any client may ask for, a stamp of the far future.
    /// </summary>
    public static SwarmRecord? Read(object value, long now, Func<long, bool> isCredible)
    {
        if (value is not List<object> { Count: 9 } list) return null;
        if (list[0] is not long kind || kind is < 0 or > (long)RecordKind.Unrevoked || list[1] is not byte[] { Length: MessageKey.Bytes } key) return null;
        if (list[2] is not byte[] { Length: AccountId.Bytes } raw || !AccountId.TryRead(raw, false, out AccountId account)) return null;
        if (list[3] is not long space || space is < short.MinValue or > short.MaxValue || list[4] is not long timestamp || list[5] is not long expiry) return null;
        if (list[6] is not long stamp || !isCredible(stamp) || list[7] is not byte[] data || list[8] is not long latest) return null;
        var record = new SwarmRecord((RecordKind)kind, MessageKey.Read(key), account, (short)space, timestamp, expiry, stamp, data, latest);
        long longest = now + (long)(WriteSession.TombstoneLife + TimeSpan.FromDays(2)).TotalMilliseconds;
        return record.Kind switch
        {
            RecordKind.Message => IsMessage(record, longest) ? record : null,
            RecordKind.Tombstone => data.Length == 0 && expiry <= longest ? record : null,
            _ => data.Length == TokenBytes && SwarmRecord.RevocationKey(data, account) == record.Key && (record.Kind == RecordKind.Revoked || expiry <= longest) ? record : null,
        };
    }

    private static bool IsMessage(SwarmRecord record, long longest) =>
        record.Data.Length <= StoreLimits.MaxDataBytes && record.Expiry <= longest && record.Latest <= longest
        && MessageKey.TryParse(MessageHash.Of(record.Data, record.Account, record.Space), out MessageKey key) && key == record.Key;
}
