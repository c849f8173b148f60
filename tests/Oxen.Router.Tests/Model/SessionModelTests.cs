namespace Oxen.Router.Tests.Model;

/// <summary>
/// Exit sessions that move from path to path, explored state by state with an injector between the ends (docs/protocol/model-check.md).
/// OXEN_MODEL_DEPTH sets the depth of the model, OXEN_MODEL_REAL how many states are walked again at the router's own terminal.
/// </summary>
public sealed class SessionModelTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_state_of_two_sessions_with_an_injector_keeps_all_properties()
    {
        int depth = LinkModelTests.Number("OXEN_MODEL_DEPTH", 12);
        var checker = new SessionChecker(SessionMutation.None, depth);
        checker.Run();
        output.WriteLine($"{checker.States} states to depth {depth}, {checker.Steps} steps");
        Assert.True(checker.Breach is null, $"{checker.Breach}");
        Assert.True(checker.States > 2000, "the injector can do something");
    }

    [Fact]
    public void The_routers_own_terminal_answers_every_step_as_the_model_does()
    {
        int most = LinkModelTests.Number("OXEN_MODEL_REAL", 600), states = 0, skipped = 0;
        long steps = 0;
        var answers = new SortedDictionary<string, int>(StringComparer.Ordinal);
        using var real = new RealSessions();
        var checker = new SessionChecker(SessionMutation.None, 10)
        {
            OnState = (state, tried) =>
            {
                // Breadth first brings the simple states first; of the many deep ones a few of each depth.
                if (states >= most || (state.Trail.Length > 5 && ++skipped % (1 << (state.Trail.Length - 4)) != 0)) return;
                states++;
                foreach ((SessionAction action, SessionAnswer answer, SessionModel after) in tried)
                {
                    steps++;
                    real.Begin();
                    foreach (SessionAction before in state.Trail) real.Do(before);
                    SessionAnswer said = real.Do(action);
                    string trail = $"{string.Join(" ", state.Trail)} {action}";
                    Assert.True(said == answer, $"{trail}: the model answers {answer}, the terminal {said}");
                    for (int client = 0; client < SessionModel.Clients; client++)
                        if (after.Knows(client)) Assert.True(real.Active(client) == after.Active(client), $"{trail}: by the model session {client} is on path {after.Active(client)}, at the terminal on {real.Active(client)}");
                    Assert.Equal(Enumerable.Range(0, SessionModel.Clients).Count(after.Lives), real.Count);
                    answers[said.Kind] = answers.GetValueOrDefault(said.Kind) + 1;
                }
            },
        };
        checker.Run();
        output.WriteLine($"{states} states and {steps} steps at the router's own terminal: {string.Join(", ", answers.Select(a => $"{a.Key} {a.Value}"))}");
        Assert.True(steps > 2000);
        Assert.Equal(["", "activated", "attached", "opened", "unknown"], answers.Keys);
    }

    [Theory]
    [MemberData(nameof(Mutations))]
    public void Each_broken_rule_is_found(SessionMutation mutation)
    {
        var checker = new SessionChecker(mutation, 12);
        checker.Run();
        Assert.True(checker.Breach is not null, $"nothing was found in {checker.States} states");
        output.WriteLine($"{checker.Breach!.Property} after {checker.States} states: {checker.Breach.Trail}");
    }

    public static TheoryData<SessionMutation> Mutations() => [.. Enum.GetValues<SessionMutation>().Where(m => m != SessionMutation.None)];
}
