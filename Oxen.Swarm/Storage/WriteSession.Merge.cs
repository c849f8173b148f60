using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

// Records of other nodes, what was forgotten in time, and what belongs to another swarm.

internal sealed partial class WriteSession
{
    /// <summary>Takes what beats the record here. Returns how many were news. Quotas do not count: a quorum has accepted them.</summary>
    public int Merge(IReadOnlyList<SwarmRecord> records, long now)
    {
        int news = 0;
        foreach (SwarmRecord record in records) news += Merge(record, now) ? 1 : 0;
        return news;
    }

    /// <summary>Forgets what is over, at most `limit` of a kind. Returns how many messages and others went.</summary>
    public int Clean(long now, int limit)
    {
        int count = 0;
        foreach (MessageRow row in Rows("SELECT key, id, space, timestamp, expiry, latest, stamp, length(data), owner FROM messages WHERE expiry<=$0 LIMIT $1", now, limit))
        {
            Owner owner = FindById(row.Owner);
            Remove(row, owner);
            // It was shortened: a node that missed that still has it with a longer life, and must not give it back.
            if (row.Latest > now) Bury(row.Key, row.Space, row.Stamp, row.Latest + Milliseconds(TimeSpan.FromDays(1)), owner);
            count++;
        }

        count += Forget("tombstones", "SELECT key, owner, stamp, 1 FROM tombstones WHERE gone<=$0 LIMIT $1", now, limit);
        count += Forget("revocations", "SELECT key, owner, stamp, 3-revoked FROM revocations WHERE gone<=$0 LIMIT $1", now, limit);
        DropEmptyOwners();
        return count;
    }

    /// <summary>Removes these without a trace, if they are still as described: another swarm has them.</summary>
    public int HandOver(IReadOnlyList<RecordEntry> entries)
    {
        int count = 0;
        foreach (RecordEntry entry in entries)
        {
            if (entry.Kind == RecordKind.Message)
            {
                if (FindMessage(entry.Key) is not { } row || row.Entry != entry) continue;
                Remove(row, FindById(row.Owner));
            }
            else
            {
                string table = entry.Kind == RecordKind.Tombstone ? "tombstones" : "revocations";
                using Statement find = Transient($"SELECT owner FROM {table} WHERE key=$0 AND stamp=$1", 2);
                if (find.Number(entry.Key.ToArray(), entry.Stamp) is not { } owner) continue;
                using Statement remove = Transient($"DELETE FROM {table} WHERE key=$0", 1);
                remove.Run(entry.Key.ToArray());
                Removed(FindById(owner), entry);
            }

            count++;
        }

        DropEmptyOwners();
        return count;
    }

    private void DropEmptyOwners()
    {
        using Statement drop = Transient(
            """
            DELETE FROM owners WHERE id=$0 AND messages=0 AND NOT EXISTS(SELECT 1 FROM tombstones WHERE owner=$0)
            AND NOT EXISTS(SELECT 1 FROM revocations WHERE owner=$0)
            """,
            1);
        int dropped = 0;
        foreach (long owner in _maybeEmpty) dropped += drop.Run(owner);
        if (dropped > 0) _owners.Clear();
        _maybeEmpty.Clear();
    }

    private bool Merge(SwarmRecord record, long now)
    {
        if (record.IsRevocation) return MergeRevocation(record, now);
        if (record.Expiry <= now) return false;
        MessageRow? found = FindMessage(record.Key);
        (long Owner, short Space, long Stamp, long Gone)? tombstone = found is null ? FindTombstone(record.Key) : null;
        if (found is { } row && !record.Entry.Beats(row.Entry)) return false;
        if (tombstone is { } dead && !record.Entry.Beats(new RecordEntry(record.Key, RecordKind.Tombstone, dead.Stamp, dead.Gone))) return false;
        Owner owner = FindOrAdd(record.Account);
        if (record.Kind == RecordKind.Tombstone)
        {
            if (found is { } victim) Remove(victim, owner);
            Bury(record.Key, record.Space, record.Stamp, record.Expiry, owner);
            return true;
        }

        if (NamespaceRules.IsPublicOutbox(record.Space) && !WinsOutbox(record, now, owner)) return true;
        if (found is { } here)
        {
            SetExpiry(here, record.Expiry, record.Stamp, owner);
            return true;
        }

        if (tombstone is { } buried) Unbury(record.Key, buried.Stamp, owner);
        Insert(record, owner);
        return true;
    }

    // One message only: the later one stays, the others become tombstones as if its store had been seen here.
    private bool WinsOutbox(SwarmRecord record, long now, Owner owner)
    {
        List<MessageRow> others = MessagesOf(owner, record.Space);
        others.RemoveAll(m => m.Key == record.Key);
        if (others.Count == 0) return true;
        MessageRow rival = others.MaxBy(m => (m.Stamp, m.Key));
        long gone = now + Milliseconds(TombstoneLife);
        if ((rival.Stamp, rival.Key).CompareTo((record.Stamp, record.Key)) > 0)
        {
            Bury(record.Key, record.Space, Math.Max(record.Stamp, rival.Stamp), gone, owner);
            return false;
        }

        foreach (MessageRow other in others)
        {
            Remove(other, owner);
            Bury(other.Key, other.Space, Math.Max(other.Stamp, record.Stamp), gone, owner);
        }

        return true;
    }

    private bool MergeRevocation(SwarmRecord record, long now)
    {
        if (record.Kind == RecordKind.Unrevoked && record.Expiry <= now) return false;
        using (Statement.Rows row = _findRevocation.Query(record.Key.ToArray()))
        {
            if (row.Read() && !(record.Entry with { Expiry = 0 }).Beats(RevocationEntry(record.Key, row.GetBoolean(0), row.GetInt64(1)))) return false;
        }

        Owner owner = FindOrAdd(record.Account);
        Put(record.Key, record.Data, record.Timestamp, record.Stamp, record.Kind == RecordKind.Revoked, record.Kind == RecordKind.Revoked ? long.MaxValue : record.Expiry, owner);
        KeepNewestRevocations(owner);
        return true;
    }

    private int Forget(string table, string sql, long now, int limit)
    {
        var gone = new List<(MessageKey Key, long Owner, long Stamp, RecordKind Kind)>();
        using (Statement find = Transient(sql, 2))
        {
            using Statement.Rows row = find.Query(now, limit);
            while (row.Read()) gone.Add((row.GetKey(0), row.GetInt64(1), row.GetInt64(2), (RecordKind)row.GetInt32(3)));
        }

        using Statement remove = Transient($"DELETE FROM {table} WHERE key=$0", 1);
        foreach ((MessageKey key, long owner, long stamp, RecordKind kind) in gone)
        {
            remove.Run(key.ToArray());
            Removed(FindById(owner), new RecordEntry(key, kind, stamp, 0));
        }

        return gone.Count;
    }

    private List<MessageRow> Rows(string sql, long now, int limit)
    {
        var rows = new List<MessageRow>();
        using Statement find = Transient(sql, 2);
        using Statement.Rows row = find.Query(now, limit);
        while (row.Read())
        {
            rows.Add(new MessageRow(row.GetKey(0), row.GetInt64(1), row.GetInt64(8), row.GetInt16(2), row.GetInt64(3), row.GetInt64(4), row.GetInt64(5), row.GetInt64(6), row.GetInt32(7)));
        }

        return rows;
    }
}
