using Oxen.Router.Handlers;

namespace Oxen.Swarm.Nodes;

/// <summary>Where a storage node is reached.</summary>
/// <param name="address">Its address.</param>
/// <param name="httpsPort">TCP port of the HTTPS door.</param>
/// <param name="quicPort">Port of the OMQ and QUIC doors; 0 if it has none.</param>
public sealed class SwarmContact(System.Net.IPAddress address, int httpsPort, int quicPort)
{
    /// <summary>Its address.</summary>
    public System.Net.IPAddress Address { get; } = address;

    /// <summary>TCP port of the HTTPS door.</summary>
    public int HttpsPort { get; } = httpsPort;

    /// <summary>Port of the OMQ and QUIC doors; 0 if it has none.</summary>
    public int QuicPort { get; } = quicPort;
}

/// <summary>The router's registry of service nodes, with addresses from elsewhere: contacts, or the configuration.</summary>
public sealed class RegistryDirectory : ISwarmDirectory, IDisposable
{
    private readonly INodeSource _nodes;
    private readonly Func<ReadOnlyMemory<byte>, SwarmContact?> _contact;
    private SwarmRoster _current;

    /// <summary>Follows a registry. `contact` is asked for every node whenever the registry changes.</summary>
    public RegistryDirectory(INodeSource nodes, Func<ReadOnlyMemory<byte>, SwarmContact?> contact)
    {
        ArgumentNullException.ThrowIfNull(nodes);
        ArgumentNullException.ThrowIfNull(contact);
        _nodes = nodes;
        _contact = contact;
        _current = Read();
        nodes.Changed += Refresh;
    }

    /// <inheritdoc/>
    public event Action? Changed;

    /// <inheritdoc/>
    public SwarmRoster Current => Volatile.Read(ref _current);

    /// <summary>Reads registry and contacts again; call it when contacts have changed.</summary>
    public void Refresh()
    {
        Volatile.Write(ref _current, Read());
        Changed?.Invoke();
    }

    /// <summary>Stops following.</summary>
    public void Dispose() => _nodes.Changed -= Refresh;

    private SwarmRoster Read()
    {
        NodeRegistry registry = _nodes.Current;
        return new SwarmRoster([.. registry.Nodes.Select(n => ToMember(n, _contact(n.RouterId)))], registry.Height) { Generation = registry.Generation };
    }

    private static SwarmMember ToMember(ServiceNode node, SwarmContact? contact) =>
        new(node.RouterId, node.Active ? node.SwarmId : SwarmRing.Unassigned, contact?.Address, contact?.HttpsPort ?? 0, contact?.QuicPort ?? 0) { Active = node.Active, SwarmSince = node.SwarmSince };
}
