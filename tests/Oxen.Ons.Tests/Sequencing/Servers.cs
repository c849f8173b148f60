using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Oxen.Ons.Tests.Sequencing;

/// <summary>A server of our own for as long as a test class lives: its data in a new directory, its port a free one.</summary>
internal sealed class Servers : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _directory;

    private Servers(Process process, string directory, int port) => (_process, _directory, Port) = (process, directory, port);

    public int Port { get; }

    public static bool HasEtcd => Find("etcd") is not null;

    public static bool HasPostgres => Find("postgres") is not null && Find("initdb") is not null;

    public static async Task<Servers> EtcdAsync()
    {
        int port = FreePort(), peer = FreePort();
        string directory = Directory.CreateTempSubdirectory("oxen-etcd").FullName;
        Process process = Start(Find("etcd")!, directory, "--data-dir", directory, "--listen-client-urls", $"http://127.0.0.1:{port}", "--advertise-client-urls", $"http://127.0.0.1:{port}", "--listen-peer-urls", $"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", $"http://127.0.0.1:{peer}", "--initial-cluster", $"default=http://127.0.0.1:{peer}");
        var server = new Servers(process, directory, port);
        using var http = new HttpClient();
        await server.ReadyAsync(async () => (await http.GetAsync($"http://127.0.0.1:{port}/health")).IsSuccessStatusCode);
        return server;
    }

    public static async Task<Servers> PostgresAsync()
    {
        int port = FreePort();
        string directory = Directory.CreateTempSubdirectory("oxen-postgres").FullName;

        // It does not run as root: then it runs as the user that its package made.
        bool root = Environment.UserName == "root";
        if (root) await RunAsync("chown", "postgres", directory);
        string[] As(params string[] command) => root ? ["runuser", "-u", "postgres", "--", .. command] : command;
        string[] init = As(Find("initdb")!, "-D", directory + "/data", "-U", "postgres", "-A", "trust", "--no-sync");
        await RunAsync(init[0], init[1..]);
        string[] start = As(Find("postgres")!, "-D", directory + "/data", "-p", port.ToString(), "-c", "listen_addresses=127.0.0.1", "-c", $"unix_socket_directories={directory}");
        Process process = Start(start[0], directory, start[1..]);
        var server = new Servers(process, directory, port);
        await server.ReadyAsync(async () =>
        {
            await using var connection = new Npgsql.NpgsqlConnection(server.Postgres);
            await connection.OpenAsync();
            return true;
        });
        return server;
    }

    public string Postgres => $"Host=127.0.0.1;Port={Port};Username=postgres;Database=postgres;Pooling=true";

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        try
        {
            Directory.Delete(_directory, recursive: true);
        }
        catch (IOException)
        {
            // A child of the server may write its last file just now; the directory is a temporary one.
        }
    }

    internal static string? Find(string program)
    {
        IEnumerable<string> places = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        if (Directory.Exists("/usr/lib/postgresql")) places = places.Concat(Directory.GetDirectories("/usr/lib/postgresql").Select(d => d + "/bin"));
        return places.Select(p => Path.Combine(p, program)).FirstOrDefault(File.Exists);
    }

    internal static Process Start(string program, string directory, params string[] arguments)
    {
        var info = new ProcessStartInfo(program) { WorkingDirectory = directory, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in arguments) info.ArgumentList.Add(argument);
        Process process = Process.Start(info)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using Process process = Start(program, "/", arguments);
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
    }

    private async Task ReadyAsync(Func<Task<bool>> look)
    {
        for (int i = 0; i < 600; i++)
        {
            Assert.False(_process.HasExited, "the server ended by itself");
            try
            {
                if (await look()) return;
            }
            catch (Exception e) when (e is HttpRequestException or Npgsql.NpgsqlException or SocketException)
            {
                // not up yet
            }

            await Task.Delay(100);
        }

        Assert.Fail("the server did not come up within a minute");
    }

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
