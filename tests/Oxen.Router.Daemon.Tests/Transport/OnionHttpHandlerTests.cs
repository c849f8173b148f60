using Microsoft.AspNetCore.Builder;
using Oxen.Router.Client;
using Oxen.Router.Daemon.Tests.Running;
using Oxen.Router.Transport;
using Oxen.Testing;

namespace Oxen.Router.Daemon.Tests.Transport;

/// <summary>An `HttpClient` on the onion: which names go where, and what it says of those that go nowhere.</summary>
public sealed class OnionHttpHandlerTests
{
    private static readonly CancellationToken Cancel = TestContext.Current.CancellationToken;

    private static Task<SiteFixture> SiteAsync() => SiteFixture.StartAsync(app => app.MapGet("/", () => "hidden"));

    private static async Task<HttpRequestException> FailsAsync(HttpClient http, string url) => await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri(url), Cancel));

    [Theory]
    [InlineData("http://short.loki/", "whole address")]
    [InlineData("http://yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy.loki/", "a digit is wrong")] // of small order
    [InlineData("http://router.snode/", ".snode")]
    public async Task A_name_that_is_no_address_is_a_name_that_is_not_resolved(string url, string words)
    {
        await using SiteFixture site = await SiteAsync();
        using HttpClient http = site.Client();
        HttpRequestException e = await FailsAsync(http, url);
        Assert.Equal(HttpRequestError.NameResolutionError, e.HttpRequestError);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        Assert.Empty(site.Network.Isolations);
    }

    [Fact]
    public async Task A_service_that_nobody_finds_is_said_so()
    {
        await using SiteFixture site = await SiteAsync();
        using HttpClient http = site.Client();
        using var key = new Oxen.Router.Core.Hidden.ServiceKey(new byte[32]);
        HttpRequestException e = await FailsAsync(http, $"http://{key.Address}/");
        Assert.Equal(HttpRequestError.ConnectionError, e.HttpRequestError);
        Assert.Contains("no introset", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_names_go_through_the_exit_and_are_resolved_there()
    {
        await using SiteFixture site = await SiteAsync();
        await using var web = new WebTarget();
        FakeOnion exit = FakeOnion.WithExit(name => name == "far.example" ? [System.Net.IPAddress.Loopback] : []);
        using HttpClient http = site.Client(connector: site.Connector(exit));
        Assert.NotEmpty(await http.GetStringAsync(new Uri($"http://far.example:{web.EndPoint.Port}/short"), Cancel));
        HttpRequestException unknown = await FailsAsync(http, "http://nowhere.example/");
        Assert.Equal(HttpRequestError.NameResolutionError, unknown.HttpRequestError);
        Assert.Contains("could not resolve", unknown.Message, StringComparison.Ordinal);
        HttpRequestException refused = await FailsAsync(http, "http://10.0.0.1/");
        Assert.Contains("policy refuses", refused.Message, StringComparison.Ordinal);
        Assert.Equal("hidden", await http.GetStringAsync("/", Cancel));
    }

    [Fact]
    public async Task Other_names_are_refused_where_nothing_but_services_is_wanted()
    {
        await using SiteFixture site = await SiteAsync();
        FakeOnion exit = FakeOnion.WithExit();
        using HttpClient http = site.Client(connector: site.Connector(exit, OtherNames.Refused));
        HttpRequestException e = await FailsAsync(http, "http://example.com/");
        Assert.Contains("only hidden services", e.Message, StringComparison.Ordinal);
        Assert.Empty(exit.Streams);
        Assert.Equal("hidden", await http.GetStringAsync("/", Cancel));
    }

    [Fact]
    public async Task Isolation_reaches_the_sessions()
    {
        await using SiteFixture site = await SiteAsync();
        foreach (IsolationKey key in new[] { default, new IsolationKey(1, 2) })
        {
            using HttpClient http = site.Client(connector: site.Connector(isolation: key));
            Assert.Equal("hidden", await http.GetStringAsync("/", Cancel));
        }

        Assert.Equal([default, new IsolationKey(1, 2)], site.Network.Isolations);
    }

    [Fact]
    public async Task No_header_ties_requests_together()
    {
        string[] names = [];
        await using SiteFixture site = await SiteFixture.StartAsync(app => app.MapGet("/", (Microsoft.AspNetCore.Http.HttpRequest request) => names = [.. request.Headers.Keys]));
        using var activity = new System.Diagnostics.Activity("work").Start();
        using HttpClient http = site.Client();
        await http.GetStringAsync("/", Cancel);
        Assert.Equal(["Host"], names);
    }
}
