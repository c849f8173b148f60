using System.Collections.Concurrent;
using System.Net;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Exit;

/// <summary>
/// The exit's UDP side: one socket for each (session, association), made by its first record and ended by silence.
/// `Handle`, `Sweep` and `CloseSession` are called by the session thread and never block; what comes back is received on
/// the thread pool and given to the sink there. Rules: docs/protocol/proxy.md#udp-record.
/// </summary>
internal sealed class ExitDatagrams : IDisposable
{
    private readonly ExitPolicy _policy;
    private readonly ExitLimits _limits;
    private readonly IExitRecordSink _sink;
    private readonly NameCache _names;
    private readonly Dictionary<(long Session, ushort Association), ExitAssociation> _associations = [];
    private readonly Dictionary<long, int> _perSession = [];
    private readonly ConcurrentQueue<Resolved> _resolved = new();
    private readonly Action? _wake;
    private readonly CancellationTokenSource _stop = new();

    /// <param name="wake">Called on a pool thread when a name was resolved: have the session thread call <see cref="DeliverResolved"/>.
    /// Without it, the next `Handle` or `Sweep` sends what waited.</param>
    public ExitDatagrams(ExitPolicy policy, IExitResolver resolver, IExitRecordSink sink, ExitLimits limits, TimeProvider time, SharedDropCounters drops, Action? wake = null)
    {
        _wake = wake;
        ArgumentNullException.ThrowIfNull(limits);
        _policy = policy;
        _limits = limits;
        _sink = sink;
        Drops = drops;
        _names = new NameCache(resolver, limits, time, _stop.Token);
    }

    private readonly record struct Resolved(ExitAssociation To, IPAddress[] Addresses, ushort Port, byte[] Payload);

    public SharedDropCounters Drops { get; }

    public int Count => _associations.Count;

    /// <summary>Takes one UDP record of a session: association 2 | destination | datagram.</summary>
    public void Handle(long session, ReadOnlySpan<byte> record, Instant now)
    {
        DeliverResolved();
        if (!ProxyWire.TryReadRecord(record, out ushort number, out ProxyDestination to, out ReadOnlySpan<byte> payload) || to.Port == 0)
        {
            Drops.Count(DropReason.BadRecord);
            return;
        }

        if (!to.IsName && !_policy.Allows(to.Address, ExitProtocol.Udp))
        {
            Drops.Count(DropReason.ExitPolicy);
            return;
        }

        if (Find(session, number) is not { } association)
        {
            Drops.Count(DropReason.AssociationLimit);
            return;
        }

        association.LastUse = now;
        if (!to.IsName)
        {
            association.Send(to.Address, payload);
        }
        else if (_names.TryGet(to.Name, out IPAddress[]? known))
        {
            SendToName(association, known!, to.Port, payload);
        }
        else
        {
            byte[] copy = payload.ToArray();
            ushort port = to.Port;
            if (!_names.Resolve(to.Name, found => OnResolved(new Resolved(association, found, port, copy)))) Drops.Count(DropReason.NameNotResolved);
        }
    }

    /// <summary>Call about once a second: ends silent associations.</summary>
    public void Sweep(Instant now)
    {
        DeliverResolved();
        List<(long, ushort)>? over = null;
        foreach (((long, ushort) key, ExitAssociation association) in _associations)
        {
            if (association.TakeHeard()) association.LastUse = now;
            else if (now - association.LastUse >= _limits.AssociationIdle || association.Broken) (over ??= []).Add(key);
        }

        foreach ((long, ushort) key in over ?? []) Remove(key);
    }

    /// <summary>Sends what waited for a name that is resolved now.</summary>
    public void DeliverResolved()
    {
        while (_resolved.TryDequeue(out Resolved waiting))
        {
            if (!waiting.To.IsDisposed) SendToName(waiting.To, waiting.Addresses, waiting.Port, waiting.Payload);
        }
    }

    /// <summary>The session is over: all its sockets are closed.</summary>
    public void CloseSession(long session)
    {
        if (!_perSession.ContainsKey(session)) return;
        foreach ((long, ushort) key in _associations.Keys.Where(k => k.Session == session).ToArray()) Remove(key);
    }

    public void Dispose()
    {
        _stop.Cancel();
        foreach (ExitAssociation association in _associations.Values) association.Dispose();
        _associations.Clear();
        _perSession.Clear();
        _stop.Dispose();
    }

    private ExitAssociation? Find(long session, ushort number)
    {
        if (_associations.TryGetValue((session, number), out ExitAssociation? association)) return association;
        _perSession.TryGetValue(session, out int mine);
        if (mine >= _limits.AssociationsPerSession || _associations.Count >= _limits.AssociationsInAll) return null;
        association = ExitAssociation.TryOpen(session, number, _limits, _sink, Drops);
        if (association is null) return null;
        _associations.Add((session, number), association);
        _perSession[session] = mine + 1;
        return association;
    }

    private void Remove((long Session, ushort Association) key)
    {
        if (!_associations.Remove(key, out ExitAssociation? association)) return;
        association.Dispose();
        int left = _perSession[key.Session] - 1;
        if (left == 0) _perSession.Remove(key.Session);
        else _perSession[key.Session] = left;
    }

    private void OnResolved(in Resolved waiting)
    {
        _resolved.Enqueue(waiting);
        _wake?.Invoke();
    }

    private void SendToName(ExitAssociation association, IPAddress[] addresses, ushort port, ReadOnlySpan<byte> payload)
    {
        DropReason why = DropReason.NameNotResolved;
        foreach (IPAddress address in addresses)
        {
            UdpAddress to = UdpAddress.From(new IPEndPoint(address, port));
            why = DropReason.ExitPolicy;
            if (!_policy.Allows(to, ExitProtocol.Udp)) continue;
            association.Send(to, payload);
            return;
        }

        Drops.Count(why);
    }
}
