using System.Text;

namespace Oxen.Ons.Tests;

public class ValueCipherTests
{
    private const string CountingNonce = "000102030405060708090a0b0c0d0e0f1011121314151617";
    private const string LegacyStored = "c86ee903dbed0826ffac321a9712c8ca77bcc438c4bc50edff8d6dbe5e04031b1a59f32632c11b26d3e8d21d2908983caa";

    //               type              name  nonce  value  ciphertext and tag
    public static TheoryData<NameType, string, string, string, string> Vectors => new()
    {
        // oxen-core, documentation of ons_resolve. (For jagerman it prints the value with one 05 too many.)
        {
            NameType.Lokinet, "blocks.loki", "6e3e80c7927108612475a0eeddf472af6177c9776d6943ed",
            "531a0c517fb23b120c37132ab1d771eda3a6ed7cfd64b374ca6ce61ae95a54e4",
            "b52c088ae51171a9e2e44cc98c10006547e2981d4cbe196525c948fa2fa48a11e8712eccd0ba20e4b93fb3989361df8a"
        },
        {
            NameType.Session, "jagerman", "73e8243f3fadd471be36c6df3d62f863f9bb3a9d1cc696c0",
            "05fb466d312e1666ad1c84c4ee55b7e034151c0e366a313d95d11436a5f36e1e75",
            "d9bca6752665f2254ec7522f98aa5f2dfb13c9fa1ad1e39cd3d7a89a0df04719e348da537bc310a53e3b59ca24639b9b42"
        },
        // Derived from the format with libsodium; names and values of oxen-core's unit tests of both encryptions.
        {
            NameType.Lokinet, "my ons name", CountingNonce,
            "6161616161616161616161616161616161616161616161616161616161616161",
            "16e9023ffd9c6302aeb1452caaba70fa0025da89d79cb4853d1b21f8b366e664d2720afd522f412f00632d3ba4141eb7"
        },
        {
            NameType.Session, "abcdefg", CountingNonce,
            "616161616161616161616161616161616161616161616161616161616161616161",
            "ebcc09c890e0a08be478837983b573369789fb57492b0dc377fe78cb554857bdb0d25a4762c67c923cd55c75cb9425e644"
        },
        {
            NameType.Wallet, "mywallet", CountingNonce,
            "00000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
            "8feba71af87f3ebbab4012d3619a2fa818d4c8c7b7ececf406d2e79750d100c952325400d8f96b0bcb5c57ab6276cdfb1b5bdb46290ba75ac9d3c7fbef81de6bdcc8e79e95a9b8bb83b8e8ecc53bba8eff"
        },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_value_is_encrypted_and_decrypted_as_published(NameType type, string name, string nonce, string value, string sealedValue)
    {
        byte[] stored = Convert.FromHexString(sealedValue + nonce);
        Assert.Equal(stored, ValueCipher.Encrypt(Convert.FromHexString(value), name, Convert.FromHexString(nonce)));
        Assert.Equal(ValueFault.None, ValueCipher.Decrypt(stored, name, type, out byte[]? opened));
        Assert.Equal(value, Convert.ToHexStringLower(opened!));
        Assert.Equal(ValueFault.None, ValueCipher.Decrypt(stored, name.ToUpperInvariant(), type, out _));
    }

    [Fact]
    public void A_legacy_session_value_opens_under_its_name_alone()
    {
        // Derived from the format with libsodium.
        byte[] stored = Convert.FromHexString(LegacyStored);
        Assert.Equal(49, stored.Length);
        Assert.Equal(ValueFault.None, ValueCipher.Decrypt(stored, "Abcdefg", NameType.Session, out byte[]? value));
        Assert.Equal(new string('a', 33), Encoding.ASCII.GetString(value!));
        Assert.Equal(ValueFault.Sealed, ValueCipher.Decrypt(stored, "abcdefh", NameType.Session, out value));
        Assert.Null(value);
        stored[^1] ^= 1;
        Assert.Equal(ValueFault.Sealed, ValueCipher.Decrypt(stored, "abcdefg", NameType.Session, out value));
        Assert.Null(value);
        foreach (NameType type in new[] { NameType.Wallet, NameType.Lokinet }) Assert.Equal(ValueFault.Length, ValueCipher.Decrypt(stored, "abcdefg", type, out _));
    }

    // oxen-core, unit tests value_encrypt_and_decrypt: another first byte, another letter of the name
    [Theory]
    [MemberData(nameof(Vectors))]
    public void A_changed_bit_or_another_name_does_not_open(NameType type, string name, string nonce, string value, string sealedValue)
    {
        byte[] stored = Convert.FromHexString(sealedValue + nonce);
        for (int i = 0; i < stored.Length; i++)
        {
            byte before = stored[i];
            stored[i] = before == (byte)'Z' ? (byte)'z' : (byte)'Z';
            Assert.Equal(ValueFault.Sealed, ValueCipher.Decrypt(stored, name, type, out byte[]? opened));
            Assert.Null(opened);
            stored[i] = before;
        }

        Assert.Equal(ValueFault.Sealed, ValueCipher.Decrypt(stored, "z" + name[1..], type, out _));
        Assert.Equal(ValueFault.Sealed, ValueCipher.Decrypt(stored, "", type, out _));
        Assert.Equal(value.Length / 2, stored.Length - 40);
    }

    [Fact]
    public void Any_length_but_those_of_the_type_is_refused_before_any_work()
    {
        foreach (NameType type in Enum.GetValues<NameType>())
        {
            int[] lengths = type switch { NameType.Session => [49, 73], NameType.Wallet => [105, 113], _ => [72] };
            for (int length = 0; length < 300; length++)
            {
                Assert.Equal(lengths.Contains(length), ValueCipher.IsStoredLength(length, type));
                if (!lengths.Contains(length)) Assert.Equal(ValueFault.Length, ValueCipher.Decrypt(new byte[length], "a", type, out _));
            }
        }
    }

    [Fact]
    public void Two_nonces_hide_that_the_value_is_the_same()
    {
        byte[] value = new byte[33];
        byte[] first = ValueCipher.Encrypt(value, "a", new byte[ValueCipher.NonceBytes]);
        byte[] nonce = new byte[ValueCipher.NonceBytes];
        nonce[0] = 1;
        byte[] second = ValueCipher.Encrypt(value, "a", nonce);
        Assert.NotEqual(first[..33], second[..33]);
        Assert.Throws<ArgumentOutOfRangeException>(() => ValueCipher.Encrypt(value, "a", new byte[12]));
    }
}
