using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Tests.Core.Sessions;

public sealed class ClientSessionsTests : IDisposable
{
    private readonly SessionRig _rig = new();

    private ClientGroup Group => _rig.Client.Groups.Single();

    [Fact]
    public void A_session_is_opened_on_the_first_path_and_the_others_attach()
    {
        Begin();
        Assert.Equal(2, Group.Paths.Count(p => p.Attached));
        Assert.Equal(1, _rig.Exit.Count);
        Assert.Equal(1, _rig.Exit.ConnectionCount);
    }

    [Fact]
    public void In_the_reduced_class_long_records_are_split_and_no_packet_is_longer_than_it_holds()
    {
        _rig.Class = SizeClass.Reduced;
        Begin();
        for (int i = 0; i < 20; i++) Assert.True(_rig.Client.SendUdp(0, new byte[1337], _rig.Now));
        Assert.True(_rig.Run(() => _rig.Told.Count(t => t == "udp 1337") == 20, 100));
        Assert.InRange(_rig.LongestContent, 1100, 1167);

        // The middle one of three packets for two records is lost: each loses one part.
        int lost = 0;
        _rig.Lose = tag => tag.Length > 1000 && lost++ == 1;
        for (int i = 0; i < 2; i++) _rig.Client.SendUdp(0, new byte[1338], _rig.Now);
        _rig.Run(() => false, 400);
        Assert.DoesNotContain("udp 1338", _rig.Told);
        Assert.Equal(2, _rig.Drops[DropReason.FragmentTimeout]);
    }

    [Fact]
    public void Open_is_repeated_until_it_is_answered()
    {
        _rig.Dead.Add(1);
        _rig.AddExitPath(1);
        _rig.AddClientPath(1);
        _rig.Run(() => false, 200);
        Assert.Equal(ClientGroupState.Opening, Group.State);
        _rig.Dead.Clear();
        Assert.True(_rig.Run(() => Group.State == ClientGroupState.Ready, 600));
    }

    [Fact]
    public void A_silent_path_is_left_for_the_spare_within_a_third_of_a_second()
    {
        Begin();
        _rig.SendTraffic();
        _rig.Dead.Add(1);
        Assert.True(_rig.Run(() => _rig.Told.Contains("switched 2"), 330));
        Assert.Contains("failed 1: no answer to probes", _rig.Told);
        Assert.True(_rig.Run(() => Group.ActivateAnswered, 300));
        Assert.Equal(ClientGroupState.Ready, Group.State);
    }

    [Fact]
    public void With_the_first_hop_silent_on_every_path_the_session_waits_half_a_minute_for_the_network()
    {
        Begin();
        _rig.Dead.Add(1);
        _rig.Dead.Add(2);
        Assert.False(_rig.Run(() => _rig.Told.Any(t => t.StartsWith("lost", StringComparison.Ordinal)), 20_000));
        Assert.True(_rig.Run(() => _rig.Told.Any(t => t.StartsWith("lost", StringComparison.Ordinal)), 15_000));
        Assert.Equal(ClientGroupState.Waiting, Group.State);
        Assert.Empty(Group.Paths);
        Assert.Null(Group.Quic);
    }

    [Fact]
    public void A_terminal_that_has_forgotten_the_session_loses_the_group()
    {
        Begin();
        _rig.ForgetEverything();
        _rig.AddExitPath(1);
        _rig.AddExitPath(2);
        _rig.AddExitPath(3);
        _rig.AddClientPath(3);
        Assert.True(_rig.Run(() => _rig.Told.Any(t => t.Contains("forgotten", StringComparison.Ordinal)), 500));
        _rig.AddExitPath(4);
        _rig.AddClientPath(4);
        Assert.True(_rig.Run(() => Group.State == ClientGroupState.Ready, 1000));
    }

    [Fact]
    public void A_closed_group_leaves_nothing_at_either_end()
    {
        Begin();
        _rig.Client.Close(Group, _rig.Now);
        _rig.Run(() => false, 50);
        Assert.Empty(_rig.Client.Groups);
        Assert.Equal(0, _rig.Exit.Count);
    }

    public void Dispose() => _rig.Dispose();

    private void Begin()
    {
        _rig.AddExitPath(1);
        _rig.AddExitPath(2);
        _rig.AddClientPath(1);
        _rig.AddClientPath(2);
        Assert.True(_rig.Run(() => Group.State == ClientGroupState.Ready && Group.Paths.All(p => p.Attached), 500));
        Assert.True(_rig.Run(() => Group.Paths.All(p => p.Health.ProbesAnswered > 2), 3000));
    }
}
