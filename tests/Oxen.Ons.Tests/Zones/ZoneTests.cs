using Oxen.Ons.Ledger;
using Oxen.Ons.Tests.Ledger;
using Oxen.Ons.Zones;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Zones;

public class ZoneTests
{
    private static readonly Lazy<ZoneIndex> Hello = new(() => ZoneIndex.Of("Hello-World.loki", NameType.Lokinet, new TestLedger().Network));
    private static readonly Bytes32 Salt = LedgerHash.Of("salt"u8, [1]);
    private readonly TestLedger _ledger = new();

    private static ZoneIndex Name => Hello.Value;

    private ZoneEntry Zone => _ledger.State.Zone(Name.Index)!;

    private static byte[] Nonce(int i) => [.. Enumerable.Repeat((byte)i, 24)];

    private ZoneRevealBody Reveal(string owner, string? backup = null, byte years = 1, byte[]? value = null, Bytes32? salt = null)
        => new(NameType.Lokinet, Name.LengthClass, years, Name.Blind, Key(owner).Id, backup is null ? null : Key(backup).Id, value ?? [], salt ?? Salt);

    private void Buy(string owner, string? backup = null, byte years = 1, byte[]? value = null)
    {
        ZoneRevealBody reveal = Reveal(owner, backup, years, value);
        _ledger.Do(owner, new ZoneCommitBody(reveal.Commitment(Key(owner).Id, _ledger.Network), 7UL * years * TestLedger.Oxen));
        _ledger.Wait(1);
        _ledger.Do(owner, reveal);
    }

    private ZoneUpdateBody Update(string signer, ZoneFields fields, string? owner = null, string? backup = null, byte[]? value = null)
        => new ZoneUpdateBody(Name.Index, Zone.LastOperation, Zone.Sequence + 1, fields, owner is null ? default : Key(owner).Id, backup is null ? default : Key(backup).Id, value ?? [], []).SignedBy(Key(signer), NameType.Lokinet, _ledger.Network);

    private ZoneRecoverBody Recover(string signer, RecoveryStep step, string? to = null)
        => new ZoneRecoverBody(Name.Index, Zone.LastOperation, step, to is null ? default : Key(to).Id, []).SignedBy(Key(signer), NameType.Lokinet, _ledger.Network);

    private byte[] Content(string owner, ulong sequence, uint epoch, ulong last = 0, string text = "hi")
        => ZoneContent.Seal(Name, Key(owner), sequence, epoch, last, [ZoneRecord.Address(Key("service").Id.ToArray()), ZoneRecord.Text(text)], _ledger.Network, Nonce(1));

    [Fact]
    public void An_index_is_memory_hard_and_bound_to_network_type_and_length()
    {
        ZoneIndex again = ZoneIndex.Of("hello-world.loki", NameType.Lokinet, _ledger.Network);
        Assert.Equal(Name.Index, again.Index);
        Assert.Equal(3, Name.LengthClass);
        Assert.NotEqual(Name.Index, ZoneIndex.Of("hello-world.loki", NameType.Lokinet, LedgerHash.Of("other"u8, [])).Index);
        Assert.NotEqual(Name.Index, ZoneIndex.Of(NameType.Session, 3, Name.Blind, _ledger.Network));
        Assert.NotEqual(Name.Index, ZoneIndex.Of(NameType.Lokinet, 2, Name.Blind, _ledger.Network));
        Assert.Throws<ArgumentException>(() => ZoneIndex.Of("no dots.loki", NameType.Lokinet, _ledger.Network));
        Assert.Equal([0, 0, 1, 2, 2, 3], new[] { "a.loki", "abc.loki", "abcd.loki", "abcde.loki", "abcdef.loki", "abcdefg.loki" }.Select(n => (int)ZoneIndex.ClassOf(n, NameType.Lokinet)));
    }

    [Fact]
    public void A_commitment_is_opened_after_its_wait_and_what_is_too_much_comes_back()
    {
        ulong start = _ledger.Balance("alice");
        ZoneRevealBody reveal = Reveal("alice", "bob");
        _ledger.Do("alice", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _ledger.Network), 50 * TestLedger.Oxen));
        _ledger.Refused(OperationFault.TooEarly, "alice", reveal);
        _ledger.Refused(OperationFault.CommitmentExists, "bob", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _ledger.Network), 50 * TestLedger.Oxen));
        _ledger.Audit();
        _ledger.Wait(1);
        _ledger.Do("alice", reveal);
        Assert.Equal(start - 7 * TestLedger.Oxen - 2 * _ledger.Rules.OperationFee, _ledger.Balance("alice"));
        Assert.Equal((Key("alice").Id, Key("bob").Id, _ledger.Height + 10), (Zone.Owner, Zone.Backup, Zone.ExpirationHeight));
        Assert.Contains(_ledger.State.ZonesOf(Key("bob").Id), z => z.Index == Name.Index);
        _ledger.Refused(OperationFault.NoCommitment, "alice", reveal);
        _ledger.Audit();
    }

    [Fact]
    public void Whoever_sees_a_commitment_or_its_opening_cannot_use_it()
    {
        ZoneRevealBody reveal = Reveal("alice");
        Bytes32 commitment = reveal.Commitment(Key("alice").Id, _ledger.Network);
        _ledger.Do("alice", new ZoneCommitBody(commitment, 7 * TestLedger.Oxen));
        _ledger.Wait(1);

        // Mallory copies the opening out of the queue: with her name on it, with his name on it, with a commitment of her own.
        ZoneRevealBody copied = reveal with { Owner = Key("carol").Id };
        _ledger.Refused(OperationFault.NoCommitment, "carol", reveal);
        _ledger.Refused(OperationFault.NoCommitment, "carol", copied);
        List<Refusal> refused = _ledger.Try(_ledger.Sign("carol", new ZoneCommitBody(copied.Commitment(Key("carol").Id, _ledger.Network), 7 * TestLedger.Oxen)), _ledger.Sign("alice", reveal));
        Assert.Empty(refused);
        _ledger.Wait(1);
        _ledger.Refused(OperationFault.Taken, "carol", copied);
        Assert.Equal(Key("alice").Id, Zone.Owner);
    }

    [Fact]
    public void A_commitment_that_is_not_opened_lapses_and_loses_a_tenth()
    {
        ulong start = _ledger.Balance("alice");
        ZoneRevealBody reveal = Reveal("alice");
        _ledger.Do("alice", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _ledger.Network), 10 * TestLedger.Oxen));
        _ledger.Wait(_ledger.Rules.CommitMaxBlocks);
        Assert.Equal(10 * TestLedger.Oxen, _ledger.State.Totals.Deposits);
        _ledger.Wait(1);
        Assert.Equal(0UL, _ledger.State.Totals.Deposits);
        Assert.Equal(start - TestLedger.Oxen - _ledger.Rules.OperationFee, _ledger.Balance("alice"));
        _ledger.Refused(OperationFault.NoCommitment, "alice", reveal);
        _ledger.Audit();
    }

    [Fact]
    public void Prices_follow_length_and_years()
    {
        ZoneRevealBody two = Reveal("alice", years: 2);
        _ledger.Refused(OperationFault.DepositTooSmall, "alice", new ZoneCommitBody(Salt, 7 * TestLedger.Oxen - 1));
        _ledger.Do("alice", new ZoneCommitBody(two.Commitment(Key("alice").Id, _ledger.Network), 14 * TestLedger.Oxen - 1));
        ZoneRevealBody cheap = two with { LengthClass = 3, Years = 11 };
        _ledger.Do("alice", new ZoneCommitBody((two with { LengthClass = 0 }).Commitment(Key("alice").Id, _ledger.Network), 1279 * TestLedger.Oxen));
        _ledger.Wait(2);
        _ledger.Refused(OperationFault.DepositTooSmall, "alice", two);
        _ledger.Refused(OperationFault.DepositTooSmall, "alice", two with { LengthClass = 0 });
        _ledger.Refused(OperationFault.BadYears, "alice", cheap);
        _ledger.Refused(OperationFault.BadYears, "alice", two with { Years = 0 });
    }

    [Fact]
    public void An_update_by_the_owner_may_be_paid_by_anybody_and_covers_every_field()
    {
        Buy("alice", "bob");
        byte[] value = Content("alice", 1, 0);
        ZoneUpdateBody update = Update("alice", ZoneFields.Value, value: value);
        ZoneUpdateBody transfer = Update("alice", ZoneFields.Owner, owner: "carol");

        // The fault of the old signature: one for an owner says nothing of a backup owner.
        _ledger.Refused(OperationFault.NotSignedByOwner, "dave", transfer with { Fields = ZoneFields.Backup, Owner = default, Backup = transfer.Owner });
        _ledger.Refused(OperationFault.NotSignedByOwner, "dave", update with { Value = Content("alice", 1, 0, text: "ho") });
        _ledger.Refused(OperationFault.WrongSequence, "dave", update with { Sequence = 2 });
        _ledger.Refused(OperationFault.StalePrevious, "dave", update with { Previous = Salt });
        _ledger.Refused(OperationFault.NotSignedByOwner, "dave", Update("bob", ZoneFields.Value, value: value)); // a backup owner recovers, no more
        ulong alice = _ledger.Balance("alice");
        _ledger.Do("dave", update);
        Assert.Equal(alice, _ledger.Balance("alice"));
        Assert.Equal(ContentFault.None, ZoneContent.Open(Zone, Name, _ledger.Network, _ledger.Height, out ZoneContent? content));
        Assert.Equal("hi", System.Text.Encoding.UTF8.GetString(content!.Find(ZoneRecordKind.Text)!.Data));
        _ledger.Refused(OperationFault.StalePrevious, "dave", update);
        _ledger.Refused(OperationFault.NothingChanges, "dave", Update("alice", ZoneFields.Value, value: value));
        _ledger.Refused(OperationFault.OwnersEqual, "dave", Update("alice", ZoneFields.Owner, owner: "bob"));
        _ledger.Refused(OperationFault.NothingChanges, "dave", Update("alice", ZoneFields.Owner, owner: "alice"));
    }

    [Fact]
    public void A_new_owner_starts_empty_and_what_the_old_one_signed_is_known_as_old()
    {
        Buy("alice");
        byte[] value = Content("alice", 1, 0);
        _ledger.Do("alice", Update("alice", ZoneFields.Value, value: value));
        ZoneEntry before = Zone;
        _ledger.Do("alice", Update("alice", ZoneFields.Owner, owner: "carol"));
        Assert.Equal((1U, 0, Key("carol").Id), (Zone.Epoch, Zone.Value.Length, Zone.Owner));
        Assert.Equal(ContentFault.Empty, ZoneContent.Open(Zone, Name, _ledger.Network, 0, out _));
        Assert.Equal(ContentFault.NotOwner, ZoneContent.Open(Zone with { Value = value }, Name, _ledger.Network, 0, out _));
        Assert.Equal(ContentFault.Old, ZoneContent.Open(before with { Epoch = 1, Value = value }, Name, _ledger.Network, 0, out _));
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", Update("alice", ZoneFields.Value, value: value));
        Assert.Empty(_ledger.State.ZonesOf(Key("alice").Id));
        _ledger.Audit();
    }

    [Fact]
    public void Knowing_the_name_is_not_enough_to_forge_a_value()
    {
        Buy("alice");
        ZoneEntry forged = Zone with { Value = Content("mallory", 0, 0) };
        Assert.Equal(ContentFault.NotOwner, ZoneContent.Open(forged, Name, _ledger.Network, 0, out _));
        byte[] good = Content("alice", 0, 0, last: 50);
        Assert.Equal(ContentFault.None, ZoneContent.Open(Zone with { Value = good }, Name, _ledger.Network, 50, out _));
        Assert.Equal(ContentFault.Expired, ZoneContent.Open(Zone with { Value = good }, Name, _ledger.Network, 51, out _));
        Assert.Equal(ContentFault.Old, ZoneContent.Open(Zone with { Value = Content("alice", 5, 0) }, Name, _ledger.Network, 0, out _));
        ZoneIndex other = ZoneIndex.Of("hello-worle.loki", NameType.Lokinet, _ledger.Network);
        Assert.Equal(ContentFault.Sealed, ZoneContent.Open(Zone with { Value = good }, other, _ledger.Network, 0, out _));
        for (int bit = 0; bit < 8 * good.Length; bit += 5)
        {
            byte[] changed = [.. good];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(ContentFault.None, ZoneContent.Open(Zone with { Value = changed }, Name, _ledger.Network, 0, out _));
        }
    }

    [Fact]
    public void After_its_time_a_zone_is_nobodys_answer_and_for_a_while_only_the_old_owners()
    {
        Buy("alice");
        ulong end = Zone.ExpirationHeight;
        ZoneRevealBody want = Reveal("bob", salt: LedgerHash.Of("salt"u8, [2]));
        _ledger.WaitUntil(end - 1);
        Assert.NotNull(_ledger.State.ActiveZone(Name.Index));
        _ledger.Wait(1);
        Assert.Null(_ledger.State.ActiveZone(Name.Index));
        _ledger.Refused(OperationFault.NameExpired, "alice", Update("alice", ZoneFields.Value, value: [1]));
        _ledger.Do("bob", new ZoneCommitBody(want.Commitment(Key("bob").Id, _ledger.Network), 7 * TestLedger.Oxen));
        _ledger.Wait(1);
        _ledger.Refused(OperationFault.Taken, "bob", want);
        foreach (long off in new[] { -1L, 1 }) _ledger.Refused(OperationFault.WrongBurn, "carol", new ZoneRenewBody(Name.Index, 1, (ulong)((long)(7 * TestLedger.Oxen) + off)));
        LedgerState fork = _ledger.State;
        _ledger.Do("carol", new ZoneRenewBody(Name.Index, 1, 7 * TestLedger.Oxen)); // anybody may pay
        Assert.Equal((end + 10, Key("alice").Id), (Zone.ExpirationHeight, Zone.Owner));
        Assert.NotNull(_ledger.State.ActiveZone(Name.Index));

        // On the other branch nobody paid.
        _ledger.Rollback(fork.Height);
        _ledger.WaitUntil(end + _ledger.Rules.GraceBlocks);
        _ledger.Refused(OperationFault.NameExpired, "carol", new ZoneRenewBody(Name.Index, 1, 7 * TestLedger.Oxen));
        uint epoch = Zone.Epoch;
        _ledger.Do("bob", want);
        Assert.Equal((Key("bob").Id, epoch + 1), (Zone.Owner, Zone.Epoch));
        _ledger.Audit();
    }

    [Fact]
    public void Years_ahead_have_a_limit()
    {
        Buy("alice", years: 10);
        _ledger.Refused(OperationFault.TooFarAhead, "alice", new ZoneRenewBody(Name.Index, 2, 14 * TestLedger.Oxen));
        _ledger.Do("alice", new ZoneRenewBody(Name.Index, 1, 7 * TestLedger.Oxen));
    }

    [Fact]
    public void A_lost_owner_key_is_replaced_after_the_delay_unless_the_owner_says_no()
    {
        Buy("alice", "bob", years: 5);
        _ledger.Refused(OperationFault.NotSignedByOwner, "carol", Recover("carol", RecoveryStep.Start, "carol"));
        _ledger.Refused(OperationFault.NoRecovery, "bob", Recover("bob", RecoveryStep.Finish));
        _ledger.Do("bob", Recover("bob", RecoveryStep.Start, "dave"));
        _ledger.Refused(OperationFault.TooEarly, "bob", Recover("bob", RecoveryStep.Finish));
        _ledger.Refused(OperationFault.RecoveryPending, "alice", Update("alice", ZoneFields.Owner, owner: "carol"));
        _ledger.Refused(OperationFault.RecoveryPending, "bob", Recover("bob", RecoveryStep.Start, "carol"));
        _ledger.Do("alice", Recover("alice", RecoveryStep.Cancel)); // she has it after all
        Assert.Null(Zone.Recovery);
        _ledger.Do("bob", Recover("bob", RecoveryStep.Start, "dave"));
        ulong ready = Zone.Recovery!.ReadyHeight;
        _ledger.WaitUntil(ready - 2);
        _ledger.Refused(OperationFault.TooEarly, "bob", Recover("bob", RecoveryStep.Finish));
        _ledger.Wait(1);
        _ledger.Do("bob", Recover("bob", RecoveryStep.Finish));
        Assert.Equal((Key("dave").Id, Key("bob").Id, 1U), (Zone.Owner, Zone.Backup, Zone.Epoch));
        _ledger.Audit();
    }

    [Fact]
    public void A_reverse_name_is_the_addresss_own_wish_and_is_taken_back_by_it()
    {
        Bytes32 address = Key("service").Id;
        ReverseBody Wish(string signer, string name, string by = "service") => new ReverseBody(address, name, []).SignedBy(Key(by), Key(signer).Id, _ledger.State.Account(Key(signer).Id).Nonce, _ledger.Network);
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", Wish("alice", "hello.loki", "alice"));
        _ledger.Refused(OperationFault.BadName, "alice", Wish("alice", "Hello.loki"));
        _ledger.Refused(OperationFault.BadName, "alice", Wish("alice", "hello"));
        ReverseBody set = Wish("alice", "hello.loki");
        _ledger.Do("alice", set);
        Assert.Equal("hello.loki", _ledger.State.Reverse(address)!.Name);
        _ledger.Do("alice", Wish("alice", ""));
        Assert.Null(_ledger.State.Reverse(address));
        _ledger.Refused(OperationFault.NotSignedByOwner, "alice", set); // an old wish is not sent again
    }

    [Fact]
    public void A_name_below_a_zone_is_signed_off_the_ledger()
    {
        LedgerKey zone = Key("zone key");
        byte[] bytes = Subname.Seal("www", [ZoneRecord.Address(Key("service").Id.ToArray())], zone, 5, 1000, Nonce(3));
        Assert.Equal(ContentFault.None, Subname.Open(bytes, "www", zone.Id, 5, 1000, out IReadOnlyList<ZoneRecord> records, out ulong sequence));
        Assert.Equal(Key("service").Id.ToArray(), Assert.Single(records).Data);
        Assert.Equal(5UL, sequence);
        Assert.Equal(ContentFault.Sealed, Subname.Open(bytes, "ftp", zone.Id, 0, 0, out _, out _));
        Assert.Equal(ContentFault.NotOwner, Subname.Open(bytes, "www", Key("mallory").Id, 0, 0, out _, out _));
        Assert.Equal(ContentFault.Old, Subname.Open(bytes, "www", zone.Id, 6, 0, out _, out _));
        Assert.Equal(ContentFault.Expired, Subname.Open(bytes, "www", zone.Id, 0, 1001, out _, out _));
        for (int bit = 0; bit < 8 * bytes.Length; bit += 3)
        {
            byte[] changed = [.. bytes];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(ContentFault.None, Subname.Open(changed, "www", zone.Id, 0, 0, out _, out _));
        }

        foreach (string bad in new[] { "", "-a", "a-", "a.b", "A", new string('a', 64) }) Assert.False(Subname.IsLabel(bad));
    }
}
