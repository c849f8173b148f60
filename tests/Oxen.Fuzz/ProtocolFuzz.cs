using Oxen.Fuzz.Doors;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Sessions;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>
/// Every parser of bytes that another router sent, one by one: inputs and the share that gets past the first check are printed.
/// OXEN_FUZZ_SCALE=10 makes a million and more of each.
/// </summary>
public sealed class ProtocolFuzz
{
    private const int Rounds = 100_000;
    private const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;

    private readonly SeededEntropy _dice = new(1234);

    [Fact]
    public void Messages_of_links()
    {
        byte[] open = Body(new LinkHello { Shards = 2, UnixMilliseconds = 1_767_225_600_000, Suites = [1, 2, 3], Proof = Draw(32) }.ToOpen());
        byte[] bare = Body(new LinkHello { Shards = 1, UnixMilliseconds = 5, Suites = [1], Proof = [] }.ToOpen());
        ParserFuzz.Run("link OPEN", Rounds, [open, bare], 1024, static b => LinkHello.TryParseOpen(b, out _, out byte version) || version == LinkHello.Version);
        byte[] accept = Body(new LinkHello { Shards = 2, UnixMilliseconds = 7, Suites = [2], Proof = Draw(32), Indexes = [1, 2, 3, 4] }.ToAccept());
        ParserFuzz.Run("link ACCEPT", Rounds, [accept], 2048, static b => LinkHello.TryParseAccept(b, 2, out _) || (b.Length > 0 && b[0] == LinkHello.Version));
        ParserFuzz.Run("link READY", Rounds, [Body(LinkHello.ToReady([5, 6, 0, 8]))], 1024, static b => LinkHello.TryParseReady(b, 4, out uint[] indexes) ? indexes.Length == 4 : b.Length == 16);
    }

    [Fact]
    public void Directory_messages_and_contacts()
    {
        RouterContact[] contacts = [Contact(1), Contact(2)];
        ParserFuzz.Run("router contact", Rounds, [.. contacts.Select(c => c.Encoded.ToArray())], 16 * 1024, static b =>
        {
            ContactFault fault = RouterContact.TryDecode(b, out RouterContact? contact);
            if ((fault == ContactFault.None) != contact is not null) throw new InvalidDataException("neither or both");
            if (contact is not null && !contact.Encoded.SequenceEqual(b)) throw new InvalidDataException("what was read is not what is kept");
            RouterContact.TryPeek(b, out _, out _);
            return contact is not null || (b.Length > 4 && b[0] == RouterContact.Version);
        });
        using RouterIdentity listKey = RouterIdentity.Create(_dice);
        ParserFuzz.Run("contact list", Rounds, [ContactList.Create(listKey, new byte[32], contacts, Now, Now + 1).Encoded.ToArray()], 64 * 1024, static b =>
            ContactList.ReadContacts(b, out _) == ContactFault.None || (b.Length > 4 && b[0] == 1));

        SetItem[] items = [.. contacts.Select(c => new SetItem(c.Id, c.Digest, c.PublishedUnixSeconds, "an-operator")).OrderBy(i => i.Id)];
        foreach (DirectorySet set in Enum.GetValues<DirectorySet>())
        {
            var writer = new RangeWriter(set, 4096);
            writer.Fingerprint(77, items[0].Id, last: false);
            writer.List(items[..1], items[1].Id, last: false);
            writer.Want(default, last: true);
            var whole = new RangeWriter(set, 4096);
            whole.List(items, default, last: true);
            ParserFuzz.Run($"ranges of {set}", Rounds, [writer.Bytes.ToArray(), whole.Bytes.ToArray()], 8192, b =>
            {
                var reader = new RangeReader(b, set);
                int ranges = 0;
                while (reader.TryNext(out _)) ranges++;
                if (reader.Failed == reader.Ended) throw new InvalidDataException("neither or both");
                return ranges > 0;
            });
        }

        byte[] give = DirectoryMessages.Give(contacts)[DirectoryMessages.HeaderBytes..];
        ParserFuzz.Run("contacts in a row", Rounds, [give], 1024, static b =>
        {
            ReadOnlySpan<byte> rest = b;
            int taken = 0;
            while (!rest.IsEmpty && DirectoryMessages.TryTakeContact(ref rest, out ReadOnlySpan<byte> contact)) taken += contact.Length > 0 ? 1 : 0;
            return taken > 0;
        });
    }

    [Fact]
    public void Hidden_services()
    {
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(20_454, new byte[32]);
        byte[] introset = Introset.Create(blinded, key.Address, Content(), [], 1, Now, _dice).Encoded.ToArray();
        ParserFuzz.Run("introset", Rounds, [introset], 16 * 1024, b =>
        {
            bool read = Introset.TryRead(b, out Introset? taken);
            if (read != taken is not null) throw new InvalidDataException("neither or both");
            return read || (b.Length == introset.Length && b[0] == introset[0]);
        });
        byte[] content = new byte[2400];
        Content().Write(content);
        ParserFuzz.Run("introset's content", Rounds, [content], 32 * 1024, b =>
        {
            if (!IntrosetContent.TryRead(b, out IntrosetContent? read)) return b.Length > 100 && b[0] == content[0];
            byte[] again = new byte[b.Length];
            read!.Write(again);
            if (!b.SequenceEqual(again)) throw new InvalidDataException("one content has two encodings");
            return true;
        });
        byte[] answer = [0, 0, (byte)(introset.Length >> 8), (byte)introset.Length, .. introset];
        ParserFuzz.Run("keeper's answer", Rounds, [answer], 16 * 1024, b => IntrosetRequests.TryReadAnswer(b, out _) || (b.Length == answer.Length && b[..4].SequenceEqual(answer.AsSpan(0, 4))), share: 0.25);
        byte[][] meetings = [.. Enum.GetValues<MeetingType>().Select(t =>
        {
            byte[] message = new byte[RecordLayout.ContentBytes];
            message[0] = (byte)t;
            Draw(MeetingMessage.LengthOf(t)).AsSpan(1).CopyTo(message.AsSpan(1));
            return message;
        }).Where(m => MeetingMessage.LengthOf((MeetingType)m[0]) > 0)];
        ParserFuzz.Run("meeting", Rounds, meetings, 0, static b => MeetingMessage.TryRead(b, out MeetingType type, out _, out _) || MeetingMessage.LengthOf(type) > 0);
        byte[][] addresses = [.. Enumerable.Range(0, 4).Select(_ => System.Text.Encoding.ASCII.GetBytes(key.Address.ToString()))];
        ParserFuzz.Run("service address", Rounds, addresses, 1024, static b =>
        {
            Span<char> text = stackalloc char[b.Length];
            System.Text.Encoding.Latin1.GetChars(b, text);
            if (!ServiceAddress.TryParse(text, out ServiceAddress address)) return b.Length >= 52;
            if (!address.ToString().AsSpan().StartsWith(text, StringComparison.OrdinalIgnoreCase)) throw new InvalidDataException("read as another address");
            return true;
        }, "ybndrfg8ejkmcpqxot1uwisza345h769.loki");
    }

    [Fact]
    public void Packets_and_records_inside_paths()
    {
        byte[] initial = [0xC3, 0, 0, 0, 1, 8, .. Draw(8), 8, .. Draw(8), 0, 0x44, 0xB0, .. Draw(1200)], shortHeader = [0x43, .. Draw(60)], handshake = [0xE3, 0, 0, 0, 1, 8, .. Draw(8), 8, .. Draw(8), 0x40, 0x60, .. Draw(96)];
        ParserFuzz.Run("QUIC header", Rounds, [initial, shortHeader, handshake], 0, static b => PacketHeader.TryRead(b, out _) || (b.Length > 0 && (b[0] & 0x40) != 0));
        byte[] parameters = new TransportParameters { InitialSource = new ConnectionId(Draw(8)), MaxData = 1 << 20, MaxStreamsBidi = 64, ActiveConnectionIdLimit = 4 }.Encode();
        ParserFuzz.Run("transport parameters", Rounds, [parameters], 2048, static b => TransportParameters.TryDecode(b, fromServer: false) is not null || b.Length > 1);
        byte[] records = new byte[RecordLayout.ContentBytes];
        RecordLayout.WriteHeader(records, (RecordType)1, 40);
        RecordLayout.WriteHeader(records.AsSpan(43), (RecordType)2, 900);
        byte[] few = [1, 0, 2, 9, 9, 2, 0, 1, 7, 0, 0, 0];
        ParserFuzz.Run("records", Rounds, [records, few], 2048, static b =>
        {
            var reader = new RecordReader(b.ToArray());
            int read = 0;
            while (reader.TryRead(out _, out _)) read++;
            return read > 0 || !reader.Malformed;
        });
        byte[] fragment = [1, 0, 5, 1, 0, 0, .. Draw(60)];
        ParserFuzz.Run("record fragment", Rounds, [fragment, [.. fragment[..40]]], 0, static b => RecordFragment.TryRead(b, out _, out _) || b.Length > 4);
    }

    private static byte[] Body(byte[] message) => message[3..];

    private IntrosetContent Content()
    {
        using OnionKeyPair session = OnionKeyPair.Create(_dice);
        return new IntrosetContent
        {
            SessionX = session.XPublic.ToArray(), SessionKem = session.KemPublic.ToArray(), SessionKeyId = session.Id, EffortSeed = Draw(32),
            Introductions = [new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32))), new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32)))],
            Ports = [new ServicePort(6, 80)],
            ServiceRecords = [new ServiceRecord("_a._tcp", 1, 2, 3, "b.loki")],
            Texts = [[1, 2, 3]],
        };
    }

    private RouterContact Contact(int number)
    {
        using RouterIdentity identity = RouterIdentity.Create(_dice);
        using OnionKeyPair key = OnionKeyPair.Create(_dice);
        return RouterContact.Create(identity, key, RouterCapabilities.Relay, [UdpAddress.FromBytes([127, (byte)number, 0, 1], 1090)], "region", "operator", Now - 1, Now + 1000);
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillSecret(bytes);
        return bytes;
    }
}
