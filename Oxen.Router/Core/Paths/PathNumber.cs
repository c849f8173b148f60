namespace Oxen.Router.Core.Paths;

/// <summary>
/// Names a path inside one shard of this process: a row of its tables and a generation. Given by
/// <see cref="PathNumberAllocator"/>; never on the wire. In a packet ring it is the tag's Subject and Generation.
/// </summary>
internal readonly record struct PathNumber(int Row, uint Generation);

/// <summary>Gives out the path numbers of one shard. Belongs to the control thread.</summary>
internal sealed class PathNumberAllocator(int maxPaths)
{
    private readonly uint[] _generations = new uint[maxPaths];
    private readonly Stack<int> _released = new();
    private int _fresh;

    public int InUse => _fresh - _released.Count;

    public bool TryTake(out PathNumber number)
    {
        if (!_released.TryPop(out int row))
        {
            if (_fresh == _generations.Length)
            {
                number = default;
                return false;
            }

            row = _fresh++;
        }

        number = new PathNumber(row, ++_generations[row]);
        return true;
    }

    /// <summary>The number's row may be used again. Post the removal of the path to its shard first.</summary>
    public void Release(PathNumber number)
    {
        if ((uint)number.Row >= (uint)_fresh || _generations[number.Row] != number.Generation) throw new ArgumentException("not in use", nameof(number));
        _generations[number.Row]++;
        _released.Push(number.Row);
    }
}
