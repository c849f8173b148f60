using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Onion.Kernels;
using Oxen.Router.Tests.Reference;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Onion;

public sealed class OnionVectorTests
{
    [Fact]
    public void The_committed_vectors_are_what_the_slow_reference_generates()
    {
        string generated = OnionVectors.Generate();
        if (Environment.GetEnvironmentVariable("OXEN_WRITE_VECTORS") == "1") File.WriteAllText(OnionVectors.Path(), generated);
        Assert.Equal(File.ReadAllText(OnionVectors.Path()), generated);
    }

    [Fact]
    public void Reference_and_core_agree_with_every_vector_both_ways()
    {
        OnionVector[] vectors = OnionVectors.Read();
        Assert.NotEmpty(vectors);
        foreach (OnionVector v in vectors)
        {
            byte[] chain = Convert.FromHexString(v.Chain), raw = new byte[64], next = new byte[32], expanded = new byte[LayerKeys.ExpandedBytes];
            EpochChain.LayerKeys(chain, raw);
            EpochChain.Next(chain, next);
            Assert.Equal(v.Keys, Convert.ToHexStringLower(raw));
            Assert.Equal(v.NextChain, Convert.ToHexStringLower(next));
            LayerKeys.Expand(raw, expanded);

            LayerTweak tweak = v.Kind == 0
                ? LayerTweak.ForData((SizeClass)v.Class, (PathDirection)v.Direction, v.Epoch)
                : LayerTweak.ForBuildRecord((PathDirection)v.Direction, v.Position);
            byte[] t = new byte[16];
            tweak.CopyTo(t);
            Assert.Equal(v.Tweak, Convert.ToHexStringLower(t));

            byte[] x = Convert.FromHexString(v.X), y = Convert.FromHexString(v.Y), body = [.. x], twin = [.. x];
            OnionLayer.Forward(body, expanded, tweak);
            OnionLayer.ForwardScalar(twin, expanded, tweak);
            Assert.Equal(y, body);
            Assert.Equal(y, twin);
            OnionLayer.Inverse(body, expanded, tweak);
            OnionLayer.InverseScalar(twin, expanded, tweak);
            Assert.Equal(x, body);
            Assert.Equal(x, twin);
            Assert.Equal(x, SlowOnion.Inverse(y, SlowOnion.Split(raw), t));
        }
    }

    [Fact]
    public void Polyval_equals_the_slow_reference_on_random_blocks()
    {
        SeededEntropy entropy = new(7);
        for (int blocks = 0; blocks < 24; blocks++)
        {
            byte[] key = new byte[16], data = new byte[16 * blocks], expanded = new byte[Polyval.ExpandedBytes], hash = new byte[16];
            entropy.FillPublic(key);
            entropy.FillPublic(data);
            Polyval.Expand(key, expanded);
            Polyval.Hash(data, expanded, hash);
            Assert.Equal(SlowOnion.Polyval(key, data), hash);
        }
    }
}
