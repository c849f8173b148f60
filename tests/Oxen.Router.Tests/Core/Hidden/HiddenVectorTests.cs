using Oxen.Router.Core.Hidden;
using Oxen.Router.Tests.Reference;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class HiddenVectorTests
{
    [Fact]
    public void The_committed_vectors_are_what_the_slow_reference_generates()
    {
        string generated = HiddenVectors.Generate();
        if (Environment.GetEnvironmentVariable("OXEN_WRITE_VECTORS") == "1") File.WriteAllText(HiddenVectors.Path(), generated);
        Assert.Equal(File.ReadAllText(HiddenVectors.Path()), generated);
    }

    [Fact]
    public void Core_agrees_with_every_vector()
    {
        HiddenVector[] vectors = HiddenVectors.Read();
        Assert.NotEmpty(vectors);
        foreach (HiddenVector v in vectors)
        {
            using var key = new ServiceKey(From(v.Seed));
            Assert.Equal(v.Address, To(key.Address.ToArray()));
            using BlindedKey blinded = key.Blind(v.Period, From(v.Randomness));
            Assert.Equal(v.Blinded, To(blinded.PublicKey));
            byte[] signature = new byte[64], subcredential = new byte[32];
            blinded.Sign(From(v.Message), signature);
            Assert.Equal(v.Signature, To(signature));
            Introset.Subcredential(key.Address, blinded.PublicKey, subcredential);
            Assert.Equal(v.Subcredential, To(subcredential));

            Assert.True(Introset.TryRead(From(v.Introset), out Introset? introset));
            Assert.True(introset!.HasGoodSignature());
            Assert.Equal((v.Revision, (long)v.Expires, v.Period), (introset.Revision, introset.ExpiresUnixSeconds, introset.Period));

            // Both seals open, and what is inside is noise: no content. Without the client's key the inner one stays shut.
            Assert.Equal(IntrosetOutcome.Malformed, introset.TryOpen(key.Address, From(v.ClientSecret), out _));
            if (v.ClientSecret.Length > 0) Assert.Equal(IntrosetOutcome.NotAuthorised, introset.TryOpen(key.Address, [], out _));

            byte[] introduction = From(v.Introduction), hash = new byte[32], seal = new byte[32], final = new byte[HiddenKeys.FinalBytes];
            HiddenKeys.IntroductionHash(introduction, subcredential, From(v.SessionX), From(v.SessionKem), hash);
            HiddenKeys.SealKey(From(v.SharedStatic + v.SharedKem), hash, seal);
            Assert.Equal(v.SealKey, To(seal));
            HiddenKeys.Final(From(v.SharedStatic + v.SharedKem + v.SharedEphemeral), introduction, hash, From(v.ServiceShare), final);
            Assert.Equal(v.FinalKeys, To(final));
        }
    }

    private static byte[] From(string hex) => Convert.FromHexString(hex);

    private static string To(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);
}
