using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;
using Oxen.Router.Exit;
using Oxen.Testing;

namespace Oxen.Router.Tests.Exit;

public sealed class ExitDatagramsTests : IDisposable
{
    private static readonly ExitPolicy Loopback = new(ExitPolicy.DefaultRules.Select(ExitRule.Parse), [ExitRule.Parse("allow 127.0.0.0/8:*"), ExitRule.Parse("allow [::1]:*")]);

    private readonly Sink _sink = new();
    private readonly FakeResolver _names = new(name => name == "echo.test" ? [IPAddress.Loopback] : []);
    private readonly SimClock _clock = new();
    private readonly ExitDatagrams _exit;
    private readonly Socket _server = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

    public ExitDatagramsTests()
    {
        _exit = new ExitDatagrams(Loopback, _names, _sink, new ExitLimits { AssociationsPerSession = 2 }, TimeProvider.System, new SharedDropCounters());
        _server.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _server.ReceiveTimeout = 10_000;
    }

    private IPEndPoint Server => (IPEndPoint)_server.LocalEndPoint!;

    public void Dispose()
    {
        _exit.Dispose();
        _server.Dispose();
    }

    private static byte[] Record(ushort association, ProxyDestination to, byte[] payload)
    {
        byte[] record = new byte[ProxyWire.MaxRecordBytes];
        return record[..ProxyWire.WriteRecord(association, to, payload, record)];
    }

    private (byte[] Payload, EndPoint From) Receive()
    {
        byte[] buffer = new byte[2000];
        EndPoint from = new IPEndPoint(IPAddress.Any, 0);
        int n = _server.ReceiveFrom(buffer, ref from);
        return (buffer[..n], from);
    }

    [Fact]
    public async Task A_datagram_to_a_name_calls_for_its_delivery_as_soon_as_the_name_is_resolved()
    {
        var woken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var exit = new ExitDatagrams(Loopback, _names, _sink, new ExitLimits(), TimeProvider.System, new SharedDropCounters(), () => woken.TrySetResult());
        Assert.True(ProxyDestination.TryFromHost("echo.test", (ushort)Server.Port, out ProxyDestination named));
        exit.Handle(7, Record(3, named, [5, 6]), _clock.Now);
        await woken.Task.WaitAsync(TimeSpan.FromSeconds(10));
        exit.DeliverResolved();
        Assert.Equal<byte>([5, 6], Receive().Payload);
    }

    [Fact]
    public async Task A_datagram_goes_out_and_its_answer_comes_back_with_the_senders_address()
    {
        _exit.Handle(7, Record(3, ProxyDestination.FromEndPoint(Server), [1, 2, 3]), _clock.Now);
        (byte[] payload, EndPoint from) = Receive();
        Assert.Equal<byte>([1, 2, 3], payload);
        _server.SendTo(new byte[] { 4, 5 }, new IPEndPoint(IPAddress.Loopback, ((IPEndPoint)from).Port));
        (long session, byte[] record) = await _sink.Records.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(7, session);
        Assert.True(ProxyWire.TryReadRecord(record, out ushort association, out ProxyDestination sender, out ReadOnlySpan<byte> back));
        Assert.Equal(3, association);
        Assert.Equal(Server.ToString(), sender.ToString());
        Assert.Equal<byte>([4, 5], back.ToArray());
    }

    [Fact]
    public async Task A_stranger_is_not_heard_but_a_contacted_address_is_from_any_port()
    {
        _exit.Handle(1, Record(1, ProxyDestination.FromEndPoint(Server), [1]), _clock.Now);
        int port = ((IPEndPoint)Receive().From).Port;
        using var stranger = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        stranger.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.9"), 0));
        stranger.SendTo(new byte[] { 66 }, new IPEndPoint(IPAddress.Loopback, port));
        using var sibling = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        sibling.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        sibling.SendTo(new byte[] { 77 }, new IPEndPoint(IPAddress.Loopback, port));
        (_, byte[] record) = await _sink.Records.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Equal(77, record[^1]);
        Assert.Equal(1, _exit.Drops[DropReason.WrongAddress]);
    }

    [Fact]
    public void A_name_is_looked_up_once_and_the_waiting_datagram_is_sent_by_the_next_sweep()
    {
        Assert.True(ProxyDestination.TryFromHost("echo.test", (ushort)Server.Port, out ProxyDestination to));
        _exit.Handle(1, Record(1, to, [9]), _clock.Now);
        var until = DateTime.UtcNow.AddSeconds(10);
        while (_server.Available == 0 && DateTime.UtcNow < until)
        {
            _exit.Sweep(_clock.Now);
            Thread.Yield();
        }

        Assert.Equal<byte>([9], Receive().Payload);
        _exit.Handle(1, Record(1, to, [10]), _clock.Now);
        Assert.Equal<byte>([10], Receive().Payload);
        Assert.Single(_names.Asked);
    }

    [Fact]
    public void Refused_destinations_broken_records_and_too_many_associations_are_counted()
    {
        _exit.Handle(1, Record(1, ProxyDestination.FromIPv4(0x0A000001, 53), [1]), _clock.Now);
        Assert.Equal(1, _exit.Drops[DropReason.ExitPolicy]);
        _exit.Handle(1, [0, 1, 9], _clock.Now);
        Assert.Equal(1, _exit.Drops[DropReason.BadRecord]);
        for (ushort i = 0; i < 3; i++) _exit.Handle(1, Record(i, ProxyDestination.FromEndPoint(Server), [1]), _clock.Now);
        Assert.Equal(1, _exit.Drops[DropReason.AssociationLimit]);
        Assert.Equal(2, _exit.Count);
        _exit.Handle(2, Record(0, ProxyDestination.FromEndPoint(Server), [1]), _clock.Now);
        Assert.Equal(3, _exit.Count);
        _exit.CloseSession(1);
        Assert.Equal(1, _exit.Count);
    }

    [Fact]
    public void Silence_ends_an_association()
    {
        _exit.Handle(1, Record(1, ProxyDestination.FromEndPoint(Server), [1]), _clock.Now);
        _clock.Advance(TimeSpan.FromSeconds(119));
        _exit.Sweep(_clock.Now);
        Assert.Equal(1, _exit.Count);
        _clock.Advance(TimeSpan.FromSeconds(1));
        _exit.Sweep(_clock.Now);
        Assert.Equal(0, _exit.Count);
    }

    private sealed class Sink : IExitRecordSink
    {
        public Channel<(long, byte[])> Records { get; } = Channel.CreateUnbounded<(long, byte[])>();

        public void Send(long session, ReadOnlySpan<byte> record) => Records.Writer.TryWrite((session, record.ToArray()));
    }
}
