using System.Numerics;
using Oxen.Router.Core.Onion;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Onion;

// docs/protocol/onion.md#what-tampering-does and #what-is-public, on a path of four hops.
public sealed class TamperingTests
{
    private const int Hops = 4, Trials = 120;

    private readonly SeededEntropy _entropy = new(2583);
    private readonly byte[][] _upstream = new byte[Hops][], _downstream = new byte[Hops][];
    private readonly LayerTweak _up = LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, 29_453_760);
    private readonly LayerTweak _down = LayerTweak.ForData(SizeClass.Full, PathDirection.Downstream, 29_453_760);

    public TamperingTests()
    {
        for (int i = 0; i < Hops; i++)
        {
            _upstream[i] = Keys();
            _downstream[i] = Keys();
        }
    }

    private byte[] Random(int length)
    {
        byte[] bytes = new byte[length];
        _entropy.FillPublic(bytes);
        return bytes;
    }

    private byte[] Keys()
    {
        byte[] expanded = new byte[LayerKeys.ExpandedBytes];
        LayerKeys.Expand(Random(LayerKeys.RawBytes), expanded);
        return expanded;
    }

    // Number 6 || zero 10 || content.
    private byte[] Plain()
    {
        byte[] body = Random(OnionLayer.FullBodyBytes);
        body.AsSpan(6, 10).Clear();
        return body;
    }

    private static bool HasTenZeros(byte[] body) => body.AsSpan(6, 10).IndexOfAnyExcept((byte)0) < 0;

    private void Flip(byte[] body, bool left)
    {
        int bit = left ? _entropy.Next(128) : 128 + _entropy.Next((body.Length - 16) * 8);
        body[bit / 8] ^= (byte)(1 << (bit % 8));
    }

    // Half of the bits differ: over all trials within six standard deviations of a fair coin.
    private sealed class Coin
    {
        private long _bits, _ones;

        public void Compare(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
        {
            _bits += a.Length * 8;
            for (int i = 0; i < a.Length; i++) _ones += BitOperations.PopCount((uint)(a[i] ^ b[i]));
        }

        public void AssertFair() => Assert.InRange(_ones - _bits / 2.0, -3 * Math.Sqrt(_bits), 3 * Math.Sqrt(_bits));
    }

    [Fact]
    public void Untouched_packets_arrive_at_every_hop_and_at_the_client_from_every_hop()
    {
        for (int hop = 0; hop < Hops; hop++)
        {
            byte[] plain = Plain(), body = [.. plain];
            for (int i = hop; i >= 0; i--) OnionLayer.Inverse(body, _upstream[i], _up);
            for (int i = 0; i <= hop; i++)
            {
                Assert.False(HasTenZeros(body));
                OnionLayer.Forward(body, _upstream[i], _up);
            }

            Assert.Equal(plain, body);
            for (int i = hop; i >= 0; i--) OnionLayer.Forward(body, _downstream[i], _down);
            for (int i = 0; i <= hop; i++)
            {
                Assert.False(HasTenZeros(body));
                OnionLayer.Inverse(body, _downstream[i], _down);
            }

            Assert.Equal(plain, body);
        }
    }

    [Theory]
    [InlineData(0, true), InlineData(1, true), InlineData(2, true), InlineData(3, true)]
    [InlineData(0, false), InlineData(1, false), InlineData(2, false), InlineData(3, false)]
    public void Upstream_a_change_before_any_hop_randomises_both_halves_and_nobody_finds_zeros(int before, bool left)
    {
        Coin leftHalf = new(), rightHalf = new();
        for (int trial = 0; trial < Trials; trial++)
        {
            byte[] body = Plain();
            for (int i = Hops - 1; i >= 0; i--) OnionLayer.Inverse(body, _upstream[i], _up);
            for (int i = 0; i < before; i++) OnionLayer.Forward(body, _upstream[i], _up);
            byte[] honest = [.. body];
            Flip(body, left);
            for (int i = before; i < Hops; i++)
            {
                OnionLayer.Forward(body, _upstream[i], _up);
                OnionLayer.Forward(honest, _upstream[i], _up);
                Assert.False(HasTenZeros(body));
                leftHalf.Compare(body.AsSpan(0, 16), honest.AsSpan(0, 16));
                rightHalf.Compare(body.AsSpan(16), honest.AsSpan(16));
            }

            Assert.True(HasTenZeros(honest));
        }

        leftHalf.AssertFair();
        rightHalf.AssertFair();
    }

    public static TheoryData<int, int, bool> DownstreamCases()
    {
        TheoryData<int, int, bool> cases = [];
        for (int origin = 0; origin < Hops; origin++)
            for (int after = origin; after >= 0; after--)
            {
                cases.Add(origin, after, true);
                cases.Add(origin, after, false);
            }

        return cases;
    }

    [Theory, MemberData(nameof(DownstreamCases))]
    public void Downstream_two_unknown_layers_randomise_both_halves_and_one_lets_only_the_right_half_through_without_zeros(int origin, int after, bool left)
    {
        bool oneLayer = origin == after;
        Coin leftHalf = new(), rightHalf = new();
        for (int trial = 0; trial < Trials; trial++)
        {
            byte[] plain = Plain(), body = [.. plain];
            for (int i = origin; i >= after; i--) OnionLayer.Forward(body, _downstream[i], _down);
            byte[] honest = [.. body];
            Flip(body, left);
            byte[] change = [.. body.Zip(honest, (a, b) => (byte)(a ^ b))];
            for (int i = after - 1; i >= 0; i--) OnionLayer.Forward(body, _downstream[i], _down);
            for (int i = 0; i <= origin; i++)
            {
                OnionLayer.Inverse(body, _downstream[i], _down);
                Assert.False(HasTenZeros(body));
            }

            leftHalf.Compare(body.AsSpan(0, 16), plain.AsSpan(0, 16));
            if (oneLayer && !left) Assert.Equal(change[16..], body[16..].Zip(plain[16..], (a, b) => (byte)(a ^ b)));
            else rightHalf.Compare(body.AsSpan(16), plain.AsSpan(16));
        }

        leftHalf.AssertFair();
        if (!oneLayer || left) rightHalf.AssertFair();
    }

    [Fact]
    public void A_wrong_tweak_randomises_both_halves()
    {
        LayerTweak[] others =
        [
            LayerTweak.ForData(SizeClass.Reduced, PathDirection.Upstream, 29_453_760),
            LayerTweak.ForData(SizeClass.Full, PathDirection.Downstream, 29_453_760),
            LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, 29_453_761),
            LayerTweak.ForBuildRecord(PathDirection.Upstream, 1),
        ];
        foreach (LayerTweak other in others)
        {
            Assert.NotEqual(_up, other);
            Coin leftHalf = new(), rightHalf = new();
            for (int trial = 0; trial < Trials; trial++)
            {
                byte[] body = Random(OnionLayer.FullBodyBytes), a = [.. body], b = [.. body];
                OnionLayer.Forward(a, _upstream[0], _up);
                OnionLayer.Forward(b, _upstream[0], other);
                leftHalf.Compare(a.AsSpan(0, 16), b.AsSpan(0, 16));
                rightHalf.Compare(a.AsSpan(16), b.AsSpan(16));
            }

            leftHalf.AssertFair();
            rightHalf.AssertFair();
        }
    }

    [Fact]
    public void Equal_tweak_and_input_give_equal_output_and_equal_records_at_other_positions_do_not()
    {
        byte[] record = Random(1280);
        HashSet<string> outputs = [];
        foreach (PathDirection direction in new[] { PathDirection.Upstream, PathDirection.Downstream })
            for (int position = 1; position <= 7; position++)
            {
                byte[] a = [.. record], b = [.. record];
                OnionLayer.Forward(a, _upstream[0], LayerTweak.ForBuildRecord(direction, position));
                OnionLayer.Forward(b, _upstream[0], LayerTweak.ForBuildRecord(direction, position));
                Assert.Equal(a, b);
                Assert.True(outputs.Add(Convert.ToHexString(a)));
                Assert.True(outputs.Add(Convert.ToHexString(a.AsSpan(0, 16))));
                Assert.True(outputs.Add(Convert.ToHexString(a.AsSpan(16, 16))));
            }
    }

    // Two packets in, two packets out of one relay: no byte, XOR or difference of the inputs shows in the outputs.
    [Fact]
    public void Across_a_layer_no_byte_XOR_or_difference_matches_above_chance()
    {
        const int Pairs = 400;
        long bytes = 0, xors = 0, differences = 0;
        Coin across = new(), pairs = new();
        byte[] first = Random(OnionLayer.FullBodyBytes);
        for (int pair = 0; pair < Pairs; pair++)
        {
            // Close inputs are the hard case: they differ in one byte only.
            byte[] second = [.. first];
            second[_entropy.Next(second.Length)] ^= (byte)(1 + _entropy.Next(255));
            byte[] x = [.. first], y = [.. second];
            OnionLayer.Forward(x, _upstream[0], _up);
            OnionLayer.Forward(y, _upstream[0], _up);
            across.Compare(first, x);
            pairs.Compare(x, y);
            for (int i = 0; i < x.Length; i++)
            {
                if (x[i] == first[i]) bytes++;
                if ((x[i] ^ y[i]) == (first[i] ^ second[i])) xors++;
                if ((byte)(x[i] - y[i]) == (byte)(first[i] - second[i])) differences++;
            }

            first = y;
        }

        double expected = Pairs * OnionLayer.FullBodyBytes / 256.0, margin = 6 * Math.Sqrt(expected);
        Assert.InRange(bytes, expected - margin, expected + margin);
        Assert.InRange(xors, expected - margin, expected + margin);
        Assert.InRange(differences, expected - margin, expected + margin);
        across.AssertFair();
        pairs.AssertFair();
    }
}
