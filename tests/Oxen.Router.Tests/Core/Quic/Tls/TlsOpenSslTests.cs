using System.Diagnostics;
using System.Net.Sockets;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>
/// Our client against an independent server: OpenSSL's command line over TCP. It is no QUIC, so the transport parameters
/// are an extension 57 that it is told to carry; all else is what QUIC peers see, down to the exporter's bytes.
/// (Its client refuses extensions it was not built for in EncryptedExtensions: our server meets independent clients over QUIC.)
/// </summary>
public sealed class TlsOpenSslTests : IDisposable
{
    private const string Label = "EXPORTER-oxen-link-v1";

    private readonly string _folder = System.IO.Directory.CreateTempSubdirectory("oxen-tls-").FullName;

    // The certificate's key, the suite, and whether our first share is the hybrid, which this server does not take: a HelloRetryRequest.
    public static TheoryData<string, string, bool> Peers() => new()
    {
        { "ed25519", "TLS_AES_128_GCM_SHA256", false },
        { "p256", "TLS_AES_256_GCM_SHA384", false },
        { "p256", "TLS_CHACHA20_POLY1305_SHA256", false },
        { "rsa", "TLS_AES_128_GCM_SHA256", false },
        { "ed25519", "TLS_AES_128_GCM_SHA256", true },
        { "rsa", "TLS_AES_256_GCM_SHA384", true },
    };

    [Theory, MemberData(nameof(Peers))]
    public void Our_client_completes_with_its_server_and_exports_the_same(string key, string suite, bool retry)
    {
        MakeCertificate(key);
        byte[] info = [0, 0, 4, 0x80, 0, 57, 0, 2, 5, 6];     // context ClientHello and EncryptedExtensions | type | length | data
        File.WriteAllText(Path.Combine(_folder, "info.pem"), $"-----BEGIN SERVERINFOV2 FOR x-----\n{Convert.ToBase64String(info)}\n-----END SERVERINFOV2 FOR x-----\n");
        using Tool server = new(_folder, $"s_server -accept 127.0.0.1:0 -cert cert.pem -key key.pem -tls1_3 -no_middlebox -naccept 1 -alpn oxen-link/1 -serverinfo info.pem -ciphersuites {suite} -groups X25519 -num_tickets 2 -keymatexport {Label} -keymatexportlen 40");
        int port = int.Parse(server.After("ACCEPT ").Split(':')[^1]);

        TlsClientOptions options = new()
        {
            RawPublicKeys = false,
            Alpn = ["other"u8.ToArray(), TlsPair.Protocol],
            ServerName = "localhost",
            Groups = retry ? [TlsGroup.X25519MlKem768, TlsGroup.X25519] : [TlsGroup.X25519],
        };
        using TlsSession session = TlsSession.Client(options, [], new SeededEntropy(1));
        using TcpClient tcp = new("127.0.0.1", port);
        TlsOverTcp pipe = new(session, tcp.GetStream());
        Assert.Equal(0, pipe.Run());
        Assert.Equal(0, pipe.ReadRecord());     // the tickets
        Assert.Equal(TlsPair.Protocol, session.Alpn);
        Assert.Equal([5, 6], session.PeerTransportParameters.ToArray());
        Assert.Equal(server.After("Keying material: "), Exported(session));
    }

    public void Dispose() => System.IO.Directory.Delete(_folder, true);

    private static string Exported(TlsSession session)
    {
        byte[] bytes = new byte[40];
        session.Export(System.Text.Encoding.ASCII.GetBytes(Label), [], bytes);
        return Convert.ToHexString(bytes);
    }

    private void MakeCertificate(string key)
    {
        string kind = key switch { "p256" => "ec -pkeyopt ec_paramgen_curve:prime256v1", "rsa" => "rsa:2048", _ => "ed25519" };
        using Tool request = new(_folder, $"req -x509 -nodes -newkey {kind} -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost");
        Assert.Equal(0, request.End());
    }

    // One run of the openssl program.
    private sealed class Tool : IDisposable
    {
        private readonly Process _process;
        private readonly Task<string> _errors;

        public Tool(string folder, string arguments)
        {
            ProcessStartInfo start = new("openssl", arguments) { WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
            try
            {
                _process = Process.Start(start)!;
            }
            catch (System.ComponentModel.Win32Exception)
            {
                Assert.Skip("the openssl program is not installed");
                throw;
            }

            _errors = _process.StandardError.ReadToEndAsync();
        }

        /// <summary>The rest of the first line of its output that holds `mark`.</summary>
        public string After(string mark)
        {
            using Timer guard = new(_ => _process.Kill(), null, TimeSpan.FromSeconds(20), Timeout.InfiniteTimeSpan);
            while (_process.StandardOutput.ReadLine() is { } line)
            {
                int at = line.IndexOf(mark, StringComparison.Ordinal);
                if (at >= 0) return line[(at + mark.Length)..].Trim();
            }

            throw new InvalidOperationException($"openssl ended without '{mark}': {_errors.Result}");
        }

        public int End()
        {
            _process.StandardOutput.ReadToEnd();
            _process.WaitForExit();
            return _process.ExitCode;
        }

        public void Dispose()
        {
            if (!_process.HasExited) _process.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
