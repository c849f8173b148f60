using System.Text.Json;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>`oxen ping` and `oxen trace` against a running client.</summary>
public sealed class PingRunTests(HiddenNetwork network) : IClassFixture<HiddenNetwork>
{
    [Fact]
    public async Task Trace_measures_each_hop_and_the_service_from_end_to_end()
    {
        using JsonDocument json = JsonDocument.Parse(await OnClientAsync("trace", network.Address, "--json", "--count", "2"));
        Assert.Equal(network.Address, json.RootElement.GetProperty("service").GetString());
        JsonElement[] rounds = [.. json.RootElement.GetProperty("rounds").EnumerateArray()];
        Assert.Equal(2, rounds.Length);
        foreach (JsonElement round in rounds)
        {
            JsonElement[] hops = [.. round.GetProperty("hops").EnumerateArray()];
            Assert.Equal(["relay", "relay", "rendezvous"], hops.Select(h => h.GetProperty("role").GetString()));
            Assert.All(hops, h => Assert.Contains(h.GetProperty("router").GetString()!, network.Names.Keys));
            Assert.All(hops, h => Assert.InRange(h.GetProperty("milliseconds").GetDouble(), 0.001, 3500));
            Assert.InRange(round.GetProperty("milliseconds").GetDouble(), 0.001, 3500);
        }

        string text = await OnClientAsync("trace", "www." + network.Address);
        Assert.Contains("role=rendezvous", text, StringComparison.Ordinal);
        Assert.Contains("not measured: nobody but the service knows them", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ping_of_a_name_outside_measures_the_way_to_the_exit_and_says_so()
    {
        string text = await OnClientAsync("ping", "example.com", "--count", "1");
        Assert.Matches("exit [0-9a-f]{8}: [0-9.]+ ms", text);
        Assert.Contains("1 sent, 1 answered", text, StringComparison.Ordinal);
        Assert.Contains("an exit sends no pings", text, StringComparison.Ordinal);
        string trace = await OnClientAsync("trace", "example.com");
        Assert.Contains("role=exit", trace, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("client", "hello.loki", "no source of names")]
    [InlineData("client", "x.snode", ".snode are not served")]
    [InlineData("relay-1", "example.com", "this process is no client")]
    public async Task What_cannot_be_reached_is_told_with_its_code(string process, string name, string cause)
    {
        (int code, _, string error) = await TestFiles.OxenAsync("ping", name, "--config", network.Files.ConfigFile(process));
        Assert.Equal(5, code);
        Assert.Contains("OXN5004", error, StringComparison.Ordinal);
        Assert.Contains(cause, error, StringComparison.Ordinal);
    }

    private Task<string> OnClientAsync(params string[] arguments) => TestFiles.GoodAsync([.. arguments, "--config", network.Files.ConfigFile("client")]);
}
