using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Native.Sodium;
using Oxen.Router.Tests.Reference;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class IntrosetTests
{
    private const ulong Period = 20_454;
    private readonly SeededEntropy _dice = new(11);
    private readonly byte[] _randomness = SHA256.HashData([9]);

    [Fact]
    public void What_we_write_the_slow_reference_reads_and_what_it_writes_we_read()
    {
        byte[] seed = Draw(32), secret = Draw(32);
        byte[] client = SlowHidden.X25519Public(secret);
        using var key = new ServiceKey(seed);
        using BlindedKey blinded = key.Blind(Period, _randomness);
        SlowHidden.Period slow = SlowHidden.PeriodOf(seed, Period, _randomness);
        Assert.Equal(slow.Blinded, blinded.PublicKey.ToArray());
        IntrosetContent content = Content();
        foreach (bool closed in (bool[])[false, true])
        {
            Introset ours = Introset.Create(blinded, key.Address, content, closed ? [Draw(32), client] : [], 7, 1_767_230_000, _dice);
            byte[]? read = SlowHidden.ReadIntroset(ours.Encoded.ToArray(), slow.Address, closed ? secret : null);
            Assert.NotNull(read);
            Assert.True(IntrosetContent.TryRead(read, out IntrosetContent? seen));
            Same(content, seen!);

            byte[] padded = new byte[content.EncodedBytes];
            content.Write(padded);
            byte[] theirs = SlowHidden.WriteIntroset(slow, padded, 0, 9, 1_767_230_001, Draw(32), Draw(32), Draw(40 * 16), closed ? client : null, closed ? Draw(32) : new byte[32]);
            Assert.True(Introset.TryRead(theirs, out Introset? introset));
            Assert.True(introset!.HasGoodSignature());
            Assert.Equal((9UL, 1_767_230_001L, Period), (introset.Revision, introset.ExpiresUnixSeconds, introset.Period));
            Assert.Equal(IntrosetOutcome.Opened, introset.TryOpen(key.Address, closed ? secret : [], out IntrosetContent? opened));
            Same(content, opened!);
            if (!closed) continue;
            Assert.Equal(IntrosetOutcome.NotAuthorised, introset.TryOpen(key.Address, [], out _));
            Assert.Equal(IntrosetOutcome.NotAuthorised, introset.TryOpen(key.Address, Draw(32), out _));
        }
    }

    [Fact]
    public void Nobody_opens_it_without_the_address_and_no_bit_may_change()
    {
        using var key = new ServiceKey(Draw(32));
        using var other = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(Period, _randomness);
        Introset introset = Introset.Create(blinded, key.Address, Content(), [], 7, 1_767_230_000, _dice);
        Assert.True(introset.HasGoodSignature());
        Assert.Equal(IntrosetOutcome.WrongAddress, introset.TryOpen(other.Address, [], out _));
        for (int at = 0; at < introset.Encoded.Length; at += 61)
        {
            byte[] changed = introset.Encoded.ToArray();
            changed[at] ^= 4;
            if (!Introset.TryRead(changed, out Introset? bad)) continue;
            Assert.False(bad!.HasGoodSignature());
            Assert.NotEqual(at < changed.Length - 64, bad.TryOpen(key.Address, [], out _) == IntrosetOutcome.Opened);
        }
    }

    [Fact]
    public void Two_introsets_of_one_content_share_nothing_but_the_header_and_sizes_come_in_three()
    {
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(Period, _randomness);
        byte[] one = Introset.Create(blinded, key.Address, Content(), [], 7, 1_767_230_000, _dice).Encoded.ToArray();
        byte[] two = Introset.Create(blinded, key.Address, Content(), [], 7, 1_767_230_000, _dice).Encoded.ToArray();
        Assert.Equal(one[..60], two[..60]);
        Assert.InRange(one.AsSpan(60).ToArray().Zip(two.AsSpan(60).ToArray()).Count(p => p.First == p.Second), 0, 60);
        Assert.Equal(4096, one.Length);
        byte[][] clients = [.. Enumerable.Range(0, 80).Select(_ => SlowHidden.X25519Public(Draw(32)))];
        Assert.Equal(8192, Introset.Create(blinded, key.Address, Content(), clients, 7, 1_767_230_000, _dice).Encoded.Length);
        Assert.Equal(16384, Introset.Create(blinded, key.Address, Content(), [.. clients, .. clients, .. clients], 7, 1_767_230_000, _dice).Encoded.Length);
        Assert.Throws<ArgumentException>(() => Introset.Create(blinded, key.Address, Content(), [.. clients, .. clients, .. clients, .. clients], 7, 1, _dice));
        Assert.Throws<ArgumentException>(() => Introset.Create(blinded, key.Address, Content(), [new byte[32]], 7, 1, _dice));
    }

    [Fact]
    public void A_content_has_one_encoding_and_its_rules_hold()
    {
        byte[] good = new byte[2048];
        Content().Write(good);
        Assert.True(IntrosetContent.TryRead(good, out _));

        void Refused(int at, byte value)
        {
            byte[] bad = [.. good];
            bad[at] = value;
            Assert.False(IntrosetContent.TryRead(bad, out _), $"byte {at} = {value}");
        }

        Refused(0, (byte)(good[0] ^ 1));         // the key's id does not fit
        Refused(1260, 2);                        // flags
        Refused(1261, 0);                        // no introduction
        Refused(1261, 9);
        Refused(2047, 1);                        // padding
        for (int i = 0; i < 1300; i += 100) Assert.False(IntrosetContent.TryRead(good.AsSpan(0, i), out _));

        good[1260] = 1;
        Assert.True(IntrosetContent.TryRead(good, out IntrosetContent? packets));
        Assert.True(packets!.TakesPackets);
        byte[] again = new byte[2048];
        packets.Write(again);
        Assert.Equal(good, again);

        IntrosetContent content = Content();
        IntroductionPoint point = content.Introductions[0];
        Assert.Throws<ArgumentException>(() => With([point, point], []).Write(new byte[4096]));
        Assert.Throws<ArgumentException>(() => With([], []).Write(new byte[4096]));
        Assert.Throws<ArgumentException>(() => With([point], [new ServicePort(6, 80), new ServicePort(6, 80)]).Write(new byte[4096]));
        Assert.Throws<ArgumentException>(() => With([point], [new ServicePort(1, 80)]).Write(new byte[4096]));
    }

    [Fact]
    public void Keepers_are_those_of_the_slow_reference()
    {
        var world = new SeededEntropy(12);
        using RouterIdentity listKey = RouterIdentity.Create(world);
        foreach (int count in (int[])[1, 5, 8, 9, 40])
        {
            NodeDirectory nodes = DirectoryOf(world, listKey, count);
            byte[][] relays = [.. nodes.Relays.Select(r => r.Id.ToArray())];
            for (int i = 0; i < 5; i++)
            {
                byte[] blinded = Draw(32), randomness = Draw(32);
                RouterId[] keepers = IntrosetPlaces.Keepers(blinded, Period, randomness, nodes);
                Assert.Equal(Math.Min(8, count), keepers.Length);
                Assert.Equal(keepers.Length, keepers.Distinct().Count());
                Assert.Equal(SlowHidden.Keepers(blinded, Period, randomness, relays).Select(k => nodes.Relays[k].Id), keepers);
            }
        }
    }

    [Fact]
    public void A_store_keeps_the_highest_revision_and_nothing_that_is_not_signed_near_and_young()
    {
        const long Now = (long)Period * 86_400 + 1000;
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(Period, _randomness), far = key.Blind(Period + 2, _randomness);
        var store = new IntrosetStore(new IntrosetStoreOptions { MaxIntrosets = 2, ChecksPerSecond = 5, CheckBurst = 10 });

        byte[] Made(BlindedKey by, ulong revision, long expires) => Introset.Create(by, key.Address, Content(), [], revision, expires, _dice).Encoded.ToArray();

        byte[] five = Made(blinded, 5, Now + 3600), six = Made(blinded, 6, Now + 3600);
        Assert.Equal(IntrosetPut.Stored, store.Put(five, Now));
        Assert.Equal(IntrosetPut.Stored, store.Put(five, Now));
        Assert.Equal(IntrosetPut.Stored, store.Put(six, Now));
        Assert.Equal(IntrosetPut.Stale, store.Put(five, Now));
        Assert.Equal(IntrosetPut.Stale, store.Put(Made(blinded, 6, Now + 3600), Now)); // the same revision, other bytes
        Introset found = Assert.Single(store.Get(blinded.PublicKey, Period, Now));
        Assert.Equal(6UL, found!.Revision);
        Assert.Empty(store.Get(blinded.PublicKey, Period + 1, Now));

        Assert.Equal(IntrosetPut.Refused, store.Put(Made(far, 1, Now + 3600), Now));
        Assert.Equal(IntrosetPut.Refused, store.Put(Made(blinded, 9, Now), Now));
        Assert.Equal(IntrosetPut.Refused, store.Put(Made(blinded, 9, Now + 30_000), Now));
        Assert.Equal(IntrosetPut.Refused, store.Put(six.AsSpan(0, 4000), Now));
        byte[] forged = Made(blinded, 9, Now + 3600);
        forged[100] ^= 1;
        Assert.Equal(IntrosetPut.WrongSignature, store.Put(forged, Now));

        // Bounded: others' introsets, then the checks of a second.
        using var second = new ServiceKey(Draw(32));
        using var third = new ServiceKey(Draw(32));
        using BlindedKey b = second.Blind(Period, _randomness), c = third.Blind(Period, _randomness);
        Assert.Equal(IntrosetPut.Stored, store.Put(Made(b, 1, Now + 60), Now));
        Assert.Equal(IntrosetPut.Busy, store.Put(Made(c, 1, Now + 60), Now));
        for (int i = 0; i < 20; i++) store.Put(forged, Now);
        Assert.Equal(IntrosetPut.Busy, store.Put(Made(blinded, 10, Now + 3600), Now));
        Assert.Equal(IntrosetPut.Stored, store.Put(Made(blinded, 10, Now + 3600), Now + 1));

        // What expired makes room.
        Assert.Empty(store.Get(b.PublicKey, Period, Now + 61));
        Assert.Equal(IntrosetPut.Stored, store.Put(Made(c, 1, Now + 600), Now + 130));
        Assert.Equal(2, store.Count);
        Assert.Equal(2 * 4096, store.Bytes);
    }

    [Fact]
    public void An_answer_is_as_long_when_there_is_nothing_as_when_there_is()
    {
        const long Now = (long)Period * 86_400 + 1000;
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(Period, _randomness);
        var store = new IntrosetStore(new IntrosetStoreOptions());
        byte[] get = IntrosetRequests.WriteGet(blinded.PublicKey, Period);
        byte[] none = IntrosetRequests.Answer(store, get, Now);
        Assert.Empty(IntrosetRequests.ReadAnswer(none));
        Introset introset = Introset.Create(blinded, key.Address, Content(), [], 1, Now + 3600, _dice);
        Assert.Equal(IntrosetPut.Stored, store.Put(introset.Encoded, Now));
        byte[] some = IntrosetRequests.Answer(store, get, Now);
        Assert.Equal(none.Length, some.Length);
        Introset read = Assert.Single(IntrosetRequests.ReadAnswer(some));
        Assert.Equal(introset.Encoded.ToArray(), read!.Encoded.ToArray());
    }

    [Fact]
    public void Instances_stand_side_by_side_and_each_has_its_own_revisions()
    {
        const long Now = (long)Period * 86_400 + 1000;
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(Period, _randomness);
        var store = new IntrosetStore(new IntrosetStoreOptions());
        foreach ((byte instance, ulong revision) in new (byte, ulong)[] { (0, 5), (3, 9), (0, 4), (7, 1) })
            Assert.Equal(revision == 4 ? IntrosetPut.Stale : IntrosetPut.Stored, store.Put(Introset.Create(blinded, key.Address, Content(), [], revision, Now + 3600, _dice, instance).Encoded, Now));
        List<Introset> read = IntrosetRequests.ReadAnswer(IntrosetRequests.Answer(store, IntrosetRequests.WriteGet(blinded.PublicKey, Period), Now));
        Assert.Equal([(3, 9UL), (0, 5UL), (7, 1UL)], read.Select(i => ((int)i.Instance, i.Revision)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Introset.Create(blinded, key.Address, Content(), [], 1, Now, _dice, 8));
        byte[] eighth = read[0].Encoded.ToArray();
        eighth[2] = 8;
        Assert.Equal(IntrosetPut.Refused, store.Put(eighth, Now));

        // The largest ones do not all fit: as many as do, and no half one.
        byte[][] clients = [.. Enumerable.Range(0, 240).Select(_ => ClientKey())];
        for (byte instance = 0; instance < Introset.MaxInstances; instance++) store.Put(Introset.Create(blinded, key.Address, Content(), clients, 20, Now + 3600, _dice, instance).Encoded, Now);
        byte[] answer = IntrosetRequests.Answer(store, IntrosetRequests.WriteGet(blinded.PublicKey, Period), Now);
        Assert.Equal((3, 3 * (4 + 16_384)), (IntrosetRequests.ReadAnswer(answer).Count, answer.Length));
        Assert.Equal(2, IntrosetRequests.ReadAnswer(answer.AsSpan(0, answer.Length - 1)).Count);

        byte[] ClientKey()
        {
            byte[] made = new byte[32];
            Native.Sodium.X25519.PublicKey(Draw(32), made);
            return made;
        }
    }

    private IntrosetContent Content() => With([.. Enumerable.Range(0, 3).Select(_ => new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32))))], [new ServicePort(6, 80), new ServicePort(6, 443), new ServicePort(17, 53)]);

    private IntrosetContent With(IReadOnlyList<IntroductionPoint> points, IReadOnlyList<ServicePort> ports)
    {
        using OnionKeyPair session = OnionKeyPair.Create(_dice);
        return new IntrosetContent
        {
            SessionX = session.XPublic.ToArray(), SessionKem = session.KemPublic.ToArray(), SessionKeyId = session.Id, EffortSeed = Draw(32), SuggestedEffort = 77,
            Introductions = points, Ports = ports,
            ServiceRecords = [new ServiceRecord("_xmpp._tcp", 1, 2, 5222, ""), new ServiceRecord("_web._tcp", 0, 0, 80, "www.example.loki")],
            Texts = [[1, 2, 3], [], Draw(255)],
        };
    }

    private static void Same(IntrosetContent a, IntrosetContent b)
    {
        Assert.Equal(a.SessionX, b.SessionX);
        Assert.Equal(a.SessionKem, b.SessionKem);
        Assert.Equal((a.SessionKeyId, a.SuggestedEffort), (b.SessionKeyId, b.SuggestedEffort));
        Assert.Equal(a.EffortSeed, b.EffortSeed);
        Assert.Equal(a.Introductions, b.Introductions);
        Assert.Equal(a.Ports, b.Ports);
        Assert.Equal(a.ServiceRecords, b.ServiceRecords);
        Assert.Equal(a.Texts, b.Texts);
    }

    private static NodeDirectory DirectoryOf(SeededEntropy dice, RouterIdentity listKey, int relays)
    {
        const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;
        var contacts = new List<RouterContact>();
        for (int i = 0; i < relays; i++)
        {
            using RouterIdentity identity = RouterIdentity.Create(dice);
            using OnionKeyPair onion = OnionKeyPair.Create(dice);
            contacts.Add(RouterContact.Create(identity, onion, RouterCapabilities.Relay, [Oxen.Router.Core.UdpAddress.FromBytes([10, (byte)(i + 1), 0, 1], 1090)], "", "", Now - 10, Now + 1000));
        }

        return NodeDirectory.From(ContactList.Create(listKey, new byte[32], contacts, Now - 10, Now + 1000), Now);
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillSecret(bytes);
        return bytes;
    }
}
