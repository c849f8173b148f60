using System.Globalization;
using Oxen.Router.Client;
using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Exit;
using Oxen.Router.Hosting;

namespace Oxen.Bench.Core.Paths;

/// <summary>
/// `Oxen.Bench path-build [paths]`: how long a client waits for a path of four hops, from its request to the last hop's answer. Eight relays and two
/// exits in this process, each with its socket on loopback and threads of its own; one path is built after another, each for a group of its own.
/// </summary>
internal static class PathBuildLoop
{
    private const int Relays = 8;
    private const int Exits = 2;

    // As many isolation groups as a client has, without the shared one.
    private const int PathsOfAClient = 31;
    private const int WarmUp = 3 * PathsOfAClient;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly ShardOptions Shard = new() { ReplayFilterBytes = 4 << 20, MaxPaths = 4096, MaxClientPaths = 128 };

    public static async Task RunAsync(string[] args)
    {
        int paths = args is [var given] && int.TryParse(given, CultureInfo.InvariantCulture, out int asked) && asked > 0 ? asked : 1000;
        var keys = new List<IDisposable>();
        var routers = new List<RouterNode>();
        try
        {
            NodeDirectory directory = Start(routers, keys);
            var standing = new List<double>();
            var fresh = new List<double>();
            for (int built = -WarmUp; built < paths; built += PathsOfAClient) await BuildAsync(directory, built < 0, standing, fresh).ConfigureAwait(false);
            Print("over links that stand", standing);
            Print("with links that had to be made", fresh);
        }
        finally
        {
            foreach (RouterNode router in routers) await router.DisposeAsync().ConfigureAwait(false);
            foreach (IDisposable key in keys) key.Dispose();
        }
    }

    private static async Task BuildAsync(NodeDirectory directory, bool warmUp, List<double> standing, List<double> fresh)
    {
        int links = 0;
        var builds = new List<(double Milliseconds, bool Fresh)>();
        var client = new RouterNode(new RouterNodeOptions
        {
            Name = "client",
            Listen = UdpAddress.FromBytes([127, 10, 0, 1], 0),
            Client = new ClientPathOptions { Hops = 4, Spares = 0 },
            Shard = Shard,
            Proxied = false,
            OnNotice = notice =>
            {
                // A client's links and paths are told by one thread.
                if (notice.Kind == RouterNoticeKind.LinkUp) links++;
                if (notice.Kind != RouterNoticeKind.PathReady) return;
                lock (builds) builds.Add((notice.Time.TotalMilliseconds, links > 0));
                links = 0;
            },
        });
        await using (client.ConfigureAwait(false))
        {
            client.Start(directory);
            for (int i = 1; i <= PathsOfAClient; i++)
            {
                using var patience = new CancellationTokenSource(Patience);
                OnionStream stream = await client.Client!.OpenAsync(new IsolationKey((ulong)i, 1), patience.Token).ConfigureAwait(false);
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }

        if (warmUp) return;
        lock (builds)
            foreach ((double milliseconds, bool first) in builds) (first ? fresh : standing).Add(milliseconds);
    }

    private static NodeDirectory Start(List<RouterNode> routers, List<IDisposable> keys)
    {
        var entropy = new SystemEntropy();
        var contacts = new List<RouterContact>();
        long unix = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        for (int i = 0; i < Relays + Exits; i++)
        {
            bool exit = i >= Relays;
            RouterIdentity identity = RouterIdentity.Create(entropy);
            OnionKeyPair onion = OnionKeyPair.Create(entropy);
            var ring = new OnionKeyRing(onion, Instant.Zero);
            keys.Add(identity);
            keys.Add(ring);
            var router = new RouterNode(new RouterNodeOptions
            {
                Name = $"router-{i}",
                Listen = UdpAddress.FromBytes([127, (byte)(11 + i), 0, 1], 0), // no two hops of one /16
                Identity = identity,
                OnionKeys = ring,
                ExitPolicy = exit ? ExitPolicy.CreateDefault([]) : null,
                Shard = Shard,
            });
            routers.Add(router);
            contacts.Add(RouterContact.Create(identity, onion, exit ? RouterCapabilities.Exit : RouterCapabilities.Relay, [router.LocalAddress], "bench", $"operator-{i}", unix - 3600, unix + 86_400));
        }

        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        byte[] network = new byte[32];
        ContactList list = ContactList.Create(listKey, network, contacts, unix - 60, unix + 86_400);
        if (ContactList.TryOpen(list.Encoded, listKey.Id, network, unix, out ContactList? opened) != ContactFault.None) throw new InvalidOperationException("the list does not open");
        NodeDirectory directory = NodeDirectory.From(opened!, unix);
        foreach (RouterNode router in routers) router.Start(directory);
        return directory;
    }

    private static void Print(string what, List<double> milliseconds)
    {
        if (milliseconds.Count == 0) return;
        milliseconds.Sort();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what}: {milliseconds.Count} paths of four hops, p50 {At(0.5):F2} ms, p90 {At(0.9):F2}, p99 {At(0.99):F2}, worst {milliseconds[^1]:F2}"));

        double At(double share) => milliseconds[Math.Min(milliseconds.Count - 1, (int)(share * milliseconds.Count))];
    }
}
