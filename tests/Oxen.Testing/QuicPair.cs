using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Tls;

namespace Oxen.Testing;

/// <summary>A client and a server with raw public keys on one simulated network.</summary>
internal sealed class QuicPair : IDisposable
{
    public static readonly UdpAddress ClientAddress = UdpAddress.FromBytes([10, 0, 0, 1], 4000);
    public static readonly UdpAddress ServerAddress = UdpAddress.FromBytes([10, 0, 1, 2], 4433);

    private static readonly TlsIdentity ServerKey = TlsIdentity.Create(new SeededEntropy(1001));
    private static readonly TlsIdentity ClientKey = TlsIdentity.Create(new SeededEntropy(1002));

    public QuicPair(ulong seed, SimLink? link = null, QuicTransportOptions? client = null, QuicTransportOptions? server = null, QuicEndpointOptions? serverEndpoint = null, ushort[]? groups = null, TlsCipherSuite[]? suites = null)
    {
        Network = new SimNetwork(seed);
        if (link is not null) Network.Default = link;
        Tls = new TlsClientOptions
        {
            Identity = ClientKey,
            PinnedServerKey = ServerKey.PublicKey.ToArray(),
            Alpn = [Encoding.ASCII.GetBytes("oxen-test/1")],
            Groups = groups ?? [TlsGroup.X25519],
            Suites = suites ?? [TlsCipherSuite.Aes128GcmSha256],
        };
        Client = new QuicNode(Network, ClientAddress, new QuicEndpointOptions { Transport = client ?? new QuicTransportOptions() }, seed * 2 + 1);
        Server = new QuicNode(Network, ServerAddress, ServerOptions(server, serverEndpoint, groups), seed * 2 + 2);
        Server.OnAccept = (connection, _) => Accepted = connection;
    }

    public SimNetwork Network { get; }

    public QuicNode Client { get; }

    public QuicNode Server { get; }

    public TlsClientOptions Tls { get; }

    public QuicConnection? Accepted { get; private set; }

    public static QuicEndpointOptions ServerOptions(QuicTransportOptions? transport = null, QuicEndpointOptions? like = null, ushort[]? groups = null) => new()
    {
        Transport = transport ?? like?.Transport ?? new QuicTransportOptions(),
        Retry = like?.Retry ?? QuicRetryPolicy.Never,
        RetryAboveHalfOpen = like?.RetryAboveHalfOpen ?? 32,
        MaxHalfOpen = like?.MaxHalfOpen ?? 256,
        MaxConnections = like?.MaxConnections ?? 4096,
        MaxConnectionsPerAddress = like?.MaxConnectionsPerAddress ?? 0,
        MaxKeptBytes = like?.MaxKeptBytes ?? 0,
        HandshakesPerPrefix = like?.HandshakesPerPrefix ?? 20,
        HandshakeBurstPerPrefix = like?.HandshakeBurstPerPrefix ?? 60,
        Server = new TlsServerOptions { Identity = ServerKey, RequireClientKey = true, Alpn = [Encoding.ASCII.GetBytes("oxen-test/1")], Groups = groups ?? [TlsGroup.X25519] },
    };

    public QuicConnection Connect(QuicTransportOptions? transport = null)
    {
        QuicConnection connection = Client.Endpoint.Connect(ServerAddress, Tls, transport, Network.Now);
        Network.Wake(Client);
        return connection;
    }

    /// <summary>Connects and runs until both sides are established (the client's view confirmed).</summary>
    public QuicConnection Establish()
    {
        QuicConnection connection = Connect();
        if (!Network.RunUntil(() => connection.IsConfirmed && Accepted is not null, TimeSpan.FromSeconds(60)))
            throw new InvalidOperationException($"no handshake: {connection.Stats.CloseReason} {connection.Stats.CloseError}");
        return connection;
    }

    public void Dispose()
    {
        Client.Endpoint.Dispose();
        Server.Endpoint.Dispose();
    }
}
