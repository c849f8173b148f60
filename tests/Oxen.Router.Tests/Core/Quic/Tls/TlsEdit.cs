using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>Takes honest handshake messages apart and puts dishonest ones together.</summary>
internal static class TlsEdit
{
    internal sealed class Extensions : List<(ushort Type, byte[] Body)>
    {
        public byte[] this[ushort type]
        {
            get => Find(e => e.Type == type).Body;
            set
            {
                int i = FindIndex(e => e.Type == type);
                if (i < 0) Add((type, value));
                else this[i] = (type, value);
            }
        }

        public void Drop(ushort type) => Assert.Equal(1, RemoveAll(e => e.Type == type));
    }

    /// <summary>The messages of a flight.</summary>
    public static List<byte[]> Split(byte[] flight)
    {
        List<byte[]> messages = [];
        for (int at = 0; at < flight.Length;)
        {
            int length = 4 + (flight[at + 1] << 16 | flight[at + 2] << 8 | flight[at + 3]);
            messages.Add(flight[at..(at + length)]);
            at += length;
        }

        return messages;
    }

    /// <summary>The message again, with its extensions edited and the lengths made right.</summary>
    public static byte[] WithExtensions(byte[] message, Action<Extensions> edit)
    {
        int start = ExtensionsStart(message);
        Extensions extensions = [];
        for (int at = start + 2; at < message.Length;)
        {
            int length = message[at + 2] << 8 | message[at + 3];
            extensions.Add(((ushort)(message[at] << 8 | message[at + 1]), message[(at + 4)..(at + 4 + length)]));
            at += 4 + length;
        }

        edit(extensions);
        TlsWriter writer = new();
        writer.Bytes(message.AsSpan(4, start - 4));
        TlsWriter.Vector block = writer.Begin(2);
        foreach ((ushort type, byte[] body) in extensions)
        {
            TlsWriter.Vector extension = writer.BeginExtension(type);
            writer.Bytes(body);
            writer.End(extension);
        }

        writer.End(block);
        return Message(message[0], writer.Written);
    }

    public static byte[] Message(byte type, ReadOnlySpan<byte> body)
    {
        TlsWriter writer = new();
        TlsWriter.Vector message = writer.BeginMessage(type);
        writer.Bytes(body);
        writer.End(message);
        return writer.Written.ToArray();
    }

    /// <summary>A Certificate message with these entries, each without extensions.</summary>
    public static byte[] Certificate(params byte[][] entries)
    {
        TlsWriter writer = new();
        writer.U8(0);
        TlsWriter.Vector list = writer.Begin(3);
        foreach (byte[] entry in entries)
        {
            TlsWriter.Vector content = writer.Begin(3);
            writer.Bytes(entry);
            writer.End(content);
            writer.U16(0);
        }

        writer.End(list);
        return Message(TlsMessageType.Certificate, writer.Written);
    }

    public static byte[] Spki(ReadOnlySpan<byte> key)
    {
        byte[] spki = new byte[TlsPeerKey.SpkiBytes];
        TlsPeerKey.WriteSpki(key, spki);
        return spki;
    }

    private static int ExtensionsStart(byte[] message)
    {
        if (message[0] == TlsMessageType.EncryptedExtensions) return 4;
        if (message[0] == TlsMessageType.CertificateRequest) return 5;
        int at = 4 + 2 + 32;
        at += 1 + message[at];
        if (message[0] == TlsMessageType.ServerHello) return at + 3;
        at += 2 + (message[at] << 8 | message[at + 1]);
        return at + 1 + message[at];
    }
}
