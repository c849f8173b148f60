namespace Oxen.Router.Core.Paths;

/// <summary>What a client's path has asked its hops and not yet heard: a few ids, the oldest forgotten first.</summary>
internal sealed class OutstandingProbes
{
    public const int Capacity = 64;

    private readonly ulong[] _ids = new ulong[Capacity];
    private readonly byte[] _hops = new byte[Capacity];
    private readonly byte[] _answers = new byte[Capacity]; // the command that answers; 0: nothing outstanding
    private int _next;

    public void Add(ulong id, byte hop, byte answer)
    {
        _ids[_next] = id;
        _hops[_next] = hop;
        _answers[_next] = answer;
        _next = (_next + 1) % Capacity;
    }

    /// <summary>True once for each thing that was asked of this hop.</summary>
    public bool TryTake(ulong id, byte hop, byte answer)
    {
        for (int i = 0; i < Capacity; i++)
        {
            if (_answers[i] != answer || _ids[i] != id || _hops[i] != hop) continue;
            _answers[i] = 0;
            return true;
        }

        return false;
    }
}
