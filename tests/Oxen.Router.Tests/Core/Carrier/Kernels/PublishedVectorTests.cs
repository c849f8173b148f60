using System.Text;
using Oxen.Router.Core.Carrier.Kernels;

namespace Oxen.Router.Tests.Core.Carrier.Kernels;

// Bytes copied from the documents named above each test; both twins must meet them.
public sealed class PublishedVectorTests
{
    private static byte[] Hex(string hex) => Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));

    private static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);

    // draft-irtf-cfrg-aegis-aead, AEGIS-128L test vectors 1 to 5, 128-bit tags.
    [Theory]
    [InlineData("", "00000000000000000000000000000000", "c1c0e58bd913006feba00f4b3cc3594e", "abe0ece80c24868a226a35d16bdae37a")]
    [InlineData("", "", "", "c2b879a67def9d74e6c14f708bbcc9b4")]
    [InlineData("0001020304050607", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "79d94593d8c2119d7e8fd9b8fc77845c5c077a05b2528b6ac54b563aed8efe84", "cc6f3372f6aa1bb82388d695c3962d9a")]
    [InlineData("0001020304050607", "000102030405060708090a0b0c0d", "79d94593d8c2119d7e8fd9b8fc77", "5c04b3dba849b2701effbe32c7f0fab7")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829",
        "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
        "b31052ad1cca4e291abcf2df3502e6bdb1bfd6db36798be3607b1f94d34478aa7ede7f7a990fec10", "7542a745733014f9474417b337399507")]
    public void Aegis128L_meets_its_draft(string associated, string text, string cipher, string tag)
    {
        byte[] key = Hex("10010000000000000000000000000000"), nonce = Hex("10000200000000000000000000000000");
        byte[] data = Hex(text), twin = Hex(text), t = new byte[16], twinTag = new byte[16];
        Aegis128L.Seal(data, key, nonce, Hex(associated), t);
        Aegis128L.SealScalar(twin, key, nonce, Hex(associated), twinTag);
        Assert.Equal((cipher, tag), (Hex(data), Hex(t)));
        Assert.Equal((cipher, tag), (Hex(twin), Hex(twinTag)));
        Assert.True(Aegis128L.Open(data, key, nonce, Hex(associated), t));
        Assert.True(Aegis128L.OpenScalar(twin, key, nonce, Hex(associated), t));
        Assert.Equal((text, text), (Hex(data), Hex(twin)));
    }

    // Test vectors 6 to 9 of the draft must fail.
    [Theory]
    [InlineData("10000200000000000000000000000000", "10010000000000000000000000000000", "0001020304050607", "79d94593d8c2119d7e8fd9b8fc77", "5c04b3dba849b2701effbe32c7f0fab7")]
    [InlineData("10010000000000000000000000000000", "10000200000000000000000000000000", "0001020304050607", "79d94593d8c2119d7e8fd9b8fc78", "5c04b3dba849b2701effbe32c7f0fab7")]
    [InlineData("10010000000000000000000000000000", "10000200000000000000000000000000", "0001020304050608", "79d94593d8c2119d7e8fd9b8fc77", "5c04b3dba849b2701effbe32c7f0fab7")]
    [InlineData("10010000000000000000000000000000", "10000200000000000000000000000000", "0001020304050607", "79d94593d8c2119d7e8fd9b8fc77", "6c04b3dba849b2701effbe32c7f0fab8")]
    public void Aegis128L_refuses_what_its_draft_says_and_leaves_no_plaintext(string key, string nonce, string associated, string cipher, string tag)
    {
        byte[] data = Hex(cipher), twin = Hex(cipher);
        Assert.False(Aegis128L.Open(data, Hex(key), Hex(nonce), Hex(associated), Hex(tag)));
        Assert.False(Aegis128L.OpenScalar(twin, Hex(key), Hex(nonce), Hex(associated), Hex(tag)));
        Assert.Equal(new byte[data.Length], data);
        Assert.Equal(new byte[data.Length], twin);
    }

    private const string Sunscreen = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";

    // RFC 8439 section 2.4.2
    [Fact]
    public void ChaCha20_meets_RFC_8439()
    {
        byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)], nonce = Hex("000000000000004a00000000");
        byte[] data = Encoding.ASCII.GetBytes(Sunscreen), twin = [.. data];
        const string Cipher = "6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b3571639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab77937365af90bbf74a35be6b40b8eedf2785e42874d";
        ChaCha20.Xor(data, key, nonce, 1);
        ChaCha20.XorScalar(twin, key, nonce, 1);
        Assert.Equal(Cipher, Hex(data));
        Assert.Equal(Cipher, Hex(twin));
    }

    // RFC 8439 section 2.5.2, and from appendix A.3 the edges of the reduction: vectors 7 to 11.
    [Theory]
    [InlineData("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b", "43727970746f6772617068696320466f72756d2052657365617263682047726f7570", "a8061dc1305136c6c22b8baf0c0127a9")]
    [InlineData("0200000000000000000000000000000000000000000000000000000000000000", "ffffffffffffffffffffffffffffffff", "03000000000000000000000000000000")]
    [InlineData("02000000000000000000000000000000ffffffffffffffffffffffffffffffff", "02000000000000000000000000000000", "03000000000000000000000000000000")]
    [InlineData("0100000000000000000000000000000000000000000000000000000000000000", "fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff11000000000000000000000000000000", "05000000000000000000000000000000")]
    [InlineData("0100000000000000000000000000000000000000000000000000000000000000", "fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe01010101010101010101010101010101", "00000000000000000000000000000000")]
    [InlineData("0200000000000000000000000000000000000000000000000000000000000000", "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff")]
    public void Poly1305_meets_RFC_8439(string key, string message, string tag)
    {
        byte[] t = new byte[16];
        Poly1305.Tag(Hex(message), Hex(key), t);
        Assert.Equal(tag, Hex(t));
    }

    // RFC 8439 section 2.8.2
    [Fact]
    public void ChaCha20Poly1305_meets_RFC_8439()
    {
        byte[] key = [.. Enumerable.Range(0x80, 32).Select(i => (byte)i)], nonce = Hex("070000004041424344454647"), associated = Hex("50515253c0c1c2c3c4c5c6c7");
        byte[] data = Encoding.ASCII.GetBytes(Sunscreen), tag = new byte[16];
        ChaCha20Poly1305.Seal(data, key, nonce, associated, tag);
        Assert.Equal("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116", Hex(data));
        Assert.Equal("1ae10b594f09e26a7e902ecbd0600691", Hex(tag));
        Assert.True(ChaCha20Poly1305.Open(data, key, nonce, associated, tag));
        Assert.Equal(Sunscreen, Encoding.ASCII.GetString(data));
    }

    // FIPS 197 appendix C.1 and C.3
    [Theory]
    [InlineData("000102030405060708090a0b0c0d0e0f", "69c4e0d86a7b0430d8cdb78070b4c55a")]
    [InlineData("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "8ea2b7ca516745bfeafc49904b496089")]
    public void Aes_meets_FIPS_197(string key, string cipher)
    {
        byte[] expanded = new byte[key.Length == 32 ? 176 : 240], output = new byte[16];
        AesBlock.Expand(Hex(key), expanded);
        AesBlock.EncryptBlock(expanded, Hex("00112233445566778899aabbccddeeff"), output);
        Assert.Equal(cipher, Hex(output));
        AesBlock.DecryptBlock(expanded, output, output);
        Assert.Equal("00112233445566778899aabbccddeeff", Hex(output));
        AesBlock.EncryptScalar(expanded, output, output);
        Assert.Equal(cipher, Hex(output));
    }

    // SP 800-38A F.5.1 and F.5.5
    [Theory]
    [InlineData("2b7e151628aed2a6abf7158809cf4f3c", "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee")]
    [InlineData("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c52b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6")]
    public void Aes_counter_mode_meets_SP_800_38A(string key, string cipher)
    {
        byte[] data = Hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
        byte[] twin = [.. data], expanded = new byte[key.Length == 32 ? 176 : 240], counter = Hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        AesBlock.Expand(Hex(key), expanded);
        AesCtr.Xor(data, expanded, counter);
        AesCtr.XorScalar(twin, expanded, counter);
        Assert.Equal(cipher, Hex(data));
        Assert.Equal(cipher, Hex(twin));
    }

    // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 1, 2, 4 and 16.
    [Theory]
    [InlineData("00000000000000000000000000000000", "000000000000000000000000", "", "", "", "58e2fccefa7e3061367f1d57a4e7455a")]
    [InlineData("00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf")]
    [InlineData("feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091", "5bc94fbc3221a5db94fae95ae7121a47")]
    [InlineData("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662", "76fc6ece0f4e1768cddf8853bb2d551b")]
    public void AesGcm_meets_its_authors_vectors(string key, string nonce, string associated, string text, string cipher, string tag)
    {
        byte[] data = Hex(text), t = new byte[16];
        if (key.Length == 32)
        {
            byte[] expanded = new byte[AesGcm128.ExpandedBytes];
            AesGcm128.Expand(Hex(key), expanded);
            AesGcm128.Seal(data, expanded, Hex(nonce), Hex(associated), t);
            Assert.Equal((cipher, tag), (Hex(data), Hex(t)));
            Assert.True(AesGcm128.Open(data, expanded, Hex(nonce), Hex(associated), t));
        }
        else
        {
            byte[] expanded = new byte[AesGcm256.ExpandedBytes];
            AesGcm256.Expand(Hex(key), expanded);
            AesGcm256.Seal(data, expanded, Hex(nonce), Hex(associated), t);
            Assert.Equal((cipher, tag), (Hex(data), Hex(t)));
            Assert.True(AesGcm256.Open(data, expanded, Hex(nonce), Hex(associated), t));
        }

        Assert.Equal(text, Hex(data));
    }
}
