using System.Buffers.Binary;

namespace Oxen.Router.Core.Directory;

// Signed contact list, version 1 (docs/protocol/directory.md#list): the static directory.
//
//    0    4   "OXCL"
//    4    1   version (1)
//    5    3   zero
//    8   32   network id
//   40    8   issued, unix seconds
//   48    8   expires
//   56    4   number of contacts (<= 4096)
//   60    .   contacts, in ascending order of router id, each once
//    .   64   Ed25519 signature by the list key over "oxen contact list v1\0" || everything before
//
// The list key is not in the file: who reads a list already knows whose word it takes.

/// <summary>A signed list of router contacts. Immutable.</summary>
internal sealed class ContactList
{
    public const byte Version = 1;
    public const int NetworkIdBytes = 32;
    public const int MaxContacts = 4096;
    public const int MaxBytes = HeaderBytes + (MaxContacts * RouterContact.MaxBytes) + RouterIdentity.SignatureBytes;

    private const int HeaderBytes = 60;

    private readonly byte[] _encoded;
    private readonly RouterContact[] _contacts;

    private ContactList(byte[] encoded, RouterContact[] contacts)
    {
        _encoded = encoded;
        _contacts = contacts;
    }

    public ReadOnlySpan<byte> NetworkId => _encoded.AsSpan(8, NetworkIdBytes);

    public long IssuedUnixSeconds => BinaryPrimitives.ReadInt64BigEndian(_encoded.AsSpan(40));

    public long ExpiresUnixSeconds => BinaryPrimitives.ReadInt64BigEndian(_encoded.AsSpan(48));

    /// <summary>In ascending order of router id. Their form is checked; their own time and signature, <see cref="NodeDirectory"/> asks.</summary>
    public IReadOnlyList<RouterContact> Contacts => _contacts;

    public ReadOnlySpan<byte> Encoded => _encoded;

    private static ReadOnlySpan<byte> SignatureLabel => "oxen contact list v1\0"u8;

    /// <summary>Sorts, encodes and signs.</summary>
    public static ContactList Create(RouterIdentity listKey, ReadOnlySpan<byte> networkId, IEnumerable<RouterContact> contacts, long issuedUnixSeconds, long expiresUnixSeconds)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(networkId.Length, NetworkIdBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(issuedUnixSeconds);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(expiresUnixSeconds, issuedUnixSeconds);
        RouterContact[] sorted = [.. contacts];
        Array.Sort(sorted, static (a, b) => CompareIds(a.Encoded, b.Encoded));
        if (sorted.Length > MaxContacts) throw new ArgumentException($"a list holds at most {MaxContacts} contacts", nameof(contacts));
        int length = HeaderBytes + RouterIdentity.SignatureBytes;
        for (int i = 0; i < sorted.Length; i++)
        {
            if (i > 0 && sorted[i].Id == sorted[i - 1].Id) throw new ArgumentException($"router {sorted[i].Id} is there twice", nameof(contacts));
            length += sorted[i].Encoded.Length;
        }

        byte[] encoded = new byte[length];
        "OXCL"u8.CopyTo(encoded);
        encoded[4] = Version;
        networkId.CopyTo(encoded.AsSpan(8));
        BinaryPrimitives.WriteInt64BigEndian(encoded.AsSpan(40), issuedUnixSeconds);
        BinaryPrimitives.WriteInt64BigEndian(encoded.AsSpan(48), expiresUnixSeconds);
        BinaryPrimitives.WriteUInt32BigEndian(encoded.AsSpan(56), (uint)sorted.Length);
        int at = HeaderBytes;
        foreach (RouterContact contact in sorted)
        {
            contact.Encoded.CopyTo(encoded.AsSpan(at));
            at += contact.Encoded.Length;
        }

        listKey.Sign(SignedBytes(encoded), encoded.AsSpan(at));
        return new ContactList(encoded, sorted);
    }

    /// <summary>
    /// Reads a list: size and header first, then the signature, and only then what is inside. A list that is not of
    /// `networkId`, not signed by `listKey` or not valid now is refused as a whole.
    /// </summary>
    /// <param name="nowUnixSeconds">Null: whatever its time. An expired list still tells where a network was to be found.</param>
    public static ContactFault TryOpen(ReadOnlySpan<byte> data, RouterId listKey, ReadOnlySpan<byte> networkId, long? nowUnixSeconds, out ContactList? list)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(networkId.Length, NetworkIdBytes);
        list = null;
        if (data.Length > MaxBytes) return ContactFault.TooLarge;
        if (data.Length < HeaderBytes + RouterIdentity.SignatureBytes) return ContactFault.Truncated;
        if (!data.StartsWith("OXCL"u8)) return ContactFault.Malformed;
        if (data[4] != Version) return ContactFault.UnknownVersion;
        if (data[5..8].ContainsAnyExcept((byte)0)) return ContactFault.Malformed;
        if (!data.Slice(8, NetworkIdBytes).SequenceEqual(networkId)) return ContactFault.WrongNetwork;
        long issued = BinaryPrimitives.ReadInt64BigEndian(data[40..]);
        long expires = BinaryPrimitives.ReadInt64BigEndian(data[48..]);
        if (issued < 0 || expires <= issued) return ContactFault.Malformed;
        if (BinaryPrimitives.ReadUInt32BigEndian(data[56..]) > MaxContacts) return ContactFault.TooLarge;
        if (!RouterIdentity.Verify(SignedBytes(data), data[^RouterIdentity.SignatureBytes..], listKey)) return ContactFault.WrongSignature;
        if (nowUnixSeconds < issued) return ContactFault.NotYetValid;
        if (nowUnixSeconds >= expires) return ContactFault.Expired;
        return ReadContacts(data, out list);
    }

    /// <summary>The part behind the signature check; a fuzzer calls it directly.</summary>
    internal static ContactFault ReadContacts(ReadOnlySpan<byte> data, out ContactList? list)
    {
        list = null;
        if (data.Length < HeaderBytes + RouterIdentity.SignatureBytes) return ContactFault.Truncated;
        uint count = BinaryPrimitives.ReadUInt32BigEndian(data[56..]);
        if (count > MaxContacts) return ContactFault.TooLarge;
        ReadOnlySpan<byte> rest = data[HeaderBytes..^RouterIdentity.SignatureBytes];

        // A count cannot make us allocate more than the bytes could hold.
        var contacts = new List<RouterContact>((int)Math.Min(count, (uint)(rest.Length / 1024)));
        ReadOnlySpan<byte> before = default;
        for (uint i = 0; i < count; i++)
        {
            int length = RouterContact.PeekLength(rest);
            if (length == 0) return ContactFault.Truncated;
            ReadOnlySpan<byte> one = rest[..length];
            ContactFault fault = RouterContact.TryDecode(one, out RouterContact? contact);
            if (fault != ContactFault.None) return fault;
            if (!before.IsEmpty && CompareIds(before, one) >= 0) return ContactFault.DuplicateOrUnordered;
            contacts.Add(contact!);
            before = one;
            rest = rest[length..];
        }

        if (!rest.IsEmpty) return ContactFault.Truncated;
        list = new ContactList(data.ToArray(), [.. contacts]);
        return ContactFault.None;
    }

    private static int CompareIds(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b) => a.Slice(4, RouterId.Bytes).SequenceCompareTo(b.Slice(4, RouterId.Bytes));

    private static byte[] SignedBytes(ReadOnlySpan<byte> encoded)
    {
        ReadOnlySpan<byte> body = encoded[..^RouterIdentity.SignatureBytes];
        byte[] input = new byte[SignatureLabel.Length + body.Length];
        SignatureLabel.CopyTo(input);
        body.CopyTo(input.AsSpan(SignatureLabel.Length));
        return input;
    }
}
