using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

// Every rule that a peer breaks is answered with the code that the RFC names; every queue that it feeds has an end.
public sealed class QuicViolationTests : IDisposable
{
    private readonly QuicPair _pair = new(77);
    private RawQuicClient? _client;

    public static TheoryData<string, ulong, string> Violations => new()
    {
        { "HANDSHAKE_DONE from a client", QuicError.ProtocolViolation, "1e" },
        { "NEW_TOKEN from a client", QuicError.ProtocolViolation, "070401020304" },
        { "an unknown frame", QuicError.FrameEncoding, "21" },
        { "an unknown long frame type", QuicError.FrameEncoding, "5fff" },
        { "a frame type in two bytes", QuicError.ProtocolViolation, "4001" },
        { "a cut frame", QuicError.FrameEncoding, "0400" },
        { "STREAM beyond its window", QuicError.FlowControl, "0e00801000000100" },
        { "STREAM beyond 2^62", QuicError.FrameEncoding, "0e00ffffffffffffffff0100" },
        { "STREAM on a stream over the limit", QuicError.StreamLimit, "0a41900100" },
        { "STREAM on a unidirectional stream over the limit", QuicError.StreamLimit, "0a40420100" },
        { "STREAM on the server's unidirectional stream", QuicError.StreamState, "0a030100" },
        { "STREAM on a stream that the server has not opened", QuicError.StreamState, "0a010100" },
        { "MAX_STREAM_DATA for a stream that the server only reads", QuicError.StreamState, "110205" },
        { "STOP_SENDING for a stream that the server only reads", QuicError.StreamState, "050200" },
        { "RESET_STREAM on a stream that the server only writes", QuicError.StreamState, "04030000" },
        { "STREAM_DATA_BLOCKED on a stream that the server only writes", QuicError.StreamState, "150300" },
        { "a byte behind the end", QuicError.FinalSize, "0b000100" + "0e00050100" },
        { "an end before what came", QuicError.FinalSize, "0e00090100" + "0f000100" },
        { "two ends", QuicError.FinalSize, "0b00020000" + "0f000400" },
        { "RESET_STREAM with another final size", QuicError.FinalSize, "0b00020000" + "04000005" },
        { "RESET_STREAM beyond the window", QuicError.FlowControl, "0400008fffffff" },
        { "MAX_STREAMS over 2^60", QuicError.FrameEncoding, "12d000000000000001" },
        { "STREAMS_BLOCKED over 2^60", QuicError.FrameEncoding, "16d000000000000001" },
        { "NEW_CONNECTION_ID without an id", QuicError.FrameEncoding, "18010000" + "00000000000000000000000000000000" },
        { "NEW_CONNECTION_ID with 21 bytes", QuicError.FrameEncoding, "18010015" + "000000000000000000000000000000000000000000" + "00000000000000000000000000000000" },
        { "NEW_CONNECTION_ID that retires more than there is", QuicError.FrameEncoding, "18010208" + "0102030405060708" + "00000000000000000000000000000000" },
        { "one sequence number with two ids", QuicError.ProtocolViolation, "18010008" + "0102030405060708" + "00000000000000000000000000000000" + "18010008" + "0102030405060709" + "00000000000000000000000000000000" },
        { "one id with two sequence numbers", QuicError.ProtocolViolation, "18010008" + "0102030405060708" + "00000000000000000000000000000000" + "18020008" + "0102030405060708" + "00000000000000000000000000000000" },
        { "RETIRE_CONNECTION_ID of none that was issued", QuicError.ProtocolViolation, "1909" },
        { "RETIRE_CONNECTION_ID of the one in use", QuicError.ProtocolViolation, "1900" },
        { "PATH_RESPONSE that nobody asked for", QuicError.ProtocolViolation, "1b0102030405060708" },
        { "ACK of what was never sent", QuicError.ProtocolViolation, "02bfffffff000000" },
        { "ACK range below zero", QuicError.FrameEncoding, "0200000005" },
        { "ACK gap below zero", QuicError.FrameEncoding, "02000001000505" },
        { "CRYPTO beyond the buffer", QuicError.CryptoBufferExceeded, "06800200000100" },
        { "TLS message out of place", QuicError.CryptoBase + 10, "06000414000000" },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public void A_broken_rule_closes_with_its_code(string rule, ulong code, string frames)
    {
        QuicConnection connection = Shake();
        _client!.Send(2, Convert.FromHexString(frames));
        Assert.True(connection.IsClosed, rule);
        Assert.Equal(QuicCloseReason.LocalError, connection.Stats.CloseReason);
        Assert.Equal(code, connection.Stats.CloseError);
    }

    [Fact]
    public void Reserved_bits_close_the_connection()
    {
        QuicConnection connection = Shake();
        _client!.Send(2, [1], firstByteOr: 0x18);
        Assert.Equal(QuicError.ProtocolViolation, connection.Stats.CloseError);
    }

    [Theory]
    [InlineData("0a000100")]
    [InlineData("1001")]
    [InlineData("1e")]
    [InlineData("1d0000")]
    public void Frames_of_1_RTT_in_an_Initial_packet_are_a_violation(string frames)
    {
        _client = new RawQuicClient(_pair.Server.Endpoint, QuicPair.ClientAddress, _pair.Tls, 5);
        _client.Send(0, Convert.FromHexString(frames));
        Assert.Equal(QuicError.ProtocolViolation, Assert.Single(_pair.Server.Endpoint.Connections).Stats.CloseError);
    }

    [Fact]
    public void Transport_parameters_that_break_a_rule_are_refused()
    {
        (Action<TransportParameters> Change, ulong Code)[] cases =
        [
            (p => p.MaxUdpPayload = 1199, QuicError.TransportParameter),
            (p => p.AckDelayExponent = 21, QuicError.TransportParameter),
            (p => p.MaxAckDelayMs = 1 << 14, QuicError.TransportParameter),
            (p => p.ActiveConnectionIdLimit = 1, QuicError.TransportParameter),
            (p => p.MaxStreamsBidi = (1UL << 60) + 1, QuicError.TransportParameter),
            (p => p.StatelessResetToken = new byte[16], QuicError.TransportParameter),
            (p => p.OriginalDestination = new Oxen.Router.Core.Quic.Packets.ConnectionId([1]), QuicError.TransportParameter),
            (p => p.InitialSource = new Oxen.Router.Core.Quic.Packets.ConnectionId([1]), QuicError.TransportParameter),
            (p => p.InitialSource = null, QuicError.TransportParameter),
        ];
        for (int i = 0; i < cases.Length; i++)
        {
            using var pair = new QuicPair(5);
            using var client = new RawQuicClient(pair.Server.Endpoint, QuicPair.ClientAddress, pair.Tls, (ulong)i, cases[i].Change);
            client.SendTls();
            QuicConnection connection = Assert.Single(pair.Server.Endpoint.Connections);
            Assert.Equal(cases[i].Code, connection.Stats.CloseError);
        }
    }

    [Fact]
    public void A_flood_of_PATH_CHALLENGE_costs_eight_answers_a_turn()
    {
        QuicConnection connection = Shake();
        byte[] frames = new byte[9 * 100];
        for (int i = 0; i < 100; i++) frames[9 * i] = 0x1A;
        byte[][] flood = [.. Enumerable.Range(0, 1000).Select(_ => _client!.Seal(2, frames))];
        int at = 0;
        Assert.InRange(AllocationAssert.Measure(() => _client!.Deliver(flood[at++]), times: 900, warmUp: 100), 0, 16 * 1024);
        Assert.False(connection.IsClosed);
        long before = _client!.BytesReceived;
        _client.Receive();
        Assert.InRange(_client.BytesReceived - before, 1200, 2600);
    }

    [Fact]
    public void A_flood_of_NEW_CONNECTION_ID_ends_at_twice_the_limit()
    {
        QuicConnection connection = Shake();
        ulong sequence = 1;
        for (; sequence < 1000 && !connection.IsClosed; sequence++)
        {
            byte[] id = BitConverter.GetBytes(sequence);
            _client!.Send(2, [0x18, .. RawQuicClient.Number(sequence), .. RawQuicClient.Number(sequence), 8, .. id, .. new byte[16]]);
        }

        Assert.Equal(QuicError.ConnectionIdLimit, connection.Stats.CloseError);
        Assert.True(sequence <= 10);
    }

    [Fact]
    public void CRYPTO_gaps_do_not_grow_without_bound()
    {
        _client = new RawQuicClient(_pair.Server.Endpoint, QuicPair.ClientAddress, _pair.Tls, 5);
        for (uint offset = 60_000; offset > 2; offset -= 2)
        {
            _client.Send(0, [0x06, .. RawQuicClient.Number(offset), 0x01, 0x00]);
            if (_pair.Server.Endpoint.Connections.Single().IsClosed) break;
        }

        Assert.Equal(QuicError.CryptoBufferExceeded, _pair.Server.Endpoint.Connections.Single().Stats.CloseError);
    }

    [Fact]
    public void ACK_range_bombs_are_cheap_and_harmless()
    {
        QuicConnection connection = Shake();
        Assert.True(connection.TryOpenStream(true, out long stream));
        connection.Write(stream, new byte[100_000]);
        _client!.Receive();
        byte[] bomb = [0x02, .. RawQuicClient.Number(4), 0x00, 0x41, 0x00, 0x00, .. new byte[512]];
        for (int i = 0; i < 2000; i++) _client.Send(2, bomb);
        Assert.Equal(QuicError.FrameEncoding, connection.Stats.CloseError);   // 256 ranges do not fit below packet 4
    }

    [Fact]
    public void Gaps_in_a_stream_are_bounded_by_its_window()
    {
        QuicConnection connection = Shake();
        for (uint offset = 1_000_000; offset > 1 && !connection.IsClosed; offset -= 2)
        {
            byte[] frames = [];
            for (int i = 0; i < 100 && offset > 200; i++, offset -= 2) frames = [.. frames, 0x0E, 0x00, .. RawQuicClient.Number(offset), 0x01, 0x00];
            _client!.Send(2, frames);
        }

        Assert.Equal(QuicError.InternalError, connection.Stats.CloseError);
    }

    [Fact]
    public void Stream_data_in_any_order_is_read_in_order()
    {
        QuicConnection connection = Shake();
        _client!.Send(2, [0x0F, 0x00, 0x03, 0x02, 4, 5]);
        _client.Send(2, [0x0E, 0x00, 0x01, 0x02, 2, 3]);
        byte[] into = new byte[10];
        Assert.Equal(0, connection.Read(0, into, out bool finished));
        Assert.False(finished);
        _client.Send(2, [0x0E, 0x00, 0x00, 0x02, 1, 2]);
        Assert.Equal(5, connection.Read(0, into, out finished));
        Assert.True(finished);
        Assert.Equal([1, 2, 3, 4, 5], into[..5]);
    }

    public void Dispose()
    {
        _client?.Dispose();
        _pair.Dispose();
    }

    private QuicConnection Shake()
    {
        _client = new RawQuicClient(_pair.Server.Endpoint, QuicPair.ClientAddress, _pair.Tls, 5);
        return _client.Shake();
    }
}
