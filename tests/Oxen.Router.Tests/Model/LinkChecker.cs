namespace Oxen.Router.Tests.Model;

/// <summary>What must hold in every state and step; the name is what a breach is reported by.</summary>
public enum LinkProperty
{
    OnlyWhatTheSenderSealed,
    NothingTwice,
    NoNumberTwiceUnderAKey,
    NumbersOnlyRise,
    NoKeyForTwoEpochs,
    NoKeyForTwoLinks,
    OldEpochsStayOver,
    NothingMovesWithoutASeal,
    RetiredStaysRetired,
    FreshPacketsAreTaken,
}

/// <summary>How a breach was reached.</summary>
public sealed record LinkBreach(LinkProperty Property, string Trail);

/// <summary>A state that was reached, and by which steps.</summary>
/// <param name="Taken">A bit for each datagram that was taken.</param>
public sealed record LinkState(LinkModel Model, ulong Taken, LinkAction[] Trail);

/// <summary>Walks all states up to a depth, each once, and holds every step against the properties.</summary>
public sealed class LinkChecker(LinkMutation mutation, int depth, int sends = 3)
{
    private readonly HashSet<string> _known = [];

    public int States => _known.Count;

    public long Steps { get; private set; }

    public LinkBreach? Breach { get; private set; }

    /// <summary>No state lies deeper: the steps that there are can reach nothing else.</summary>
    public bool IsAll { get; private set; }

    /// <summary>Called with each new state, and the verdict of each step that was tried from it.</summary>
    public Action<LinkState, List<(LinkAction Action, bool Taken)>>? OnState { get; init; }

    public void Run()
    {
        var layer = new List<LinkState> { new(new LinkModel(mutation), 0, []) };
        _known.Add(layer[0].Model.Print());
        for (int level = 0; level < depth && layer.Count > 0 && Breach is null; level++)
        {
            var next = new List<LinkState>();
            foreach (LinkState state in layer)
            {
                var verdicts = new List<(LinkAction, bool)>();
                foreach (LinkAction action in Actions(state.Model)) Try(state, action, verdicts, next);
                OnState?.Invoke(state, verdicts);
                if (Breach is not null) return;
            }

            layer = next;
        }

        IsAll = layer.Count == 0;
    }

    private void Try(LinkState state, LinkAction action, List<(LinkAction, bool)> verdicts, List<LinkState> next)
    {
        Steps++;
        LinkModel after = state.Model.Copy();
        bool taken = after.Do(action);
        verdicts.Add((action, taken));
        ulong all = state.Taken;
        if (action.Datagram >= 0) all = Judge(state, action, after, taken);
        else if (action.Step is LinkStep.Send or LinkStep.SendOther) JudgeSeal(after, state, action);
        JudgeProgress(after, state, action);
        if (Breach is null && _known.Add(after.Print(all))) next.Add(new LinkState(after, all, [.. state.Trail, action]));
    }

    private ulong Judge(LinkState state, LinkAction action, LinkModel after, bool taken)
    {
        LinkModel before = state.Model;
        LinkDatagram d = before.Pool[action.Datagram];
        if (!taken)
        {
            if (before.Print() != after.Print()) Report(LinkProperty.NothingMovesWithoutASeal, state, action);
            return state.Taken;
        }

        ulong bit = 1UL << action.Datagram;
        if (action.Step != LinkStep.Deliver) Report(LinkProperty.OnlyWhatTheSenderSealed, state, action);
        if ((state.Taken & bit) != 0) Report(LinkProperty.NothingTwice, state, action);
        int behind = before.Epoch(d.Receiver) - d.Epoch;
        if (behind > 1 || (behind == 1 && !before.HasPrevious(d.Receiver))) Report(LinkProperty.OldEpochsStayOver, state, action);
        if (d.Receiver == 0 && before.Retired) Report(LinkProperty.RetiredStaysRetired, state, action);
        return state.Taken | bit;
    }

    private void JudgeSeal(LinkModel after, LinkState state, LinkAction action)
    {
        LinkDatagram made = after.Pool[^1];
        foreach (LinkDatagram other in after.Pool.Take(after.Pool.Count - 1))
        {
            if (other.Key == made.Key && other.Receiver != made.Receiver) Report(LinkProperty.NoKeyForTwoLinks, state, action);
            if (other.Key == made.Key && other.Counter == made.Counter) Report(LinkProperty.NoNumberTwiceUnderAKey, state, action);
            if (other.Receiver != made.Receiver) continue;
            if (other.Counter >= made.Counter) Report(LinkProperty.NumbersOnlyRise, state, action);
            if (other.Key == made.Key && other.Epoch != made.Epoch) Report(LinkProperty.NoKeyForTwoEpochs, state, action);
        }
    }

    // Whatever the injector did: what an honest sender sends next, and nobody touches, is taken.
    private void JudgeProgress(LinkModel after, LinkState state, LinkAction action)
    {
        foreach (LinkStep step in new[] { LinkStep.Send, LinkStep.SendOther })
        {
            LinkModel then = after.Copy();
            then.Do(new LinkAction(step, -1));
            if (!then.Do(new LinkAction(LinkStep.Deliver, then.Pool.Count - 1))) Report(LinkProperty.FreshPacketsAreTaken, state, action);
        }
    }

    private void Report(LinkProperty property, LinkState state, LinkAction last) => Breach ??= new LinkBreach(property, string.Join(" ", state.Trail.Append(last)));

    private IEnumerable<LinkAction> Actions(LinkModel model)
    {
        if (model.Pool.Count(d => d.Receiver != 1) < sends) yield return new LinkAction(LinkStep.Send, -1);
        if (!model.Pool.Any(d => d.Receiver == 1)) yield return new LinkAction(LinkStep.SendOther, -1);
        yield return new LinkAction(LinkStep.WaitEpoch, -1);
        yield return new LinkAction(LinkStep.WaitPrevious, -1);
        if (!model.Rehandshaken) yield return new LinkAction(LinkStep.Rehandshake, -1);
        if (model is { Rehandshaken: true, Retired: false }) yield return new LinkAction(LinkStep.Retire, -1);
        for (int i = 0; i < model.Pool.Count; i++)
        {
            yield return new LinkAction(LinkStep.Deliver, i);
            yield return new LinkAction(LinkStep.DeliverTampered, i);
            yield return new LinkAction(LinkStep.DeliverNextEpoch, i);
            yield return new LinkAction(LinkStep.DeliverFarEpoch, i);
            yield return new LinkAction(LinkStep.DeliverToOtherLink, i);
        }
    }
}
