using System.Net;
using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using Oxen.Router.AspNetCore;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;
using Oxen.Router.Daemon.Demo;
using Oxen.Router.Daemon.Status;
using Oxen.Router.Transport;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>A web server and a UDP echo as a hidden service, from `oxen run` to `oxen run`, through the proxies that programs use.</summary>
public sealed class HiddenServiceRunTests(HiddenNetwork network) : IClassFixture<HiddenNetwork>
{
    private const int Size = 64 << 20;

    public static TheoryData<string> Ways => ["--socks5-hostname", "--proxy", "--proxytunnel"];

    private string[] Door(string way, string client = "client") => way == "--socks5-hostname"
        ? [way, network[client].Socks!.ToString()]
        : way == "--proxytunnel" ? [way, "--proxy", $"http://{network[client].Http}"] : [way, $"http://{network[client].Http}"];

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Curl_fetches_a_page_of_a_hidden_service_through_every_door(string way)
    {
        foreach (string host in new[] { network.Address, "www." + network.Address, network.Address.ToUpperInvariant() })
        {
            (int exit, string status, string text, string errors) = await HiddenNetwork.CurlAsync([.. Door(way), $"http://{host}/"]);
            Assert.True(exit == 0 && status == "200", $"{exit} {status} {text} {errors}");
            Assert.Contains("You came through the onion", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_client_from_the_factory_reaches_a_hidden_service_and_by_its_options_nothing_else()
    {
        var services = new ServiceCollection();
        services.AddSingleton(new OxenClientOptions { Contacts = network.Files.ContactsFile, ContactsKey = network.Files.ListKey, Hops = 3, Spares = 0, State = "" });
        services.AddHttpClient("onion").UseOxen(o => o.OtherNames = OtherNames.Refused);
        await using ServiceProvider provider = services.BuildServiceProvider();
        using HttpClient http = provider.GetRequiredService<IHttpClientFactory>().CreateClient("onion");
        http.Timeout = TimeSpan.FromMinutes(3);
        Assert.Contains("You came through the onion", await http.GetStringAsync(new Uri($"http://{network.Address}/"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync(new Uri(network.Targets.Url), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Large_bodies_go_both_ways_unchanged()
    {
        using HttpClient http = network.Http();
        var web = new Uri($"http://{network.Address}/");
        DemoDownload down = await DemoDownload.RunAsync(http, web, Size, null, TimeSpan.FromMinutes(3), TestContext.Current.CancellationToken);
        Assert.True(down.Is(await DemoTargets.DigestAsync(Size)), down.Error ?? "the digest differs");
        DemoUpload up = await DemoUpload.RunAsync(http, web, RandomNumberGenerator.GetBytes(Size), TimeSpan.FromMinutes(3), TestContext.Current.CancellationToken);
        Assert.Null(up.Error);
    }

    [Fact]
    public async Task A_download_goes_on_when_its_rendezvous_stops()
    {
        // A client of its own, so that nobody else's rendezvous is the one.
        network.AddClient("mover");
        await network.StartAsync("mover");
        using HttpClient http = network.Http("mover");
        var web = new Uri($"http://{network.Address}/");
        Assert.Contains("onion", await http.GetStringAsync(web, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        string rendezvous = network.Names[(await network.ReachedAsync("mover", network.Address)).Hops[^1]];
        Task stopped = Task.CompletedTask;
        DemoDownload down = await DemoDownload.RunAsync(http, web, Size, () => stopped = Task.Run(() => network.StopAsync(rendezvous)), TimeSpan.FromMinutes(3), TestContext.Current.CancellationToken);
        await stopped;
        Assert.True(down.Is(await DemoTargets.DigestAsync(Size)), down.Error ?? "the digest differs");
        ServiceClientStatus after = await network.ReachedAsync("mover", network.Address);
        Assert.True(after.Moves >= 1 && network.Names[after.Hops[^1]] != rendezvous, $"it moved {after.Moves} times");
        await network.StopAsync("mover");
        await network.StartAsync(rendezvous);
    }

    [Fact]
    public async Task A_service_that_was_started_anew_is_found_again()
    {
        string address = await network.NewServiceAsync("restarted");
        network.AddHost("restarted");
        await network.StartAsync("restarted");
        await network.PublishedAsync("restarted");
        string url = $"http://{address}/";
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), url])).Status);
        await network.StopAsync("restarted");
        Assert.Equal("503", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), url])).Status);
        await network.StartAsync("restarted");
        await network.PublishedAsync("restarted");
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), url]);
        Assert.True(status == "200", text);
        await network.StopAsync("restarted");
    }

    [Fact]
    public async Task Two_processes_serve_one_address_and_one_of_them_may_go()
    {
        string address = await network.NewServiceAsync("first");
        network.AddHost("first");
        network.AddHost("second", "instance = 1", "../first/service.key");
        foreach (string host in new[] { "first", "second" })
        {
            await network.StartAsync(host);
            await network.PublishedAsync(host);
        }

        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{address}/"])).Status);
        StatusReport first = await network["first"].ReportAsync(), second = await network["second"].ReportAsync();
        Assert.Equal(1, first.Services.Single().Sessions + second.Services.Single().Sessions);
        (string gone, string left) = first.Services.Single().Sessions == 1 ? ("first", "second") : ("second", "first");
        await network.StopAsync(gone);
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{address}/"]);
        Assert.True(status == "200", text);
        Assert.Equal(1, (await network[left].ReportAsync()).Services.Single().Sessions);
        await network.StopAsync(left);
    }

    [Fact]
    public async Task The_outside_is_reached_by_exits_that_are_hidden_services_and_one_of_them_may_go()
    {
        string outside = $"exit = true\n[exit]\nexcept = [\"allow 127.0.0.1:{network.Targets.WebPort} tcp\", \"allow 127.0.0.1:{network.Targets.UdpPort} udp\"]";
        var addresses = new List<string>();
        foreach (string exit in new[] { "outward-1", "outward-2" })
        {
            addresses.Add(await network.NewServiceAsync(exit));
            network.AddHost(exit, outside);
            await network.StartAsync(exit);
            await network.PublishedAsync(exit);
        }

        network.AddClient("leaver", $"[[client.exits]]\nexits = [\"{addresses[0]}\", \"{addresses[1]}\"]\n");
        await network.StartAsync("leaver");
        var web = new Uri(network.Targets.Url);
        foreach (string host in new[] { "127.0.0.1", "localhost" })
        {
            foreach (string way in Ways.Select(w => w.Data))
            {
                (int code, string status, string text, string errors) = await HiddenNetwork.CurlAsync([.. Door(way, "leaver"), $"http://{host}:{web.Port}/"]);
                Assert.True(code == 0 && status == "200", $"{way} {host}: {code} {status} {text} {errors}");
                Assert.Contains("You came through the onion", text, StringComparison.Ordinal);
            }
        }

        using (SocksUdpClient udp = await SocksUdpClient.AssociateAsync(network["leaver"].Socks!, TestContext.Current.CancellationToken))
        {
            await udp.SendAsync("echo"u8.ToArray(), new IPEndPoint(IPAddress.Loopback, network.Targets.UdpPort), TestContext.Current.CancellationToken);
            (byte[] payload, ProxyDestination from) = await udp.ReceiveFromAsync(TestContext.Current.CancellationToken).WaitAsync(HiddenNetwork.Patience, TestContext.Current.CancellationToken);
            Assert.Equal("echo"u8, payload);
            Assert.Equal(network.Targets.UdpPort, from.Port);
        }

        // Its rules are an exit's, it stays a service, and no path of the client ends at a router that is an exit.
        Assert.Equal("403", (await HiddenNetwork.CurlAsync([.. Door("--proxy", "leaver"), "http://127.0.0.1:1/"])).Status);
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy", "leaver"), $"http://{addresses[0]}/"])).Status);
        StatusReport report = await network["leaver"].ReportAsync();
        Assert.Empty(report.Paths);
        Assert.Equal(addresses[0], Assert.Single(report.ServiceClients).Address);

        await network.StopAsync("outward-1");
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy", "leaver"), web.ToString()])).Status);
        await network.StopAsync("outward-2");
        (_, string told, string why, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy", "leaver"), web.ToString()]);
        Assert.Equal("503", told);
        Assert.Contains("none of the 2 exits of this destination is reached", why, StringComparison.Ordinal);
        await network.StopAsync("leaver");
    }

    [Fact]
    public async Task A_service_that_is_no_exit_leads_nowhere()
    {
        network.AddClient("misled", $"[[client.exits]]\nranges = [\"127.0.0.0/8\"]\nexits = [\"{network.Address}\"]\n");
        await network.StartAsync("misled");
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy", "misled"), network.Targets.Url]);
        Assert.True(status == "403", $"{status} {text}");
        await network.StopAsync("misled");
    }

    [Theory]
    [InlineData(":8080/", "403", "does not serve this port")]
    [InlineData(":81/", "502", "nothing answers behind this port")]
    public async Task A_port_that_is_not_served_is_refused_with_the_reason(string rest, string status, string cause)
    {
        (_, string told, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{network.Address}{rest}"]);
        Assert.Equal(status, told);
        Assert.Contains(cause, text, StringComparison.Ordinal);

        // The same by SOCKS5: 2 "not allowed", 5 "connection refused" (RFC 1928 section 6).
        (int exit, _, _, string errors) = await HiddenNetwork.CurlAsync([.. Door("--socks5-hostname"), $"http://{network.Address}{rest}"]);
        Assert.Equal(97, exit);
        Assert.Contains(status == "403" ? "(2)" : "(5)", errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hello.loki", "no source of names")]
    [InlineData("www.hello.loki", "no source of names")]
    [InlineData("loki", "missing before .loki")]
    [InlineData("ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u.loki", "a digit is wrong")]
    [InlineData("55fxd8stjrt9zc5h4q9qmq4nhbq1cyhh5tn6cgx9h43nmkjhr1oy.snode", ".snode are not served")]
    public async Task A_name_that_is_none_is_explained_and_goes_to_no_exit(string host, string cause)
    {
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{host}/"]);
        Assert.Equal("503", status);
        Assert.Contains(cause, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_address_that_nobody_serves_is_told_after_the_keepers_were_asked()
    {
        using var key = new ServiceKey(RandomNumberGenerator.GetBytes(32));
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{key.Address}/"]);
        Assert.Equal("503", status);
        Assert.Contains("no relay has an introset of this address", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_with_authorised_clients_lets_them_in_alone()
    {
        string address = await network.NewServiceAsync("private");
        string key = await network.NewClientKeyAsync("friend");
        network.AddHost("private", $"clients = [\"{key}\"]");
        network.AddClient("friend", $"service_keys = [\"{address}: client.key\"]");
        await network.StartAsync("private");
        await network.PublishedAsync("private");
        await network.StartAsync("friend");
        (_, string status, string text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy", "friend"), $"http://{address}/"]);
        Assert.True(status == "200", text);
        (_, status, text, _) = await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{address}/"]);
        Assert.Equal("503", status);
        Assert.Contains("authorised clients alone", text, StringComparison.Ordinal);

        // The same for a program with a router of its own.
        var options = new OxenClientOptions { Contacts = network.Files.ContactsFile, ContactsKey = network.Files.ListKey, Hops = 3, Spares = 0, State = "" };
        options.ServiceKeys[address] = network.Files.At("friend", "client.key");
        await using (var program = new OxenClient(options))
        {
            using var http = new HttpClient(new OnionHttpHandler(program)) { Timeout = TimeSpan.FromMinutes(3) };
            Assert.Contains("You came through the onion", await http.GetStringAsync(new Uri($"http://{address}/"), TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        await network.StopAsync("friend");
        await network.StopAsync("private");
    }

    [Fact]
    public async Task Datagrams_come_back_from_a_hidden_service_and_from_an_exit_through_one_association()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using SocksUdpClient socks = await SocksUdpClient.AssociateAsync(network["client"].Socks!, cancel);
        Assert.True(ProxyDestination.TryFromHost(network.Address, 7, out ProxyDestination service));
        byte[] payload = RandomNumberGenerator.GetBytes(1328); // the largest that there is
        await EchoAsync(payload, service);
        await EchoAsync(payload.AsMemory(0, 100), ProxyDestination.FromEndPoint(new IPEndPoint(IPAddress.Loopback, network.Targets.UdpPort)));

        async Task EchoAsync(ReadOnlyMemory<byte> sent, ProxyDestination to)
        {
            Task<(byte[] Payload, ProxyDestination From)> received = socks.ReceiveFromAsync(cancel);
            for (int attempt = 0; !received.IsCompleted; attempt++)
            {
                // A datagram may be lost: that is what datagrams are.
                Assert.True(attempt < 60, "no answer");
                await socks.SendAsync(sent, to, cancel);
                await Task.WhenAny(received, Task.Delay(TimeSpan.FromSeconds(1), cancel));
            }

            Assert.Equal((Convert.ToHexString(sent.Span), to), (Convert.ToHexString((await received).Payload), (await received).From));
            while (true)
            {
                // Echoes of what was sent again.
                using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(500));
                try
                {
                    await socks.ReceiveAsync(limit.Token);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    [Fact]
    public async Task Status_shows_the_service_at_its_host_and_the_way_to_it_at_its_client()
    {
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), $"http://{network.Address}/"])).Status);
        string host = await TestFiles.GoodAsync("status", "--config", network.Files.ConfigFile("host"));
        Assert.Contains($"service=web  address={network.Address}", host, StringComparison.Ordinal);
        Assert.Contains("announced at=", host, StringComparison.Ordinal);
        string client = await TestFiles.GoodAsync("status", "--config", network.Files.ConfigFile("client"));
        Assert.Contains($"reached service={network.Address}  state=ready", client, StringComparison.Ordinal);
        Assert.Matches(@"met after \(look-up\)=[0-9]+ ms \([0-9]+ ms\)", client);
    }

    [Fact]
    public async Task Another_isolation_key_takes_another_session()
    {
        int before = (await network["client"].ReportAsync()).ServiceClients.Count(s => s.Address == network.Address);
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), "--proxy-user", "a:b", $"http://{network.Address}/"])).Status);
        Assert.Equal("200", (await HiddenNetwork.CurlAsync([.. Door("--proxy"), "--proxy-user", "a:b", $"http://{network.Address}/"])).Status);
        Assert.Equal(before + 1, (await network["client"].ReportAsync()).ServiceClients.Count(s => s.Address == network.Address));
    }
}
