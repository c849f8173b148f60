using System.Buffers.Binary;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Sessions;

namespace Oxen.Router.Tests.Core.Sessions;

/// <summary>The rules of docs/protocol/session.md at the terminal, one by one.</summary>
public sealed class ExitSessionsTests : IDisposable
{
    private readonly SessionRig _rig = new();
    private byte[] _id = [];
    private byte[] _key = [];

    [Fact]
    public void Opened_proves_the_paths_secret()
    {
        _rig.AddExitPath(1);
        byte[] opened = Assert.Single(_rig.Ask(1, Open(7)));
        Assert.Equal((byte)SessionMessageType.Opened, opened[0]);
        byte[] key = SessionMessage.DeriveKey(SessionRig.Secret(1), Random(7), opened.AsSpan(17, 32));
        byte[] mac = new byte[32];
        SessionMessage.OpenedMac(key, opened.AsSpan(1, 16), SessionRig.Transcript(1), mac);
        Assert.Equal(mac, opened[49..]);
        SessionMessage.OpenedMac(key, opened.AsSpan(1, 16), SessionRig.Transcript(2), mac);
        Assert.NotEqual(mac, opened[49..]);
    }

    [Fact]
    public void A_repeated_open_gets_the_same_answer_and_a_second_one_none()
    {
        _rig.AddExitPath(1);
        byte[] first = Assert.Single(_rig.Ask(1, Open(7)));
        Assert.Equal(first, Assert.Single(_rig.Ask(1, Open(7))));
        Assert.Empty(_rig.Ask(1, Open(8)));
        Assert.Equal(1, _rig.Exit.Count);
    }

    [Fact]
    public void Attach_needs_the_mac_of_this_path_and_sequence()
    {
        Begin();
        _rig.AddExitPath(2);
        _rig.AddExitPath(3);
        Assert.Empty(_rig.Ask(2, Attach(3, 1)));                                  // made for another path
        byte[] wrong = Attach(2, 1);
        wrong[17 + 7] ^= 1;                                                       // another sequence
        Assert.Empty(_rig.Ask(2, wrong));
        Assert.Equal(2, _rig.Drops[DropReason.BadRecord]);
        byte[] attached = Assert.Single(_rig.Ask(2, Attach(2, 1)));
        byte[] mac = new byte[32];
        SessionMessage.AttachedMac(_key, SessionRig.Transcript(2), 1, mac);
        Assert.Equal(mac, attached[9..]);
        Assert.Equal(attached, Assert.Single(_rig.Ask(2, Attach(2, 1))));         // repeated
    }

    [Fact]
    public void Activate_counts_on_an_attached_path_above_all_before_it()
    {
        Begin();
        _rig.AddExitPath(2);
        Assert.Empty(_rig.Ask(2, Activate(5)));                                   // not attached
        _rig.Ask(2, Attach(2, 1));
        Assert.Equal(5UL, Sequence(Assert.Single(_rig.Ask(2, Activate(5)))));
        Assert.Empty(_rig.Ask(1, Activate(4)));                                   // overtaken: traffic stays
        Assert.Equal(5UL, Sequence(Assert.Single(_rig.Ask(2, Activate(3)))));     // stale, on the path that is active anyway
        Assert.Equal(6UL, Sequence(Assert.Single(_rig.Ask(1, Activate(6)))));
    }

    [Fact]
    public void A_fifth_path_takes_the_place_of_the_oldest_that_is_not_in_use()
    {
        Begin();
        for (int path = 2; path <= 4; path++)
        {
            _rig.AddExitPath(path);
            Assert.Single(_rig.Ask(path, Attach(path, (ulong)path)));
        }

        _rig.AddExitPath(5);
        Assert.Single(_rig.Ask(5, Attach(5, 5)));
        Assert.Empty(_rig.Ask(2, Activate(9)));        // let go
        Assert.Single(_rig.Ask(1, Activate(10)));      // was in use
        Assert.Single(_rig.Ask(3, Activate(11)));
        Assert.Single(_rig.Ask(2, Attach(2, 2)));      // and may come back
        Assert.Single(_rig.Ask(2, Activate(12)));
    }

    [Fact]
    public void A_session_that_is_not_there_is_unknown()
    {
        _rig.AddExitPath(1);
        _id = new byte[16];
        _key = new byte[32];
        foreach (byte[] message in new[] { Attach(1, 1), Activate(1), Close() })
        {
            byte[] unknown = Assert.Single(_rig.Ask(1, message));
            Assert.Equal((byte)SessionMessageType.Unknown, unknown[0]);
            Assert.Equal(_id, unknown[1..]);
        }
    }

    [Fact]
    public void Close_counts_on_a_path_of_the_session_only()
    {
        Begin();
        _rig.AddExitPath(2);
        _rig.Ask(2, Close());
        Assert.Equal(1, _rig.Exit.Count);
        _rig.Ask(1, Close());
        Assert.Equal(0, _rig.Exit.Count);
        Assert.Contains("closed", _rig.Told);
    }

    [Fact]
    public void A_session_outlives_its_last_path_by_a_minute()
    {
        Begin();
        _rig.RemoveExitPath(1);
        _rig.Now += TimeSpan.FromSeconds(59);
        _rig.Exit.HandleTimeout(_rig.Now);
        Assert.Equal(1, _rig.Exit.Count);
        _rig.Now += TimeSpan.FromSeconds(1);
        Assert.True(_rig.Exit.NextDeadline <= _rig.Now);
        _rig.Exit.HandleTimeout(_rig.Now);
        Assert.Equal(0, _rig.Exit.Count);
        Assert.True(_rig.Exit.NextDeadline > _rig.Now);
    }

    [Fact]
    public void Many_sessions_that_end_together_all_end()
    {
        for (int path = 1; path <= 200; path++)
        {
            _rig.AddExitPath(path);
            _rig.Ask(path, Open((byte)path));
            _rig.RemoveExitPath(path);
        }

        Assert.Equal(200, _rig.Exit.Count);
        _rig.Now += TimeSpan.FromSeconds(61);
        _rig.Exit.HandleTimeout(_rig.Now);
        Assert.Equal(0, _rig.Exit.Count);
    }

    [Fact]
    public void Records_without_a_session_are_counted()
    {
        _rig.AddExitPath(1);
        byte[] content = new byte[RecordLayout.ContentBytes];
        content[0] = (byte)RecordType.Udp;
        content[2] = 1;
        var tag = new PacketTag { Subject = 1, Generation = 1, Command = EndCommand.Records };
        _rig.Exit.HandleDelivery(0, tag, content, _rig.Now);
        Assert.Equal(1, _rig.Drops[DropReason.UnknownSession]);
        tag.Generation = 2;
        _rig.Exit.HandleDelivery(0, tag, content, _rig.Now);
        Assert.Equal(1, _rig.Drops[DropReason.UnknownPath]);
        tag.Generation = 1;
        tag.Command = 77;
        _rig.Exit.HandleDelivery(0, tag, content, _rig.Now);
        Assert.Equal(1, _rig.Drops[DropReason.BadCommand]);
    }

    [Fact]
    public void A_message_of_another_length_or_type_is_counted()
    {
        Begin();
        foreach (byte[] message in new byte[][] { [], [0], [1, 2], [9], Open(1)[..^1], [.. Close(), 0], [(byte)SessionMessageType.Opened] }) Assert.Empty(_rig.Ask(1, message));
        Assert.Equal(7, _rig.Drops[DropReason.BadRecord]);
    }

    public void Dispose() => _rig.Dispose();

    private static byte[] Random(byte seed) => [.. Enumerable.Repeat(seed, 32)];

    private static byte[] Open(byte seed) => [(byte)SessionMessageType.Open, .. Random(seed)];

    private static ulong Sequence(byte[] message) => BinaryPrimitives.ReadUInt64BigEndian(message.AsSpan(1));

    private void Begin()
    {
        _rig.AddExitPath(1);
        byte[] opened = Assert.Single(_rig.Ask(1, Open(7)));
        _id = opened[1..17];
        _key = SessionMessage.DeriveKey(SessionRig.Secret(1), Random(7), opened.AsSpan(17, 32));
    }

    private byte[] Attach(int path, ulong sequence)
    {
        byte[] message = new byte[SessionMessage.AttachBytes];
        message[0] = (byte)SessionMessageType.Attach;
        _id.CopyTo(message, 1);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(17), sequence);
        SessionMessage.AttachMac(_key, SessionRig.Transcript(path), sequence, message.AsSpan(25));
        return message;
    }

    private byte[] Activate(ulong sequence)
    {
        byte[] message = new byte[SessionMessage.ActivateBytes];
        message[0] = (byte)SessionMessageType.Activate;
        _id.CopyTo(message, 1);
        BinaryPrimitives.WriteUInt64BigEndian(message.AsSpan(17), sequence);
        return message;
    }

    private byte[] Close() => [(byte)SessionMessageType.Close, .. _id];
}
