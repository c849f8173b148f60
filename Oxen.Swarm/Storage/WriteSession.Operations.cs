using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Storage;

// What clients ask for, as one node carries it out.
//
// An operation has a stamp of the swarm's logical clock. It must be the latest for every record that it touches: if a later
// one stands here, nothing is done and the answer is "stale, at least this stamp is needed"; whoever coordinates tries again
// with a later stamp. So an operation that was acknowledged by a quorum is later than all that were acknowledged before it,
// because one node at least has seen both, however wrong the nodes' clocks are. docs/protocol/swarm.md#agreement

internal sealed partial class WriteSession
{
    /// <summary>Does one operation. All times are milliseconds of the swarm's clock.</summary>
    public WriteOutcome Apply(WriteOp op, long now) => op switch
    {
        StoreOp store => Store(store, now),
        DeleteOp delete => Delete(delete, now),
        DeleteRangeOp range => DeleteRange(range, now),
        ExpireAllOp all => ExpireAll(all, now),
        ExpireOp expire => Expire(expire, now),
        RevokeOp revoke => Revoke(revoke, now),
        _ => throw new ArgumentException($"no such operation: {op.GetType().Name}", nameof(op)),
    };

    private static WriteOutcome Stale(long required) => new() { Status = WriteStatus.Stale, Required = required };

    private static long Milliseconds(TimeSpan time) => time.Ticks / TimeSpan.TicksPerMillisecond;

    private WriteOutcome Store(StoreOp op, long now)
    {
        MessageRow? found = FindMessage(op.Key);
        (long Owner, short Space, long Stamp, long Gone)? tombstone = found is null ? FindTombstone(op.Key) : null;
        if (found is { } row && row.Stamp > op.Stamp) return Stale(row.Stamp);
        if (tombstone is { } dead && dead.Stamp >= op.Stamp) return Stale(dead.Stamp);

        bool outbox = NamespaceRules.IsPublicOutbox(op.Space);
        Owner? known = Find(op.Account);
        List<MessageRow> others = [];
        if (outbox && known is not null)
        {
            others = MessagesOf(known, op.Space);
            others.RemoveAll(m => m.Key == op.Key);
            long latest = others.Select(m => m.Stamp).Concat(TombstonesOf(known, op.Space).Where(t => t.Key != op.Key && t.Stamp != op.Prior).Select(t => t.Stamp)).DefaultIfEmpty().Max();
            if (latest > op.Stamp) return Stale(latest);
        }

        bool expired = found is { } f && f.Expiry <= now;
        if ((found is null || expired) && IsFull(known, op.Data.Length - others.Sum(m => m.Bytes))) return new WriteOutcome { Status = WriteStatus.Full };
        Owner owner = known ?? FindOrAdd(op.Account);
        var touched = new List<RecordEntry>();
        foreach (MessageRow other in others)
        {
            Remove(other, owner);
            Bury(other.Key, other.Space, op.Stamp, now + Milliseconds(TombstoneLife), owner);
            touched.Add(new RecordEntry(other.Key, RecordKind.Tombstone, op.Stamp, now + Milliseconds(TombstoneLife)));
        }

        if (found is { } here && !expired)
        {
            long expiry = Math.Max(here.Expiry, op.Expiry);
            bool mine = here.Stamp == op.Stamp || (op.Prior != 0 && here.Stamp == op.Prior);
            if (here.Stamp != op.Stamp || expiry != here.Expiry) SetExpiry(here, expiry, op.Stamp, owner);
            touched.Add(new RecordEntry(op.Key, RecordKind.Message, op.Stamp, expiry));
            return new WriteOutcome { Already = !mine, Expiry = expiry, Touched = touched };
        }

        if (found is { } old) Remove(old, owner);
        if (tombstone is { } buried) Unbury(op.Key, buried.Stamp, owner);
        Insert(new SwarmRecord(RecordKind.Message, op.Key, op.Account, op.Space, op.Timestamp, op.Expiry, op.Stamp, op.Data, op.Expiry), owner);
        touched.Add(new RecordEntry(op.Key, RecordKind.Message, op.Stamp, op.Expiry));
        return new WriteOutcome { Expiry = op.Expiry, Fresh = true, Touched = touched };
    }

    // Fair when room gets scarce: below three quarters an account may have its fixed share; above, a few times the average.
    private bool IsFull(Owner? owner, long moreBytes)
    {
        if (moreBytes <= 0) return false;
        long mine = (owner?.Bytes ?? 0) + moreBytes;
        if (_usedBytes > _options.MaxBytes - (_options.MaxBytes / 20) || mine > _options.AccountBytes) return true;
        if (_usedBytes <= _options.MaxBytes - (_options.MaxBytes / 4)) return false;
        long average = _usedBytes / Math.Max(1, _accounts);
        return mine > Math.Max(_options.SmallAccountBytes, average * _options.FairShare);
    }

    private WriteOutcome Delete(DeleteOp op, long now)
    {
        Owner? owner = Find(op.Account);
        var rows = new List<MessageRow>();
        var again = new List<(MessageKey Key, short Space)>();
        long required = 0;
        foreach (MessageKey key in op.Keys.Distinct())
        {
            if (owner is null) break;
            if (FindMessage(key) is { } row)
            {
                if (row.Owner != owner.Id) continue; // somebody else's message: not ours to see
                if (row.Stamp > op.Stamp) required = Math.Max(required, row.Stamp);
                else if (row.Expiry > now) rows.Add(row);
            }
            else if (FindTombstone(key) is { } dead && dead.Owner == owner.Id && IsMine(dead.Stamp, op))
            {
                again.Add((key, dead.Space));
            }
        }

        return required > 0 ? Stale(required) : BuryAll(rows, again, op.Stamp, now, owner);
    }

    private WriteOutcome DeleteRange(DeleteRangeOp op, long now)
    {
        if (Find(op.Account) is not { } owner) return new WriteOutcome();
        var rows = new List<MessageRow>();
        long required = 0;
        foreach (MessageRow row in MessagesOf(owner, op.Space))
        {
            if (op.Before is { } before && row.Timestamp > before) continue;
            if (row.Stamp > op.Stamp) required = Math.Max(required, row.Stamp);
            else if (row.Expiry > now) rows.Add(row);
        }

        if (required > 0) return Stale(required);
        List<(MessageKey, short)> again = [.. TombstonesOf(owner, op.Space).Where(t => IsMine(t.Stamp, op)).Select(t => (t.Key, t.Space))];
        return BuryAll(rows, again, op.Stamp, now, owner);
    }

    // An earlier attempt of the same operation did it.
    private static bool IsMine(long stamp, WriteOp op) => stamp == op.Stamp || (op.Prior != 0 && stamp == op.Prior);

    private WriteOutcome BuryAll(List<MessageRow> rows, List<(MessageKey Key, short Space)> again, long stamp, long now, Owner? owner)
    {
        long gone = now + Milliseconds(TombstoneLife);
        foreach (MessageRow row in rows)
        {
            Remove(row, owner!); // first: what it frees makes room for the tombstone on a full disk
            Bury(row.Key, row.Space, stamp, gone, owner!);
        }

        foreach ((MessageKey key, short space) in again) Bury(key, space, stamp, gone, owner!);
        (short Space, MessageKey Key)[] all = [.. rows.Select(r => (r.Space, r.Key)).Concat(again.Select(a => (a.Space, a.Key)))];
        return new WriteOutcome { Affected = all, Touched = [.. all.Select(a => new RecordEntry(a.Key, RecordKind.Tombstone, stamp, gone))] };
    }

    private WriteOutcome ExpireAll(ExpireAllOp op, long now)
    {
        if (Find(op.Account) is not { } owner) return new WriteOutcome();
        var rows = new List<MessageRow>();
        var done = new List<MessageRow>();
        long required = 0;
        foreach (MessageRow row in MessagesOf(owner, op.Space))
        {
            if (row.Expiry <= now) continue;
            if (row.Expiry <= op.Expiry)
            {
                if (row.Expiry == op.Expiry && IsMine(row.Stamp, op)) done.Add(row);
            }
            else if (row.Stamp > op.Stamp)
            {
                required = Math.Max(required, row.Stamp);
            }
            else
            {
                rows.Add(row);
            }
        }

        if (required > 0) return Stale(required);
        rows.AddRange(done);
        foreach (MessageRow row in rows) SetExpiry(row, op.Expiry, op.Stamp, owner);
        return new WriteOutcome { Affected = [.. rows.Select(r => (r.Space, r.Key))], Touched = [.. rows.Select(r => new RecordEntry(r.Key, RecordKind.Message, op.Stamp, op.Expiry))] };
    }

    private WriteOutcome Expire(ExpireOp op, long now)
    {
        if (Find(op.Account) is not { } owner) return new WriteOutcome();
        var changed = new List<(MessageRow Row, long Expiry)>();
        var unchanged = new List<(MessageKey, long)>();
        long required = 0;
        var seen = new HashSet<MessageKey>();
        for (int i = 0; i < op.Keys.Count; i++)
        {
            long expiry = op.Expiries.Count == 1 ? op.Expiries[0] : op.Expiries[i];
            if (!seen.Add(op.Keys[i]) || FindMessage(op.Keys[i]) is not { } row || row.Owner != owner.Id || row.Expiry <= now) continue;
            bool done = IsMine(row.Stamp, op) && row.Expiry == expiry;
            bool moves = op.Mode switch
            {
                ExpireMode.Shorten => expiry < row.Expiry,
                ExpireMode.Extend => IsWorthExtending(row, expiry),
                _ => true,
            };
            if (!moves && !done) unchanged.Add((row.Key, row.Expiry));
            else if (row.Stamp > op.Stamp) required = Math.Max(required, row.Stamp);
            else changed.Add((row, expiry));
        }

        if (required > 0) return Stale(required);
        foreach ((MessageRow row, long expiry) in changed) SetExpiry(row, expiry, op.Stamp, owner);
        return new WriteOutcome
        {
            Affected = [.. changed.Select(c => (c.Row.Space, c.Row.Key))],
            Applied = [.. changed.Select(c => c.Expiry)],
            Unchanged = unchanged,
            Touched = [.. changed.Select(c => new RecordEntry(c.Row.Key, RecordKind.Message, op.Stamp, c.Expiry))],
        };
    }

    // An extension of less than a hundredth of the message's life, at most of thirty days, is not worth a write.
    private static bool IsWorthExtending(MessageRow row, long expiry)
    {
        long life = Math.Min(Math.Max(0, row.Expiry - row.Timestamp), Milliseconds(StoreLimits.MaxLifetime));
        return expiry > row.Expiry && expiry - row.Expiry >= life / 100;
    }

    private WriteOutcome Revoke(RevokeOp op, long now)
    {
        MessageKey[] keys = [.. op.Tokens.Select(t => SwarmRecord.RevocationKey(t, op.Account))];
        var before = new (bool Revoked, long Stamp)?[keys.Length];
        long required = 0;
        for (int i = 0; i < keys.Length; i++)
        {
            using Statement.Rows row = _findRevocation.Query(keys[i].ToArray());
            if (!row.Read()) continue;
            before[i] = (row.GetBoolean(0), row.GetInt64(1));
            if (row.GetInt64(1) > op.Stamp) required = Math.Max(required, row.GetInt64(1));
        }

        if (required > 0) return Stale(required);
        Owner owner = FindOrAdd(op.Account);
        int count = 0;
        for (int i = 0; i < keys.Length; i++)
        {
            bool was = before[i] is { Revoked: true };
            if (before[i] is { } old && IsMine(old.Stamp, op) ? old.Revoked == op.Revoked : was != op.Revoked) count++;
            Put(keys[i], op.Tokens[i], op.Timestamp, op.Stamp, op.Revoked, op.Revoked ? long.MaxValue : now + Milliseconds(TombstoneLife), owner);
        }

        KeepNewestRevocations(owner);
        return new WriteOutcome { Count = count, Touched = [.. keys.Select(k => RevocationEntry(k, op.Revoked, op.Stamp))] };
    }

    private void Put(MessageKey key, byte[] token, long timestamp, long stamp, bool revoked, long gone, Owner owner)
    {
        using (Statement.Rows row = _findRevocation.Query(key.ToArray()))
        {
            if (row.Read()) Removed(owner, RevocationEntry(key, row.GetBoolean(0), row.GetInt64(1)));
        }

        _putRevocation.Run(key.ToArray(), owner.Id, token, timestamp, stamp, revoked ? 1 : 0, gone);
        Added(owner, RevocationEntry(key, revoked, stamp));
    }

    private static RecordEntry RevocationEntry(MessageKey key, bool revoked, long stamp) => new(key, revoked ? RecordKind.Revoked : RecordKind.Unrevoked, stamp, 0);

    private void KeepNewestRevocations(Owner owner)
    {
        var surplus = new List<(MessageKey Key, long Stamp)>();
        using (Statement.Rows rows = _revocationsOf.Query(owner.Id))
        {
            for (int n = 0; rows.Read(); n++)
            {
                if (n >= MaxRevocations) surplus.Add((rows.GetKey(0), rows.GetInt64(1)));
            }
        }

        foreach ((MessageKey key, long stamp) in surplus)
        {
            _removeRevocation.Run(key.ToArray());
            Removed(owner, RevocationEntry(key, true, stamp));
        }
    }
}
