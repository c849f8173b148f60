using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;

namespace Oxen.Router.Core.Directory;

/// <summary>The routers we know, from one signed list: who is a relay, who an exit. Immutable; a new list makes a new one.</summary>
internal sealed class NodeDirectory
{
    private readonly FrozenDictionary<RouterId, RouterContact> _byId;

    private NodeDirectory(List<RouterContact> accepted, List<(RouterId Id, ContactFault Fault)> refused)
    {
        _byId = accepted.ToFrozenDictionary(c => c.Id);
        All = [.. accepted];
        Relays = [.. accepted.Where(c => c.IsRelay)];
        Exits = [.. accepted.Where(c => c.IsExit)];
        Refused = refused;
    }

    public static NodeDirectory Empty { get; } = new([], []);

    public IReadOnlyList<RouterContact> All { get; }

    public IReadOnlyList<RouterContact> Relays { get; }

    public IReadOnlyList<RouterContact> Exits { get; }

    /// <summary>Contacts of the list that were not taken, and why.</summary>
    public IReadOnlyList<(RouterId Id, ContactFault Fault)> Refused { get; }

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

        return new NodeDirectory(accepted, refused);
    }

    public bool TryGet(RouterId id, [NotNullWhen(true)] out RouterContact? contact) => _byId.TryGetValue(id, out contact);

    /// <summary>Whether `id` may be a next hop now. A relay dials nobody else.</summary>
    public ContactFault CheckRelay(RouterId id, long nowUnixSeconds)
        => _byId.TryGetValue(id, out RouterContact? contact) && contact.Capabilities != RouterCapabilities.None
            ? contact.CheckTime(nowUnixSeconds)
            : ContactFault.UnknownRouter;
}
