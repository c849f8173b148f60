using Oxen.Ons.Ledger;
using Oxen.Ons.Sequencing;
using Oxen.Router.Handlers;

namespace Oxen.Ons.Nodes;

/// <summary>The service nodes of our own ledger.</summary>
internal sealed class LedgerNodeSource : INodeSource, IDisposable
{
    private readonly LedgerHost _host;
    private volatile NodeRegistry _current;
    private System.Collections.Immutable.ImmutableSortedDictionary<Bytes32, NodeEntry> _read;

    public LedgerNodeSource(LedgerHost host)
    {
        _host = host;
        _read = host.State.Nodes;
        _current = Of(host.State);
        host.Changed += Look;
    }

    public event Action? Changed;

    public NodeRegistry Current => _current;

    /// <summary>Everybody with a whole stake; who is decommissioned is known and not active.</summary>
    public static NodeRegistry Of(LedgerState state) => new(
        state.Nodes.Values.Where(n => n.Stage is NodeStage.Active or NodeStage.Decommissioned).Select(n => new ServiceNode(n.Id.ToArray(), n.Operator.ToString(), n.SwarmId, n.Stage == NodeStage.Active) { SwarmSince = n.SwarmHeight }),
        state.Height);

    public void Dispose() => _host.Changed -= Look;

    private void Look()
    {
        LedgerState state = _host.State;
        if (ReferenceEquals(state.Nodes, _read)) return;
        _read = state.Nodes;
        _current = Of(state);
        Changed?.Invoke();
    }
}
