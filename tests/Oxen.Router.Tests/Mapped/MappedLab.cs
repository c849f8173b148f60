using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using System.Threading.Channels;
using Oxen.Router.Client;
using Oxen.Router.Core.Hidden;
using Oxen.Router.Core.Wire;
using Oxen.Router.Dns;
using Oxen.Router.Mapped;
using Oxen.Router.Native.Linux;
using Oxen.Router.Tests.Dns;
using Oxen.Testing;

namespace Oxen.Router.Tests.Mapped;

/// <summary>Services that answer in this process: port 7 says everything back, port 80 serves a page, others are refused.</summary>
internal sealed class FakeServices : IServiceStreams, IServiceDatagrams
{
    public ConcurrentQueue<(ServiceAddress Service, string Host, ushort Port)> Asked { get; } = new();

    public ServiceAddress? Unreachable { get; set; }

    public async ValueTask<OnionStream> OpenAsync(ServiceAddress service, string host, ushort port, IsolationKey isolation, CancellationToken cancel)
    {
        Asked.Enqueue((service, host, port));
        await Task.Yield();
        if (service == Unreachable) throw new OnionUnavailableException("nobody found its introset");
        if (port is not (7 or 80)) throw OnionRefusedException.OfService(ProxyStatus.PolicyRefused);
        var pair = new PipePair();
        _ = port == 7 ? PipeBridge.PumpAsync(pair.Far.Input, pair.Far.Output, CancellationToken.None) : ServeAsync(pair.Far, host);
        return new FakeStream(pair.Near);
    }

    public async ValueTask<IServiceAssociation> AssociateAsync(ServiceAddress service, IsolationKey isolation, CancellationToken cancel)
    {
        await Task.Yield();
        if (service == Unreachable) throw new OnionUnavailableException("nobody found its introset");
        return new Echo();
    }

    /// <summary>Says every datagram back with its port before it.</summary>
    private sealed class Echo : IServiceAssociation
    {
        private readonly Channel<ServiceReply> _received = Channel.CreateUnbounded<ServiceReply>();

        public ChannelReader<ServiceReply> Received => _received.Reader;

        public bool TrySend(ushort port, ReadOnlySpan<byte> payload) => _received.Writer.TryWrite(new ServiceReply(port, Encoding.ASCII.GetBytes($"{port}:{Encoding.ASCII.GetString(payload)}")));

        public void Dispose() => _received.Writer.TryComplete();
    }

    private static async Task ServeAsync(IDuplexPipe far, string host)
    {
        var seen = new StringBuilder();
        while (!seen.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            ReadResult read = await far.Input.ReadAsync();
            foreach (ReadOnlyMemory<byte> part in read.Buffer) seen.Append(Encoding.ASCII.GetString(part.Span));
            far.Input.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }

        string body = $"This is {host}.\n";
        await far.Output.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"));
        await far.Output.CompleteAsync();
        await far.Input.CompleteAsync();
    }
}

/// <summary>A machine with a resolver and a door in a network namespace, and a neighbour that is its default route and counts what comes.</summary>
[SupportedOSPlatform("linux")]
internal sealed class MappedLab : IAsyncDisposable
{
    private const string Witness = """
        nft -f - <<'END'
        table inet witness { chain pre { type filter hook prerouting priority raw; policy accept;
          ip daddr 10.99.0.0/16 counter
          ip saddr 10.99.0.0/16 counter
          ip6 daddr fd6f:7865:6e00:3::/64 counter
          ip6 saddr fd6f:7865:6e00:3::/64 counter
          udp dport 53 counter
        }
        }
        END
        """;

    private readonly NetworkLab _lab = new();
    private DnsService? _dns;
    private MappedDoor? _door;
    private MappedRules? _rules;
    private string _lastReset = "";

    private MappedLab()
    {
        Machine = _lab.Add("machine");
        Neighbour = _lab.Add("neighbour");
        NetworkLab.Join(Machine, "eth0", Neighbour, "eth0");
        NetworkLab.Shell(Machine, "ip address add 192.0.2.2/24 dev eth0; ip address add 2001:db8::2/64 dev eth0 nodad; ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8::1");
        NetworkLab.Shell(Neighbour, $"ip address add 192.0.2.1/24 dev eth0; ip address add 2001:db8::1/64 dev eth0 nodad\n{Witness}");
        Directory = System.IO.Directory.CreateTempSubdirectory("oxen-test-").FullName;
    }

    public string Machine { get; }

    public string Neighbour { get; }

    public string Directory { get; }

    public FakeServices Services { get; } = new();

    public DnsService Dns => _dns!;

    public MappedDoor Door => _door!;

    public MappedRules? Rules => _rules;

    public static async Task<MappedLab> StartAsync(bool rules = true)
    {
        Assert.SkipWhen(NetworkLab.Missing is not null, NetworkLab.Missing ?? "");
        var lab = new MappedLab();
        Assert.SkipWhen(NetworkLab.TryShell(lab.Machine, "nft list tables").Code != 0, "nft is not installed");
        lab._dns = lab.Inside(() => DnsService.Start(new DnsServiceOptions { Forward = DnsForward.None, Host = new DnsHostOptions { Listen = [new IPEndPoint(IPAddress.Loopback, 53)] } }, null, null, null, TimeProvider.System));
        lab.OpenDoor();
        if (rules) lab.OpenRules();
        await Task.Yield();
        return lab;
    }

    public T Inside<T>(Func<T> work) => LinuxNamespace.Run(Machine, work);

    public void OpenDoor() => _door = Inside(() => MappedDoor.Open(_dns!.Map, Services, Services, new MappedDoorOptions { OpenTime = TimeSpan.FromSeconds(20), Open = (f, t, p) => Inside(() => new Socket(f, t, p)) }, _dns.Counters, TimeProvider.System));

    public void OpenRules() => _rules = NewRules();

    public MappedRules NewRules() => Inside(() => MappedRules.Open(_dns!.Map, _door!.PortIPv4, _door.PortIPv6, 18501, Directory));

    public void CloseRules() => Inside(() =>
    {
        _rules?.Dispose();
        return true;
    });

    /// <summary>The addresses of a service, as the resolver gives them.</summary>
    public MappedAddresses Map(byte service)
    {
        Assert.True(_dns!.Map.TryAssign(Key(service), out MappedAddresses addresses));
        return addresses;
    }

    /// <summary>A key that is a point of the group.</summary>
    public static OnionAddress Key(byte service)
    {
        using var identity = Oxen.Router.Core.Directory.RouterIdentity.Create(new SeededEntropy(service));
        byte[] key = new byte[OnionAddress.KeyBytes];
        identity.Id.CopyTo(key);
        return new OnionAddress(OnionKind.Service, key);
    }

    /// <summary>A socket of a program on the machine.</summary>
    public Socket Socket(AddressFamily family) => Inside(() => new Socket(family, SocketType.Stream, ProtocolType.Tcp));

    /// <summary>Connects, says something, and gives what comes back; "" if the connection is reset or refused.</summary>
    public async Task<string> SayAsync(IPAddress to, ushort port, string text)
    {
        using Socket socket = Socket(to.AddressFamily);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        try
        {
            await socket.ConnectAsync(new IPEndPoint(to, port), limit.Token);
            await using var stream = new NetworkStream(socket);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(text), limit.Token);
            socket.Shutdown(SocketShutdown.Send);
            using var answer = new StreamReader(stream, Encoding.ASCII);
            return await answer.ReadToEndAsync(limit.Token);
        }
        catch (Exception e) when (e is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionRefused } or IOException { InnerException: SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.Shutdown } })
        {
            _lastReset = e.Message;
            return "";
        }
    }

    /// <summary>Connects to port 7 and asserts that what it says comes back; else tells what each side has counted.</summary>
    public async Task EchoAsync(IPAddress to, string text)
    {
        string said = await SayAsync(to, 7, text);
        if (said == text) return;
        string counters = string.Join(", ", Enum.GetValues<DnsCount>().Where(c => Dns.Counters[c] > 0).Select(c => $"{c}={Dns.Counters[c]}"));
        Assert.Fail($"{said.Length} of {text.Length} bytes came back from {to}; {_lastReset}; asked {Services.Asked.Count}; {counters}\n{NetworkLab.Shell(Machine, "nft list ruleset; cat /proc/net/netstat | grep TcpExt; ss -tan")}");
    }

    /// <summary>Packets to or from mapped addresses, and questions of names, that the neighbour has seen.</summary>
    public long Seen() => NetworkLab.Shell(Neighbour, "nft list table inet witness").Split("counter packets ")[1..].Sum(p => long.Parse(p.Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture));

    public async ValueTask DisposeAsync()
    {
        CloseRules();
        if (_door is not null) await _door.DisposeAsync();
        if (_dns is not null) await _dns.DisposeAsync();
        _lab.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
