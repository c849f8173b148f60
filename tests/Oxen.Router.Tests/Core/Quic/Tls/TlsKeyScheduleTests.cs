using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

public class TlsKeyScheduleTests
{
    private static readonly HashAlgorithmName Sha256 = HashAlgorithmName.SHA256;

    // RFC 8448 section 3
    [Fact]
    public void The_published_trace_comes_out_secret_by_secret()
    {
        using TlsTranscript transcript = new();
        transcript.Append(Rfc8448.ClientHello);
        transcript.Choose(Sha256);
        transcript.Append(Rfc8448.ServerHello);
        byte[] helloHash = Current(transcript);
        Equal(Rfc8448.HelloHash, helloHash);

        byte[] early = new byte[32], handshake = new byte[32], master = new byte[32];
        TlsKeySchedule.EarlySecret(Sha256, early);
        Equal(Rfc8448.EarlySecret, early);
        TlsKeySchedule.NextSecret(Sha256, early, Rfc8448.Shared, handshake);
        Equal(Rfc8448.HandshakeSecret, handshake);
        TlsKeySchedule.MasterSecret(Sha256, handshake, master);
        Equal(Rfc8448.MasterSecret, master);

        byte[] client = Expand(handshake, "c hs traffic", helloHash, 32);
        byte[] server = Expand(handshake, "s hs traffic", helloHash, 32);
        Equal(Rfc8448.ClientHandshakeSecret, client);
        Equal(Rfc8448.ServerHandshakeSecret, server);
        Equal(Rfc8448.ClientHandshakeKey, Expand(client, "key", [], 16));
        Equal(Rfc8448.ClientHandshakeIv, Expand(client, "iv", [], 12));
        Equal(Rfc8448.ServerHandshakeKey, Expand(server, "key", [], 16));
        Equal(Rfc8448.ServerHandshakeIv, Expand(server, "iv", [], 12));
        Equal(Rfc8448.ServerFinishedKey, Expand(server, "finished", [], 32));
        Equal(Rfc8448.ClientFinishedKey, Expand(client, "finished", [], 32));

        transcript.Append(Rfc8448.EncryptedExtensions);
        transcript.Append(Rfc8448.Certificate);
        transcript.Append(Rfc8448.CertificateVerify);
        byte[] verify = new byte[32];
        TlsKeySchedule.FinishedMac(Sha256, server, Current(transcript), verify);
        Assert.Equal(Rfc8448.ServerFinished[4..], verify);

        transcript.Append(Rfc8448.ServerFinished);
        byte[] flightHash = Current(transcript);
        Equal(Rfc8448.ClientApplicationSecret, Expand(master, "c ap traffic", flightHash, 32));
        Equal(Rfc8448.ServerApplicationSecret, Expand(master, "s ap traffic", flightHash, 32));
        Equal(Rfc8448.ExporterSecret, Expand(master, "exp master", flightHash, 32));
        TlsKeySchedule.FinishedMac(Sha256, client, flightHash, verify);
        Assert.Equal(Rfc8448.ClientFinished[4..], verify);
    }

    // The trace's client: its private key and the server's share give the secret that the trace starts from.
    [Fact]
    public void The_traces_key_exchange_agrees()
    {
        using TlsKeyShare share = new(TlsGroup.X25519, new FixedEntropy(Rfc8448.ClientPrivate));
        Assert.True(Rfc8448.ClientHello.AsSpan().IndexOf(share.Public) > 0);
        byte[] secret = new byte[64];
        Assert.True(share.TryFinish(Rfc8448.ServerShare, secret, out int bytes));
        Assert.Equal(Rfc8448.Shared, secret[..bytes]);
    }

    // The trace's certificate holds an RSA key: what ordinary servers show us in interoperation.
    [Fact]
    public void The_traces_certificate_verify_holds_and_a_flipped_bit_does_not()
    {
        using TlsTranscript transcript = new();
        transcript.Choose(Sha256);
        foreach (byte[] message in (byte[][])[Rfc8448.ClientHello, Rfc8448.ServerHello, Rfc8448.EncryptedExtensions, Rfc8448.Certificate]) transcript.Append(message);
        byte[] content = [.. Enumerable.Repeat((byte)' ', 64), .. "TLS 1.3, server CertificateVerify"u8, 0, .. Current(transcript)];
        Assert.Equal(0, TlsPeerKey.FromCertificate(Rfc8448.Certificate.AsSpan()[11..^2], out TlsPeerKey? key));
        byte[] signature = Rfc8448.CertificateVerify[8..];
        Assert.Equal(TlsAlert.None, key!.Verify(TlsSignatureScheme.RsaPssRsaeSha256, content, signature));
        Assert.Equal(TlsAlert.IllegalParameter, key.Verify(TlsSignatureScheme.EcdsaP256Sha256, content, signature));
        signature[5] ^= 1;
        Assert.Equal(TlsAlert.DecryptError, key.Verify(TlsSignatureScheme.RsaPssRsaeSha256, content, signature));
        Assert.Equal(TlsAlert.DecryptError, key.Verify(TlsSignatureScheme.RsaPssRsaeSha256, content, []));
    }

    // RFC 9001 appendix A.1 and A.5
    [Fact]
    public void The_labels_of_QUIC_give_RFC_9001s_keys()
    {
        byte[] initial = new byte[32];
        TlsKeySchedule.HkdfExtract(Sha256, Convert.FromHexString("8394c8f03e515708"), Convert.FromHexString("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"), initial);
        byte[] client = Expand(initial, "client in", [], 32);
        Equal("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", client);
        Equal("1f369613dd76d5467730efcbe3b1a22d", Expand(client, "quic key", [], 16));
        Equal("fa044b2f42a3fd3b46fb255c", Expand(client, "quic iv", [], 12));
        Equal("9f50449e04a0e810283a1e9933adedd2", Expand(client, "quic hp", [], 16));

        byte[] secret = Convert.FromHexString("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
        Equal("c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8", Expand(secret, "quic key", [], 32));
        Equal("1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9", Expand(secret, "quic ku", [], 32));
    }

    [Theory]
    [InlineData("SHA256")]
    [InlineData("SHA384")]
    public void Our_expansion_equals_the_librarys_at_every_length(string name)
    {
        HashAlgorithmName hash = new(name);
        SeededEntropy random = new(1);
        byte[] secret = new byte[TlsKeySchedule.HashBytes(hash)];
        for (int length = 0; length <= 300; length++)
        {
            byte[] label = new byte[random.Next(40)], context = new byte[random.Next(100)], ours = new byte[length], theirs = new byte[length];
            random.FillSecret(secret);
            random.FillPublic(label);
            random.FillPublic(context);
            TlsKeySchedule.HkdfExpandLabel(hash, secret, label, context, ours);
            if (length == 0) continue;
            byte[] info = [(byte)(length >> 8), (byte)length, (byte)(6 + label.Length), .. "tls13 "u8, .. label, (byte)context.Length, .. context];
            HKDF.Expand(hash, secret, theirs, info);
            Assert.Equal(theirs, ours);
        }
    }

    [Fact]
    public void Expansion_allocates_nothing()
    {
        byte[] secret = new byte[48], output = new byte[48];
        Assert.Equal(0, AllocationAssert.Measure(() =>
        {
            TlsKeySchedule.HkdfExpandLabel(HashAlgorithmName.SHA256, secret.AsSpan(0, 32), "quic key"u8, [], output.AsSpan(0, 16));
            TlsKeySchedule.HkdfExpandLabel(HashAlgorithmName.SHA384, secret, "quic ku"u8, [], output);
        }));
    }

    private static void Equal(string hex, byte[] bytes) => Assert.Equal(hex, Convert.ToHexStringLower(bytes));

    private static byte[] Current(TlsTranscript transcript) => transcript.Current(new byte[48]).ToArray();

    private static byte[] Expand(byte[] secret, string label, byte[] context, int length)
    {
        byte[] output = new byte[length];
        TlsKeySchedule.HkdfExpandLabel(Sha256, secret, System.Text.Encoding.ASCII.GetBytes(label), context, output);
        return output;
    }

    private sealed class FixedEntropy(byte[] bytes) : Router.Core.IEntropy
    {
        public void FillPublic(Span<byte> destination) => bytes.CopyTo(destination);

        public void FillSecret(Span<byte> destination) => bytes.CopyTo(destination);
    }
}
