using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Directory;

// Router contact, version 2 (docs/protocol/directory.md#contact). Integers are big-endian, times unix seconds.
//
//     0     1   version (2)
//     1     1   capabilities: 1 relay, 2 exit, 4 exit with a tunnel, 8 keeps messages of a swarm, 16 exit for holders of tokens alone,
//                  32 answers look-ups of names at the ends of paths
//     2     2   length of the whole record, signature included
//     4    32   router id (Ed25519)
//    36     8   published: of two contacts of one router the later one counts
//    44     8   valid until
//    52     8   onion key id
//    60     8   id of the onion key before, which still opens builds; 0: none does
//    68    32   onion key, X25519
//   100  1184   onion key, ML-KEM-768
//  1284     1+n region, n <= 16       lower-case letters, digits, '-'
//     .     1+n operator, n <= 32     those, '.' and '_'
//     .     1+  addresses, 1 to 4: family 1 (4 or 6), port 2, address 4 or 16; the preferred one first, no two alike
//     .     1+  ranges, 0 to 8, an exit's: family 1, bits 1, address 4 or 16; none: it goes wherever its policy lets it
//     .    64   Ed25519 signature over "oxen router contact v2\0" || everything before
//
// One contact has one encoding: decode(x) succeeds only if encode(decode(x)) = x.

[Flags]
internal enum RouterCapabilities : byte
{
    None = 0,

    /// <summary>Forwards for others: may be any hop before the last.</summary>
    Relay = 1,

    /// <summary>Passes traffic to the outside: may be the last hop of an exit path.</summary>
    Exit = 2,

    /// <summary>An exit that takes IP packets as well.</summary>
    Tunnel = 4,

    /// <summary>Keeps messages of a swarm, and serves the storage API by HTTPS at the same address and port number, over TCP.</summary>
    Storage = 8,

    /// <summary>An exit that serves only who shows a token.</summary>
    Tokens = 16,

    /// <summary>Has a copy of the ledger, and answers look-ups of names at the ends of paths.</summary>
    Names = 32,
}

/// <summary>What a router says of itself, signed by its identity. Immutable.</summary>
internal sealed class RouterContact
{
    public const byte Version = 2;
    public const int MaxAddresses = 4;
    public const int MaxRegionBytes = 16;
    public const int MaxOperatorBytes = 32;
    public const int MaxRanges = 8;
    public const int MaxBytes = FixedBytes + 1 + MaxRegionBytes + 1 + MaxOperatorBytes + 1 + (MaxAddresses * 19) + 1 + (MaxRanges * 18) + RouterIdentity.SignatureBytes;

    /// <summary>The longest time that a contact may be valid for.</summary>
    public const long MaxValidSeconds = 400L * 24 * 3600;

    /// <summary>How far the publisher's clock may be ahead of the reader's.</summary>
    public const long ClockSlackSeconds = 600;

    private const int FixedBytes = 1284;
    private const int MinBytes = FixedBytes + 1 + 1 + 1 + 7 + 1 + RouterIdentity.SignatureBytes;
    private const RouterCapabilities AllCapabilities = RouterCapabilities.Relay | RouterCapabilities.Exit | RouterCapabilities.Tunnel | RouterCapabilities.Storage | RouterCapabilities.Tokens | RouterCapabilities.Names;

    private readonly byte[] _encoded;
    private readonly UdpAddress[] _addresses;
    private readonly IpPrefix[] _ranges;

    private RouterContact(byte[] encoded, UdpAddress[] addresses, IpPrefix[] ranges, string region, string operatorLabel)
    {
        _encoded = encoded;
        _addresses = addresses;
        _ranges = ranges;
        Region = region;
        Operator = operatorLabel;
        Id = new RouterId(encoded.AsSpan(4, RouterId.Bytes));
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(encoded, hash);
        Digest = BinaryPrimitives.ReadUInt128BigEndian(hash);
    }

    public RouterId Id { get; }

    public RouterCapabilities Capabilities => (RouterCapabilities)_encoded[1];

    public bool IsRelay => (Capabilities & RouterCapabilities.Relay) != 0;

    public bool IsExit => (Capabilities & RouterCapabilities.Exit) != 0;

    public bool IsStorage => (Capabilities & RouterCapabilities.Storage) != 0;

    public bool HasTunnel => IsExit && (Capabilities & RouterCapabilities.Tunnel) != 0;

    /// <summary>An exit that serves only who shows a token.</summary>
    public bool WantsToken => IsExit && (Capabilities & RouterCapabilities.Tokens) != 0;

    /// <summary>An exit's: where it goes, by its own word; empty: wherever its policy lets it.</summary>
    public ReadOnlySpan<IpPrefix> Ranges => _ranges;

    /// <summary>An exit for the whole of IPv4 or IPv6, not for some networks behind it.</summary>
    public bool GoesEverywhere => IsExit && (_ranges.Length == 0 || Array.Exists(_ranges, static r => r.Length == 0));

    /// <summary>1 to 4, the preferred one first.</summary>
    public ReadOnlySpan<UdpAddress> Addresses => _addresses;

    public string Region { get; }

    /// <summary>Who runs it, by its own word; empty when it does not say. Two relays of one operator never share a path.</summary>
    public string Operator { get; }

    /// <summary>When its router wrote it.</summary>
    public long PublishedUnixSeconds => BinaryPrimitives.ReadInt64BigEndian(_encoded.AsSpan(36));

    public long ValidUntilUnixSeconds => BinaryPrimitives.ReadInt64BigEndian(_encoded.AsSpan(44));

    public ulong OnionKeyId => BinaryPrimitives.ReadUInt64BigEndian(_encoded.AsSpan(52));

    /// <summary>The key before, which the router still opens builds with; 0: none.</summary>
    public ulong PreviousKeyId => BinaryPrimitives.ReadUInt64BigEndian(_encoded.AsSpan(60));

    public ReadOnlySpan<byte> OnionXPublic => _encoded.AsSpan(68, X25519.PublicKeyBytes);

    public ReadOnlySpan<byte> OnionKemPublic => _encoded.AsSpan(100, MlKem768.PublicKeyBytes);

    /// <summary>The first 16 bytes of the encoding's SHA-256: equal for equal contacts, and only for them.</summary>
    public UInt128 Digest { get; }

    /// <summary>The canonical bytes, signature included.</summary>
    public ReadOnlySpan<byte> Encoded => _encoded;

    private static ReadOnlySpan<byte> SignatureLabel => "oxen router contact v2\0"u8;

    /// <summary>Writes and signs this router's own contact.</summary>
    /// <exception cref="ArgumentException">A field breaks the format; `paramName` says which.</exception>
    public static RouterContact Create(
        RouterIdentity identity,
        OnionKeyPair onionKey,
        RouterCapabilities capabilities,
        ReadOnlySpan<UdpAddress> addresses,
        string region,
        string operatorLabel,
        long publishedUnixSeconds,
        long validUntilUnixSeconds,
        ulong previousKeyId = 0,
        IReadOnlyList<IpPrefix>? ranges = null)
    {
        if (!IsLabel(region, MaxRegionBytes, "-")) throw new ArgumentException("a region is up to 16 of a-z, 0-9, '-'", nameof(region));
        if (!IsLabel(operatorLabel, MaxOperatorBytes, "-._")) throw new ArgumentException("an operator is up to 32 of a-z, 0-9, '-', '.', '_'", nameof(operatorLabel));
        ranges ??= [];
        if (ranges.Count > MaxRanges) throw new ArgumentException("a contact has at most 8 ranges", nameof(ranges));
        if (addresses.Length is 0 or > MaxAddresses) throw new ArgumentException("a contact has 1 to 4 addresses", nameof(addresses));

        Span<byte> buffer = stackalloc byte[MaxBytes];
        buffer[0] = Version;
        buffer[1] = (byte)capabilities;
        identity.Id.CopyTo(buffer[4..]);
        BinaryPrimitives.WriteInt64BigEndian(buffer[36..], publishedUnixSeconds);
        BinaryPrimitives.WriteInt64BigEndian(buffer[44..], validUntilUnixSeconds);
        BinaryPrimitives.WriteUInt64BigEndian(buffer[52..], onionKey.Id);
        BinaryPrimitives.WriteUInt64BigEndian(buffer[60..], previousKeyId);
        onionKey.XPublic.CopyTo(buffer[68..]);
        onionKey.KemPublic.CopyTo(buffer[100..]);
        int at = FixedBytes;
        at += WriteLabel(buffer[at..], region);
        at += WriteLabel(buffer[at..], operatorLabel);
        buffer[at++] = (byte)addresses.Length;
        foreach (UdpAddress address in addresses)
        {
            if (!IsPublishable(address)) throw new ArgumentException("an address must be a unicast IPv4 or IPv6 address with a port", nameof(addresses));
            buffer[at] = (byte)address.Family;
            BinaryPrimitives.WriteUInt16BigEndian(buffer[(at + 1)..], address.Port);
            at += 3;
            at += address.WriteAddress(buffer[at..]);
        }

        buffer[at++] = (byte)ranges.Count;
        foreach (IpPrefix range in ranges) at += range.Write(buffer[at..]);
        int length = at + RouterIdentity.SignatureBytes;
        BinaryPrimitives.WriteUInt16BigEndian(buffer[2..], (ushort)length);
        Sign(buffer[..at], identity, buffer.Slice(at, RouterIdentity.SignatureBytes));
        ContactFault fault = TryDecode(buffer[..length], out RouterContact? contact);
        return fault switch
        {
            ContactFault.None => contact!,
            ContactFault.ValidTooLong => throw new ArgumentException("valid until must lie after published, by at most 400 days", nameof(validUntilUnixSeconds)),
            _ => throw new ArgumentException($"the contact would be refused: {fault}", nameof(addresses)),
        };
    }

    /// <summary>
    /// Reads one contact that fills `data`. Looks at form only; who signed it and when it is valid, <see cref="Verify"/> asks.
    /// </summary>
    public static ContactFault TryDecode(ReadOnlySpan<byte> data, out RouterContact? contact)
    {
        contact = null;
        if (data.Length > MaxBytes) return ContactFault.TooLarge;
        if (data.Length < 4) return ContactFault.Truncated;
        if (data[0] != Version) return ContactFault.UnknownVersion;
        if (data.Length < MinBytes || BinaryPrimitives.ReadUInt16BigEndian(data[2..]) != data.Length) return ContactFault.Truncated;
        if ((data[1] & ~(byte)AllCapabilities) != 0) return ContactFault.Malformed;

        long from = BinaryPrimitives.ReadInt64BigEndian(data[36..]);
        long until = BinaryPrimitives.ReadInt64BigEndian(data[44..]);
        if (from < 0 || until < 0) return ContactFault.Malformed;
        if (until <= from || until - from > MaxValidSeconds) return ContactFault.ValidTooLong;

        ReadOnlySpan<byte> rest = data[FixedBytes..^RouterIdentity.SignatureBytes];
        ContactFault fault = ReadLabel(ref rest, MaxRegionBytes, "-", out string region);
        if (fault != ContactFault.None) return fault;
        fault = ReadLabel(ref rest, MaxOperatorBytes, "-._", out string operatorLabel);
        if (fault != ContactFault.None) return fault;
        fault = ReadAddresses(ref rest, out UdpAddress[] addresses);
        if (fault != ContactFault.None) return fault;
        fault = ReadRanges(rest, (data[1] & (byte)RouterCapabilities.Exit) != 0, out IpPrefix[] ranges);
        if (fault != ContactFault.None) return fault;

        ulong keyId = OnionKeyPair.ComputeId(data.Slice(68, X25519.PublicKeyBytes), data.Slice(100, MlKem768.PublicKeyBytes));
        if (keyId != BinaryPrimitives.ReadUInt64BigEndian(data[52..])) return ContactFault.WrongKeyId;
        if (keyId == BinaryPrimitives.ReadUInt64BigEndian(data[60..])) return ContactFault.Malformed;
        contact = new RouterContact(data.ToArray(), addresses, ranges, region, operatorLabel);
        return ContactFault.None;
    }

    /// <summary>The length of the contact that begins here, or 0 when these bytes cannot begin one.</summary>
    public static int PeekLength(ReadOnlySpan<byte> data)
    {
        if (data.Length < MinBytes || data[0] != Version) return 0;
        int length = BinaryPrimitives.ReadUInt16BigEndian(data[2..]);
        return length >= MinBytes && length <= MaxBytes && length <= data.Length ? length : 0;
    }

    /// <summary>Time, then keys, then the signature: the dear test last.</summary>
    public ContactFault Verify(long nowUnixSeconds)
    {
        ContactFault fault = CheckTime(nowUnixSeconds);
        return fault == ContactFault.None ? VerifyTimeless() : fault;
    }

    /// <summary>Keys and signature, whatever the time: an expired contact still tells where a router was and what its key is.</summary>
    public ContactFault VerifyTimeless()
    {
        if (!OnionKeyPair.AreUsable(OnionXPublic, OnionKemPublic)) return ContactFault.UnusableKey;
        return HasGoodSignature() ? ContactFault.None : ContactFault.WrongSignature;
    }

    public ContactFault CheckTime(long nowUnixSeconds)
    {
        if (nowUnixSeconds < PublishedUnixSeconds - ClockSlackSeconds) return ContactFault.NotYetValid;
        return nowUnixSeconds >= ValidUntilUnixSeconds ? ContactFault.Expired : ContactFault.None;
    }

    /// <summary>Whether this one replaces `other`, of the same router. A total order, so that all who saw both hold the same.</summary>
    public bool IsNewerThan(RouterContact other) =>
        PublishedUnixSeconds != other.PublishedUnixSeconds ? PublishedUnixSeconds > other.PublishedUnixSeconds : Digest > other.Digest;

    /// <summary>Router and time of a contact that was not decoded yet; for looking before anything is paid for.</summary>
    public static bool TryPeek(ReadOnlySpan<byte> data, out RouterId id, out long publishedUnixSeconds)
    {
        id = default;
        publishedUnixSeconds = 0;
        if (data.Length < MinBytes) return false;
        id = new RouterId(data.Slice(4, RouterId.Bytes));
        publishedUnixSeconds = BinaryPrimitives.ReadInt64BigEndian(data[36..]);
        return true;
    }

    internal static bool IsPublishable(UdpAddress address)
    {
        if (address.Port == 0 || address.Scope != 0) return false;
        switch (address.Family)
        {
            case UdpFamily.IPv4:
                byte first = (byte)(address.High >> 56);
                return first is not 0 and < 224;
            case UdpFamily.IPv6:
                bool unspecified = address.High == 0 && address.Low == 0;
                bool mapped = address.High == 0 && address.Low >> 32 == 0xFFFF;
                bool multicast = address.High >> 56 == 0xFF;
                bool linkLocal = address.High >> 54 == 0xFE80 >> 6;
                return !unspecified && !mapped && !multicast && !linkLocal;
            default:
                return false;
        }
    }

    private static bool IsLabel(ReadOnlySpan<char> text, int maxBytes, ReadOnlySpan<char> marks)
    {
        if (text.Length > maxBytes) return false;
        foreach (char c in text)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9')) && !marks.Contains(c)) return false;
        }

        return true;
    }

    private static int WriteLabel(Span<byte> destination, string label)
    {
        destination[0] = (byte)label.Length;
        return 1 + Encoding.ASCII.GetBytes(label, destination[1..]);
    }

    private static ContactFault ReadLabel(ref ReadOnlySpan<byte> rest, int maxBytes, ReadOnlySpan<char> marks, out string label)
    {
        label = "";
        if (rest.IsEmpty) return ContactFault.Truncated;
        int length = rest[0];
        if (length > maxBytes) return ContactFault.Malformed;
        if (rest.Length < 1 + length) return ContactFault.Truncated;
        Span<char> text = stackalloc char[MaxOperatorBytes];
        for (int i = 0; i < length; i++) text[i] = (char)rest[1 + i];
        if (!IsLabel(text[..length], maxBytes, marks)) return ContactFault.Malformed;
        label = new string(text[..length]);
        rest = rest[(1 + length)..];
        return ContactFault.None;
    }

    private static ContactFault ReadAddresses(ref ReadOnlySpan<byte> rest, out UdpAddress[] addresses)
    {
        addresses = [];
        if (rest.IsEmpty) return ContactFault.Truncated;
        int count = rest[0];
        if (count is 0 or > MaxAddresses) return ContactFault.Malformed;
        rest = rest[1..];
        var found = new UdpAddress[count];
        for (int i = 0; i < count; i++)
        {
            if (rest.Length < 3) return ContactFault.Truncated;
            int bytes = rest[0] switch { (byte)UdpFamily.IPv4 => 4, (byte)UdpFamily.IPv6 => 16, _ => 0 };
            if (bytes == 0) return ContactFault.Malformed;
            if (rest.Length < 3 + bytes) return ContactFault.Truncated;
            found[i] = UdpAddress.FromBytes(rest.Slice(3, bytes), BinaryPrimitives.ReadUInt16BigEndian(rest[1..]));
            if (!IsPublishable(found[i])) return ContactFault.Malformed;
            for (int j = 0; j < i; j++)
            {
                if (found[j] == found[i]) return ContactFault.Malformed;
            }

            rest = rest[(3 + bytes)..];
        }

        addresses = found;
        return ContactFault.None;
    }

    private static ContactFault ReadRanges(ReadOnlySpan<byte> rest, bool isExit, out IpPrefix[] ranges)
    {
        ranges = [];
        if (rest.IsEmpty) return ContactFault.Truncated;
        int count = rest[0];
        if (count > MaxRanges || (count > 0 && !isExit)) return ContactFault.Malformed;
        rest = rest[1..];
        var found = new IpPrefix[count];
        for (int i = 0; i < count; i++)
        {
            int used = IpPrefix.TryRead(rest, out found[i]);
            if (used == 0) return rest.Length < 18 ? ContactFault.Truncated : ContactFault.Malformed;
            if (found.AsSpan(0, i).Contains(found[i])) return ContactFault.Malformed;
            rest = rest[used..];
        }

        if (!rest.IsEmpty) return ContactFault.Truncated;
        ranges = found;
        return ContactFault.None;
    }

    private static void Sign(ReadOnlySpan<byte> unsigned, RouterIdentity identity, Span<byte> signature)
    {
        Span<byte> input = stackalloc byte[SignatureLabel.Length + unsigned.Length];
        SignatureLabel.CopyTo(input);
        unsigned.CopyTo(input[SignatureLabel.Length..]);
        identity.Sign(input, signature);
    }

    private bool HasGoodSignature()
    {
        ReadOnlySpan<byte> unsigned = _encoded.AsSpan(0, _encoded.Length - RouterIdentity.SignatureBytes);
        Span<byte> input = stackalloc byte[SignatureLabel.Length + unsigned.Length];
        SignatureLabel.CopyTo(input);
        unsigned.CopyTo(input[SignatureLabel.Length..]);
        return RouterIdentity.Verify(input, _encoded.AsSpan(unsigned.Length), Id);
    }
}
