using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Core.Tunnel;

namespace Oxen.Router.Tests.Core.Sessions;

/// <summary>Inner addresses of the tunnel: who gets them, and what the shards are told (docs/protocol/session.md).</summary>
public sealed class LeaseTests
{
    private static readonly PathNumber One = new(1, 1), Two = new(2, 1);

    [Fact]
    public void A_terminal_without_a_tunnel_says_so()
    {
        using var rig = new SessionRig();
        byte[] id = Open(rig, 1);
        Assert.Equal([(byte)SessionMessageType.NoLease, (byte)NoLeaseReason.NoTunnel], Assert.Single(rig.Ask(1, Lease(id))));
    }

    [Fact]
    public void A_session_is_leased_one_pair_of_addresses_and_told_the_same_again()
    {
        using var rig = new SessionRig(leases: 4);
        byte[] id = Open(rig, 1);
        byte[] leased = Assert.Single(rig.Ask(1, Lease(id)));
        Assert.Equal((byte)SessionMessageType.Leased, leased[0]);
        Assert.Equal(SessionRig.FirstLease.IPv4, BinaryPrimitives.ReadUInt32BigEndian(leased.AsSpan(1)));
        Assert.Equal(SessionRig.FirstLease.IPv6, BinaryPrimitives.ReadUInt128BigEndian(leased.AsSpan(5)));
        Assert.Equal([new OpenTunnelPeer(0, SessionRig.FirstLease), new BindTunnelPath(0, One), new RouteTunnelPeer(0, new PathRef(0, One))], rig.AtExit);
        Assert.Equal(leased, Assert.Single(rig.Ask(1, Lease(id))));
        Assert.Equal(3, rig.AtExit.Count);
    }

    [Fact]
    public void Two_sessions_share_no_address_and_a_third_is_told_that_all_are_in_use()
    {
        using var rig = new SessionRig(leases: 2);
        byte[][] answers = [.. Enumerable.Range(1, 3).Select(path => Assert.Single(rig.Ask(path, Lease(Open(rig, path)))))];
        Assert.NotEqual(answers[0], answers[1]);
        Assert.Equal([(byte)SessionMessageType.NoLease, (byte)NoLeaseReason.AllInUse], answers[2]);
    }

    [Fact]
    public void A_lease_is_asked_for_on_a_path_of_the_session_only()
    {
        using var rig = new SessionRig(leases: 2);
        byte[] id = Open(rig, 1);
        Open(rig, 2);
        Assert.Empty(rig.Ask(2, Lease(id)));
        Assert.Equal(1, rig.Drops[DropReason.BadRecord]);
        Assert.Empty(rig.AtExit);
    }

    [Fact]
    public void The_shards_hear_of_paths_that_attach_and_of_the_one_that_is_activated()
    {
        using var rig = new SessionRig(leases: 2);
        byte[] id = Open(rig, 1, out byte[] key);
        rig.Ask(1, Lease(id));
        rig.AtExit.Clear();
        rig.AddExitPath(2);
        byte[] attach = [(byte)SessionMessageType.Attach, .. id, .. new byte[8 + 32]];
        attach[24] = 1;
        SessionMessage.AttachMac(key, SessionRig.Transcript(2), 1, attach.AsSpan(25));
        Assert.Single(rig.Ask(2, attach));
        Assert.Equal([new BindTunnelPath(0, Two)], rig.AtExit);
        rig.Ask(2, [(byte)SessionMessageType.Activate, .. id, 0, 0, 0, 0, 0, 0, 0, 2]);
        Assert.Equal(new RouteTunnelPeer(0, new PathRef(0, Two)), rig.AtExit[^1]);
        rig.RemoveExitPath(2);
        Assert.Equal(new RouteTunnelPeer(0, new PathRef(0, One)), rig.AtExit[^1]);
    }

    [Fact]
    public void A_session_that_ends_leaves_its_paths_unbound_before_its_address_is_anybody_elses()
    {
        using var rig = new SessionRig(leases: 1);
        byte[] id = Open(rig, 1);
        rig.Ask(1, Lease(id));
        rig.AtExit.Clear();
        rig.Ask(1, [(byte)SessionMessageType.Close, .. id]);
        byte[] other = Open(rig, 2);
        Assert.Equal((byte)SessionMessageType.Leased, Assert.Single(rig.Ask(2, Lease(other)))[0]);
        Assert.Equal(
            [new BindTunnelPath(-1, One), new CloseTunnelPeer(0), new OpenTunnelPeer(0, SessionRig.FirstLease), new BindTunnelPath(0, Two), new RouteTunnelPeer(0, new PathRef(0, Two))],
            rig.AtExit);
    }

    [Fact]
    public void An_address_that_was_given_back_waits_behind_all_others()
    {
        var leases = new TunnelLeases(SessionRig.FirstLease, 3);
        Assert.True(leases.TryTake(out int first, out _));
        leases.Release(first);
        for (int expected = 1; expected <= 2; expected++)
        {
            Assert.True(leases.TryTake(out int number, out InnerAddresses addresses));
            Assert.Equal(expected, number);
            Assert.Equal(SessionRig.FirstLease.IPv4 + (uint)number, addresses.IPv4);
        }

        Assert.True(leases.TryTake(out int again, out _));
        Assert.Equal(first, again);
        Assert.False(leases.TryTake(out _, out _));
        Assert.Equal(3, leases.InUse);
    }

    [Fact]
    public void A_client_asks_until_it_has_a_lease_and_tells_its_shards()
    {
        using var rig = new SessionRig(leases: 4);
        rig.Client.GetOrAdd(0).WantsTunnel = true;
        rig.AddExitPath(1);
        rig.Dead.Add(1);
        rig.AddClientPath(1);
        Assert.False(rig.Run(() => rig.Told.Any(t => t.StartsWith("tunnel", StringComparison.Ordinal)), 150));
        rig.Dead.Clear();
        Assert.True(rig.Run(() => rig.Told.Any(t => t.StartsWith("tunnel", StringComparison.Ordinal)), 1000));
        Assert.Equal([new OpenTunnelPeer(0, SessionRig.FirstLease), new BindTunnelPath(0, One), new RouteTunnelPeer(0, new PathRef(0, One))], rig.AtClient);
        Assert.Equal(SessionRig.FirstLease, rig.Client.GetOrAdd(0).Leased);
    }

    [Fact]
    public void A_client_leaves_an_exit_that_has_no_address_left()
    {
        using var rig = new SessionRig(leases: 1);
        rig.Ask(9, Lease(Open(rig, 9)));
        rig.Client.GetOrAdd(0).WantsTunnel = true;
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Told.Any(t => t.Contains("no inner address left", StringComparison.Ordinal)), 1000));
    }

    [Fact]
    public void A_client_whose_session_is_forgotten_closes_its_end_and_gets_another_lease()
    {
        using var rig = new SessionRig(leases: 4);
        rig.Client.GetOrAdd(0).WantsTunnel = true;
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Client.GetOrAdd(0).Leased is not null, 1000));
        rig.ForgetEverything();
        rig.AddExitPath(1);
        rig.AtClient.Clear();

        // The terminal says so when it hears of the session again: by the ATTACH of another path.
        rig.AddExitPath(2);
        rig.AddClientPath(2);
        Assert.True(rig.Run(() => rig.AtClient.OfType<CloseTunnelPeer>().Any(), 3000));
        Assert.Null(rig.Client.GetOrAdd(0).Leased);
    }

    private static byte[] Lease(byte[] id) => [(byte)SessionMessageType.Lease, .. id];

    private static byte[] Open(SessionRig rig, int path) => Open(rig, path, out _);

    private static byte[] Open(SessionRig rig, int path, out byte[] key)
    {
        rig.AddExitPath(path);
        byte[] random = [.. Enumerable.Repeat((byte)path, 32)];
        byte[] opened = Assert.Single(rig.Ask(path, [(byte)SessionMessageType.Open, .. random]));
        key = SessionMessage.DeriveKey(SessionRig.Secret(path), random, opened.AsSpan(17, 32));
        return opened[1..17];
    }
}
