using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Testing;
using static Oxen.Router.Tests.Core.Directory.DirectoryMaker;

namespace Oxen.Router.Tests.Core.Directory;

public sealed class RouterContactTests
{
    private static readonly UdpAddress[] ManyAddresses =
    [
        UdpAddress.FromBytes([10, 1, 2, 3], 1),
        UdpAddress.FromBytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 65535),
        UdpAddress.FromBytes([10, 1, 2, 3], 2),
        UdpAddress.FromBytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2], 443),
    ];

    [Fact]
    public void What_was_written_is_read_again()
    {
        using TestRouter router = MakeRouter(new SeededEntropy(1), 1, RouterCapabilities.Relay | RouterCapabilities.Exit, "some.op_1", ManyAddresses);
        Assert.Equal(ContactFault.None, RouterContact.TryDecode(router.Contact.Encoded, out RouterContact? read));
        Assert.Equal(ContactFault.None, read!.Verify(Now));
        Assert.Equal(router.Identity.Id, read.Id);
        Assert.True(read.IsRelay);
        Assert.True(read.IsExit);
        Assert.Equal("test-1", read.Region);
        Assert.Equal("some.op_1", read.Operator);
        Assert.Equal(ManyAddresses, read.Addresses.ToArray());
        Assert.Equal(router.OnionKey.Id, read.OnionKeyId);
        Assert.Equal(router.OnionKey.XPublic.ToArray(), read.OnionXPublic.ToArray());
        Assert.Equal(router.OnionKey.KemPublic.ToArray(), read.OnionKemPublic.ToArray());
        Assert.Equal(Now - Day, read.PublishedUnixSeconds);
        Assert.Equal(Now + Day, read.ValidUntilUnixSeconds);
    }

    [Fact]
    public void The_largest_contact_fits_the_cap_exactly()
    {
        var entropy = new SeededEntropy(2);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair onionKey = OnionKeyPair.Create(entropy);
        UdpAddress[] addresses = [.. Enumerable.Range(1, 4).Select(i => UdpAddress.FromBytes([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte)i], 9))];
        RouterContact contact = RouterContact.Create(identity, onionKey, RouterCapabilities.Exit, addresses, new string('r', 16), new string('o', 32), Now, Now + 1, ranges: Ranges(8));
        Assert.Equal(RouterContact.MaxBytes, contact.Encoded.Length);
        Assert.Equal(ContactFault.TooLarge, RouterContact.TryDecode(new byte[RouterContact.MaxBytes + 1], out _));
    }

    private static IpPrefix[] Ranges(int count) => [.. Enumerable.Range(1, count).Select(i => IpPrefix.Of(UdpAddress.FromBytes([0x20, 1, 0, (byte)i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1), 32))];

    [Fact]
    public void An_exit_says_where_it_goes_and_whom_it_serves()
    {
        var entropy = new SeededEntropy(9);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair onionKey = OnionKeyPair.Create(entropy);
        Assert.True(IpPrefix.TryParse("10.1.0.0/16", out IpPrefix office));
        Assert.True(IpPrefix.TryParse("::/0", out IpPrefix six));
        RouterContact some = Make(RouterCapabilities.Exit | RouterCapabilities.Tokens, [office, .. Ranges(2)]);
        Assert.Equal([office, .. Ranges(2)], some.Ranges.ToArray());
        Assert.True(some.WantsToken);
        Assert.False(some.GoesEverywhere);
        Assert.True(Make(RouterCapabilities.Exit, []).GoesEverywhere);
        Assert.True(Make(RouterCapabilities.Exit, [office, six]).GoesEverywhere);
        Assert.False(Make(RouterCapabilities.Relay, []).GoesEverywhere);
        Assert.Throws<ArgumentException>(() => Make(RouterCapabilities.Relay, [office])); // only an exit goes anywhere
        Assert.Throws<ArgumentException>(() => Make(RouterCapabilities.Exit, [office, office]));
        Assert.Throws<ArgumentException>(() => Make(RouterCapabilities.Exit, Ranges(9)));

        RouterContact Make(RouterCapabilities can, IpPrefix[] ranges)
        {
            RouterContact made = RouterContact.Create(identity, onionKey, can, ManyAddresses, "", "", Now, Now + 1, ranges: ranges);
            Assert.Equal(ContactFault.None, RouterContact.TryDecode(made.Encoded, out RouterContact? read));
            return read!;
        }
    }

    [Fact]
    public void Every_truncation_and_every_extension_is_refused()
    {
        var entropy = new SeededEntropy(3);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair onionKey = OnionKeyPair.Create(entropy);
        byte[] encoded = RouterContact.Create(identity, onionKey, RouterCapabilities.Exit, ManyAddresses, "test-1", "", Now - Day, Now + Day, ranges: Ranges(3)).Encoded.ToArray();
        for (int length = 0; length < encoded.Length; length++)
        {
            Assert.NotEqual(ContactFault.None, RouterContact.TryDecode(encoded.AsSpan(0, length), out _));

            // Also when the length field goes along with it.
            byte[] adjusted = encoded[..length];
            if (length >= 4) BinaryPrimitives.WriteUInt16BigEndian(adjusted.AsSpan(2), (ushort)length);
            if (RouterContact.TryDecode(adjusted, out RouterContact? contact) == ContactFault.None) Assert.NotEqual(ContactFault.None, contact!.Verify(Now));
        }

        Assert.NotEqual(ContactFault.None, RouterContact.TryDecode([.. encoded, 0], out _));
    }

    [Fact]
    public void No_byte_can_be_changed()
    {
        using TestRouter router = MakeRouter(new SeededEntropy(4), 1, operatorLabel: "op", addresses: ManyAddresses);
        byte[] encoded = router.Contact.Encoded.ToArray();
        for (int i = 0; i < encoded.Length; i++)
        {
            byte before = encoded[i];
            encoded[i] ^= (byte)(1 << (i % 8));
            ContactFault fault = RouterContact.TryDecode(encoded, out RouterContact? contact);
            if (fault == ContactFault.None) fault = contact!.Verify(Now);
            Assert.True(fault != ContactFault.None, $"byte {i} was changed and nobody minded");
            encoded[i] = before;
        }
    }

    [Fact]
    public void Time_decides_and_says_why()
    {
        using TestRouter router = MakeRouter(new SeededEntropy(5), 1, from: Now, until: Now + Day);
        Assert.Equal(ContactFault.NotYetValid, router.Contact.Verify(Now - RouterContact.ClockSlackSeconds - 1));
        Assert.Equal(ContactFault.None, router.Contact.Verify(Now - RouterContact.ClockSlackSeconds));
        Assert.Equal(ContactFault.None, router.Contact.Verify(Now));
        Assert.Equal(ContactFault.None, router.Contact.Verify(Now + Day - 1));
        Assert.Equal(ContactFault.Expired, router.Contact.Verify(Now + Day));
    }

    [Fact]
    public void A_contact_signed_by_another_router_is_refused()
    {
        using TestRouter a = MakeRouter(new SeededEntropy(6), 1);
        using TestRouter b = MakeRouter(new SeededEntropy(7), 2);
        byte[] forged = a.Contact.Encoded.ToArray();
        b.Identity.Id.CopyTo(forged.AsSpan(4));
        Assert.Equal(ContactFault.None, RouterContact.TryDecode(forged, out RouterContact? contact));
        Assert.Equal(ContactFault.WrongSignature, contact!.Verify(Now));
    }

    [Fact]
    public void A_router_cannot_publish_what_would_be_refused()
    {
        var entropy = new SeededEntropy(8);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair key = OnionKeyPair.Create(entropy);
        UdpAddress good = UdpAddress.FromBytes([127, 0, 0, 1], 1);
        RouterContact Make(UdpAddress[] addresses, string region = "", string op = "", long from = Now, long until = Now + 1)
            => RouterContact.Create(identity, key, RouterCapabilities.Relay, addresses, region, op, from, until);
        Make([good]);
        Assert.Throws<ArgumentException>(() => Make([]));
        Assert.Throws<ArgumentException>(() => Make([good, good]));
        Assert.Throws<ArgumentException>(() => Make([good, good, good, good, good]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromBytes([127, 0, 0, 1], 0)]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromBytes([224, 0, 0, 1], 1)]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromBytes([0, 0, 0, 0], 1)]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromBytes([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1)]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromBytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4], 1)]));
        Assert.Throws<ArgumentException>(() => Make([UdpAddress.FromVirtual(1)]));
        Assert.Throws<ArgumentException>(() => Make([good], region: "Upper"));
        Assert.Throws<ArgumentException>(() => Make([good], region: new string('r', 17)));
        Assert.Throws<ArgumentException>(() => Make([good], op: new string('o', 33)));
        Assert.Throws<ArgumentException>(() => Make([good], until: Now));
        Assert.Throws<ArgumentException>(() => Make([good], until: Now + RouterContact.MaxValidSeconds + 1));
    }

    [Fact]
    public void Keys_to_which_nothing_can_be_sealed_are_told_apart()
    {
        using OnionKeyPair key = OnionKeyPair.Create(new SeededEntropy(9));
        Assert.True(OnionKeyPair.AreUsable(key.XPublic, key.KemPublic));
        byte[] one = new byte[32];
        one[0] = 1;
        Assert.False(OnionKeyPair.AreUsable(new byte[32], key.KemPublic));
        Assert.False(OnionKeyPair.AreUsable(one, key.KemPublic));

        // 3329 itself, in each half of a pair: the first value that is not reduced (0xD01).
        byte[] kem = key.KemPublic.ToArray();
        (kem[0], kem[1]) = (0x01, (byte)((kem[1] & 0xF0) | 0x0D));
        Assert.False(OnionKeyPair.AreUsable(key.XPublic, kem));
        kem = key.KemPublic.ToArray();
        (kem[1], kem[2]) = ((byte)((kem[1] & 0x0F) | 0x10), 0xD0);
        Assert.False(OnionKeyPair.AreUsable(key.XPublic, kem));
    }

    [Fact]
    public void The_key_before_is_kept_for_a_day_and_then_wiped()
    {
        var entropy = new SeededEntropy(10);
        Instant start = Instant.FromMilliseconds(1000);
        OnionKeyPair first = OnionKeyPair.Create(entropy);
        using var ring = new OnionKeyRing(first, start);
        Assert.Equal(start + TimeSpan.FromHours(24), ring.RotateAt);
        Assert.True(ring.PreviousEnds.IsNever);
        Instant rotated = ring.RotateAt;
        ring.Rotate(OnionKeyPair.Create(entropy), rotated);
        Assert.Same(first, ring.Previous);
        Assert.False(ring.Expire(rotated + TimeSpan.FromHours(23)));
        Assert.True(ring.Expire(rotated + TimeSpan.FromHours(24)));
        Assert.Null(ring.Previous);
        Assert.False(first.XSecret.ContainsAnyExcept((byte)0));
        Assert.False(first.KemSecret.ContainsAnyExcept((byte)0));
    }
}
