using Oxen.Router.Core.Carrier;

namespace Oxen.Router.Core.Paths;

/// <summary>
/// Numbers inside onion heads (docs/protocol/onion.md#numbers-and-the-ten-zeros): range 1 || counter 5. Whoever takes packets keeps an exact
/// window for each range that it has seen; numbers run on over epochs, so the window does too. Windows are made when a
/// command is handled and taken from the pool on the packet path.
/// </summary>
internal sealed class NumberWindows
{
    /// <summary>Sending shards have one range each.</summary>
    public const int MaxRanges = 16;

    /// <summary>No window yet.</summary>
    public const int None = -1;

    private const int RowsPerChunk = 64;

    private readonly List<ulong[]> _chunks = [];
    private readonly int _maxRows;
    private (byte Range, int Next)[] _rows = [];
    private int[] _free = [];
    private int _freeCount;
    private int _rowCount;
    private int _extra;      // taken by lists that had one already

    public NumberWindows(int maxRows) => _maxRows = maxRows;

    public int Free => _freeCount;

    /// <summary>Makes new windows until `free` of them wait, or the limit is reached. At control rate.</summary>
    public void TopUp(int free)
    {
        while (_freeCount < free && _rowCount < _maxRows)
        {
            _chunks.Add(new ulong[RowsPerChunk * ReplayWindow.Words]);
            Array.Resize(ref _rows, _rowCount + RowsPerChunk);
            Array.Resize(ref _free, _rowCount + RowsPerChunk);
            for (int i = 0; i < RowsPerChunk; i++) _free[_freeCount++] = _rowCount++;
        }
    }

    /// <summary>Whether the number was not seen before in the windows that begin with `first`. Takes nothing.</summary>
    public bool IsNew(int first, byte range, ulong counter)
    {
        for (int row = first; row >= 0; row = _rows[row].Next)
        {
            if (_rows[row].Range == range) return ReplayWindow.IsNew(Bits(row), counter);
        }

        return true;
    }

    /// <summary>Takes a number that was new. False when the range is out of bounds or no window was left for it.</summary>
    public bool Mark(ref int first, byte range, ulong counter)
    {
        for (int row = first; row >= 0; row = _rows[row].Next)
        {
            if (_rows[row].Range != range) continue;
            ReplayWindow.Mark(Bits(row), counter);
            return true;
        }

        // A sender may use 16 ranges, and a hostile one will: half of the windows are kept for those who have none yet.
        if (range >= MaxRanges || _freeCount == 0 || (first >= 0 && _extra >= _maxRows / 2)) return false;
        if (first >= 0) _extra++;
        int taken = _free[--_freeCount];
        Bits(taken).Clear();
        _rows[taken] = (range, first);
        first = taken;
        ReplayWindow.Mark(Bits(taken), counter);
        return true;
    }

    /// <summary>Gives all windows of a list back.</summary>
    public void Release(ref int first)
    {
        while (first >= 0)
        {
            int next = _rows[first].Next;
            _free[_freeCount++] = first;
            if (next >= 0) _extra--;
            first = next;
        }
    }

    private Span<ulong> Bits(int row) => _chunks[row / RowsPerChunk].AsSpan(row % RowsPerChunk * ReplayWindow.Words, ReplayWindow.Words);
}
