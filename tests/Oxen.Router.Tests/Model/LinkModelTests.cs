namespace Oxen.Router.Tests.Model;

/// <summary>
/// Sealed datagrams of links, explored state by state with an injector between the ends (docs/protocol/model-check.md). OXEN_MODEL_DEPTH sets the
/// depth of the model, OXEN_MODEL_REAL how many states are walked again on the router's own tables.
/// </summary>
public sealed class LinkModelTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_state_of_two_links_with_an_injector_keeps_all_properties()
    {
        int depth = Number("OXEN_MODEL_DEPTH", 16);
        var checker = new LinkChecker(LinkMutation.None, depth);
        checker.Run();
        output.WriteLine($"{checker.States} states to depth {depth}, {checker.Steps} steps");
        Assert.True(checker.Breach is null, $"{checker.Breach}");
        Assert.True(checker.States > 2000, "the injector can do something");
        Assert.True(depth < 16 || checker.IsAll, "sixteen steps reach every state that there is");
    }

    [Fact]
    public void The_routers_own_tables_decide_every_step_as_the_model_does()
    {
        int most = Number("OXEN_MODEL_REAL", 600), states = 0, skipped = 0;
        long steps = 0;
        using var real = new RealLinks();
        var checker = new LinkChecker(LinkMutation.None, 6)
        {
            OnState = (state, verdicts) =>
            {
                // Breadth first brings the simple states first; of the many deep ones every few.
                if (states >= most || (state.Trail.Length > 4 && ++skipped % 7 != 0)) return;
                states++;
                foreach ((LinkAction action, bool taken) in verdicts)
                {
                    steps++;
                    real.Begin();
                    foreach (LinkAction before in state.Trail) real.Do(before);
                    bool byTables = real.Do(action);
                    Assert.True(byTables == taken, $"{string.Join(" ", state.Trail)} {action}: the model {(taken ? "takes" : "refuses")} it, the tables {(byTables ? "take" : "refuse")} it");
                }
            },
        };
        checker.Run();
        output.WriteLine($"{states} states and {steps} steps on the router's own tables");
        Assert.True(steps > 2000);
    }

    [Theory]
    [MemberData(nameof(Mutations))]
    public void Each_broken_rule_is_found(LinkMutation mutation)
    {
        var checker = new LinkChecker(mutation, 12);
        checker.Run();
        Assert.True(checker.Breach is not null, $"nothing was found in {checker.States} states");
        output.WriteLine($"{checker.Breach!.Property} after {checker.States} states: {checker.Breach.Trail}");
    }

    public static TheoryData<LinkMutation> Mutations() => [.. Enum.GetValues<LinkMutation>().Where(m => m != LinkMutation.None)];

    internal static int Number(string variable, int usual) => int.TryParse(Environment.GetEnvironmentVariable(variable), out int number) ? number : usual;
}
