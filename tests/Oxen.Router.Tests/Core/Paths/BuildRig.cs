using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Tests.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Paths;

/// <summary>Relays in memory, and builds that run through them. A test may touch any message on its way.</summary>
internal sealed class BuildRig : IDisposable
{
    public const uint Epoch = 29_453_760;

    public BuildRig(ulong seed, int relays, BuildPolicy? policy = null)
    {
        Entropy = new SeededEntropy(seed);
        Routers = [.. Enumerable.Range(1, relays).Select(i => DirectoryMaker.MakeRouter(Entropy, i, RouterCapabilities.Relay | RouterCapabilities.Exit))];
        Rings = [.. Routers.Select(r => new OnionKeyRing(r.OnionKey, Instant.Zero))];
        Processors = [.. Routers.Select((r, i) => new BuildProcessor(r.Identity.Id, Rings[i], policy ?? new BuildPolicy { ReplayCapacityPerEpoch = 64 }, Entropy))];
        RelayEpochs = [.. Enumerable.Repeat(Epoch, relays)];
    }

    /// <summary>Called with (hop, message) as a request reaches that hop.</summary>
    public Action<int, byte[]>? OnRequest { get; set; }

    /// <summary>Called with (hop, message) as that hop's reply leaves it.</summary>
    public Action<int, byte[]>? OnReply { get; set; }

    /// <summary>What a hop says when its processor has nothing against the build.</summary>
    public Func<int, BuildStatus> Verdict { get; set; } = _ => BuildStatus.Accepted;

    public SeededEntropy Entropy { get; }

    public TestRouter[] Routers { get; }

    public OnionKeyRing[] Rings { get; }

    public BuildProcessor[] Processors { get; }

    public uint[] RelayEpochs { get; }

    public List<RouterContact> Contacts(int hops) => [.. Routers.Take(hops).Select(r => r.Contact)];

    public PathBuilder Builder(int hops, uint epoch = Epoch) => PathBuilder.Create(Contacts(hops), SizeClass.Full, epoch, Entropy);

    /// <summary>Runs a build. `steps` gets each hop's step, not disposed; null where a hop had none.</summary>
    public PathBuildResult Run(PathBuilder builder, List<BuildStep?>? steps = null, List<BuildOutcome>? outcomes = null)
    {
        byte[] message = new byte[BuildFormat.MessageBytes];
        builder.WriteRequest(message);
        Walk(0, message, steps, outcomes);
        return builder.ReadReply(message);
    }

    /// <summary>One hop and all behind it: request in, reply out, in place.</summary>
    public void Walk(int hop, byte[] message, List<BuildStep?>? steps = null, List<BuildOutcome>? outcomes = null)
    {
        OnRequest?.Invoke(hop, message);
        BuildProcessor relay = Processors[hop];
        BuildOutcome outcome = relay.Process(message, RelayEpochs[hop], Entropy, out BuildStep? step);
        steps?.Add(step);
        outcomes?.Add(outcome);
        switch (outcome)
        {
            case BuildOutcome.Transit when Verdict(hop) != BuildStatus.Accepted:
            case BuildOutcome.Terminal:
                relay.WriteFirstReply(step!, Verdict(hop), message, Entropy);
                break;
            case BuildOutcome.Transit:
                int next = Array.FindIndex(Routers, r => r.Identity.Id == step!.NextHop);
                Assert.True(next > hop);
                Walk(next, message, steps, outcomes);
                relay.WriteReply(step!, BuildStatus.Accepted, message);
                break;
            case BuildOutcome.Refused:
                relay.WriteFirstReply(step!, step!.RefusalStatus, message, Entropy);
                break;
            default:
                relay.WriteBlankReply(message, Entropy);
                break;
        }

        OnReply?.Invoke(hop, message);
        if (steps is null) step?.Dispose();
    }

    public void Dispose()
    {
        foreach (OnionKeyRing ring in Rings) ring.Dispose();
        foreach (TestRouter router in Routers) router.Dispose();
    }
}
