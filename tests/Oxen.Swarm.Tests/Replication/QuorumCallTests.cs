using Oxen.Swarm.Replication;

namespace Oxen.Swarm.Tests.Replication;

public class QuorumCallTests
{
    [Fact]
    public void A_quorum_and_everybody_worth_waiting_for_acknowledge_at_once()
    {
        var call = new QuorumCall([true, true, true, true, false], 3, 0);
        for (int i = 0; i < 3; i++) call.Answer(i, MemberAnswer.Done, 0, 5);
        Assert.Equal(QuorumDecision.Waiting, call.Decision);
        call.Answer(3, MemberAnswer.Done, 0, 6);
        Assert.Equal(QuorumDecision.Acknowledge, call.Decision); // the fifth is silent: nobody waits for it
    }

    [Fact]
    public void A_member_that_does_not_answer_costs_the_grace_and_no_more()
    {
        var call = new QuorumCall([true, true, true], 2, 0);
        call.Answer(0, MemberAnswer.Done, 0, 3);
        Assert.Equal(QuorumCall.Patience, call.NextDeadline);
        call.Answer(2, MemberAnswer.Done, 0, 4);
        Assert.Equal(4 + QuorumCall.Grace, call.NextDeadline);
        Assert.Equal(QuorumDecision.Waiting, call.Decide(3 + QuorumCall.Grace));
        Assert.Equal(QuorumDecision.Acknowledge, call.Decide(4 + QuorumCall.Grace));
        Assert.Equal(long.MaxValue, call.NextDeadline);
    }

    [Fact]
    public void It_refuses_as_soon_as_no_quorum_is_possible_and_at_the_latest_when_patience_is_over()
    {
        var call = new QuorumCall([true, true, true], 2, 0);
        call.Answer(1, MemberAnswer.Failed, 0, 1);
        Assert.Equal(QuorumDecision.Waiting, call.Decision);
        call.Answer(2, MemberAnswer.DoneWithoutVote, 0, 2);
        Assert.Equal(QuorumDecision.Refuse, call.Decision); // a node without a vote makes no quorum
        var slow = new QuorumCall([true, true, true], 2, 0);
        slow.Answer(0, MemberAnswer.Done, 0, 1);
        Assert.Equal(QuorumDecision.Waiting, slow.Decide(QuorumCall.Patience - 1));
        Assert.Equal(QuorumDecision.Refuse, slow.Decide(QuorumCall.Patience));
    }

    [Fact]
    public void A_stale_member_makes_it_try_again_and_a_decision_stands()
    {
        var call = new QuorumCall([true, true, true], 2, 0);
        call.Answer(1, MemberAnswer.Stale, 77, 1);
        Assert.Equal(QuorumDecision.Retry, call.Decision);
        Assert.Equal(77, call.Required);
        var decided = new QuorumCall([true, true, false], 2, 0);
        decided.Answer(0, MemberAnswer.Done, 0, 1);
        decided.Answer(1, MemberAnswer.Done, 0, 1);
        decided.Answer(2, MemberAnswer.Stale, 99, 2);
        Assert.Equal(QuorumDecision.Acknowledge, decided.Decision);
    }

    // Ten thousand calls with members that answer late, never or wrongly, in any order.
    [Fact]
    public void Whatever_members_do_a_call_acknowledges_only_with_a_quorum_and_always_ends()
    {
        var dice = new Random(4711);
        int acknowledged = 0;
        for (int round = 0; round < 10_000; round++)
        {
            int n = 1 + dice.Next(10), quorum = (n / 2) + 1;
            bool[] expected = [.. Enumerable.Range(0, n).Select(_ => dice.Next(4) > 0)];
            var call = new QuorumCall(expected, quorum, 0);
            var events = Enumerable.Range(0, n).Where(_ => dice.Next(5) > 0).Select(i => (At: (long)dice.Next(4000), Member: i, Answer: (MemberAnswer)(dice.Next(8) switch { 0 => 2, 1 => 3, 2 => 4, _ => 1 }))).OrderBy(e => e.At).ToList();
            int done = 0;
            long now = 0;
            while (call.Decision == QuorumDecision.Waiting)
            {
                long deadline = call.NextDeadline;
                if (events.Count > 0 && events[0].At <= deadline)
                {
                    (now, int member, MemberAnswer answer) = events[0];
                    events.RemoveAt(0);
                    done += answer == MemberAnswer.Done ? 1 : 0;
                    call.Answer(member, answer, answer == MemberAnswer.Stale ? 5 : 0, now);
                }
                else
                {
                    Assert.NotEqual(long.MaxValue, deadline);
                    now = deadline;
                    call.Decide(now);
                }
            }

            Assert.True(now <= QuorumCall.Patience + QuorumCall.Grace);
            if (call.Decision != QuorumDecision.Acknowledge) continue;
            acknowledged++;
            Assert.True(done >= quorum);
        }

        Assert.InRange(acknowledged, 1000, 9000);
    }
}
