using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>Introsets, introductions and what is said to an introduction or rendezvous relay: any bytes, in any order.</summary>
public sealed class HiddenFuzz
{
    private readonly SeededEntropy _dice = new(SimWorld.SeedOr(51));

    [Fact]
    public void Addresses_of_any_text_are_read_or_refused_and_what_is_read_is_written_the_same()
    {
        using var key = new ServiceKey(Draw(32));
        string valid = key.Address.ToString();
        const string Letters = "ybndrfg8ejkmcpqxot1uwisza345h769lv20.-_ABC\u00e9";
        int read = 0;
        for (int i = 0; i < 40_000; i++)
        {
            char[] text = valid[..(i % 3 == 0 ? 52 : valid.Length)].ToCharArray();
            for (int changes = _dice.Next(3); changes > 0; changes--) text[_dice.Next(text.Length)] = Letters[_dice.Next(Letters.Length)];
            ReadOnlySpan<char> cut = text.AsSpan(0, _dice.Next(8) == 0 ? _dice.Next(text.Length + 1) : text.Length);
            if (!ServiceAddress.TryParse(cut, out ServiceAddress address)) continue;
            read++;
            Assert.True(address.ToString().AsSpan().StartsWith(cut));
        }

        Assert.True(read > 100);
    }

    [Fact]
    public void Introsets_of_any_bytes_are_read_or_refused()
    {
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(20_454, new byte[32]);
        byte[] valid = Introset.Create(blinded, key.Address, Content(), [], 1, 1_767_230_000, _dice).Encoded.ToArray();
        byte[] padded = new byte[2400];
        Content().Write(padded);
        int read = 0, contents = 0;
        for (int i = 0; i < 30_000; i++)
        {
            if (Introset.TryRead(Mutate(valid), out Introset? introset))
            {
                read++;
                Assert.Equal(valid.Length, introset!.Encoded.Length);
                if (i % 16 == 0 && introset.HasGoodSignature()) Assert.Equal(valid, introset.Encoded.ToArray());
                if (i % 16 == 0) introset.TryOpen(key.Address, i % 32 == 0 ? [] : Draw(32), out _);
            }

            // Behind the seals, as a hostile service would reach it.
            ReadOnlySpan<byte> inner = Mutate(padded);
            if (IntrosetContent.TryRead(inner, out IntrosetContent? content))
            {
                contents++;
                Assert.InRange(content!.Introductions.Count, 1, IntrosetContent.MaxIntroductions);
                byte[] again = new byte[inner.Length];
                content.Write(again);
                Assert.True(inner.SequenceEqual(again)); // one content, one encoding
            }

            IntrosetRequests.ReadAnswer(Mutate(padded));
        }

        Assert.True(read > 1000 && contents > 50);
    }

    [Fact]
    public void A_store_takes_any_bytes_in_any_order_and_keeps_its_bounds()
    {
        var store = new IntrosetStore(new IntrosetStoreOptions { MaxIntrosets = 4, MaxBytes = 20_000, ChecksPerSecond = 1000, CheckBurst = 1000 });
        const long Start = 20_454L * 86_400;
        var made = new List<byte[]>();
        for (int i = 0; i < 8; i++)
        {
            using var key = new ServiceKey(Draw(32));
            using BlindedKey blinded = key.Blind(20_454, new byte[32]);
            for (ulong revision = 1; revision < 4; revision++) made.Add(Introset.Create(blinded, key.Address, Content(), [], revision, Start + 100 + _dice.Next(9000), _dice).Encoded.ToArray());
        }

        var counts = new int[8];
        for (int i = 0; i < 20_000; i++)
        {
            byte[] one = made[_dice.Next(made.Count)];
            long now = Start + _dice.Next(12_000);
            counts[(int)store.Put(_dice.Next(2) == 0 ? one : Mutate(one), now)]++;
            Assert.InRange(store.Get(one.AsSpan(4, 32), 20_454, now).Count, 0, 1);
            Assert.InRange(store.Count, 0, 4);
            Assert.InRange(store.Bytes, 0, 20_000);
        }

        Assert.True(counts[(int)IntrosetPut.Stored] > 10 && counts[(int)IntrosetPut.Busy] > 10 && counts[(int)IntrosetPut.Refused] > 10 && counts[(int)IntrosetPut.WrongSignature] > 10);
    }

    [Fact]
    public void A_relay_takes_any_message_in_any_order()
    {
        using var block = new PinnedBlock(64 * PacketRing.SlotBytes);
        var ring = new PacketRing(block, 0, 64);
        var drops = new DropCounters();
        var relay = new RendezvousSessions([new PathOutlet(ring, drops)], drops, new RendezvousOptions { MaxServices = 4, MaxWaiting = 4 });
        byte[][] names = [.. Enumerable.Range(0, 6).Select(_ => Draw(32))];
        using RouterIdentity service = RouterIdentity.Create(_dice);
        names[0] = service.Id.ToArray();
        Instant now = Instant.Zero;
        byte[] content = new byte[RecordLayout.ContentBytes];
        long crossed = 0;
        for (int i = 0; i < 100_000; i++)
        {
            int path = _dice.Next(12);
            var reference = new PathRef(0, new PathNumber(path, 1));
            switch (_dice.Next(40))
            {
                case 0:
                    relay.OnPathGone(new PathGone(reference, ""));
                    break;
                case 1 or 2:
                    relay.OnPathGone(new PathGone(reference, ""));
                    relay.OnPathReady(new PathReady { Class = Oxen.Router.Core.Onion.SizeClass.Full, Path = reference, End = PathEnd.Terminal, SessionSecret = [], Transcript = new byte[32], Expires = Instant.Never });
                    break;
                case 3:
                    now += TimeSpan.FromMilliseconds(_dice.Next(20_000));
                    relay.HandleTimeout(now);
                    break;
                default:
                    content.AsSpan().Clear();
                    content[0] = (byte)_dice.Next(14);
                    names[_dice.Next(names.Length)].CopyTo(content, 1);
                    int length = MeetingMessage.LengthOf((MeetingType)content[0]);
                    if (length > 33 && _dice.Next(2) == 0) _dice.FillPublic(content.AsSpan(33, length - 33));
                    if (content[0] == (byte)MeetingType.Establish && _dice.Next(2) == 0)
                    {
                        names[0].CopyTo(content, 1);
                        service.Sign(MeetingMessage.EstablishProof(new byte[32], names[0]), content.AsSpan(33, 64));
                    }

                    if (_dice.Next(16) == 0) content[_dice.Next(content.Length)] ^= 1;
                    byte command = _dice.Next(3) == 0 ? EndCommand.Joined : _dice.Next(30) == 0 ? (byte)_dice.Next(256) : EndCommand.Meeting;
                    relay.HandleDelivery(0, new PacketTag { Subject = path, Generation = 1, Command = command, Length = content.Length }, content.AsSpan(0, _dice.Next(30) == 0 ? _dice.Next(content.Length) : content.Length), now);
                    break;
            }

            while (ring.TryTake(out PacketTag tag, out _)) if (tag.Command == EndCommand.Joined) crossed++;
            ring.ReleaseTaken();
            Assert.InRange(relay.Services, 0, 4);
            Assert.InRange(relay.Waiting, 0, 4);
            Assert.InRange(relay.Joints, 0, 6);
        }

        Assert.Equal(crossed, relay.Crossed);
        Assert.True(crossed > 100 && drops[DropReason.BadMeeting] > 100 && drops[DropReason.NotJoined] > 100);
    }

    [Fact]
    public void Introductions_answers_and_packets_of_any_bytes_open_only_when_they_are_whole()
    {
        using OnionKeyPair key = OnionKeyPair.Create(_dice);
        byte[] subcredential = Draw(32);
        var content = new IntrosetContent { SessionX = key.XPublic.ToArray(), SessionKem = key.KemPublic.ToArray(), SessionKeyId = key.Id, EffortSeed = Draw(32), Introductions = [] };
        using ClientHandshake client = ClientHandshake.Create(content, subcredential, new RouterId(Draw(32)), Draw(32), null, _dice)!;
        using ServiceHandshake service = ServiceHandshake.TryOpen(client.Introduction, key, subcredential)!;
        byte[] answer = new byte[IntroductionFormat.AnswerBytes];
        using JointKeys keys = service.Answer(Draw(32), false, answer, _dice)!;
        using var sender = new JointSeal(keys, isClient: false);
        using var receiver = new JointSeal(keys, isClient: true);
        byte[] packet = new byte[JointSeal.ContentBytes];
        Assert.True(sender.Seal(packet, 10));
        var drops = new DropCounters();
        var queue = new IntroductionQueue(new IntroductionQueueOptions { Capacity = 8 }, drops, _dice, Instant.Zero);
        for (int i = 0; i < 4_000; i++)
        {
            byte[] introduction = Mutate(client.Introduction);
            queue.Offer(introduction, Instant.FromMilliseconds(i));
            using ServiceHandshake? opened = ServiceHandshake.TryOpen(introduction, key, subcredential);
            bool whole = introduction.Length == IntroductionFormat.Bytes && introduction.AsSpan(0, 8).SequenceEqual(client.Introduction.AsSpan(0, 8)) && introduction.AsSpan(36).SequenceEqual(client.Introduction.AsSpan(36));
            Assert.Equal(whole, opened is not null);
            byte[] changed = Mutate(answer);
            bool read = client.TryReadAnswer(changed, out JointKeys? taken, out _, out _);
            Assert.Equal(changed.AsSpan().SequenceEqual(answer), read);
            taken?.Dispose();
            byte[] came = Mutate(packet);
            if (!came.AsSpan().SequenceEqual(packet)) Assert.NotEqual(DropReason.None, receiver.Open(came));
        }
    }

    private IntrosetContent Content()
    {
        using OnionKeyPair session = OnionKeyPair.Create(_dice);
        return new IntrosetContent
        {
            SessionX = session.XPublic.ToArray(), SessionKem = session.KemPublic.ToArray(), SessionKeyId = session.Id, EffortSeed = Draw(32),
            Introductions = [new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32))), new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32)))],
            Ports = [new ServicePort(6, 80)],
            ServiceRecords = [new ServiceRecord("_a._tcp", 1, 2, 3, "b.loki")],
            Texts = [[1, 2, 3]],
        };
    }

    // As it is, a truncation, a tail, or up to four changed bytes.
    private byte[] Mutate(byte[] valid)
    {
        int kind = _dice.Next(8);
        if (kind == 0) return valid[.._dice.Next(valid.Length)];
        if (kind == 1) return [.. valid, .. Draw(1 + _dice.Next(4))];
        byte[] bytes = [.. valid];
        for (int i = _dice.Next(5); i > 0; i--) bytes[_dice.Next(bytes.Length)] = (byte)_dice.Next(256);
        return bytes;
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillSecret(bytes);
        return bytes;
    }
}
