namespace Oxen.Router.Core.Quic;

/// <summary>Connections by their deadline: a binary heap in an array, each connection knows its place.</summary>
internal sealed class DeadlineHeap
{
    private (Instant When, QuicConnection Connection)[] _items = new (Instant, QuicConnection)[16];

    public int Count { get; private set; }

    public Instant First => Count == 0 ? Instant.Never : _items[0].When;

    public QuicConnection FirstConnection => _items[0].Connection;

    /// <summary>Puts the connection where its deadline belongs.</summary>
    public void Update(QuicConnection connection)
    {
        Instant when = connection.Deadline;
        int at = connection.HeapIndex;
        if (at < 0)
        {
            if (Count == _items.Length) Array.Resize(ref _items, Count * 2);
            at = Count++;
            connection.HeapIndex = at;
            _items[at] = (when, connection);
            Up(at);
            return;
        }

        Instant before = _items[at].When;
        if (before == when) return;
        _items[at].When = when;
        if (when < before) Up(at);
        else Down(at);
    }

    public void Remove(QuicConnection connection)
    {
        int at = connection.HeapIndex;
        if (at < 0) return;
        connection.HeapIndex = -1;
        Count--;
        if (at == Count)
        {
            _items[at] = default;
            return;
        }

        _items[at] = _items[Count];
        _items[Count] = default;
        _items[at].Connection.HeapIndex = at;
        Up(at);
        Down(_items[at].Connection.HeapIndex);
    }

    private void Up(int at)
    {
        (Instant When, QuicConnection Connection) item = _items[at];
        while (at > 0)
        {
            int parent = (at - 1) >> 1;
            if (_items[parent].When <= item.When) break;
            Place(at, _items[parent]);
            at = parent;
        }

        Place(at, item);
    }

    private void Down(int at)
    {
        (Instant When, QuicConnection Connection) item = _items[at];
        while (true)
        {
            int child = 2 * at + 1;
            if (child >= Count) break;
            if (child + 1 < Count && _items[child + 1].When < _items[child].When) child++;
            if (item.When <= _items[child].When) break;
            Place(at, _items[child]);
            at = child;
        }

        Place(at, item);
    }

    private void Place(int at, (Instant When, QuicConnection Connection) item)
    {
        _items[at] = item;
        item.Connection.HeapIndex = at;
    }
}
