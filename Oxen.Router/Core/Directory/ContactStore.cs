using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Core.Directory;

/// <summary>What became of a contact that somebody offered.</summary>
internal enum ContactOffer : byte
{
    /// <summary>It is new to us, good, and kept from now on.</summary>
    Taken,

    /// <summary>We hold this one or a newer one.</summary>
    NotNewer,

    /// <summary>Not of a relay of the registry. Nothing else of it was looked at.</summary>
    Stranger,

    /// <summary>Expired, or published in the future.</summary>
    WrongTime,

    /// <summary>Malformed or wrongly signed: whoever hands such a thing on did not check it.</summary>
    Bad,
}

// The order is from cheap to dear, and what a stranger can send without end stops at the first line:
//   1 is the router of the registry?      a look-up           (memory is bounded by the registry, not by what is sent)
//   2 is it newer than what we hold?      a comparison
//   3 its form                            one copy, one hash
//   4 time, keys, signature               one Ed25519 check

/// <summary>The newest contact of each relay of the registry. Single-threaded.</summary>
internal sealed class ContactStore
{
    private readonly Dictionary<RouterId, RouterContact> _contacts = [];

    public RelayRoster Roster { get; private set; } = RelayRoster.Empty;

    /// <summary>Goes up when anything that is kept changes.</summary>
    public int Version { get; private set; }

    public int Count => _contacts.Count;

    /// <summary>Signatures that were checked, for tests and metrics.</summary>
    public long SignatureChecks { get; private set; }

    /// <summary>Contacts of routers that are not in the registry.</summary>
    public long Strangers { get; private set; }

    public IReadOnlyCollection<RouterContact> All => _contacts.Values;

    public bool TryGet(RouterId id, [NotNullWhen(true)] out RouterContact? contact) => _contacts.TryGetValue(id, out contact);

    /// <summary>Who may be a relay from now on; the contacts of the others go.</summary>
    public void SetRoster(RelayRoster roster)
    {
        Roster = roster;
        foreach (RouterId id in _contacts.Keys.ToArray())
        {
            if (!roster.Contains(id)) _contacts.Remove(id);
        }

        Version++;
    }

    /// <summary>Whether a contact published then would be news.</summary>
    public bool IsNews(RouterId id, long publishedUnixSeconds) =>
        Roster.Contains(id) && (!_contacts.TryGetValue(id, out RouterContact? held) || publishedUnixSeconds > held.PublishedUnixSeconds);

    /// <summary>
    /// Keeps a contact whose signature its reader has checked (of a list, of our cache), even if its time is over: its router can
    /// still be found by it.
    /// </summary>
    public void Keep(RouterContact contact)
    {
        if (!Roster.Contains(contact.Id) || (_contacts.TryGetValue(contact.Id, out RouterContact? held) && !contact.IsNewerThan(held))) return;
        _contacts[contact.Id] = contact;
        Version++;
    }

    /// <summary>Takes a contact if it is of a relay, newer than what we hold, valid now and signed.</summary>
    public ContactOffer Offer(ReadOnlySpan<byte> encoded, long nowUnixSeconds, out RouterContact? taken)
    {
        taken = null;
        if (!RouterContact.TryPeek(encoded, out RouterId id, out long published)) return ContactOffer.Bad;
        if (!Roster.Contains(id))
        {
            Strangers++;
            return ContactOffer.Stranger;
        }

        if (_contacts.TryGetValue(id, out RouterContact? held))
        {
            if (published < held.PublishedUnixSeconds || encoded.SequenceEqual(held.Encoded)) return ContactOffer.NotNewer;
        }

        if (RouterContact.TryDecode(encoded, out RouterContact? contact) != ContactFault.None) return ContactOffer.Bad;
        if (held is not null && !contact!.IsNewerThan(held)) return ContactOffer.NotNewer;
        if (contact!.CheckTime(nowUnixSeconds) != ContactFault.None) return ContactOffer.WrongTime;
        SignatureChecks++;
        if (contact.VerifyTimeless() != ContactFault.None) return ContactOffer.Bad;
        _contacts[id] = contact;
        taken = contact;
        Version++;
        return ContactOffer.Taken;
    }
}
