using System.Buffers.Binary;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>Decoders of the directory take any bytes: an answer each time, never an exception, never much memory.</summary>
public sealed class DirectoryFuzz
{
    private static readonly int Rounds = ParserFuzz.InputsOr(1_000_000);
    private const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;

    [Fact]
    public void A_contact_is_decoded_or_refused_and_what_is_accepted_is_canonical()
    {
        var entropy = new SeededEntropy(1);
        byte[] valid = Contact(entropy, 1).Encoded.ToArray();
        byte[] work = new byte[RouterContact.MaxBytes + 64];
        int accepted = 0;
        for (int i = 0; i < Rounds; i++)
        {
            int length = Next(entropy, valid, work, i);
            if (RouterContact.TryDecode(work.AsSpan(0, length), out RouterContact? contact) != ContactFault.None)
            {
                Assert.Null(contact);
                continue;
            }

            // Nothing of ours changed on the way, and the signature still tells the truth. Its check is dear: a sample.
            Assert.True(contact!.Encoded.SequenceEqual(work.AsSpan(0, length)));
            bool same = contact.Encoded.SequenceEqual(valid);
            if (accepted++ % 16 == 0) Assert.Equal(same, contact.Verify(Now) == ContactFault.None);
        }

        Assert.True(accepted > 0);
    }

    [Fact]
    public void A_list_is_decoded_or_refused()
    {
        var entropy = new SeededEntropy(2);
        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        byte[] network = new byte[32];
        byte[] valid = ContactList.Create(listKey, network, [Contact(entropy, 1), Contact(entropy, 2)], Now, Now + 1).Encoded.ToArray();
        byte[] work = new byte[valid.Length + 64];
        int read = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Rounds; i++)
        {
            int length = Next(entropy, valid, work, i);
            ReadOnlySpan<byte> data = work.AsSpan(0, length);

            // Behind the signature, as a hostile list key would reach it.
            if (ContactList.ReadContacts(data, out ContactList? list) == ContactFault.None)
            {
                read++;
                Assert.InRange(list!.Contacts.Count, 0, 2);
            }

            if (i % 16 == 0 && ContactList.TryOpen(data, listKey.Id, network, Now, out _) == ContactFault.None) Assert.True(data.SequenceEqual(valid));
        }

        Assert.True(read > 0);
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / Rounds, 0, 64 * 1024);
    }

    private static RouterContact Contact(SeededEntropy entropy, int number)
    {
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair key = OnionKeyPair.Create(entropy);
        UdpAddress[] addresses =
        [
            UdpAddress.FromBytes([127, (byte)number, 0, 1], 1090),
            UdpAddress.FromBytes([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1090),
        ];
        return RouterContact.Create(identity, key, RouterCapabilities.Relay, addresses, "region", "operator", Now - 1, Now + 1000);
    }

    // In turn: noise, a truncation (its length field adjusted or not), one to four mutations, the valid bytes with a tail.
    private static int Next(SeededEntropy entropy, byte[] valid, byte[] work, int round)
    {
        valid.CopyTo(work, 0);
        int length = valid.Length;
        switch (round % 8)
        {
            case 0:
                length = entropy.Next(200);
                entropy.FillPublic(work.AsSpan(0, length));
                if (length > 0 && round % 16 == 0) work[0] = 1;
                break;
            case 1:
                length = entropy.Next(valid.Length);
                if (length >= 4 && round % 16 == 1) BinaryPrimitives.WriteUInt16BigEndian(work.AsSpan(2), (ushort)length);
                break;
            case 2:
                length = valid.Length + entropy.Next(64);
                break;
            case 3:
                // Behind the fixed part, where lengths and counts are.
                work[valid.Length - 64 - 1 - entropy.Next(48)] = (byte)entropy.Next(256);
                break;
            default:
                for (int n = 1 + entropy.Next(4); n > 0; n--) work[entropy.Next(length)] = (byte)entropy.Next(256);
                break;
        }

        return length;
    }
}
