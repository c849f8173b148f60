using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Router.Hosting;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Doors;

/// <summary>The QUIC door, by a client that writes its frames from the format document.</summary>
public class QuicDoorTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_message_is_stored_and_fetched_and_answers_are_pairs_of_a_code_and_a_body()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 0);
        using MiniAccount account = MiniAccount.Random();
        (char kind, string text) = await client.AskAsync("store", MiniRequests.Store(account, [1, 2, 3], TestSwarm.Now).ToJsonString());
        Assert.Equal('R', kind);
        JsonArray stored = JsonNode.Parse(text)!.AsArray();
        Assert.Equal(200, (int)stored[0]!);
        Assert.Equal(account.Hash([1, 2, 3]), (string)stored[1]!["hash"]!);

        (_, text) = await client.AskAsync("retrieve", MiniRequests.Retrieve(account, TestSwarm.Now).ToJsonString());
        Assert.Equal("AQID", (string)JsonNode.Parse(text)![1]!["messages"]![0]!["data"]!);

        // bt asks, bt answers.
        (kind, text) = await client.AskAsync("info", "de");
        Assert.Equal('R', kind);
        Assert.StartsWith("li200ed2:hfl", text, StringComparison.Ordinal);
        Assert.Equal(('R', "pong"), await client.AskAsync("snode_ping", ""));
        (kind, text) = await client.AskAsync("active_nodes_bin", "");
        Assert.Equal('R', kind);
        Assert.Equal(3 * 51, Convert.FromBase64String((string)JsonNode.Parse(text)![1]!).Length);
    }

    [Fact]
    public async Task Errors_are_code_reason_and_words()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 0);
        Assert.Equal(('E', "404 Not Found\n\nno method frobnicate"), await client.AskAsync("frobnicate", "{}"));
        Assert.Equal(('E', "400 Bad Request\n\ninvalid body: expected json or bt_dict"), await client.AskAsync("store", "[]"));
        Assert.Equal(('E', "400 Bad Request\n\ninvalid request: Required field 'pubkey' missing"), await client.AskAsync("retrieve", "{}"));
        Assert.Equal(('E', "403 Forbidden\n\nnot a node"), await client.AskAsync("oxen_peer", "ld1:k4:pingee")); // its key is nobody's of the registry
        (char kind, string text) = await client.AskAsync("onion_req", "not one");
        Assert.Equal('E', kind);
        Assert.StartsWith("400 Bad Request\n\nError parsing onion request", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_onion_request_comes_in_by_QUIC_and_its_answer_is_passed_on_as_it_is()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 0);
        foreach (string cipher in new[] { "xchacha20", "aes-gcm" })
        {
            var onion = new MiniOnion(cipher);
            byte[] request = onion.Build("{\"method\":\"info\",\"params\":{}}"u8.ToArray(), [.. swarm.Entries.Select(e => e.Identity.Ed25519.ToArray())], [.. swarm.Entries.Select(e => e.Identity.X25519.ToArray())]);
            (char kind, byte[] answer) = await client.AskBytesAsync("onion_req", request);
            Assert.Equal('R', kind);
            Assert.Equal(200, (int)JsonNode.Parse(onion.Open(answer))!["status"]!);
        }
    }

    [Fact]
    public async Task A_subscriber_is_told_of_new_messages_on_stream_zero()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(3, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 1);
        using MiniAccount account = MiniAccount.Random();
        long now = TestSwarm.Now / 1000;
        byte[] signature = account.Sign(Encoding.ASCII.GetBytes($"MONITOR{account.Id}{now}10"));
        byte[] subscription = [.. "d1:P32:"u8, .. account.Ed25519, .. Encoding.ASCII.GetBytes("1:di1e1:nli0ee1:s64:"), .. signature, .. Encoding.ASCII.GetBytes($"1:ti{now}ee")];
        Assert.Equal("d7:successi1ee", Encoding.ASCII.GetString((await client.AskBytesAsync("monitor", subscription)).Body));

        // Stored at another member.
        Assert.Equal(200, (await swarm.AskAsync(0, "store", MiniRequests.Store(account, [7], TestSwarm.Now))).Status);
        (string endpoint, byte[] body) = await client.NotificationAsync();
        Assert.Equal("notify", endpoint);
        Assert.StartsWith("d1:@33:", Encoding.Latin1.GetString(body), StringComparison.Ordinal);
        Assert.Contains($"1:h43:{account.Hash([7])}1:ni0e", Encoding.Latin1.GetString(body), StringComparison.Ordinal);
        Assert.EndsWith("1:~1:\u0007e", Encoding.Latin1.GetString(body), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("3:xyz")]
    [InlineData("1234567890:")]
    [InlineData("99999999:l1:C")]
    [InlineData("hello")]
    [InlineData("9:l1:Ci1e4:")]
    [InlineData("7:l1:Z1:ae")]
    [InlineData("14:l1:Ci1e4:info2:{}ee")]
    [InlineData("2:le")]
    [InlineData(":")]
    public async Task What_is_no_request_ends_the_stream_and_nothing_else(string bytes)
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 0);
        RawKeyStream stream = await client.Connection.OpenStreamAsync();
        await using (stream)
        {
            await stream.Transport.Output.WriteAsync(Encoding.ASCII.GetBytes(bytes), TestContext.Current.CancellationToken);
            await stream.Transport.Output.CompleteAsync();
            await EndedAsync(stream.Transport.Input);
        }

        Assert.Equal(('R', "pong"), await client.AskAsync("snode_ping", ""));
    }

    [Fact]
    public async Task Fuzzed_frames_do_no_harm_and_many_get_past_the_frame()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, quic: true);
        await using var client = await MiniQuic.ConnectAsync(swarm, 0);
        var dice = new Random(20261127);
        string[] endpoints = ["store", "retrieve", "delete", "batch", "onion_req", "monitor", "info", "ifelse", "get_swarm", "nothing"];
        using MiniAccount account = MiniAccount.Random();
        int sent = 0, past = 0;
        for (int i = 0; i < 300; i++)
        {
            byte[] body = Encoding.UTF8.GetBytes(MiniRequests.Store(account, [(byte)i], TestSwarm.Now).ToJsonString());
            for (int n = dice.Next(4); n > 0; n--) body[dice.Next(body.Length)] = (byte)dice.Next(256);
            byte[] frame = MiniQuic.Frame(i, endpoints[dice.Next(endpoints.Length)], dice.Next(5) == 0 ? body[..dice.Next(body.Length)] : body);
            if (dice.Next(3) == 0) frame[dice.Next(frame.Length)] = (byte)dice.Next(256);
            RawKeyStream stream = await client.Connection.OpenStreamAsync();
            await using (stream)
            {
                await stream.Transport.Output.WriteAsync(frame, TestContext.Current.CancellationToken);
                await stream.Transport.Output.CompleteAsync();
                sent++;
                if (await EndedAsync(stream.Transport.Input) > 0) past++;
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{past} of {sent} inputs got past the frame");
        Assert.True(past * 100 >= sent * 30, $"{past} of {sent}");
        Assert.Equal(('R', "pong"), await client.AskAsync("snode_ping", ""));
    }

    [Fact]
    public async Task A_server_with_another_key_is_refused()
    {
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, quic: true);
        await using RawKeyQuic endpoint = RawKeyQuic.Open(new RawKeyQuicOptions { Protocol = "oxenstorage", Listen = new IPEndPoint(IPAddress.Loopback, 0) }, RandomNumberGenerator.GetBytes(32));
        using MiniAccount other = MiniAccount.Random();
        await Assert.ThrowsAsync<IOException>(() => endpoint.ConnectAsync(new IPEndPoint(IPAddress.Loopback, swarm[0].QuicPort), other.Ed25519, TestContext.Current.CancellationToken));
    }

    private static async Task<long> EndedAsync(PipeReader reader)
    {
        using var limit = new CancellationTokenSource(Patience);
        long bytes = 0;
        try
        {
            while (true)
            {
                ReadResult read = await reader.ReadAsync(limit.Token);
                bytes += read.Buffer.Length;
                reader.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted) return bytes;
            }
        }
        catch (IOException)
        {
            return bytes; // reset
        }
    }
}
