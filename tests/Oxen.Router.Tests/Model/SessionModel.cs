namespace Oxen.Router.Tests.Model;

/// <summary>Faults that the checker must find: each breaks one rule of docs/protocol/session.md.</summary>
public enum SessionMutation
{
    None,
    AttachWithoutProof,
    ProofForAnyPath,
    ProofForAnySequence,
    OldActivateMoves,
    ActivateAttaches,
    ActivateFromAnyPath,
    AttachMoves,
    CloseFromAnyPath,
    ActivateForgottenWithThePath,
    OrphanEndsAtOnce,
}

public enum SessionStep
{
    Open,
    Attach,
    Activate,
    Close,
    Deliver,
    DeliverTampered,
    DeliverRaised,
    DeliverElsewhere,
    PathGone,
    Minute,
}

/// <summary>Steps of a client name the client and the path; deliveries name the message and the path; the end of a path names the path.</summary>
public readonly record struct SessionAction(SessionStep Step, int Which = -1, int Path = -1)
{
    public override string ToString() => $"{Step}({Which},{Path})";
}

/// <summary>A message that a client has sent, as the injector keeps it.</summary>
public readonly record struct SessionLetter(SessionStep Kind, int Client, int Path, int Sequence);

/// <summary>What the terminal said, if anything, to a message. Sequence 0 where there is none.</summary>
public readonly record struct SessionAnswer(string Kind, int Sequence)
{
    public static SessionAnswer None { get; } = new("", 0);

    public override string ToString() => Kind.Length == 0 ? "nothing" : $"{Kind} {Sequence}";
}

/// <summary>
/// Two exit sessions as the protocol says it: client 0 opens on path 0 and may move to path 1; client 1 has path 2. A value: every step is
/// done to a copy.
/// </summary>
public sealed class SessionModel(SessionMutation mutation = SessionMutation.None)
{
    public const int Clients = 2;
    public const int Paths = 3;
    private const int Raise = 100;

    private readonly List<SessionLetter> _letters = [];

    // The clients.
    private readonly int[] _sequence = new int[Clients];
    private readonly int[] _activates = new int[Clients];
    private readonly bool[] _knows = new bool[Clients]; // has had its OPENED
    private readonly int[] _attachSequence = new int[Paths];

    // The terminal.
    private readonly bool[] _exists = new bool[Clients];
    private readonly bool[] _over = new bool[Clients];
    private readonly int[] _highest = new int[Clients];
    private readonly int[] _active = [-1, -1];
    private readonly List<int>[] _attached = [[], []];
    private readonly bool[] _opened = new bool[Paths];
    private readonly int[] _session = [-1, -1, -1];
    private readonly bool[] _gone = new bool[Paths];

    public IReadOnlyList<SessionLetter> Letters => _letters;

    public static int OwnerOf(int path) => path == 2 ? 1 : 0;

    public static int FirstPathOf(int client) => client == 0 ? 0 : 2;

    public bool Knows(int client) => _knows[client];

    /// <summary>The session is there at the terminal.</summary>
    public bool Lives(int client) => _exists[client];

    public bool IsOver(int client) => _over[client];

    public int Highest(int client) => _highest[client];

    /// <summary>The path that the terminal sends this session's packets to; -1: none.</summary>
    public int Active(int client) => _active[client];

    /// <summary>The session that a path carries; -1: none.</summary>
    public int SessionOf(int path) => _session[path];

    public bool IsGone(int path) => _gone[path];

    public bool IsOrphan(int client) => _exists[client] && _attached[client].Count == 0;

    public bool HasAttachOf(int path) => _attachSequence[path] != 0;

    public int ActivatesOf(int client) => _activates[client];

    public SessionModel Copy()
    {
        var copy = new SessionModel(mutation);
        copy._letters.AddRange(_letters);
        foreach ((Array from, Array to) in new (Array, Array)[]
        {
            (_sequence, copy._sequence), (_activates, copy._activates), (_knows, copy._knows), (_attachSequence, copy._attachSequence), (_exists, copy._exists), (_over, copy._over),
            (_highest, copy._highest), (_active, copy._active), (_opened, copy._opened), (_session, copy._session), (_gone, copy._gone),
        })
            Array.Copy(from, to, from.Length);
        for (int i = 0; i < Clients; i++) copy._attached[i].AddRange(_attached[i]);
        return copy;
    }

    /// <summary>What the terminal is in: nothing of the clients or the injector.</summary>
    public string PrintTerminal() => string.Join(' ', Enumerable.Range(0, Clients).Select(c => $"{_exists[c]}{_over[c]}{_highest[c]},{_active[c]},{string.Join('.', _attached[c])}"))
        + string.Join(' ', Enumerable.Range(0, Paths).Select(p => $"{_opened[p]}{_session[p]}{_gone[p]}"));

    /// <summary>All of it. Letters are a set: who has the same ones in another order can do the same.</summary>
    public string Print() => $"{PrintTerminal()}|{string.Join(',', _sequence)}|{string.Join(',', _activates)}|{string.Join(',', _knows)}|{string.Join(',', _attachSequence)}|"
        + string.Join(' ', _letters.Select(l => $"{l.Kind}{l.Client}{l.Path}{l.Sequence}").Order(StringComparer.Ordinal));

    /// <summary>What the terminal answers; nothing for steps that deliver nothing.</summary>
    public SessionAnswer Do(SessionAction action)
    {
        int client = action.Which, path = action.Path;
        switch (action.Step)
        {
            case SessionStep.Open:
                _letters.Add(new SessionLetter(SessionStep.Open, client, path, 0));
                return SessionAnswer.None;
            case SessionStep.Attach:
                _attachSequence[path] = ++_sequence[client];
                _letters.Add(new SessionLetter(SessionStep.Attach, client, path, _attachSequence[path]));
                return SessionAnswer.None;
            case SessionStep.Activate:
                _activates[client]++;
                _letters.Add(new SessionLetter(SessionStep.Activate, client, path, ++_sequence[client]));
                return SessionAnswer.None;
            case SessionStep.Close:
                _letters.Add(new SessionLetter(SessionStep.Close, client, path, 0));
                return SessionAnswer.None;
            case SessionStep.PathGone:
                Gone(path);
                return SessionAnswer.None;
            case SessionStep.Minute:
                for (int i = 0; i < Clients; i++) if (IsOrphan(i)) End(i);
                return SessionAnswer.None;
        }

        SessionLetter letter = _letters[action.Which];
        return _gone[path] ? SessionAnswer.None : Receive(letter, path, action.Step is SessionStep.DeliverTampered, action.Step is SessionStep.DeliverRaised);
    }

    private SessionAnswer Receive(SessionLetter letter, int path, bool tampered, bool raised)
    {
        int session = letter.Client, sequence = letter.Sequence + (raised ? Raise : 0);
        if (letter.Kind == SessionStep.Open) return Open(letter, path);
        if (!_exists[session]) return new SessionAnswer("unknown", 0);
        switch (letter.Kind)
        {
            case SessionStep.Attach:
                bool proves = !tampered && (!raised || mutation == SessionMutation.ProofForAnySequence) && (letter.Path == path || mutation == SessionMutation.ProofForAnyPath);
                if (!proves && mutation != SessionMutation.AttachWithoutProof) return SessionAnswer.None;
                if (_session[path] >= 0 && _session[path] != session) return SessionAnswer.None;
                Join(session, path);
                if (mutation == SessionMutation.AttachMoves) _active[session] = path;
                return new SessionAnswer("attached", sequence);
            case SessionStep.Activate:
                if (_session[path] != session)
                {
                    if (mutation == SessionMutation.ActivateAttaches) Join(session, path);
                    else if (mutation != SessionMutation.ActivateFromAnyPath) return SessionAnswer.None;
                }

                if (sequence > _highest[session] || mutation == SessionMutation.OldActivateMoves)
                {
                    _highest[session] = Math.Max(_highest[session], sequence);
                    _active[session] = path;
                }

                return _active[session] == path ? new SessionAnswer("activated", _highest[session]) : SessionAnswer.None;
            default:
                if (_session[path] == session || mutation == SessionMutation.CloseFromAnyPath) End(session);
                return SessionAnswer.None;
        }
    }

    private SessionAnswer Open(SessionLetter letter, int path)
    {
        if (!_opened[path])
        {
            if (_session[path] >= 0) return SessionAnswer.None;
            _opened[path] = _exists[letter.Client] = true;
            _session[path] = letter.Client;
            _attached[letter.Client].Add(path);
            _active[letter.Client] = path;
        }

        _knows[letter.Client] = true;
        return new SessionAnswer("opened", 0);
    }

    private void Join(int session, int path)
    {
        if (_session[path] == session) return;
        Leave(path);
        _session[path] = session;
        _attached[session].Add(path);
        if (_active[session] < 0) _active[session] = path;
    }

    private void Leave(int path)
    {
        int session = _session[path];
        if (session < 0) return;
        _session[path] = -1;
        _attached[session].Remove(path);
        if (_active[session] == path) _active[session] = _attached[session].Count > 0 ? _attached[session][^1] : -1;
    }

    private void Gone(int path)
    {
        int session = _session[path];
        Leave(path);
        _gone[path] = true;
        if (session < 0) return;
        if (mutation == SessionMutation.ActivateForgottenWithThePath) _highest[session] = 0;
        if (mutation == SessionMutation.OrphanEndsAtOnce && _attached[session].Count == 0) End(session);
    }

    private void End(int session)
    {
        foreach (int path in _attached[session].ToArray()) _session[path] = -1;
        _attached[session].Clear();
        _active[session] = -1;
        _exists[session] = false;
        _over[session] = true;
    }
}
