using Oxen.Ons.Ledger;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Ledger;

// The cases of oxen-core's tests/core_tests/oxen_tests.cpp (name system), and what our envelope adds.
public class CompatibleNameTests
{
    private const int Session = 0, Wallet = 1, Lokinet = 2, Lokinet2 = 3, Lokinet5 = 4, Lokinet10 = 5;
    private readonly TestLedger _ledger = new();

    [Fact]
    public void A_bought_name_is_its_owners_and_costs_its_price_and_the_fee()
    {
        ulong before = _ledger.Balance("alice");
        Operation buy = _ledger.Do("alice", Buy("hello", Session, "alice", "bob"));
        NameEntry name = _ledger.State.ActiveName(NameType.Session, NameHash.Of("hello"))!;
        Assert.Equal((Owner("alice"), Owner("bob"), buy.Id, 1UL, 0UL), (name.Owner, name.Backup, name.LastOperation, name.UpdateHeight, name.ExpirationHeight));
        Assert.Equal(before - 7 * TestLedger.Oxen - _ledger.Rules.OperationFee, _ledger.Balance("alice"));
        Assert.Equal(7 * TestLedger.Oxen + _ledger.Rules.OperationFee, _ledger.State.Totals.Burned);
        _ledger.Audit();
    }

    [Fact]
    public void A_lokinet_name_expires_and_then_anybody_may_buy_it_with_no_previous_operation()
    {
        _ledger.Do("alice", Buy("a.loki", Lokinet, "alice"));
        NameHash hash = NameHash.Of("a.loki");
        Assert.Equal(3UL, _ledger.State.Name(NameType.Lokinet, hash)!.ExpirationHeight);
        _ledger.Wait(1);
        Assert.NotNull(_ledger.State.ActiveName(NameType.Lokinet, hash)); // height 2: block 3 may still use it
        _ledger.Refused(OperationFault.Taken, "bob", Buy("a.loki", Lokinet, "bob"));
        _ledger.Wait(1);
        Assert.Null(_ledger.State.ActiveName(NameType.Lokinet, hash));
        NameBody follow = Buy("a.loki", Lokinet, "bob");
        _ledger.Refused(OperationFault.WrongShape, "bob", follow with { Payload = follow.Payload with { Previous = _ledger.State.Name(NameType.Lokinet, hash)!.LastOperation } });
        _ledger.Do("bob", follow);
        Assert.Equal(Owner("bob"), _ledger.State.ActiveName(NameType.Lokinet, hash)!.Owner);
        Assert.Empty(_ledger.State.NamesOf(Owner("alice")));
        _ledger.Audit();
    }

    [Fact]
    public void Renewals_add_up_and_anybody_may_pay_for_them()
    {
        _ledger.Do("alice", Buy("a.loki", Lokinet2, "alice"));
        ulong start = _ledger.State.Name(NameType.Lokinet, NameHash.Of("a.loki"))!.ExpirationHeight;
        Assert.Equal(1 + _ledger.Rules.TermBlocks2, start);
        _ledger.Do("bob", _ledger.Renew("a.loki", Lokinet10));
        _ledger.Do("carol", _ledger.Renew("a.loki", Lokinet));
        NameEntry name = _ledger.State.Name(NameType.Lokinet, NameHash.Of("a.loki"))!;
        Assert.Equal(start + _ledger.Rules.TermBlocks10 + _ledger.Rules.TermBlocks1, name.ExpirationHeight);
        Assert.Equal(Owner("alice"), name.Owner);
    }

    [Fact]
    public void A_renewal_needs_a_living_lokinet_name_and_its_last_operation()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice"));
        _ledger.Do("alice", Buy("hello", Wallet, "alice"));
        _ledger.Refused(OperationFault.WrongShape, "alice", _ledger.Renew("hello", Session));
        _ledger.Refused(OperationFault.WrongShape, "alice", _ledger.Renew("hello", Wallet));
        _ledger.Refused(OperationFault.NotRegistered, "alice", _ledger.Renew("b.loki", Lokinet, 0, new Bytes32(Enumerable.Repeat((byte)1, 32).ToArray())));
        _ledger.Do("alice", Buy("a.loki", Lokinet, "alice"));
        _ledger.Refused(OperationFault.StalePrevious, "alice", _ledger.Renew("a.loki", Lokinet, 0, new Bytes32(Enumerable.Repeat((byte)1, 32).ToArray())));
        NameBody late = _ledger.Renew("a.loki", Lokinet);
        _ledger.Wait(2);
        _ledger.Refused(OperationFault.NameExpired, "alice", late);
    }

    [Fact]
    public void A_taken_name_is_refused_also_within_one_block()
    {
        List<Refusal> refused = _ledger.Try(_ledger.Sign("alice", Buy("hello", Session, "alice")), _ledger.Sign("bob", Buy("hello", Session, "bob")));
        Assert.Equal(OperationFault.OncePerBlock, Assert.Single(refused).Fault);
        _ledger.Refused(OperationFault.Taken, "bob", Buy("hello", Session, "bob"));
        Assert.Equal(Owner("alice"), _ledger.State.Name(NameType.Session, NameHash.Of("hello"))!.Owner);
        refused = _ledger.Try(_ledger.Sign("alice", Buy("x.loki", Lokinet, "alice")), _ledger.Sign("bob", Buy("x.loki", Lokinet5, "bob")));
        Assert.Equal(OperationFault.OncePerBlock, Assert.Single(refused).Fault); // the term does not make it another name
    }

    [Theory]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(65535)]
    public void An_unknown_type_is_refused(int type) => _ledger.Refused(OperationFault.UnknownType, "alice", Buy("hello", type, "alice"));

    [Fact]
    public void A_type_from_a_later_hard_fork_is_refused()
    {
        var old = new TestLedger(LedgerRules.Quick with { HardFork = 15 });
        old.Refused(OperationFault.TypeNotAllowed, "alice", Buy("hello", Wallet, "alice"));
        old.Refused(OperationFault.TypeNotAllowed, "alice", Buy("a.loki", Lokinet, "alice"));
        NameBody session = Buy("hello", Session, "alice");
        old.Refused(OperationFault.WrongBurn, "alice", session);
        old.Do("alice", session with { Burn = 20 * TestLedger.Oxen });
    }

    [Theory]
    [InlineData(Session, 7)]
    [InlineData(Wallet, 7)]
    [InlineData(Lokinet, 7)]
    [InlineData(Lokinet2, 14)]
    [InlineData(Lokinet5, 28)]
    [InlineData(Lokinet10, 42)]
    public void One_atomic_unit_more_or_less_than_the_price_is_refused(int type, ulong price)
    {
        foreach (int off in new[] { -1, 1 })
        {
            Refusal refusal = _ledger.Refused(OperationFault.WrongBurn, "alice", Buy("a.loki", type, "alice", burnOff: off));
            Assert.Contains($"{price}000000000 ({price} OXEN), exactly", refusal.Detail, StringComparison.Ordinal);
            Assert.Contains(((long)(price * TestLedger.Oxen) + off).ToString(), refusal.Detail, StringComparison.Ordinal);
        }

        _ledger.Do("alice", Buy("a.loki", type, "alice"));
        if (type < Lokinet) return;
        foreach (int off in new[] { -1, 1 }) _ledger.Refused(OperationFault.WrongBurn, "alice", _ledger.Renew("a.loki", type, off));
    }

    [Fact]
    public void An_update_changes_what_it_names_and_costs_only_the_fee()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice"));
        ulong before = _ledger.Balance("alice");
        Operation update = _ledger.Do("alice", _ledger.Update("hello", NameType.Session, "alice", Value(9, NameType.Session), backup: "bob"));
        NameEntry name = _ledger.State.Name(NameType.Session, NameHash.Of("hello"))!;
        Assert.Equal(Value(9, NameType.Session), name.Value);
        Assert.Equal((Owner("alice"), Owner("bob"), update.Id), (name.Owner, name.Backup, name.LastOperation));
        Assert.Equal(before - _ledger.Rules.OperationFee, _ledger.Balance("alice"));

        // The backup owner may do the same, also take the name.
        _ledger.Do("bob", _ledger.Update("hello", NameType.Session, "bob", owner: "carol"));
        Assert.Equal(Owner("carol"), _ledger.State.Name(NameType.Session, NameHash.Of("hello"))!.Owner);
        Assert.Empty(_ledger.State.NamesOf(Owner("alice")));
        Assert.Single(_ledger.State.NamesOf(Owner("bob")));
        Assert.Single(_ledger.State.NamesOf(Owner("carol")));
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", _ledger.Update("hello", NameType.Session, "alice", Value(3, NameType.Session)));
        _ledger.Audit();
    }

    [Fact]
    public void A_replayed_update_is_refused()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice"));
        NameBody first = _ledger.Update("hello", NameType.Session, "alice", Value(2, NameType.Session));
        Operation sent = _ledger.Do("alice", first);
        _ledger.Refused(OperationFault.Replayed, sent);
        _ledger.Refused(OperationFault.NothingChanges, "alice", first);
        _ledger.Do("alice", _ledger.Update("hello", NameType.Session, "alice", Value(3, NameType.Session)));

        // The old signature is over the old previous operation.
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", first);
        NameBody stale = _ledger.Update("hello", NameType.Session, "alice", Value(4, NameType.Session));
        NameEntry entry = _ledger.State.Name(NameType.Session, NameHash.Of("hello"))!;
        NamePayload lying = stale.Payload with { Previous = new Bytes32(Enumerable.Repeat((byte)7, 32).ToArray()) };
        Assert.NotEqual(lying.Previous, entry.LastOperation);
        _ledger.Refused(OperationFault.StalePrevious, "alice", stale with { Payload = lying });
    }

    [Fact]
    public void Bad_updates_are_refused()
    {
        _ledger.Do("alice", Buy("a.loki", Lokinet2, "alice"));
        NameBody good = _ledger.Update("a.loki", NameType.Lokinet, "alice", Value(2));
        byte[] bent = [.. good.Payload.Signature!];
        bent[5] ^= 1;
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", good with { Payload = good.Payload with { Signature = bent } });
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", good with { Payload = good.Payload with { SignatureType = 0 } });
        _ledger.Refused(OperationFault.NotSignedByOwner, "bob", _ledger.Update("a.loki", NameType.Lokinet, "bob", Value(2)));
        _ledger.Refused(OperationFault.NothingChanges, "alice", _ledger.Update("a.loki", NameType.Lokinet, "alice", Value(1)));
        _ledger.Refused(OperationFault.NothingChanges, "alice", _ledger.Update("a.loki", NameType.Lokinet, "alice", owner: "alice"));
        _ledger.Refused(OperationFault.NotRegistered, "alice", _ledger.Update("b.loki", NameType.Lokinet, "alice", Value(2)));
        _ledger.Refused(OperationFault.OwnersEqual, "alice", _ledger.Update("a.loki", NameType.Lokinet, "alice", owner: "bob", backup: "bob"));
        _ledger.Refused(OperationFault.ValueLength, "alice", _ledger.Update("a.loki", NameType.Lokinet, "alice", new byte[73]));
        _ledger.Refused(OperationFault.WrongBurn, "alice", good with { Burn = 1 });
        _ledger.Refused(OperationFault.WrongShape, "alice", good with { Payload = good.Payload with { RawType = 3 } });
        _ledger.WaitUntil(_ledger.State.Name(NameType.Lokinet, NameHash.Of("a.loki"))!.ExpirationHeight);
        _ledger.Refused(OperationFault.NameExpired, "alice", good);
    }

    [Fact]
    public void The_old_signatures_ambiguity_is_refused()
    {
        // "Owner = bob" and "backup = bob" are one message and one signature; a relay could turn one into the other. Here only an owner's
        // own envelope carries an update, and it covers the fields.
        _ledger.Do("alice", Buy("hello", Session, "alice"));
        NameBody owner = _ledger.Update("hello", NameType.Session, "alice", owner: "bob");
        NamePayload swapped = owner.Payload with { Owner = null, Backup = owner.Payload.Owner };
        Assert.Equal(owner.Payload.UpdateMessage(owner.Payload.Previous), swapped.UpdateMessage(swapped.Previous));
        _ledger.Refused(OperationFault.NotOwner, "bob", owner with { Payload = swapped });
        _ledger.Refused(OperationFault.NotOwner, "bob", owner);
        Operation sent = _ledger.Sign("alice", owner);
        byte[] bytes = [.. sent.Encoded];
        byte[] was = owner.Payload.ToBytes(), now = swapped.ToBytes();
        Assert.Equal(was.Length, now.Length);
        now.CopyTo(bytes.AsSpan(bytes.AsSpan().IndexOf(was)));
        _ledger.Refused(OperationFault.BadSignature, Operation.Read(bytes, _ledger.Network)!);
    }

    [Fact]
    public void Owner_and_backup_owner_of_one_operation_differ()
        => _ledger.Refused(OperationFault.OwnersEqual, "alice", Buy("hello", Session, "alice", "alice"));

    [Fact]
    public void An_accounts_name_and_a_wallets_name_of_one_text_belong_together()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice", "bob"));
        _ledger.Refused(OperationFault.TwinTaken, "carol", Buy("hello", Wallet, "carol"));
        _ledger.Refused(OperationFault.TwinTaken, "alice", Buy("hello", Wallet, "alice", "carol"));
        _ledger.Do("bob", Buy("hello", Wallet, "bob", "alice"));
        _ledger.Do("carol", Buy("hello.loki", Lokinet, "carol")); // lokinet has its own
    }

    [Theory]
    [InlineData(Session, 73)]
    [InlineData(Session, 49)]
    [InlineData(Wallet, 105)]
    [InlineData(Wallet, 113)]
    [InlineData(Lokinet, 72)]
    public void Each_type_takes_its_lengths_of_value_and_no_other(int type, int length)
    {
        for (int wrong = 1; wrong < 130; wrong++)
        {
            if (ValueCipher.IsStoredLength(wrong, (NameType)type)) continue;
            _ledger.Refused(OperationFault.ValueLength, "alice", Buy("hello", type, "alice", value: new byte[wrong]));
        }

        _ledger.Do("alice", Buy("hello", type, "alice", value: new byte[length]));
    }

    [Fact]
    public void Forbidden_hashes_and_wallet_owners_are_refused()
    {
        NameBody body = Buy("hello", Session, "alice");
        foreach (NameHash hash in new[] { NameHash.Of(""), default }) _ledger.Refused(OperationFault.ForbiddenHash, "alice", body with { Payload = body.Payload with { Hash = hash } });
        var wallet = NameOwner.Wallet(Key("x").Id.ToArray(), Key("y").Id.ToArray(), false);
        _ledger.Refused(OperationFault.OwnerKind, "alice", body with { Payload = body.Payload with { Owner = wallet } });
        _ledger.Refused(OperationFault.OwnerKind, "alice", body with { Payload = body.Payload with { Backup = wallet } });
    }

    [Fact]
    public void Going_back_takes_names_and_their_owners_along()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice"));
        LedgerState kept = _ledger.State;
        _ledger.Do("alice", _ledger.Update("hello", NameType.Session, "alice", owner: "carol"));
        for (int i = 0; i < 100; i++) _ledger.Do("bob", Buy($"name-{i}.loki", Lokinet10, "bob", "dave"));
        Assert.Equal(100, _ledger.State.NamesOf(Owner("dave")).Count());
        _ledger.Rollback(1);
        Assert.Equal(kept.Root, _ledger.State.Root);
        Assert.Null(_ledger.State.Name(NameType.Lokinet, NameHash.Of("name-5.loki")));
        foreach (string gone in new[] { "bob", "carol", "dave" }) Assert.DoesNotContain(LedgerState.OwnerKey(Owner(gone)), _ledger.State.Owned.Keys);
        Assert.Equal(Owner("alice"), _ledger.State.Name(NameType.Session, NameHash.Of("hello"))!.Owner);
        _ledger.Audit();

        // The other branch is as if the first had never been.
        var fresh = new TestLedger();
        fresh.Do("alice", Buy("hello", Session, "alice"));
        _ledger.Do("bob", Buy("other", Session, "bob"));
        fresh.Do("bob", Buy("other", Session, "bob"));
        Assert.Equal(fresh.State.Root, _ledger.State.Root);
    }

    [Fact]
    public void Names_are_found_by_owner_and_by_type_as_they_are_now()
    {
        _ledger.Do("alice", Buy("hello", Session, "alice", "bob"));
        _ledger.Do("alice", Buy("hello", Wallet, "alice"));
        _ledger.Do("alice", Buy("a.loki", Lokinet10, "alice"));
        _ledger.Do("alice", _ledger.Update("hello", NameType.Session, "alice", Value(5, NameType.Session)));
        Assert.Equal(3, _ledger.State.NamesOf(Owner("alice")).Count());
        NameEntry ofBob = Assert.Single(_ledger.State.NamesOf(Owner("bob")));
        Assert.Equal((NameType.Session, 4UL), (ofBob.Type, ofBob.UpdateHeight));
        Assert.NotNull(_ledger.State.ActiveName(NameType.Wallet, NameHash.Of("hello")));
        Assert.Null(_ledger.State.ActiveName(NameType.Lokinet, NameHash.Of("hello")));
    }
}
