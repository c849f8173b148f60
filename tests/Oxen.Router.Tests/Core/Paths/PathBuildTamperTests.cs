using Oxen.Router.Core.Paths;

namespace Oxen.Router.Tests.Core.Paths;

public sealed class PathBuildTamperTests
{
    // Between hop and hop a message is inside the link's seal; these are the relays' and the links' own hands.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_changed_byte_of_any_record_on_the_way_out_is_found_by_the_hop_it_was_for(int hop)
    {
        const int Hops = 3;
        using var rig = new BuildRig(40, Hops, new BuildPolicy { ReplayCapacityPerEpoch = 4096 });
        for (int record = 0; record < BuildFormat.RecordCount; record++)
        {
            for (int i = hop; i < BuildFormat.RecordBytes; i += 101)
            {
                int at = (record * BuildFormat.RecordBytes) + i;
                rig.OnRequest = (h, message) => { if (h == hop) message[at] ^= (byte)(1 << (i % 8)); };
                using PathBuilder builder = rig.Builder(Hops);
                var outcomes = new List<BuildOutcome>();
                using PathBuildResult result = rig.Run(builder, outcomes: outcomes);
                bool isForSomebody = hop + record < Hops;
                Assert.Equal(!isForSomebody, result.IsBuilt);
                if (!isForSomebody) continue;
                Assert.Equal(hop + record, result.FailedHop);
                Assert.Equal(PathBuildEnd.NotAuthentic, result.End);
                Assert.Equal(BuildOutcome.Unreadable, outcomes[^1]);
            }
        }
    }

    [Fact]
    public void Every_byte_of_the_record_at_hand_counts()
    {
        using var rig = new BuildRig(41, 2);
        using PathBuilder builder = rig.Builder(2);
        byte[] message = new byte[BuildFormat.MessageBytes];
        builder.WriteRequest(message);
        byte[] work = new byte[BuildFormat.MessageBytes];
        for (int i = 0; i < BuildFormat.RecordBytes; i++)
        {
            message.CopyTo(work, 0);
            work[i] ^= (byte)(1 << (i % 8));
            Assert.Equal(BuildOutcome.Unreadable, rig.Processors[0].Process(work, BuildRig.Epoch, rig.Entropy, out BuildStep? step));
            Assert.Null(step);
        }

        Assert.Equal(BuildOutcome.Transit, rig.Processors[0].Process(message, BuildRig.Epoch, rig.Entropy, out _));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void A_changed_byte_of_any_reply_is_found_by_the_client(int hop)
    {
        const int Hops = 3;
        using var rig = new BuildRig(42, Hops, new BuildPolicy { ReplayCapacityPerEpoch = 4096 });
        for (int record = 0; record < BuildFormat.RecordCount; record++)
        {
            for (int i = hop; i < BuildFormat.RecordBytes; i += 101)
            {
                int at = (record * BuildFormat.RecordBytes) + i;
                rig.OnReply = (h, message) => { if (h == hop) message[at] ^= (byte)(1 << (i % 8)); };
                using PathBuilder builder = rig.Builder(Hops);
                using PathBuildResult result = rig.Run(builder);
                bool isFromSomebody = hop + record < Hops;
                Assert.Equal(!isFromSomebody, result.IsBuilt);
                if (!isFromSomebody) continue;
                Assert.Equal(hop + record, result.FailedHop);
                Assert.Equal(PathBuildEnd.NotAuthentic, result.End);
            }
        }
    }

    [Fact]
    public void Every_byte_of_the_first_reply_counts()
    {
        using var rig = new BuildRig(43, 2, new BuildPolicy { ReplayCapacityPerEpoch = 4096 });
        for (int i = 0; i < BuildFormat.RecordBytes; i++)
        {
            int at = i;
            rig.OnReply = (h, message) => { if (h == 0) message[at] ^= (byte)(1 << (at % 8)); };
            using PathBuilder builder = rig.Builder(2);
            using PathBuildResult result = rig.Run(builder);

            // The top bit of an X25519 share is not part of the point (RFC 7748 section 5), but it is part of the transcript.
            Assert.Equal((PathBuildEnd.NotAuthentic, 0), (result.End, result.FailedHop));
        }
    }

    [Fact]
    public void Records_that_changed_places_are_no_path()
    {
        using var rig = new BuildRig(44, 4);
        rig.OnRequest = (hop, message) =>
        {
            if (hop != 1) return;
            byte[] one = BuildFormat.Record(message, 1).ToArray();
            BuildFormat.Record(message, 2).CopyTo(BuildFormat.Record(message, 1));
            one.CopyTo(BuildFormat.Record(message, 2));
        };
        using PathBuilder builder = rig.Builder(4);
        using PathBuildResult result = rig.Run(builder);
        Assert.Equal((PathBuildEnd.NotAuthentic, 2), (result.End, result.FailedHop));
    }

    [Fact]
    public void Another_builds_reply_is_not_taken()
    {
        using var rig = new BuildRig(45, 2);
        using PathBuilder a = rig.Builder(2);
        using PathBuilder b = rig.Builder(2);
        byte[] toA = new byte[BuildFormat.MessageBytes], toB = new byte[BuildFormat.MessageBytes];
        a.WriteRequest(toA);
        b.WriteRequest(toB);
        rig.Walk(0, toA);
        rig.Walk(0, toB);
        using PathBuildResult crossed = a.ReadReply(toB);
        Assert.Equal((PathBuildEnd.NotAuthentic, 0), (crossed.End, crossed.FailedHop));
    }
}
