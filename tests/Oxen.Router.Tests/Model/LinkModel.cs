using Oxen.Router.Core.Carrier;

namespace Oxen.Router.Tests.Model;

/// <summary>Faults that the checker must find: each breaks one rule of docs/protocol/link.md.</summary>
public enum LinkMutation
{
    None,
    NoReplayWindow,
    WindowForgottenWithTheEpoch,
    WindowMovesBeforeOpening,
    EpochMovesBeforeOpening,
    PreviousKeyNeverWiped,
    KeyNotRatcheted,
    CounterRestartsWithTheEpoch,
    NoCatchingUp,
    RetiredIndexLivesOn,
    SuiteNotInTheKey,
    CounterRestartsWithTheHandshake,
}

/// <summary>What an injector can do, and what honest ends do.</summary>
public enum LinkStep
{
    Send,
    SendOther,
    Deliver,
    DeliverTampered,
    DeliverNextEpoch,
    DeliverFarEpoch,
    DeliverToOtherLink,
    WaitEpoch,
    WaitPrevious,
    Rehandshake,
    Retire,
}

public readonly record struct LinkAction(LinkStep Step, int Datagram)
{
    public override string ToString() => Datagram < 0 ? $"{Step}" : $"{Step}({Datagram})";
}

/// <summary>A datagram that the injector has seen: under which handshake, epoch, number it was sealed. Key is the term of the key that seals it.</summary>
public readonly record struct LinkDatagram(int Receiver, int Key, int Epoch, int Counter);

/// <summary>
/// Two links as the protocol says it: receiver 0 is the first link's, receiver 1 another link's with another suite, receiver 2 the first
/// link's after a new handshake. A value: every step gives a new one. Time counts in epochs of the sender and in whether the previous key is over.
/// </summary>
public sealed class LinkModel
{
    public const int Receivers = 3;
    private const int KeysPerReceiver = 64;

    private readonly LinkMutation _mutation;
    private readonly int[] _senderEpoch = new int[Receivers];
    private readonly int[] _counter = new int[Receivers];
    private readonly bool[] _due = new bool[Receivers];        // the sender's epoch is over
    private readonly bool[] _began = new bool[Receivers];      // the sender's epoch has a first datagram
    private readonly int[] _epoch = new int[Receivers];
    private readonly bool[] _previous = new bool[Receivers];
    private readonly ulong[] _seen = new ulong[Receivers];
    private readonly List<LinkDatagram> _pool = [];
    private bool _rehandshaken;
    private bool _retired;

    public LinkModel(LinkMutation mutation = LinkMutation.None) => _mutation = mutation;

    public IReadOnlyList<LinkDatagram> Pool => _pool;

    public bool Rehandshaken => _rehandshaken;

    public bool Retired => _retired;

    public int Epoch(int receiver) => _epoch[receiver];

    public bool HasPrevious(int receiver) => _previous[receiver];

    /// <summary>The receiver that the honest sender of the first link uses now.</summary>
    public int Current => _rehandshaken ? 2 : 0;

    public LinkModel Copy()
    {
        var copy = new LinkModel(_mutation) { _rehandshaken = _rehandshaken, _retired = _retired };
        _senderEpoch.CopyTo(copy._senderEpoch, 0);
        _counter.CopyTo(copy._counter, 0);
        _due.CopyTo(copy._due, 0);
        _began.CopyTo(copy._began, 0);
        _epoch.CopyTo(copy._epoch, 0);
        _previous.CopyTo(copy._previous, 0);
        _seen.CopyTo(copy._seen, 0);
        copy._pool.AddRange(_pool);
        return copy;
    }

    /// <summary>All of it, for telling states apart: a character for each number.</summary>
    public string Print(ulong taken = 0)
    {
        Span<char> text = stackalloc char[3 + (7 * Receivers) + (4 * _pool.Count)];
        int at = 0;
        text[at++] = (char)(_rehandshaken ? 1 : 0);
        text[at++] = (char)(_retired ? 1 : 0);
        text[at++] = (char)taken;
        for (int i = 0; i < Receivers; i++)
        {
            text[at++] = (char)_senderEpoch[i];
            text[at++] = (char)_counter[i];
            text[at++] = (char)(_due[i] ? 1 : 0);
            text[at++] = (char)(_began[i] ? 1 : 0);
            text[at++] = (char)_epoch[i];
            text[at++] = (char)(_previous[i] ? 1 : 0);
            text[at++] = (char)_seen[i];
        }

        foreach (LinkDatagram d in _pool)
        {
            text[at++] = (char)d.Receiver;
            text[at++] = (char)d.Key;
            text[at++] = (char)d.Epoch;
            text[at++] = (char)d.Counter;
        }

        return new string(text);
    }

    /// <summary>Whether a datagram was taken; false for steps that deliver nothing.</summary>
    public bool Do(LinkAction action)
    {
        switch (action.Step)
        {
            case LinkStep.Send:
                Seal(Current);
                return false;
            case LinkStep.SendOther:
                Seal(1);
                return false;
            case LinkStep.WaitEpoch:
                for (int i = 0; i < Receivers; i++) _due[i] |= _began[i];
                EndPrevious();
                return false;
            case LinkStep.WaitPrevious:
                EndPrevious();
                return false;
            case LinkStep.Rehandshake:
                _rehandshaken = true;
                if (_mutation == LinkMutation.CounterRestartsWithTheHandshake) _senderEpoch[2] = _senderEpoch[0];
                return false;
            case LinkStep.Retire:
                _retired = true;
                return false;
        }

        LinkDatagram d = _pool[action.Datagram];
        return action.Step switch
        {
            LinkStep.Deliver => Open(d.Receiver, d, d.Epoch, intact: true),
            LinkStep.DeliverTampered => Open(d.Receiver, d, d.Epoch, intact: false),
            LinkStep.DeliverNextEpoch => Open(d.Receiver, d, d.Epoch + 1, intact: false),
            LinkStep.DeliverFarEpoch => Open(d.Receiver, d, d.Epoch + 5, intact: false),
            _ => Open(d.Receiver == 1 ? Current : 1, d, d.Epoch, intact: false),
        };
    }

    private void Seal(int receiver)
    {
        if (_due[receiver])
        {
            _senderEpoch[receiver]++;
            _due[receiver] = false;
            if (_mutation == LinkMutation.CounterRestartsWithTheEpoch) _counter[receiver] = 0;
        }

        _began[receiver] = true;
        _pool.Add(new LinkDatagram(receiver, KeyOf(receiver, _senderEpoch[receiver]), _senderEpoch[receiver], _counter[receiver]++));
    }

    private bool Open(int receiver, LinkDatagram d, int claimed, bool intact)
    {
        if ((receiver == 2 && !_rehandshaken) || (receiver == 0 && _retired && _mutation != LinkMutation.RetiredIndexLivesOn)) return false;
        int ahead = claimed - _epoch[receiver];
        bool acceptable = ahead is 0 or 1 || (ahead == -1 && _previous[receiver]) || (ahead is > 1 and < 32 && _mutation != LinkMutation.NoCatchingUp)
            || (ahead < 0 && _mutation == LinkMutation.PreviousKeyNeverWiped);
        if (!acceptable) return false;
        if (((_seen[receiver] >> d.Counter) & 1) != 0 && _mutation != LinkMutation.NoReplayWindow) return false;
        if (_mutation == LinkMutation.WindowMovesBeforeOpening) _seen[receiver] |= 1UL << d.Counter;
        if (_mutation == LinkMutation.EpochMovesBeforeOpening && ahead == 1) Advance(receiver, 1);
        if (!intact || d.Key != KeyOf(receiver, claimed)) return false;
        if (ahead > 0 && _mutation != LinkMutation.EpochMovesBeforeOpening) Advance(receiver, ahead);
        _seen[receiver] |= 1UL << d.Counter;
        return true;
    }

    private void Advance(int receiver, int by)
    {
        _epoch[receiver] += by;
        _previous[receiver] = by == 1;
        if (_mutation == LinkMutation.WindowForgottenWithTheEpoch) _seen[receiver] = 0;
    }

    private void EndPrevious()
    {
        for (int i = 0; i < Receivers; i++) _previous[i] = false;
    }

    // The term of a key: who, which epoch. A mutation makes two of them one.
    private int KeyOf(int receiver, int epoch)
    {
        int of = _mutation == LinkMutation.SuiteNotInTheKey && receiver == 1 ? 0 : receiver;
        if (_mutation == LinkMutation.CounterRestartsWithTheHandshake && receiver == 2) of = 0;
        return (of * KeysPerReceiver) + (_mutation == LinkMutation.KeyNotRatcheted ? 0 : epoch);
    }
}
