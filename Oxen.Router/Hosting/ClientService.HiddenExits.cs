using System.Globalization;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Wire;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

// Exits that are hidden services. A route names them in order: the first one that does not rest carries what is opened next. One that
// is not reached rests for a while, and so does one that reaches nobody or is slow; what is open stays where it is.
internal sealed partial class ClientService
{
    private static readonly TimeSpan HiddenExitRest = TimeSpan.FromMinutes(1);

    // How long one exit is waited for while another one could be asked.
    private static readonly TimeSpan HiddenExitPatience = TimeSpan.FromSeconds(12);

    private readonly Lock _hiddenExitLock = new();
    private readonly Dictionary<ServiceAddress, Instant> _resting = [];
    private readonly ExitJudge<ServiceAddress> _hiddenJudge = new();
    private ServiceClients? _services;
    private INameSource? _names;

    /// <summary>By which exits are reached that are hidden services, and where their short names are looked up. Before the start.</summary>
    public void UseServices(ServiceClients services) => _services = services;

    /// <summary>Where short names of exits are looked up; null: nowhere.</summary>
    public void UseNames(INameSource? names) => _names = names;

    private ServiceClients Services => _services ?? throw new OnionUnavailableException("this client reaches no hidden services");

    private async Task<OnionStream> OpenHiddenAsync(IReadOnlyList<string> exits, IsolationKey isolation, CancellationToken cancel) =>
        await TryExitsAsync(exits, (exit, token) => Services.OpenOutwardAsync(exit, isolation, token), cancel).ConfigureAwait(false);

    private async Task<IServiceAssociation> AssociateHiddenAsync(IReadOnlyList<string> exits, IsolationKey isolation, CancellationToken cancel) =>
        await TryExitsAsync(exits, (exit, token) => Services.AssociateAsync(exit, isolation, outward: true, token), cancel).ConfigureAwait(false);

    /// <summary>Asks one exit after the other, those that rest last.</summary>
    /// <exception cref="OnionUnavailableException">None is reached; the message says why the last one is not.</exception>
    private async Task<T> TryExitsAsync<T>(IReadOnlyList<string> exits, Func<ServiceAddress, CancellationToken, ValueTask<T>> ask, CancellationToken cancel)
    {
        var found = new List<(ServiceAddress Address, Instant RestsUntil)>();
        OnionUnavailableException? last = null;
        foreach (string exit in exits)
        {
            try
            {
                (ServiceAddress address, _) = await ServiceNames.ResolveAsync(exit, _names, cancel).ConfigureAwait(false);
                found.Add((address, RestOf(address)));
            }
            catch (OnionUnavailableException e)
            {
                last = new OnionUnavailableException($"{exit}: {e.Message}", e);
            }
        }

        (ServiceAddress Address, Instant RestsUntil)[] order = [.. found.OrderBy(f => f.RestsUntil)];
        for (int i = 0; i < order.Length; i++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            if (i < order.Length - 1) limit.CancelAfter(HiddenExitPatience);
            try
            {
                return await ask(order[i].Address, limit.Token).ConfigureAwait(false);
            }
            catch (OnionUnavailableException e)
            {
                last = e;
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                last = new OnionUnavailableException("the hidden service did not answer in time");
            }

            Rest(order[i].Address, last.Message);
        }

        string which = exits.Count == 1 ? "the exit of this destination is not reached" : string.Create(CultureInfo.InvariantCulture, $"none of the {exits.Count} exits of this destination is reached");
        throw new OnionUnavailableException($"{which}: {last?.Message}", last!);
    }

    private Instant RestOf(ServiceAddress exit)
    {
        Instant now = _node.Clock.Now;
        lock (_hiddenExitLock)
        {
            if (!_resting.TryGetValue(exit, out Instant until)) return default;
            if (until > now) return until;
            _resting.Remove(exit);
            return default;
        }
    }

    private void Rest(ServiceAddress exit, string why)
    {
        _node.Notice(RouterNoticeKind.SessionLost, string.Create(CultureInfo.InvariantCulture, $"an exit that is a hidden service rests for {HiddenExitRest.TotalSeconds:F0} s: {why}"));
        lock (_hiddenExitLock) _resting[exit] = _node.Clock.Now + HiddenExitRest;
    }

    // Session thread.
    private void JudgeHidden(ServiceAddress exit, Core.Quic.QuicConnection connection, int host, ProxyStatus status, TimeSpan took, Instant now)
    {
        if (!_hiddenJudge.TakesNote(exit, host, status, took, now)) return;
        if (_hiddenJudge.TryCondemn(exit, idle: _sessions.StreamsOf(connection) <= 1, now, out string reason)) Rest(exit, reason);
    }

    /// <summary>UDP of one association by way of a hidden exit, to the association's end.</summary>
    /// <param name="carrier">Null: it is opened here. What is sent before it stands is dropped and counted.</param>
    private async Task CarryHiddenAsync(Association association, int route, IServiceAssociation? carrier)
    {
        try
        {
            carrier ??= await AssociateHiddenAsync(_exits.ServicesOf(route), association.Isolation, association.End).ConfigureAwait(false);
            association.Ways[route] = new AssociationWay(0, 0, carrier);
            await foreach (ServiceReply reply in carrier.Received.ReadAllAsync(association.End).ConfigureAwait(false))
            {
                if (ProxyWire.ReadDestination(reply.Payload.Span, out ProxyDestination from, out int used) == WireResult.Complete) association.Arrived(new OnionDatagram(from, reply.Payload[used..]));
                else Drops.Count(DropReason.BadRecord);
            }
        }
        catch (Exception e) when (e is OnionUnavailableException or OperationCanceledException)
        {
            // Told by the counter of datagrams without a path; the next one tries again.
        }

        association.Ways.TryRemove(route, out _);
        carrier?.Dispose();
    }
}
