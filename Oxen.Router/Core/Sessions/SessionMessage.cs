using System.Security.Cryptography;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Core.Sessions;

// Messages of the exit session, in records of type Session (docs/protocol/session.md). All inside the terminal's layer.
//
//  OPEN      1 | client random 32                                     on the first path, repeated until answered
//  OPENED    2 | session id 16 | terminal random 32 | mac 32          mac under the new session key
//  ATTACH    3 | session id 16 | sequence 8 | mac 32                  mac binds the new path's transcript
//  ATTACHED  4 | sequence 8 | mac 32
//  ACTIVATE  5 | session id 16 | sequence 8                           downstream goes to the path of the highest one
//  ACTIVATED 6 | sequence 8
//  CLOSE     7 | session id 16
//  UNKNOWN   8 | session id 16                                        the terminal has no such session: open a new one
//  LEASE     9 | session id 16                                        inner addresses for the tunnel, repeated until answered
//  LEASED   10 | IPv4 4 | IPv6 16                                     for the life of the session; zeros: none of this family
//  NO LEASE 11 | reason 1                                             1 no tunnel here, 2 all addresses are in use, 3 not admitted
//  USE      12 | session id 16 | token 32                             before anything goes outside; zeros: no token; repeated
//  ADMITTED 13 | reason 1                                             0 granted; else why not: AdmissionReason

internal enum SessionMessageType : byte
{
    Open = 1,
    Opened = 2,
    Attach = 3,
    Attached = 4,
    Activate = 5,
    Activated = 6,
    Close = 7,
    Unknown = 8,
    Lease = 9,
    Leased = 10,
    NoLease = 11,
    Use = 12,
    Admitted = 13,
}

/// <summary>Why a terminal leases no inner addresses.</summary>
internal enum NoLeaseReason : byte
{
    NoTunnel = 1,
    AllInUse = 2,
    NotAdmitted = 3,
}

/// <summary>Keys and codecs of the exit session.</summary>
internal static class SessionMessage
{
    public const int IdBytes = 16;
    public const int RandomBytes = 32;
    public const int MacBytes = 32;
    public const int OpenBytes = 1 + RandomBytes;
    public const int OpenedBytes = 1 + IdBytes + RandomBytes + MacBytes;
    public const int AttachBytes = 1 + IdBytes + 8 + MacBytes;
    public const int AttachedBytes = 1 + 8 + MacBytes;
    public const int ActivateBytes = 1 + IdBytes + 8;
    public const int ActivatedBytes = 1 + 8;
    public const int CloseBytes = 1 + IdBytes;
    public const int LeaseBytes = 1 + IdBytes;
    public const int LeasedBytes = 1 + 4 + 16;
    public const int NoLeaseBytes = 2;
    public const int UseBytes = 1 + IdBytes + ExitTokens.TokenBytes;
    public const int AdmittedBytes = 2;
    public const int MaxBytes = OpenedBytes;

    /// <summary>session key = HKDF-SHA256(path's session secret, salt = client random || terminal random, "oxen session key")</summary>
    public static byte[] DeriveKey(ReadOnlySpan<byte> sessionSecret, ReadOnlySpan<byte> clientRandom, ReadOnlySpan<byte> terminalRandom)
    {
        Span<byte> salt = stackalloc byte[2 * RandomBytes];
        clientRandom.CopyTo(salt);
        terminalRandom.CopyTo(salt[RandomBytes..]);
        byte[] key = new byte[32];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, sessionSecret, key, salt, "oxen session key"u8);
        return key;
    }

    /// <summary>HMAC-SHA256(session key, label || a || b || sequence).</summary>
    public static void Mac(ReadOnlySpan<byte> key, ReadOnlySpan<byte> label, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, ulong sequence, Span<byte> mac)
    {
        Span<byte> input = stackalloc byte[label.Length + a.Length + b.Length + 8];
        var writer = new WireWriter(input);
        writer.Put(label);
        writer.Put(a);
        writer.Put(b);
        writer.UInt64(sequence);
        HMACSHA256.HashData(key, input, mac);
    }

    public static void OpenedMac(ReadOnlySpan<byte> key, ReadOnlySpan<byte> id, ReadOnlySpan<byte> transcript, Span<byte> mac) => Mac(key, "opened"u8, id, transcript, 0, mac);

    public static void AttachMac(ReadOnlySpan<byte> key, ReadOnlySpan<byte> transcript, ulong sequence, Span<byte> mac) => Mac(key, "attach"u8, transcript, [], sequence, mac);

    public static void AttachedMac(ReadOnlySpan<byte> key, ReadOnlySpan<byte> transcript, ulong sequence, Span<byte> mac) => Mac(key, "attached"u8, transcript, [], sequence, mac);
}
