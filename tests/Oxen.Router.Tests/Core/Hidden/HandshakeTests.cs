using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Packets;
using Oxen.Router.Native.Sodium;
using Oxen.Router.Tests.Reference;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Hidden;

public sealed class HandshakeTests : IDisposable
{
    private readonly SeededEntropy _dice = new(21);
    private readonly OnionKeyPair _key;
    private readonly IntrosetContent _content;
    private readonly byte[] _subcredential;
    private readonly RouterId _rendezvous;
    private readonly byte[] _cookie;

    public HandshakeTests()
    {
        _key = OnionKeyPair.Create(_dice);
        _content = new IntrosetContent
        {
            SessionX = _key.XPublic.ToArray(), SessionKem = _key.KemPublic.ToArray(), SessionKeyId = _key.Id, EffortSeed = Draw(32),
            Introductions = [new IntroductionPoint(new RouterId(Draw(32)), new RouterId(Draw(32)))],
        };
        _subcredential = Draw(32);
        _rendezvous = new RouterId(Draw(32));
        _cookie = Draw(32);
    }

    public void Dispose() => _key.Dispose();

    [Fact]
    public void Both_sides_come_to_the_same_keys_and_the_slow_reference_with_them()
    {
        using ClientHandshake client = ClientHandshake.Create(_content, _subcredential, _rendezvous, _cookie, null, _dice)!;
        byte[] introduction = client.Introduction;
        using ServiceHandshake service = ServiceHandshake.TryOpen(introduction, _key, _subcredential)!;
        Assert.Equal(_rendezvous, service.Rendezvous);
        Assert.Equal(_cookie, service.Cookie.ToArray());
        Assert.False(service.Continues);
        byte[] quic = Draw(32), answer = new byte[IntroductionFormat.AnswerBytes];
        using JointKeys ours = service.Answer(quic, continued: false, answer, _dice)!;
        Assert.True(client.TryReadAnswer(answer, out JointKeys? theirs, out byte[] told, out bool continued));
        Assert.Equal(quic, told);
        Assert.False(continued);

        // The reference knows the service's secrets and nothing of our code.
        byte[] share = introduction[36..68], kem = new byte[32];
        byte[] sharedStatic = SlowHidden.X25519(_key.XSecret.ToArray(), share);
        Assert.True(MlKem768.Decapsulate(introduction.AsSpan(68, 1088), _key.KemSecret, kem));
        byte[] hash = SlowHidden.IntroductionHash(introduction, _subcredential, _content.SessionX, _content.SessionKem);
        byte[] part = SlowHidden.Open(SlowHidden.SealKey(sharedStatic, kem, hash), introduction[1156..])!;
        Assert.Equal([.. _rendezvous.ToArray(), .. _cookie, 1, 0, .. new byte[62]], part);
        byte[] id = SHA256.HashData([.. "oxen onion key v1"u8, .. _content.SessionX, .. _content.SessionKem]);
        Assert.Equal(id[..8], introduction[..8]);
        Assert.Equal(_content.EffortSeed[..8], introduction[8..16]);

        // What the client's ephemeral key gives with the service's share, both ways: from the answer the reference takes the share alone.
        Assert.Equal(ours.AnswerKey.ToArray(), theirs!.AnswerKey.ToArray());
        Assert.Equal(ours.ClientToService.ToArray(), theirs.ClientToService.ToArray());
        Assert.Equal(ours.ServiceToClient.ToArray(), theirs.ServiceToClient.ToArray());
        Assert.Equal(ours.SessionId.ToArray(), theirs.SessionId.ToArray());
        theirs.Dispose();
    }

    [Fact]
    public void A_service_of_the_slow_reference_is_understood()
    {
        using ClientHandshake client = ClientHandshake.Create(_content, _subcredential, _rendezvous, _cookie, null, _dice)!;
        byte[] introduction = client.Introduction, kem = new byte[32], ephemeral = Draw(32), quic = Draw(32);
        byte[] sharedStatic = SlowHidden.X25519(_key.XSecret.ToArray(), introduction[36..68]);
        Assert.True(MlKem768.Decapsulate(introduction.AsSpan(68, 1088), _key.KemSecret, kem));
        byte[] hash = SlowHidden.IntroductionHash(introduction, _subcredential, _content.SessionX, _content.SessionKem);
        byte[] share = SlowHidden.X25519Public(ephemeral);
        byte[] final = SlowHidden.Final(sharedStatic, kem, SlowHidden.X25519(ephemeral, introduction[36..68]), introduction, hash, share);
        byte[] answer = [.. share, .. SlowHidden.Seal(final[..32], [.. quic, .. new byte[32]])];
        Assert.True(client.TryReadAnswer(answer, out JointKeys? keys, out byte[] told, out _));
        Assert.Equal(quic, told);
        Assert.Equal(final[32..64], keys!.ClientToService.ToArray());
        Assert.Equal(final[64..96], keys.ServiceToClient.ToArray());
        Assert.Equal(final[96..128], keys.Continuation.ToArray());
        Assert.Equal(final[128..], keys.SessionId.ToArray());

        // Its packets too.
        using var seal = new JointSeal(keys, isClient: true);
        byte[] records = Draw(200), content = new byte[JointSeal.ContentBytes];
        byte[] nonce = [0, 0, 0, 0, .. SlowHidden.Big(3)];
        byte[] packet = [.. SlowHidden.Big(3), .. SlowHidden.Seal(final[64..96], [.. records, .. new byte[JointSeal.InnerBytes - 200]], nonce)];
        Assert.Equal(JointSeal.ContentBytes, packet.Length);
        Assert.Equal(DropReason.None, seal.Open(packet));
        Assert.Equal(records, packet[8..208]);
        records.CopyTo(content, 8);
        Assert.True(seal.Seal(content, 200));
        Assert.Equal([.. SlowHidden.Big(0), .. SlowHidden.Seal(final[32..64], [.. records, .. new byte[JointSeal.InnerBytes - 200]])], content);
        keys.Dispose();
    }

    [Fact]
    public void No_byte_of_introduction_or_answer_may_change()
    {
        using ClientHandshake client = ClientHandshake.Create(_content, _subcredential, _rendezvous, _cookie, null, _dice)!;
        for (int at = 0; at < IntroductionFormat.Bytes; at += 13)
        {
            byte[] changed = [.. client.Introduction];
            changed[at] ^= 8;

            // Seed, effort and proof are judged before, and are not sealed: another proof does not make another introduction.
            bool clear = at is >= IntroductionFormat.SeedHeadAt and < IntroductionFormat.ShareAt;
            using ServiceHandshake? opened = ServiceHandshake.TryOpen(changed, _key, _subcredential);
            Assert.Equal(clear, opened is not null);
        }

        using ServiceHandshake service = ServiceHandshake.TryOpen(client.Introduction, _key, _subcredential)!;
        byte[] answer = new byte[IntroductionFormat.AnswerBytes];
        service.Answer(Draw(32), false, answer, _dice)!.Dispose();
        for (int at = 0; at < answer.Length; at++)
        {
            byte[] changed = [.. answer];
            changed[at] ^= 8;
            Assert.False(client.TryReadAnswer(changed, out _, out _, out _));
        }

        Assert.False(client.TryReadAnswer(answer.AsSpan(1), out _, out _, out _));
        Assert.Null(ServiceHandshake.TryOpen(client.Introduction, _key, Draw(32))); // who does not know the address
        using OnionKeyPair other = OnionKeyPair.Create(_dice);
        Assert.Null(ServiceHandshake.TryOpen(client.Introduction, other, _subcredential));
        byte[] zeros = new byte[IntroductionFormat.AnswerBytes];
        Assert.False(client.TryReadAnswer(zeros, out _, out _, out _)); // a share of small order
    }

    [Fact]
    public void A_session_is_continued_by_who_held_it_and_by_nobody_else()
    {
        JointKeys session = Keys();
        using ClientHandshake client = ClientHandshake.Create(_content, _subcredential, _rendezvous, _cookie, session, _dice)!;
        using ServiceHandshake service = ServiceHandshake.TryOpen(client.Introduction, _key, _subcredential)!;
        Assert.True(service.Continues);
        Assert.Equal(session.SessionId.ToArray(), service.SessionId.ToArray());
        Assert.True(service.ProvesSession(session));
        using JointKeys stranger = Keys();
        Assert.False(service.ProvesSession(stranger));
        byte[] answer = new byte[IntroductionFormat.AnswerBytes];
        using JointKeys fresh = service.Answer(Draw(32), continued: true, answer, _dice)!;
        Assert.True(client.TryReadAnswer(answer, out JointKeys? theirs, out _, out bool continued));
        Assert.True(continued);
        Assert.NotEqual(session.ClientToService.ToArray(), theirs!.ClientToService.ToArray());
        theirs.Dispose();
        session.Dispose();
    }

    [Fact]
    public void Packets_open_once_in_any_order_and_only_at_the_other_side()
    {
        using JointKeys keys = Keys();
        using var client = new JointSeal(keys, isClient: true);
        using var service = new JointSeal(keys, isClient: false);
        byte[][] packets = [.. Enumerable.Range(0, 40).Select(i =>
        {
            byte[] content = new byte[JointSeal.ContentBytes];
            content[8] = (byte)i;
            Assert.True(client.Seal(content, 1));
            return content;
        })];
        Assert.Equal(DropReason.JointAuthentication, client.Open([.. packets[0]])); // reflected
        foreach (int i in Enumerable.Range(0, 40).OrderBy(i => (i * 7) % 40))
        {
            byte[] copy = [.. packets[i]], again = [.. packets[i]], touched = [.. packets[i]];
            touched[600] ^= 1;
            Assert.Equal(DropReason.JointAuthentication, service.Open(touched));
            Assert.Equal(DropReason.None, service.Open(copy));
            Assert.Equal(i, copy[8]);
            Assert.Equal(DropReason.JointReplay, service.Open(again));
        }

        Assert.Equal(DropReason.BadLength, service.Open(new byte[JointSeal.ContentBytes - 1]));
        byte[] old = new byte[JointSeal.ContentBytes];
        for (int i = 0; i < 8300; i++) client.Seal(old, 1);
        Assert.Equal(DropReason.None, service.Open(old));
        byte[] late = new byte[JointSeal.ContentBytes];
        BinaryPrimitives.WriteUInt64BigEndian(late, 41);
        Assert.Equal(DropReason.JointReplay, service.Open(late)); // behind the window
        Assert.Equal(1332, JointSeal.MaxRecordBytes);
    }

    private JointKeys Keys()
    {
        using ClientHandshake client = ClientHandshake.Create(_content, _subcredential, _rendezvous, Draw(32), null, _dice)!;
        using ServiceHandshake service = ServiceHandshake.TryOpen(client.Introduction, _key, _subcredential)!;
        return service.Answer(Draw(32), false, new byte[IntroductionFormat.AnswerBytes], _dice)!;
    }

    private byte[] Draw(int length)
    {
        byte[] bytes = new byte[length];
        _dice.FillSecret(bytes);
        return bytes;
    }
}
