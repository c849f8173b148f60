using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class RendezvousSessionsTests : IDisposable
{
    private readonly PinnedBlock _block = new(64 * PacketRing.SlotBytes);
    private readonly PacketRing _ring;
    private readonly DropCounters _drops = new();
    private readonly SeededEntropy _dice = new(41);
    private readonly RendezvousSessions _relay;
    private Instant _now = Instant.FromMilliseconds(5000);

    public RendezvousSessionsTests()
    {
        _ring = new PacketRing(_block, 0, 64);
        _relay = new RendezvousSessions([new PathOutlet(_ring, _drops)], _drops, new RendezvousOptions { MaxWaiting = 3, MaxServices = 2 });
        for (int path = 0; path < 10; path++) _relay.OnPathReady(new PathReady { Class = Oxen.Router.Core.Onion.SizeClass.Full, Path = Ref(path), End = PathEnd.Terminal, SessionSecret = [], Transcript = Transcript(path), Expires = Instant.Never });
    }

    public void Dispose() => _block.Dispose();

    [Fact]
    public void A_service_that_proves_its_key_gets_the_introductions_of_others()
    {
        using RouterIdentity key = RouterIdentity.Create(_dice);
        Assert.Equal([(1, MeetingType.Established, MeetingStatus.Done)], Statuses(Establish(1, key, Transcript(1))));
        byte[] introduction = Draw(IntroductionFormat.Bytes);
        List<Said> said = Tell(2, MeetingType.Introduce, key.Id.ToArray(), introduction);
        Assert.Equal(2, said.Count);
        Assert.Equal((1, MeetingType.Introduced), (said[0].Path, said[0].Type));
        Assert.Equal(introduction, said[0].Body);
        Assert.Equal(key.Id.ToArray(), said[0].Name);
        Assert.Equal((2, MeetingType.IntroduceAck, (byte)0), (said[1].Path, said[1].Type, said[1].Body[0]));

        // Nobody of that name, and a path that has another role.
        Assert.Equal([(3, MeetingType.IntroduceAck, MeetingStatus.Unknown)], Statuses(Tell(3, MeetingType.Introduce, Draw(32), introduction)));
        Assert.Equal([(1, MeetingType.IntroduceAck, MeetingStatus.Refused)], Statuses(Tell(1, MeetingType.Introduce, key.Id.ToArray(), introduction)));
        Assert.Equal([(2, MeetingType.Established, MeetingStatus.Refused)], Statuses(Establish(2, key, Transcript(2))));

        _relay.OnPathGone(new PathGone(Ref(1), ""));
        Assert.Equal([(4, MeetingType.IntroduceAck, MeetingStatus.Unknown)], Statuses(Tell(4, MeetingType.Introduce, key.Id.ToArray(), introduction)));
        Assert.Equal(0, _relay.Services);
    }

    [Fact]
    public void A_proof_counts_for_its_path_alone_and_the_newer_path_of_a_service_takes_over()
    {
        using RouterIdentity key = RouterIdentity.Create(_dice), other = RouterIdentity.Create(_dice), third = RouterIdentity.Create(_dice);
        Assert.Equal([(1, MeetingType.Established, MeetingStatus.Refused)], Statuses(Establish(1, key, Transcript(2))));
        Assert.Equal([(1, MeetingType.Established, MeetingStatus.Done)], Statuses(Establish(1, key, Transcript(1))));
        Assert.Equal([(1, MeetingType.Established, MeetingStatus.Done)], Statuses(Establish(1, key, Transcript(1)))); // told again
        Assert.Equal([(2, MeetingType.Established, MeetingStatus.Done)], Statuses(Establish(2, key, Transcript(2))));
        Assert.Equal(1, _relay.Services);
        Assert.Equal(2, Tell(3, MeetingType.Introduce, key.Id.ToArray(), new byte[IntroductionFormat.Bytes])[0].Path);
        _relay.OnPathGone(new PathGone(Ref(1), "")); // the older one goes: the service stays
        Assert.Equal(1, _relay.Services);
        Establish(4, other, Transcript(4));
        Assert.Equal([(5, MeetingType.Established, MeetingStatus.Busy)], Statuses(Establish(5, third, Transcript(5))));
    }

    [Fact]
    public void Two_paths_are_joined_once_and_packets_cross_over_whole()
    {
        byte[] cookie = Draw(32), answer = Draw(IntroductionFormat.AnswerBytes), content = Draw(RecordLayout.ContentBytes);
        Assert.Equal([(1, MeetingType.Awaiting, MeetingStatus.Done)], Statuses(Tell(1, MeetingType.Await, cookie)));
        Assert.Equal([(1, MeetingType.JoinAck, MeetingStatus.Refused)], Statuses(Tell(1, MeetingType.Join, cookie, answer))); // to itself
        Assert.Empty(Cross(2, content));
        Assert.Equal([(2, MeetingType.JoinAck, MeetingStatus.Unknown)], Statuses(Tell(2, MeetingType.Join, Draw(32), answer)));
        List<Said> said = Tell(2, MeetingType.Join, cookie, answer);
        Assert.Equal([(1, MeetingType.Joined), (2, MeetingType.JoinAck)], said.Select(s => (s.Path, s.Type)));
        Assert.Equal(answer, said[0].Body);

        // The cookie is used up; who joined may ask again, nobody else.
        Assert.Equal([(3, MeetingType.JoinAck, MeetingStatus.Unknown)], Statuses(Tell(3, MeetingType.Join, cookie, answer)));
        Assert.Equal([(2, MeetingType.JoinAck, MeetingStatus.Done)], Statuses(Tell(2, MeetingType.Join, cookie, answer)));
        Assert.Equal(MeetingType.Joined, Tell(1, MeetingType.Await, cookie).Single().Type);
        Assert.Equal([(4, MeetingType.Awaiting, MeetingStatus.Done)], Statuses(Tell(4, MeetingType.Await, cookie))); // a cookie of another client's, by chance or malice
        Assert.Equal([(2, MeetingType.JoinAck, MeetingStatus.Done)], Statuses(Tell(2, MeetingType.Join, cookie, answer)));
        Assert.Equal([(1, MeetingType.JoinAck, MeetingStatus.Refused)], Statuses(Tell(1, MeetingType.Join, cookie, answer)));

        foreach ((int from, int to) in (ReadOnlySpan<(int, int)>)[(1, 2), (2, 1), (1, 2)])
        {
            (int path, byte command, byte[] bytes) = Cross(from, content).Single();
            Assert.Equal((to, EndCommand.Joined), (path, command));
            Assert.Equal(content, bytes);
        }

        Assert.Equal(3, _relay.Crossed);
        Assert.Equal([(1, MeetingType.Awaiting, MeetingStatus.Refused)], Statuses(Tell(1, MeetingType.Await, cookie))); // it has spoken: it has the answer
    }

    [Fact]
    public void What_is_meant_for_the_rendezvous_never_crosses()
    {
        byte[] cookie = Draw(32);
        Tell(1, MeetingType.Await, cookie);
        Tell(2, MeetingType.Join, cookie, Draw(IntroductionFormat.AnswerBytes));
        foreach (MeetingType type in Enum.GetValues<MeetingType>())
        {
            byte[] content = new byte[RecordLayout.ContentBytes];
            content[0] = (byte)type;
            _dice.FillPublic(content.AsSpan(1, MeetingMessage.LengthOf(type) - 1));
            Assert.All(Deliver(1, EndCommand.Meeting, content), s => Assert.Equal(1, s.Path));
        }

        Assert.Equal(0, _relay.Crossed);
        Assert.True(_drops[DropReason.BadMeeting] > 0);
    }

    [Fact]
    public void A_cookie_lives_a_minute_and_one_side_that_goes_tells_the_other()
    {
        byte[] cookie = Draw(32), late = Draw(32);
        Tell(1, MeetingType.Await, cookie);
        Tell(2, MeetingType.Await, late);
        _now += TimeSpan.FromSeconds(59);
        _relay.HandleTimeout(_now);
        Assert.Equal([(1, MeetingType.Joined), (4, MeetingType.JoinAck)], Tell(4, MeetingType.Join, cookie, Draw(IntroductionFormat.AnswerBytes)).Select(s => (s.Path, s.Type)));
        _now += TimeSpan.FromSeconds(1);
        _relay.HandleTimeout(_now);
        Assert.Equal([(5, MeetingType.JoinAck, MeetingStatus.Unknown)], Statuses(Tell(5, MeetingType.Join, late, Draw(IntroductionFormat.AnswerBytes))));
        Assert.Equal(0, _relay.Waiting);

        _relay.OnPathGone(new PathGone(Ref(4), ""));
        Said parted = Take().Single();
        Assert.Equal((1, MeetingType.Parted), (parted.Path, parted.Type));
        Assert.Empty(Cross(1, new byte[RecordLayout.ContentBytes]));
        Assert.Equal(1, _drops[DropReason.NotJoined]);
        Assert.Equal([(1, MeetingType.Awaiting, MeetingStatus.Refused)], Statuses(Tell(1, MeetingType.Await, Draw(32)))); // its role is over
        Assert.Equal(0, _relay.Joints);
    }

    [Fact]
    public void Everything_is_bounded()
    {
        for (int path = 0; path < 3; path++) Assert.Equal(MeetingStatus.Done, Statuses(Tell(path, MeetingType.Await, Draw(32))).Single().Status);
        Assert.Equal(MeetingStatus.Busy, Statuses(Tell(3, MeetingType.Await, Draw(32))).Single().Status);
        using RouterIdentity key = RouterIdentity.Create(_dice);
        Establish(4, key, Transcript(4));
        int done = 0, busy = 0;
        for (int i = 0; i < 40; i++)
        {
            MeetingStatus status = Statuses(Tell(5, MeetingType.Introduce, key.Id.ToArray(), Draw(IntroductionFormat.Bytes))).Single(s => s.Type == MeetingType.IntroduceAck).Status;
            if (status == MeetingStatus.Done) done++;
            else if (status == MeetingStatus.Busy) busy++;
        }

        Assert.Equal((16, 24), (done, busy));
    }

    private sealed record Said(int Path, MeetingType Type, byte[] Name, byte[] Body);

    private static PathRef Ref(int path) => new(0, new PathNumber(path, 1));

    private static byte[] Transcript(int path) => SHA256.HashData([(byte)path]);

    private static (int Path, MeetingType Type, MeetingStatus Status)[] Statuses(List<Said> said) => [.. said.Where(s => s.Body.Length == 1).Select(s => (s.Path, s.Type, (MeetingStatus)s.Body[0]))];

    private List<Said> Establish(int path, RouterIdentity key, byte[] transcript)
    {
        byte[] signature = new byte[64];
        key.Sign(MeetingMessage.EstablishProof(transcript, key.Id.ToArray()), signature);
        return Tell(path, MeetingType.Establish, key.Id.ToArray(), signature);
    }

    private List<Said> Tell(int path, MeetingType type, byte[] name, byte[]? body = null)
    {
        byte[] content = [(byte)type, .. name, .. body ?? []];
        return Deliver(path, EndCommand.Meeting, [.. content, .. new byte[RecordLayout.ContentBytes - content.Length]]);
    }

    private List<Said> Deliver(int path, byte command, byte[] content)
    {
        _relay.HandleDelivery(0, new PacketTag { Subject = path, Generation = 1, Command = command, Length = content.Length }, content, _now);
        return Take();
    }

    private List<Said> Take()
    {
        var said = new List<Said>();
        while (_ring.TryTake(out PacketTag tag, out int offset))
        {
            Assert.Equal(EndCommand.Meeting, tag.Command);
            Assert.True(MeetingMessage.TryRead(_block.Slice(offset + PacketRing.Headroom, tag.Length), out MeetingType type, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> body));
            said.Add(new Said(tag.Subject, type, name.ToArray(), body.ToArray()));
        }

        _ring.ReleaseTaken();
        return said;
    }

    private List<(int Path, byte Command, byte[] Content)> Cross(int path, byte[] content)
    {
        _relay.HandleDelivery(0, new PacketTag { Subject = path, Generation = 1, Command = EndCommand.Joined, Length = content.Length }, content, _now);
        var crossed = new List<(int, byte, byte[])>();
        while (_ring.TryTake(out PacketTag tag, out int offset)) crossed.Add((tag.Subject, tag.Command, _block.Slice(offset + PacketRing.Headroom, tag.Length).ToArray()));
        _ring.ReleaseTaken();
        return crossed;
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillPublic(bytes);
        return bytes;
    }
}
