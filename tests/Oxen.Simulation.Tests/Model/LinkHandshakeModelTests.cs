using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Relay;
using Oxen.Testing;

namespace Oxen.Simulation.Tests.Model;

/// <summary>
/// The whole handshake of a link (QUIC, TLS, OPEN, ACCEPT, READY) and the one that continues it, between two real routers with an injector on the
/// wire: each thing that it can do is done to each datagram, one run for each (docs/protocol/model-check.md).
/// </summary>
public sealed class LinkHandshakeModelTests(ITestOutputHelper output)
{
    private const double Renewal = 2, End = 6.5;

    public enum Injection
    {
        None,
        Dropped,
        Twice,
        Late,
        Changed,
        ChangedHead,
        Reflected,
        FromElsewhere,
        WithAnOlderSession,
    }

    private sealed record Outcome(int Datagrams, LinkSuite Suite, List<(UdpAddress From, UdpAddress To, byte[] Bytes)> Recording);

    [Fact]
    public void Whatever_is_done_to_whichever_datagram_both_ends_agree_or_have_nothing()
    {
        Outcome honest = Play(Injection.None, -1, null);
        Assert.Equal(LinkSuite.ChaCha20Poly1305, honest.Suite);
        int stride = int.TryParse(Environment.GetEnvironmentVariable("OXEN_MODEL_STRIDE"), out int asked) ? asked : 8, runs = 0;
        foreach (Injection injection in Enum.GetValues<Injection>()[1..])
        {
            // The first dozen are the handshake; of what follows, every eighth is enough for each change.
            for (int at = 0; at < honest.Datagrams; at += at < 12 ? 1 : stride)
            {
                Outcome outcome = Play(injection, at, honest.Recording);
                Assert.Equal(honest.Suite, outcome.Suite);
                runs++;
            }
        }

        output.WriteLine($"{runs} runs, {honest.Datagrams} datagrams in the honest one");
    }

    [Fact]
    public void An_end_that_installed_another_secret_would_be_found_out()
    {
        var watch = new KeyWatch();
        watch.See(0, new AddLinkSender(1, 0, 7, default, LinkSuite.Aegis128L, new byte[32]));
        watch.See(1, new AddLinkReceiver(7, 1, 0, default, LinkSuite.Aegis128L, [.. Enumerable.Repeat((byte)1, 32)]));
        Assert.NotEqual("", watch.Disagreement);
        watch = new KeyWatch();
        watch.See(0, new AddLinkSender(1, 0, 7, default, LinkSuite.Aegis128L, new byte[32]));
        watch.See(1, new AddLinkReceiver(7, 1, 0, default, LinkSuite.AesGcm128, new byte[32]));
        Assert.NotEqual("", watch.Disagreement);
    }

    private static Outcome Play(Injection injection, int at, List<(UdpAddress From, UdpAddress To, byte[] Bytes)>? older)
    {
        // The one that answers chooses: its order differs from the dialler's, and its choice is nobody else's to change.
        using var world = new SimWorld(77, relays: 2, exits: 1, adjust: (i, o) => o with { Links = new LinkOptions { RenewAfter = TimeSpan.FromSeconds(Renewal), Suites = i == 0 ? [1, 2, 3] : [2, 1] } });
        SimRouter a = world.Routers[0], b = world.Routers[1];
        if (injection == Injection.WithAnOlderSession)
        {
            // The same two, with new dice: what the recording holds belongs to a session before this one.
            a = world.Restart(a);
            b = world.Restart(b);
        }

        var watch = new KeyWatch();
        Follow(a, 0);
        Follow(b, 1);
        var recording = new List<(UdpAddress, UdpAddress, byte[])>();
        int count = 0;
        bool own = false;
        world.Network.DropWhen = (_, from, to, bytes) =>
        {
            if (own) return false;
            int number = count++;
            recording.Add((from, to, bytes.ToArray()));
            return number == at && Act(from, to, bytes.ToArray());
        };

        Link? link = null;
        a.Post(now => link = a.Control.Links.Dial(b.Id, now));
        world.Run(End);
        string what = $"{injection} at datagram {at}";
        world.Check(watch.Disagreement.Length == 0, $"{watch.Disagreement}, after {what}");
        world.Check(world.KeyReuse.Length == 0, $"{world.KeyReuse}, after {what}");
        world.Check(link is { State: LinkState.Up }, $"the link is up after {what}");
        Link[] atB = [.. b.Control.Links.Links];
        world.Check(atB.Length == 1 && atB[0].State == LinkState.Up && atB[0].PeerKey == a.Id, $"one link at the other end, with the one that dialled, after {what}");
        world.Check(watch.Handshakes >= 2, $"the link was continued under new keys after {what}");
        world.Check(a.Control.Links.Links.Count == 1 && link!.UpSince < Instant.Zero + TimeSpan.FromSeconds(Renewal), $"it is the same link as before its renewal after {what}");
        return new Outcome(count, watch.Suite, recording);

        void Follow(SimRouter router, int end)
        {
            Action<int, ShardCommand>? before = router.DataPlane.Watch;
            router.DataPlane.Watch = (shard, command) =>
            {
                before?.Invoke(shard, command);
                watch.See(end, command);
            };
        }

        bool Act(UdpAddress from, UdpAddress to, byte[] bytes)
        {
            switch (injection)
            {
                case Injection.Dropped:
                    return true;
                case Injection.Twice:
                    Send(bytes, from, to, 1);
                    return false;
                case Injection.Late:
                    Send(bytes, from, to, 120);
                    return true;
                case Injection.Changed:
                    bytes[bytes.Length * 2 / 3] ^= 0x10;
                    Send(bytes, from, to, 0);
                    return true;
                case Injection.ChangedHead:
                    // The first bytes are not all authenticated: the original goes on, the changed one comes before it.
                    bytes[Math.Min(7, bytes.Length - 1)] ^= 0x01;
                    Send(bytes, from, to, 0);
                    return false;
                case Injection.Reflected:
                    Send(bytes, to, from, 1);
                    return false;
                case Injection.FromElsewhere:
                    Send(bytes, UdpAddress.FromBytes([192, 0, 2, 66], 6666), to, 1);
                    return false;
                default:
                    foreach ((UdpAddress f, UdpAddress t, byte[] old) in older!) Send(old, f, t, 1);
                    return false;
            }
        }

        void Send(byte[] bytes, UdpAddress from, UdpAddress to, int milliseconds) => world.Network.Schedule(world.Now + TimeSpan.FromMilliseconds(milliseconds), () =>
        {
            own = true;
            world.Network.Send(bytes, from, to);
            own = false;
        });
    }

    /// <summary>What the two ends install: a sender's secret at one is a receiver's at the other, or was never given out.</summary>
    private sealed class KeyWatch
    {
        private readonly Dictionary<(int End, uint Index), (LinkSuite Suite, string Secret)> _receivers = [];
        private readonly List<(int End, uint Index, LinkSuite Suite, string Secret)> _senders = [];

        public LinkSuite Suite { get; private set; }

        /// <summary>Of one end: how often it got keys to send under.</summary>
        public int Handshakes => _senders.Count(s => s.End == 0);

        public string Disagreement
        {
            get
            {
                foreach ((int end, uint index, LinkSuite suite, string secret) in _senders)
                {
                    if (!_receivers.TryGetValue((1 - end, index), out (LinkSuite Suite, string Secret) other)) return $"index {index} was never given out";
                    if (other.Secret != secret) return $"the ends have different secrets for index {index}";
                    if (other.Suite != suite) return $"the ends have different suites for index {index}";
                }

                return "";
            }
        }

        public void See(int end, ShardCommand command)
        {
            if (command is AddLinkReceiver r)
            {
                _receivers[(end, r.Index)] = (r.Suite, Convert.ToHexString(r.Secret));
            }
            else if (command is AddLinkSender s)
            {
                _senders.Add((end, s.PeerIndex, s.Suite, Convert.ToHexString(s.Secret)));
                Suite = s.Suite;
            }
        }
    }
}
