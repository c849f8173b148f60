using System.Text;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Onion;

namespace Oxen.Swarm.Tests.Onion;

/// <summary>Vectors, sections 5 and 6: published by clients and servers of the network.</summary>
public class ChannelCipherTests
{
    private const string Shared = "d18901cbf26809d48c34c4fba44d3b908dbf1bdd3a7ee601a49f1e11ea70ea6e";
    private const string ClientKey = "bbdfc83022d0aff084a6f0c529a93d1c4d728bf7e41199afed0e01ae70d20540";
    private const string ServerKey = "caea52c5b0c316d85ffb53ea536826618b13dee40685f166f632653114526a78";
    private const string Gcm = "1eb6ae1cd72f60999486365749bd5dc15cc0b6a2a44d7d063daa5e93722f0c025fd00306403b61";
    private const string XChaCha = "9e1a3abe60eff3ea5c23556cc7e225b6f94355315f7281f66ecf4dbb06e7899a52b863e03cde3b287d1638d765db75de02b032";

    [Theory]
    [InlineData((int)EncryptType.AesGcm, Gcm)]
    [InlineData((int)EncryptType.XChaCha20, XChaCha)]
    public void What_clients_have_encrypted_opens_and_any_changed_byte_does_not(int type, string box)
    {
        using ChannelCipher cipher = Create((EncryptType)type);
        byte[] bytes = Convert.FromHexString(box);
        Assert.Equal("Hello world", Encoding.ASCII.GetString(cipher.Decrypt(bytes)!));
        for (int i = 0; i < bytes.Length; i++)
        {
            bytes[i] ^= 0x10;
            Assert.Null(cipher.Decrypt(bytes));
            bytes[i] ^= 0x10;
        }

        for (int length = 0; length < bytes.Length; length++) Assert.Null(cipher.Decrypt(bytes.AsSpan(0, length)));
    }

    // SS unit_test/encrypt.cpp's keys; ciphertexts derived independently, IV 00 01 02 ...
    [Theory]
    [InlineData("aes-gcm", "000102030405060708090a0b254141d0fb10f0f25e1e316f3f47bf675d49eb6c238bd3c18b86df3fc8d5687cc64c7a")]
    [InlineData("aes-cbc", "000102030405060708090a0b0c0d0e0f80d66ce43084f282f4df7277fa443af269dcb556f3a7886f2c1d248076915cc7")]
    [InlineData("xchacha20", "000102030405060708090a0b0c0d0e0f101112131415161743bd01f11b8bad57f5bfa27b8099befc22decd241a149281a9ded1f14697c78bfb3c5d")]
    public void All_three_ciphers_open_known_ciphertexts(string name, string box)
    {
        Assert.True(ChannelCipher.TryParse(name, out EncryptType type));
        using ChannelCipher cipher = ChannelCipher.Create(
            Convert.FromHexString("82febb47d580439e5b71d2784f87a6946a898d71fed262aeb5bf03c2447f6069"),
            Convert.FromHexString("01c7391664840b2ef7126b3709dbac178ba5f3ef2335a62343d5df7da4a11c30"),
            Convert.FromHexString("f7b99da2e25e3c399902641c707ae20ad72b63ed0cc487730ff0b3bcecf18609"), type);
        Assert.Equal("Grumpy cat says no!", Encoding.ASCII.GetString(cipher.Decrypt(Convert.FromHexString(box))!));
    }

    [Theory]
    [InlineData((int)EncryptType.AesGcm, 28)]
    [InlineData((int)EncryptType.AesCbc, 29)]
    [InlineData((int)EncryptType.XChaCha20, 40)]
    public void Encryption_adds_its_known_length_and_opens_again(int type, int overhead)
    {
        using ChannelCipher cipher = Create((EncryptType)type);
        byte[] box = cipher.Encrypt("Grumpy cat says no!"u8);
        Assert.Equal(19 + overhead, box.Length);
        Assert.Equal("Grumpy cat says no!"u8.ToArray(), cipher.Decrypt(box));
        Assert.NotEqual(box, cipher.Encrypt("Grumpy cat says no!"u8));
    }

    [Fact]
    public void In_xchacha20_it_matters_who_is_the_client()
    {
        byte[] shared = Convert.FromHexString(Shared), a = Convert.FromHexString(ClientKey), b = Convert.FromHexString(ServerKey);
        using ChannelCipher client = ChannelCipher.Create(shared, a, b, EncryptType.XChaCha20), other = ChannelCipher.Create(shared, b, a, EncryptType.XChaCha20);
        Assert.Null(other.Decrypt(client.Encrypt("x"u8)));
    }

    [Theory]
    [InlineData("gcm", (int)EncryptType.AesGcm)]
    [InlineData("cbc", (int)EncryptType.AesCbc)]
    [InlineData("xchacha20-poly1305", (int)EncryptType.XChaCha20)]
    public void Ciphers_have_aliases(string name, int type)
    {
        Assert.True(ChannelCipher.TryParse(name, out EncryptType parsed));
        Assert.Equal((EncryptType)type, parsed);
        Assert.False(ChannelCipher.TryParse(name.ToUpperInvariant(), out _));
    }

    [Fact]
    public void A_node_s_x25519_key_is_that_of_its_ed25519_key()
    {
        // Vectors, section 7: seed 00..1f.
        using var identity = new SwarmIdentity(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());
        Assert.Equal("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", Convert.ToHexStringLower(identity.Ed25519.Span));
        Assert.Equal("4701d08488451f545a409fb58ae3e58581ca40ac3f7f114698cd71deac73ca01", Convert.ToHexStringLower(identity.X25519.Span));
        Assert.Equal(identity.X25519.ToArray(), EdwardsMap.ToX25519(identity.Ed25519.Span));
    }

    [Fact]
    public void Keys_of_low_order_make_no_cipher()
    {
        using var identity = new SwarmIdentity(new byte[32]);
        Assert.Null(ChannelCipher.ForServer(identity, new byte[32], EncryptType.AesGcm));
        byte[] one = new byte[32];
        one[0] = 1;
        Assert.Null(ChannelCipher.ForServer(identity, one, EncryptType.XChaCha20));
    }

    private static ChannelCipher Create(EncryptType type) => ChannelCipher.Create(Convert.FromHexString(Shared), Convert.FromHexString(ClientKey), Convert.FromHexString(ServerKey), type);
}
