using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Oxen.Router.Core.Quic.Tls;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Quic.Tls;

/// <summary>
/// Raw public keys both ways against an independent implementation: GnuTLS over TCP, by the small program at the end,
/// which carries extension 57 and prints its exporter.
/// </summary>
public sealed class TlsGnuTlsTests : IDisposable
{
    private readonly string _folder = System.IO.Directory.CreateTempSubdirectory("oxen-gnutls-").FullName;
    private readonly TlsIdentity _ours = TlsPair.Identity(1);
    private readonly TlsIdentity _its = TlsPair.Identity(2);

    // Its priority string's tail, and whether the first share misses: a HelloRetryRequest.
    public static TheoryData<string, ushort, bool> Rows() => new()
    {
        { ":-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519", 0x1301, false },
        { ":-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-X25519", 0x1302, false },
        { ":-CIPHER-ALL:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519", 0x1303, false },
        { ":-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-SECP256R1:+GROUP-X25519", 0x1301, true },
        { ":-CIPHER-ALL:+AES-256-GCM:-GROUP-ALL:+GROUP-SECP256R1:+GROUP-X25519", 0x1302, true },
    };

    [Theory, MemberData(nameof(Rows))]
    public void Our_client_and_its_server_know_each_other_by_raw_keys(string priority, ushort suite, bool retry)
    {
        using Process server = Start($"server 0 {priority}");
        int port = int.Parse(server.StandardOutput.ReadLine()!);
        TlsClientOptions options = new()
        {
            Identity = _ours,
            PinnedServerKey = _its.PublicKey.ToArray(),
            Alpn = [TlsPair.Protocol],
            Groups = retry ? [TlsGroup.X25519MlKem768, TlsGroup.X25519] : [TlsGroup.X25519],
        };
        using TlsSession session = TlsSession.Client(options, [7, 8], new SeededEntropy(1));
        using TcpClient tcp = new("127.0.0.1", port);
        Check(session, tcp, server, suite, retry ? 2 : 1);
    }

    [Theory, MemberData(nameof(Rows))]
    public void Its_client_and_our_server_know_each_other_by_raw_keys(string priority, ushort suite, bool retry)
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using Process client = Start($"client {((IPEndPoint)listener.LocalEndpoint).Port} {priority}");
        TlsServerOptions options = new() { Identity = _ours, RequireClientKey = true, Alpn = [TlsPair.Protocol] };
        using TlsSession session = TlsSession.Server(options, [7, 8], new SeededEntropy(2));
        using TcpClient tcp = listener.AcceptTcpClient();
        Check(session, tcp, client, suite, 1);
        Assert.Equal(retry, session.Retried);
    }

    public void Dispose()
    {
        _ours.Dispose();
        _its.Dispose();
        System.IO.Directory.Delete(_folder, true);
    }

    private void Check(TlsSession session, TcpClient tcp, Process peer, ushort suite, int hellosSeen)
    {
        tcp.ReceiveTimeout = 20_000;
        Assert.Equal(0, new TlsOverTcp(session, tcp.GetStream()).Run());
        byte[] exported = new byte[40];
        session.Export("EXPORTER-oxen-link-v1"u8, [], exported);
        string[] parameters = [.. Enumerable.Repeat("parameters 0708", hellosSeen)];
        string[] expected = [.. parameters, $"exporter {Convert.ToHexString(exported)}", $"key {Convert.ToHexString(TlsEdit.Spki(_ours.PublicKey))}"];
        Assert.Equal(expected, peer.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries));
        peer.WaitForExit();
        Assert.Equal(0, peer.ExitCode);
        Assert.Equal(_its.PublicKey.ToArray(), session.PeerPublicKey.ToArray());
        Assert.Equal((TlsCipherSuite)suite, session.Suite);
        Assert.Equal([5, 6], session.PeerTransportParameters.ToArray());
    }

    private Process Start(string arguments)
    {
        string program = Path.Combine(_folder, "peer");
        Process? compiler = null;
        try
        {
            compiler = Process.Start(new ProcessStartInfo("cc", $"-x c -o {program} - -lgnutls") { RedirectStandardInput = true, RedirectStandardError = true })!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("needs a C compiler and GnuTLS's headers");
        }

        compiler.StandardInput.Write(Source);
        compiler.StandardInput.Close();
        string complaints = compiler.StandardError.ReadToEnd();
        compiler.WaitForExit();
        if (complaints.Contains("gnutls/gnutls.h", StringComparison.Ordinal)) Assert.Skip("needs a C compiler and GnuTLS's headers");
        Assert.True(compiler.ExitCode == 0, complaints);
        compiler.Dispose();

        // RFC 8410 section 7: PKCS #8 around the seed.
        byte[] seed = new byte[32];
        seed.AsSpan().Fill(2);
        WritePem("key.pem", "PRIVATE KEY", [.. Convert.FromHexString("302e020100300506032b657004220420"), .. seed]);
        WritePem("public.pem", "PUBLIC KEY", TlsEdit.Spki(_its.PublicKey));
        return Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = _folder, RedirectStandardOutput = true })!;
    }

    private void WritePem(string name, string label, byte[] content) =>
        File.WriteAllText(Path.Combine(_folder, name), $"-----BEGIN {label}-----\n{Convert.ToBase64String(content)}\n-----END {label}-----\n");

    // peer (client|server) PORT PRIORITY: one handshake with raw keys both ways. A server prints its port first.
    private const string Source = """
        #include <arpa/inet.h>
        #include <gnutls/gnutls.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/socket.h>
        #include <unistd.h>

        static void print(const char *name, const unsigned char *bytes, size_t count)
        {
            printf("%s ", name);
            for (size_t i = 0; i < count; i++) printf("%02X", bytes[i]);
            printf("\n");
        }

        static int receive(gnutls_session_t session, const unsigned char *bytes, size_t count)
        {
            print("parameters", bytes, count);
            return 0;
        }

        static int announce(gnutls_session_t session, gnutls_buffer_t out)
        {
            gnutls_buffer_append_data(out, "\5\6", 2);
            return 2;
        }

        int main(int argc, char **argv)
        {
            int server = !strcmp(argv[1], "server");
            alarm(30);
            setbuf(stdout, NULL);
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
            if (server)
            {
                socklen_t length = sizeof address;
                if (bind(fd, (void *)&address, length) || listen(fd, 1) || getsockname(fd, (void *)&address, &length)) return 2;
                printf("%d\n", ntohs(address.sin_port));
                fd = accept(fd, NULL, NULL);
            }
            else if (connect(fd, (void *)&address, sizeof address)) return 2;

            gnutls_certificate_credentials_t credentials;
            gnutls_certificate_allocate_credentials(&credentials);
            if (gnutls_certificate_set_rawpk_key_file(credentials, "public.pem", "key.pem", GNUTLS_X509_FMT_PEM, NULL, 0, NULL, 0, 0, 0) < 0) return 3;
            gnutls_session_t session;
            gnutls_init(&session, (server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS | GNUTLS_KEY_SHARE_TOP);
            char priority[512];
            snprintf(priority, sizeof priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:%%DISABLE_TLS13_COMPAT_MODE:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK%s", argv[3]);
            if (gnutls_priority_set_direct(session, priority, NULL) < 0) return 4;
            gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
            gnutls_datum_t protocol = { (void *)"oxen-link/1", 11 };
            gnutls_alpn_set_protocols(session, &protocol, 1, 0);
            gnutls_session_ext_register(session, "quic", 57, GNUTLS_EXT_TLS, receive, announce, NULL, NULL, NULL,
                GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE);
            if (server) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
            gnutls_transport_set_int(session, fd);
            int result;
            do result = gnutls_handshake(session); while (result < 0 && !gnutls_error_is_fatal(result));
            if (result < 0)
            {
                printf("failed %s, alert %d\n", gnutls_strerror(result), gnutls_alert_get(session));
                gnutls_alert_send_appropriate(session, result);
                return 1;
            }

            unsigned char exported[40];
            gnutls_prf_rfc5705(session, 21, "EXPORTER-oxen-link-v1", 0, NULL, sizeof exported, (char *)exported);
            print("exporter", exported, sizeof exported);
            unsigned count;
            const gnutls_datum_t *key = gnutls_certificate_get_peers(session, &count);
            if (key) print("key", key->data, key->size);
            return 0;
        }
        """;
}
