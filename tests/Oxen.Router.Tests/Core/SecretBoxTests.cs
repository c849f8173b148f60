using Oxen.Router.Core;

namespace Oxen.Router.Tests.Core;

public class SecretBoxTests
{
    // D. J. Bernstein, "Cryptography in NaCl", section 10; tests/secretbox.c of NaCl
    private const string Key = "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389";
    private const string Nonce = "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37";
    private const string Content =
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb31"
        + "0e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705";
    private const string Box =
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c972"
        + "71d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b3"
        + "7973f622a43d14a6599b1f654cb45a74e355a5";

    [Fact]
    public void The_published_box_opens()
    {
        byte[] content = new byte[131];
        Assert.True(SecretBox.Open(Bytes(Box), Bytes(Key), Bytes(Nonce), content));
        Assert.Equal(Content, Convert.ToHexStringLower(content));
    }

    [Fact]
    public void A_changed_byte_anywhere_leaves_nothing_to_read()
    {
        byte[] content = new byte[131];
        byte[][] parts = [Bytes(Box), Bytes(Key), Bytes(Nonce)];
        foreach (byte[] part in parts)
        {
            for (int i = 0; i < part.Length; i++)
            {
                part[i] ^= 4;
                content.AsSpan().Fill(0xAA);
                Assert.False(SecretBox.Open(parts[0], parts[1], parts[2], content));
                Assert.All(content, b => Assert.Equal(0, b));
                part[i] ^= 4;
            }
        }
    }

    [Fact]
    public void Wrong_lengths_are_our_own_mistake()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretBox.Open(new byte[15], new byte[32], new byte[24], []));
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretBox.Open(new byte[20], new byte[31], new byte[24], new byte[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretBox.Open(new byte[20], new byte[32], new byte[12], new byte[4]));
        Assert.Throws<ArgumentOutOfRangeException>(() => SecretBox.Open(new byte[20], new byte[32], new byte[24], new byte[5]));
    }

    private static byte[] Bytes(string hex) => Convert.FromHexString(hex);
}
