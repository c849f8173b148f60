namespace Oxen.Router.Core.Relay;

/// <summary>
/// Who gets a share when the relay cannot do all (docs/protocol/link.md#fairness). Awake only while the kernel drops packets before us and
/// our batches come full: then each path direction may have the max-min fair share of a batch that is cut a little below
/// what comes, and what it did not use of its share it may use in the next batch. Shed before the expensive stages.
/// </summary>
internal sealed class PathFairness(int slots)
{
    private const int CalmBatches = 64;

    private readonly int[] _used = new int[slots];
    private readonly int[] _came = new int[slots];
    private readonly int[] _credits = new int[slots];
    private readonly int[] _touched = new int[slots];
    private int _touchedCount;
    private int _level = int.MaxValue;
    private int _calm = CalmBatches;
    private double _keep = 1;

    /// <summary>Whether packets must ask <see cref="TryPass"/>.</summary>
    public bool IsAwake { get; private set; }

    /// <summary>Packets that a path may have in this batch; for tests and metrics.</summary>
    public int Level => _level;

    public void BeginBatch(bool full, uint kernelDrops)
    {
        if (full && kernelDrops > 0)
        {
            _calm = 0;
            IsAwake = true;
            _keep = Math.Max(0.5, _keep * 0.875);
        }
        else if (IsAwake)
        {
            _keep = Math.Min(1, _keep * 1.02);
            if (++_calm >= CalmBatches) Sleep();
        }
    }

    public bool TryPass(int slot)
    {
        if (_came[slot]++ == 0) _touched[_touchedCount++] = slot;
        if (_used[slot] >= (long)_level + _credits[slot]) return false;
        _used[slot]++;
        return true;
    }

    /// <summary>Computes the next batch's level from what came in this one, and carries over what was not used.</summary>
    public void EndBatch()
    {
        if (!IsAwake || _touchedCount == 0) return;
        long total = 0;
        int most = 0;
        for (int i = 0; i < _touchedCount; i++)
        {
            int came = _came[_touched[i]];
            total += came;
            most = Math.Max(most, came);
        }

        // The highest level at which sum(min(came, level)) fits: halving finds it in at most 11 steps.
        long room = Math.Max(_touchedCount, (long)(total * _keep));
        int low = 1, high = most;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            long sum = 0;
            for (int i = 0; i < _touchedCount; i++) sum += Math.Min(_came[_touched[i]], middle);
            if (sum <= room) low = middle;
            else high = middle - 1;
        }

        _level = low;
        for (int i = 0; i < _touchedCount; i++)
        {
            int slot = _touched[i];
            _credits[slot] = Math.Clamp(_credits[slot] + _level - _used[slot], 0, _level);
            _used[slot] = 0;
            _came[slot] = 0;
        }

        _touchedCount = 0;
    }

    public void Forget(int slot) => _credits[slot] = 0;

    private void Sleep()
    {
        IsAwake = false;
        _keep = 1;
        _level = int.MaxValue;
        Array.Clear(_credits);
    }
}
