using System.Globalization;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>
/// The ends of paths against the other end: an exit that sends a client whatever it likes, relays that a hidden service and its client meet at, and
/// each of the two against the other, behind the seal between them. Whole routers in a simulated network, so what is sent is near what they wait for;
/// afterwards they work as before.
/// </summary>
public sealed class HostileEndFuzz(ITestOutputHelper output)
{
    private const int Inputs = 1_000_000;

    // A session's beginning: its keys, a QUIC connection with a hybrid agreement.
    private const long MostAllocated = 512 * 1024;

    private readonly SeededEntropy _dice = new(SimWorld.SeedOr(88));
    private readonly List<(int Shard, PacketTag Tag, byte[] Content)> _caught = [];
    private long _most, _past, _inputs;

    [Fact]
    public void A_client_takes_any_content_of_its_exit()
    {
        using var world = new SimWorld(SimWorld.SeedOr(880), relays: 8, exits: 2);
        SimRouter client = world.AddClient();
        client.Want(0);
        world.Until(() => client.IsReady(), 60, "ready");
        Catch(client);
        client.SendUdp(new byte[40]);
        SimTransfer transfer = client.Transfer(100_000);
        world.Until(() => transfer.Over, 60, "traffic to look at");
        byte[] content = new byte[RecordLayout.ContentBytes];
        int inputs = ParserFuzz.InputsOr(Inputs);
        for (int i = 0; i < inputs; i++)
        {
            ClientGroup? group = client.Group();
            ClientPathState? path = group is { Paths.Count: > 0 } ? group.Paths[_dice.Next(group.Paths.Count)] : null;
            PathRef to = path?.Path ?? new PathRef(0, new PathNumber(_dice.Next(16), 1));
            int hops = path?.Hops.Length ?? 4;
            var tag = new PacketTag { Subject = to.Number.Row, Generation = to.Number.Generation, Hop = (byte)(hops - 1), Command = EndCommand.Records, Length = content.Length };
            switch (_dice.Next(12))
            {
                case 0: // an answer to a probe
                    tag.Command = OnionCommand.Answer;
                    tag.Hop = (byte)_dice.Next(hops);
                    _dice.FillPublic(content);
                    tag.Length = OneIn(4) ? _dice.Next(9) : 8;
                    break;
                case 1:
                    tag.Command = (byte)_dice.Next(256);
                    tag.Hop = (byte)_dice.Next(hops);
                    _dice.FillPublic(content);
                    break;
                case 2 or 3 or 4: // what it said before, a few bytes changed
                    (_, _, byte[] old) = _caught[_dice.Next(_caught.Count)];
                    old.CopyTo(content, 0);
                    tag.Length = old.Length;
                    for (int n = _dice.Next(4); n > 0; n--) content[_dice.Next(OneIn(2) ? 64 : tag.Length)] = (byte)_dice.Next(256);
                    break;
                default:
                    Records(content, group?.SessionId ?? []);
                    break;
            }

            // Past the first check: the path and the command are known, and at least one of its records is.
            long before = Wrong(client), bad = client.Dropped(DropReason.BadRecord);
            int records = tag.Command == EndCommand.Records ? CountRecords(content.AsSpan(0, tag.Length)) : 1;
            Give(client, to.Shard, tag, content.AsSpan(0, tag.Length), () => Wrong(client) == before && client.Dropped(DropReason.BadRecord) - bad < records);
            if (i % 256 != 255) continue;
            Turn(world, 0.02, client);

            // Mostly in a session that stands; now and then while one is made.
            for (int wait = 0; wait < 100 && !client.IsReady() && (wait == 0 || !OneIn(20)); wait++) Turn(world, 0.25, client);
        }

        Report("a client of an exit", client);
        world.Until(() => client.IsReady(), 300, "ready again, with an honest exit");
        SimTransfer after = client.Transfer(100_000);
        world.Until(() => after.Over, 60, "traffic as before");
        Assert.True(after.Complete);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_hidden_service_and_its_client_take_any_content_of_the_relays_they_meet_at(bool atClient)
    {
        using var world = new SimWorld(SimWorld.SeedOr(881), relays: 12, exits: 1);
        (SimRouter host, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world, out SimRouter? target, atClient);
        Talk(world, client, reached);
        Turn(world, 3, client, host); // probes, at least
        byte[] content = new byte[RecordLayout.ContentBytes];
        int inputs = ParserFuzz.InputsOr(Inputs) / (atClient ? 25 : 2); // a client's joint is often ended, and then made again
        for (int i = 0; i < inputs; i++)
        {
            (int shard, PacketTag tag, byte[] old) = Standing(target!, atClient ? reached.Path?.Ref : null);
            old.CopyTo(content, 0);
            tag.Length = old.Length;
            switch (_dice.Next(6))
            {
                case 0: // as it was
                    break;
                case 1: // a few bytes changed
                    for (int n = 1 + _dice.Next(4); n > 0; n--) content[_dice.Next(OneIn(2) ? 64 : old.Length)] = (byte)_dice.Next(256);
                    break;
                case 2:
                    tag.Command = OneIn(8) ? (byte)_dice.Next(256) : EndCommand.Joined;
                    _dice.FillPublic(content.AsSpan(OneIn(2) ? 8 : 0));
                    if (OneIn(8)) tag.Length = _dice.Next(content.Length);
                    break;
                default: // a message of any type, with a name that it knows
                    Meeting(content, out tag.Command);
                    tag.Length = content.Length;
                    if (OneIn(20)) tag.Length = _dice.Next(content.Length);
                    break;
            }

            long before = WrongMeeting(target!);
            Give(target!, shard, tag, content.AsSpan(0, tag.Length), () => WrongMeeting(target!) == before);
            if (i % 128 != 127 && (!atClient || reached.Path is not null || !OneIn(8))) continue;
            Turn(world, 0.02, client, host);

            // Mostly from a joint that stands; now and then in the middle of a meeting.
            for (int wait = 0; wait < 400 && !(Again(reached, world) && reached.Path is not null) && (wait == 0 || !OneIn(50)); wait++) Turn(world, 0.25, client, host);
        }

        Report(atClient ? "a service's client at its relays" : "a service at its relays", target!);
        world.Until(() => service.IsPublished && service.Established == 3, 600, "the service is found again");
        world.Until(() => Again(reached, world), 600, "reached again");
        Talk(world, client, reached);
    }

    [Fact]
    public void A_hidden_service_and_its_client_take_any_records_of_each_other()
    {
        using var world = new SimWorld(SimWorld.SeedOr(882), relays: 12, exits: 1);
        (SimRouter host, HiddenService service, SimRouter client, HiddenClient reached) = Meet(world, out _, atClient: true);
        byte[] record = new byte[JointSeal.MaxRecordBytes];
        long sent = 0;
        int inputs = ParserFuzz.InputsOr(Inputs);
        for (int i = 0; i < inputs; i++)
        {
            var type = (RecordType)(OneIn(10) ? _dice.Next(256) : _dice.Next(9));
            int length = OneIn(40) ? _dice.Next(record.Length + 1) : _dice.Next(24);
            _dice.FillPublic(record.AsSpan(0, length));
            if (type == RecordType.Quic && length > 0) record[0] = OneIn(2) ? (byte)(0x40 | record[0] & 0x3F) : (byte)(0xC0 | record[0]);
            if (OneIn(2))
            {
                if (reached.Send(type, record.AsSpan(0, length), world.Now)) sent++;
            }
            else if (service.Sessions.FirstOrDefault() is { } session && service.Send(session.Number, type, record.AsSpan(0, length), world.Now))
            {
                sent++;
            }

            if (i % 128 != 127) continue;
            Turn(world, 0.01, client, host);
            if (reached.State == HiddenClientState.Idle) reached.Open(world.Now);
            client.HiddenUdp.Clear();
            client.HiddenPackets.Clear();
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"records between a service and its client: {inputs} inputs, {100.0 * sent / inputs:F0} % sent, {world.Dropped(DropReason.BadRecord)} refused as records"));
        Assert.True(sent >= 0.3 * inputs && world.Dropped(DropReason.BadRecord) > 0.01 * inputs);
        Turn(world, 5, client, host);
        world.Until(() => Again(reached, world), 600, "reached again");
        Talk(world, client, reached);
    }

    private (SimRouter Host, HiddenService Service, SimRouter Client, HiddenClient Reached) Meet(SimWorld world, out SimRouter? target, bool atClient)
    {
        SimRouter Add() => world.AddClient(adjust: o => o with { Shard = o.Shard with { MaxClientPaths = 64 } });
        SimRouter host = Add(), client = Add();
        target = atClient ? client : host;
        Catch(target);
        HiddenService service = host.Host(new HiddenServiceOptions { Seed = [.. Enumerable.Repeat((byte)7, 32)], Ports = [new ServicePort(6, 80)], TakesPackets = true });
        world.Until(() => service.IsPublished && service.Established == 3, 60, "published");
        HiddenClient reached = client.Reach(service.Address);
        world.Until(() => reached.State == HiddenClientState.Ready, 60, "reached");
        return (host, service, client, reached);
    }

    private static void Talk(SimWorld world, SimRouter client, HiddenClient reached)
    {
        SimTransfer transfer = client.Transfer(reached, 50_000);
        world.Until(() => transfer.Over, 120, "bytes there and back");
        Assert.True(transfer.Complete);
    }

    private static bool Again(HiddenClient reached, SimWorld world)
    {
        if (reached.State == HiddenClientState.Idle) reached.Open(world.Now);
        return reached.State == HiddenClientState.Ready;
    }

    private static void Turn(SimWorld world, double seconds, params SimRouter[] woken)
    {
        foreach (SimRouter router in woken) world.Network.Wake(router);
        world.Run(seconds);
    }

    // What its sessions really got: the last 256, so that some are of paths that stand.
    private void Catch(SimRouter router) => router.DeliveryTap = (shard, tag, content) =>
    {
        if (router.Hidden is { } hidden && hidden.Paths.Wanted > 0 && !hidden.Owns(shard, tag)) return; // what it asks about introsets comes by paths of others
        if (_caught.Count == 256) _caught.RemoveAt(0);
        _caught.Add((shard, tag, content.ToArray()));
    };

    private void Give(SimRouter router, int shard, in PacketTag tag, Span<byte> content, Func<bool> good)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        router.Inject(shard, tag, content);
        _most = Math.Max(_most, GC.GetAllocatedBytesForCurrentThread() - before);
        _inputs++;
        if (good()) _past++;
    }

    private void Report(string who, SimRouter router)
    {
        output.WriteLine($"{who} dropped: {string.Join(", ", router.Drops().Select(d => $"{d.Value} {d.Key}"))}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{who}: {_inputs} inputs, {100.0 * _past / _inputs:F0} % past the first check, at most {_most} B allocated by one"));
        Assert.True(_past >= 0.3 * _inputs, $"only {_past} of {_inputs} inputs got past the first check");
        Assert.True(_most <= MostAllocated, $"one input allocated {_most} B");
    }

    // Any content, mostly to a path that stands: a new one has brought few of its own.
    private (int Shard, PacketTag Tag, byte[] Content) Standing(SimRouter router, PathRef? joint)
    {
        (int Shard, PacketTag Tag, byte[] Content) one = _caught[_dice.Next(_caught.Count)];
        if (OneIn(16)) return one;
        for (int at = _caught.Count - 1, skip = _dice.Next(4); at >= 0; at--)
        {
            if (router.Hidden!.Owns(_caught[at].Shard, _caught[at].Tag) && skip-- == 0) return (_caught[at].Shard, _caught[at].Tag with { Command = one.Tag.Command, Length = one.Content.Length }, one.Content);
        }

        return joint is { } path ? (path.Shard, one.Tag with { Subject = path.Number.Row, Generation = path.Number.Generation }, one.Content) : one;
    }

    private static int CountRecords(Span<byte> content)
    {
        var reader = new RecordReader(content);
        int records = 0;
        while (reader.TryRead(out _, out _)) records++;
        return records;
    }

    private static long Wrong(SimRouter router) => router.Dropped(DropReason.BadCommand) + router.Dropped(DropReason.UnknownPath) + router.Dropped(DropReason.UnexpectedAnswer);

    private static long WrongMeeting(SimRouter router) => Wrong(router) + router.Dropped(DropReason.BadMeeting) + router.Dropped(DropReason.BadLength) + router.Dropped(DropReason.NotJoined);

    // Up to six records, most of them of a type and length that there is.
    private void Records(byte[] content, byte[] session)
    {
        ReadOnlySpan<int> lengths = [0, SessionMessage.OpenBytes, SessionMessage.OpenedBytes, SessionMessage.AttachBytes, SessionMessage.AttachedBytes, SessionMessage.ActivateBytes, SessionMessage.ActivatedBytes, SessionMessage.CloseBytes, SessionMessage.CloseBytes, SessionMessage.LeaseBytes, SessionMessage.LeasedBytes, SessionMessage.NoLeaseBytes, SessionMessage.UseBytes, SessionMessage.AdmittedBytes];
        content.AsSpan().Clear();
        int at = 0;
        for (int records = 1 + _dice.Next(6); records > 0 && at + RecordLayout.HeaderBytes < content.Length; records--)
        {
            var type = (RecordType)(OneIn(12) ? _dice.Next(256) : 1 + _dice.Next(5));
            int message = 1 + _dice.Next(lengths.Length - 1), length = type == RecordType.Session ? lengths[message] : OneIn(3) ? _dice.Next(1300) : _dice.Next(80);
            if (OneIn(20)) length = _dice.Next(1400);
            int room = Math.Min(length, content.Length - at - RecordLayout.HeaderBytes);
            RecordLayout.WriteHeader(content.AsSpan(at), type, OneIn(40) ? _dice.Next(65536) : room);
            Span<byte> body = content.AsSpan(at + RecordLayout.HeaderBytes, room);
            _dice.FillPublic(body);
            if (type == RecordType.Session && room > 0)
            {
                body[0] = (byte)message;
                bool unknown = message == (int)SessionMessageType.Unknown;
                if (session.Length > 0 && room > session.Length && (!unknown || OneIn(500))) session.CopyTo(body[1..]);
            }
            else if (type == RecordType.Quic && room > 0)
            {
                body[0] = OneIn(2) ? (byte)(0x40 | body[0] & 0x3F) : (byte)(0xC0 | body[0]);
            }
            else if (type == RecordType.Fragment && room > RecordFragment.HeaderBytes)
            {
                body[0] = (byte)(OneIn(4) ? body[0] : 1 + _dice.Next(4));
                (body[1], body[2], body[3]) = (0, (byte)_dice.Next(8), (byte)_dice.Next(3));
            }

            at += RecordLayout.HeaderBytes + room;
        }
    }

    // A message with a name that was spoken of before, or any.
    private void Meeting(byte[] content, out byte command)
    {
        command = EndCommand.Meeting;
        content.AsSpan().Clear();
        content[0] = (byte)(OneIn(30) ? _dice.Next(256) : 1 + _dice.Next(11));
        int length = MeetingMessage.LengthOf((MeetingType)content[0]);
        _dice.FillPublic(content.AsSpan(1, Math.Max(32, length - 1)));
        (_, PacketTag tag, byte[] known) = _caught[_dice.Next(_caught.Count)];
        if (tag.Command == EndCommand.Meeting && !OneIn(8)) known.AsSpan(1, 32).CopyTo(content.AsSpan(1));

        // That the other side is gone, or a status that ends the meeting, comes seldom, or nothing would ever stand.
        if ((MeetingType)content[0] == MeetingType.Parted && !OneIn(200)) content[1] ^= 1;
        if (length == MeetingMessage.StatusBytes) content[MeetingMessage.HeadBytes] = OneIn(50) ? (byte)_dice.Next(256) : (byte)0;
        if (length == MeetingMessage.IntroduceBytes && OneIn(2) && _caught.Find(c => c.Tag.Command == EndCommand.Meeting && c.Content[0] == (byte)MeetingType.Introduced) is { Content: { } introduced }) introduced.AsSpan(33, length - 33).CopyTo(content.AsSpan(33));
        if (OneIn(20)) content[_dice.Next(content.Length)] ^= 1;
    }

    private bool OneIn(int n) => _dice.Next(n) == 0;
}
