using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Native.Sodium;
using Oxen.Testing;

namespace Oxen.Fuzz;

/// <summary>Build messages and replies of any bytes, on both sides, and sealed instructions of any content.</summary>
public sealed class PathBuildFuzz
{
    private const uint Epoch = 29_453_760;
    private const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;

    [Fact]
    public void A_relay_takes_any_message()
    {
        // A round costs two agreements and a decapsulation when it comes so far; 100 000 stay within half a minute.
        const int Rounds = 100_000;
        var entropy = new SeededEntropy(1);
        using var relay = new Relay(entropy, 1);
        using var other = new Relay(entropy, 2);
        byte[] valid = new byte[BuildFormat.MessageBytes];
        using (PathBuilder builder = PathBuilder.Create([relay.Contact, other.Contact], SizeClass.Full, Epoch, entropy)) builder.WriteRequest(valid);
        byte[] work = new byte[BuildFormat.MessageBytes];
        var quick = new Quick();
        int unreadable = 0;
        for (int i = 0; i < Rounds; i++)
        {
            valid.CopyTo(work, 0);
            switch (i % 4)
            {
                case 0: entropy.FillPublic(work.AsSpan(0, 64)); break;
                case 1: work.AsSpan(entropy.Next(BuildFormat.RecordBytes)).Clear(); break;
                case 2: work.AsSpan(0, 32).Fill((byte)i); break;
                default: work[entropy.Next(BuildFormat.RecordBytes)] ^= (byte)(1 + entropy.Next(255)); break;
            }

            BuildOutcome outcome = relay.Processor.Process(work, (uint)(Epoch + (i % 7)), quick, out BuildStep? step);
            if (outcome == BuildOutcome.Unreadable) unreadable++;
            Assert.Null(step);
        }

        Assert.Equal(Rounds, unreadable);
        Assert.Equal(BuildOutcome.Transit, relay.Processor.Process(valid, Epoch, quick, out BuildStep? live));
        live!.Dispose();
    }

    [Fact]
    public void A_relay_judges_any_instructions_without_an_exception()
    {
        // Whoever can seal can write what he likes: the client's own code is not a guard.
        // Sealing one costs the test more than the relay's judgement: 8000 are some ten seconds.
        const int Rounds = 8000;
        var entropy = new SeededEntropy(2);
        using var relay = new Relay(entropy, 1);
        Span<byte> record = new byte[BuildFormat.RecordBytes];
        Span<byte> shared = new byte[64];
        Span<byte> context = new byte[32], hash = new byte[32], keys = new byte[BuildKeys.SealKeysBytes], secret = new byte[32], seed = new byte[32];
        BuildKeys.RelayContext(relay.Contact.Id, relay.Contact.OnionKeyId, relay.Contact.OnionXPublic, relay.Contact.OnionKemPublic, context);
        byte[] message = new byte[BuildFormat.MessageBytes];
        var outcomes = new int[5];
        for (int i = 0; i < Rounds; i++)
        {
            entropy.FillSecret(secret);
            entropy.FillSecret(seed);
            X25519.PublicKey(secret, record[..32]);
            Assert.True(X25519.TryAgree(relay.Contact.OnionXPublic, secret, shared[..32]));
            Assert.True(MlKem768.Encapsulate(relay.Contact.OnionKemPublic, record.Slice(32, 1088), shared[32..], seed));
            BuildKeys.RecordHash(record, context, hash);
            BuildKeys.SealKeys(shared, hash, keys);
            Span<byte> instructions = record.Slice(BuildFormat.KeyPartBytes, BuildFormat.InstructionsBytes);
            Instructions(instructions, entropy, i);
            SodiumChaCha20Poly1305.Seal(instructions, keys[..32], BuildKeys.Nonce, record[BuildFormat.TagAt..]);
            record.CopyTo(message);
            BuildOutcome outcome = relay.Processor.Process(message, Epoch, entropy, out BuildStep? step);
            outcomes[(int)outcome]++;
            Assert.NotNull(step);
            Assert.Equal(outcome == BuildOutcome.Refused, step.RefusalStatus != BuildStatus.Accepted);
            step.Dispose();
        }

        Assert.True(outcomes[(int)BuildOutcome.Refused] > Rounds / 2);
        Assert.True(outcomes[(int)BuildOutcome.Transit] > 0);
        Assert.True(outcomes[(int)BuildOutcome.Terminal] > 0);
    }

    [Fact]
    public void A_client_takes_any_reply()
    {
        const int Rounds = 1500;
        var entropy = new SeededEntropy(3);
        using var a = new Relay(entropy, 1);
        using var b = new Relay(entropy, 2);
        byte[] message = new byte[BuildFormat.MessageBytes];
        int built = 0;
        for (int i = 0; i < Rounds; i++)
        {
            using PathBuilder builder = PathBuilder.Create([a.Contact, b.Contact], SizeClass.Full, Epoch + (uint)(i / 1000), entropy);
            builder.WriteRequest(message);
            uint epoch = Epoch + (uint)(i / 1000);
            Assert.Equal(BuildOutcome.Transit, a.Processor.Process(message, epoch, entropy, out BuildStep? first));
            Assert.Equal(BuildOutcome.Terminal, b.Processor.Process(message, epoch, entropy, out BuildStep? last));
            b.Processor.WriteFirstReply(last!, (BuildStatus)(i % 5 == 0 ? entropy.Next(256) : 0), message, entropy);
            a.Processor.WriteReply(first!, BuildStatus.Accepted, message);
            first!.Dispose();
            last!.Dispose();
            if (i % 3 == 0) entropy.FillPublic(message.AsSpan(entropy.Next(2 * BuildFormat.RecordBytes), 40));
            if (i % 7 == 0) message.AsSpan(entropy.Next(message.Length)).Clear();
            using PathBuildResult result = builder.ReadReply(message);
            if (result.IsBuilt) built++;
            Assert.Equal(result.IsBuilt ? 2 : 0, result.Hops.Count);
            Assert.InRange(result.FailedHop, -1, 1);
        }

        Assert.InRange(built, 1, Rounds - 1);
    }

    private static void Instructions(Span<byte> instructions, SeededEntropy entropy, int round)
    {
        instructions.Clear();
        instructions[BuildFormat.RoleAt] = (byte)(1 + (round & 1));
        if ((round & 1) == 0) instructions[7] = 1;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(instructions[BuildFormat.EpochAt..], Epoch);
        instructions[BuildFormat.VersionAt] = BuildFormat.Version;
        instructions[BuildFormat.SuiteAt] = BuildFormat.Suite;
        if (round % 4 == 3) entropy.FillPublic(instructions);
        else if (round % 8 >= 2) instructions[entropy.Next(instructions.Length)] = (byte)entropy.Next(256);
    }

    private sealed class Relay : IDisposable
    {
        private readonly RouterIdentity _identity;
        private readonly OnionKeyRing _ring;

        public Relay(SeededEntropy entropy, int number)
        {
            _identity = RouterIdentity.Create(entropy);
            _ring = new OnionKeyRing(OnionKeyPair.Create(entropy), Instant.Zero);
            Contact = RouterContact.Create(_identity, _ring.Current, RouterCapabilities.Relay, [UdpAddress.FromBytes([127, (byte)number, 0, 1], 1)], "", "", Now, Now + 1);
            Processor = new BuildProcessor(_identity.Id, _ring, BuildPolicy.Default, entropy);
        }

        public RouterContact Contact { get; }

        public BuildProcessor Processor { get; }

        public void Dispose()
        {
            _identity.Dispose();
            _ring.Dispose();
        }
    }

    private sealed class Quick : IEntropy
    {
        public void FillPublic(Span<byte> destination) => destination.Fill(7);

        public void FillSecret(Span<byte> destination) => destination.Fill(9);
    }
}
