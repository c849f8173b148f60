using Oxen.Router.Core.Quic.Streams;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Streams;

public sealed class RangeSetTests
{
    [Fact]
    public void It_equals_a_set_of_numbers_whatever_is_added_and_removed()
    {
        for (ulong seed = 0; seed < 50; seed++)
        {
            var random = new SeededEntropy(seed);
            var set = new RangeSet();
            var twin = new HashSet<long>();
            for (int step = 0; step < 200; step++)
            {
                long start = random.Next(300), end = start + random.Next(40);
                if (random.Next(3) != 0)
                {
                    long fresh = 0;
                    for (long i = start; i < end; i++) fresh += twin.Add(i) ? 1 : 0;
                    Assert.Equal(fresh, set.Add(start, end));
                }
                else
                {
                    for (long i = start; i < end; i++) twin.Remove(i);
                    set.Remove(start, end);
                }

                if (random.Next(20) == 0 && !set.IsEmpty)
                {
                    for (long i = set.First.Start; i < set.First.End; i++) twin.Remove(i);
                    set.RemoveFirst();
                }

                long count = 0, before = -1;
                for (int i = 0; i < set.Count; i++)
                {
                    (long s, long e) = set[i];
                    Assert.True(s > before && e > s);      // sorted, apart, not empty
                    before = e;
                    count += e - s;
                }

                Assert.Equal(twin.Count, count);
                for (long i = 0; i < 340; i += 7) Assert.Equal(twin.Contains(i), set.Contains(i));
            }
        }
    }
}
