using System.Collections.Concurrent;

namespace Oxen.Swarm.Tests.Cluster;

// What clients saw, and whether it can be true of a set to which elements are added and from which they are removed.
//
// Every operation has an interval [begun, ended] on one counter; an operation whose result nobody knows never ends: it may take
// effect at any later moment, or not at all. At the end, when all nodes agree, each must show a set for which:
//
//   lost         an acknowledged add, and every remove ended before it began, yet the element is not there
//   resurrected  an acknowledged remove, and every add ended before it began, yet the element is there
//   phantom      an element that nobody had begun to add when it was seen (also in reads along the way)

/// <summary>Collects a history and judges it. Any thread.</summary>
internal sealed class HistoryChecker
{
    private readonly ConcurrentDictionary<string, ConcurrentBag<Operation>> _operations = new();
    private readonly ConcurrentBag<(long Ended, string Element)> _seen = [];
    private long _counter;

    public sealed class Operation
    {
        public bool IsAdd { get; init; }

        public long Begun { get; init; }

        /// <summary>Never, as long as the result is not known.</summary>
        public long Ended { get; set; } = long.MaxValue;

        public bool Acknowledged { get; set; }
    }

    public int Operations => _operations.Values.Sum(o => o.Count);

    public int AcknowledgedCount => _operations.Values.Sum(o => o.Count(x => x.Acknowledged));

    public long Tick() => Interlocked.Increment(ref _counter);

    public Operation Begin(string element, bool isAdd)
    {
        var operation = new Operation { IsAdd = isAdd, Begun = Tick() };
        _operations.GetOrAdd(element, _ => []).Add(operation);
        return operation;
    }

    public void Acknowledge(Operation operation)
    {
        operation.Acknowledged = true;
        operation.Ended = Tick();
    }

    /// <summary>It was refused, and surely did nothing.</summary>
    public void Refuse(Operation operation) => operation.Ended = operation.Begun;

    public void Saw(IEnumerable<string> elements)
    {
        long now = Tick();
        foreach (string element in elements) _seen.Add((now, element));
    }

    /// <summary>Judges a node's final set.</summary>
    public (List<string> Lost, List<string> Resurrected, List<string> Phantom) Judge(IReadOnlySet<string> final)
    {
        List<string> lost = [], resurrected = [], phantom = [];
        foreach ((string element, ConcurrentBag<Operation> all) in _operations)
        {
            Operation[] real = [.. all.Where(o => o.Acknowledged || o.Ended == long.MaxValue)];
            bool present = final.Contains(element);
            if (!present && real.Any(add => add is { IsAdd: true, Acknowledged: true } && real.Where(o => !o.IsAdd).All(remove => remove.Ended < add.Begun))) lost.Add(element);
            if (present && real.Any(remove => remove is { IsAdd: false, Acknowledged: true } && real.Where(o => o.IsAdd).All(add => add.Ended < remove.Begun))) resurrected.Add(element);
        }

        foreach (string element in final)
        {
            if (!WasBegun(element, long.MaxValue)) phantom.Add(element);
        }

        phantom.AddRange(_seen.Where(s => !WasBegun(s.Element, s.Ended)).Select(s => s.Element));
        return (lost, resurrected, phantom);
    }

    private bool WasBegun(string element, long before) => _operations.TryGetValue(element, out ConcurrentBag<Operation>? all) && all.Any(o => o.IsAdd && o.Begun < before);
}
