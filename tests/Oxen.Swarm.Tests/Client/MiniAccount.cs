using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace Oxen.Swarm.Tests.Client;

/// <summary>
/// A client's account, written from the format document alone: it shares no code with the library, so that both agreeing
/// means something.
/// </summary>
internal sealed class MiniAccount : IDisposable
{
    private readonly Key _key;

    /// <param name="seed">Ed25519 seed.</param>
    /// <param name="network">First byte of the account: 5 a person, 3 a group, others Ed25519.</param>
    public MiniAccount(byte[] seed, byte network)
    {
        _key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
        Ed25519 = _key.PublicKey.Export(KeyBlobFormat.RawPublicKey);
        Network = network;
        Id = Convert.ToHexStringLower([network, .. network == 5 ? ToMontgomery(Ed25519) : Ed25519]);
    }

    public byte[] Ed25519 { get; }

    public byte Network { get; }

    /// <summary>66 hexadecimal digits.</summary>
    public string Id { get; }

    public string Ed25519Hex => Convert.ToHexStringLower(Ed25519);

    public static MiniAccount Random(byte network = 5) => new(RandomNumberGenerator.GetBytes(32), network);

    public string Sign(string text) => Convert.ToBase64String(Sign(Encoding.Latin1.GetBytes(text)));

    public byte[] Sign(byte[] text) => SignatureAlgorithm.Ed25519.Sign(_key, text);

    public static bool Verify(byte[] key, string text, string signature) =>
        SignatureAlgorithm.Ed25519.Verify(PublicKey.Import(SignatureAlgorithm.Ed25519, key, KeyBlobFormat.RawPublicKey), Encoding.Latin1.GetBytes(text), Convert.FromBase64String(signature));

    /// <summary>Hash of a message: BLAKE2b-256 of id, namespace ("" for 0) and data.</summary>
    public string Hash(byte[] data, int space = 0)
    {
        byte[] head = [.. Convert.FromHexString(Id), .. Encoding.ASCII.GetBytes(space == 0 ? "" : space.ToString(CultureInfo.InvariantCulture))];
        return Convert.ToBase64String(NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash([.. head, .. data])).TrimEnd('=');
    }

    /// <summary>A token for another key, and the account's signature over it.</summary>
    public (byte[] Token, byte[] Signature) Allow(byte[] key, byte flags)
    {
        byte[] token = [Network, flags, 0, 0, .. key];
        return (token, Sign(token));
    }

    public void Dispose() => _key.Dispose();

    // RFC 7748: u = (1 + y) / (1 - y).
    private static byte[] ToMontgomery(byte[] key)
    {
        BigInteger p = BigInteger.Pow(2, 255) - 19;
        byte[] little = [.. key];
        little[31] &= 0x7F;
        var y = new BigInteger(little, isUnsigned: true);
        BigInteger inverse = BigInteger.ModPow(((1 - y) % p) + p, p - 2, p);
        byte[] u = ((1 + y) * inverse % p).ToByteArray(isUnsigned: true);
        Array.Resize(ref u, 32);
        return u;
    }
}
