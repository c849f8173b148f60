using System.Buffers.Binary;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Tests.Core.Sessions;

namespace Oxen.Router.Tests.Model;

/// <summary>The same two sessions at the router's own <see cref="ExitSessions"/>, spoken to by clients that make real messages.</summary>
internal sealed class RealSessions : IDisposable
{
    private readonly SessionRig _rig = new();
    private readonly List<(byte[] Bytes, SessionLetter Letter)> _letters = [];
    private readonly byte[][] _opened = [[], []];
    private readonly long[] _number = new long[SessionModel.Clients];
    private readonly byte[][] _key = [[], []];
    private readonly int[] _sequence = new int[SessionModel.Clients];
    private int _numbers;

    public void Begin()
    {
        _rig.ForgetEverything();
        _letters.Clear();
        Array.Fill(_opened, []);
        Array.Clear(_number);
        Array.Clear(_sequence);
        _numbers = 0;
        for (int path = 0; path < SessionModel.Paths; path++) _rig.AddExitPath(path + 1);
    }

    /// <summary>The path that the terminal sends this client's packets to; -1: none.</summary>
    public int Active(int client) => _rig.PathOf(_number[client]) - 1;

    public int Count => _rig.Exit.Count;

    public SessionAnswer Do(SessionAction action)
    {
        int client = action.Which, path = action.Path;
        switch (action.Step)
        {
            case SessionStep.Open:
                byte[] open = new byte[SessionMessage.OpenBytes];
                open[0] = (byte)SessionMessageType.Open;
                open.AsSpan(1).Fill((byte)(client + 1));
                return Keep(open, new SessionLetter(action.Step, client, path, 0));
            case SessionStep.Attach:
                byte[] attach = Message(SessionMessageType.Attach, SessionMessage.AttachBytes, client, ++_sequence[client]);
                SessionMessage.AttachMac(_key[client], SessionRig.Transcript(path + 1), (ulong)_sequence[client], attach.AsSpan(25));
                return Keep(attach, new SessionLetter(action.Step, client, path, _sequence[client]));
            case SessionStep.Activate:
                return Keep(Message(SessionMessageType.Activate, SessionMessage.ActivateBytes, client, ++_sequence[client]), new SessionLetter(action.Step, client, path, _sequence[client]));
            case SessionStep.Close:
                return Keep(Message(SessionMessageType.Close, SessionMessage.CloseBytes, client, -1), new SessionLetter(action.Step, client, path, 0));
            case SessionStep.PathGone:
                _rig.RemoveExitPath(path + 1);
                return SessionAnswer.None;
            case SessionStep.Minute:
                _rig.Now += TimeSpan.FromSeconds(61);
                _rig.Exit.HandleTimeout(_rig.Now);
                return SessionAnswer.None;
        }

        (byte[] bytes, SessionLetter letter) = _letters[action.Which];
        byte[] message = [.. bytes];
        if (action.Step == SessionStep.DeliverTampered) message[^1] ^= 1;
        if (action.Step == SessionStep.DeliverRaised) message[24] += 100;
        byte[][] said = _rig.Ask(path + 1, message);
        return said.Length == 0 ? SessionAnswer.None : Read(Assert.Single(said), letter.Client, path);
    }

    public void Dispose() => _rig.Dispose();

    private SessionAnswer Keep(byte[] bytes, SessionLetter letter)
    {
        _letters.Add((bytes, letter));
        return SessionAnswer.None;
    }

    private byte[] Message(SessionMessageType type, int length, int client, int sequence)
    {
        byte[] message = new byte[length];
        message[0] = (byte)type;
        _opened[client].AsSpan(1, SessionMessage.IdBytes).CopyTo(message.AsSpan(1));
        if (sequence >= 0) BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(17), (ulong)sequence);
        return message;
    }

    // What an answer proves is checked as the client does it.
    private SessionAnswer Read(byte[] answer, int client, int path)
    {
        byte[] mac = new byte[SessionMessage.MacBytes];
        switch ((SessionMessageType)answer[0])
        {
            case SessionMessageType.Opened:
                if (_opened[client].Length > 0)
                {
                    Assert.Equal(_opened[client], answer);
                    return new SessionAnswer("opened", 0);
                }

                _opened[client] = answer;
                _number[client] = ++_numbers;
                byte[] random = [.. Enumerable.Repeat((byte)(client + 1), SessionMessage.RandomBytes)];
                _key[client] = SessionMessage.DeriveKey(SessionRig.Secret(path + 1), random, answer.AsSpan(17, SessionMessage.RandomBytes));
                SessionMessage.OpenedMac(_key[client], answer.AsSpan(1, SessionMessage.IdBytes), SessionRig.Transcript(path + 1), mac);
                Assert.Equal(mac, answer[49..]);
                return new SessionAnswer("opened", 0);
            case SessionMessageType.Attached:
                ulong sequence = BinaryPrimitives.ReadUInt64BigEndian(answer.AsSpan(1));
                SessionMessage.AttachedMac(_key[client], SessionRig.Transcript(path + 1), sequence, mac);
                Assert.Equal(mac, answer[9..]);
                return new SessionAnswer("attached", (int)sequence);
            case SessionMessageType.Activated:
                return new SessionAnswer("activated", (int)BinaryPrimitives.ReadUInt64BigEndian(answer.AsSpan(1)));
            case SessionMessageType.Unknown:
                Assert.Equal(_opened[client].AsSpan(1, SessionMessage.IdBytes), answer.AsSpan(1));
                return new SessionAnswer("unknown", 0);
            default:
                return new SessionAnswer($"message {answer[0]}", 0);
        }
    }
}
