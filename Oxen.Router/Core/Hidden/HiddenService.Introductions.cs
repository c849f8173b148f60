using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Packets;

namespace Oxen.Router.Core.Hidden;

// Introduction relays: each has a key of its own, so that two of them cannot tell that they serve one service. A path to each is
// held all the time; when it is renewed, the new one takes over with the same key.
internal sealed partial class HiddenService
{
    // A relay that cannot be reached, or refuses, for so long is replaced.
    private static readonly TimeSpan IntroductionPatience = TimeSpan.FromSeconds(20);

    private sealed class Introduction
    {
        public required RouterId Relay { get; init; }

        public required RouterIdentity Key { get; init; }

        public required int Group { get; init; }

        /// <summary>The one that stands.</summary>
        public HiddenPath? Path { get; set; }

        /// <summary>The one that ESTABLISH was sent on.</summary>
        public HiddenPath? Pending { get; set; }

        public Instant Retry { get; set; } = Instant.Never;

        /// <summary>When to replace it; never while it stands.</summary>
        public Instant GiveUp { get; set; }
    }

    private readonly List<Introduction> _introductions = [];
    private readonly Queue<RouterId> _failedRelays = new();

    /// <summary>Introduction relays that stand.</summary>
    public int Established => _introductions.Count(i => i.Path is not null);

    /// <summary>The relays that introduce clients now.</summary>
    public IEnumerable<RouterId> IntroductionRelays => _introductions.Where(i => i.Path is not null).Select(i => i.Relay);

    private void TendIntroductions(Instant now)
    {
        foreach (Introduction introduction in _introductions.ToArray())
        {
            if (introduction.GiveUp <= now)
            {
                _failedRelays.Enqueue(introduction.Relay);
                if (_failedRelays.Count > 8) _failedRelays.Dequeue();
                Drop(introduction, now);
                _dirty = true;
            }
            else if (introduction.Retry <= now)
            {
                SendEstablish(introduction, now);
            }
        }

        while (_introductions.Count < _options.Introductions)
        {
            RouterId relay = _context.ChooseRelay(id => _failedRelays.Contains(id) || _introductions.Exists(i => i.Relay == id));
            if (relay.IsNone) relay = _context.ChooseRelay(id => _introductions.Exists(i => i.Relay == id));
            if (relay.IsNone) return; // fewer relays than wanted: what there is must do
            _introductions.Add(new Introduction
            {
                Relay = relay,
                Key = RouterIdentity.Create(_context.Entropy),
                Group = _context.Paths.Want(relay, this, once: false, now),
                GiveUp = now + IntroductionPatience,
            });
        }
    }

    private void OnIntroductionPath(HiddenPath path, Instant now)
    {
        if (_introductions.Find(i => i.Group == path.Group) is not { } introduction) return;
        introduction.Pending = path;
        SendEstablish(introduction, now);
    }

    private void OnIntroductionPathGone(HiddenPath path, Instant now)
    {
        if (_introductions.Find(i => i.Group == path.Group) is not { } introduction) return;
        if (introduction.Pending == path) (introduction.Pending, introduction.Retry) = (null, Instant.Never);
        if (introduction.Path != path) return;
        introduction.Path = null;
        introduction.GiveUp = now + IntroductionPatience;
    }

    private void OnIntroductionMessage(HiddenPath path, MeetingType type, ReadOnlySpan<byte> name, ReadOnlySpan<byte> body, Instant now)
    {
        if (_introductions.Find(i => i.Group == path.Group) is not { } introduction || new RouterId(name) != introduction.Key.Id) return;
        switch (type)
        {
            case MeetingType.Established when introduction.Pending == path && (MeetingStatus)body[0] == MeetingStatus.Done:
                bool first = introduction.Path is null;
                introduction.Path = path;
                introduction.Pending = null;
                introduction.Retry = Instant.Never;
                introduction.GiveUp = Instant.Never;
                if (!first) break;
                _dirty = true;
                _nextWork = Instant.Earlier(_nextWork, now + Gather);
                break;
            case MeetingType.Established when introduction.Pending == path:
                introduction.Retry = now + 4 * Repeat; // busy, or an older path that is still there
                break;
            case MeetingType.Introduced:
                if (_queue.Offer(body, now)) Answer(now);
                break;
            default:
                _context.Drops.Count(DropReason.BadMeeting);
                break;
        }
    }

    private void SendEstablish(Introduction introduction, Instant now)
    {
        introduction.Retry = Instant.Never;
        if (introduction.Pending is not { } path) return;
        byte[] key = introduction.Key.Id.ToArray();
        Span<byte> signature = stackalloc byte[KeyBlinding.SignatureBytes];
        introduction.Key.Sign(MeetingMessage.EstablishProof(path.Transcript, key), signature);
        _context.Paths.Send(path, MeetingType.Establish, key, signature, now);
        introduction.Retry = now + Repeat;
    }

    private void Drop(Introduction introduction, Instant now)
    {
        if (!_introductions.Remove(introduction)) return;
        introduction.Key.Dispose();
        _context.Paths.Drop(introduction.Group, now);
    }
}
