namespace Oxen.Ons.Ledger;

// Compatible names: the order of the checks is upstream's. Stricter than there in two things: an update comes from an account that
// is the owner or backup owner, whose signature over the whole operation covers what the old signature leaves open (which field a
// key is for, the name, the network); and only Ed25519 owners are taken, since this ledger checks no wallet signatures.
internal sealed partial class BlockEditor
{
    private Refusal? Name(NameBody body, Operation operation, ulong spendable)
    {
        NamePayload payload = body.Payload;
        if (payload.Type is not { } type) return No(OperationFault.UnknownType, $"there is no type {payload.RawType}");
        if (NamePrices.Price(payload.RawType, _rules.HardFork) is not { } price) return No(OperationFault.TypeNotAllowed, $"type {payload.RawType} comes with hard fork {NamePrices.AllowedFrom(payload.RawType)}; this network has {_rules.HardFork}");
        if (payload.Owner is { IsKey: false } || payload.Backup is { IsKey: false }) return No(OperationFault.OwnerKind, "this ledger takes Ed25519 keys as owners, not wallet addresses");
        if (payload.Owner is not null && payload.Owner.Equals(payload.Backup)) return No(OperationFault.OwnersEqual, "owner and backup owner are the same");
        if (payload.Hash.IsForbidden) return No(OperationFault.ForbiddenHash, "this hash is nobody's");
        if (payload.Value is { } value && !ValueCipher.IsStoredLength(value.Length, type)) return No(OperationFault.ValueLength, $"no stored {type} value has {value.Length} bytes");
        Bytes32 key = NameEntry.Key(type, payload.Hash);
        var entry = _tree.Find(key) as NameEntry;
        if (_touched.Contains(key)) return No(OperationFault.OncePerBlock, "this block has an operation on that name already");
        return payload.Shape switch
        {
            PayloadShape.Buy => Buy(body, operation, spendable, type, price, key, entry),
            PayloadShape.Update => Update(body, operation, type, key, entry),
            PayloadShape.Renew => Renew(body, operation, spendable, price, key, entry),
            _ => No(OperationFault.WrongShape, $"fields {payload.Fields} with {(payload.Previous.IsZero ? "no" : "a")} previous operation are no buy, update or renewal"),
        };
    }

    private Refusal? Buy(NameBody body, Operation operation, ulong spendable, NameType type, ulong price, Bytes32 key, NameEntry? entry)
    {
        NamePayload payload = body.Payload;
        if (entry is not null && entry.IsActive(_height)) return No(OperationFault.Taken, entry.ExpirationHeight == 0 ? "the name is taken for ever" : $"the name is taken up to height {entry.ExpirationHeight}");
        if (Twin(type, payload) is { } twin) return twin;
        if (body.Burn != price) return WrongBurn(body.Burn, price);
        if (Short(price, spendable) is { } refusal) return refusal;
        ulong blocks = _rules.TermBlocks(payload.RawType);
        Destroy(operation.Signer, price);
        Put(key, entry, new NameEntry(type, payload.Hash, payload.Owner!, payload.Backup, payload.Value!, operation.Id, _height, blocks == 0 ? 0 : _height + blocks));
        return null;
    }

    // An account's name and a wallet's name of one text belong together.
    private Refusal? Twin(NameType type, NamePayload payload)
    {
        if (type == NameType.Lokinet) return null;
        NameType other = type == NameType.Session ? NameType.Wallet : NameType.Session;
        if (_tree.Find(NameEntry.Key(other, payload.Hash)) is not NameEntry twin || !twin.IsActive(_height)) return null;
        bool Has(NameOwner? owner) => owner is null || owner.Equals(twin.Owner) || owner.Equals(twin.Backup);
        return Has(payload.Owner) && Has(payload.Backup) ? null : No(OperationFault.TwinTaken, $"the {other} name of this hash belongs to somebody else");
    }

    private Refusal? Update(NameBody body, Operation operation, NameType type, Bytes32 key, NameEntry? entry)
    {
        NamePayload payload = body.Payload;
        if (payload.RawType > (ushort)NameType.Lokinet) return No(OperationFault.WrongShape, "an update has type 0, 1 or 2");
        if (entry is null) return No(OperationFault.NotRegistered, "there is no such name");
        if (!entry.IsActive(_height)) return No(OperationFault.NameExpired, $"the name expired at height {entry.ExpirationHeight}");
        if (payload.Owner is { } owner && owner.Equals(entry.Owner)) return No(OperationFault.NothingChanges, "it has this owner already");
        if (payload.Backup is { } backup && backup.Equals(entry.Backup)) return No(OperationFault.NothingChanges, "it has this backup owner already");
        if (payload.Value is { } value && value.AsSpan().SequenceEqual(entry.Value)) return No(OperationFault.NothingChanges, "it has this value already");
        if (!IsSigned(payload, entry)) return No(OperationFault.NotSignedByOwner, "the signature is neither the owner's nor the backup owner's over this update of the record as it stands");
        if (payload.Previous != entry.LastOperation) return No(OperationFault.StalePrevious, $"it follows {payload.Previous}, and the name's last operation is {entry.LastOperation}");
        NameOwner sender = NameOwner.Of(operation.Signer);
        if (!sender.Equals(entry.Owner) && !sender.Equals(entry.Backup)) return No(OperationFault.NotOwner, "an update is sent by the owner or backup owner");
        if (body.Burn != 0) return WrongBurn(body.Burn, 0);
        Put(key, entry, entry with { Owner = payload.Owner ?? entry.Owner, Backup = payload.Backup ?? entry.Backup, Value = payload.Value ?? entry.Value, LastOperation = operation.Id, UpdateHeight = _height });
        return null;
    }

    private static bool IsSigned(NamePayload payload, NameEntry entry)
    {
        if (payload.SignatureType != 1) return false;
        Span<byte> message = stackalloc byte[Bytes32.Length];
        payload.UpdateMessage(entry.LastOperation).CopyTo(message);
        if (LedgerSignature.Verify(entry.Owner.KeyId, message, payload.Signature)) return true;
        return entry.Backup is { } backup && LedgerSignature.Verify(backup.KeyId, message, payload.Signature);
    }

    private Refusal? Renew(NameBody body, Operation operation, ulong spendable, ulong price, Bytes32 key, NameEntry? entry)
    {
        NamePayload payload = body.Payload;
        ulong blocks = _rules.TermBlocks(payload.RawType);
        if (blocks == 0) return No(OperationFault.WrongShape, "names of this type do not expire and cannot be renewed");
        if (entry is null) return No(OperationFault.NotRegistered, "there is no such name");
        if (!entry.IsActive(_height)) return No(OperationFault.NameExpired, $"the name expired at height {entry.ExpirationHeight}");
        if (payload.Previous != entry.LastOperation) return No(OperationFault.StalePrevious, $"it follows {payload.Previous}, and the name's last operation is {entry.LastOperation}");
        if (body.Burn != price) return WrongBurn(body.Burn, price);
        if (Short(price, spendable) is { } refusal) return refusal;
        Destroy(operation.Signer, price);
        Put(key, entry, entry with { ExpirationHeight = entry.ExpirationHeight + blocks, LastOperation = operation.Id, UpdateHeight = _height });
        return null;
    }

    private static Refusal WrongBurn(ulong found, ulong expected) =>
        No(OperationFault.WrongBurn, $"it burns {found} atomic units, and the price is {expected} ({OxenAmount.Format(expected)} OXEN), exactly");

    private void Destroy(Bytes32 from, ulong amount)
    {
        Pay(from, amount);
        _totals = _totals with { Burned = _totals.Burned + amount };
    }

    private void Put(Bytes32 key, NameEntry? before, NameEntry after)
    {
        if (before is not null)
        {
            Disown(before.Owner, key);
            Disown(before.Backup, key);
        }

        Own(after.Owner, key);
        Own(after.Backup, key);
        _tree.Set(key, after);
        _touched.Add(key);
        _names.Add(after);
    }
}
