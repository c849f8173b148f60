using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Gossip;

public sealed class ReconciliationTests(ITestOutputHelper output)
{
    private readonly SeededEntropy _entropy = new(900);

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(0, 1, 0)]
    [InlineData(1, 0, 0)]
    [InlineData(0, 2000, 0)]
    [InlineData(2000, 0, 0)]
    [InlineData(2000, 1, 1)]
    [InlineData(2000, 40, 60)]
    [InlineData(17, 17, 5)]
    [InlineData(1000, 1000, 1000)]
    public void The_asker_learns_exactly_what_differs(int both, int oursAlone, int theirsAlone)
    {
        foreach (DirectorySet set in new[] { DirectorySet.Contacts, DirectorySet.Members })
        {
            SetItem[] common = Items(both, set), ours = Items(oursAlone, set), theirs = Items(theirsAlone, set);

            // Some routers are on both sides, but with different contents.
            SetItem[] changed = [.. common.Take(Math.Min(3, both)).Select(i => Changed(i, set))];
            var own = new ItemSet([.. common, .. ours]);
            var peer = new ItemSet([.. common.Skip(changed.Length), .. changed, .. theirs]);
            (ReconcileSession session, int rounds, int bytes) = Reconcile(own, peer, set);
            Assert.Equal(Sorted([.. theirs, .. changed]), Sorted(session.Theirs));
            Assert.Equal(Sorted([.. ours, .. common.Take(changed.Length)]), Sorted(session.Ours));
            output.WriteLine($"{set}: {both} alike, {oursAlone} + {theirsAlone} + {changed.Length} different: {rounds} rounds, {bytes} bytes");
        }
    }

    [Fact]
    public void Equal_sets_cost_one_fingerprint_and_one_difference_about_a_kilobyte()
    {
        SetItem[] items = Items(2000, DirectorySet.Contacts);
        var own = new ItemSet(items);
        (_, int rounds, int bytes) = Reconcile(own, new ItemSet(items), DirectorySet.Contacts);
        Assert.Equal(1, rounds);
        Assert.InRange(bytes, 1, 32);
        (ReconcileSession session, rounds, bytes) = Reconcile(own, new ItemSet([.. items.Skip(1), Changed(items[0], DirectorySet.Contacts)]), DirectorySet.Contacts);
        Assert.Single(session.Theirs);
        Assert.InRange(rounds, 1, 3);
        Assert.InRange(bytes, 1, 2500);
    }

    [Fact]
    public void Items_that_crowd_into_one_corner_are_found_as_well()
    {
        // Ids that an attacker made alike: 31 equal bytes.
        var crowd = new List<SetItem>();
        for (int i = 0; i < 250; i++)
        {
            byte[] id = new byte[32];
            id[31] = (byte)i;
            crowd.Add(SetItem.Of(new RosterEntry(new RouterId(id), "")));
        }

        SetItem[] common = Items(500, DirectorySet.Members);
        (ReconcileSession session, _, _) = Reconcile(new ItemSet(common), new ItemSet([.. common, .. crowd]), DirectorySet.Members);
        Assert.Equal(Sorted(crowd), Sorted(session.Theirs));
        (session, _, _) = Reconcile(new ItemSet([.. common, .. crowd]), new ItemSet(common), DirectorySet.Members);
        Assert.Equal(Sorted(crowd), Sorted(session.Ours));
    }

    [Fact]
    public void An_answerer_that_never_agrees_is_left_after_a_bounded_number_of_rounds()
    {
        var own = new ItemSet(Items(500, DirectorySet.Contacts));
        var session = new ReconcileSession(own, DirectorySet.Contacts);
        session.Begin();
        int rounds = 0;
        while (true)
        {
            // A fingerprint of everything that is another one each time.
            byte[] answer = [(byte)RangeMode.Fingerprint, 0, .. Guid.NewGuid().ToByteArray()];
            byte[]? next = session.Read(answer);
            if (next is null) break;
            Assert.NotEmpty(next);
            Assert.InRange(++rounds, 1, 100);
        }
    }

    [Fact]
    public void A_list_with_items_of_elsewhere_is_refused()
    {
        SetItem[] items = Items(40, DirectorySet.Contacts);
        var own = new ItemSet(items);
        byte[] bound = new byte[32];
        own[20].Id.CopyTo(bound);
        byte[] id = new byte[32];
        own[30].Id.CopyTo(id);

        // The first range ends at item 20 and lists item 30.
        byte[] answer = [(byte)RangeMode.List, 32, .. bound, 0, 1, .. id, .. new byte[24], (byte)RangeMode.Same, 0];
        var session = new ReconcileSession(own, DirectorySet.Contacts);
        session.Begin();
        Assert.Null(session.Read(answer));
    }

    [Fact]
    public void Malformed_ranges_are_refused()
    {
        ItemSet own = new(Items(10, DirectorySet.Contacts));
        byte[] low = [5, .. new byte[31]];
        byte[][] wrong =
        [
            [],
            [(byte)RangeMode.Same],
            [9, 0],
            [(byte)RangeMode.Same, 33],
            [(byte)RangeMode.Fingerprint, 0, 1, 2, 3],
            [(byte)RangeMode.Same, 0, 1],
            [(byte)RangeMode.Same, 1, 5],
            [(byte)RangeMode.Same, 32, .. low, (byte)RangeMode.Same, 1, 5, (byte)RangeMode.Same, 0],
            [(byte)RangeMode.List, 0, 0, 1, 1],
        ];
        foreach (byte[] message in wrong) Assert.Null(ReconcileAnswer.Write(message, own, DirectorySet.Contacts, DirectoryMessages.MaxBytes));
        Assert.NotNull(ReconcileAnswer.Write([(byte)RangeMode.Same, 1, 5, (byte)RangeMode.Want, 0], own, DirectorySet.Contacts, DirectoryMessages.MaxBytes));
    }

    private static (ReconcileSession Session, int Rounds, int Bytes) Reconcile(ItemSet own, ItemSet peer, DirectorySet set)
    {
        var session = new ReconcileSession(own, set);
        byte[]? question = session.Begin();
        int rounds = 0, bytes = 0;
        while (question.Length > 0)
        {
            byte[]? answer = ReconcileAnswer.Write(question, peer, set, DirectoryMessages.MaxBytes);
            Assert.NotNull(answer);
            Assert.InRange(answer.Length, 1, DirectoryMessages.MaxBytes);
            rounds++;
            bytes += question.Length + answer.Length;
            question = session.Read(answer);
            Assert.NotNull(question);
        }

        return (session, rounds, bytes);
    }

    private SetItem[] Items(int count, DirectorySet set)
    {
        var items = new SetItem[count];
        byte[] id = new byte[32];
        for (int i = 0; i < count; i++)
        {
            _entropy.FillPublic(id);
            items[i] = set == DirectorySet.Members
                ? SetItem.Of(new RosterEntry(new RouterId(id), $"operator-{i % 7}"))
                : new SetItem(new RouterId(id), new UInt128(_entropy.NextUInt64(), _entropy.NextUInt64()), 1000 + i, "");
        }

        return items;
    }

    private static SetItem Changed(SetItem item, DirectorySet set) =>
        set == DirectorySet.Members ? SetItem.Of(new RosterEntry(item.Id, "somebody-else")) : item with { Digest = item.Digest + 1, Published = item.Published + 1 };

    private static string[] Sorted(IEnumerable<SetItem> items) => [.. items.Select(i => $"{i.Id} {i.Digest} {i.Published} {i.Operator}").Order(StringComparer.Ordinal)];
}
