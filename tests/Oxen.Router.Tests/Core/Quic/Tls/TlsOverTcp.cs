using System.Buffers.Binary;
using System.Net.Sockets;
using System.Security.Cryptography;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Tests.Core.Quic.Tls;

// TLS records (RFC 8446 section 5) around a session, so that it can meet TLS programs that do not speak QUIC:
//
//   type 1 | 0303 2 | length 2 | handshake bytes                      before there are keys
//   23     | 0303 2 | length 2 | AEAD(handshake bytes, type 1), tag 16

/// <summary>Drives one session over a TCP connection until its handshake ends.</summary>
internal sealed class TlsOverTcp(TlsSession session, NetworkStream stream)
{
    private readonly Dictionary<EncryptionLevel, Protection> _ours = [];
    private readonly Dictionary<EncryptionLevel, Protection> _theirs = [];

    /// <summary>0, our alert, or 1000 + the peer's.</summary>
    public int Run()
    {
        if (session.IsClient) session.Start();
        Flush();
        while (!session.IsHandshakeComplete)
        {
            int alert = ReadRecord();
            if (alert != 0) return alert;
            Flush();
        }

        return 0;
    }

    /// <summary>Reads one more record with the application keys; a ticket, say.</summary>
    public int ReadRecord()
    {
        byte[] header = new byte[5];
        stream.ReadExactly(header);
        byte[] body = new byte[BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(3))];
        stream.ReadExactly(body);
        byte type = header[0];
        EncryptionLevel level = EncryptionLevel.Initial;
        ReadOnlySpan<byte> content = body;
        if (type == 20) return 0;       // change_cipher_spec, which means nothing
        if (type == 23)
        {
            level = session.IsHandshakeComplete ? EncryptionLevel.Application : EncryptionLevel.Handshake;
            content = _theirs[level].Open(header, body);
            type = content[^1];
            content = content[..^1];
        }

        if (type == 21) return 1000 + content[1];
        Assert.Equal(22, type);
        return session.HandleCrypto(level, content);
    }

    private void Flush()
    {
        while (session.TryTakeSecrets(out TlsSecrets secrets))
        {
            _ours[secrets.Level] = new Protection(secrets.Suite, session.IsClient ? secrets.ClientSecret : secrets.ServerSecret);
            _theirs[secrets.Level] = new Protection(secrets.Suite, session.IsClient ? secrets.ServerSecret : secrets.ClientSecret);
        }

        while (session.TryTakeOutput(out EncryptionLevel level, out byte[] bytes))
        {
            if (level == EncryptionLevel.Initial) stream.Write([22, 3, 3, (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes]);
            else stream.Write(_ours[level].Seal(bytes));
        }
    }

    private sealed class Protection
    {
        private readonly TlsCipherSuite _suite;
        private readonly byte[] _key;
        private readonly byte[] _iv = new byte[12];
        private ulong _number;

        public Protection(TlsCipherSuite suite, byte[] secret)
        {
            _suite = suite;
            _key = new byte[suite == TlsCipherSuite.Aes128GcmSha256 ? 16 : 32];
            TlsKeySchedule.HkdfExpandLabel(suite.Hash(), secret, "key"u8, [], _key);
            TlsKeySchedule.HkdfExpandLabel(suite.Hash(), secret, "iv"u8, [], _iv);
        }

        public byte[] Seal(byte[] handshake)
        {
            byte[] inner = [.. handshake, 22];
            byte[] record = new byte[5 + inner.Length + 16];
            int length = inner.Length + 16;
            ((byte[])[23, 3, 3, (byte)(length >> 8), (byte)length]).CopyTo(record, 0);
            Span<byte> ciphertext = record.AsSpan(5, inner.Length), tag = record.AsSpan(5 + inner.Length);
            if (_suite == TlsCipherSuite.ChaCha20Poly1305Sha256)
            {
                using ChaCha20Poly1305 aead = new(_key);
                aead.Encrypt(Nonce(), inner, ciphertext, tag, record.AsSpan(0, 5));
            }
            else
            {
                using AesGcm aead = new(_key, 16);
                aead.Encrypt(Nonce(), inner, ciphertext, tag, record.AsSpan(0, 5));
            }

            return record;
        }

        public byte[] Open(byte[] header, byte[] body)
        {
            byte[] inner = new byte[body.Length - 16];
            if (_suite == TlsCipherSuite.ChaCha20Poly1305Sha256)
            {
                using ChaCha20Poly1305 aead = new(_key);
                aead.Decrypt(Nonce(), body.AsSpan(0, inner.Length), body.AsSpan(inner.Length), inner, header);
            }
            else
            {
                using AesGcm aead = new(_key, 16);
                aead.Decrypt(Nonce(), body.AsSpan(0, inner.Length), body.AsSpan(inner.Length), inner, header);
            }

            return inner;
        }

        private byte[] Nonce()
        {
            byte[] nonce = [.. _iv];
            for (int i = 0; i < 8; i++) nonce[4 + i] ^= (byte)(_number >> 56 - 8 * i);
            _number++;
            return nonce;
        }
    }
}
