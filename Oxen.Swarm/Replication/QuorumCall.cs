namespace Oxen.Swarm.Replication;

/// <summary>What a call has come to.</summary>
internal enum QuorumDecision
{
    Waiting = 0,

    /// <summary>A quorum has it on disk, and nobody worth waiting for is missing.</summary>
    Acknowledge = 1,

    /// <summary>Somebody knows something later; try again with a stamp above <see cref="QuorumCall.Required"/>.</summary>
    Retry = 2,

    /// <summary>No quorum, and none to be expected.</summary>
    Refuse = 3,
}

/// <summary>What one member answered.</summary>
internal enum MemberAnswer
{
    None = 0,

    /// <summary>On its disk, and it counts.</summary>
    Done = 1,

    /// <summary>On its disk, but it has not caught up with the swarm: it does not count.</summary>
    DoneWithoutVote = 2,

    Stale = 3,

    Failed = 4,
}

// One write's way to its decision, without clock or network:
//
//   every member is asked at once -> answers come in any order, or not at all
//   a quorum is there: wait a moment (`Grace`) for members that usually answer, so that replies show them; then acknowledge
//   nobody left who could complete a quorum, or `Patience` is over: refuse
//   a member is stale before the decision: retry

/// <summary>Counts answers of one write. Single-threaded; times are milliseconds of any clock.</summary>
internal sealed class QuorumCall
{
    /// <summary>How long a quorum waits for the others that are expected to answer.</summary>
    public const long Grace = 40;

    /// <summary>How long a client waits for a quorum.</summary>
    public const long Patience = 3_000;

    private readonly MemberAnswer[] _answers;
    private readonly bool[] _expected;
    private readonly int _quorum;
    private readonly long _start, _grace, _patience;
    private long _quorumAt = long.MaxValue;

    /// <param name="expected">For each member whether an answer is likely; the others are not waited for.</param>
    /// <param name="quorum">How many must have it on disk.</param>
    /// <param name="now">The time.</param>
    /// <param name="grace">For members that are expected, after a quorum is there.</param>
    /// <param name="patience">Until a quorum must be there.</param>
    public QuorumCall(bool[] expected, int quorum, long now, long grace = Grace, long patience = Patience)
    {
        _grace = grace;
        _patience = patience;
        _expected = expected;
        _answers = new MemberAnswer[expected.Length];
        _quorum = quorum;
        _start = now;
    }

    public QuorumDecision Decision { get; private set; }

    /// <summary>The latest stamp that stood in the way.</summary>
    public long Required { get; private set; }

    /// <summary>When to call <see cref="Decide"/> although nothing came.</summary>
    public long NextDeadline => Decision != QuorumDecision.Waiting ? long.MaxValue : Math.Min(_start + _patience, _quorumAt == long.MaxValue ? long.MaxValue : _quorumAt + _grace);

    public MemberAnswer Of(int member) => _answers[member];

    /// <summary>A member's answer; only its first counts.</summary>
    public void Answer(int member, MemberAnswer answer, long required, long now)
    {
        if (_answers[member] != MemberAnswer.None) return;
        _answers[member] = answer;
        Required = Math.Max(Required, required);
        if (_answers.Count(a => a == MemberAnswer.Done) >= _quorum) _quorumAt = Math.Min(_quorumAt, now);
        Decide(now);
    }

    /// <summary>Decides as far as possible; a decision stands.</summary>
    public QuorumDecision Decide(long now)
    {
        if (Decision != QuorumDecision.Waiting) return Decision;
        int done = 0, open = 0;
        bool missing = false, stale = false;
        for (int i = 0; i < _answers.Length; i++)
        {
            done += _answers[i] == MemberAnswer.Done ? 1 : 0;
            open += _answers[i] == MemberAnswer.None ? 1 : 0;
            missing |= _answers[i] == MemberAnswer.None && _expected[i];
            stale |= _answers[i] == MemberAnswer.Stale;
        }

        if (stale) Decision = QuorumDecision.Retry;
        else if (done >= _quorum) Decision = !missing || now >= _quorumAt + _grace || now >= _start + _patience ? QuorumDecision.Acknowledge : QuorumDecision.Waiting;
        else if (done + open < _quorum || now >= _start + _patience) Decision = QuorumDecision.Refuse;
        return Decision;
    }
}
