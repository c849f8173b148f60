using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Paths;

// A relay's side of path builds. One message:
//   1 hash the record          -> replays drop here, before any dear operation
//   2 X25519, ML-KEM, open     -> with the current onion key, then the previous one; unreadable ones end here
//   3 fresh share, final keys  -> from here on every answer is sealed, a refusal like any other
//   4 judge the instructions   -> version, epoch, effort, replay cache
//   5 layer, shift, append     -> the message for the next hop, in place
// The caller judges what only it can know (directory, budgets, links) and answers with WriteReply.

/// <summary>Opens build messages and writes replies. Single-threaded; allocates nothing once its steps have come back.</summary>
internal sealed class BuildProcessor
{
    private readonly RouterId _self;
    private readonly OnionKeyRing _keys;
    private readonly BuildReplayCache _replays;
    private readonly Stack<BuildStep> _free = new();
    private readonly byte[] _currentContext = new byte[BuildKeys.ContextBytes];
    private readonly byte[] _previousContext = new byte[BuildKeys.ContextBytes];
    private OnionKeyPair? _current;
    private OnionKeyPair? _previous;

    public BuildProcessor(RouterId self, OnionKeyRing keys, BuildPolicy policy, IEntropy entropy)
    {
        _self = self;
        _keys = keys;
        Policy = policy;
        _replays = new BuildReplayCache(policy.ReplayCapacityPerEpoch, entropy);
    }

    /// <summary>May be replaced at run time, to ask for more effort under load; the replay capacity stays as it began.</summary>
    public BuildPolicy Policy { get; set; }

    /// <summary>
    /// Works on a message in place. After Transit it is the message for the next hop; after anything else its bytes are
    /// of no use but as room for the reply. A step comes with Transit, Terminal and Refused.
    /// </summary>
    public BuildOutcome Process(Span<byte> records, uint epochNow, IEntropy entropy, out BuildStep? step)
    {
        BuildFormat.CheckMessage(records);
        step = null;
        FollowRotation();

        Span<byte> record = BuildFormat.Record(records, 0);
        Span<byte> recordHash = stackalloc byte[32];
        Span<byte> shared = stackalloc byte[BuildKeys.SharedBytes];
        Span<byte> sealKeys = stackalloc byte[BuildKeys.SealKeysBytes];
        Span<byte> instructions = stackalloc byte[BuildFormat.InstructionsBytes];

        BuildOutcome outcome = TryOpen(record, _current!, _currentContext, recordHash, shared, sealKeys, instructions);
        if (outcome == BuildOutcome.Unreadable && _previous is not null)
        {
            outcome = TryOpen(record, _previous, _previousContext, recordHash, shared, sealKeys, instructions);
        }

        if (outcome == BuildOutcome.Transit)
        {
            step = Rent();
            Agree(record, recordHash, shared, step, entropy);
            BuildStatus status = Judge(instructions, recordHash, epochNow, step);
            step.RefusalStatus = status;
            outcome = status != BuildStatus.Accepted ? BuildOutcome.Refused
                : step.Role == BuildRole.Terminal ? BuildOutcome.Terminal
                : BuildOutcome.Transit;

            if (outcome == BuildOutcome.Transit)
            {
                BuildLayer.Forward(records, sealKeys[BuildKeys.KeyBytes..], PathDirection.Upstream);
                records[BuildFormat.RecordBytes..].CopyTo(records);
                entropy.FillPublic(BuildFormat.Record(records, BuildFormat.RecordCount - 1));
            }
        }

        CryptographicOperations.ZeroMemory(shared);
        CryptographicOperations.ZeroMemory(sealKeys);
        CryptographicOperations.ZeroMemory(instructions);
        return outcome;
    }

    /// <summary>Turns the next hop's reply into ours, in place.</summary>
    public void WriteReply(BuildStep step, BuildStatus status, Span<byte> records)
    {
        BuildFormat.CheckMessage(records);
        if (!step.IsLive || step.IsAnswered) throw new ArgumentException("a step is answered once", nameof(step));
        step.IsAnswered = true;   // its keys seal once

        records[..^BuildFormat.RecordBytes].CopyTo(records[BuildFormat.RecordBytes..]);
        Span<byte> own = BuildFormat.Record(records, 0);
        step.Share.CopyTo(own);
        Span<byte> body = own.Slice(BuildFormat.ShareBytes, BuildFormat.SealedReplyBytes);
        body.Clear();
        body[0] = (byte)status;
        body[1] = BuildFormat.Version;
        body[2] = (byte)Policy.RequiredEffortBits;
        BinaryPrimitives.WriteUInt32BigEndian(body[4..], step.RelayEpoch);
        SodiumChaCha20Poly1305.Seal(body, step.ReplyKeys[..BuildKeys.KeyBytes], BuildKeys.Nonce, own[^BuildFormat.TagBytes..]);
        BuildLayer.Forward(records, step.ReplyKeys[BuildKeys.KeyBytes..], PathDirection.Downstream);
    }

    /// <summary>A reply with nothing behind it: of a terminal hop, or of one that refuses or could not go on.</summary>
    public void WriteFirstReply(BuildStep step, BuildStatus status, Span<byte> records, IEntropy entropy)
    {
        BuildFormat.CheckMessage(records);
        entropy.FillPublic(records);
        WriteReply(step, status, records);
    }

    /// <summary>
    /// The answer to a build that we could not open or saw before: it looks like any other and says nothing. The client
    /// finds no valid tag and stops waiting.
    /// </summary>
    public void WriteBlankReply(Span<byte> records, IEntropy entropy)
    {
        BuildFormat.CheckMessage(records);
        entropy.FillPublic(records);

        // A random string is no point of the curve every other time, and the previous hop could tell: so a real share.
        Span<byte> secret = stackalloc byte[X25519.SecretKeyBytes];
        entropy.FillSecret(secret);
        X25519.PublicKey(secret, records[..BuildFormat.ShareBytes]);
        CryptographicOperations.ZeroMemory(secret);
    }

    internal void TakeBack(BuildStep step) => _free.Push(step);

    private BuildStep Rent()
    {
        if (!_free.TryPop(out BuildStep? step)) step = new BuildStep(this);
        step.IsLive = true;
        step.IsAnswered = false;
        return step;
    }

    private void FollowRotation()
    {
        if (!ReferenceEquals(_current, _keys.Current))
        {
            _current = _keys.Current;
            BuildKeys.RelayContext(_self, _current.Id, _current.XPublic, _current.KemPublic, _currentContext);
        }

        if (ReferenceEquals(_previous, _keys.Previous)) return;
        _previous = _keys.Previous;
        if (_previous is not null) BuildKeys.RelayContext(_self, _previous.Id, _previous.XPublic, _previous.KemPublic, _previousContext);
    }

    // Transit stands for "opened" here.
    private BuildOutcome TryOpen(
        ReadOnlySpan<byte> record,
        OnionKeyPair key,
        ReadOnlySpan<byte> context,
        Span<byte> recordHash,
        Span<byte> shared,
        Span<byte> sealKeys,
        Span<byte> instructions)
    {
        BuildKeys.RecordHash(record, context, recordHash);
        if (_replays.Contains(recordHash)) return BuildOutcome.Replayed;
        if (!X25519.TryAgree(record[..BuildFormat.ShareBytes], key.XSecret, shared[..32])) return BuildOutcome.Unreadable;
        if (!MlKem768.Decapsulate(record.Slice(BuildFormat.CiphertextAt, MlKem768.CiphertextBytes), key.KemSecret, shared.Slice(32, 32))) return BuildOutcome.Unreadable;
        BuildKeys.SealKeys(shared[..64], recordHash, sealKeys);
        record.Slice(BuildFormat.KeyPartBytes, BuildFormat.InstructionsBytes).CopyTo(instructions);
        return SodiumChaCha20Poly1305.Open(instructions, sealKeys[..BuildKeys.KeyBytes], BuildKeys.Nonce, record[BuildFormat.TagAt..])
            ? BuildOutcome.Transit
            : BuildOutcome.Unreadable;
    }

    private static void Agree(ReadOnlySpan<byte> record, ReadOnlySpan<byte> recordHash, Span<byte> shared, BuildStep step, IEntropy entropy)
    {
        Span<byte> secret = stackalloc byte[X25519.SecretKeyBytes];
        entropy.FillSecret(secret);
        X25519.PublicKey(secret, step.Share);

        // The share passed the small-order test with the onion key, and every clamped scalar fails or passes alike.
        bool agreed = X25519.TryAgree(record[..BuildFormat.ShareBytes], secret, shared[64..]);
        System.Diagnostics.Debug.Assert(agreed);
        CryptographicOperations.ZeroMemory(secret);
        BuildKeys.Transcript(record, recordHash, step.Share, step.Secrets.WritableTranscript);
        BuildKeys.FinalKeys(shared, step.Secrets.Transcript, step.Secrets.WritableSecrets, step.ReplyKeys);
    }

    private BuildStatus Judge(ReadOnlySpan<byte> instructions, ReadOnlySpan<byte> recordHash, uint epochNow, BuildStep step)
    {
        uint epoch = BinaryPrimitives.ReadUInt32BigEndian(instructions[BuildFormat.EpochAt..]);
        step.RelayEpoch = epochNow;
        step.Secrets.StartEpoch = epoch;
        step.Role = (BuildRole)instructions[BuildFormat.RoleAt];
        step.Class = (SizeClass)instructions[BuildFormat.ClassAt];
        step.Suite = instructions[BuildFormat.SuiteAt];
        step.NextHop = new RouterId(instructions.Slice(BuildFormat.NextHopAt, RouterId.Bytes));

        bool nextFitsRole = step.Role switch
        {
            BuildRole.Transit => !step.NextHop.IsNone && step.NextHop != _self,
            BuildRole.Terminal => step.NextHop.IsNone,
            _ => false,
        };
        if (instructions[BuildFormat.VersionAt] != BuildFormat.Version
            || !nextFitsRole
            || step.Class is not (SizeClass.Full or SizeClass.Reduced)
            || step.Suite != BuildFormat.Suite
            || instructions.Slice(BuildFormat.FlagsAt, 8).ContainsAnyExcept((byte)0)
            || instructions[BuildFormat.ReserveAt..].ContainsAnyExcept((byte)0))
        {
            return BuildStatus.Malformed;
        }

        long offset = (long)epoch - epochNow;
        if (offset is < -BuildFormat.EpochTolerance or > BuildFormat.EpochTolerance || epoch < Policy.FirstEpoch) return BuildStatus.WrongEpoch;

        int required = Policy.RequiredEffortBits;
        if (required > 0 && BuildEffort.Measure(recordHash, epoch, instructions.Slice(BuildFormat.EffortSeedAt, 2 * BuildFormat.EffortPartBytes)) < required)
        {
            return BuildStatus.EffortTooLow;
        }

        return _replays.TryNote(recordHash, epoch) ? BuildStatus.Accepted : BuildStatus.Busy;
    }
}
