using System.Security.Cryptography;
using Oxen.Router.Daemon.Tests.Running;

namespace Oxen.Router.Daemon.Tests;

// The demo's hidden web service, and the samples on the demo's network.
public sealed partial class DemoTrafficTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData("--socks5-hostname")]
    [InlineData("--proxy")]
    public async Task The_hidden_web_service_is_reached_by_its_name_and_moves_bytes_both_ways(string way)
    {
        Answer page = await Curl([.. Door(way), demo.Loki + "/"]);
        Assert.Equal((0, "200"), (page.Exit, page.Status));
        Assert.Contains("neither of us knows where the other is", page.Text, StringComparison.Ordinal);
        Assert.Contains(new Uri(demo.Loki).Host, page.Text, StringComparison.Ordinal);

        Answer down = await Curl([.. Door(way), $"{demo.Loki}/bytes/{Size}"]);
        Answer direct = await Curl([$"{demo.Web}/bytes/{Size}"]);
        Assert.Equal(SHA256.HashData(direct.Body), SHA256.HashData(down.Body));
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(file, down.Body, TestContext.Current.CancellationToken);
            Answer up = await Curl([.. Door(way), "--upload-file", file, demo.Loki + "/digest"]);
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(down.Body)), up.Text.Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_samples_host_a_service_and_fetch_it()
    {
        string directory = Directory.CreateTempSubdirectory("oxen-test-").FullName;
        try
        {
            KeyValuePair<string, string> State(string name) => new("Oxen__State", Path.Combine(directory, name));
            await using OxenProcess service = OxenProcess.Sample("HelloService", directory, [.. demo.Network, State("service-state"), new("ASPNETCORE_URLS", "http://127.0.0.1:0")]);
            string said = await service.WaitForLineAsync("its address", l => l.Contains(".loki", StringComparison.Ordinal), Patience);
            string url = said[said.IndexOf("http://", StringComparison.Ordinal)..].Trim();
            string tcp = await service.WaitForLineAsync("its TCP address", l => l.Contains("listening on: http://127.0.0.1:", StringComparison.Ordinal), Patience);
            await service.WaitForLineAsync("that it is found", l => l.Contains("clients can find the hidden service", StringComparison.Ordinal), Patience);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(directory, "keys", "site")));

            await using (OxenProcess client = OxenProcess.Sample("HelloClient", directory, [.. demo.Network, State("client-state")], url + "/"))
            {
                Assert.True(await client.WaitForExitAsync(Patience) == 0, client.Errors);
                Assert.Equal("Hello from a hidden service.", client.Output.Trim());
            }

            using var direct = new HttpClient();
            Assert.Equal("Hello from a hidden service.\n", await direct.GetStringAsync(new Uri(tcp[tcp.IndexOf("http://", StringComparison.Ordinal)..].Trim()), TestContext.Current.CancellationToken));
            service.Signal("TERM");
            Assert.Equal(0, await service.WaitForExitAsync(Patience));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}
