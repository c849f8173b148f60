using Oxen.Router.Core.Carrier.Kernels;
using Oxen.Router.Core.Onion.Kernels;
using Oxen.Router.Tests.Reference;

namespace Oxen.Router.Tests.Core.Onion.Kernels;

public sealed class PolyvalTests
{
    // RFC 8452 appendix A: a * b and dot(a, b).
    private const string A = "66e94bd4ef8a2c3b884cfa59ca342b2e", B = "ff000000000000000000000000000000";

    [Fact]
    public void The_field_of_RFC_8452_appendix_A()
    {
        byte[] a = Convert.FromHexString(A), b = Convert.FromHexString(B), product = new byte[16];
        Assert.Equal("37856175e9dc9df26ebc6d6171aa0ae9", Convert.ToHexStringLower(SlowOnion.Product(a, b)));
        Assert.Equal("ebe563401e7e91ea3ad6426b8140c394", Convert.ToHexStringLower(SlowOnion.Dot(a, b)));
        Gf128.Multiply(a, b, product);
        Assert.Equal("ebe563401e7e91ea3ad6426b8140c394", Convert.ToHexStringLower(product));
        Gf128.MultiplyScalar(a, b, product);
        Assert.Equal("ebe563401e7e91ea3ad6426b8140c394", Convert.ToHexStringLower(product));
    }

    [Fact]
    public void POLYVAL_of_RFC_8452_appendix_A()
    {
        byte[] key = Convert.FromHexString("25629347589242761d31f826ba4b757b");
        byte[] blocks = Convert.FromHexString("4f4f95668c83dfb6401762bb2d01a262d1a24ddd2721d006bbe45f20d3c9f362");
        byte[] expanded = new byte[Polyval.ExpandedBytes], hash = new byte[16];
        Polyval.Expand(key, expanded);
        Polyval.Hash(blocks, expanded, hash);
        Assert.Equal("f7a3b47b846119fae5b7866cf5e5b77e", Convert.ToHexStringLower(hash));
        Array.Clear(hash);
        Gf128.AbsorbScalar<Gf128.AsIs>(blocks, expanded, hash);
        Assert.Equal("f7a3b47b846119fae5b7866cf5e5b77e", Convert.ToHexStringLower(hash));
        Assert.Equal("f7a3b47b846119fae5b7866cf5e5b77e", Convert.ToHexStringLower(SlowOnion.Polyval(key, blocks)));
    }
}
