using Oxen.Router.Core.Paths;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>What a relay sees of a path's length and of its own place: nothing that a byte could tell.</summary>
public sealed class PathBuildViewTests
{
    private const int Builds = 24;

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void A_middle_hop_sees_eight_records_of_noise_both_ways_at_every_length_and_place(int hops)
    {
        using var rig = new BuildRig((ulong)(60 + hops), hops, new BuildPolicy { ReplayCapacityPerEpoch = 64 });

        // For each place and way: how often each bit of the message was set, and each record's own bytes.
        var requests = new Dictionary<int, List<byte[]>>();
        var replies = new Dictionary<int, List<byte[]>>();
        rig.OnRequest = (hop, message) => Add(requests, hop, message);
        rig.OnReply = (hop, message) => Add(replies, hop, message);
        for (int i = 0; i < Builds; i++)
        {
            using PathBuilder builder = rig.Builder(hops);
            using PathBuildResult result = rig.Run(builder);
            Assert.True(result.IsBuilt);
        }

        for (int hop = 0; hop < hops; hop++)
        {
            AssertNoise(requests[hop]);
            AssertNoise(replies[hop]);
        }
    }

    [Fact]
    public void What_a_middle_hop_opens_differs_only_in_the_next_hop()
    {
        // Same relay, second place, in paths of three and of eight: apart from ids, keys and noise its step is the same.
        using var rig = new BuildRig(70, 8, new BuildPolicy { ReplayCapacityPerEpoch = 64 });
        var views = new HashSet<string>();
        for (int hops = 3; hops <= 8; hops++)
        {
            var steps = new List<BuildStep?>();
            using PathBuilder builder = rig.Builder(hops);
            using PathBuildResult result = rig.Run(builder, steps);
            BuildStep step = steps[1]!;
            views.Add($"{step.Role} {step.Class} {step.Suite} {step.NextHop} {step.Secrets.StartEpoch} {step.RefusalStatus}");
        }

        Assert.Single(views);
    }

    [Fact]
    public void A_refusal_looks_like_any_other_reply()
    {
        using var rig = new BuildRig(71, 4, new BuildPolicy { ReplayCapacityPerEpoch = 256 });
        var refusals = new List<byte[]>();
        rig.Verdict = hop => hop == 2 ? BuildStatus.NextHopUnreachable : BuildStatus.Accepted;
        rig.OnReply = (hop, message) => { if (hop == 2) refusals.Add((byte[])message.Clone()); };
        for (int i = 0; i < Builds; i++)
        {
            using PathBuilder builder = rig.Builder(4);
            using PathBuildResult result = rig.Run(builder);
            Assert.Equal((2, BuildStatus.NextHopUnreachable), (result.FailedHop, result.Status));
        }

        AssertNoise(refusals);

        // A blank answer too, down to the share being a real key (its top bit is zero, as in every X25519 share).
        var blanks = new List<byte[]>();
        for (int i = 0; i < Builds; i++)
        {
            byte[] message = new byte[BuildFormat.MessageBytes];
            rig.Processors[0].WriteBlankReply(message, rig.Entropy);
            blanks.Add(message);
        }

        AssertNoise(blanks);
    }

    // Every record begins with nothing in common, no bit is fixed (but the top bit of the share at hand), and ones and
    // zeros balance within five standard deviations.
    private static void AssertNoise(List<byte[]> messages)
    {
        Assert.Equal(Builds, messages.Count);
        var blocks = new HashSet<UInt128>();
        byte[] ones = new byte[BuildFormat.MessageBytes];
        byte[] zeros = new byte[BuildFormat.MessageBytes];
        long set = 0;
        foreach (byte[] message in messages)
        {
            Assert.Equal(BuildFormat.MessageBytes, message.Length);
            for (int i = 0; i < message.Length; i++)
            {
                ones[i] |= message[i];
                zeros[i] |= (byte)~message[i];
                set += byte.PopCount(message[i]);
            }

            for (int i = 0; i < message.Length; i += 16) Assert.True(blocks.Add(System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(message.AsSpan(i))));
        }

        // 81 920 bits, each fixed over 24 builds with chance 2^-23: expect 0.01 of them.
        int neverOne = 0, neverZero = 0;
        for (int i = 0; i < ones.Length; i++)
        {
            neverOne += byte.PopCount((byte)~ones[i]);
            neverZero += byte.PopCount((byte)~zeros[i]);
        }

        Assert.InRange(neverOne, 1, 2);
        Assert.NotEqual(0, (byte)~ones[31] & 0x80);
        Assert.InRange(neverZero, 0, 1);
        double bits = (double)messages.Count * BuildFormat.MessageBytes * 8;
        Assert.InRange(set, (bits / 2) - (5 * Math.Sqrt(bits) / 2), (bits / 2) + (5 * Math.Sqrt(bits) / 2));
    }

    private static void Add(Dictionary<int, List<byte[]>> views, int hop, byte[] message)
    {
        if (!views.TryGetValue(hop, out List<byte[]>? list)) views[hop] = list = [];
        list.Add((byte[])message.Clone());
    }
}
