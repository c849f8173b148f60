using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class PathBuildTests
{
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void Client_and_every_hop_agree_and_no_two_hops_share_a_key(int hops)
    {
        using var rig = new BuildRig((ulong)hops, hops);
        var steps = new List<BuildStep?>();
        using PathBuilder builder = rig.Builder(hops);
        using PathBuildResult result = rig.Run(builder, steps);
        Assert.True(result.IsBuilt);
        Assert.Equal(-1, result.FailedHop);
        Assert.Equal(hops, result.Hops.Count);
        Assert.Equal(hops, steps.Count);
        var seen = new HashSet<string>();
        for (int i = 0; i < hops; i++)
        {
            BuildStep step = steps[i]!;
            PathHopSecrets mine = result.Hops[i];
            Assert.Equal(BuildRig.Epoch, step.Secrets.StartEpoch);
            Assert.Equal(BuildRig.Epoch, mine.StartEpoch);
            Assert.Equal(i == hops - 1 ? BuildRole.Terminal : BuildRole.Transit, step.Role);
            Assert.Equal(i == hops - 1 ? default : rig.Routers[i + 1].Identity.Id, step.NextHop);
            Assert.Equal(SizeClass.Full, step.Class);
            Assert.Equal(mine.ChainUpstream, step.Secrets.ChainUpstream);
            Assert.Equal(mine.ChainDownstream, step.Secrets.ChainDownstream);
            Assert.Equal(mine.SessionSecret, step.Secrets.SessionSecret);
            Assert.Equal(mine.Transcript, step.Secrets.Transcript);
            Assert.True(seen.Add(Convert.ToHexString(mine.ChainUpstream)));
            Assert.True(seen.Add(Convert.ToHexString(mine.ChainDownstream)));
            Assert.True(seen.Add(Convert.ToHexString(mine.SessionSecret)));
            Assert.True(seen.Add(Convert.ToHexString(mine.Transcript)));
        }
    }

    [Fact]
    public void The_size_class_reaches_every_hop()
    {
        using var rig = new BuildRig(20, 3);
        var steps = new List<BuildStep?>();
        using PathBuilder builder = PathBuilder.Create(rig.Contacts(3), SizeClass.Reduced, BuildRig.Epoch, rig.Entropy);
        using PathBuildResult result = rig.Run(builder, steps);
        Assert.True(result.IsBuilt);
        Assert.All(steps, step => Assert.Equal(SizeClass.Reduced, step!.Class));
    }

    [Fact]
    public void Equal_records_in_give_unequal_records_out_both_ways()
    {
        using var rig = new BuildRig(21, 3);
        using PathBuilder builder = rig.Builder(3);
        byte[] message = new byte[BuildFormat.MessageBytes];
        builder.WriteRequest(message);
        for (int i = 2; i < BuildFormat.RecordCount; i++) BuildFormat.Record(message, 1).CopyTo(BuildFormat.Record(message, i));
        Assert.Equal(BuildOutcome.Transit, rig.Processors[0].Process(message, BuildRig.Epoch, rig.Entropy, out BuildStep? step));
        AssertAllDifferent(message);

        for (int i = 1; i < BuildFormat.RecordCount; i++) BuildFormat.Record(message, 0).CopyTo(BuildFormat.Record(message, i));
        rig.Processors[0].WriteReply(step!, BuildStatus.Accepted, message);
        AssertAllDifferent(message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_refusal_reaches_the_client_with_its_hop_and_its_word(int refusing)
    {
        using var rig = new BuildRig(22, 4) { Verdict = hop => hop == refusing ? BuildStatus.Busy : BuildStatus.Accepted };
        using PathBuilder builder = rig.Builder(4);
        using PathBuildResult result = rig.Run(builder);
        Assert.Equal(PathBuildEnd.Refused, result.End);
        Assert.Equal(refusing, result.FailedHop);
        Assert.Equal(BuildStatus.Busy, result.Status);
        Assert.Empty(result.Hops);
    }

    [Theory]
    [InlineData(-3, false)]
    [InlineData(-2, true)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    public void An_epoch_off_by_three_is_refused_and_the_relay_names_its_own(int offset, bool accepted)
    {
        using var rig = new BuildRig(23, 3);
        rig.RelayEpochs[1] = (uint)(BuildRig.Epoch + offset);
        using PathBuilder builder = rig.Builder(3);
        using PathBuildResult result = rig.Run(builder);
        Assert.Equal(accepted, result.IsBuilt);
        if (accepted) return;
        Assert.Equal(1, result.FailedHop);
        Assert.Equal(BuildStatus.WrongEpoch, result.Status);
        Assert.Equal(rig.RelayEpochs[1], result.RelayEpoch);
    }

    [Fact]
    public void A_record_seen_before_is_answered_with_a_blank()
    {
        using var rig = new BuildRig(24, 3);
        byte[] first = [], second = [];
        rig.OnRequest = (hop, message) =>
        {
            if (hop == 1) second = (byte[])message.Clone();
            if (hop == 0) first = (byte[])message.Clone();
        };
        using (PathBuilder builder = rig.Builder(3))
        {
            using PathBuildResult result = rig.Run(builder);
            Assert.True(result.IsBuilt);
        }

        Assert.Equal(BuildOutcome.Replayed, rig.Processors[0].Process(first, BuildRig.Epoch, rig.Entropy, out BuildStep? step));
        Assert.Null(step);
        Assert.Equal(BuildOutcome.Replayed, rig.Processors[1].Process(second, BuildRig.Epoch + 2, rig.Entropy, out _));

        // When the cache has moved on, the epoch refuses it.
        Assert.NotEqual(BuildOutcome.Transit, rig.Processors[1].Process(second, BuildRig.Epoch + 3, rig.Entropy, out _));
    }

    [Fact]
    public void A_replay_is_still_known_under_the_previous_onion_key()
    {
        using var rig = new BuildRig(25, 2);
        byte[] seen = [];
        rig.OnRequest = (hop, message) => { if (hop == 1) seen = (byte[])message.Clone(); };
        using (PathBuilder builder = rig.Builder(2))
        {
            using PathBuildResult result = rig.Run(builder);
            Assert.True(result.IsBuilt);
        }

        rig.Rings[1].Rotate(OnionKeyPair.Create(rig.Entropy), Instant.Zero);
        Assert.Equal(BuildOutcome.Replayed, rig.Processors[1].Process(seen, BuildRig.Epoch, rig.Entropy, out _));
    }

    [Fact]
    public void After_a_restart_builds_stamped_before_it_are_refused()
    {
        using var rig = new BuildRig(26, 2, new BuildPolicy { FirstEpoch = BuildRig.Epoch, ReplayCapacityPerEpoch = 64 });
        using PathBuilder old = rig.Builder(2, BuildRig.Epoch - 1);
        using PathBuildResult refused = rig.Run(old);
        Assert.Equal((0, BuildStatus.WrongEpoch), (refused.FailedHop, refused.Status));
        using PathBuilder fresh = rig.Builder(2, BuildRig.Epoch);
        using PathBuildResult built = rig.Run(fresh);
        Assert.True(built.IsBuilt);
    }

    [Fact]
    public void A_full_replay_cache_refuses_and_recovers_with_the_epochs()
    {
        using var rig = new BuildRig(27, 2, new BuildPolicy { ReplayCapacityPerEpoch = 16 });
        for (int i = 0; i < 17; i++)
        {
            using PathBuilder builder = rig.Builder(2);
            using PathBuildResult result = rig.Run(builder);
            Assert.Equal(i < 16, result.IsBuilt);
            if (i == 16) Assert.Equal(BuildStatus.Busy, result.Status);
        }

        rig.RelayEpochs.AsSpan().Fill(BuildRig.Epoch + 5);
        using PathBuilder later = rig.Builder(2, BuildRig.Epoch + 5);
        using PathBuildResult again = rig.Run(later);
        Assert.True(again.IsBuilt);
    }

    [Fact]
    public void The_previous_onion_key_still_opens_and_the_one_before_does_not()
    {
        using var rig = new BuildRig(28, 3);
        rig.Rings[1].Rotate(OnionKeyPair.Create(rig.Entropy), Instant.Zero);
        using (PathBuilder builder = rig.Builder(3))
        {
            using PathBuildResult result = rig.Run(builder);
            Assert.True(result.IsBuilt);
        }

        rig.Rings[1].Rotate(OnionKeyPair.Create(rig.Entropy), Instant.Zero);
        using (PathBuilder builder = rig.Builder(3))
        {
            var outcomes = new List<BuildOutcome>();
            using PathBuildResult result = rig.Run(builder, outcomes: outcomes);
            Assert.Equal([BuildOutcome.Transit, BuildOutcome.Unreadable], outcomes);
            Assert.Equal(PathBuildEnd.NotAuthentic, result.End);
            Assert.Equal(1, result.FailedHop);
        }
    }

    [Fact]
    public void A_build_for_another_relay_with_the_same_onion_key_is_unreadable()
    {
        using var rig = new BuildRig(29, 2);
        var entropy = new SeededEntropy(30);
        using RouterIdentity other = RouterIdentity.Create(entropy);
        var processor = new BuildProcessor(other.Id, rig.Rings[0], BuildPolicy.Default, entropy);
        using PathBuilder builder = rig.Builder(2);
        byte[] message = new byte[BuildFormat.MessageBytes];
        builder.WriteRequest(message);
        Assert.Equal(BuildOutcome.Unreadable, processor.Process(message, BuildRig.Epoch, entropy, out _));
    }

    [Fact]
    public void A_share_of_small_order_is_refused_on_both_sides()
    {
        using var rig = new BuildRig(31, 2);
        using PathBuilder builder = rig.Builder(2);
        byte[] message = new byte[BuildFormat.MessageBytes];
        builder.WriteRequest(message);
        message.AsSpan(0, 32).Clear();
        Assert.Equal(BuildOutcome.Unreadable, rig.Processors[0].Process(message, BuildRig.Epoch, rig.Entropy, out _));
        rig.Processors[0].WriteBlankReply(message, rig.Entropy);
        message.AsSpan(0, 32).Clear();
        using PathBuildResult result = builder.ReadReply(message);
        Assert.Equal(PathBuildEnd.NotAuthentic, result.End);
        Assert.Equal(0, result.FailedHop);
    }

    [Fact]
    public void Effort_is_asked_for_named_and_paid()
    {
        using var rig = new BuildRig(32, 2, new BuildPolicy { RequiredEffortBits = 10, ReplayCapacityPerEpoch = 64 });
        int refused = 0;
        int asked = 0;
        for (int i = 0; i < 4; i++)
        {
            using PathBuilder cheap = rig.Builder(2);
            using PathBuildResult result = rig.Run(cheap);
            if (result.IsBuilt) continue;
            Assert.Equal(BuildStatus.EffortTooLow, result.Status);
            refused++;
            asked = result.RequiredEffortBits;
        }

        Assert.True(refused >= 3);
        Assert.Equal(10, asked);
        using PathBuilder paid = PathBuilder.Create(rig.Contacts(2), SizeClass.Full, BuildRig.Epoch, rig.Entropy, [asked, asked]);
        using PathBuildResult built = rig.Run(paid);
        Assert.True(built.IsBuilt);
    }

    [Fact]
    public void Misuse_is_stopped_at_the_door()
    {
        using var rig = new BuildRig(33, 3);
        Assert.Throws<ArgumentException>(() => rig.Builder(1));
        Assert.Throws<ArgumentException>(() => PathBuilder.Create([rig.Routers[0].Contact, rig.Routers[1].Contact, rig.Routers[0].Contact], SizeClass.Full, 1, rig.Entropy));
        Assert.Throws<ArgumentException>(() => rig.Processors[0].Process(new byte[BuildFormat.MessageBytes - 1], 1, rig.Entropy, out _));
        using PathBuilder builder = rig.Builder(2);
        byte[] message = new byte[BuildFormat.MessageBytes];
        Assert.Throws<InvalidOperationException>(() => builder.ReadReply(message));
        builder.WriteRequest(message);
        Assert.Throws<InvalidOperationException>(() => builder.WriteRequest(message));
        rig.Processors[0].Process(message, BuildRig.Epoch, rig.Entropy, out BuildStep? step);
        rig.Processors[0].WriteReply(step!, BuildStatus.Accepted, message);
        Assert.Throws<ArgumentException>(() => rig.Processors[0].WriteReply(step!, BuildStatus.Accepted, message));
        step!.Dispose();
        Assert.Throws<ArgumentException>(() => rig.Processors[0].WriteReply(step, BuildStatus.Accepted, message));
    }

    [Fact]
    public void A_step_given_back_is_wiped_and_used_again()
    {
        using var rig = new BuildRig(34, 2);
        var steps = new List<BuildStep?>();
        using (PathBuilder builder = rig.Builder(2)) rig.Run(builder, steps).Dispose();
        BuildStep step = steps[0]!;
        step.Dispose();
        step.Dispose();
        Assert.False(step.Secrets.ChainUpstream.ContainsAnyExcept((byte)0));
        Assert.False(step.Secrets.SessionSecret.ContainsAnyExcept((byte)0));
        steps.Clear();
        using (PathBuilder builder = rig.Builder(2)) rig.Run(builder, steps).Dispose();
        Assert.Same(step, steps[0]);
        steps.Clear();
        using (PathBuilder builder = rig.Builder(2)) rig.Run(builder, steps).Dispose();
        Assert.NotSame(step, steps[0]);
    }

    [Fact]
    public void A_relay_works_on_builds_without_allocating()
    {
        using var rig = new BuildRig(35, 2, new BuildPolicy { ReplayCapacityPerEpoch = 1 << 12 });
        var entropy = new StillEntropy();
        byte[][] messages = new byte[600][];
        for (int i = 0; i < messages.Length; i++)
        {
            using PathBuilder builder = rig.Builder(2);
            messages[i] = new byte[BuildFormat.MessageBytes];
            builder.WriteRequest(messages[i]);
        }

        int next = 0;
        int opened = 0;
        byte[] noise = new byte[BuildFormat.MessageBytes];
        long bytes = AllocationAssert.Measure(
            () =>
            {
                byte[] message = messages[next++];
                BuildProcessor relay = rig.Processors[0];
                if (relay.Process(message, BuildRig.Epoch, entropy, out BuildStep? step) == BuildOutcome.Transit) opened++;
                relay.WriteReply(step!, BuildStatus.Accepted, message);
                step!.Dispose();
                noise[next % 1280]++;
                relay.Process(noise, BuildRig.Epoch, entropy, out _);
                relay.WriteBlankReply(message, entropy);
            },
            times: 400,
            warmUp: 200);
        Assert.Equal(600, opened);
        Assert.Equal(0, bytes);
    }

    private static void AssertAllDifferent(byte[] message)
    {
        var seen = new HashSet<string>();
        for (int i = 0; i < BuildFormat.RecordCount; i++)
        {
            // No half may repeat either.
            Assert.True(seen.Add(Convert.ToHexString(BuildFormat.Record(message, i)[..16])));
            Assert.True(seen.Add(Convert.ToHexString(BuildFormat.Record(message, i)[16..])));
        }
    }

    private sealed class StillEntropy : IEntropy
    {
        private byte _next;

        public void FillPublic(Span<byte> destination) => destination.Fill(++_next);

        public void FillSecret(Span<byte> destination) => destination.Fill(++_next);
    }
}
