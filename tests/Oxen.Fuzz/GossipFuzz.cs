using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>The directory's requests and replies take any bytes: an answer or a refusal each time, never an exception, bounded memory.</summary>
public sealed class GossipFuzz
{
    private static readonly int Rounds = ParserFuzz.InputsOr(250_000);

    [Fact]
    public void A_relay_answers_or_refuses_any_request()
    {
        using GossipModel model = Begin(out GossipNode relay);
        var entropy = new SeededEntropy(991);
        byte[][] valid =
        [
            DirectoryMessages.Compare(DirectorySet.Contacts, [(byte)RangeMode.Want, 0]),
            DirectoryMessages.Compare(DirectorySet.Members, [(byte)RangeMode.Fingerprint, 1, 0x80, .. new byte[16], (byte)RangeMode.Want, 0]),
            DirectoryMessages.Fetch([model.Nodes[1].Id, model.Nodes[2].Id]),
            DirectoryMessages.News([model.Nodes[1].Contact!, model.Nodes[2].Contact!]),
            DirectoryMessages.Give([model.Nodes[1].Contact!, model.Nodes[2].Contact!]),
        ];
        int answered = 0, refused = 0;
        Instant now = model.Now;
        for (int i = 0; i < Rounds; i++)
        {
            byte[] message = Mutated(entropy, valid[i % valid.Length], i);

            // Time goes on, or the budget would refuse all that follows.
            now += TimeSpan.FromSeconds(1);
            if (relay.Core.Answer(model.Nodes[1].Id, isRelay: i % 2 == 0, message, now) is { } reply)
            {
                answered++;
                Assert.InRange(reply.Length, 0, DirectoryMessages.MaxBytes);
            }
            else
            {
                refused++;
            }
        }

        Assert.True(answered > Rounds / 100 && refused > Rounds / 100, $"{answered} answered, {refused} refused");
        Assert.Equal(model.Nodes.Count, relay.Core.Store.Roster.Count);
        Assert.InRange(relay.Core.Store.Count, 0, model.Nodes.Count);
    }

    [Fact]
    public void An_exchange_takes_any_reply_and_ends()
    {
        using GossipModel model = Begin(out GossipNode relay);
        var entropy = new SeededEntropy(992);
        for (int i = 0; i < 3000; i++)
        {
            var state = new DirectoryState();
            state.Store.SetRoster(relay.Core.Store.Roster);
            DirectorySet set = i % 2 == 0 ? DirectorySet.Contacts : DirectorySet.Members;
            var exchange = new Exchange(state, relay.Id, set, gives: true, model.NowUnix);
            byte[]? question = exchange.Begin();
            int steps = 0;
            while (question is not null)
            {
                byte[]? honest = relay.Core.Answer(model.Nodes[1].Id, isRelay: true, question, model.Now + TimeSpan.FromHours(i));
                byte[] reply = Mutated(entropy, honest ?? [0], i + steps);
                question = exchange.Read(reply, model.NowUnix, null);
                Assert.InRange(++steps, 1, 400);
            }

            Assert.True(exchange.Done || exchange.Broken);
            Assert.InRange(state.Store.Count, 0, model.Nodes.Count);
        }
    }

    [Fact]
    public void A_cache_is_read_or_left_aside()
    {
        using GossipModel model = Begin(out GossipNode relay);
        var entropy = new SeededEntropy(993);
        byte[] network = new byte[32];
        byte[] valid = relay.Core.Export(network, model.Now);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] data = Mutated(entropy, valid, i);
            if (DirectoryCache.TryRead(data, network, out _)) Assert.True(data.AsSpan().SequenceEqual(valid));
        }
    }

    private static GossipModel Begin(out GossipNode relay)
    {
        var model = new GossipModel(990);
        for (int i = 0; i < 40; i++) model.AddRelay($"operator-{i}");
        foreach (GossipNode node in model.Nodes) node.Start(new DirectoryOptions { Roster = model.RosterOf(model.Nodes), Contacts = [.. model.Nodes.Select(n => n.Contact!)] });
        relay = model.Nodes[0];
        return model;
    }

    // In turn: as it is, noise, cut short, one to four bytes changed, a tail.
    private static byte[] Mutated(SeededEntropy entropy, byte[] valid, int turn)
    {
        byte[] data = [.. valid];
        switch (turn % 8)
        {
            case 0:
                return data;
            case 1:
                byte[] noise = new byte[entropy.Next(400)];
                entropy.FillPublic(noise);
                if (noise.Length > 1) (noise[0], noise[1]) = (DirectoryMessages.Kind, (byte)(1 + entropy.Next(4)));
                return noise;
            case 2:
                return data[..entropy.Next(data.Length)];
            case 3:
                return [.. data, (byte)entropy.Next(256)];
            default:
                for (int i = 0; i <= entropy.Next(4); i++) data[entropy.Next(data.Length)] ^= (byte)(1 << entropy.Next(8));
                return data;
        }
    }
}
