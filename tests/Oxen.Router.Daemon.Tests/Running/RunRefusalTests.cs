using System.Net;
using System.Net.Sockets;

namespace Oxen.Router.Daemon.Tests.Running;

/// <summary>What `oxen run` does not start with: each case a code, words, a remedy and an exit code, and no trace.</summary>
public sealed class RunRefusalTests : IDisposable
{
    private readonly TestFiles _files = new();

    public void Dispose() => _files.Dispose();

    private async Task RefusedAsync(string name, int exitCode, string code, string words, string remedy)
    {
        (int actual, string output, string error) = await TestFiles.OxenAsync("run", "--config", _files.ConfigFile(name));
        Assert.Contains($"oxen: error {code}: ", error, StringComparison.Ordinal);
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.Contains(remedy, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("ready", output, StringComparison.Ordinal);
        Assert.Equal(exitCode, actual);
        Assert.False(File.Exists(_files.At(name, "oxen.sock")));
    }

    private async Task<string> OneRelayAsync()
    {
        _files.AddRelay("relay", 31);
        await _files.SignAsync("relay");
        return "relay";
    }

    [Fact]
    public async Task A_busy_udp_port()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        taken.Bind(new IPEndPoint(new IPAddress([127, 31, 0, 1]), 0));
        _files.AddRelay("relay", 31, listen: (IPEndPoint)taken.LocalEndPoint!);
        await _files.SignAsync("relay");
        await RefusedAsync("relay", 3, "OXN3001", $"UDP: the address {taken.LocalEndPoint} is in use", "`ss -lnptu`");
    }

    [Fact]
    public async Task A_busy_tcp_port()
    {
        await OneRelayAsync();
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        taken.Listen();
        _files.AddClient("client", 4, socks: taken.LocalEndPoint!.ToString()!);
        await RefusedAsync("client", 3, "OXN3001", $"proxy: the address {taken.LocalEndPoint} is in use", "another port");
    }

    [Fact]
    public async Task An_address_that_is_not_of_this_machine()
    {
        _files.AddRelay("relay", 31, listen: new IPEndPoint(IPAddress.Parse("192.0.2.77"), 1090));
        await _files.SignAsync("relay");
        await RefusedAsync("relay", 3, "OXN3003", "this machine has no address for 192.0.2.77:1090", "`ip address`");
    }

    [Theory]
    [InlineData("identity.key")]
    [InlineData("onion.key")]
    public async Task A_key_file_that_others_can_read(string file)
    {
        string path = _files.At(await OneRelayAsync(), file);
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.GroupRead);
        await RefusedAsync("relay", 4, "OXN4002", $"{path} can be read or changed by others", $"chmod 600 {path}");
    }

    [Theory]
    [InlineData("identity.key")]
    [InlineData("onion.key")]
    public async Task A_key_file_that_is_missing(string file)
    {
        string path = _files.At(await OneRelayAsync(), file);
        File.Delete(path);
        await RefusedAsync("relay", 4, "OXN4001", $"{path} does not exist", "oxen keygen --role relay");
    }

    [Fact]
    public async Task A_key_of_another_role()
    {
        File.Copy(_files.At("list.key"), _files.At(await OneRelayAsync(), "identity.key"), overwrite: true);
        await RefusedAsync("relay", 4, "OXN4003", "its role is list, not relay", "");
    }

    [Fact]
    public async Task A_list_signed_by_another_key()
    {
        await OneRelayAsync();
        _files.Keygen("list", "other");
        _files.SignBy(_files.At("other", "list.key"), "oxen", DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1), "relay");
        await RefusedAsync("relay", 4, "OXN4004", "its signature is not by the key that it must be signed with", "Compare `contacts_key`");
    }

    [Fact]
    public async Task A_list_that_has_expired()
    {
        await OneRelayAsync();
        _files.SignBy(_files.At("list.key"), "oxen", DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(-1), "relay");
        await RefusedAsync("relay", 4, "OXN4004", "it has expired", "Fetch a new list");
    }

    [Fact]
    public async Task A_list_of_another_network()
    {
        await OneRelayAsync();
        _files.SignBy(_files.At("list.key"), "elsewhere", DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(1), "relay");
        await RefusedAsync("relay", 4, "OXN4004", "it belongs to another network", "oxen contacts show");
    }

    [Fact]
    public async Task A_damaged_list()
    {
        await OneRelayAsync();
        byte[] data = await File.ReadAllBytesAsync(_files.ContactsFile, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(_files.ContactsFile, data[..50], TestContext.Current.CancellationToken);
        await RefusedAsync("relay", 4, "OXN4004", "cut short", "contacts show");
    }

    [Fact]
    public async Task A_relay_that_is_not_on_the_list()
    {
        await OneRelayAsync();
        string id = _files.AddRelay("stranger", 32);
        await RefusedAsync("stranger", 4, "OXN4005", $"not on the contact list (its id is {id})", "`oxen contact`");
    }

    [Fact]
    public async Task A_relay_that_moved()
    {
        await OneRelayAsync();
        string file = _files.ConfigFile("relay");
        string before = _files.Config("relay").Listen.ToString();
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Replace(before, "127.31.0.2:1090", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        await RefusedAsync("relay", 4, "OXN4005", $"is at {before}, the configuration says 127.31.0.2:1090", "`address`");
    }

    [Fact]
    public async Task A_relay_with_another_onion_key_than_published()
    {
        await OneRelayAsync();
        File.Delete(_files.At("relay", "onion.key"));
        Daemon.Keys.OnionKeyFile.Create(_files.At("relay"));
        await RefusedAsync("relay", 4, "OXN4005", "another onion key", "Restore the key file");
    }

    [Fact]
    public async Task A_relay_that_says_it_is_an_exit_and_is_published_as_none()
    {
        await OneRelayAsync();
        string file = _files.ConfigFile("relay");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Replace("[\"relay\"]", "[\"relay\", \"exit\"]", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        await RefusedAsync("relay", 4, "OXN4005", "is no exit", "`roles`");
    }

    [Fact]
    public async Task A_status_socket_that_cannot_be_made()
    {
        await OneRelayAsync();
        _files.Configure("odd", $"roles = [\"client\"]\nstatus = \"{_files.At("nowhere", "x.sock")}\"", "[client]\nsocks = \"127.0.0.1:0\"\nhttp = \"off\"\n");
        await RefusedAsync("odd", 3, "OXN3004", "the status socket", "`status`");
    }
}
