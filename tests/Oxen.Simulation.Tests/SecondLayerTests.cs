using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Testing;

namespace Oxen.Simulation.Tests;

public sealed class SecondLayerTests
{
    private sealed class Memory : IGuardStore
    {
        public IReadOnlyList<GuardRecord> Kept { get; private set; } = [];

        public IReadOnlyList<GuardRecord> Load() => Kept;

        public void Save(IReadOnlyList<GuardRecord> guards) => Kept = guards;
    }

    [Fact]
    public void Paths_to_relays_of_our_choice_have_few_second_hops_and_a_restart_keeps_them()
    {
        using var world = new SimWorld(SimWorld.SeedOr(740), relays: 30, exits: 1);
        Memory guards = new(), seconds = new();
        HashSet<RouterId> seen = Build(guards, seconds);
        Assert.Equal(6, seconds.Kept.Count);
        Assert.True(seen.IsSubsetOf(seconds.Kept.Select(g => g.Id)), "only the layer's");
        Assert.InRange(seen.Count, 2, 6);
        GuardRecord[] before = [.. seconds.Kept.OrderBy(g => g.Id)];
        seen = Build(guards, seconds);
        Assert.True(seen.IsSubsetOf(before.Select(g => g.Id)), "still only those");
        Assert.Equal(before.Select(g => (g.Id, g.Ends)), seconds.Kept.OrderBy(g => g.Id).Select(g => (g.Id, g.Ends)));

        HashSet<RouterId> Build(Memory first, Memory second)
        {
            var paths = new List<RouterId[]>();
            SimRouter client = world.AddClient(new ClientPathOptions { GuardStore = first, SecondLayerStore = second, KeyWitness = (hops, _) => paths.Add([.. hops]) });
            RouterId[] terminals = [.. world.Routers.Take(12).Select(r => r.Id)];
            client.Post(now =>
            {
                for (int i = 0; i < terminals.Length; i++) client.Control.Client!.WantPath(0x4000_0000 + i, terminals[i], PathPurpose.Hidden, once: false, now);
            });
            world.Until(() => paths.Count >= terminals.Length, 60, "paths");
            client.Stop();
            world.Clients.Remove(client);
            foreach (RouterId[] path in paths) world.Check(path.Distinct().Count() == path.Length, "nobody twice");
            return [.. paths.Select(p => p[1])];
        }
    }
}
