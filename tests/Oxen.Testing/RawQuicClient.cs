using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Protection;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Testing;

/// <summary>
/// A QUIC client without rules: makes a true handshake with a server endpoint, then seals whatever frames a test gives it.
/// Built from TLS and packet keys alone, it shares no state machine with the engine under test.
/// </summary>
internal sealed class RawQuicClient : IDisposable
{
    private readonly QuicEndpoint _server;
    private readonly TlsSession _tls;
    private readonly byte[] _source = [0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8];
    private readonly PacketKeys?[] _read = new PacketKeys?[3];
    private readonly PacketKeys?[] _write = new PacketKeys?[3];
    private readonly HeaderKey?[] _readHeader = new HeaderKey?[3];
    private readonly HeaderKey?[] _writeHeader = new HeaderKey?[3];
    private readonly long[] _next = new long[3];
    private readonly long[] _largest = [-1, -1, -1];
    private readonly long[] _cryptoSent = new long[3];
    private readonly SortedDictionary<long, byte[]>[] _cryptoIn = [[], [], []];
    private readonly long[] _cryptoRead = new long[3];
    private byte[] _destination;

    public RawQuicClient(QuicEndpoint server, UdpAddress address, TlsClientOptions tls, ulong seed, Action<TransportParameters>? change = null)
    {
        _server = server;
        Address = address;
        var entropy = new SeededEntropy(seed);
        _destination = new byte[8];
        entropy.FillPublic(_destination);
        var parameters = new TransportParameters
        {
            InitialSource = new ConnectionId(_source),
            MaxData = 1 << 20, MaxStreamDataBidiLocal = 1 << 18, MaxStreamDataBidiRemote = 1 << 18, MaxStreamDataUni = 1 << 18,
            MaxStreamsBidi = 10, MaxStreamsUni = 10,
        };
        change?.Invoke(parameters);
        _tls = TlsSession.Client(tls, parameters.Encode(), entropy);
        byte[] client = new byte[32], serverSecret = new byte[32];
        InitialSecrets.Derive(_destination, client, serverSecret);
        Install(0, TlsCipherSuite.Aes128GcmSha256, client, serverSecret);
        _tls.Start();
    }

    public UdpAddress Address { get; }

    public Instant Now { get; set; } = Instant.FromMilliseconds(1);

    public bool IsComplete => _tls.IsHandshakeComplete;

    public long BytesSent { get; private set; }

    public long BytesReceived { get; private set; }

    public long DatagramsReceived { get; private set; }

    /// <summary>The server's id for this connection.</summary>
    public ReadOnlySpan<byte> Destination => _destination;

    /// <summary>Runs the handshake to its end (no loss between the two).</summary>
    public QuicConnection Shake()
    {
        for (int i = 0; i < 10 && !IsComplete; i++)
        {
            SendTls();
            Receive();
        }

        SendTls();
        Receive();
        if (!_server.TryAccept(out QuicConnection connection)) throw new InvalidOperationException("no handshake");
        return connection;
    }

    /// <summary>Sends what TLS has to say.</summary>
    public void SendTls()
    {
        while (_tls.TryTakeSecrets(out TlsSecrets secrets)) Install((int)secrets.Level, secrets.Suite, secrets.ClientSecret, secrets.ServerSecret);
        while (_tls.TryTakeOutput(out EncryptionLevel level, out byte[] bytes))
        {
            for (int at = 0; at < bytes.Length; at += 1000)
            {
                byte[] part = bytes[at..Math.Min(bytes.Length, at + 1000)];
                Send((int)level, [0x06, .. Number((ulong)_cryptoSent[(int)level]), .. Number((ulong)part.Length), .. part]);
                _cryptoSent[(int)level] += part.Length;
            }
        }
    }

    /// <summary>Seals frames in a packet of a level (0 Initial, 1 Handshake, 2 1-RTT) and hands the datagram to the server.</summary>
    public void Send(int level, byte[] frames, byte firstByteOr = 0)
    {
        byte[] datagram = Seal(level, frames, firstByteOr);
        Deliver(datagram);
    }

    public void Deliver(byte[] datagram)
    {
        BytesSent += datagram.Length;
        _server.HandleDatagram(datagram, Address, Now);
    }

    public byte[] Seal(int level, byte[] frames, byte firstByteOr = 0)
    {
        int wanted = level == 0 ? 1200 - 1 - 4 - 1 - _destination.Length - 1 - 8 - 1 - 2 - 4 - 16 : 0;
        if (frames.Length < wanted) frames = [.. frames, .. new byte[wanted - frames.Length]];
        byte[] head;
        if (level == 2) head = [(byte)(0x43 | firstByteOr), .. _destination];
        else
        {
            byte[] length = new byte[2];
            Varint.WriteTwo(length, 4 + frames.Length + 16);
            head = [(byte)((level == 0 ? 0xC3 : 0xE3) | firstByteOr), 0, 0, 0, 1, (byte)_destination.Length, .. _destination, 8, .. _source, .. (byte[])(level == 0 ? [0] : []), .. length];
        }

        long number = _next[level]++;
        byte[] packet = [.. head, (byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number, .. frames, .. new byte[16]];
        _write[level]!.Seal(packet, head.Length + 4, number);
        byte[] mask = new byte[5];
        _writeHeader[level]!.Mask(packet.AsSpan(head.Length + 4, 16), mask);
        packet[0] ^= (byte)(mask[0] & (level == 2 ? 0x1F : 0x0F));
        for (int i = 0; i < 4; i++) packet[head.Length + i] ^= mask[1 + i];
        return packet;
    }

    /// <summary>Takes everything that the server has to send now.</summary>
    public void Receive()
    {
        byte[] buffer = new byte[65536];
        while (_server.TryTransmit(buffer, out int bytes, out int segment, out UdpAddress to, Now))
        {
            if (to != Address) continue;
            BytesReceived += bytes;
            for (int at = 0; at < bytes; at += segment)
            {
                DatagramsReceived++;
                Open(buffer.AsSpan(at, Math.Min(segment, bytes - at)));
            }
        }
    }

    public static byte[] Number(ulong value)
    {
        byte[] to = new byte[8];
        return to[..Varint.Write(to, value)];
    }

    public void Dispose() => _tls.Dispose();

    private void Open(Span<byte> rest)
    {
        while (!rest.IsEmpty && PacketHeader.TryRead(rest, out PacketHeader header))
        {
            Span<byte> packet = rest[..header.PacketLength];
            rest = rest[header.PacketLength..];
            int level = header.Kind switch { PacketKind.Initial => 0, PacketKind.Handshake => 1, PacketKind.OneRtt => 2, _ => -1 };
            if (level < 0) continue;
            if (level < 2) _destination = header.Source.ToArray();
            while (_tls.TryTakeSecrets(out TlsSecrets secrets)) Install((int)secrets.Level, secrets.Suite, secrets.ClientSecret, secrets.ServerSecret);
            if (_read[level] is null) continue;
            byte[] mask = new byte[5];
            _readHeader[level]!.Mask(packet.Slice(header.NumberOffset + 4, 16), mask);
            packet[0] ^= (byte)(mask[0] & (level == 2 ? 0x1F : 0x0F));
            int length = (packet[0] & 3) + 1;
            for (int i = 0; i < length; i++) packet[header.NumberOffset + i] ^= mask[1 + i];
            long number = PacketNumber.Decode(_largest[level], PacketNumber.ReadTruncated(packet[header.NumberOffset..], length), length);
            if (!_read[level]!.Open(packet, header.NumberOffset + length, number)) continue;
            _largest[level] = Math.Max(_largest[level], number);
            if (level < 2) Frames(level, packet[(header.NumberOffset + length)..^16]);
        }
    }

    private void Frames(int level, ReadOnlySpan<byte> payload)
    {
        while (!payload.IsEmpty)
        {
            byte type = payload[0];
            payload = payload[1..];
            switch (type)
            {
                case 0 or 1:
                    continue;
                case 2:
                    Varint.TryRead(ref payload, out _);
                    Varint.TryRead(ref payload, out _);
                    Varint.TryRead(ref payload, out ulong ranges);
                    for (ulong i = 0; i < 1 + 2 * ranges; i++) Varint.TryRead(ref payload, out _);
                    continue;
                case 6:
                    Varint.TryRead(ref payload, out ulong offset);
                    Varint.TryRead(ref payload, out ulong size);
                    _cryptoIn[level][(long)offset] = payload[..(int)size].ToArray();
                    payload = payload[(int)size..];
                    while (_cryptoIn[level].TryGetValue(_cryptoRead[level], out byte[]? next))
                    {
                        _cryptoRead[level] += next.Length;
                        byte alert = _tls.HandleCrypto((EncryptionLevel)level, next);
                        if (alert != 0) throw new InvalidOperationException($"alert {alert}");
                    }

                    continue;
                default:
                    return;
            }
        }
    }

    private void Install(int level, TlsCipherSuite suite, byte[] client, byte[] server)
    {
        _write[level] = new PacketKeys(suite, client);
        _writeHeader[level] = PacketKeys.DeriveHeaderKey(suite, client);
        _read[level] = new PacketKeys(suite, server);
        _readHeader[level] = PacketKeys.DeriveHeaderKey(suite, server);
    }
}
