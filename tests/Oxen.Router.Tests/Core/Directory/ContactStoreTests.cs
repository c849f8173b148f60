using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Testing;
using static Oxen.Router.Tests.Core.Directory.DirectoryMaker;

namespace Oxen.Router.Tests.Core.Directory;

public sealed class ContactStoreTests : IDisposable
{
    private readonly SeededEntropy _entropy = new(910);
    private readonly List<TestRouter> _routers = [];
    private readonly ContactStore _store = new();

    public void Dispose()
    {
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void The_newest_contact_of_a_relay_counts_whatever_the_order()
    {
        TestRouter router = Add();
        RouterContact[] three = [.. Enumerable.Range(1, 3).Select(i => Again(router, Now - 1000 + (i * 100)))];
        foreach (int[] order in new int[][] { [0, 1, 2], [2, 1, 0], [1, 2, 0] })
        {
            var store = new ContactStore();
            store.SetRoster(Roster());
            foreach (int i in order) store.Offer(three[i].Encoded, Now, out _);
            Assert.True(store.TryGet(router.Identity.Id, out RouterContact? held));
            Assert.True(held.Encoded.SequenceEqual(three[2].Encoded));
        }
    }

    [Fact]
    public void Two_contacts_of_one_moment_end_in_the_same_one_everywhere()
    {
        TestRouter router = Add();
        using OnionKeyPair other = OnionKeyPair.Create(_entropy);
        RouterContact a = Again(router, Now), b = RouterContact.Create(router.Identity, other, RouterCapabilities.Relay, router.Contact.Addresses, "", "", Now, Now + Day);
        RouterContact winner = a.Digest > b.Digest ? a : b;
        foreach (RouterContact[] order in new[] { new[] { a, b }, [b, a] })
        {
            var store = new ContactStore();
            store.SetRoster(Roster());
            foreach (RouterContact contact in order) store.Offer(contact.Encoded, Now, out _);
            Assert.True(store.TryGet(router.Identity.Id, out RouterContact? held));
            Assert.Equal(winner.Digest, held.Digest);
        }
    }

    [Fact]
    public void Time_signature_and_form_are_looked_at_in_this_order()
    {
        TestRouter router = Add();
        _store.SetRoster(Roster());
        Assert.Equal(ContactOffer.WrongTime, _store.Offer(Again(router, Now + RouterContact.ClockSlackSeconds + 1).Encoded, Now, out _));
        Assert.Equal(ContactOffer.WrongTime, _store.Offer(Again(router, Now - (3 * Day)).Encoded, Now, out _));
        byte[] forged = Again(router, Now).Encoded.ToArray();
        forged[^1] ^= 1;
        Assert.Equal(0, _store.SignatureChecks);
        Assert.Equal(ContactOffer.Bad, _store.Offer(forged, Now, out _));
        Assert.Equal(1, _store.SignatureChecks);
        Assert.Equal(ContactOffer.Bad, _store.Offer(forged.AsSpan(0, 100), Now, out _));
        Assert.Equal(0, _store.Count);
        Assert.Equal(ContactOffer.Taken, _store.Offer(router.Contact.Encoded, Now, out _));
        Assert.Equal(ContactOffer.NotNewer, _store.Offer(router.Contact.Encoded, Now, out _));
        Assert.Equal(2, _store.SignatureChecks);
    }

    [Fact]
    public void Who_leaves_the_registry_leaves_the_store()
    {
        TestRouter stays = Add(), goes = Add();
        _store.SetRoster(Roster());
        _store.Offer(stays.Contact.Encoded, Now, out _);
        _store.Offer(goes.Contact.Encoded, Now, out _);
        Assert.Equal(2, _store.Count);
        _store.SetRoster(new RelayRoster([new RosterEntry(stays.Identity.Id, "")]));
        Assert.Equal(stays.Identity.Id, Assert.Single(_store.All).Id);
        Assert.Equal(ContactOffer.Stranger, _store.Offer(goes.Contact.Encoded, Now, out _));
    }

    [Fact]
    public void A_million_contacts_of_strangers_cost_a_look_up_each_no_signature_check_and_no_memory()
    {
        TestRouter known = Add(), stranger = Add();
        _store.SetRoster(new RelayRoster([new RosterEntry(known.Identity.Id, "")]));
        _store.Offer(known.Contact.Encoded, Now, out _);
        byte[] bogus = stranger.Contact.Encoded.ToArray();
        long before = _store.SignatureChecks;
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1_000_000; i++)
        {
            BitConverter.TryWriteBytes(bogus.AsSpan(4), i);
            if (_store.Offer(bogus, Now, out _) != ContactOffer.Stranger) Assert.Fail($"contact {i} was not refused as a stranger's");
        }

        Assert.Equal(before, _store.SignatureChecks);
        Assert.Equal(1, _store.Count);
        Assert.Equal(1_000_000, _store.Strangers);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - bytes, 0, 64 * 1024);
    }

    [Fact]
    public void A_roster_is_bounded_and_takes_no_odd_operator()
    {
        byte[] id = new byte[32];
        var many = new List<RosterEntry>();
        for (int i = 0; i < RelayRoster.MaxRelays + 100; i++)
        {
            BitConverter.TryWriteBytes(id, i);
            many.Add(new RosterEntry(new RouterId(id), i == 0 ? "two words" : "op"));
        }

        var roster = new RelayRoster(many);
        Assert.Equal(RelayRoster.MaxRelays, roster.Count);
        Assert.True(roster.TryGetOperator(many[0].Id, out string? name));
        Assert.Equal("", name);
    }

    [Fact]
    public void A_cache_is_read_again_and_a_damaged_one_left_aside()
    {
        TestRouter a = Add(), b = Add();
        byte[] network = new byte[32];
        network[0] = 7;
        byte[] written = DirectoryCache.Write(network, new RelayRoster([new RosterEntry(a.Identity.Id, "op-a"), new RosterEntry(b.Identity.Id, "")]), [a.Contact, b.Contact], Now);
        Assert.True(DirectoryCache.TryRead(written, network, out DirectoryCache? cache));
        Assert.Equal(Now, cache!.WrittenUnixSeconds);
        Assert.Equal(2, cache.Contacts.Count);
        Assert.True(cache.Roster.TryGetOperator(a.Identity.Id, out string? name));
        Assert.Equal("op-a", name);
        Assert.False(DirectoryCache.TryRead(written, new byte[32], out _));
        for (int length = 0; length < written.Length; length += 13) Assert.False(DirectoryCache.TryRead(written.AsSpan(0, length), network, out _));
        for (int i = 0; i < written.Length; i += 11)
        {
            written[i] ^= 0x10;
            Assert.False(DirectoryCache.TryRead(written, network, out _));
            written[i] ^= 0x10;
        }
    }

    private TestRouter Add()
    {
        TestRouter router = MakeRouter(_entropy, _routers.Count + 1);
        _routers.Add(router);
        return router;
    }

    private RelayRoster Roster() => new(_routers.Select(r => new RosterEntry(r.Identity.Id, "")));

    private static RouterContact Again(TestRouter router, long published) =>
        RouterContact.Create(router.Identity, router.OnionKey, RouterCapabilities.Relay, router.Contact.Addresses, "", "", published, published + (2 * Day));
}
