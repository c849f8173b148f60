using Oxen.Ons.Zones;

namespace Oxen.Ons.Ledger;

// Zones: names of the second version. docs/protocol/zones.md
internal sealed partial class BlockEditor
{
    private const byte MaxYears = 10;
    private const ulong ForfeitDivisor = 10; // a tenth of a deposit that was never used

    private Refusal? ZoneCommit(ZoneCommitBody body, Operation operation, ulong spendable)
    {
        Bytes32 key = CommitmentEntry.Key(body.Commitment);
        if (_tree.Find(key) is not null) return No(OperationFault.CommitmentExists, "this commitment was made already");
        ulong least = _rules.ZonePrice(ZoneIndex.LongestClass);
        if (body.Deposit < least) return No(OperationFault.DepositTooSmall, $"no zone costs {OxenAmount.Format(body.Deposit)} OXEN; the least is {OxenAmount.Format(least)}");
        if (Short(body.Deposit, spendable) is { } refusal) return refusal;
        Pay(operation.Signer, body.Deposit);
        _totals = _totals with { Deposits = _totals.Deposits + body.Deposit };
        var entry = new CommitmentEntry(body.Commitment, operation.Signer, body.Deposit, _height);
        _tree.Set(key, entry);
        _schedule = _schedule.Add(Due.Of(entry, _rules));
        return null;
    }

    private Refusal? ZoneReveal(ZoneRevealBody body, Operation operation)
    {
        if (body.Years is 0 or > MaxYears) return No(OperationFault.BadYears, $"a zone is bought for 1 to {MaxYears} years, not {body.Years}");
        if (body.Owner == body.Backup) return No(OperationFault.OwnersEqual, "owner and backup owner are the same");
        if (_tree.Find(CommitmentEntry.Key(body.Commitment(operation.Signer, _network))) is not CommitmentEntry commitment)
            return No(OperationFault.NoCommitment, "this signer has committed to nothing that opens like this");
        ulong age = _height - commitment.Height;
        if (age < _rules.CommitMinBlocks) return No(OperationFault.TooEarly, $"the commitment is of height {commitment.Height}; it may be opened from {commitment.Height + _rules.CommitMinBlocks} on");
        ulong price = _rules.ZonePrice(body.LengthClass) * body.Years;
        if (commitment.Deposit < price) return No(OperationFault.DepositTooSmall, $"the deposit is {OxenAmount.Format(commitment.Deposit)} OXEN, the price {OxenAmount.Format(price)}");
        Bytes32 index = ZoneIndex.Of(body.Type, body.LengthClass, body.Blind, _network);
        Bytes32 key = ZoneEntry.Key(index);
        var old = _tree.Find(key) as ZoneEntry;
        if (old is not null && old.IsHeld(_height, _rules.GraceBlocks)) return No(OperationFault.Taken, $"the zone is held up to height {old.ExpirationHeight + _rules.GraceBlocks}, {_rules.GraceBlocks} blocks of grace included");
        if (_touched.Contains(key)) return No(OperationFault.OncePerBlock, "this block has an operation on that zone already");
        Drop(commitment);
        _totals = _totals with { Deposits = _totals.Deposits - commitment.Deposit, Burned = _totals.Burned + price };
        Receive(commitment.Payer, commitment.Deposit - price);

        // Numbers go on where a former owner's ended: nothing that it signed is newer.
        Put(key, old, new ZoneEntry(body.Type, body.LengthClass, index, body.Owner, body.Backup, body.Value, old is null ? 0 : old.Sequence + 1, old is null ? 0 : old.Epoch + 1, _height + body.Years * _rules.ZoneYearBlocks, operation.Id, _height, null));
        return null;
    }

    private Refusal? ZoneUpdate(ZoneUpdateBody body, Operation operation)
    {
        if (Zone(body.Index, body.Previous, out Bytes32 key, out ZoneEntry? zone) is { } refusal) return refusal;
        if (!zone!.IsActive(_height)) return No(OperationFault.NameExpired, $"the zone expired at height {zone.ExpirationHeight}; renew it first");
        if (body.Sequence != zone.Sequence + 1) return No(OperationFault.WrongSequence, $"its sequence is {body.Sequence}, expected {zone.Sequence + 1}");
        if (!body.IsSignedBy(zone.Owner, zone.Type, _network)) return No(OperationFault.NotSignedByOwner, "the signature is not the owner's over this update");
        bool owner = body.Fields.HasFlag(ZoneFields.Owner);
        if (owner && zone.Recovery is not null) return No(OperationFault.RecoveryPending, "a recovery is pending: cancel it before the zone is given away");
        if (owner && body.Owner == zone.Owner) return No(OperationFault.NothingChanges, "it has this owner already");
        if (body.Fields.HasFlag(ZoneFields.Backup) && body.Backup == zone.Backup) return No(OperationFault.NothingChanges, "it has this backup owner already");
        if (body.Fields.HasFlag(ZoneFields.NoBackup) && zone.Backup is null) return No(OperationFault.NothingChanges, "it has no backup owner already");
        if (body.Fields.HasFlag(ZoneFields.Value) && body.Value.AsSpan().SequenceEqual(zone.Value)) return No(OperationFault.NothingChanges, "it has this value already");
        ZoneEntry after = zone with
        {
            Owner = owner ? body.Owner : zone.Owner,
            Backup = body.Fields.HasFlag(ZoneFields.Backup) ? body.Backup : body.Fields.HasFlag(ZoneFields.NoBackup) ? null : zone.Backup,
            Value = body.Fields.HasFlag(ZoneFields.Value) ? body.Value : owner ? [] : zone.Value,
            Sequence = body.Sequence,
            Epoch = owner ? zone.Epoch + 1 : zone.Epoch,
            Recovery = body.Fields.HasFlag(ZoneFields.NoBackup) || body.Fields.HasFlag(ZoneFields.Backup) ? null : zone.Recovery,
            LastOperation = operation.Id,
            UpdateHeight = _height,
        };
        if (after.Owner == after.Backup) return No(OperationFault.OwnersEqual, "owner and backup owner would be the same");
        Put(key, zone, after);
        return null;
    }

    private Refusal? ZoneRenew(ZoneRenewBody body, Operation operation, ulong spendable)
    {
        if (Zone(body.Index, null, out Bytes32 key, out ZoneEntry? zone) is { } refusal) return refusal;
        if (body.Years is 0 or > MaxYears) return No(OperationFault.BadYears, $"a zone is renewed for 1 to {MaxYears} years, not {body.Years}");
        ulong until = zone!.ExpirationHeight + body.Years * _rules.ZoneYearBlocks;
        if (until > _height + (MaxYears + 1) * _rules.ZoneYearBlocks) return No(OperationFault.TooFarAhead, $"that would hold it up to height {until}; {MaxYears + 1} years ahead are the most, which now leaves room for {(_height + (MaxYears + 1) * _rules.ZoneYearBlocks - zone.ExpirationHeight) / _rules.ZoneYearBlocks} more");
        ulong price = _rules.ZonePrice(zone.LengthClass) * body.Years;
        if (body.Burn != price) return WrongBurn(body.Burn, price);
        if (Short(price, spendable) is { } shortage) return shortage;
        Destroy(operation.Signer, price);

        // Not the owner's operation: what the owner has signed stays good, so the chain of operations does not move.
        Put(key, zone, zone with { ExpirationHeight = until, UpdateHeight = _height });
        return null;
    }

    private Refusal? ZoneRecover(ZoneRecoverBody body, Operation operation)
    {
        if (Zone(body.Index, body.Previous, out Bytes32 key, out ZoneEntry? zone) is { } refusal) return refusal;
        if (zone!.Backup is not { } backup) return No(OperationFault.NoBackup, "the zone has no backup owner");
        Bytes32 by = body.Step == RecoveryStep.Cancel ? zone.Owner : backup;
        if (!body.IsSignedBy(by, zone.Type, _network)) return No(OperationFault.NotSignedByOwner, body.Step == RecoveryStep.Cancel ? "the owner cancels, and this is not its signature" : "the backup owner recovers, and this is not its signature");
        if (body.Step == RecoveryStep.Start && zone.Recovery is not null) return No(OperationFault.RecoveryPending, "a recovery is pending already");
        if (body.Step != RecoveryStep.Start && zone.Recovery is null) return No(OperationFault.NoRecovery, "no recovery is pending");
        if (body.Step == RecoveryStep.Start && (body.NewOwner == backup || body.NewOwner == zone.Owner)) return No(OperationFault.OwnersEqual, "the new owner is one of the two already");
        if (body.Step == RecoveryStep.Finish && _height < zone.Recovery!.ReadyHeight) return No(OperationFault.TooEarly, $"the owner may cancel up to height {zone.Recovery.ReadyHeight - 1}");
        ZoneEntry after = zone with { LastOperation = operation.Id, UpdateHeight = _height };
        after = body.Step switch
        {
            RecoveryStep.Start => after with { Recovery = new PendingRecovery(body.NewOwner, _height + _rules.RecoveryDelayBlocks) },
            RecoveryStep.Cancel => after with { Recovery = null },
            _ => after with { Owner = zone.Recovery!.NewOwner, Epoch = zone.Epoch + 1, Sequence = zone.Sequence + 1, Value = [], Recovery = null },
        };
        Put(key, zone, after);
        return null;
    }

    private Refusal? Reverse(ReverseBody body, Operation operation)
    {
        if (body.Name.Length > 0 && (NameRules.Check(body.Name, NameType.Lokinet) != NameFault.None || NameRules.Fold(body.Name) != body.Name)) return No(OperationFault.BadName, "this is no folded .loki name");
        Bytes32 key = ReverseEntry.Key(body.Address);
        string before = (_tree.Find(key) as ReverseEntry)?.Name ?? "";
        if (body.Name == before) return No(OperationFault.NothingChanges, "it says this already");
        if (!body.IsSigned(operation.Signer, operation.Nonce, _network)) return No(OperationFault.NotSignedByOwner, "the signature is not the address's over this operation");
        if (body.Name.Length == 0) _tree.Remove(key);
        else _tree.Set(key, new ReverseEntry(body.Address, body.Name));
        return null;
    }

    // A zone that is held, not yet touched in this block, and whose last operation is the one that was meant.
    private Refusal? Zone(Bytes32 index, Bytes32? previous, out Bytes32 key, out ZoneEntry? zone)
    {
        key = ZoneEntry.Key(index);
        zone = _tree.Find(key) as ZoneEntry;
        if (zone is null) return No(OperationFault.NotRegistered, "there is no such zone");
        if (!zone.IsHeld(_height, _rules.GraceBlocks)) return No(OperationFault.NameExpired, $"the zone expired at height {zone.ExpirationHeight}, and its {_rules.GraceBlocks} blocks of grace are over");
        if (_touched.Contains(key)) return No(OperationFault.OncePerBlock, "this block has an operation on that zone already");
        return previous is null || previous == zone.LastOperation ? null : No(OperationFault.StalePrevious, $"it follows {previous}, and the zone's last operation is {zone.LastOperation}");
    }

    private void LapseCommitment(Bytes32 id)
    {
        var commitment = (CommitmentEntry)_tree.Find(CommitmentEntry.Key(id))!;
        ulong forfeit = commitment.Deposit / ForfeitDivisor;
        Drop(commitment);
        _totals = _totals with { Deposits = _totals.Deposits - commitment.Deposit, Burned = _totals.Burned + forfeit };
        Receive(commitment.Payer, commitment.Deposit - forfeit);
    }

    private void Drop(CommitmentEntry commitment)
    {
        _tree.Remove(CommitmentEntry.Key(commitment.Commitment));
        _schedule = _schedule.Remove(Due.Of(commitment, _rules));
    }

    private void Put(Bytes32 key, ZoneEntry? before, ZoneEntry after)
    {
        if (before is not null)
        {
            Disown(NameOwner.Of(before.Owner), key);
            if (before.Backup is { } old) Disown(NameOwner.Of(old), key);
        }

        Own(NameOwner.Of(after.Owner), key);
        if (after.Backup is { } backup) Own(NameOwner.Of(backup), key);
        _tree.Set(key, after);
        _touched.Add(key);
    }
}
