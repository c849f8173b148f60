using Oxen.Router.Core;
using Oxen.Router.Core.Links;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Router.Core.Sessions;
using Oxen.Router.Hosting;
using Oxen.Router.Native;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>Link messages, records and session messages of any bytes: no exception, and nothing believed that has no proof.</summary>
public sealed class SessionFuzz : IExitSessionEvents
{
    private readonly SeededEntropy _dice = new(SimWorld.SeedOr(21));

    [Fact]
    public void Hello_messages_of_any_bytes_are_read_or_refused()
    {
        byte[] open = new LinkHello { Shards = 2, UnixMilliseconds = 5, Suites = [1, 2, 3], Proof = new byte[32] }.ToOpen()[3..];
        byte[] accept = new LinkHello { Shards = 2, UnixMilliseconds = 5, Suites = [1], Proof = [], Indexes = [1, 2, 3, 4] }.ToAccept()[3..];
        int read = 0;
        for (int i = 0; i < 300_000; i++)
        {
            ReadOnlySpan<byte> bytes = Mutate(i % 2 == 0 ? open : accept);
            if (LinkHello.TryParseOpen(bytes, out LinkHello hello, out _))
            {
                Assert.InRange(hello.Shards, 1, LinkHello.MaxShards);
                Assert.InRange(hello.Suites.Length, 1, LinkHello.MaxSuites);
                read++;
            }

            if (LinkHello.TryParseAccept(bytes, 2, out hello))
            {
                Assert.Equal(2 * hello.Shards, hello.Indexes.Length);
                read++;
            }

            LinkHello.TryParseReady(bytes, 4, out _);
            BuildMessage.TryRead(bytes, out _, out _);
        }

        Assert.True(read > 1000);
    }

    [Fact]
    public void A_terminal_takes_any_content()
    {
        using var block = new PinnedBlock(64 * PacketRing.SlotBytes);
        var ring = new PacketRing(block, 0, 64);
        var drops = new DropCounters();
        using TlsIdentity identity = TlsIdentity.Create(_dice);
        using var exit = new ExitSessions(identity, RouterNode.PathTransport, [new PathOutlet(ring, drops)], this, _dice, drops);
        Instant now = Instant.Zero;
        for (int path = 0; path < 8; path++)
            exit.OnPathReady(new PathReady { Path = new PathRef(0, new PathNumber(path, 1)), End = PathEnd.Terminal, Class = SizeClass.Full, SessionSecret = new byte[32], Transcript = new byte[32], Expires = Instant.Never }, now);
        byte[] content = new byte[RecordLayout.ContentBytes];
        int[] lengths = [SessionMessage.OpenBytes, SessionMessage.AttachBytes, SessionMessage.ActivateBytes, SessionMessage.CloseBytes, 1, 0, 200, 1356];
        byte[] known = new byte[SessionMessage.IdBytes];
        for (int i = 0; i < 100_000; i++)
        {
            content.AsSpan().Clear();
            int at = 0;
            for (int records = _dice.Next(5); records >= 0 && at < 1000; records--)
            {
                int length = _dice.Next(20) == 0 ? _dice.Next(65536) : lengths[_dice.Next(lengths.Length)];
                content[at] = (byte)_dice.Next(6);
                content[at + 1] = (byte)(length >> 8);
                content[at + 2] = (byte)length;
                int room = Math.Min(length, content.Length - at - 3);
                _dice.FillPublic(content.AsSpan(at + 3, room));
                if (room > 17)
                {
                    content[at + 3] = (byte)(_dice.Next(10));
                    if (_dice.Next(3) > 0) known.CopyTo(content, at + 4);
                }

                at += 3 + room;
            }

            exit.HandleDelivery(0, new PacketTag { Subject = _dice.Next(9), Generation = 1, Command = _dice.Next(20) == 0 ? (byte)_dice.Next(256) : EndCommand.Records, Length = content.Length }, content, now);
            exit.Transmit(now);
            while (ring.TryTake(out PacketTag tag, out int offset))
            {
                // OPENED tells an id that the next messages name.
                Span<byte> said = block.Slice(offset + PacketRing.Headroom, tag.Length);
                if (tag.Length > 20 && said[0] == (byte)RecordType.Session && said[3] == (byte)SessionMessageType.Opened) said.Slice(4, 16).CopyTo(known);
            }

            ring.ReleaseTaken();
            if (i % 100 == 0)
            {
                now += TimeSpan.FromMilliseconds(100);
                exit.HandleTimeout(now);
            }
        }

        Assert.InRange(exit.Count, 0, 8 * 1000);
        Assert.True(drops[DropReason.BadRecord] > 1000);
    }

    void ISessionEvents.OnQuic(in QuicEvent happened, Instant now)
    {
    }

    void ISessionEvents.OnUdp(long owner, ReadOnlySpan<byte> record, Instant now)
    {
    }

    void IExitSessionEvents.OnSessionClosed(long session, Instant now)
    {
    }

    private ReadOnlySpan<byte> Mutate(byte[] message)
    {
        byte[] bytes = [.. message, 0, 0];
        for (int i = _dice.Next(4); i > 0; i--) bytes[_dice.Next(bytes.Length)] = (byte)_dice.Next(256);
        return bytes.AsSpan(0, _dice.Next(2) == 0 ? message.Length : _dice.Next(bytes.Length));
    }
}
