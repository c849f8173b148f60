using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;
using Oxen.Router.Hosting;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Sessions;

/// <summary>
/// A client's and a terminal's sessions joined by memory: path n of one is path n of the other, probes are answered in
/// between. Or only the terminal, spoken to by a test.
/// </summary>
internal sealed class SessionRig : IClientSessionEvents, IExitSessionEvents, IDisposable
{
    private const int Slots = 256;
    private readonly PinnedBlock _up = new(Slots * PacketRing.SlotBytes);
    private readonly PinnedBlock _down = new(Slots * PacketRing.SlotBytes);
    private readonly PacketRing _upRing;
    private readonly PacketRing _downRing;
    private readonly SeededEntropy _entropy = new(3);
    private readonly RouterIdentity _identity;
    private readonly TlsIdentity _tls;
    private readonly PathOutlet _exitOutlet;

    private readonly ExitTokens? _tokens;
    private readonly TunnelLeases? _leases;
    private readonly RecordedTunnel? _exitTunnel;
    private int _lastUdp;

    /// <param name="leases">Inner addresses that the terminal has; 0: it has no tunnel.</param>
    /// <param name="tokens">Who may use the exit; null: whoever comes.</param>
    public SessionRig(int leases = 0, ExitTokens? tokens = null)
    {
        _tokens = tokens;
        if (leases > 0)
        {
            _leases = new TunnelLeases(FirstLease, leases);
            _exitTunnel = new RecordedTunnel(AtExit);
        }

        _identity = RouterIdentity.Create(_entropy);
        _tls = TlsIdentity.FromSeed(_identity.Seed);
        _upRing = new PacketRing(_up, 0, Slots);
        _downRing = new PacketRing(_down, 0, Slots);
        _exitOutlet = new PathOutlet(_downRing, Drops);
        Exit = NewExit();
        Client = new ClientSessions(RouterNode.PathTransport, [new PathOutlet(_upRing, Drops)], this, _entropy, Drops, new RecordedTunnel(AtClient)) { TokenFor = _ => Token };
    }

    public ClientSessions Client { get; }

    /// <summary>What the client shows to the exit.</summary>
    public ReadOnlyMemory<byte> Token { get; set; }

    public ExitSessions Exit { get; private set; }

    public static InnerAddresses FirstLease { get; } = new(0x0A610002, new UInt128(0xFD6F, 2));

    /// <summary>What the shards of each end were told of the tunnel.</summary>
    public List<ShardCommand> AtExit { get; } = [];

    public List<ShardCommand> AtClient { get; } = [];

    public DropCounters Drops { get; } = new();

    /// <summary>Of the paths that are added from now on.</summary>
    public SizeClass Class { get; set; } = SizeClass.Full;

    /// <summary>Bytes of the longest content that went up or down.</summary>
    public int LongestContent { get; private set; }

    /// <summary>Takes a packet away when it says so.</summary>
    public Func<PacketTag, bool> Lose { get; set; } = _ => false;

    public Instant Now { get; set; } = Instant.FromMilliseconds(1000);

    /// <summary>Paths over which nothing passes.</summary>
    public HashSet<int> Dead { get; } = [];

    public List<string> Told { get; } = [];

    /// <summary>What the terminal said by session messages: path and bytes.</summary>
    public List<(int Path, byte[] Message)> Said { get; } = [];

    public static byte[] Secret(int path) => SHA256.HashData([1, (byte)path]);

    public static byte[] Transcript(int path) => SHA256.HashData([2, (byte)path]);

    public void ForgetEverything()
    {
        Exit.Dispose();
        Exit = NewExit();
    }

    public void AddExitPath(int path) => Exit.OnPathReady(Ready(path, PathEnd.Terminal), Now);

    public void AddClientPath(int path) => Client.OnPathReady(Ready(path, PathEnd.Client), Now);

    public void RemoveExitPath(int path) => Exit.OnPathGone(new PathGone(Ref(path), ""), Now);

    /// <summary>A UDP record goes up, so that the active path counts as busy.</summary>
    public void SendTraffic()
    {
        Client.SendUdp(0, [1], Now);
        Run(() => false, 600);
        Client.SendUdp(0, [1], Now);
        Run(() => false, 10);
    }

    /// <summary>A session message by the terminal's path.</summary>
    public byte[][] Ask(int path, params byte[] message)
    {
        Said.Clear();
        byte[] content = new byte[RecordLayout.ContentBytes];
        content[0] = (byte)RecordType.Session;
        content[2] = (byte)message.Length;
        message.CopyTo(content, RecordLayout.HeaderBytes);
        Exit.HandleDelivery(0, Tag(path, EndCommand.Records), content, Now);
        Exit.Transmit(Now);
        MoveDown(toClient: false);
        return [.. Said.Where(s => s.Path == path).Select(s => s.Message)];
    }

    /// <summary>The path on which the terminal sends what comes back for a session; 0: on none.</summary>
    public int PathOf(long session)
    {
        _lastUdp = 0;
        Exit.SendUdp(session, [1]);
        Exit.Transmit(Now);
        MoveDown(toClient: false);
        return _lastUdp;
    }

    /// <summary>Moves time and packets, 10 ms at a step, until `done`.</summary>
    public bool Run(Func<bool> done, int milliseconds)
    {
        for (int t = 0; t < milliseconds && !done(); t += 10)
        {
            Now += TimeSpan.FromMilliseconds(10);
            Client.HandleTimeout(Now);
            Client.Transmit(Now);
            MoveUp();
            Exit.HandleTimeout(Now);
            Exit.Transmit(Now);
            MoveDown(toClient: true);
            Client.Transmit(Now);
        }

        return done();
    }

    public void Dispose()
    {
        Client.Dispose();
        Exit.Dispose();
        _tls.Dispose();
        _identity.Dispose();
        _up.Dispose();
        _down.Dispose();
    }

    void ISessionEvents.OnQuic(in QuicEvent happened, Instant now) => Told.Add(happened.Kind.ToString());

    void ISessionEvents.OnUdp(long owner, ReadOnlySpan<byte> record, Instant now) => Told.Add($"udp {record.Length}");

    void IClientSessionEvents.OnGroupReady(ClientGroup group, Instant now) => Told.Add("ready");

    void IClientSessionEvents.OnTunnelReady(ClientGroup group, Instant now) => Told.Add($"tunnel {group.Leased}");

    void IClientSessionEvents.OnGroupLost(ClientGroup group, string reason, Instant now) => Told.Add($"lost: {reason}");

    public List<PathMeasurement> Measured { get; } = [];

    void IClientSessionEvents.OnPathMeasured(in PathMeasurement measured, Instant now) => Measured.Add(measured);

    void IClientSessionEvents.OnPathFailed(PathRef path, string reason, int suspect, Instant now) => Told.Add($"failed {path.Number.Row}: {reason}");

    void IClientSessionEvents.OnPathSwitched(ClientGroup group, ClientPathState from, ClientPathState to, TimeSpan sinceLastHeard, Instant now) => Told.Add($"switched {to.Path.Number.Row}");

    void IExitSessionEvents.OnSessionClosed(long session, Instant now) => Told.Add("closed");

    private sealed class RecordedTunnel(List<ShardCommand> told) : ITunnelControl
    {
        public void ToAll(ShardCommand command) => told.Add(command);

        public void ToShard(int shard, ShardCommand command) => told.Add(command);

        public PathTraffic TrafficOf(PathRef path) => PathTraffic.None;
    }

    private static PathRef Ref(int path) => new(0, new PathNumber(path, 1));

    private static PacketTag Tag(int path, byte command) => new() { Subject = path, Generation = 1, Command = command, Hop = 1 };

    private ExitSessions NewExit() => new(_tls, RouterNode.PathTransport, [_exitOutlet], this, _entropy, Drops, leases: _leases, tunnel: _exitTunnel, tokens: _tokens);

    private PathReady Ready(int path, PathEnd end) => new()
    {
        Path = Ref(path), End = end, Class = Class, SessionSecret = Secret(path), Transcript = Transcript(path), Expires = Now + TimeSpan.FromMinutes(20),
        BuildTime = TimeSpan.FromMilliseconds(20), Hops = [default, _identity.Id],
    };

    private void MoveUp()
    {
        while (_upRing.TryTake(out PacketTag tag, out int offset))
        {
            LongestContent = Math.Max(LongestContent, tag.Length);
            if (Dead.Contains(tag.Subject) || Lose(tag)) continue;
            byte[] content = new byte[RecordLayout.ContentBytes];
            _up.Slice(offset + PacketRing.Headroom, tag.Length).CopyTo(content);
            if (tag.Command == OnionCommand.Probe)
            {
                PacketTag answer = Tag(tag.Subject, OnionCommand.Answer);
                answer.Hop = tag.Hop;
                Client.HandleDelivery(0, answer, content.AsSpan(0, 8), Now);
            }
            else
            {
                Exit.HandleDelivery(0, Tag(tag.Subject, tag.Command), content, Now);
            }
        }

        _upRing.ReleaseTaken();
    }

    private void MoveDown(bool toClient)
    {
        while (_downRing.TryTake(out PacketTag tag, out int offset))
        {
            LongestContent = Math.Max(LongestContent, tag.Length);
            byte[] content = new byte[RecordLayout.ContentBytes];
            _down.Slice(offset + PacketRing.Headroom, tag.Length).CopyTo(content);
            var reader = new RecordReader(content);
            while (reader.TryRead(out RecordType type, out Span<byte> bytes))
            {
                if (type == RecordType.Session) Said.Add((tag.Subject, bytes.ToArray()));
                else if (type == RecordType.Udp) _lastUdp = tag.Subject;
            }

            if (toClient && !Dead.Contains(tag.Subject)) Client.HandleDelivery(0, Tag(tag.Subject, tag.Command), content, Now);
        }

        _downRing.ReleaseTaken();
    }
}
