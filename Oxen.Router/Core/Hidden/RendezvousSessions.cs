using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Core.Hidden;

internal sealed record RendezvousOptions
{
    /// <summary>Services that introduce clients here.</summary>
    public int MaxServices { get; init; } = 4096;

    /// <summary>Clients that wait with a cookie.</summary>
    public int MaxWaiting { get; init; } = 8192;

    /// <summary>Introductions a second to one service, and after a rest.</summary>
    public double IntroductionsPerSecond { get; init; } = 200;

    public double IntroductionBurst { get; init; } = 400;

    /// <summary>INTRODUCE on one client's path, repeats included: an honest client needs a handful.</summary>
    public int IntroductionsPerPath { get; init; } = 16;
}

// A relay as introduction relay and as rendezvous, on the session thread, sans-IO. Any path that ends here may take one role, for
// its whole life:
//
//   service   ESTABLISH with a proof of its key        INTRODUCE of others is sent on to it
//   waiting   AWAIT with a cookie, 60 s                JOIN with it, once, from another path
//   joined    the two: Joined packets cross over       one path gone: PARTED to the other, whose role is over
//
// A Joined packet came through the path's onion layer, where its ten zeros and number were checked; it leaves as content of the
// other path, with that path's own number. Nothing of the heads crosses over. Meeting messages are read here and never sent on. Where both
// paths end on one shard, that shard moves the packets itself once the client has spoken (JoinPaths).
internal sealed class RendezvousSessions(PathOutlet[] outlets, DropCounters drops, RendezvousOptions? options = null, Action<PathRef, PathRef>? join = null)
{
    // Specification.
    private static readonly TimeSpan CookieLife = TimeSpan.FromSeconds(60);

    private enum Role : byte
    {
        None,
        Service,
        Client,
        Waiting,
        Joined,
        Over,
    }

    private sealed class End
    {
        public required PathRef Path { get; init; }

        public required byte[] Transcript { get; init; }

        public Role Role { get; set; }

        /// <summary>Service: its key. Waiting, joined: the cookie.</summary>
        public Name Name { get; set; }

        public End? Other { get; set; }

        /// <summary>Of the two, the one that came with JOIN.</summary>
        public bool Joined { get; set; }

        /// <summary>Waited: the answer, until the client has surely got it.</summary>
        public byte[] Answer { get; set; } = [];

        /// <summary>Joined, and the shard was told.</summary>
        public bool Switched { get; set; }

        public int Introductions { get; set; }

        public double Tokens { get; set; }

        public Instant Filled { get; set; }
    }

    private readonly record struct Name(UInt128 High, UInt128 Low)
    {
        public Name(ReadOnlySpan<byte> bytes)
            : this(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes), System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes[16..]))
        {
        }

        public void CopyTo(Span<byte> bytes)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(bytes, High);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(bytes[16..], Low);
        }
    }

    private readonly RendezvousOptions _options = options ?? new RendezvousOptions();
    private readonly Dictionary<PathRef, End> _ends = [];
    private readonly Dictionary<Name, End> _services = [];
    private readonly Dictionary<Name, End> _waiting = [];
    private readonly Queue<(End End, Instant Expires)> _byExpiry = new();

    public int Services => _services.Count;

    public int Waiting => _waiting.Count;

    /// <summary>Packets that crossed over here, and not on a shard.</summary>
    public long Crossed { get; private set; }

    public int Joints { get; private set; }

    public Instant NextDeadline => _byExpiry.TryPeek(out (End, Instant Expires) first) ? first.Expires : Instant.Never;

    // ---- paths ----

    public void OnPathReady(PathReady ready) => _ends[ready.Path] = new End { Path = ready.Path, Transcript = ready.Transcript };

    public void OnPathGone(PathGone gone)
    {
        if (!_ends.Remove(gone.Path, out End? end)) return;
        Leave(end);
    }

    public void HandleTimeout(Instant now)
    {
        while (_byExpiry.TryPeek(out (End End, Instant Expires) first) && first.Expires <= now)
        {
            _byExpiry.Dequeue();
            if (first.End.Role != Role.Waiting) continue;
            Leave(first.End);
            first.End.Role = Role.Over;
        }
    }

    // ---- packets ----

    /// <summary>Commands <see cref="EndCommand.Joined"/> and <see cref="EndCommand.Meeting"/> of a path that ends here.</summary>
    public void HandleDelivery(int shard, in PacketTag tag, ReadOnlySpan<byte> content, Instant now)
    {
        if (!_ends.TryGetValue(new PathRef(shard, new PathNumber(tag.Subject, tag.Generation)), out End? end))
        {
            drops.Count(DropReason.UnknownPath);
            return;
        }

        if (tag.Command == EndCommand.Joined)
        {
            if (end.Role != Role.Joined || end.Other is not { } other)
            {
                drops.Count(DropReason.NotJoined);
                return;
            }

            // The reduced class has no room for what the full class carries; each side chose its own.
            end.Answer = [];
            if (!end.Switched)
            {
                end.Switched = other.Switched = true;
                if (end.Path.Shard == other.Path.Shard) join?.Invoke(end.Path, other.Path);
            }

            if (outlets[other.Path.Shard].TryCommand(other.Path.Number, PathOutlet.TerminalHop, EndCommand.Joined, content)) Crossed++;
            return;
        }

        if (tag.Command != EndCommand.Meeting || !MeetingMessage.TryRead(content, out MeetingType type, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> body))
        {
            drops.Count(DropReason.BadMeeting);
            return;
        }

        switch (type)
        {
            case MeetingType.Establish:
                MeetingMessage.Send(outlets, end.Path, MeetingType.Established, name, Establish(end, name, body, now));
                break;
            case MeetingType.Introduce:
                MeetingMessage.Send(outlets, end.Path, MeetingType.IntroduceAck, name, Introduce(end, name, body, now));
                break;
            case MeetingType.Await:
                Await(end, name, now);
                break;
            case MeetingType.Join:
                MeetingMessage.Send(outlets, end.Path, MeetingType.JoinAck, name, Join(end, name, body));
                break;
            default:
                drops.Count(DropReason.BadMeeting); // what a relay says, said to a relay
                break;
        }
    }

    // ---- introductions ----

    private MeetingStatus Establish(End end, ReadOnlySpan<byte> key, ReadOnlySpan<byte> signature, Instant now)
    {
        var name = new Name(key);
        if (end.Role == Role.Service && end.Name == name) return MeetingStatus.Done; // the answer was lost
        if (end.Role != Role.None) return MeetingStatus.Refused;
        bool known = _services.TryGetValue(name, out End? before);
        if (!known && _services.Count >= _options.MaxServices) return MeetingStatus.Busy;
        if (!MeetingMessage.VerifyEstablish(end.Transcript, key, signature)) return MeetingStatus.Refused;

        // The service itself came by a newer path: the older one is done.
        if (known) before!.Role = Role.Over;
        end.Role = Role.Service;
        end.Name = name;
        end.Tokens = _options.IntroductionBurst;
        end.Filled = now;
        _services[name] = end;
        return MeetingStatus.Done;
    }

    private MeetingStatus Introduce(End end, ReadOnlySpan<byte> key, ReadOnlySpan<byte> introduction, Instant now)
    {
        if (end.Role is not (Role.None or Role.Client)) return MeetingStatus.Refused;
        end.Role = Role.Client;
        if (++end.Introductions > _options.IntroductionsPerPath) return MeetingStatus.Busy;
        if (!_services.TryGetValue(new Name(key), out End? service)) return MeetingStatus.Unknown;
        service.Tokens = Math.Min(_options.IntroductionBurst, service.Tokens + (now - service.Filled).TotalSeconds * _options.IntroductionsPerSecond);
        service.Filled = now;
        if (service.Tokens < 1) return MeetingStatus.Busy;
        service.Tokens--;
        return MeetingMessage.Send(outlets, service.Path, MeetingType.Introduced, key, introduction) ? MeetingStatus.Done : MeetingStatus.Busy;
    }

    // ---- rendezvous ----

    private void Await(End end, ReadOnlySpan<byte> cookie, Instant now)
    {
        var name = new Name(cookie);
        if (end.Role == Role.Joined && end.Name == name && end.Answer.Length > 0)
        {
            MeetingMessage.Send(outlets, end.Path, MeetingType.Joined, cookie, end.Answer); // it was lost
            return;
        }

        MeetingStatus status = MeetingStatus.Done;
        if (end.Role == Role.None)
        {
            if (_waiting.Count >= _options.MaxWaiting) status = MeetingStatus.Busy;
            else if (!_waiting.TryAdd(name, end)) status = MeetingStatus.Refused;
            else
            {
                end.Role = Role.Waiting;
                end.Name = name;
                _byExpiry.Enqueue((end, now + CookieLife));
            }
        }
        else if (end.Role != Role.Waiting || end.Name != name)
        {
            status = MeetingStatus.Refused;
        }

        MeetingMessage.Send(outlets, end.Path, MeetingType.Awaiting, cookie, status);
    }

    private MeetingStatus Join(End end, ReadOnlySpan<byte> cookie, ReadOnlySpan<byte> answer)
    {
        var name = new Name(cookie);
        if (end.Role == Role.Joined && end.Joined && end.Name == name) return MeetingStatus.Done; // the answer was lost
        if (end.Role != Role.None) return MeetingStatus.Refused; // to itself, or twice
        if (!_waiting.Remove(name, out End? client)) return MeetingStatus.Unknown;
        end.Role = client.Role = Role.Joined;
        end.Joined = true;
        end.Name = name;
        end.Other = client;
        client.Other = end;
        client.Answer = answer.ToArray();
        Joints++;
        MeetingMessage.Send(outlets, client.Path, MeetingType.Joined, cookie, answer);
        return MeetingStatus.Done;
    }

    private void Leave(End end)
    {
        switch (end.Role)
        {
            case Role.Service when _services.GetValueOrDefault(end.Name) == end:
                _services.Remove(end.Name);
                break;
            case Role.Waiting:
                _waiting.Remove(end.Name);
                break;
            case Role.Joined when end.Other is { } other:
                Joints--;
                other.Role = Role.Over;
                other.Other = null;
                end.Other = null;
                Span<byte> cookie = stackalloc byte[MeetingMessage.NameBytes];
                end.Name.CopyTo(cookie);
                MeetingMessage.Send(outlets, other.Path, MeetingType.Parted, cookie);
                break;
        }
    }
}
