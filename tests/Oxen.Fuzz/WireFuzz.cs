using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core;
using Oxen.Router.Core.Carrier;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>
/// The parsers of everything that a router hears from another one, each alone: what is read is inside of its bounds and comes out of the writer as
/// it went in. A million inputs each, fewer where one costs more than some microseconds; what stands behind a seal is fuzzed behind it.
/// </summary>
public sealed class WireFuzz
{
    private const int Inputs = 1_000_000;
    private const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;

    private readonly SeededEntropy _dice = new(SimWorld.SeedOr(61));

    // ---- links ----

    [Fact]
    public void Messages_of_a_links_handshake()
    {
        byte[][] opens = [Open([1], 0), Open([1, 2, 3], 32), Open([.. Enumerable.Range(1, 16).Select(i => (byte)i)], 32)];
        ParserFuzz.Run("link OPEN", Inputs, opens, 1024, b =>
        {
            if (!LinkHello.TryParseOpen(b, out LinkHello hello, out byte version)) return b.Length >= 11 && version == LinkHello.Version ? Fate.Past : Fate.Refused;
            Same(b, hello.ToOpen().AsSpan(3));
            return Fate.Accepted;
        });
        byte[][] accepts = [Accept(1, 0), Accept(2, 32), Accept(16, 32)];
        ParserFuzz.Run("link ACCEPT", Inputs, accepts, 4096, b =>
        {
            if (!LinkHello.TryParseAccept(b, 2, out LinkHello hello)) return b.Length >= 12 && b[0] == LinkHello.Version && b[1] is > 0 and <= LinkHello.MaxShards ? Fate.Past : Fate.Refused;
            Assert.Equal(2 * hello.Shards, hello.Indexes.Length);
            Same(b, hello.ToAccept().AsSpan(3));
            return Fate.Accepted;
        });
        ParserFuzz.Run("link READY", Inputs, [LinkHello.ToReady([1, 2, 3, 4])[3..], LinkHello.ToReady([9, uint.MaxValue, 1, 7])[3..]], 1024, b =>
        {
            if (!LinkHello.TryParseReady(b, 4, out uint[] indexes)) return b.Length == 16 ? Fate.Past : Fate.Refused;
            Assert.Equal(4, indexes.Where(i => i != 0).Distinct().Count());
            return Fate.Accepted;
        });
    }

    [Fact]
    public void Heads_of_sealed_datagrams()
    {
        byte[] full = new byte[SealedDatagram.FullBytes], reduced = new byte[SealedDatagram.ReducedBytes];
        SealedDatagram.WriteClear(full, 5, 77, 9);
        SealedDatagram.WriteInner(full, 0x1234_5678_0000_0001, 3, Oxen.Router.Core.Onion.SizeClass.Full);
        SealedDatagram.WriteClear(reduced, 6, 78, ulong.MaxValue);
        SealedDatagram.WriteInner(reduced, 1, 2, Oxen.Router.Core.Onion.SizeClass.Reduced);
        byte[] again = new byte[SealedDatagram.HeaderBytes];
        ParserFuzz.Run("sealed datagram", Inputs, [full, reduced], 0, b =>
        {
            if (b.IsEmpty || Demultiplexer.KindOf(b[0]) != DatagramKind.Sealed || b.Length is not (SealedDatagram.FullBytes or SealedDatagram.ReducedBytes)) return Fate.Refused;
            if (!SealedDatagram.ReservedIsZero(b) || !SealedDatagram.TryReadInner(b, out ulong handle, out uint epoch, out Oxen.Router.Core.Onion.SizeClass size)) return Fate.Past;
            SealedDatagram.WriteClear(again, b[0], SealedDatagram.Index(b), SealedDatagram.Counter(b));
            SealedDatagram.WriteInner(again, handle, epoch, size);
            Same(b[..SealedDatagram.HeaderBytes], again);
            return Fate.Accepted;
        });
    }

    [Fact]
    public void Heads_of_path_builds()
    {
        byte[] build = new byte[BuildMessage.RequestBytes];
        BuildMessage.WriteHeader(build, (byte)RequestKind.Build, PathHandle.FromWire(0x0102_0304_0506_0708));

        // Ten kilobytes are copied for each: fewer than of the others.
        ParserFuzz.Run("build message", Inputs / 4, [build], 0, b =>
        {
            if (!BuildMessage.TryRead(b, out byte kind, out PathHandle handle)) return Fate.Refused;
            Span<byte> head = stackalloc byte[BuildMessage.HeaderBytes];
            BuildMessage.WriteHeader(head, kind, handle);
            Same(b[..head.Length], head);
            return Fate.Accepted;
        });
    }

    // ---- sessions ----

    [Fact]
    public void Records_and_their_fragments()
    {
        byte[] content = new byte[600], work = new byte[RecordLayout.ContentBytes];
        RecordLayout.WriteHeader(content, RecordType.Quic, 200);
        RecordLayout.WriteHeader(content.AsSpan(203), RecordType.Session, 33);
        new RecordFragment(RecordType.Udp, 7, RecordFragment.First).Write(content.AsSpan(239), 40);
        byte[] one = new byte[300];
        RecordLayout.WriteHeader(one, RecordType.Ip, 297);
        ParserFuzz.Run("records", Inputs, [content, one], 0, b =>
        {
            if (b.Length > work.Length) return Fate.Refused;
            b.CopyTo(work);
            var reader = new RecordReader(work.AsSpan(0, b.Length));
            int records = 0, bytes = 0;
            while (reader.TryRead(out RecordType type, out Span<byte> record))
            {
                records++;
                bytes += RecordLayout.HeaderBytes + record.Length;
                if (type == RecordType.Fragment && RecordFragment.TryRead(record, out RecordFragment part, out ReadOnlySpan<byte> rest)) Assert.True(part.Part <= RecordFragment.Last && rest.Length == record.Length - RecordFragment.HeaderBytes);
            }

            if (bytes > b.Length) throw new InvalidDataException("more than there was");
            return reader.Malformed ? records > 0 ? Fate.Past : Fate.Refused : Fate.Accepted;
        });
    }

    [Fact]
    public void Fragments_are_put_together_within_their_slots()
    {
        const int Slots = 64;
        using var slab = new PinnedBlock(Slots * RecordAssembler.SlotBytes);
        var drops = new DropCounters();
        var assembler = new RecordAssembler(slab, 0, Slots, drops);
        byte[] first = [(byte)RecordType.Ip, 0, 3, RecordFragment.First, .. new byte[40]], last = [(byte)RecordType.Ip, 0, 3, RecordFragment.Last, .. new byte[100]], longest = [(byte)RecordType.Udp, 0, 4, RecordFragment.Last, .. new byte[1352]];
        Instant now = Instant.Zero;
        int turn = 0;

        // Both parts once, so that what the runtime makes at its first comparison of paths is made.
        assembler.TryAdd(new PathRef(0, new PathNumber(0, 1)), first, now, out _, out _, out _);
        Assert.True(assembler.TryAdd(new PathRef(0, new PathNumber(0, 1)), last, now, out _, out _, out _));
        assembler.Release();
        ParserFuzz.Run("fragments", Inputs, [first, last, longest], 0, b =>
        {
            turn++;
            if (turn % 64 == 0) now += TimeSpan.FromMilliseconds(20);
            var path = new PathRef(0, new PathNumber(turn * 7 % 12, 1));
            assembler.Expire(now);
            long before = drops.Total;
            int waiting = assembler.Waiting;
            bool whole = assembler.TryAdd(path, b, now, out RecordType type, out int offset, out int length);
            if (whole && (type is not (RecordType.Ip or RecordType.Quic or RecordType.Udp) || offset < 0 || length > RecordLayout.MaxBytes || offset + length > slab.Length)) throw new InvalidDataException("a record beyond its slot");
            if (!whole && drops.Total == before && assembler.Waiting != waiting + 1) throw new InvalidDataException("a part went without a count");
            assembler.Release();
            return whole ? Fate.Accepted : RecordFragment.TryRead(b, out _, out _) ? Fate.Past : Fate.Refused;
        });
    }

    // ---- directory ----

    [Fact]
    public void Ranges_of_a_comparison()
    {
        RosterEntry[] entries = [.. Enumerable.Range(0, 60).Select(i => new RosterEntry(new RouterId(Draw(32)), $"operator-{i}"))];
        var members = new ItemSet(entries.Select(SetItem.Of));
        var contacts = new ItemSet(entries.Select(e => new SetItem(e.Id, new UInt128(1, _dice.NextUInt64()), Now, "")));
        foreach ((DirectorySet kind, ItemSet set) in new[] { (DirectorySet.Members, members), (DirectorySet.Contacts, contacts) })
        {
            byte[] split = Written(kind, w => w.Split(set, 0, set.Count, 16, default, last: true));
            byte[] list = Written(kind, w => w.List(set.Range(0, 10), default, last: true));
            byte[] mixed = Written(kind, w =>
            {
                w.Same(set.Range(0, 60)[20].Id, last: false);
                w.Want(set.Range(0, 60)[40].Id, last: false);
                w.Fingerprint(set.Fingerprint(40, 60), default, last: true);
            });
            ParserFuzz.Run($"ranges of {kind}", Inputs / 2, [split, list, mixed], 4096, b =>
            {
                var reader = new RangeReader(b, kind);
                int ranges = 0;
                while (reader.TryNext(out ReadRange range))
                {
                    ranges++;
                    Assert.InRange(range.ItemCount, 0, RangeReader.MaxItems);
                    ReadOnlySpan<byte> items = range.Items;
                    for (int i = 0; i < range.ItemCount && reader.TryItem(ref items, out _); i++)
                    {
                    }
                }

                return reader.Ended ? Fate.Accepted : ranges > 0 ? Fate.Past : Fate.Refused;
            });

            // What is answered and what is asked next stays inside of the room that was given.
            ParserFuzz.Run($"questions about {kind}", Inputs / 10, [split, mixed, list], 256 * 1024, b =>
            {
                if (ReconcileAnswer.Write(b, set, kind, 8192) is not { } answer) return b.Length > 2 ? Fate.Past : Fate.Refused;
                Assert.InRange(answer.Length, 0, 8192);
                return Fate.Accepted;
            });
            ParserFuzz.Run($"answers about {kind}", Inputs / 10, [split, mixed, list], 256 * 1024, b =>
            {
                var session = new ReconcileSession(set, kind);
                byte[]? next = session.Read(b);
                Assert.InRange(session.Theirs.Count, 0, RelayRoster.MaxRelays);
                Assert.InRange(next?.Length ?? 0, 0, 32 * 1024);
                return next is null ? b.Length > 2 ? Fate.Past : Fate.Refused : Fate.Accepted;
            });
        }
    }

    [Fact]
    public void Contacts_one_after_another()
    {
        byte[] one = Contact(1).Encoded.ToArray(), two = Contact(2).Encoded.ToArray();
        ParserFuzz.Run("contacts", Inputs / 4, [[.. one, .. two], one], 16 * 1024, b =>
        {
            ReadOnlySpan<byte> rest = b;
            int taken = 0, good = 0;
            while (DirectoryMessages.TryTakeContact(ref rest, out ReadOnlySpan<byte> encoded))
            {
                taken++;
                if (RouterContact.TryDecode(encoded, out RouterContact? contact) != ContactFault.None) continue;
                good++;
                Same(encoded, contact!.Encoded);
            }

            return taken == 0 ? Fate.Refused : good > 0 && rest.IsEmpty ? Fate.Accepted : Fate.Past;
        });
    }

    [Fact]
    public void The_directorys_file_behind_its_checksum()
    {
        byte[] network = new byte[32];
        var roster = new RelayRoster([new RosterEntry(Contact(1).Id, "one"), new RosterEntry(new RouterId(Draw(32)), "two")]);
        byte[] file = DirectoryCache.Write(network, roster, [Contact(1)], Now);
        ParserFuzz.Run("directory's file", Inputs / 4, [file], 16 * 1024, b =>
        {
            if (!DirectoryCache.TryRead(b, network, out DirectoryCache? cache)) return b.Length >= 88 ? Fate.Past : Fate.Refused;
            Assert.InRange(cache!.Contacts.Count, 0, 2);
            return Fate.Accepted;
        }, repair: b =>
        {
            if (b.Length >= 32) SHA256.HashData(b[..^32], b[^32..]);
        });
    }

    // ---- hidden services ----

    [Fact]
    public void Messages_to_introduction_and_rendezvous_relays()
    {
        byte[][] valid = [.. Enumerable.Range(1, 11).Select(i =>
        {
            byte[] content = new byte[RecordLayout.ContentBytes];
            content[0] = (byte)i;
            Draw(MeetingMessage.LengthOf((MeetingType)i) - 1).CopyTo(content, 1);
            return content;
        })];
        ParserFuzz.Run("meeting message", Inputs, valid, 0, b =>
        {
            if (!MeetingMessage.TryRead(b, out MeetingType type, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> body)) return !b.IsEmpty && MeetingMessage.LengthOf(type) is > 0 and int needed && b.Length >= needed ? Fate.Past : Fate.Refused;
            Assert.True(name.Length == MeetingMessage.NameBytes && body.Length == MeetingMessage.LengthOf(type) - MeetingMessage.HeadBytes);
            return Fate.Accepted;
        });
        byte[] datagram = new byte[60];
        ServiceUdp.Write(3, 53, Draw(50), datagram);
        ParserFuzz.Run("service's datagram", Inputs, [datagram], 0, b => !ServiceUdp.TryRead(b, out _, out _, out ReadOnlySpan<byte> payload) ? b.Length >= ServiceUdp.HeadBytes ? Fate.Past : Fate.Refused
            : payload.Length == b.Length - ServiceUdp.HeadBytes ? Fate.Accepted : throw new InvalidDataException("a payload of other bytes"));
    }

    [Fact]
    public void Answers_with_introsets()
    {
        using var key = new ServiceKey(Draw(32));
        using BlindedKey blinded = key.Blind(20_454, new byte[32]);
        using OnionKeyPair session = OnionKeyPair.Create(_dice);
        var content = new IntrosetContent
        {
            SessionX = session.XPublic.ToArray(), SessionKem = session.KemPublic.ToArray(), SessionKeyId = session.Id, EffortSeed = Draw(32),
            Introductions = [new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32)))],
        };
        byte[] introset = Introset.Create(blinded, key.Address, content, [], 1, 1_767_230_000, _dice).Encoded.ToArray();
        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, introset.Length);
        ParserFuzz.Run("introset", Inputs / 2, [introset], 16 * 1024, b =>
        {
            if (!Introset.TryRead(b, out Introset? read)) return b.Length == introset.Length ? Fate.Past : Fate.Refused;
            Same(b, read!.Encoded);
            return Fate.Accepted;
        });
        ParserFuzz.Run("introset answer", Inputs / 4, [[.. length, .. introset], [.. length, .. introset, .. length, .. introset]], 64 * 1024, b =>
        {
            List<Introset> found = IntrosetRequests.ReadAnswer(b);
            Assert.InRange(found.Count, 0, Introset.MaxInstances);
            return found.Count > 0 ? Fate.Accepted : b.Length >= 4 ? Fate.Past : Fate.Refused;
        });
    }

    // ---- QUIC and TLS ----

    [Fact]
    public void Heads_of_quic_packets()
    {
        byte[] initial = [0xC3, 0, 0, 0, 1, 8, .. Draw(8), 8, .. Draw(8), 0x40, 0x10, .. Draw(16), 0x44, 0x00, .. new byte[1024]];
        byte[] handshake = [0xE3, 0, 0, 0, 1, 8, .. Draw(8), 8, .. Draw(8), 0x40, 0x40, .. new byte[64], .. initial];
        byte[] retry = [0xF0, 0, 0, 0, 1, 0, 8, .. Draw(8), .. Draw(40)], versions = [0x80, 0, 0, 0, 0, 8, .. Draw(8), 8, .. Draw(8), 0, 0, 0, 1], plain = [0x43, .. Draw(40)];
        ParserFuzz.Run("QUIC packet", Inputs, [initial, handshake, retry, versions, plain], 0, b =>
        {
            int packets = 0;
            while (!b.IsEmpty)
            {
                if (!PacketHeader.TryRead(b, out PacketHeader header)) return packets > 0 || b.Length > 9 ? Fate.Past : Fate.Refused;
                if (header.PacketLength <= 0 || header.PacketLength > b.Length || header.NumberOffset > b.Length) throw new InvalidDataException("a packet beyond its datagram");
                packets++;
                b = b[header.PacketLength..];
            }

            return packets > 0 ? Fate.Accepted : Fate.Refused;
        });
    }

    [Fact]
    public void Transport_parameters_and_tokens()
    {
        byte[] client = new TransportParameters { InitialSource = new ConnectionId([1, 2, 3]), MaxData = 5, MaxStreamsBidi = 9 }.Encode();
        byte[] server = new TransportParameters { InitialSource = new ConnectionId([1, 2, 3]), OriginalDestination = new ConnectionId([4, 5, 6, 7, 8, 9, 1, 2]), StatelessResetToken = new byte[16], MaxData = 1 << 20 }.Encode();
        bool fromServer = false;
        ParserFuzz.Run("transport parameters", Inputs, [client, server], 1024, b =>
        {
            fromServer = !fromServer;
            return TransportParameters.TryDecode(b, fromServer) is not null ? Fate.Accepted : b.Length > 2 ? Fate.Past : Fate.Refused;
        });
        using var protection = new RetryProtection(_dice);
        byte[] token = new byte[RetryProtection.MaxTokenBytes];
        var at = Instant.FromMilliseconds(1);
        token = token[..protection.WriteToken(new ConnectionId([1, 2, 3, 4, 5, 6, 7, 8]), QuicPair.ClientAddress, at, token)];
        ParserFuzz.Run("Retry token", Inputs / 2, [token], 0, b =>
        {
            if (!protection.TryReadToken(b, QuicPair.ClientAddress, TimeSpan.FromSeconds(10), at, out _)) return b.Length >= 37 ? Fate.Past : Fate.Refused;
            Same(b, token);
            return Fate.Accepted;
        });
    }

    [Fact]
    public void Messages_of_tls()
    {
        using TlsIdentity identity = TlsIdentity.Create(_dice);
        var hellos = new List<byte[]>();
        foreach (ushort group in (ushort[])[TlsGroup.X25519, TlsGroup.X25519MlKem768])
        {
            using TlsSession client = TlsSession.Client(new TlsClientOptions { Identity = identity, Alpn = [LinkOptions.Alpn], Groups = [group] }, [1, 2, 3], _dice);
            client.Start();
            Assert.True(client.TryTakeOutput(out _, out byte[] hello));
            hellos.Add(hello[4..]);
        }

        ParserFuzz.Run("TLS ClientHello", Inputs, [.. hellos], 4096, b => ClientHello.TryParse(b, out _, out string reason) == TlsAlert.None ? Fate.Accepted : reason.Length == 0 ? throw new InvalidDataException("an alert without a reason") : b.Length >= 40 ? Fate.Past : Fate.Refused);
        using TlsSession server = TlsSession.Server(new TlsServerOptions { Identity = identity, Alpn = [LinkOptions.Alpn], RequireClientKey = true, Groups = [TlsGroup.X25519] }, [1], _dice);
        Assert.Equal(0, server.HandleCrypto(EncryptionLevel.Initial, [1, 0, (byte)(hellos[0].Length >> 8), (byte)hellos[0].Length, .. hellos[0]]));
        Assert.True(server.TryTakeOutput(out _, out byte[] answer));
        ParserFuzz.Run("TLS ServerHello", Inputs, [answer[4..]], 4096, b => ServerHello.TryParse(b, out _, out string reason) == TlsAlert.None ? Fate.Accepted : reason.Length == 0 ? throw new InvalidDataException("an alert without a reason") : b.Length >= 38 ? Fate.Past : Fate.Refused);

        byte[] spki = new byte[TlsPeerKey.SpkiBytes];
        TlsPeerKey.WriteSpki(identity.PublicKey, spki);
        byte[] certificate = Certificate(spki);
        ParserFuzz.Run("TLS raw key", Inputs / 4, [spki], 4096, b => TlsPeerKey.FromRawKey(b, out TlsPeerKey? key) == TlsAlert.None ? key is null ? throw new InvalidDataException("no key") : Fate.Accepted : b.Length > 1 && b[0] == 0x30 ? Fate.Past : Fate.Refused);
        ParserFuzz.Run("TLS certificate", Inputs / 4, [certificate], 8192, b => TlsPeerKey.FromCertificate(b, out TlsPeerKey? key) == TlsAlert.None ? key is null ? throw new InvalidDataException("no key") : Fate.Accepted : b.Length > 1 && b[0] == 0x30 ? Fate.Past : Fate.Refused);
    }

    // A certificate of the form alone: names, dates and signature are not looked at.
    private static byte[] Certificate(byte[] spki)
    {
        static byte[] Der(byte tag, params byte[] content) => content.Length < 128 ? [tag, (byte)content.Length, .. content] : [tag, 0x81, (byte)content.Length, .. content];
        byte[] body = Der(0x30, [.. Der(0xA0, Der(2, 2)), .. Der(2, 5), .. Der(0x30), .. Der(0x30), .. Der(0x30), .. Der(0x30), .. spki]);
        return Der(0x30, [.. body, .. Der(0x30), .. Der(3, 0, 1)]);
    }

    private static byte[] Open(byte[] suites, int proof) => new LinkHello { Shards = 2, UnixMilliseconds = 5, Suites = suites, Proof = new byte[proof] }.ToOpen()[3..];

    private static byte[] Accept(byte shards, int proof) => new LinkHello { Shards = shards, UnixMilliseconds = 5, Suites = [1], Proof = new byte[proof], Indexes = [.. Enumerable.Range(1, 2 * shards).Select(i => (uint)(i * 65537))] }.ToAccept()[3..];

    private static byte[] Written(DirectorySet set, Action<RangeWriter> write)
    {
        var writer = new RangeWriter(set, 4096);
        write(writer);
        return writer.Bytes.ToArray();
    }

    private static RouterContact Contact(int number)
    {
        var entropy = new SeededEntropy((ulong)number);
        using RouterIdentity identity = RouterIdentity.Create(entropy);
        using OnionKeyPair key = OnionKeyPair.Create(entropy);
        return RouterContact.Create(identity, key, RouterCapabilities.Relay, [UdpAddress.FromBytes([127, (byte)number, 0, 1], 1090)], "region", "operator", Now - 1, Now + 1000);
    }

    private static void Same(ReadOnlySpan<byte> read, ReadOnlySpan<byte> written)
    {
        if (!read.SequenceEqual(written)) throw new InvalidDataException("what was read is written otherwise");
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillSecret(bytes);
        return bytes;
    }
}
