using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Tests.Wire;

public class WireMapTests
{
    // Few keys and many, in order and not: as a sorted dictionary, whatever comes.
    [Theory]
    [InlineData(5)]
    [InlineData(60)]
    [InlineData(70)]
    [InlineData(400)]
    public void It_is_a_dictionary_sorted_by_bytes(int names)
    {
        var dice = new Random(names);
        for (int round = 0; round < 50; round++)
        {
            var map = new WireMap();
            var model = new SortedDictionary<string, object>(StringComparer.Ordinal);
            for (int step = 0; step < 3 * names; step++)
            {
                string key = $"{(char)('a' + dice.Next(3))}{dice.Next(names)}";
                switch (dice.Next(4))
                {
                    case 0: Assert.Equal(model.Remove(key), map.Remove(key)); break;
                    case 1 when model.ContainsKey(key): Assert.Throws<ArgumentException>(() => map.Add(key, 1L)); break;
                    case 1:
                        map.Add(key, (long)step);
                        model.Add(key, (long)step);
                        break;
                    default: map[key] = model[key] = (long)step; break;
                }

                Assert.Equal(model.ContainsKey(key), map.ContainsKey(key));
                Assert.Equal(model.GetValueOrDefault(key), map.GetValueOrDefault(key));
            }

            Assert.Equal(model, map);
            Assert.Equal(model.Keys, map.Keys);
            Assert.Equal(model.Values, map.Values);
            Assert.Equal(model.Count, map.Count);
            Assert.Throws<KeyNotFoundException>(() => map["z"]);
        }
    }

    // What costs a node a second each would be a weapon: the greatest request that a door takes is done before a test run notices.
    [Fact]
    public void A_million_keys_in_the_worst_order_are_read()
    {
        var text = new System.Text.StringBuilder("{");
        for (int i = 999_999; i >= 0; i--) text.Append(i == 999_999 ? "" : ",").Append('"').Append(i.ToString("D6", System.Globalization.CultureInfo.InvariantCulture)).Append("\":1");
        Assert.True(JsonWire.TryRead(System.Text.Encoding.ASCII.GetBytes(text.Append('}').ToString()), out object? value));
        Assert.Equal(1_000_000, ((WireMap)value!).Count);
        Assert.Equal("000000", ((WireMap)value).First().Key);
    }
}
