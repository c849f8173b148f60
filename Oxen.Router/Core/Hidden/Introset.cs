using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Wire;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Hidden;

// Introset (docs/protocol/hidden-service.md#introset). Integers are big-endian, times unix seconds.
//
//   0    1   version (1)
//   1    1   size class: 0, 1, 2 for 4096, 8192, 16384 bytes of the whole
//   2    1   instance, 0 to 7: which of the routers that serve one address
//   3    1   zero
//   4   32   blinded key
//  36    8   period
//  44    8   revision
//  52    8   expires
//  60   32   salt
//  92    .   sealed: ephemeral X25519 key 32, number of entries 2, entries 40 each, then the content, sealed again
//   .   16   tag
//   .   64   signature by the blinded key over "oxen introset v1\0" || everything before
//
// A relay that stores it sees the first 92 bytes. Who knows the address opens the outer seal; the inner one takes a cookie as
// well, which each authorised client finds in its entry, or zeros when everybody may come.

/// <summary>What a service publishes for one period, sealed and signed. Immutable.</summary>
internal sealed class Introset
{
    public const byte Version = 1;
    public const int HeaderBytes = 60;
    public const int SaltBytes = 32;
    public const int CookieBytes = 32;
    public const int MaxEntries = 256;

    /// <summary>Entries come in so many at once, the others are noise: the number of clients shows only roughly.</summary>
    public const int EntryStep = 16;

    /// <summary>Relays keep nothing that claims to live longer.</summary>
    public static readonly TimeSpan MaxLife = TimeSpan.FromHours(3);

    /// <summary>Routers that may serve one address, each with an introset of its own beside the others'.</summary>
    public const int MaxInstances = 8;

    private const int SealedAt = HeaderBytes + SaltBytes;
    private const int EntryIdBytes = 8;
    private const int EntryBytes = EntryIdBytes + CookieBytes;
    private const int EntriesAt = X25519.PublicKeyBytes + 2;
    private const int TagBytes = SodiumChaCha20Poly1305.TagBytes;
    private static readonly int[] Sizes = [4096, 8192, 16384];

    private readonly byte[] _encoded;

    private Introset(byte[] encoded) => _encoded = encoded;

    public static int SmallestBytes => Sizes[0];

    public static int LargestBytes => Sizes[^1];

    public ReadOnlySpan<byte> Encoded => _encoded;

    public ReadOnlySpan<byte> BlindedKey => _encoded.AsSpan(4, KeyBlinding.KeyBytes);

    public byte Instance => _encoded[2];

    public ulong Period => BinaryPrimitives.ReadUInt64BigEndian(_encoded.AsSpan(36));

    public ulong Revision => BinaryPrimitives.ReadUInt64BigEndian(_encoded.AsSpan(44));

    public long ExpiresUnixSeconds => BinaryPrimitives.ReadInt64BigEndian(_encoded.AsSpan(52));

    private static ReadOnlySpan<byte> SignatureLabel => "oxen introset v1\0"u8;

    /// <summary>What who knows the address has of a period: SHA-256 of the blinded key under SHA-256 of the address.</summary>
    public static void Subcredential(ServiceAddress address, ReadOnlySpan<byte> blinded, Span<byte> subcredential)
    {
        ReadOnlySpan<byte> first = "oxen hidden credential v1"u8, second = "oxen hidden subcredential v1"u8;
        Span<byte> input = stackalloc byte[first.Length + 32];
        first.CopyTo(input);
        address.CopyTo(input[first.Length..]);
        Span<byte> more = stackalloc byte[second.Length + 64];
        second.CopyTo(more);
        SHA256.HashData(input, more[second.Length..]);
        blinded.CopyTo(more[(second.Length + 32)..]);
        SHA256.HashData(more, subcredential);
    }

    /// <summary>Seals and signs.</summary>
    /// <param name="clients">X25519 keys of those who may come; empty: everybody who knows the address.</param>
    /// <exception cref="ArgumentException">Too many clients, an unusable client key, or a content that does not fit.</exception>
    public static Introset Create(BlindedKey key, ServiceAddress address, IntrosetContent content, IReadOnlyList<byte[]> clients, ulong revision, long expiresUnixSeconds, IEntropy entropy, byte instance = 0)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(instance, MaxInstances);
        if (clients.Count > MaxEntries) throw new ArgumentException($"at most {MaxEntries} clients can be authorised", nameof(clients));
        int entries = Math.Max(EntryStep, (clients.Count + EntryStep - 1) / EntryStep * EntryStep);
        int frame = SealedAt + EntriesAt + EntryBytes * entries + 2 * TagBytes + KeyBlinding.SignatureBytes;
        int size = Array.FindIndex(Sizes, s => s >= frame + content.EncodedBytes);
        if (size < 0) throw new ArgumentException($"the content of {content.EncodedBytes} bytes does not fit beside {entries} client entries", nameof(content));

        byte[] encoded = new byte[Sizes[size]];
        var writer = new WireWriter(encoded);
        writer.Byte(Version);
        writer.Byte((byte)size);
        writer.Byte(instance);
        writer.Byte(0);
        writer.Put(key.PublicKey);
        writer.UInt64(key.Period);
        writer.UInt64(revision);
        writer.UInt64((ulong)expiresUnixSeconds);
        Span<byte> salt = writer.Reserve(SaltBytes);
        entropy.FillPublic(salt);
        Span<byte> subcredential = stackalloc byte[32];
        Subcredential(address, key.PublicKey, subcredential);

        // Entries, in an order that says nothing.
        Span<byte> outer = encoded.AsSpan(SealedAt, encoded.Length - SealedAt - TagBytes - KeyBlinding.SignatureBytes);
        Span<byte> cookie = stackalloc byte[CookieBytes];
        cookie.Clear();
        if (clients.Count > 0) entropy.FillSecret(cookie);
        Span<byte> ephemeral = stackalloc byte[X25519.SecretKeyBytes];
        entropy.FillSecret(ephemeral);
        X25519.PublicKey(ephemeral, outer[..X25519.PublicKeyBytes]);
        BinaryPrimitives.WriteUInt16BigEndian(outer[X25519.PublicKeyBytes..], (ushort)entries);
        Span<byte> table = outer.Slice(EntriesAt, EntryBytes * entries);
        entropy.FillPublic(table);
        int[] places = [.. Enumerable.Range(0, entries)];
        Span<byte> die = stackalloc byte[4];
        for (int i = entries - 1; i > 0; i--)
        {
            entropy.FillSecret(die);
            int other = (int)(BinaryPrimitives.ReadUInt32BigEndian(die) % (uint)(i + 1));
            (places[i], places[other]) = (places[other], places[i]);
        }

        for (int i = 0; i < clients.Count; i++)
        {
            if (clients[i].Length != X25519.PublicKeyBytes || !TryEntryKeys(clients[i], ephemeral, subcredential, outer[..X25519.PublicKeyBytes], clients[i], table.Slice(EntryBytes * places[i], EntryBytes)))
                throw new ArgumentException($"client key {i + 1} is no usable X25519 key", nameof(clients));
            for (int b = 0; b < CookieBytes; b++) table[EntryBytes * places[i] + EntryIdBytes + b] ^= cookie[b];
        }

        Span<byte> inner = outer[(EntriesAt + EntryBytes * entries)..^TagBytes];
        content.Write(inner);
        Span<byte> sealing = stackalloc byte[SodiumChaCha20Poly1305.KeyBytes];
        Derive("oxen introset inner v1"u8, subcredential, cookie, encoded, sealing);
        SodiumChaCha20Poly1305.Seal(inner, sealing, HiddenKeys.Nonce, outer[^TagBytes..]);
        Derive("oxen introset outer v1"u8, subcredential, default, encoded, sealing);
        SodiumChaCha20Poly1305.Seal(outer, sealing, HiddenKeys.Nonce, encoded.AsSpan(encoded.Length - KeyBlinding.SignatureBytes - TagBytes, TagBytes));
        CryptographicOperations.ZeroMemory(sealing);
        CryptographicOperations.ZeroMemory(ephemeral);
        CryptographicOperations.ZeroMemory(cookie);
        key.Sign(SignedBytes(encoded), encoded.AsSpan(encoded.Length - KeyBlinding.SignatureBytes));
        return new Introset(encoded);
    }

    /// <summary>Reads an introset that fills `data`. Looks at form only; see <see cref="HasGoodSignature"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> data, out Introset? introset)
    {
        introset = null;
        if (data.Length < SealedAt || data[0] != Version || data[1] >= Sizes.Length || data.Length != Sizes[data[1]] || data[2] >= MaxInstances || data[3] != 0) return false;
        if (BinaryPrimitives.ReadInt64BigEndian(data[52..]) < 0) return false;
        introset = new Introset(data.ToArray());
        return true;
    }

    /// <summary>Signed by its blinded key, which is a valid one.</summary>
    public bool HasGoodSignature() => KeyBlinding.Verify(SignedBytes(_encoded), _encoded.AsSpan(_encoded.Length - KeyBlinding.SignatureBytes), BlindedKey);

    /// <summary>
    /// Opens it for who knows `address`. The caller has checked signature and blinded key.
    /// </summary>
    /// <param name="clientSecret">The X25519 secret of an authorised client; empty: none.</param>
    public IntrosetOutcome TryOpen(ServiceAddress address, ReadOnlySpan<byte> clientSecret, out IntrosetContent? content)
    {
        content = null;
        Span<byte> subcredential = stackalloc byte[32];
        Subcredential(address, BlindedKey, subcredential);
        Span<byte> opening = stackalloc byte[SodiumChaCha20Poly1305.KeyBytes];
        Derive("oxen introset outer v1"u8, subcredential, default, _encoded, opening);
        byte[] outer = _encoded[SealedAt..^(TagBytes + KeyBlinding.SignatureBytes)];
        if (!SodiumChaCha20Poly1305.Open(outer, opening, HiddenKeys.Nonce, _encoded.AsSpan(_encoded.Length - KeyBlinding.SignatureBytes - TagBytes, TagBytes))) return IntrosetOutcome.WrongAddress;

        int entries = BinaryPrimitives.ReadUInt16BigEndian(outer.AsSpan(X25519.PublicKeyBytes));
        int innerAt = EntriesAt + EntryBytes * entries;
        if (entries is < EntryStep or > MaxEntries || entries % EntryStep != 0 || innerAt + TagBytes > outer.Length) return IntrosetOutcome.Malformed;
        Span<byte> cookie = stackalloc byte[CookieBytes];
        cookie.Clear();
        if (TryInner(outer, innerAt, subcredential, cookie, ref content, out bool malformed)) return IntrosetOutcome.Opened;
        if (malformed) return IntrosetOutcome.Malformed;
        if (clientSecret.IsEmpty) return IntrosetOutcome.NotAuthorised;

        // Every entry with our id: a short id may be met by noise.
        Span<byte> own = stackalloc byte[X25519.PublicKeyBytes];
        Span<byte> keys = stackalloc byte[EntryBytes];
        X25519.PublicKey(clientSecret, own);
        if (!TryEntryKeys(outer.AsSpan(0, X25519.PublicKeyBytes), clientSecret, subcredential, outer.AsSpan(0, X25519.PublicKeyBytes), own, keys)) return IntrosetOutcome.Malformed;
        for (int i = 0; i < entries; i++)
        {
            ReadOnlySpan<byte> entry = outer.AsSpan(EntriesAt + EntryBytes * i, EntryBytes);
            if (!entry[..EntryIdBytes].SequenceEqual(keys[..EntryIdBytes])) continue;
            for (int b = 0; b < CookieBytes; b++) cookie[b] = (byte)(entry[EntryIdBytes + b] ^ keys[EntryIdBytes + b]);
            if (TryInner(outer, innerAt, subcredential, cookie, ref content, out malformed)) return IntrosetOutcome.Opened;
            if (malformed) return IntrosetOutcome.Malformed;
        }

        return IntrosetOutcome.NotAuthorised;
    }

    private bool TryInner(ReadOnlySpan<byte> outer, int innerAt, ReadOnlySpan<byte> subcredential, ReadOnlySpan<byte> cookie, ref IntrosetContent? content, out bool malformed)
    {
        Span<byte> key = stackalloc byte[SodiumChaCha20Poly1305.KeyBytes];
        Derive("oxen introset inner v1"u8, subcredential, cookie, _encoded, key);
        byte[] inner = outer[innerAt..^TagBytes].ToArray();
        malformed = false;
        if (!SodiumChaCha20Poly1305.Open(inner, key, HiddenKeys.Nonce, outer[^TagBytes..])) return false;
        malformed = !IntrosetContent.TryRead(inner, out content);
        return !malformed;
    }

    // id 8 || mask 32 of one client: HKDF(X25519(ours, theirs), salt label, info subcredential || ephemeral key || client's key)
    private static bool TryEntryKeys(ReadOnlySpan<byte> theirs, ReadOnlySpan<byte> ours, ReadOnlySpan<byte> subcredential, ReadOnlySpan<byte> ephemeral, ReadOnlySpan<byte> client, Span<byte> keys)
    {
        Span<byte> shared = stackalloc byte[X25519.SharedSecretBytes];
        if (!X25519.TryAgree(theirs, ours, shared)) return false;
        Span<byte> info = stackalloc byte[96];
        subcredential.CopyTo(info);
        ephemeral.CopyTo(info[32..]);
        client.CopyTo(info[64..]);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, shared, keys, "oxen introset client v1"u8, info);
        CryptographicOperations.ZeroMemory(shared);
        return true;
    }

    // HKDF(ikm subcredential || cookie, salt, info label || header)
    private static void Derive(ReadOnlySpan<byte> label, ReadOnlySpan<byte> subcredential, ReadOnlySpan<byte> cookie, ReadOnlySpan<byte> encoded, Span<byte> key)
    {
        Span<byte> ikm = stackalloc byte[32 + CookieBytes];
        subcredential.CopyTo(ikm);
        cookie.CopyTo(ikm[32..]);
        Span<byte> info = stackalloc byte[label.Length + HeaderBytes];
        label.CopyTo(info);
        encoded[..HeaderBytes].CopyTo(info[label.Length..]);
        HKDF.DeriveKey(HashAlgorithmName.SHA256, ikm[..(32 + cookie.Length)], key, encoded.Slice(HeaderBytes, SaltBytes), info);
        CryptographicOperations.ZeroMemory(ikm);
    }

    private static byte[] SignedBytes(ReadOnlySpan<byte> encoded) => [.. SignatureLabel, .. encoded[..^KeyBlinding.SignatureBytes]];
}

/// <summary>How opening an introset went.</summary>
internal enum IntrosetOutcome : byte
{
    Opened,

    /// <summary>Not sealed for this address.</summary>
    WrongAddress,

    /// <summary>The service takes authorised clients alone, and we are none.</summary>
    NotAuthorised,

    /// <summary>The service's own mistake: what it sealed breaks the rules.</summary>
    Malformed,
}
