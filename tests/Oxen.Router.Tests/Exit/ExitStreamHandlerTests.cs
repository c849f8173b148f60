using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Oxen.Router.Client;
using Oxen.Router.Core.Wire;
using Oxen.Router.Exit;
using Oxen.Router.Handlers;
using Oxen.Testing;

namespace Oxen.Router.Tests.Exit;

public sealed class ExitStreamHandlerTests
{
    private static readonly ExitPolicy Loopback = new(ExitPolicy.DefaultRules.Select(ExitRule.Parse), [ExitRule.Parse("allow 127.0.0.0/8:*"), ExitRule.Parse("allow [::1]:*")]);

    private static async Task<(ProxyStatus Status, IDuplexPipe Near, Task Served)> AskAsync(ExitStreamHandler handler, ProxyDestination target, long session = 1)
    {
        var pair = new PipePair();
        Task served = handler.RunAsync(new ExitGuest(session), pair.Far, CancellationToken.None);
        byte[] header = new byte[ProxyWire.MaxHeaderBytes];
        await pair.Near.Output.WriteAsync(header.AsMemory(0, ProxyWire.WriteConnectHeader(target, header)));
        ReadResult read = await pair.Near.Input.ReadAtLeastAsync(8).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        byte[] reply = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, 64)).ToArray();
        Assert.Equal(WireResult.Complete, ProxyWire.ReadReply(reply, out ProxyStatus status, out _, out int consumed));
        pair.Near.Input.AdvanceTo(read.Buffer.GetPosition(consumed));
        return (status, pair.Near, served);
    }

    private static ExitStreamHandler Handler(ExitPolicy? policy = null, Func<string, IPAddress[]>? names = null, ExitLimits? limits = null, RequestStreamHandler? requests = null) =>
        new(policy ?? Loopback, new FakeResolver(names ?? (_ => [])), TimeProvider.System, limits ?? new ExitLimits(), requests);

    private static TcpListener Listen(IPAddress at)
    {
        var listener = new TcpListener(at, 0);
        listener.Start();
        return listener;
    }

    [Fact]
    public async Task A_name_is_resolved_here_and_half_close_reaches_both_ends()
    {
        using TcpListener server = Listen(IPAddress.Loopback);
        Task<string> heard = Task.Run(async () =>
        {
            using TcpClient client = await server.AcceptTcpClientAsync();
            using var reader = new StreamReader(client.GetStream());
            string all = await reader.ReadToEndAsync();
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes("heard " + all));
            return all;
        });
        ushort port = (ushort)((IPEndPoint)server.LocalEndpoint).Port;
        Assert.True(ProxyDestination.TryFromHost("web.test", port, out ProxyDestination target));
        (ProxyStatus status, IDuplexPipe near, Task served) = await AskAsync(Handler(names: _ => [IPAddress.Loopback]), target);
        Assert.Equal(ProxyStatus.Connected, status);
        await near.Output.WriteAsync("hi"u8.ToArray());
        await near.Output.CompleteAsync();
        var answer = new MemoryStream();
        await near.Input.CopyToAsync(answer).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("heard hi", Encoding.ASCII.GetString(answer.ToArray()));
        Assert.Equal("hi", await heard);
        await served.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_name_that_resolves_to_a_private_address_is_refused_whatever_else_it_resolves_to_is_tried()
    {
        var strict = new ExitPolicy(ExitPolicy.DefaultRules.Select(ExitRule.Parse), [ExitRule.Parse("allow 127.0.0.2:*")]);
        using TcpListener server = Listen(IPAddress.Parse("127.0.0.2"));
        ushort port = (ushort)((IPEndPoint)server.LocalEndpoint).Port;
        ProxyDestination.TryFromHost("rebind.test", port, out ProxyDestination target);
        (ProxyStatus refused, _, Task first) = await AskAsync(Handler(strict, _ => [IPAddress.Loopback, IPAddress.Parse("169.254.169.254")]), target);
        Assert.Equal(ProxyStatus.PolicyRefused, refused);
        await first;
        (ProxyStatus status, IDuplexPipe near, Task served) = await AskAsync(Handler(strict, _ => [IPAddress.Loopback, IPAddress.Parse("127.0.0.2")]), target);
        Assert.Equal(ProxyStatus.Connected, status);
        await near.Output.CompleteAsync(new IOException("enough"));
        await served.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_closed_port_is_refused_and_an_unknown_name_not_resolved()
    {
        using TcpListener server = Listen(IPAddress.Loopback);
        ushort port = (ushort)((IPEndPoint)server.LocalEndpoint).Port;
        server.Stop();
        Assert.Equal(ProxyStatus.ConnectionRefused, (await AskAsync(Handler(), ProxyDestination.FromIPv4(0x7F000001, port))).Status);
        ProxyDestination.TryFromHost("nowhere.test", 80, out ProxyDestination nowhere);
        Assert.Equal(ProxyStatus.NameNotResolved, (await AskAsync(Handler(), nowhere)).Status);
        Assert.Equal(ProxyStatus.PolicyRefused, (await AskAsync(Handler(), ProxyDestination.FromIPv4(0x0A000001, 80))).Status);
    }

    [Fact]
    public async Task When_the_first_address_refuses_the_next_one_is_used()
    {
        using TcpListener server = Listen(IPAddress.Loopback);
        ushort port = (ushort)((IPEndPoint)server.LocalEndpoint).Port;
        ProxyDestination.TryFromHost("two.test", port, out ProxyDestination target);
        (ProxyStatus status, IDuplexPipe near, Task served) = await AskAsync(Handler(names: _ => [IPAddress.IPv6Loopback, IPAddress.Loopback]), target);
        Assert.Equal(ProxyStatus.Connected, status);
        await near.Output.CompleteAsync(new IOException("enough"));
        await served.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_session_over_its_limit_is_told_so_and_others_are_not()
    {
        using TcpListener server = Listen(IPAddress.Loopback);
        ProxyDestination target = ProxyDestination.FromIPv4(0x7F000001, (ushort)((IPEndPoint)server.LocalEndpoint).Port);
        ExitStreamHandler handler = Handler(limits: new ExitLimits { StreamsPerSession = 1 });
        (ProxyStatus one, IDuplexPipe near, Task served) = await AskAsync(handler, target);
        Assert.Equal(ProxyStatus.Connected, one);
        Assert.Equal(ProxyStatus.Limit, (await AskAsync(handler, target)).Status);
        (ProxyStatus other, IDuplexPipe otherNear, Task otherServed) = await AskAsync(handler, target, session: 2);
        Assert.Equal(ProxyStatus.Connected, other);
        await near.Output.CompleteAsync(new IOException("enough"));
        await otherNear.Output.CompleteAsync(new IOException("enough"));
        await Task.WhenAll(served, otherServed).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal(0, handler.OpenStreams);
    }

    [Fact]
    public async Task A_broken_header_is_malformed_and_a_request_reaches_its_plugin()
    {
        var pair = new PipePair();
        Task served = Handler().RunAsync(pair.Far, CancellationToken.None);
        await pair.Near.Output.WriteAsync(new byte[] { 9, 9, 9 });
        ReadResult read = await pair.Near.Input.ReadAsync();
        Assert.Equal((byte)ProxyStatus.Malformed, read.Buffer.FirstSpan[0]);
        await served;

        RequestDispatcher dispatcher = RequestDispatcher.Create([new PingPlugin()], new RouterServices(TimeProvider.System));
        var ping = new PipePair();
        served = Handler(requests: new RequestStreamHandler(dispatcher, TimeProvider.System)).RunAsync(ping.Far, CancellationToken.None);
        await ping.Near.Output.WriteAsync(new byte[] { 2, 4, (byte)'p', (byte)'i', (byte)'n', (byte)'g', 0, 0, 0, 2, 7, 8 });
        read = await ping.Near.Input.ReadAtLeastAsync(15).AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal<byte>([0, 0, 0, 0, 10], read.Buffer.Slice(0, 5).ToArray());
        Assert.Equal<byte>([7, 8], read.Buffer.Slice(13).ToArray());
        await served;
    }

    [Fact]
    public void Addresses_take_turns_by_family_beginning_with_the_resolvers_first()
    {
        IPAddress[] order = [.. ExitStreamHandler.Interleave([IPAddress.Parse("2600::1"), IPAddress.Parse("2600::2"), IPAddress.Parse("1.1.1.1"), IPAddress.Parse("1.1.1.2"), IPAddress.Parse("1.1.1.3")])];
        Assert.Equal(["2600::1", "1.1.1.1", "2600::2", "1.1.1.2", "1.1.1.3"], order.Select(a => a.ToString()));
    }
}
