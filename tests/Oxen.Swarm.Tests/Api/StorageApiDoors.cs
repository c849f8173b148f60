using Oxen.Swarm.Api;

namespace Oxen.Swarm.Tests.Api;

public sealed class StorageApiInMemoryTests(ApiFixture fixture) : StorageApiTests(fixture, "memory")
{
    private readonly Oxen.Swarm.Tests.Cluster.TestSwarm _swarm = fixture.Swarm;

    [Fact]
    public async Task Nodes_are_listed_in_51_bytes_each()
    {
        (ApiResult result, bool _) = await _swarm[0].Api.HandleMethodAsync("active_nodes_bin", default);
        byte[] bytes = Assert.IsType<byte[]>(result.Body);
        Assert.Equal(5 * 51, bytes.Length);
        Assert.Contains(_swarm.Entries.Select(e => e.Hex), h => h == Convert.ToHexStringLower(bytes.AsSpan(0, 32)));
        Assert.Equal([127, 0, 0, 1], bytes[40..44]);
        Assert.Equal([2, 12, 0], bytes[48..51]);
    }
}

public sealed class StorageApiByHttpsTests(ApiFixture fixture) : StorageApiTests(fixture, "https");

public sealed class StorageApiByQuicTests(ApiFixture fixture) : StorageApiTests(fixture, "quic");

public sealed class StorageApiByQuicInBtTests(ApiFixture fixture) : StorageApiTests(fixture, "quic bt");

public sealed class StorageApiByRouterTests(ApiFixture fixture) : StorageApiTests(fixture, "router");

public sealed class StorageApiByOnionGcmTests(ApiFixture fixture) : StorageApiTests(fixture, "aes-gcm");

public sealed class StorageApiByOnionCbcTests(ApiFixture fixture) : StorageApiTests(fixture, "aes-cbc");

public sealed class StorageApiByOnionXChaChaTests(ApiFixture fixture) : StorageApiTests(fixture, "xchacha20");

public sealed class StorageApiByOnionOverQuicTests(ApiFixture fixture) : StorageApiTests(fixture, "onion by quic");
