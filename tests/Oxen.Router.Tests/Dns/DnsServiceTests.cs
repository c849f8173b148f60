using System.Net;
using System.Net.Sockets;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;
using Oxen.Testing;

namespace Oxen.Router.Tests.Dns;

/// <summary>The whole: sockets, zones, and the way out.</summary>
public class DnsServiceTests
{
    private static readonly DnsHostOptions Anywhere = new() { Listen = [new IPEndPoint(IPAddress.Loopback, 0)] };

    [Fact]
    public async Task Names_of_the_outside_go_through_the_exit_and_ours_do_not()
    {
        using var resolver = new TcpServer(m => UpstreamTests.Answer(m, 9));
        FakeOnion onion = FakeOnion.WithExit();
        var names = new NameTable();
        names.Add("hello", DnsRig.Service(1));
        await using DnsService service = DnsService.Start(new DnsServiceOptions { Servers = [resolver.EndPoint], Host = Anywhere }, onion, names, null, TimeProvider.System);
        Assert.Equal("192.0.2.9", ((ARecord)(await AskAsync(service, "www.example.com")).AnswerRecords[0]).Address.ToString());
        Assert.Equal("192.0.2.9", ((ARecord)(await AskAsync(service, "www.example.org")).AnswerRecords[0]).Address.ToString());
        DnsMessage hello = await AskAsync(service, "hello.loki");
        Assert.True(service.Map.TryFind(((ARecord)hello.AnswerRecords[1]).Address, out OnionAddress found));
        Assert.Equal(DnsRig.Service(1), found);
        Assert.Equal(ReturnCode.NxDomain, (await AskAsync(service, "nobody.loki")).ReturnCode);
        Assert.Equal(2, resolver.Messages.Count);
        Assert.Single(onion.Streams);
    }

    [Fact]
    public async Task An_upstream_is_asked_by_UDP()
    {
        using var resolver = new UdpServer((m, _) => [UpstreamTests.Answer(m, 8)]);
        await using DnsService service = DnsService.Start(new DnsServiceOptions { Forward = DnsForward.Upstream, Servers = [resolver.EndPoint], Host = Anywhere }, null, null, null, TimeProvider.System);
        Assert.Equal("192.0.2.8", ((ARecord)(await AskAsync(service, "www.example.com")).AnswerRecords[0]).Address.ToString());
        Assert.Single(resolver.Messages);
    }

    [Fact]
    public async Task With_nothing_to_forward_to_others_are_refused()
    {
        await using DnsService service = DnsService.Start(new DnsServiceOptions { Forward = DnsForward.None, Host = Anywhere }, null, null, null, TimeProvider.System);
        Assert.Equal(ReturnCode.Refused, (await AskAsync(service, "www.example.com")).ReturnCode);
        Assert.Equal(1, service.Counters[DnsCount.RefusedNotConfigured]);
    }

    [Fact]
    public void Options_that_contradict_themselves_are_told()
    {
        Assert.Contains("no client", Assert.Throws<ArgumentException>(() => DnsService.Start(new DnsServiceOptions(), null, null, null, TimeProvider.System)).Message, StringComparison.Ordinal);
        Assert.Contains("no resolver", Assert.Throws<ArgumentException>(() => DnsService.Start(new DnsServiceOptions { Servers = [] }, null, null, null, TimeProvider.System)).Message, StringComparison.Ordinal);
    }

    private static async Task<DnsMessage> AskAsync(DnsService service, string name)
    {
        using var client = new UdpClient(new IPEndPoint(IPAddress.Loopback, 0));
        await client.SendAsync(DnsRig.Question(name, 1), service.EndPoints[0]);
        return DnsMessage.Parse((await client.ReceiveAsync().WaitAsync(TimeSpan.FromSeconds(20))).Buffer);
    }
}
