using Oxen.Router.Core.Directory;

namespace Oxen.Router.Core.Gossip;

/// <summary>What one router knows of the network, in the forms that the directory's machines need.</summary>
internal sealed class DirectoryState
{
    private ItemSet _contacts = ItemSet.Empty;
    private int _contactsVersion = -1;
    private long _nextExpiry = long.MaxValue;
    private ItemSet _members = ItemSet.Empty;
    private RelayRoster? _membersOf;

    public ContactStore Store { get; } = new();

    /// <summary>Contacts that are valid now: an expired one is no longer spread.</summary>
    public ItemSet Contacts(long nowUnixSeconds)
    {
        if (_contactsVersion == Store.Version && nowUnixSeconds < _nextExpiry) return _contacts;
        RouterContact[] valid = [.. Store.All.Where(c => c.CheckTime(nowUnixSeconds) == ContactFault.None)];
        _contacts = new ItemSet(valid.Select(SetItem.Of));
        _contactsVersion = Store.Version;
        _nextExpiry = valid.Length == 0 ? long.MaxValue : valid.Min(c => c.ValidUntilUnixSeconds);
        return _contacts;
    }

    public ItemSet Members()
    {
        if (ReferenceEquals(_membersOf, Store.Roster)) return _members;
        _membersOf = Store.Roster;
        return _members = new ItemSet(_membersOf.Entries.Select(SetItem.Of));
    }

    public ItemSet Items(DirectorySet set, long nowUnixSeconds) => set == DirectorySet.Contacts ? Contacts(nowUnixSeconds) : Members();
}
