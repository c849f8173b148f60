using System.Net;
using System.Text.Json.Nodes;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Peers;

/// <summary>Nodes talk to each other by QUIC, and by HTTPS where that does not come through.</summary>
public class QuicPeerTests
{
    [Fact]
    public async Task Once_connections_stand_everything_between_nodes_goes_by_QUIC_onions_too()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, https: true, quic: true);
        await swarm.WaitAsync(() => Enumerable.Range(0, 3).All(i => swarm[i].PeerCalls!.Value.Quic > 20), "all speak QUIC");
        using MiniAccount account = MiniAccount.Random();
        long before = Https();
        for (byte i = 0; i < 10; i++) await StoreAsync(swarm, i % 3, account, i, 3);
        var onion = new MiniOnion("xchacha20");
        byte[] request = onion.Build("{\"method\":\"info\",\"params\":{}}"u8.ToArray(), [.. swarm.Entries.Select(e => e.Identity.Ed25519.ToArray())], [.. swarm.Entries.Select(e => e.Identity.X25519.ToArray())]);
        (int status, byte[] answer) = await swarm[0].Onion.HandleAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(200, status);
        Assert.Equal(200, (int)JsonNode.Parse(onion.Open(answer))!["status"]!);
        Assert.Equal(before, Https());

        long Https() => Enumerable.Range(0, 3).Sum(i => swarm[i].PeerCalls!.Value.Https);
    }

    [Fact]
    public async Task A_node_whose_QUIC_port_is_shut_is_reached_by_HTTPS_and_one_without_HTTPS_by_QUIC()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, https: true, quic: true);
        using var shut = new System.Net.Sockets.UdpClient(new IPEndPoint(IPAddress.Loopback, 0)); // nobody answers here
        swarm.Entries[2].QuicPort = ((IPEndPoint)shut.Client.LocalEndPoint!).Port;
        swarm.Publish();
        using MiniAccount account = MiniAccount.Random();
        for (byte i = 0; i < 5; i++) await StoreAsync(swarm, 0, account, i, 3);

        swarm.Entries[2].QuicPort = swarm[2].QuicPort;
        swarm.Entries[2].Port = 0;
        swarm.Publish();
        for (byte i = 5; i < 10; i++) await StoreAsync(swarm, 0, account, i, 3);
        await swarm.WaitAsync(swarm.Agree, "all agree");
    }

    [Fact]
    public async Task A_node_that_starts_again_is_found_by_QUIC_again()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, https: true, quic: true, patient: false);
        await swarm.WaitAsync(() => Enumerable.Range(0, 3).All(i => swarm[i].PeerCalls!.Value.Quic > 5), "all speak QUIC");
        using MiniAccount account = MiniAccount.Random();
        await swarm.StopNodeAsync(2);
        await StoreAsync(swarm, 0, account, 1, 2);
        await swarm.StartNodeAsync(2);
        await swarm.WaitAsync(() => swarm.Agree() && swarm[2].NotReady.Count == 0 && swarm[2].PeerCalls!.Value.Quic > 5, "it is back");
        (long quic, long _) = swarm[0].PeerCalls!.Value;
        await swarm.WaitAsync(() => swarm[0].PeerCalls!.Value.Quic > quic + 20 && !swarm[0].Core.LinkTo(swarm.Entries[2].Hex)!.IsSilent, "the first speaks QUIC with both");
    }

    private static async Task StoreAsync(TestSwarm swarm, int node, MiniAccount account, byte data, int members)
    {
        (int status, JsonNode? json, string text) = await swarm.AskAsync(node, "store", MiniRequests.Store(account, [data], TestSwarm.Now));
        Assert.True(status == 200, text);
        Assert.Equal(members, json!["swarm"]!.AsObject().Count(p => p.Value!["signature"] is not null));
    }
}
