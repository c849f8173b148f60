using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Onion;
using Oxen.Router.Core.Paths;
using Oxen.Router.Core.Relay;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Daemon.Tests.Demo;
using Oxen.Router.Daemon.Tests.Running;
using Oxen.Router.Hosting;

namespace Oxen.Router.Daemon.Tests;

/// <summary>
/// That it is no toy, seen from outside: every router a process of its own, the wire captured, the processes' memory read. For
/// root; nothing of it needs any other program.
/// </summary>
[Collection(DemoCollection.Name)]
public sealed class NoToyTests
{
    // docs/protocol/link.md#sealed: the UDP payload of each size class.
    private const int FullBytes = 1424, ReducedBytes = 1232;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static void NeedsRoot() => Assert.SkipUnless(Environment.IsPrivilegedProcess, "capturing the wire and reading other processes' memory is root's alone");

    private static bool IsRouter(IPAddress address) => address.GetAddressBytes() is [127, >= 10 and <= 100, 0, 1];

    private static bool IsSealed(byte first) => first is >= 0x80 and <= 0xBF;

    [Fact]
    public async Task The_check_passes_over_processes_and_only_declared_sizes_are_on_the_wire()
    {
        NeedsRoot();
        await using WireCapture? capture = WireCapture.TryOpen();
        Assert.SkipWhen(capture is null, "packet sockets are not permitted here");
        await using var demo = new OxenProcess("demo", "--check", "--processes", "--json", "--socks", "127.0.0.1:0", "--http", "127.0.0.1:0");
        Assert.Equal(0, await demo.WaitForExitAsync(TimeSpan.FromSeconds(150)));
        using JsonDocument json = JsonDocument.Parse(demo.Output);
        Assert.True(json.RootElement.GetProperty("ok").GetBoolean());
        Assert.Equal(134217728, json.RootElement.GetProperty("bytes").GetInt64());

        (List<WireCapture.Packet> packets, _) = await capture!.StopAsync();
        long bytes = SealedBytes(packets);
        Assert.True(bytes > 100 << 20, $"{bytes} bytes of sealed datagrams were seen"); // what a slow reader lost is not missed here
    }

    /// <summary>Asserts the size of every sealed datagram between routers, and gives how many bytes they are.</summary>
    private static long SealedBytes(List<WireCapture.Packet> packets)
    {
        long sum = 0;
        foreach (WireCapture.Packet packet in packets.Where(p => !p.Tcp && IsRouter(p.From) && IsRouter(p.To) && IsSealed(p.Payload[0])))
        {
            int size = packet.Payload.Length % FullBytes == 0 ? FullBytes : ReducedBytes;
            Assert.True(packet.Payload.Length % size == 0, $"{packet.Payload.Length} bytes are no datagrams of {FullBytes} or {ReducedBytes}");
            for (int at = 0; at < packet.Payload.Length; at += size) Assert.True(IsSealed(packet.Payload[at]), "each datagram of a train begins like a sealed one");
            sum += packet.Payload.Length;
        }

        return sum;
    }

    [Fact]
    public async Task A_marker_in_the_payload_is_nowhere_between_client_and_exit_and_each_relay_carried_the_bytes()
    {
        NeedsRoot();
        const int Moved = 8 << 20;
        await using DemoProcess demo = await DemoProcess.StartAsync();
        await using WireCapture? capture = WireCapture.TryOpen();
        Assert.SkipWhen(capture is null, "packet sockets are not permitted here");
        StatusReport before = await demo.ReportAsync();

        // 32 visible bytes: they stand in a header as they are. The body repeats them, so that some copy lies in one segment.
        string marker = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
        byte[] bytes = Encoding.ASCII.GetBytes(marker);
        using HttpClient http = demo.Http();
        using var request = new HttpRequestMessage(HttpMethod.Put, demo.Web + "digest") { Content = new ByteArrayContent(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(marker, 64)))) };
        request.Headers.Add("X-Marker", marker);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
        using HttpResponseMessage answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(await request.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken))), await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        using (SocksUdpClient udp = await SocksUdpClient.AssociateAsync(demo.Socks, TestContext.Current.CancellationToken))
        {
            await udp.SendAsync(bytes, demo.UdpEcho, TestContext.Current.CancellationToken);
            Assert.Equal(bytes, await udp.ReceiveAsync(TestContext.Current.CancellationToken).WaitAsync(Patience, TestContext.Current.CancellationToken));
        }

        Assert.Equal(Moved, (await http.GetByteArrayAsync(new Uri($"{demo.Web}bytes/{Moved}"), TestContext.Current.CancellationToken)).Length);
        StatusReport after = await demo.ReportAsync();
        (List<WireCapture.Packet> packets, uint lost) = await capture!.StopAsync();
        Assert.Equal(0u, lost);

        // The search works: behind the exit the marker is seen, over TCP and over UDP, and in front of the proxy as well.
        int web = new Uri(demo.Web).Port;
        Assert.Contains(packets, p => p.Tcp && p.ToPort == web && p.Payload.AsSpan().IndexOf(bytes) >= 0);
        Assert.Contains(packets, p => !p.Tcp && p.ToPort == demo.UdpEcho.Port && p.Payload.AsSpan().IndexOf(bytes) >= 0);
        Assert.Contains(packets, p => p.Tcp && p.ToPort == demo.Socks.Port && p.Payload.AsSpan().IndexOf(bytes) >= 0);
        List<WireCapture.Packet> between = [.. packets.Where(p => IsRouter(p.From) && IsRouter(p.To))];
        Assert.DoesNotContain(between, p => p.Tcp);
        Assert.DoesNotContain(between, p => p.Payload.AsSpan().IndexOf(bytes) >= 0);
        Assert.DoesNotContain(between, p => p.Payload.AsSpan().IndexOf(bytes.AsSpan(0, 8)) >= 0); // nor a quarter of it
        Assert.True(SealedBytes(packets) >= 4L * Moved, "the bytes crossed four links");

        // Each hop of the path in use took in and gave out at least what was moved.
        PathStatus path = Assert.Single(after.Paths, p => p.Active);
        Assert.Equal(4, path.Hops.Count);
        foreach (string hop in path.Hops)
        {
            string name = demo.Routers.Single(r => r.Id == hop).Name;
            RouterFigures now = after.Routers.Single(r => r.Router == name), then = before.Routers.Single(r => r.Router == name);
            Assert.True(now.BytesSent - then.BytesSent >= Moved, $"{name} sent {now.BytesSent - then.BytesSent} bytes");
            if (hop != path.Hops[^1]) Assert.True(now.BytesReceived - then.BytesReceived >= Moved, $"{name} received {now.BytesReceived - then.BytesReceived} bytes");
        }
    }

    [Fact]
    public async Task Without_spares_and_others_to_turn_to_any_one_relay_that_stops_stops_the_transfer()
    {
        NeedsRoot();
        await using DemoProcess demo = await DemoProcess.StartAsync("--relays", "3", "--exits", "1", "--spares", "0");
        using HttpClient http = demo.Http();
        foreach (DemoProcess.Router router in demo.Routers)
        {
            await using Stream body = await http.GetStreamAsync(new Uri(demo.Web + "bytes/4294967296"), TestContext.Current.CancellationToken);
            using var reader = new CountingReader(body);
            await reader.MovesAsync($"before {router.Name} stops");
            OxenProcess.SignalTo("STOP", router.Process);
            try
            {
                // What was on the way arrives; then nothing does.
                long last = -1;
                var watch = Stopwatch.StartNew();
                while (reader.Count != last || watch.Elapsed < TimeSpan.FromSeconds(1))
                {
                    Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"bytes go on arriving although {router.Name} is stopped");
                    last = reader.Count;
                    await Task.Delay(500, TestContext.Current.CancellationToken);
                }

                await Task.Delay(1500, TestContext.Current.CancellationToken);
                Assert.Equal(last, reader.Count);
            }
            finally
            {
                OxenProcess.SignalTo("CONT", router.Process);
            }

            // With it, all is well again: nothing else was in the way.
            await SucceedsAsync(async () => Assert.Equal(1000, (await http.GetByteArrayAsync(new Uri(demo.Web + "bytes/1000"), TestContext.Current.CancellationToken)).Length), $"after {router.Name} goes on");
        }
    }

    [Fact]
    public async Task No_routers_memory_holds_the_keys_of_another()
    {
        NeedsRoot();
        await using DemoProcess demo = await DemoProcess.StartAsync();
        using HttpClient http = demo.Http();
        Assert.Equal(1 << 20, (await http.GetByteArrayAsync(new Uri($"{demo.Web}bytes/{1 << 20}"), TestContext.Current.CancellationToken)).Length);

        // Of each router: the seeds of its identity and of both its onion keys, as bytes and as they stand in the files.
        var secrets = new Dictionary<string, List<byte[]>>();
        foreach (DemoProcess.Router router in demo.Routers)
        {
            secrets[router.Name] = [];
            foreach (string file in new[] { IdentityFile.NameFor(IdentityFile.RelayRole), OnionKeyFile.Name })
            {
                string hex = File.ReadLines(Path.Combine(router.Directory, file)).Single(l => l.StartsWith("seed: ", StringComparison.Ordinal))[6..];
                secrets[router.Name].AddRange(Convert.FromHexString(hex).Chunk(32));
                secrets[router.Name].Add(Encoding.ASCII.GetBytes(hex[..64]));
            }
        }

        foreach (DemoProcess.Router router in demo.Routers)
        {
            bool own = false;
            long read = 0;
            byte[][] foreign = [.. secrets.Where(s => s.Key != router.Name).SelectMany(s => s.Value)];
            foreach (byte[] memory in Memory(router.Process))
            {
                read += memory.Length;
                own |= memory.AsSpan().IndexOf(secrets[router.Name][0]) >= 0;
                foreach (byte[] secret in foreign) Assert.False(memory.AsSpan().IndexOf(secret) >= 0, $"{router.Name} holds a key of another router");
            }

            Assert.True(read > 10 << 20, $"only {read} bytes of {router.Name} could be read");
            Assert.True(own, $"the search works: {router.Name} holds its own key");
        }
    }

    [Fact]
    public async Task No_routers_memory_holds_the_layer_keys_of_another_hop()
    {
        NeedsRoot();
        var built = new ConcurrentQueue<(IReadOnlyList<RouterId> Hops, IReadOnlyList<HopChains> Chains)>();
        var options = new DemoNetworkOptions
        {
            Relays = 5,
            Exits = 1,
            Processes = true,
            Paths = new ClientPathOptions { Spares = 0, KeyWitness = (hops, chains) => built.Enqueue((hops, chains)) },
        };
        await using DemoNetwork network = await DemoNetwork.StartAsync(options, TestContext.Current.CancellationToken);
        using var limit = new CancellationTokenSource(Patience);
        await network.Client.Client!.WaitReadyAsync(limit.Token);
        Assert.True(built.TryPeek(out var path));

        // Keys of this epoch and the next, both directions: four of 16 bytes each. A hop keeps them expanded, and an expanded
        // AES key begins with the key itself.
        byte[][][] keys = [.. path.Chains.Select(c => LayerKeysOf(c.ChainUpstream).Concat(LayerKeysOf(c.ChainDownstream)).ToArray())];
        for (int hop = 0; hop < path.Hops.Count; hop++)
        {
            var router = (ProcessRouter)network.Find(path.Hops[hop].ToString())!;
            byte[][] foreign = [.. keys.Where((_, other) => other != hop).SelectMany(k => k), .. path.Chains.Where((_, other) => other != hop).SelectMany(c => new[] { c.ChainUpstream, c.ChainDownstream })];
            bool own = false;
            foreach (byte[] memory in Memory(router.ProcessId))
            {
                foreach (byte[] key in keys[hop]) own |= memory.AsSpan().IndexOf(key) >= 0;
                foreach (byte[] secret in foreign) Assert.False(memory.AsSpan().IndexOf(secret) >= 0, $"{router.Name} (hop {hop + 1}) holds a key of another hop");
            }

            Assert.True(own, $"the search works: {router.Name} holds a key of its own hop");
        }
    }

    private static IEnumerable<byte[]> LayerKeysOf(byte[] chain)
    {
        byte[] now = [.. chain];
        for (int epoch = 0; epoch < 2; epoch++)
        {
            byte[] raw = new byte[LayerKeys.RawBytes];
            EpochChain.LayerKeys(now, raw);
            foreach (byte[] key in raw.Chunk(16)) yield return key;
            byte[] next = new byte[32];
            EpochChain.Next(now, next);
            now = next;
        }
    }

    /// <summary>Every writable private area of a process, as far as it can be read.</summary>
    private static IEnumerable<byte[]> Memory(int process)
    {
        FileStream memory;
        try
        {
            memory = new FileStream(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/mem"), FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            Assert.Skip("reading other processes' memory is not permitted here");
            yield break;
        }

        using FileStream _ = memory;
        foreach (string line in File.ReadLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/maps")))
        {
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts[1][0] != 'r' || parts[1][1] != 'w' || parts[^1].StartsWith("[v", StringComparison.Ordinal)) continue;
            string[] ends = parts[0].Split('-');
            long from = long.Parse(ends[0], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture), to = long.Parse(ends[1], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

            // Pieces overlap, so that nothing hides on a border; pages that were never touched read as zeros.
            const int Piece = 8 << 20, Overlap = 64;
            for (long at = from; at < to; at += Piece - Overlap)
            {
                byte[] piece = new byte[(int)Math.Min(Piece, to - at)];
                int length;
                try
                {
                    length = RandomAccess.Read(memory.SafeFileHandle, piece, at);
                }
                catch (IOException)
                {
                    break; // a device's memory, or an area that is gone
                }

                yield return piece[..length];
                if (to - at <= Piece) break;
            }
        }
    }

    private static async Task SucceedsAsync(Func<Task> attempt, string when)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                await attempt();
                return;
            }
            catch (HttpRequestException e)
            {
                Assert.True(watch.Elapsed < Patience, $"{when}: {e.Message}");
                await Task.Delay(100, TestContext.Current.CancellationToken);
            }
        }
    }

    /// <summary>Reads a stream to nowhere and counts.</summary>
    private sealed class CountingReader : IDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private long _count;

        public CountingReader(Stream stream) => _ = Task.Run(async () =>
        {
            byte[] buffer = new byte[65536];
            try
            {
                int read;
                while ((read = await stream.ReadAsync(buffer, _stop.Token)) > 0) Interlocked.Add(ref _count, read);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The transfer is over.
            }
        });

        public long Count => Interlocked.Read(ref _count);

        public async Task MovesAsync(string when)
        {
            var watch = Stopwatch.StartNew();
            while (Count < 1 << 20)
            {
                Assert.True(watch.Elapsed < Patience, $"{when}: {Count} bytes arrived");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
        }

        public void Dispose() => _stop.Cancel();
    }
}
