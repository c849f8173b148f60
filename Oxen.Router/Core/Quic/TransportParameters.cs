using Oxen.Router.Core.Quic.Packets;

namespace Oxen.Router.Core.Quic;

/// <summary>
/// Transport parameters: (id varint, length varint, value)*. RFC 9000 section 18. Unknown ids are ignored, doubles refused.
/// </summary>
internal sealed class TransportParameters
{
    private const int KnownIds = 0x11;

    public ConnectionId? OriginalDestination { get; set; }

    public ConnectionId? InitialSource { get; set; }

    public ConnectionId? RetrySource { get; set; }

    /// <summary>16 bytes, or null.</summary>
    public byte[]? StatelessResetToken { get; set; }

    public ulong MaxIdleTimeoutMs { get; set; }

    public ulong MaxUdpPayload { get; set; } = 65527;

    public ulong MaxData { get; set; }

    public ulong MaxStreamDataBidiLocal { get; set; }

    public ulong MaxStreamDataBidiRemote { get; set; }

    public ulong MaxStreamDataUni { get; set; }

    public ulong MaxStreamsBidi { get; set; }

    public ulong MaxStreamsUni { get; set; }

    public int AckDelayExponent { get; set; } = 3;

    public ulong MaxAckDelayMs { get; set; } = 25;

    public bool DisableActiveMigration { get; set; }

    public ulong ActiveConnectionIdLimit { get; set; } = 2;

    public byte[] Encode()
    {
        Span<byte> to = stackalloc byte[512];
        int at = 0;
        if (OriginalDestination is { } original) at += WriteId(to[at..], 0x00, original);
        if (MaxIdleTimeoutMs != 0) at += WriteInteger(to[at..], 0x01, MaxIdleTimeoutMs);
        if (StatelessResetToken is { } token)
        {
            at += Varint.Write(to[at..], 0x02);
            to[at++] = 16;
            token.CopyTo(to[at..]);
            at += 16;
        }

        at += WriteInteger(to[at..], 0x03, MaxUdpPayload);
        at += WriteInteger(to[at..], 0x04, MaxData);
        at += WriteInteger(to[at..], 0x05, MaxStreamDataBidiLocal);
        at += WriteInteger(to[at..], 0x06, MaxStreamDataBidiRemote);
        at += WriteInteger(to[at..], 0x07, MaxStreamDataUni);
        at += WriteInteger(to[at..], 0x08, MaxStreamsBidi);
        at += WriteInteger(to[at..], 0x09, MaxStreamsUni);
        at += WriteInteger(to[at..], 0x0A, (ulong)AckDelayExponent);
        at += WriteInteger(to[at..], 0x0B, MaxAckDelayMs);
        if (DisableActiveMigration)
        {
            at += Varint.Write(to[at..], 0x0C);
            to[at++] = 0;
        }

        at += WriteInteger(to[at..], 0x0E, ActiveConnectionIdLimit);
        if (InitialSource is { } source) at += WriteId(to[at..], 0x0F, source);
        if (RetrySource is { } retry) at += WriteId(to[at..], 0x10, retry);
        return to[..at].ToArray();
    }

    /// <param name="fromServer">Four parameters may come from a server alone.</param>
    /// <returns>Null when any rule is broken: TRANSPORT_PARAMETER_ERROR.</returns>
    public static TransportParameters? TryDecode(ReadOnlySpan<byte> from, bool fromServer)
    {
        var read = new TransportParameters();
        Span<bool> seen = stackalloc bool[KnownIds];
        seen.Clear();
        while (!from.IsEmpty)
        {
            if (!Varint.TryRead(ref from, out ulong id) || !Varint.TryRead(ref from, out ulong length) || length > (ulong)from.Length) return null;
            ReadOnlySpan<byte> value = from[..(int)length];
            from = from[(int)length..];
            if (id >= KnownIds) continue;
            if (seen[(int)id]) return null;
            seen[(int)id] = true;
            if (!fromServer && (id is 0x00 or 0x02 or 0x0D or 0x10)) return null;
            if (!read.Take((int)id, value)) return null;
        }

        return read;
    }

    private bool Take(int id, ReadOnlySpan<byte> value)
    {
        switch (id)
        {
            case 0x00 or 0x0F or 0x10:
                if (value.Length > ConnectionId.MaxBytes) return false;
                var connectionId = new ConnectionId(value);
                if (id == 0x00) OriginalDestination = connectionId;
                else if (id == 0x0F) InitialSource = connectionId;
                else RetrySource = connectionId;
                return true;
            case 0x02:
                StatelessResetToken = value.ToArray();
                return value.Length == 16;
            case 0x0C:
                DisableActiveMigration = true;
                return value.IsEmpty;
            case 0x0D:
                // preferred_address is read over: 4+2+16+2 address bytes, a connection id of 1..20 bytes, a token. RFC 9000 section 18.2
                return value.Length >= 42 && value[24] is >= 1 and <= 20 && value.Length == 41 + value[24];
            default:
                return Varint.TryRead(ref value, out ulong number) && value.IsEmpty && TakeInteger(id, number);
        }
    }

    private bool TakeInteger(int id, ulong number)
    {
        switch (id)
        {
            case 0x01: MaxIdleTimeoutMs = number; return true;
            case 0x03: MaxUdpPayload = number; return number >= 1200;
            case 0x04: MaxData = number; return true;
            case 0x05: MaxStreamDataBidiLocal = number; return true;
            case 0x06: MaxStreamDataBidiRemote = number; return true;
            case 0x07: MaxStreamDataUni = number; return true;
            case 0x08: MaxStreamsBidi = number; return number <= 1UL << 60;
            case 0x09: MaxStreamsUni = number; return number <= 1UL << 60;
            case 0x0A: AckDelayExponent = (int)Math.Min(number, 21); return number <= 20;
            case 0x0B: MaxAckDelayMs = number; return number < 1 << 14;
            case 0x0E: ActiveConnectionIdLimit = number; return number >= 2;
            default: return false;
        }
    }

    private static int WriteInteger(Span<byte> to, ulong id, ulong value)
    {
        int at = Varint.Write(to, id);
        at += Varint.Write(to[at..], (ulong)Varint.Length(value));
        return at + Varint.Write(to[at..], value);
    }

    private static int WriteId(Span<byte> to, ulong id, ConnectionId value)
    {
        int at = Varint.Write(to, id);
        to[at++] = (byte)value.Length;
        return at + value.Write(to[at..]);
    }
}
