using System.Security.Cryptography;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Tests.Core.Sessions;

public sealed class AdmissionTests
{
    private static readonly byte[] Mine = SHA256.HashData([1]);
    private static readonly byte[] Other = SHA256.HashData([2]);

    private static ExitTokens Tokens(int sessions = 2) => new([new ExitToken(SHA256.HashData(Other), 1, 5), new ExitToken(SHA256.HashData(Mine), sessions, 9)]);

    [Fact]
    public void A_token_admits_as_many_sessions_as_it_may_and_gives_them_back()
    {
        ExitTokens tokens = Tokens();
        Assert.Equal(AdmissionReason.Granted, tokens.Admit(Mine, out int number));
        Assert.Equal(1, number);
        Assert.Equal(9, tokens.StreamsOf(number));
        Assert.Equal(AdmissionReason.Granted, tokens.Admit(Mine, out _));
        Assert.Equal(AdmissionReason.TokenInUse, tokens.Admit(Mine, out int none));
        Assert.Equal(-1, none);
        Assert.Equal(AdmissionReason.Granted, tokens.Admit(Other, out _)); // another one's limit is its own
        tokens.Release(number);
        Assert.Equal(AdmissionReason.Granted, tokens.Admit(Mine, out _));
        Assert.Equal(AdmissionReason.TokenNeeded, tokens.Admit(new byte[32], out _));
        Assert.Equal(AdmissionReason.TokenUnknown, tokens.Admit(SHA256.HashData(Mine), out _)); // the hash is not the token
        Assert.Equal(AdmissionReason.NoExit, new ExitTokens([], isExit: false).Admit(Mine, out _));
        Assert.Equal(AdmissionReason.Granted, new ExitTokens([]).Admit(new byte[32], out number));
        Assert.Equal(-1, number);
    }

    [Fact]
    public void A_client_with_the_token_is_admitted_though_packets_are_lost_and_its_records_pass()
    {
        using var rig = new SessionRig(tokens: Tokens()) { Token = Mine };
        int lost = 0;
        rig.Lose = _ => ++lost % 3 == 0;
        rig.Client.GetOrAdd(0).WantsExit = true;
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Told.Contains("ready"), 5000));
        rig.Lose = _ => false;
        rig.Client.SendUdp(0, [1, 2, 3], rig.Now);
        Assert.True(rig.Run(() => rig.Told.Contains("udp 3"), 200));
    }

    [Fact]
    public void Without_the_token_nothing_passes_and_the_client_is_told_in_words()
    {
        using var rig = new SessionRig(tokens: Tokens());
        rig.Client.GetOrAdd(0).WantsExit = true;
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Told.Any(t => t.StartsWith("lost: the exit serves only who shows a token", StringComparison.Ordinal)), 2000));
        Assert.DoesNotContain("ready", rig.Told);

        using var wrong = new SessionRig(tokens: Tokens()) { Token = SHA256.HashData([3]) };
        wrong.Client.GetOrAdd(0).WantsExit = true;
        wrong.AddExitPath(1);
        wrong.AddClientPath(1);
        Assert.True(wrong.Run(() => wrong.Told.Any(t => t.Contains("does not know the token", StringComparison.Ordinal)), 2000));
    }

    [Fact]
    public void Who_does_not_ask_passes_nothing_but_may_use_the_relays_own_services()
    {
        using var rig = new SessionRig(leases: 2, tokens: Tokens());
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Told.Contains("ready"), 2000));
        rig.Client.SendUdp(0, [1], rig.Now);
        rig.Run(() => false, 100);
        Assert.DoesNotContain("udp 1", rig.Told);
        Assert.Equal(1, rig.Drops[DropReason.NotAdmitted]);
        Assert.False(rig.Exit.IsAdmitted(1, out int token));
        Assert.Equal(-1, token);
        rig.Client.GetOrAdd(0).WantsTunnel = true;
        rig.ForgetEverything();
    }

    [Fact]
    public void A_session_that_ends_gives_its_token_back()
    {
        ExitTokens tokens = Tokens(sessions: 1);
        using var rig = new SessionRig(tokens: tokens) { Token = Mine };
        rig.Client.GetOrAdd(0).WantsExit = true;
        rig.AddExitPath(1);
        rig.AddClientPath(1);
        Assert.True(rig.Run(() => rig.Told.Contains("ready"), 2000));
        Assert.True(rig.Exit.IsAdmitted(1, out int token));
        Assert.Equal(1, token);
        Assert.Equal(AdmissionReason.TokenInUse, tokens.Admit(Mine, out _));
        rig.Client.Close(rig.Client.GetOrAdd(0), rig.Now);
        Assert.True(rig.Run(() => rig.Told.Contains("closed"), 1000));
        Assert.Equal(AdmissionReason.Granted, tokens.Admit(Mine, out _));
    }
}
