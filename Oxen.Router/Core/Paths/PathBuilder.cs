using System.Buffers.Binary;
using System.Security.Cryptography;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Native.Sodium;

namespace Oxen.Router.Core.Paths;

// The client's side of one path build:
//   Create        a key share, a KEM secret and sealed instructions for every hop
//   WriteRequest  the records, each inside the inverse layers of the hops before it, and noise up to eight
//   ReadReply     peel hop by hop: tag, status, keys; the first hop that fails ends the build
// Everything secret lives in one pinned block and is wiped by Dispose.

/// <summary>One build of one path. Not reusable: a second try takes a new one.</summary>
internal sealed class PathBuilder : IDisposable
{
    // Per hop, in _secret: ephemeral secret 32 | shared 96 | seal keys 96
    private const int EphemeralAt = 0;
    private const int SharedAt = X25519.SecretKeyBytes;
    private const int SealKeysAt = SharedAt + BuildKeys.SharedBytes;
    private const int SecretBytesPerHop = SealKeysAt + BuildKeys.SealKeysBytes;

    // Per hop, in _records: the plain record 1280; in _hashes: the record hash 32
    private readonly byte[] _secret;
    private readonly byte[] _records;
    private readonly byte[] _hashes;
    private readonly IEntropy _entropy;
    private readonly int _hops;
    private readonly uint _epoch;
    private State _state = State.Created;

    private PathBuilder(int hops, uint epoch, IEntropy entropy)
    {
        _hops = hops;
        _epoch = epoch;
        _entropy = entropy;
        _secret = GC.AllocateArray<byte>(hops * SecretBytesPerHop, pinned: true);
        _records = new byte[hops * BuildFormat.RecordBytes];
        _hashes = new byte[hops * 32];
    }

    private enum State
    {
        Created,
        Sent,
        Done,
    }

    public int HopCount => _hops;

    /// <summary>Prepares a build over `hops`, nearest first, the last one terminal.</summary>
    /// <param name="effortBits">For each hop the effort to show; empty for none.</param>
    /// <exception cref="ArgumentException">Not 2 to 8 hops, a hop twice, or a contact that was never verified (a key to which nothing can be sealed).</exception>
    public static PathBuilder Create(IReadOnlyList<RouterContact> hops, SizeClass sizeClass, uint epoch, IEntropy entropy, ReadOnlySpan<int> effortBits = default)
    {
        if (hops.Count is < BuildFormat.MinHops or > BuildFormat.MaxHops) throw new ArgumentException("a path has 2 to 8 hops", nameof(hops));
        for (int i = 0; i < hops.Count; i++)
        {
            for (int j = 0; j < i; j++)
            {
                if (hops[i].Id == hops[j].Id) throw new ArgumentException("a path passes a router once", nameof(hops));
            }
        }

        var builder = new PathBuilder(hops.Count, epoch, entropy);
        for (int i = 0; i < hops.Count; i++)
        {
            RouterId next = i + 1 < hops.Count ? hops[i + 1].Id : default;
            if (builder.Prepare(i, hops[i], next, sizeClass, i < effortBits.Length ? effortBits[i] : 0)) continue;
            builder.Dispose();
            throw new ArgumentException($"nothing can be sealed to the onion key of hop {i}", nameof(hops));
        }

        return builder;
    }

    /// <summary>Writes the message for the first hop.</summary>
    public void WriteRequest(Span<byte> records)
    {
        BuildFormat.CheckMessage(records);
        if (_state != State.Created) throw new InvalidOperationException("a build is sent once");
        _state = State.Sent;
        _records.CopyTo(records);
        if (_hops < BuildFormat.RecordCount) _entropy.FillPublic(records[_records.Length..]);

        // Hop j's record passes hop j-1 at position 1, hop j-2 at position 2, ..., hop 0 at position j.
        for (int j = 1; j < _hops; j++)
        {
            Span<byte> record = BuildFormat.Record(records, j);
            for (int i = j - 1; i >= 0; i--)
            {
                ReadOnlySpan<byte> layer = Secret(i, SealKeysAt + BuildKeys.KeyBytes, LayerKeys.RawBytes);
                BuildLayer.Inverse(record, layer, PathDirection.Upstream, j - i);
            }
        }
    }

    /// <summary>Reads the first hop's reply, in place. Every hop's tag is checked before any of its keys is handed out.</summary>
    public PathBuildResult ReadReply(Span<byte> records)
    {
        BuildFormat.CheckMessage(records);
        if (_state != State.Sent) throw new InvalidOperationException("there is no reply to read");
        _state = State.Done;

        var hops = new PathHopSecrets[_hops];
        PathBuildResult? failure = null;
        Span<byte> replyKeys = stackalloc byte[BuildKeys.ReplyKeysBytes];
        int done = 0;
        for (; done < _hops && failure is null; done++)
        {
            hops[done] = new PathHopSecrets { StartEpoch = _epoch };
            failure = ReadHop(done, BuildFormat.Record(records, done), hops[done], replyKeys);

            // Hop `done` ran its layer over the records behind its own, counted from its own.
            for (int position = done + 1; position < BuildFormat.RecordCount && failure is null; position++)
            {
                BuildLayer.Inverse(BuildFormat.Record(records, position), replyKeys[BuildKeys.KeyBytes..], PathDirection.Downstream, position - done);
            }
        }

        CryptographicOperations.ZeroMemory(replyKeys);
        CryptographicOperations.ZeroMemory(_secret);
        if (failure is null) return PathBuildResult.Built(hops);
        for (int i = 0; i < done; i++) hops[i].Dispose();
        return failure;
    }

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_secret);
        _state = State.Done;
    }

    private bool Prepare(int hop, RouterContact contact, RouterId next, SizeClass sizeClass, int effortBits)
    {
        Span<byte> record = BuildFormat.Record(_records, hop);
        Span<byte> ephemeral = Secret(hop, EphemeralAt, X25519.SecretKeyBytes);
        Span<byte> shared = Secret(hop, SharedAt, BuildKeys.SharedBytes);
        _entropy.FillSecret(ephemeral);
        X25519.PublicKey(ephemeral, record[..BuildFormat.ShareBytes]);
        if (!X25519.TryAgree(contact.OnionXPublic, ephemeral, shared[..32])) return false;

        Span<byte> seed = stackalloc byte[MlKem768.EncapsulationSeedBytes];
        _entropy.FillSecret(seed);
        bool encapsulated = MlKem768.Encapsulate(contact.OnionKemPublic, record.Slice(BuildFormat.CiphertextAt, MlKem768.CiphertextBytes), shared.Slice(32, 32), seed);
        CryptographicOperations.ZeroMemory(seed);
        if (!encapsulated) return false;

        Span<byte> context = stackalloc byte[BuildKeys.ContextBytes];
        Span<byte> recordHash = _hashes.AsSpan(hop * 32, 32);
        BuildKeys.RelayContext(contact.Id, contact.OnionKeyId, contact.OnionXPublic, contact.OnionKemPublic, context);
        BuildKeys.RecordHash(record, context, recordHash);
        Span<byte> sealKeys = Secret(hop, SealKeysAt, BuildKeys.SealKeysBytes);
        BuildKeys.SealKeys(shared[..64], recordHash, sealKeys);

        Span<byte> instructions = record.Slice(BuildFormat.KeyPartBytes, BuildFormat.InstructionsBytes);
        instructions.Clear();
        next.CopyTo(instructions[BuildFormat.NextHopAt..]);
        BinaryPrimitives.WriteUInt32BigEndian(instructions[BuildFormat.EpochAt..], _epoch);
        instructions[BuildFormat.VersionAt] = BuildFormat.Version;
        instructions[BuildFormat.RoleAt] = (byte)(next.IsNone ? BuildRole.Terminal : BuildRole.Transit);
        instructions[BuildFormat.ClassAt] = (byte)sizeClass;
        instructions[BuildFormat.SuiteAt] = BuildFormat.Suite;
        Span<byte> effort = instructions.Slice(BuildFormat.EffortSeedAt, 2 * BuildFormat.EffortPartBytes);
        _entropy.FillPublic(effort);
        BuildEffort.Solve(recordHash, _epoch, effort, effortBits);
        SodiumChaCha20Poly1305.Seal(instructions, sealKeys[..BuildKeys.KeyBytes], BuildKeys.Nonce, record[BuildFormat.TagAt..]);
        return true;
    }

    private PathBuildResult? ReadHop(int hop, Span<byte> reply, PathHopSecrets secrets, Span<byte> replyKeys)
    {
        ReadOnlySpan<byte> share = reply[..BuildFormat.ShareBytes];
        Span<byte> shared = Secret(hop, SharedAt, BuildKeys.SharedBytes);
        if (!X25519.TryAgree(share, Secret(hop, EphemeralAt, X25519.SecretKeyBytes), shared[64..])) return PathBuildResult.NotAuthentic(hop);
        BuildKeys.Transcript(BuildFormat.Record(_records, hop), _hashes.AsSpan(hop * 32, 32), share, secrets.WritableTranscript);
        BuildKeys.FinalKeys(shared, secrets.Transcript, secrets.WritableSecrets, replyKeys);

        Span<byte> body = reply.Slice(BuildFormat.ShareBytes, BuildFormat.SealedReplyBytes);
        if (!SodiumChaCha20Poly1305.Open(body, replyKeys[..BuildKeys.KeyBytes], BuildKeys.Nonce, reply[^BuildFormat.TagBytes..])
            || body[1] != BuildFormat.Version)
        {
            return PathBuildResult.NotAuthentic(hop);
        }

        var status = (BuildStatus)body[0];
        return status == BuildStatus.Accepted
            ? null
            : PathBuildResult.Refused(hop, status, BinaryPrimitives.ReadUInt32BigEndian(body[4..]), Math.Min((int)body[2], BuildEffort.MaxBits));
    }

    private Span<byte> Secret(int hop, int at, int length) => _secret.AsSpan((hop * SecretBytesPerHop) + at, length);
}
