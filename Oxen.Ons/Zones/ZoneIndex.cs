using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;
using Oxen.Ons.Ledger;

namespace Oxen.Ons.Zones;

// What the ledger knows of a zone's name. The client does the memory-hard part, once a name:
//
//   secret 64  = Argon2id 1.3(folded name; salt = first 16 of BLAKE2b-256(tag, network, type), 3 passes, 24 MiB, 1 lane)
//   blind 32   = first half                    goes on the ledger
//   key 32     = second half                   opens the value; never leaves the client
//   index 32   = BLAKE2b-256(tag, network, type, length class, blind)
//
// The length class is part of the index: who pays for the wrong class gets an index under which nobody looks.

/// <summary>A zone's index and key, from its name.</summary>
internal sealed class ZoneIndex
{
    /// <summary>Length classes: 0 for 1 - 3 characters, 1 for 4, 2 for 5 and 6, 3 for more; without `.loki`.</summary>
    public const int LongestClass = 3;

    private const int SaltBytes = 16;
    private const long MemoryKibibytes = 24 * 1024;
    private const long Passes = 3;

    private static readonly PasswordBasedKeyDerivationAlgorithm Derivation = PasswordBasedKeyDerivationAlgorithm.Argon2id(
        new Argon2Parameters { DegreeOfParallelism = 1, MemorySize = MemoryKibibytes, NumberOfPasses = Passes });

    private readonly byte[] _key;

    private ZoneIndex(string name, NameType type, byte lengthClass, Bytes32 blind, Bytes32 index, byte[] key)
    {
        (Name, Type, LengthClass, Blind, Index, _key) = (name, type, lengthClass, blind, index, key);
    }

    /// <summary>The folded name.</summary>
    public string Name { get; }

    public NameType Type { get; }

    public byte LengthClass { get; }

    public Bytes32 Blind { get; }

    public Bytes32 Index { get; }

    /// <summary>The key that values are encrypted under.</summary>
    internal ReadOnlySpan<byte> Key => _key;

    /// <summary>Takes tens of milliseconds and 24 MiB, on purpose. The name is one of its type (<see cref="NameRules"/>).</summary>
    public static ZoneIndex Of(string name, NameType type, Bytes32 network)
    {
        string folded = NameRules.Fold(name);
        if (NameRules.Check(folded, type) is not NameFault.None and var fault) throw new ArgumentException($"no {type} name: {fault}", nameof(name));
        Bytes32 salt = LedgerHash.Of("oxen-ons-v2-salt"u8, new LedgerWriter().Bytes(network).U8((byte)type).Written);
        Span<byte> secret = stackalloc byte[2 * Bytes32.Length];
        try
        {
            Derivation.DeriveBytes(Encoding.ASCII.GetBytes(folded), salt.ToArray().AsSpan(0, SaltBytes), secret);
            var blind = new Bytes32(secret[..Bytes32.Length]);
            byte lengthClass = ClassOf(folded, type);
            return new ZoneIndex(folded, type, lengthClass, blind, Of(type, lengthClass, blind, network), secret[Bytes32.Length..].ToArray());
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }

    public static Bytes32 Of(NameType type, byte lengthClass, Bytes32 blind, Bytes32 network)
        => LedgerHash.Of("oxen-ons-v2-index"u8, new LedgerWriter().Bytes(network).U8((byte)type).U8(lengthClass).Bytes(blind).Written);

    public static byte ClassOf(string name, NameType type) => (name.Length - (type == NameType.Lokinet ? ".loki".Length : 0)) switch { <= 3 => 0, 4 => 1, <= 6 => 2, _ => LongestClass };
}
