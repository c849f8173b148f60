using Oxen.Ons.Ledger;
using Oxen.Ons.Tests.Ledger;
using Oxen.Ons.Zones;
using static Oxen.Ons.Tests.Ledger.TestLedger;

namespace Oxen.Ons.Tests.Zones;

/// <summary>A store of names below zones takes what a zone's owner grants, so many and no more, and what it took outlives it.</summary>
public sealed class SubnameStoreTests : IDisposable
{
    private const ulong End = 4_000_000_000;

    private readonly TestLedger _ledger = new();
    private readonly ZoneIndex _zone;
    private readonly string _directory = System.IO.Directory.CreateTempSubdirectory("oxen-sub").FullName;

    public SubnameStoreTests()
    {
        _zone = ZoneIndex.Of("stored-names.loki", NameType.Lokinet, _ledger.Network);
        var reveal = new ZoneRevealBody(NameType.Lokinet, _zone.LengthClass, 1, _zone.Blind, Key("alice").Id, Key("bob").Id, [], default);
        _ledger.Do("alice", new ZoneCommitBody(reveal.Commitment(Key("alice").Id, _ledger.Network), 7 * TestLedger.Oxen));
        _ledger.Wait(1);
        _ledger.Do("alice", reveal);
    }

    public void Dispose() => System.IO.Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Only_what_the_owner_grants_and_the_key_signs_is_taken_and_newer_replaces_older()
    {
        SubnameStore store = Open(null);
        Assert.Equal(SubnameRefusal.None, store.Put(Made("www", 5)));
        Assert.Equal(SubnameRefusal.None, store.Put(Made("www", 5))); // the same again
        Assert.Equal(SubnameRefusal.Old, store.Put(Made("www", 4)));
        Assert.Equal(SubnameRefusal.Old, store.Put(Made("www", 5, text: "another")));
        Assert.Equal(SubnameRefusal.None, store.Put(Made("www", 6, text: "another")));
        Assert.Equal(1, store.Count);
        Assert.Equal(SubnameRefusal.Expired, store.Put(Made("ftp", 1, last: 1000)));
        Assert.Equal(SubnameRefusal.NotGranted, store.Put(Made("ftp", 1, granter: "bob")));
        Assert.Equal(SubnameRefusal.NotSigned, store.Put(Made("ftp", 1, signer: "mallory", delegation: "signer")));
        Assert.Equal(SubnameRefusal.NoZone, store.Put(Made("ftp", 1, zone: LedgerHash.Of("none"u8, []))));
        Assert.Equal(SubnameRefusal.Malformed, store.Put([1, 2, 3]));
        byte[] good = Made("ftp", 1);
        for (int length = 0; length < good.Length; length += 7) Assert.NotEqual(SubnameRefusal.None, store.Put(good.AsSpan(0, length)));
        for (int bit = 0; bit < 8 * good.Length; bit += 5)
        {
            byte[] changed = [.. good];
            changed[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.NotEqual(SubnameRefusal.None, store.Put(changed));
        }

        Assert.Equal(1, store.Count);
    }

    [Fact]
    public void A_zone_has_room_for_so_many_and_no_more()
    {
        SubnameStore store = Open(null);
        for (int i = 0; i < SubnameStore.MaxOfZone; i++) Assert.Equal(SubnameRefusal.None, store.Put(Made($"n{i}", 1)));
        Assert.Equal(SubnameRefusal.ZoneFull, store.Put(Made("more", 1)));
        Assert.Equal(SubnameRefusal.None, store.Put(Made("n7", 2))); // one that it has may change

        var seen = new List<ulong>();
        for (IReadOnlyList<(ulong Number, SubnamePublication)> page = store.After(0); page.Count > 0; page = store.After(seen[^1]))
        {
            Assert.InRange(page.Count, 1, SubnameStore.MaxPage);
            seen.AddRange(page.Select(p => p.Number));
        }

        Assert.Equal(SubnameStore.MaxOfZone, seen.Count);
        Assert.Equal(seen.Order(), seen);
    }

    [Fact]
    public void A_new_owner_ends_what_the_old_one_granted()
    {
        SubnameStore store = Open(null);
        Assert.Equal(SubnameRefusal.None, store.Put(Made("www", 1)));
        Assert.NotNull(store.Find(_zone.Index, Lookup("www")));
        ZoneEntry zone = _ledger.State.Zone(_zone.Index)!;
        _ledger.Do("alice", new ZoneUpdateBody(zone.Index, zone.LastOperation, zone.Sequence + 1, ZoneFields.Owner, Key("carol").Id, default, [], []).SignedBy(Key("alice"), zone.Type, _ledger.Network));
        Assert.Null(store.Find(_zone.Index, Lookup("www")));
        Assert.Empty(store.OfZone(_zone.Index));
        Assert.Empty(store.After(0));
        Assert.Equal(SubnameRefusal.NotGranted, store.Put(Made("www", 2)));
        Assert.Equal(SubnameRefusal.None, store.Put(Made("www", 1, granter: "carol", epoch: 1))); // numbers of another owner do not bind
        Assert.NotNull(store.Find(_zone.Index, Lookup("www")));
    }

    [Fact]
    public void What_was_taken_is_there_after_a_start_and_rubbish_in_the_directory_is_passed_over()
    {
        byte[] record = SubnamePublication.Read(Made("www", 3))!.Record;
        Assert.Equal(SubnameRefusal.None, Open(_directory).Put(Made("www", 3)));
        File.WriteAllBytes(Path.Combine(_directory, "rubbish"), [1, 2, 3]);
        File.WriteAllBytes(Path.Combine(_directory, "half.new"), Made("ftp", 1));
        SubnameStore again = Open(_directory);
        Assert.Equal(1, again.Count);
        Assert.Equal(record, again.Find(_zone.Index, Lookup("www")));
        Assert.Equal(SubnameRefusal.Old, again.Put(Made("www", 2)));
    }

    private SubnameStore Open(string? directory) => new(directory, () => _ledger.State, TimeProvider.System);

    private static Bytes32 Lookup(string label) => Subname.LookupOf(label, Key("signer").Id);

    private byte[] Made(string label, ulong sequence, ulong last = End, string text = "hi", string signer = "signer", string? delegation = null, string granter = "alice", uint epoch = 0, Bytes32? zone = null)
    {
        byte[] record = Subname.Seal(label, [ZoneRecord.Text(text)], Key(signer), sequence, last, new byte[24]);
        Bytes32 key = Key(delegation ?? signer).Id;
        return new SubnamePublication(zone ?? _zone.Index, key, SubnamePublication.GrantOf(Key(granter), zone ?? _zone.Index, epoch, key, _ledger.Network), record).ToBytes();
    }
}
