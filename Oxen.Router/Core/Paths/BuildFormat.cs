using Oxen.Router.Core.Directory;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Paths;

// Path build (docs/protocol/path-build.md). A message is always 8 records of 1280 bytes, each way, for 2 to 8 hops.
//
// request record, read by one hop            reply record, written by one hop
//    0    32   client's X25519 share            0    32   relay's fresh X25519 share
//   32  1088   ML-KEM-768 ciphertext           32  1232   sealed: status 32, zeros 1200
// 1120   144   sealed instructions           1264    16   tag
// 1264    16   tag
//
// instructions                               status
//    0    32   next hop's router id; zeros      0     1   status (BuildStatus)
//              for the terminal hop             1     1   version (1)
//   32     4   epoch number                     2     1   effort that the relay asks for, in bits
//   36     1   version (1)                      3     1   zero
//   37     1   role                             4     4   relay's epoch number
//   38     1   size class                       8    24   zeros
//   39     1   suite (1)
//   40     8   flags (zero)
//   48    16   effort seed
//   64    16   effort proof
//   80    64   reserve (zeros)
//
// Request: a relay opens record 0, moves the others up one place, appends a random record, and has run the forward
// layer over the others before (tweak: position 1-7, as they came in). Reply: it moves the records down one place, puts
// its own first and runs the forward layer over the others (tweak: position 1-7, as they go out).

/// <summary>Sizes and offsets of the path build's messages.</summary>
internal static class BuildFormat
{
    public const int RecordBytes = 1280;
    public const int RecordCount = 8;
    public const int MessageBytes = RecordBytes * RecordCount;
    public const int MinHops = 2;
    public const int MaxHops = RecordCount;

    public const byte Version = 1;

    /// <summary>X25519 + ML-KEM-768, HKDF-SHA256, ChaCha20-Poly1305, wide block of AES-128 and POLYVAL.</summary>
    public const byte Suite = 1;

    /// <summary>How far a build's epoch may be from the relay's, either way.</summary>
    public const uint EpochTolerance = 2;

    // Request record
    public const int ShareBytes = X25519.PublicKeyBytes;
    public const int CiphertextAt = ShareBytes;
    public const int KeyPartBytes = ShareBytes + MlKem768.CiphertextBytes;
    public const int InstructionsBytes = 144;
    public const int TagAt = KeyPartBytes + InstructionsBytes;
    public const int TagBytes = 16;

    // Instructions
    public const int NextHopAt = 0;
    public const int EpochAt = 32;
    public const int VersionAt = 36;
    public const int RoleAt = 37;
    public const int ClassAt = 38;
    public const int SuiteAt = 39;
    public const int FlagsAt = 40;
    public const int EffortSeedAt = 48;
    public const int EffortProofAt = 64;
    public const int EffortPartBytes = 16;
    public const int ReserveAt = 80;

    // Reply record
    public const int SealedReplyBytes = RecordBytes - ShareBytes - TagBytes;
    public const int StatusBytes = 32;

    public static Span<byte> Record(Span<byte> message, int index) => message.Slice(index * RecordBytes, RecordBytes);

    public static void CheckMessage(ReadOnlySpan<byte> records)
    {
        if (records.Length != MessageBytes) throw new ArgumentException($"a build message has {MessageBytes} bytes", nameof(records));
    }
}

/// <summary>What a build asks of the hop that reads the record.</summary>
internal enum BuildRole : byte
{
    Transit = 1,
    Terminal = 2,
}

/// <summary>A hop's answer to a build, sealed for the client. Every value but <see cref="Accepted"/> ends the path here.</summary>
internal enum BuildStatus : byte
{
    Accepted = 0,

    /// <summary>A value of the instructions is not one of this version.</summary>
    Malformed = 1,

    /// <summary>The record's epoch is not within 2 of the relay's, which the answer names.</summary>
    WrongEpoch = 2,

    /// <summary>The relay asks for effort now; the answer says how much.</summary>
    EffortTooLow = 3,

    /// <summary>A budget is used up: of the link, of the relay, or of its replay cache.</summary>
    Busy = 4,

    /// <summary>The relay does not do what the record's role asks.</summary>
    NotOffered = 5,

    /// <summary>The next hop is not in the relay's directory.</summary>
    UnknownNextHop = 6,

    /// <summary>The next hop did not answer.</summary>
    NextHopUnreachable = 7,

    /// <summary>The relay is about to stop.</summary>
    Stopping = 8,
}

/// <summary>What became of a build message at a relay.</summary>
internal enum BuildOutcome : byte
{
    /// <summary>Send the message on to <see cref="BuildStep.NextHop"/>.</summary>
    Transit,

    /// <summary>The path ends here.</summary>
    Terminal,

    /// <summary>Opened, and to be answered with <see cref="BuildStep.RefusalStatus"/>.</summary>
    Refused,

    /// <summary>No key of ours opens it. The answer is a blank one; there is no step.</summary>
    Unreadable,

    /// <summary>Seen before. The answer is a blank one; there is no step.</summary>
    Replayed,
}
