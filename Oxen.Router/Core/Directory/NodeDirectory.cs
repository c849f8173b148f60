using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Core.Directory;

/// <summary>
/// The routers we know: who is a relay, who an exit, where they are found. Read by links and paths on the control thread.
/// <see cref="From"/> makes one that stays as the list is; <see cref="Show"/> is how the directory's machine lets it follow the network.
/// </summary>
internal sealed class NodeDirectory
{
    private Dictionary<RouterId, RouterContact> _byId;
    private HashSet<RouterId> _usable;
    private RelayRoster _roster;

    private NodeDirectory(IReadOnlyList<RouterContact> accepted, IReadOnlyList<(RouterId Id, ContactFault Fault)> refused, RelayRoster roster)
    {
        _roster = roster;
        _byId = accepted.ToDictionary(c => c.Id);
        _usable = [.. _byId.Keys];
        (All, Relays, Exits, Refused) = (accepted, [.. accepted.Where(c => c.IsRelay)], [.. accepted.Where(c => c.IsExit)], refused);
    }

    /// <summary>Nobody. A new one each time.</summary>
    public static NodeDirectory Empty => new([], [], RelayRoster.Empty);

    /// <summary>Contacts that paths may be built with.</summary>
    public IReadOnlyList<RouterContact> All { get; private set; }

    public IReadOnlyList<RouterContact> Relays { get; private set; }

    public IReadOnlyList<RouterContact> Exits { get; private set; }

    /// <summary>Contacts of the list that were not taken, and why.</summary>
    public IReadOnlyList<(RouterId Id, ContactFault Fault)> Refused { get; }

    /// <summary>Every contact, the ones too old to build with as well: their routers can still be found by them.</summary>
    public IReadOnlyCollection<RouterContact> Known => _byId.Values;

    /// <summary>Relays of the registry, whether we have their contact or not.</summary>
    public int MemberCount => _roster.Count;

    /// <summary>Goes up with every <see cref="Show"/>.</summary>
    public int Version { get; private set; }

    /// <summary>The same as it is now, for another thread: what is shown later does not change it.</summary>
    public NodeDirectory Snapshot() => (NodeDirectory)MemberwiseClone(); // Show puts new collections in place of the old ones

    /// <summary>Takes every contact of the list that is valid now and signed by its router.</summary>
    public static NodeDirectory From(ContactList list, long nowUnixSeconds)
    {
        var accepted = new List<RouterContact>(list.Contacts.Count);
        var refused = new List<(RouterId, ContactFault)>();
        foreach (RouterContact contact in list.Contacts)
        {
            ContactFault fault = contact.Verify(nowUnixSeconds);
            if (fault == ContactFault.None) accepted.Add(contact);
            else refused.Add((contact.Id, fault));
        }

        return new NodeDirectory(accepted, refused, new RelayRoster(accepted.Select(c => new RosterEntry(c.Id, c.Operator))));
    }

    /// <summary>What is known from now on.</summary>
    /// <param name="known">At most one contact of each router, each of the roster.</param>
    /// <param name="usable">Which of them paths may be built with.</param>
    public void Show(RelayRoster roster, IEnumerable<RouterContact> known, Func<RouterContact, bool> usable)
    {
        _roster = roster;
        _byId = known.ToDictionary(c => c.Id);
        All = [.. _byId.Values.Where(usable)];
        _usable = [.. All.Select(c => c.Id)];
        Relays = [.. All.Where(c => c.IsRelay)];
        Exits = [.. All.Where(c => c.IsExit)];
        Version++;
    }

    /// <summary>The contact that `id` is found by.</summary>
    public bool TryGet(RouterId id, [NotNullWhen(true)] out RouterContact? contact) => _byId.TryGetValue(id, out contact);

    /// <summary>The contact of `id`, if paths may be built with it.</summary>
    public bool TryGetUsable(RouterId id, [NotNullWhen(true)] out RouterContact? contact)
    {
        contact = null;
        return _usable.Contains(id) && _byId.TryGetValue(id, out contact);
    }

    /// <summary>Whether `id` is a relay by the registry: what links ask about a key that they were shown.</summary>
    public bool IsMember(RouterId id) => _roster.Contains(id) || _byId.ContainsKey(id);

    /// <summary>Who answers for a relay: the registry's word, else its own.</summary>
    public string OperatorOf(RouterContact contact) => _roster.TryGetOperator(contact.Id, out string? name) && name.Length > 0 ? name : contact.Operator;

    /// <summary>Whether `id` may be a next hop now. A relay dials nobody else.</summary>
    public ContactFault CheckRelay(RouterId id, long nowUnixSeconds)
        => _byId.TryGetValue(id, out RouterContact? contact) && contact.Capabilities != RouterCapabilities.None
            ? contact.CheckTime(nowUnixSeconds)
            : ContactFault.UnknownRouter;
}
