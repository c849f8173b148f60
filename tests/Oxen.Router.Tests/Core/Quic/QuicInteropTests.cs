using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Oxen.Router.Core;
using Oxen.Router.Core.Quic;
using Oxen.Router.Core.Quic.Packets;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic;

// Against Debian's ngtcp2 (packages ngtcp2-client, ngtcp2-server) over a real socket, both roles. They speak HTTP/3, so a
// few fixed bytes of it are laid here; what is judged is the file that arrives. They know neither raw public keys nor the
// hybrid group: those have our own two roles and the RFC's vectors.
public sealed class QuicInteropTests : IDisposable
{
    private readonly string _directory = System.IO.Directory.CreateTempSubdirectory("quic-interop").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;

    public QuicInteropTests()
    {
        var request = new CertificateRequest("CN=localhost", _key, HashAlgorithmName.SHA256);
        _certificate = request.CreateSelfSigned(new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2099, 1, 1, 0, 0, 0, TimeSpan.Zero));
    }

    [Theory]
    [InlineData("", 2_000_000)]
    [InlineData("-r 0.03 -t 0.03", 2_000_000)]
    [InlineData("--key-update=20ms", 5_000_000)]
    [InlineData("--ciphers=NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-256-GCM", 1_000_000)]
    [InlineData("--ciphers=NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+CHACHA20-POLY1305", 1_000_000)]
    [InlineData("retry", 500_000)]
    public void Gtlsclient_fetches_a_file_from_our_server(string flags, int size)
    {
        string program = Find("gtlsclient");
        byte[] body = Body(size);
        using TlsIdentity identity = TlsIdentity.Create(new SeededEntropy(1));
        using var pump = new QuicSocketPump(new QuicEndpoint(
            new QuicEndpointOptions
            {
                Retry = flags == "retry" ? QuicRetryPolicy.Always : QuicRetryPolicy.Never,
                Server = new TlsServerOptions
                {
                    Identity = identity, Alpn = ["h3"u8.ToArray()], Groups = [TlsGroup.X25519],
                    CertificateChain = [_certificate.RawData], CertificateKey = _key,
                },
            },
            new SeededEntropy(2)));
        using Process client = Start(program, $"-q --exit-on-all-streams-close --timeout=20s --download={_directory} {(flags == "retry" ? "" : flags)} 127.0.0.1 {pump.Port} https://127.0.0.1:{pump.Port}/got");
        var sent = new Dictionary<long, int>();
        byte[] response = [0x01, 0x03, 0x00, 0x00, 0xD9, 0x00, .. RawQuicClient.Number((ulong)size), .. body];      // HEADERS :status 200, DATA
        pump.RunUntil(
            () => client.HasExited,
            TimeSpan.FromSeconds(30),
            happened =>
            {
                if (happened.Kind is not (QuicEventKind.StreamReadable or QuicEventKind.StreamWritable)) return;
                long stream = happened.StreamId;
                if (happened.Kind == QuicEventKind.StreamReadable)
                {
                    while (happened.Connection.Read(stream, new byte[4096], out _) > 0)
                    {
                    }
                }

                if ((stream & 3) != 0) return;
                int at = sent.GetValueOrDefault(stream);
                if (at == response.Length) return;
                at += happened.Connection.Write(stream, response.AsSpan(at));
                sent[stream] = at;
                if (at == response.Length) happened.Connection.Finish(stream);
            },
            connection =>
            {
                connection.TryOpenStream(false, out long control);
                connection.Write(control, [0x00, 0x04, 0x00]);
            });
        Assert.True(client.HasExited);
        string file = Path.Combine(_directory, "got");
        Assert.True(File.Exists(file), client.StandardError.ReadToEnd());
        Assert.Equal(SHA256.HashData(body), SHA256.HashData(File.ReadAllBytes(file)));
    }

    [Theory]
    [InlineData("", 2_000_000)]
    [InlineData("-r 0.03 -t 0.03", 2_000_000)]
    [InlineData("-V", 500_000)]
    public void Our_client_fetches_a_file_from_gtlsserver(string flags, int size)
    {
        string program = Find("gtlsserver");
        byte[] body = Body(size);
        File.WriteAllBytes(Path.Combine(_directory, "file"), body);
        File.WriteAllText(Path.Combine(_directory, "key.pem"), _key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(Path.Combine(_directory, "cert.pem"), _certificate.ExportCertificatePem());
        int port = FreePort();
        using Process server = Start(program, $"-q {flags} -d {_directory} 127.0.0.1 {port} {_directory}/key.pem {_directory}/cert.pem");
        using var pump = new QuicSocketPump(new QuicEndpoint(new QuicEndpointOptions(), new SeededEntropy(3)));
        var tls = new TlsClientOptions { Alpn = ["h3"u8.ToArray()], RawPublicKeys = false, Groups = [TlsGroup.X25519], ServerName = "localhost" };
        var received = new MemoryStream();
        bool finished = false, closed = false;
        byte[] scratch = new byte[65536];
        byte[] authority = Encoding.ASCII.GetBytes("localhost"), path = Encoding.ASCII.GetBytes("/file");
        byte[] fields = [0x00, 0x00, 0xD1, 0xD7, 0x50, (byte)authority.Length, .. authority, 0x51, (byte)path.Length, .. path];
        pump.Endpoint.Connect(UdpAddress.FromBytes([127, 0, 0, 1], (ushort)port), tls, null, pump.Now);
        pump.RunUntil(
            () => finished || closed,
            TimeSpan.FromSeconds(30),
            happened =>
            {
                QuicConnection connection = happened.Connection;
                closed |= happened.Kind == QuicEventKind.Closed;
                if (happened.Kind == QuicEventKind.Connected)
                {
                    connection.TryOpenStream(false, out long control);
                    connection.Write(control, [0x00, 0x04, 0x00]);
                    connection.TryOpenStream(true, out long request);
                    connection.Write(request, [0x01, (byte)fields.Length, .. fields]);
                    connection.Finish(request);
                }

                if (happened.Kind != QuicEventKind.StreamReadable) return;
                int n;
                while ((n = connection.Read(happened.StreamId, scratch, out bool end)) > 0 || end)
                {
                    if (happened.StreamId == 0) received.Write(scratch, 0, n);
                    finished |= end && happened.StreamId == 0;
                    if (n == 0) break;
                }
            });
        server.Kill();
        server.WaitForExit();
        Assert.True(finished, string.Join('\n', pump.Endpoint.Connections.Select(c => c.Stats.ToString())) + server.StandardError.ReadToEnd());
        Assert.Equal(SHA256.HashData(body), SHA256.HashData(Data(received.ToArray())));
    }

    public void Dispose()
    {
        System.IO.Directory.Delete(_directory, recursive: true);
        _certificate.Dispose();
        _key.Dispose();
    }

    /// <summary>The DATA frames' content. RFC 9114 section 7.</summary>
    private static byte[] Data(ReadOnlySpan<byte> frames)
    {
        using var data = new MemoryStream();
        while (Varint.TryRead(ref frames, out ulong type) && Varint.TryRead(ref frames, out ulong length))
        {
            if (type == 0) data.Write(frames[..(int)length]);
            frames = frames[(int)length..];
        }

        return data.ToArray();
    }

    private static byte[] Body(int size)
    {
        byte[] body = new byte[size];
        new SeededEntropy((ulong)size).FillPublic(body);
        return body;
    }

    private static string Find(string program)
    {
        foreach (string directory in (string[])["/usr/bin", "/usr/sbin", "/usr/local/bin"])
        {
            if (File.Exists(Path.Combine(directory, program))) return Path.Combine(directory, program);
        }

        Assert.Skip($"{program} is not installed (Debian packages ngtcp2-client and ngtcp2-server)");
        return "";
    }

    private static Process Start(string program, string arguments)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        return process;
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
