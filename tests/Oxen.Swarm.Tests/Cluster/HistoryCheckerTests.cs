namespace Oxen.Swarm.Tests.Cluster;

/// <summary>A checker that never complains proves nothing: here it must, about stores that are wrong in known ways.</summary>
public class HistoryCheckerTests
{
    public enum Fault
    {
        None,
        LosesAcknowledgedAdds,
        ForgetsAcknowledgedRemoves,
        BringsBackTheRemoved,
        InventsElements,
    }

    [Theory]
    [InlineData(Fault.None, 1)]
    [InlineData(Fault.None, 2)]
    [InlineData(Fault.LosesAcknowledgedAdds, 3)]
    [InlineData(Fault.LosesAcknowledgedAdds, 4)]
    [InlineData(Fault.ForgetsAcknowledgedRemoves, 5)]
    [InlineData(Fault.BringsBackTheRemoved, 6)]
    [InlineData(Fault.InventsElements, 7)]
    public async Task A_store_is_found_out_by_its_fault_and_a_sound_one_is_not(Fault fault, int seed)
    {
        var checker = new HistoryChecker();
        var store = new FaultyStore(fault, seed);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(client => Task.Run(() =>
        {
            var dice = new Random(seed + (client * 1000));
            for (int i = 0; i < 500; i++)
            {
                string element = dice.Next(200).ToString(System.Globalization.CultureInfo.InvariantCulture);
                if (dice.Next(10) == 0)
                {
                    checker.Saw(store.Read());
                    continue;
                }

                HistoryChecker.Operation operation = checker.Begin(element, isAdd: dice.Next(3) > 0);
                bool? result = operation.IsAdd ? store.Add(element) : store.Remove(element);
                if (result == true) checker.Acknowledge(operation);
            }
        })));
        (List<string> lost, List<string> resurrected, List<string> phantom) = checker.Judge(store.Final());
        Assert.Equal(fault == Fault.LosesAcknowledgedAdds, lost.Count > 0);
        Assert.Equal(fault is Fault.BringsBackTheRemoved or Fault.ForgetsAcknowledgedRemoves, resurrected.Count > 0);
        Assert.Equal(fault == Fault.InventsElements, phantom.Count > 0);
    }

    [Fact]
    public void An_operation_without_a_result_excuses_either_outcome()
    {
        var checker = new HistoryChecker();
        checker.Acknowledge(checker.Begin("a", true));
        checker.Begin("a", false);
        checker.Begin("b", true);
        HistoryChecker.Operation refused = checker.Begin("c", true);
        checker.Refuse(refused);
        foreach (HashSet<string> final in new HashSet<string>[] { [], ["a"], ["a", "b"] })
        {
            (List<string> lost, List<string> resurrected, List<string> phantom) = checker.Judge(final);
            Assert.Empty(lost);
            Assert.Empty(resurrected);
            Assert.Empty(phantom);
        }
    }

    // A set behind a lock, right but for one fault, which strikes now and then.
    private sealed class FaultyStore(Fault fault, int seed)
    {
        private readonly Lock _lock = new();
        private readonly HashSet<string> _set = [], _removed = [];
        private readonly Random _dice = new(seed);

        public bool? Add(string element)
        {
            lock (_lock)
            {
                if (_dice.Next(20) == 0) return null; // no answer, no effect
                if (fault != Fault.LosesAcknowledgedAdds || _dice.Next(4) > 0) _set.Add(element);
                _removed.Remove(element);
                return true;
            }
        }

        public bool? Remove(string element)
        {
            lock (_lock)
            {
                if (_dice.Next(20) == 0) return null;
                if (fault != Fault.ForgetsAcknowledgedRemoves || _dice.Next(4) > 0) _set.Remove(element);
                _removed.Add(element);
                return true;
            }
        }

        public string[] Read()
        {
            lock (_lock) return [.. _set];
        }

        public HashSet<string> Final()
        {
            lock (_lock)
            {
                HashSet<string> final = [.. _set];
                if (fault == Fault.BringsBackTheRemoved) final.UnionWith(_removed);
                if (fault == Fault.InventsElements) final.Add("nobody's");
                return final;
            }
        }
    }
}
