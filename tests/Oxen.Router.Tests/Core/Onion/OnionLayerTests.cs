using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Onion;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Onion;

public sealed class OnionLayerTests
{
    private static readonly LayerTweak Tweak = LayerTweak.ForData(SizeClass.Full, PathDirection.Upstream, 29_500_000);

    private static byte[] Random(ulong seed, int length)
    {
        byte[] bytes = new byte[length];
        new SeededEntropy(seed).FillPublic(bytes);
        return bytes;
    }

    private static byte[] Keys(ulong seed)
    {
        byte[] expanded = new byte[LayerKeys.ExpandedBytes];
        LayerKeys.Expand(Random(seed, LayerKeys.RawBytes), expanded);
        return expanded;
    }

    [Fact]
    public void Inverse_undoes_forward_and_both_equal_their_scalar_twins_at_every_length()
    {
        if (!AesBlock.IsAccelerated || !Gf128.IsAccelerated) Assert.Skip("this processor lacks the instructions");
        byte[] keys = Keys(1);
        for (int length = 32; length <= OnionLayer.MaxBodyBytes; length += 16)
        {
            int odd = length / 16 % 4;
            byte[] body = Random((ulong)length, length + odd + 64), vector = [.. body], scalar = [.. body];
            OnionLayer.ForwardVector(vector.AsSpan(odd, length), keys, Tweak);
            OnionLayer.ForwardScalar(scalar.AsSpan(odd, length), keys, Tweak);
            Assert.Equal(scalar, vector);
            Assert.NotEqual(body, vector);
            OnionLayer.InverseVector(vector.AsSpan(odd, length), keys, Tweak);
            OnionLayer.InverseScalar(scalar.AsSpan(odd, length), keys, Tweak);
            Assert.Equal(body, vector);
            Assert.Equal(body, scalar);
        }
    }

    [Fact]
    public void Two_layers_at_once_equal_one_after_the_other_in_any_pair_of_sizes()
    {
        byte[] keys = Keys(1), otherKeys = Keys(2);
        LayerTweak otherTweak = LayerTweak.ForData(SizeClass.Reduced, PathDirection.Downstream, 29_500_001);
        int[] lengths = [32, 48, 208, 224, 272, OnionLayer.ReducedBodyBytes, 1280, OnionLayer.FullBodyBytes, OnionLayer.MaxBodyBytes];
        foreach (int length in lengths)
        {
            foreach (int otherLength in lengths)
            {
                byte[] both = Random((ulong)(length * 7 + otherLength), length + otherLength), expected = [.. both];
                OnionLayer.ForwardTwo(both.AsSpan(0, length), keys, Tweak, both.AsSpan(length), otherKeys, otherTweak);
                OnionLayer.ForwardScalar(expected.AsSpan(0, length), keys, Tweak);
                OnionLayer.ForwardScalar(expected.AsSpan(length), otherKeys, otherTweak);
                Assert.Equal(expected, both);
            }
        }
    }

    [Fact]
    public void The_counter_has_room_for_the_largest_class_and_for_build_records()
    {
        Assert.True(OnionLayer.FullBodyBytes <= OnionLayer.MaxBodyBytes);
        Assert.True(1280 <= OnionLayer.MaxBodyBytes);
        Assert.Equal(128, (OnionLayer.MaxBodyBytes - OnionLayer.HeadBytes) / 16);
        Assert.Throws<ArgumentException>(() => OnionLayer.Forward(new byte[OnionLayer.MaxBodyBytes + 16], Keys(1), Tweak));
        Assert.Throws<ArgumentException>(() => OnionLayer.Forward(new byte[1377], Keys(1), Tweak));
        Assert.Throws<ArgumentException>(() => OnionLayer.Inverse(new byte[16], Keys(1), Tweak));
    }

    [Fact]
    public void Nothing_is_allocated()
    {
        byte[] body = new byte[OnionLayer.FullBodyBytes], keys = Keys(1), raw = new byte[64], chain = new byte[32];
        long bytes = AllocationAssert.Measure(() =>
        {
            OnionLayer.Forward(body, keys, Tweak);
            OnionLayer.Inverse(body, keys, Tweak);
            EpochChain.LayerKeys(chain, raw);
            EpochChain.Next(chain, chain);
            LayerKeys.Expand(raw, keys);
            _ = LayerTweak.ForData(SizeClass.Full, PathDirection.Downstream, 7);
        }, times: 100, warmUp: 50);
        Assert.Equal(0, bytes);
    }
}
