namespace Oxen.Router.Tests.Model;

/// <summary>What must hold in every state and step; the name is what a breach is reported by.</summary>
public enum SessionProperty
{
    NoPathWithoutProof,
    OnePathOneSession,
    ChangedIsRefused,
    NeverBack,
    OnlyItsClientMovesIt,
    OnlyItsClientEndsIt,
    AMinuteToComeBack,
    AMoveAlwaysSucceeds,
}

/// <summary>How a breach was reached.</summary>
public sealed record SessionBreach(SessionProperty Property, string Trail);

/// <summary>A state that was reached, and by which steps.</summary>
public sealed record SessionState(SessionModel Model, SessionAction[] Trail);

/// <summary>Walks all states up to a depth, each once, and holds every step against the properties.</summary>
public sealed class SessionChecker(SessionMutation mutation, int depth, int activates = 2)
{
    private readonly HashSet<string> _known = [];

    public int States => _known.Count;

    public long Steps { get; private set; }

    public SessionBreach? Breach { get; private set; }

    /// <summary>Called with each new state, and what was answered to each step that was tried from it.</summary>
    public Action<SessionState, List<(SessionAction Action, SessionAnswer Answer, SessionModel After)>>? OnState { get; init; }

    public void Run()
    {
        var layer = new List<SessionState> { new(new SessionModel(mutation), []) };
        _known.Add(layer[0].Model.Print());
        for (int level = 0; level < depth && layer.Count > 0; level++)
        {
            var next = new List<SessionState>();
            foreach (SessionState state in layer)
            {
                var answers = new List<(SessionAction, SessionAnswer, SessionModel)>();
                foreach (SessionAction action in Actions(state.Model))
                {
                    Steps++;
                    SessionModel after = state.Model.Copy();
                    SessionAnswer answer = after.Do(action);
                    answers.Add((action, answer, after));
                    Judge(state, action, answer, after);
                    if (Breach is not null) return;
                    if (_known.Add(after.Print())) next.Add(new SessionState(after, [.. state.Trail, action]));
                }

                OnState?.Invoke(state, answers);
            }

            layer = next;
        }
    }

    private void Judge(SessionState state, SessionAction action, SessionAnswer answer, SessionModel after)
    {
        SessionModel before = state.Model;
        bool delivers = action.Step is SessionStep.Deliver or SessionStep.DeliverTampered or SessionStep.DeliverRaised or SessionStep.DeliverElsewhere;
        SessionLetter letter = delivers ? before.Letters[action.Which] : default;
        if (action.Step is SessionStep.DeliverTampered or SessionStep.DeliverRaised && (before.PrintTerminal() != after.PrintTerminal() || answer.Kind is not ("" or "unknown")))
            Report(SessionProperty.ChangedIsRefused, state, action);

        for (int path = 0; path < SessionModel.Paths; path++)
        {
            int was = before.SessionOf(path), now = after.SessionOf(path);
            if (was == now) continue;
            if (was >= 0 && now >= 0) Report(SessionProperty.OnePathOneSession, state, action);
            if (now >= 0 && !before.Letters.Any(l => l.Kind is SessionStep.Open or SessionStep.Attach && l.Client == now && l.Path == path)) Report(SessionProperty.NoPathWithoutProof, state, action);
            if (now >= 0 && !(letter.Kind is SessionStep.Open or SessionStep.Attach && action.Path == path)) Report(SessionProperty.NoPathWithoutProof, state, action);
        }

        for (int session = 0; session < SessionModel.Clients; session++)
        {
            if (after.Lives(session) && after.Highest(session) < before.Highest(session)) Report(SessionProperty.NeverBack, state, action);
            bool moved = before.Active(session) >= 0 && after.Active(session) >= 0 && after.Active(session) != before.Active(session);
            bool newer = delivers && letter.Kind == SessionStep.Activate && letter.Sequence > before.Highest(session);
            if (moved && action.Step != SessionStep.PathGone)
            {
                if (!newer) Report(SessionProperty.NeverBack, state, action);
                if (letter.Client != session || letter.Path != after.Active(session)) Report(SessionProperty.OnlyItsClientMovesIt, state, action);
            }

            if (moved && action.Step == SessionStep.PathGone && before.Active(session) != action.Path) Report(SessionProperty.OnlyItsClientMovesIt, state, action);
            if (!before.Lives(session) || after.Lives(session)) continue;
            bool closed = action.Step == SessionStep.Deliver && letter.Kind == SessionStep.Close && letter.Client == session;
            bool waited = action.Step == SessionStep.Minute && before.IsOrphan(session);
            if (action.Step == SessionStep.PathGone) Report(SessionProperty.AMinuteToComeBack, state, action);
            else if (!closed && !waited) Report(SessionProperty.OnlyItsClientEndsIt, state, action);
        }

        JudgeProgress(state, action, after);
    }

    // Whatever the injector did: a client whose session lives moves it to any path of its own that is there, as soon as nobody touches its messages.
    private void JudgeProgress(SessionState state, SessionAction action, SessionModel after)
    {
        for (int path = 0; path < SessionModel.Paths; path++)
        {
            int client = SessionModel.OwnerOf(path);
            if (!after.Lives(client) || !after.Knows(client) || after.IsGone(path)) continue;
            SessionModel then = after.Copy();
            foreach (SessionStep step in new[] { SessionStep.Attach, SessionStep.Activate })
            {
                then.Do(new SessionAction(step, client, path));
                if (then.Do(new SessionAction(SessionStep.Deliver, then.Letters.Count - 1, path)).Kind.Length == 0) Report(SessionProperty.AMoveAlwaysSucceeds, state, action);
            }

            if (then.Active(client) != path) Report(SessionProperty.AMoveAlwaysSucceeds, state, action);
        }
    }

    private void Report(SessionProperty property, SessionState state, SessionAction last) => Breach ??= new SessionBreach(property, string.Join(" ", state.Trail.Append(last)));

    private IEnumerable<SessionAction> Actions(SessionModel model)
    {
        for (int client = 0; client < SessionModel.Clients; client++)
        {
            int first = SessionModel.FirstPathOf(client);
            if (!model.Letters.Any(l => l.Kind == SessionStep.Open && l.Client == client)) yield return new SessionAction(SessionStep.Open, client, first);
            if (!model.Knows(client)) continue;
            for (int path = 0; path < SessionModel.Paths; path++)
            {
                if (SessionModel.OwnerOf(path) != client) continue;
                if (!model.HasAttachOf(path)) yield return new SessionAction(SessionStep.Attach, client, path);
                if (model.ActivatesOf(client) < (client == 0 ? activates : 1)) yield return new SessionAction(SessionStep.Activate, client, path);
            }

            if (!model.Letters.Any(l => l.Kind == SessionStep.Close && l.Client == client)) yield return new SessionAction(SessionStep.Close, client, first);
        }

        for (int i = 0; i < model.Letters.Count; i++)
        {
            SessionLetter letter = model.Letters[i];
            yield return new SessionAction(SessionStep.Deliver, i, letter.Path);
            if (letter.Kind == SessionStep.Attach)
            {
                yield return new SessionAction(SessionStep.DeliverTampered, i, letter.Path);
                yield return new SessionAction(SessionStep.DeliverRaised, i, letter.Path);
            }

            // A proof is brought to every path; what has none, and leans on the layer of its path, to those of others.
            for (int path = 0; path < SessionModel.Paths; path++)
                if (path != letter.Path && letter.Kind != SessionStep.Open && (letter.Kind == SessionStep.Attach || SessionModel.OwnerOf(path) != letter.Client)) yield return new SessionAction(SessionStep.DeliverElsewhere, i, path);
        }

        for (int path = 0; path < 2; path++) if (!model.IsGone(path)) yield return new SessionAction(SessionStep.PathGone, -1, path);
        if (model.IsOrphan(0)) yield return new SessionAction(SessionStep.Minute);
    }
}
