using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;

namespace Oxen.Router.Hosting;

/// <summary>The outward side of a terminal: joins streams and UDP records of the session thread with sockets on the thread pool.</summary>
internal sealed class ExitHost : IDisposable
{
    private static readonly ExitPolicy Nothing = new([ExitRule.Parse("deny *:*")]);

    private readonly ExitStreamHandler _streams;
    private readonly ExitDatagrams _datagrams;
    private readonly SharedDropCounters _drops = new();
    private readonly CancellationToken _stop;
    private readonly SessionLoop _sessions;

    public ExitHost(RouterNodeOptions options, SessionLoop sessions, RequestStreamHandler requests, CancellationToken stop)
    {
        _stop = stop;
        _sessions = sessions;
        ExitPolicy policy = options.ExitPolicy ?? Nothing;
        IExitResolver resolver = options.ExitResolver ?? new SystemResolver();
        _streams = new ExitStreamHandler(policy, resolver, options.Time, options.ExitLimits, requests);
        var deliver = new Deliver(this);
        _datagrams = new ExitDatagrams(policy, resolver, sessions, options.ExitLimits, options.Time, _drops, () => sessions.Post(deliver));
        sessions.StreamOpened = OnStream;
        sessions.UdpArrived = (session, record, now) => _datagrams.Handle(session, record.Span, now);
        sessions.Tick = _datagrams.Sweep;
        sessions.SessionClosed = (session, _) => _datagrams.CloseSession(session);
    }

    public int OpenStreams => _streams.OpenStreams;

    public void AddDrops(IDictionary<string, long> sum) => _drops.AddTo(sum);

    public void Dispose() => _datagrams.Dispose();

    private void OnStream(long session, StreamBridge bridge, Instant now)
    {
        bool admitted = _sessions.Exit!.IsAdmitted(session, out int token);
        var guest = new ExitGuest(session, admitted, token, _sessions.Exit.StreamsOfToken(token));
        _ = Task.Run(() => ServeAsync(guest, bridge));
    }

    private async Task ServeAsync(ExitGuest guest, StreamBridge bridge)
    {
        await using (bridge.ConfigureAwait(false)) await _streams.RunAsync(guest, bridge, _stop).ConfigureAwait(false);
    }

    /// <summary>Datagrams whose name was just resolved leave at once, on the session thread.</summary>
    private sealed class Deliver(ExitHost host) : ILoopWork
    {
        public void Run(Instant now) => host._datagrams.DeliverResolved();
    }
}
