using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Client;
using Oxen.Testing;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Tests.Client;

public sealed class Socks5ConnectionHandlerTests
{
    private static readonly byte[] Greeting = [5, 1, 0];

    // CONNECT example.com:80
    private static readonly byte[] ConnectByName = [5, 1, 0, 3, 11, .. "example.com"u8, 0, 80];

    private static FakeOnion Echo(List<ProxyDestination>? targets = null, ProxyStatus status = ProxyStatus.Connected) => new(async stream =>
    {
        ReadResult read = await stream.Input.ReadAtLeastAsync(4);
        byte[] head = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, ProxyWire.MaxHeaderBytes)).ToArray();
        Assert.Equal(WireResult.Complete, ProxyWire.ReadStreamHeader(head, out _, out ProxyDestination target, out int consumed));
        stream.Input.AdvanceTo(read.Buffer.GetPosition(consumed));
        lock (targets ?? [])
        {
            targets?.Add(target);
        }

        byte[] reply = new byte[ProxyWire.MaxHeaderBytes];
        int length = ProxyWire.WriteReply(status, ProxyDestination.FromIPv4(0x0A0B0C0D, 4711), reply);
        await stream.Output.WriteAsync(reply.AsMemory(0, length));
        if (status == ProxyStatus.Connected) await PipeBridge.PumpAsync(stream.Input, stream.Output, CancellationToken.None);
        else await stream.Output.CompleteAsync();
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_name_goes_to_the_exit_unresolved_and_bytes_come_back_whole_or_one_by_one(bool slowly)
    {
        var targets = new List<ProxyDestination>();
        var door = new DoorFixture(DoorFixture.Socks(Echo(targets)));
        async Task Send(byte[] bytes) => await (slowly ? door.SendSlowlyAsync(bytes) : door.SendAsync(bytes));
        await Send(Greeting);
        Assert.Equal(new byte[] { 5, 0 }, await door.ReceiveAsync(2));
        await Send(ConnectByName);
        Assert.Equal(new byte[] { 5, 0, 0, 1, 10, 11, 12, 13, 0x12, 0x67 }, await door.ReceiveAsync(10));
        await Send("hello"u8.ToArray());
        Assert.Equal("hello"u8.ToArray(), await door.ReceiveAsync(5));
        await door.Output.CompleteAsync();
        Assert.Equal("", await door.ReceiveAllAsync());
        await door.EndAsync();
        Assert.Equal("example.com", Assert.Single(targets).Name);
    }

    [Fact]
    public async Task Everything_may_be_sent_at_once()
    {
        var door = new DoorFixture(DoorFixture.Socks(Echo()));
        await door.SendAsync([.. Greeting, .. ConnectByName, .. "early"u8]);
        Assert.Equal(2 + 10 + 5, (await door.ReceiveAsync(17)).Length);
        await door.Output.CompleteAsync();
        await door.EndAsync();
    }

    [Fact]
    public async Task User_and_password_isolate_and_the_same_pair_meets_again()
    {
        FakeOnion onion = Echo();
        Socks5ConnectionHandler handler = DoorFixture.Socks(onion);
        foreach ((string user, string password) in new[] { ("a", "x"), ("b", "x"), ("a", "x"), ("ax", "") })
        {
            var door = new DoorFixture(handler);
            await door.SendAsync([5, 2, 0, 2]);
            Assert.Equal(new byte[] { 5, 2 }, await door.ReceiveAsync(2));
            await door.SendAsync([1, (byte)user.Length, .. Encoding.ASCII.GetBytes(user), (byte)password.Length, .. Encoding.ASCII.GetBytes(password)]);
            Assert.Equal(new byte[] { 1, 0 }, await door.ReceiveAsync(2));
            await door.SendAsync(ConnectByName);
            await door.ReceiveAsync(10);
            await door.Output.CompleteAsync();
            await door.EndAsync();
        }

        IsolationKey[] keys = [.. onion.Isolations];
        Assert.Equal(keys[0], keys[2]);
        Assert.Equal(3, keys.Distinct().Count());
        Assert.All(keys, key => Assert.False(key.IsShared));
    }

    [Fact]
    public async Task Configured_users_keep_others_out()
    {
        Socks5ConnectionHandler handler = DoorFixture.Socks(Echo(), new() { ["alice"] = "secret" });
        var nobody = new DoorFixture(handler);
        await nobody.SendAsync(Greeting);
        Assert.Equal(new byte[] { 5, 0xFF }, await nobody.ReceiveAsync(2));
        await nobody.EndAsync();

        var wrong = new DoorFixture(handler);
        await wrong.SendAsync([5, 1, 2, 1, 5, .. "alice"u8, 5, .. "wrong"u8]);
        Assert.Equal(new byte[] { 5, 2, 1, 1 }, await wrong.ReceiveAsync(4));
        await wrong.EndAsync();

        var right = new DoorFixture(handler);
        await right.SendAsync([5, 1, 2, 1, 5, .. "alice"u8, 6, .. "secret"u8]);
        Assert.Equal(new byte[] { 5, 2, 1, 0 }, await right.ReceiveAsync(4));
        await right.Output.CompleteAsync();
        await right.EndAsync();
    }

    [Theory]
    [InlineData((byte)ProxyStatus.PolicyRefused, 2)]
    [InlineData((byte)ProxyStatus.NameNotResolved, 4)]
    [InlineData((byte)ProxyStatus.ConnectionRefused, 5)]
    [InlineData((byte)ProxyStatus.NetworkUnreachable, 3)]
    [InlineData((byte)ProxyStatus.TimedOut, 6)]
    [InlineData((byte)ProxyStatus.Limit, 1)]
    public async Task The_exits_status_becomes_the_reply_code(byte status, byte reply)
    {
        FakeOnion onion = Echo(status: (ProxyStatus)status);
        var door = new DoorFixture(DoorFixture.Socks(onion));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        byte[] answer = await door.ReceiveAsync(12);
        Assert.Equal(reply, answer[3]);
        Assert.Equal((ProxyStatus)status, Assert.Single(onion.Answers).Status); // told to who judges exits
        await door.EndAsync();
    }

    [Fact]
    public async Task An_exit_that_ends_the_stream_without_an_answer_has_failed()
    {
        var onion = new FakeOnion(async stream => await stream.Output.CompleteAsync());
        var door = new DoorFixture(DoorFixture.Socks(onion));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        Assert.Equal(1, (await door.ReceiveAsync(12))[3]);
        Assert.Equal(ProxyStatus.Failed, Assert.Single(onion.Answers).Status);
        await door.EndAsync();
    }

    [Fact]
    public async Task Bind_unknown_address_types_and_other_versions_are_refused_in_their_own_words()
    {
        var bind = new DoorFixture(DoorFixture.Socks(Echo()));
        await bind.SendAsync([.. Greeting, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80]);
        Assert.Equal(7, (await bind.ReceiveAsync(12))[3]);
        var type = new DoorFixture(DoorFixture.Socks(Echo()));
        await type.SendAsync([.. Greeting, 5, 1, 0, 9, 1, 2, 3, 4, 0, 80]);
        Assert.Equal(8, (await type.ReceiveAsync(12))[3]);
        var four = new DoorFixture(DoorFixture.Socks(Echo()));
        await four.SendAsync([4, 1, 0, 80, 1, 2, 3, 4, 0]);
        Assert.Equal(new byte[] { 0, 0x5B }, (await four.ReceiveAsync(8))[..2]);
        var http = new DoorFixture(DoorFixture.Socks(Echo()));
        await http.SendAsync("GET / HTTP/1.1\r\n\r\n");
        Assert.Contains("SOCKS5", await http.ReceiveAllAsync(), StringComparison.Ordinal);
        await Task.WhenAll(bind.EndAsync(), type.EndAsync(), four.EndAsync(), http.EndAsync());
    }

    [Fact]
    public async Task Without_a_path_the_client_hears_network_unreachable()
    {
        var door = new DoorFixture(DoorFixture.Socks(new FakeOnion(_ => Task.CompletedTask) { Unavailable = "no path yet" }));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        Assert.Equal(3, (await door.ReceiveAsync(12))[3]);
        await door.EndAsync();
    }

    [Fact]
    public async Task A_silent_client_is_let_go_after_the_handshake_time()
    {
        var time = new FakeTimeProvider();
        var door = new DoorFixture(DoorFixture.Socks(Echo(), time: time));
        await door.SendAsync([5]);
        Assert.False(door.Served.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(21));
        await door.EndAsync();
    }

    [Fact]
    public async Task Eight_mebibytes_echo_through_64_kib_pipes_while_the_reader_is_slow()
    {
        const int Total = 8 * 1024 * 1024;
        var door = new DoorFixture(DoorFixture.Socks(Echo()));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        await door.ReceiveAsync(12);
        byte[] chunk = new byte[50_000];
        Random.Shared.NextBytes(chunk);
        Task writer = Task.Run(async () =>
        {
            for (int sent = 0; sent < Total;)
            {
                int n = Math.Min(chunk.Length, Total - sent);
                await door.Output.WriteAsync(chunk.AsMemory(0, n));
                sent += n;
            }

            await door.Output.CompleteAsync();
        });
        long received = 0;
        while (true)
        {
            ReadResult read = await door.Input.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            ReadOnlySequence<byte> take = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, 7000));
            foreach (ReadOnlyMemory<byte> part in take)
            {
                foreach (byte b in part.Span) if (b != chunk[received++ % chunk.Length]) Assert.Fail($"byte {received - 1} differs");
            }

            door.Input.AdvanceTo(take.End);
            if (read.IsCompleted && take.Length == read.Buffer.Length) break;
        }

        await writer;
        Assert.Equal(Total, received);
        await door.EndAsync();
    }

    [Fact]
    public async Task The_destinations_end_leaves_the_clients_direction_open()
    {
        var heard = new TaskCompletionSource<string>();
        var onion = new FakeOnion(async stream =>
        {
            ReadResult read = await stream.Input.ReadAtLeastAsync(16);
            stream.Input.AdvanceTo(read.Buffer.GetPosition(16));
            byte[] reply = new byte[ProxyWire.MaxHeaderBytes];
            await stream.Output.WriteAsync(reply.AsMemory(0, ProxyWire.WriteReply(ProxyStatus.Connected, default, reply)));
            await stream.Output.CompleteAsync();
            var rest = new MemoryStream();
            await stream.Input.CopyToAsync(rest);
            heard.SetResult(Encoding.ASCII.GetString(rest.ToArray()));
        });
        var door = new DoorFixture(DoorFixture.Socks(onion));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        await door.ReceiveAsync(12);
        Assert.Equal("", await door.ReceiveAllAsync());
        await door.SendAsync("still here");
        await door.Output.CompleteAsync();
        Assert.Equal("still here", await heard.Task.WaitAsync(TimeSpan.FromSeconds(20)));
        await door.EndAsync();
    }

    [Fact]
    public async Task A_reset_from_the_exit_ends_the_clients_connection_and_a_reset_client_the_stream()
    {
        var onion = new FakeOnion(async stream =>
        {
            await stream.Input.ReadAtLeastAsync(16);
            byte[] reply = new byte[ProxyWire.MaxHeaderBytes];
            await stream.Output.WriteAsync(reply.AsMemory(0, ProxyWire.WriteReply(ProxyStatus.Connected, default, reply)));
            await stream.Output.CompleteAsync(new IOException("reset"));
        });
        var door = new DoorFixture(DoorFixture.Socks(onion));
        await door.SendAsync([.. Greeting, .. ConnectByName]);
        await door.EndAsync();
        Assert.True(Assert.Single(onion.Streams).Aborted);

        FakeOnion echo = Echo();
        var other = new DoorFixture(DoorFixture.Socks(echo));
        await other.SendAsync([.. Greeting, .. ConnectByName]);
        await other.ReceiveAsync(12);
        await other.Output.CompleteAsync(new IOException("gone"));
        await other.EndAsync();
        Assert.True(Assert.Single(echo.Streams).Aborted);
    }
}
