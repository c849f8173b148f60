using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

// One comparison with one relay, from the first question to the last contact:
//   COMPARE, until it is known what differs     then FETCH what is newer there     then, between relays, GIVE what is newer here
//
/// <summary>One exchange with one relay. Says what to ask next; whoever owns it does the asking.</summary>
internal sealed class Exchange
{
    private readonly DirectoryState _state;
    private readonly DirectorySet _set;
    private readonly bool _gives;
    private readonly ReconcileSession _session;
    private readonly Queue<RouterId> _wanted = new();
    private readonly Queue<RouterId> _gifts = new();
    private DirectoryOperation _asked = DirectoryOperation.Compare;

    public Exchange(DirectoryState state, RouterId peer, DirectorySet set, bool gives, long nowUnixSeconds)
    {
        _state = state;
        _set = set;
        _gives = gives;
        _session = new ReconcileSession(state.Items(set, nowUnixSeconds), set);
        Peer = peer;
    }

    public RouterId Peer { get; }

    /// <summary>The peer broke the rules of the protocol, or handed on a contact that it cannot have checked.</summary>
    public bool Broken { get; private set; }

    /// <summary>Everything was compared, fetched and given.</summary>
    public bool Done { get; private set; }

    /// <summary>Contacts that were new to us.</summary>
    public int Taken { get; private set; }

    public IReadOnlyList<SetItem> Theirs => _session.Theirs;

    public IReadOnlyList<SetItem> Ours => _session.Ours;

    public byte[] Begin() => DirectoryMessages.Compare(_set, _session.Begin());

    /// <summary>Reads a reply and gives the next question; null at the end.</summary>
    public byte[]? Read(ReadOnlySpan<byte> reply, long nowUnixSeconds, Action<RouterContact, RouterId>? onTaken)
    {
        switch (_asked)
        {
            case DirectoryOperation.Compare:
                byte[]? next = _session.Read(reply);
                if (next is null) return Break();
                if (next.Length > 0) return DirectoryMessages.Compare(_set, next);
                if (_set == DirectorySet.Contacts) Sort();
                break;
            case DirectoryOperation.Fetch:
                if (!Take(reply, nowUnixSeconds, onTaken)) return Break();
                break;
        }

        return Next();
    }

    private byte[]? Next()
    {
        if (_wanted.Count > 0)
        {
            _asked = DirectoryOperation.Fetch;
            var ids = new RouterId[Math.Min(_wanted.Count, DirectoryMessages.MaxContacts)];
            for (int i = 0; i < ids.Length; i++) ids[i] = _wanted.Dequeue();
            return DirectoryMessages.Fetch(ids);
        }

        if (_gifts.Count > 0)
        {
            _asked = DirectoryOperation.Give;
            var contacts = new List<RouterContact>();
            while (contacts.Count < DirectoryMessages.MaxContacts && _gifts.TryDequeue(out RouterId id))
            {
                if (_state.Store.TryGet(id, out RouterContact? contact)) contacts.Add(contact);
            }

            if (contacts.Count > 0) return DirectoryMessages.Give(contacts);
        }

        Done = true;
        return null;
    }

    // What differs, newest first known: theirs is fetched when it is news, ours given when it would be.
    private void Sort()
    {
        var theirs = new Dictionary<RouterId, SetItem>();
        foreach (SetItem item in _session.Theirs)
        {
            theirs[item.Id] = item;
            bool newer = _state.Store.TryGet(item.Id, out RouterContact? held)
                ? item.Published > held.PublishedUnixSeconds || (item.Published == held.PublishedUnixSeconds && item.Digest > held.Digest)
                : _state.Store.Roster.Contains(item.Id);
            if (newer) _wanted.Enqueue(item.Id);
        }

        if (!_gives) return;
        foreach (SetItem item in _session.Ours)
        {
            if (!theirs.TryGetValue(item.Id, out SetItem other) || item.Published > other.Published || (item.Published == other.Published && item.Digest > other.Digest)) _gifts.Enqueue(item.Id);
        }
    }

    private bool Take(ReadOnlySpan<byte> contacts, long nowUnixSeconds, Action<RouterContact, RouterId>? onTaken)
    {
        for (int i = 0; i < DirectoryMessages.MaxContacts && !contacts.IsEmpty; i++)
        {
            if (!DirectoryMessages.TryTakeContact(ref contacts, out ReadOnlySpan<byte> encoded)) return false;
            if (encoded[0] != RouterContact.Version) continue;
            ContactOffer offer = _state.Store.Offer(encoded, nowUnixSeconds, out RouterContact? taken);
            if (offer == ContactOffer.Bad) return false;
            if (offer != ContactOffer.Taken) continue;
            Taken++;
            onTaken?.Invoke(taken!, Peer);
        }

        return contacts.IsEmpty;
    }

    private byte[]? Break()
    {
        Broken = true;
        return null;
    }
}
