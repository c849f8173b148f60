namespace Oxen.Router.Core.Quic.Tls;

// ClientHello (RFC 8446 section 4.1.2), after the 4-byte message header:
//
//   legacy_version 2 | random 32 | session_id <0..32> | cipher_suites <2..> | compression <1..> | extensions <8..>
//
// A view: its spans point into the message.

/// <summary>What a server reads in a ClientHello, checked for form but not yet against any options.</summary>
internal ref struct ClientHello
{
    public ReadOnlySpan<byte> Random;
    public ReadOnlySpan<byte> Suites;
    public ReadOnlySpan<byte> Groups;
    public ReadOnlySpan<byte> Schemes;

    /// <summary>Protocol names, each with its length byte. Empty: not offered.</summary>
    public ReadOnlySpan<byte> Alpn;

    /// <summary>Certificate types. Empty: the extension is absent, which means X.509.</summary>
    public ReadOnlySpan<byte> ClientCertificateTypes;
    public ReadOnlySpan<byte> ServerCertificateTypes;
    public ReadOnlySpan<byte> TransportParameters;

    private ReadOnlySpan<byte> _shares;
    private bool _hasShares;

    public bool HasTransportParameters { get; private set; }

    public bool HasEarlyData { get; private set; }

    public static byte TryParse(ReadOnlySpan<byte> body, out ClientHello hello, out string reason)
    {
        hello = default;
        reason = "malformed ClientHello";
        TlsReader reader = new(body);
        if (!reader.TryTake(2, out _) || !reader.TryTake(32, out hello.Random) || !reader.TryVector8(0, out ReadOnlySpan<byte> sessionId) || sessionId.Length > 32
            || !reader.TryVector16(2, out hello.Suites) || hello.Suites.Length % 2 != 0 || !reader.TryVector8(1, out ReadOnlySpan<byte> compression))
        {
            return TlsAlert.DecodeError;
        }

        ReadOnlySpan<byte> block = default;
        if (!reader.IsEmpty && (!reader.TryVector16(0, out block) || !reader.IsEmpty)) return TlsAlert.DecodeError;

        ReadOnlySpan<byte> versions = default;
        Span<ulong> seen = stackalloc ulong[TlsExtensionReader.SeenWords];
        seen.Clear();
        TlsExtensionReader extensions = new(block);
        while (extensions.TryNext(seen, out ushort type, out ReadOnlySpan<byte> content))
        {
            TlsReader inner = new(content);
            bool wellFormed = true;
            switch (type)
            {
                case TlsExtension.SupportedVersions:
                    wellFormed = inner.TryVector8(2, out versions) && versions.Length % 2 == 0 && inner.IsEmpty;
                    break;
                case TlsExtension.SupportedGroups:
                    wellFormed = inner.TryVector16(2, out hello.Groups) && hello.Groups.Length % 2 == 0 && inner.IsEmpty;
                    break;
                case TlsExtension.SignatureAlgorithms:
                    wellFormed = inner.TryVector16(2, out hello.Schemes) && hello.Schemes.Length % 2 == 0 && inner.IsEmpty;
                    break;
                case TlsExtension.KeyShare:
                    wellFormed = inner.TryVector16(0, out hello._shares) && inner.IsEmpty;
                    hello._hasShares = true;
                    break;
                case TlsExtension.Alpn:
                    wellFormed = inner.TryVector16(2, out hello.Alpn) && inner.IsEmpty && IsNameList(hello.Alpn);
                    break;
                case TlsExtension.ServerName:
                    wellFormed = inner.TryVector16(1, out _) && inner.IsEmpty;
                    break;
                case TlsExtension.ClientCertificateType:
                    wellFormed = inner.TryVector8(1, out hello.ClientCertificateTypes) && inner.IsEmpty;
                    break;
                case TlsExtension.ServerCertificateType:
                    wellFormed = inner.TryVector8(1, out hello.ServerCertificateTypes) && inner.IsEmpty;
                    break;
                case TlsExtension.QuicTransportParameters:
                    hello.TransportParameters = content;
                    hello.HasTransportParameters = true;
                    break;
                case TlsExtension.EarlyData:
                    hello.HasEarlyData = true;
                    break;
                case TlsExtension.PreSharedKey when !extensions.AtEnd:
                    reason = "pre_shared_key is not the last extension";        // RFC 8446 section 4.2.11
                    return TlsAlert.IllegalParameter;
                default:
                    break;
            }

            if (!wellFormed)
            {
                reason = $"malformed extension {type} in ClientHello";
                return TlsAlert.DecodeError;
            }
        }

        if (extensions.Alert != 0)
        {
            reason = extensions.Alert == TlsAlert.DecodeError ? reason : "an extension comes twice in ClientHello";
            return extensions.Alert;
        }

        return hello.CheckContent(versions, sessionId, compression, out reason);
    }

    /// <summary>The group's share, if the client sent one.</summary>
    public readonly bool TryFindShare(ushort group, out ReadOnlySpan<byte> share)
    {
        TlsReader reader = new(_shares);
        while (reader.TryU16(out ushort candidate) && reader.TryVector16(1, out share))
        {
            if (candidate == group) return true;
        }

        share = default;
        return false;
    }

    /// <summary>After a HelloRetryRequest there is one share, of the group asked for (RFC 8446 section 4.2.8).</summary>
    public readonly bool HasOnlyShare(ushort group)
    {
        TlsReader reader = new(_shares);
        return reader.TryU16(out ushort first) && first == group && reader.TryVector16(1, out _) && reader.IsEmpty;
    }

    private readonly byte CheckContent(ReadOnlySpan<byte> versions, ReadOnlySpan<byte> sessionId, ReadOnlySpan<byte> compression, out string reason)
    {
        reason = "";
        if (!TlsReader.Contains16(versions, 0x0304)) return Refuse(TlsAlert.ProtocolVersion, "the client does not offer TLS 1.3", out reason);
        if (!sessionId.IsEmpty) return Refuse(TlsAlert.IllegalParameter, "a session id in QUIC", out reason);        // RFC 9001 section 8.4
        if (compression is not [0]) return Refuse(TlsAlert.IllegalParameter, "compression offered", out reason);
        if (Groups.IsEmpty || !_hasShares) return Refuse(TlsAlert.MissingExtension, "no supported_groups or no key_share", out reason);
        if (Schemes.IsEmpty) return Refuse(TlsAlert.MissingExtension, "no signature_algorithms", out reason);
        if (!HasTransportParameters) return Refuse(TlsAlert.MissingExtension, "no transport parameters", out reason);

        // Each share belongs to an offered group, at most one to a group. A bit is set for every group and taken by its share.
        Span<ulong> open = stackalloc ulong[TlsExtensionReader.SeenWords];
        open.Clear();
        TlsReader groups = new(Groups);
        while (groups.TryU16(out ushort group)) open[group >> 6] |= 1UL << (group & 63);
        TlsReader shares = new(_shares);
        while (!shares.IsEmpty)
        {
            if (!shares.TryU16(out ushort group) || !shares.TryVector16(1, out _)) return Refuse(TlsAlert.DecodeError, "malformed key_share", out reason);
            ulong bit = 1UL << (group & 63);
            if ((open[group >> 6] & bit) == 0) return Refuse(TlsAlert.IllegalParameter, "a key share twice or of a group that was not offered", out reason);
            open[group >> 6] &= ~bit;
        }

        return TlsAlert.None;
    }

    private static byte Refuse(byte alert, string why, out string reason)
    {
        reason = why;
        return alert;
    }

    private static bool IsNameList(ReadOnlySpan<byte> list)
    {
        TlsReader reader = new(list);
        while (!reader.IsEmpty)
        {
            if (!reader.TryVector8(1, out _)) return false;
        }

        return true;
    }
}
