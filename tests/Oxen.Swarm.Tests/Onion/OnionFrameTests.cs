using System.Buffers.Binary;
using System.Text;
using Oxen.Swarm.Onion;

namespace Oxen.Swarm.Tests.Onion;

/// <summary>Vectors, section 6.</summary>
public class OnionFrameTests
{
    [Fact]
    public void Headers_make_a_final_hop()
    {
        var final = Assert.IsType<OnionStep.Final>(Step("{\"headers\":\"something\"}"));
        Assert.Equal("ciphertext", Encoding.ASCII.GetString(final.Body.Span));
        Assert.True(final.Base64);
        Assert.False(final.Json);
    }

    [Fact]
    public void A_host_makes_a_request_to_a_server()
    {
        Assert.Equal(new OnionStep.Server("host", "target", "https", 443), Step("{\"host\":\"host\",\"target\":\"target\"}"));
        Assert.Equal(new OnionStep.Server("host", "target", "http", 80), Step("{\"host\":\"host\",\"target\":\"target\",\"port\":80,\"protocol\":\"http\"}"));
        Assert.Null(Step("{\"host\":\"host\",\"target\":\"target\",\"protocol\":\"ftp\"}"));
        Assert.Null(Step("{\"host\":\"host\",\"target\":\"target\",\"port\":70000}"));
        Assert.Null(Step("{\"host\":\"host\"}"));
    }

    [Fact]
    public void A_destination_makes_a_relay_with_gcm_by_default()
    {
        var relay = Assert.IsType<OnionStep.Relay>(Step("{\"destination\":\"ffffeeeeddddccccbbbbaaaa9999888877776666555544443333222211110000\",\"ephemeral_key\":\"0000111122223333444455556666777788889999000011112222333344445555\"}"));
        Assert.Equal("ffffeeeeddddccccbbbbaaaa9999888877776666555544443333222211110000", Convert.ToHexStringLower(relay.Destination));
        Assert.Equal("aes-gcm", relay.EncType);
        Assert.Equal("ciphertext", Encoding.ASCII.GetString(relay.Blob.Span));
        Assert.Null(Step("{\"destination\":\"ff\",\"ephemeral_key\":\"00\"}"));
        Assert.Null(Step("{}"));
    }

    [Theory]
    [InlineData("/loki/v3/lsrpc", true)]
    [InlineData("/loki/oxen/v4/lsrpc", true)]
    [InlineData("/oxen/v3/lsrpc", true)]
    [InlineData("/not_loki/v3/lsrpc", false)]
    [InlineData("/loki/v3", false)]
    [InlineData("/loki/v3/lsrpc?foo=bar", false)]
    [InlineData("/loki/../admin/lsrpc", false)]
    [InlineData("/loki/a b/lsrpc", false)]
    [InlineData("/loki/#/lsrpc", false)]
    [InlineData("/loki/\r\n/lsrpc", false)]
    public void The_proxy_reaches_onion_doors_and_nothing_else(string target, bool allowed) => Assert.Equal(allowed, OnionStep.IsTargetAllowed(target));

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.31.0.1", false)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("2001:db8::1", false)]
    [InlineData("2002:7f00:1::1", false)]
    [InlineData("8.8.8.8", true)]
    [InlineData("172.32.0.1", true)]
    [InlineData("2606:4700::1111", true)]
    public void The_proxy_reaches_public_addresses_alone(string address, bool allowed) => Assert.Equal(allowed, HttpOnionProxy.IsPublic(System.Net.IPAddress.Parse(address)));

    // U (SOGS source comments).
    [Fact]
    public void Requests_of_version_four_are_read_as_servers_document_them()
    {
        ServerRequest get = ServerOnion.ReadV4("l79:{\"method\":\"GET\",\"endpoint\":\"/room/some-room\",\"headers\":{\"Some-Header\":\"12345\"}}e"u8)!;
        Assert.Equal(("GET", "/room/some-room", "12345"), (get.Method, get.Endpoint, get.Headers["some-header"]));
        Assert.Empty(get.Body);
        ServerRequest post = ServerOnion.ReadV4("l72:{\"method\":\"POST\",\"endpoint\":\"/some/thing\",\"headers\":{\"Some-Header\":\"a\"}}14:post body heree"u8)!;
        Assert.Equal("post body here", Encoding.ASCII.GetString(post.Body));
        byte[] reply = ServerOnion.WriteV4(new ServerReply(200, new Dictionary<string, string> { ["Content-Type"] = "application/json", ["Content-Length"] = "11" }, "{\"id\": 123}"u8.ToArray()));
        Assert.Equal("l58:{\"code\":200,\"headers\":{\"content-type\":\"application/json\"}}11:{\"id\": 123}e", Encoding.ASCII.GetString(reply));
        Assert.Null(ServerOnion.ReadV4("l79:{}e"u8));
        Assert.Null(ServerOnion.ReadV4("le"u8));
        Assert.Null(ServerOnion.ReadV4("l2:{}e"u8));
        Assert.Null(ServerOnion.ReadV4("d2:{}e"u8));
    }

    [Fact]
    public void No_bytes_make_the_parsers_throw_and_a_third_gets_past_the_length()
    {
        var dice = new Random(99);
        byte[] good = OnionFrame.Write("blob"u8, new Oxen.Swarm.Wire.WireMap { ["destination"] = new string('a', 64), ["ephemeral_key"] = new string('b', 64), ["enc_type"] = "xchacha20" });
        byte[] v4 = "l72:{\"method\":\"POST\",\"endpoint\":\"/some/thing\",\"headers\":{\"Some-Header\":\"a\"}}14:post body heree"u8.ToArray();
        int past = 0, deep = 0;
        const int rounds = 60_000;
        for (int i = 0; i < rounds; i++)
        {
            byte[] bytes = Mutate(dice, good);
            if (bytes.Length >= 4 && BinaryPrimitives.ReadUInt32LittleEndian(bytes) <= bytes.Length - 4) past++;
            (OnionFrame? frame, string? fault) = OnionFrame.Read(bytes);
            Assert.True(frame is null != fault is null);
            if (frame is not null && OnionStep.Read(frame) is not null) deep++;
            ServerOnion.ReadV4(Mutate(dice, v4));
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"onion frames: {past} of {rounds} past the length, {deep} complete steps");
        Assert.True(past > rounds * 0.3);
    }

    private static byte[] Mutate(Random dice, byte[] good)
    {
        byte[] bytes = [.. good];
        for (int n = dice.Next(3); n > 0 && bytes.Length > 0; n--)
        {
            if (dice.Next(4) == 0) bytes = bytes[..dice.Next(bytes.Length)];
            else bytes[dice.Next(bytes.Length)] = (byte)dice.Next(256);
        }

        return bytes;
    }

    private static OnionStep? Step(string json)
    {
        (OnionFrame? frame, string? fault) = OnionFrame.Read((byte[])[10, 0, 0, 0, .. "ciphertext"u8, .. Encoding.ASCII.GetBytes(json)]);
        Assert.Null(fault);
        return OnionStep.Read(frame!);
    }
}
