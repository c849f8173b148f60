using System.Buffers.Binary;
using Oxen.Router.Core.Directory;
using Oxen.Testing;
using static Oxen.Router.Tests.Core.Directory.DirectoryMaker;

namespace Oxen.Router.Tests.Core.Directory;

public sealed class ContactListTests : IDisposable
{
    private const int HeaderBytes = 60;

    private readonly SeededEntropy _entropy = new(100);
    private readonly RouterIdentity _listKey;
    private readonly TestRouter[] _routers;
    private readonly byte[] _network = new byte[32];
    private readonly byte[] _encoded;

    public ContactListTests()
    {
        _listKey = RouterIdentity.Create(_entropy);
        _entropy.FillPublic(_network);
        _routers =
        [
            MakeRouter(_entropy, 1),
            MakeRouter(_entropy, 2, RouterCapabilities.Relay | RouterCapabilities.Exit),
            MakeRouter(_entropy, 3, RouterCapabilities.Exit),
            MakeRouter(_entropy, 4, from: Now - (2 * Day), until: Now - Day),
            MakeRouter(_entropy, 5, from: Now + RouterContact.ClockSlackSeconds + 1),
            MakeRouter(_entropy, 6, RouterCapabilities.None),
        ];
        _encoded = ContactList.Create(_listKey, _network, _routers.Select(r => r.Contact), Now - 10, Now + 10).Encoded.ToArray();
    }

    public void Dispose()
    {
        _listKey.Dispose();
        foreach (TestRouter router in _routers) router.Dispose();
    }

    [Fact]
    public void What_was_written_is_read_again_in_the_order_of_ids()
    {
        Assert.Equal(ContactFault.None, Open(_encoded, out ContactList? list));
        Assert.Equal(_routers.Length, list!.Contacts.Count);
        Assert.Equal(_routers.Select(r => r.Identity.Id.ToString()).Order(StringComparer.Ordinal), list.Contacts.Select(c => c.Id.ToString()));
        Assert.Equal(_network, list.NetworkId.ToArray());
        Assert.Equal(Now - 10, list.IssuedUnixSeconds);
        Assert.Equal(Now + 10, list.ExpiresUnixSeconds);
        Assert.Equal(_encoded, list.Encoded.ToArray());
    }

    [Fact]
    public void A_directory_takes_what_is_valid_and_says_why_it_left_the_rest()
    {
        Assert.Equal(ContactFault.None, Open(_encoded, out ContactList? list));
        NodeDirectory nodes = NodeDirectory.From(list!, Now);
        Assert.Equal(4, nodes.All.Count);
        Assert.Equal(2, nodes.Relays.Count);
        Assert.Equal(2, nodes.Exits.Count);
        Assert.Contains((_routers[3].Contact.Id, ContactFault.Expired), nodes.Refused);
        Assert.Contains((_routers[4].Contact.Id, ContactFault.NotYetValid), nodes.Refused);
        Assert.True(nodes.TryGet(_routers[0].Contact.Id, out RouterContact? contact));
        Assert.Equal(_routers[0].Contact.Id, contact.Id);
        Assert.Equal(ContactFault.None, nodes.CheckRelay(_routers[2].Contact.Id, Now));
        Assert.Equal(ContactFault.Expired, nodes.CheckRelay(_routers[0].Contact.Id, Now + Day));
        Assert.Equal(ContactFault.UnknownRouter, nodes.CheckRelay(_routers[3].Contact.Id, Now));
        Assert.Equal(ContactFault.UnknownRouter, nodes.CheckRelay(_routers[5].Contact.Id, Now));
        Assert.Equal(ContactFault.UnknownRouter, NodeDirectory.Empty.CheckRelay(_routers[0].Contact.Id, Now));
    }

    [Fact]
    public void Every_truncation_is_refused()
    {
        for (int length = 0; length < _encoded.Length; length += 1 + (length % 7))
        {
            Assert.NotEqual(ContactFault.None, Open(_encoded.AsSpan(0, length), out _));
            Assert.NotEqual(ContactFault.None, ContactList.ReadContacts(_encoded.AsSpan(0, length), out _));
        }
    }

    [Fact]
    public void A_changed_byte_anywhere_breaks_the_signature_at_the_latest()
    {
        for (int i = 0; i < _encoded.Length; i += i < 100 ? 1 : 37)
        {
            _encoded[i] ^= 0x40;
            Assert.NotEqual(ContactFault.None, Open(_encoded, out _));
            _encoded[i] ^= 0x40;
        }

        Assert.Equal(ContactFault.None, Open(_encoded, out _));
    }

    [Fact]
    public void Another_key_another_network_another_time_are_refused_with_their_reason()
    {
        using RouterIdentity other = RouterIdentity.Create(_entropy);
        Assert.Equal(ContactFault.WrongSignature, ContactList.TryOpen(_encoded, other.Id, _network, Now, out _));
        Assert.Equal(ContactFault.WrongSignature, ContactList.TryOpen(_encoded, default, _network, Now, out _));
        Assert.Equal(ContactFault.WrongNetwork, ContactList.TryOpen(_encoded, _listKey.Id, new byte[32], Now, out _));
        Assert.Equal(ContactFault.NotYetValid, ContactList.TryOpen(_encoded, _listKey.Id, _network, Now - 11, out _));
        Assert.Equal(ContactFault.Expired, ContactList.TryOpen(_encoded, _listKey.Id, _network, Now + 10, out _));
    }

    [Fact]
    public void A_router_twice_is_refused_when_writing_and_when_reading()
    {
        Assert.Throws<ArgumentException>(() => ContactList.Create(_listKey, _network, [_routers[0].Contact, _routers[0].Contact], Now, Now + 1));
        byte[] one = _routers[0].Contact.Encoded.ToArray();
        Assert.Equal(ContactFault.DuplicateOrUnordered, Open(Signed(2, [.. one, .. one]), out _));
    }

    [Fact]
    public void A_list_out_of_order_is_refused()
    {
        Assert.Equal(ContactFault.None, Open(_encoded, out ContactList? list));
        byte[] swapped = [.. list!.Contacts[1].Encoded, .. list.Contacts[0].Encoded];
        Assert.Equal(ContactFault.DuplicateOrUnordered, Open(Signed(2, swapped), out _));
    }

    [Fact]
    public void A_count_that_lies_is_refused_and_allocates_nothing_for_the_lie()
    {
        byte[] one = _routers[0].Contact.Encoded.ToArray();
        Assert.Equal(ContactFault.Truncated, Open(Signed(0, one), out _));
        Assert.Equal(ContactFault.TooLarge, Open(Signed(ContactList.MaxContacts + 1, one), out _));
        Assert.Equal(ContactFault.TooLarge, ContactList.TryOpen(new byte[ContactList.MaxBytes + 1], _listKey.Id, _network, Now, out _));
        byte[] lie = Signed(ContactList.MaxContacts, one);
        Assert.Equal(ContactFault.Truncated, ContactList.ReadContacts(lie, out _));
        Assert.InRange(AllocationAssert.Measure(() => ContactList.ReadContacts(lie, out _), times: 1, warmUp: 5), 0, 8192);
    }

    private ContactFault Open(ReadOnlySpan<byte> data, out ContactList? list) => ContactList.TryOpen(data, _listKey.Id, _network, Now, out list);

    private byte[] Signed(uint count, byte[] contacts)
    {
        byte[] body = [.. _encoded.AsSpan(0, HeaderBytes), .. contacts];
        BinaryPrimitives.WriteUInt32BigEndian(body.AsSpan(56), count);
        byte[] signature = new byte[64];
        _listKey.Sign([.. "oxen contact list v1\0"u8, .. body], signature);
        return [.. body, .. signature];
    }
}
