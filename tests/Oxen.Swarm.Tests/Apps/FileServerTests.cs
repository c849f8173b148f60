using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Apps;
using Oxen.Swarm.Onion;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Apps;

public sealed class FileServerTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("oxen-files-").FullName;
    private readonly SkewedClock _clock = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // Python's hashlib.blake2b(data, digest_size, salt, person).
    [Fact]
    public void Blake2b_with_salt_and_personalisation_gives_known_answers()
    {
        Assert.Equal("3d48ef8dbaf20ed6be790adcacd3530b48039c4dcbd06b3a148a7a25fabddcef4c", Hex("abc"u8, 33, "SessionFileSvr"u8, []));
        Assert.Equal("a48fe1b040c6e3244eadf168791e9db7043b4b295de12707aeec0b25ee11df5d", Hex(Enumerable.Range(0, 200).Select(i => (byte)i).ToArray(), 32, [], "ProProof________"u8));
        Assert.Equal("0ff16b2a1f099bae3737baae7dd6021c02de469b563c7db097e0acef06037287164dd559c9cfa121b8d023d41c1b914e6b6f0d92ad9972e1e9ff897c486d7dc4", Hex([], 64, "s"u8, "p"u8));
        Assert.Equal("794f575ca20fc5d142b63be1793dc22041c92d35bd77bad0b78551abba9f6fcd", Hex(new byte[128], 32, [], "xxxxxxxxxxxxxxxx"u8));
        for (int length = 0; length < 300; length++)
        {
            byte[] data = new byte[length];
            new Random(length).NextBytes(data);
            Assert.Equal(NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(data), Blake2bParameters.Hash(data, 32, [], []));
        }

        static string Hex(ReadOnlySpan<byte> data, int bytes, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> person) => Convert.ToHexStringLower(Blake2bParameters.Hash(data, bytes, salt, person));
    }

    [Fact]
    public async Task A_file_is_uploaded_once_downloaded_described_prolonged_and_forgotten()
    {
        FileServer server = Server();
        byte[] data = [1, 2, 3, 4];
        JsonNode uploaded = await Json(server, "POST", "/file", data, ("X-FS-TTL", "3600"));
        string id = (string)uploaded["id"]!;
        Assert.Equal(44, id.Length);
        Assert.Equal(4, (int)uploaded["size"]!);
        Assert.Equal(id, (string?)(await Json(server, "POST", "/file", data))["id"]);
        Assert.Equal(1, server.Count);
        ServerReply reply = (await server.HandleAsync(Request("GET", "/file/" + id, [])))!;
        Assert.Equal((200, data.Length), (reply.Status, reply.Body.Length));
        Assert.Equal(data, reply.Body);
        double expires = (double)(await Json(server, "GET", $"/file/{id}/info", []))["expires"]!;
        Assert.Equal(expires, (double)(await Json(server, "POST", $"/file/{id}/extend", [], ("X-FS-TTL", "60")))["expires"]!); // never shorter
        Assert.True((double)(await Json(server, "POST", $"/file/{id}/extend", [], ("X-FS-TTL", "2592000")))["expires"]! > expires);
        Assert.Equal(data, (await Server().HandleAsync(Request("GET", "/file/" + id, [])))!.Body); // after a restart
        _clock.Skew = TimeSpan.FromDays(31);
        Assert.Equal(404, (await server.HandleAsync(Request("GET", "/file/" + id, [])))!.Status);
        Assert.Equal(1, server.Clean());
        Assert.Empty(Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task Files_have_a_limit_and_so_have_all_of_them_together()
    {
        FileServer server = Server(o => o with { MaxBytes = 100, MaxTotalBytes = 250 });
        Assert.Equal(413, (await server.HandleAsync(Request("POST", "/file", new byte[101])))!.Status);
        Assert.Equal(400, (await server.HandleAsync(Request("POST", "/file", [])))!.Status);
        Assert.Equal(200, (await server.HandleAsync(Request("POST", "/file", [1, .. new byte[99]])))!.Status);
        Assert.Equal(200, (await server.HandleAsync(Request("POST", "/file", [2, .. new byte[99]])))!.Status);
        Assert.Equal(507, (await server.HandleAsync(Request("POST", "/file", [3, .. new byte[99]])))!.Status);
        Assert.Equal(404, (await server.HandleAsync(Request("GET", "/file/../../etc/passwd", [])))!.Status);
        Assert.Equal(404, (await server.HandleAsync(Request("GET", "/file/..%2f..%2fetc", [])))!.Status);
        Assert.Null(await server.HandleAsync(Request("GET", "/rooms", [])));
    }

    [Fact]
    public async Task A_valid_proof_pays_for_larger_files_and_no_other_does()
    {
        using var backend = new MiniAccount(Enumerable.Repeat((byte)0xCD, 32).ToArray(), 0);
        Assert.Equal("fc947730f49eb01427a66e050733294d9e520e545c7a27125a780634e0860a27", backend.Ed25519Hex); // vectors, section 10
        using MiniAccount holder = MiniAccount.Random(0);
        var proofs = new ProProof(backend.Ed25519);
        FileServer server = Server(o => o with { MaxBytes = 100, MaxProBytes = 200 }, proofs);
        byte[] file = new byte[150];
        long soon = TestSwarm.Now + 60_000;
        byte[] good = Proof(backend, holder, soon, 1);
        Assert.Equal(413, await Upload(good, MiniAccount.Random(0)));
        Assert.Equal(413, await Upload(Proof(backend, holder, TestSwarm.Now - 1, 1), holder));
        Assert.Equal(413, await Upload(Proof(holder, holder, soon, 1), holder));
        Assert.Equal(413, await Upload(good[..^1], holder));
        Assert.Equal(200, await Upload(good, holder));
        Assert.True(proofs.Update(1, [(Enumerable.Repeat((byte)1, 32).ToArray(), TestSwarm.Now - 1000)]));
        Assert.False(proofs.Update(1, []));
        Assert.Equal(ProFault.Revoked, proofs.Check(good, TestSwarm.Now));
        Assert.Equal(ProFault.None, proofs.Check(Proof(backend, holder, soon, 2), TestSwarm.Now));

        async Task<int> Upload(byte[] proof, MiniAccount signer)
        {
            byte[] hash = NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(file);
            ServerRequest request = Request("POST", "/file", file, ("X-FS-Pro-Proof", Convert.ToBase64String(proof)), ("X-FS-Pro-Signature", Convert.ToBase64String(signer.Sign(hash))));
            return (await server.HandleAsync(request))!.Status;
        }
    }

    // Twelve million bytes: more than everybody may, to the door itself; the list of revocations is a file.
    [Fact]
    public async Task Holders_of_a_proof_bring_larger_files_to_the_door_until_it_is_revoked()
    {
        using var backend = new MiniAccount(Enumerable.Repeat((byte)0xCD, 32).ToArray(), 0);
        await using TestSwarm swarm = await TestSwarm.StartAsync(1, doors: true, files: true, proKey: backend.Ed25519);
        Assert.Contains("does not exist", swarm[0].Trouble, StringComparison.Ordinal);
        Assert.True(swarm[0].IsSound);
        await File.WriteAllTextAsync(swarm.RevocationsFile, """{"status":0,"result":{"ticket":1,"items":[]}}""", TestContext.Current.CancellationToken);
        Assert.True(swarm[0].Revocations!.Look());
        Assert.Equal("", swarm[0].Trouble);
        using MiniAccount holder = MiniAccount.Random(0);
        using var http = new HttpClient(Oxen.Swarm.Peers.HttpsPeerTransport.CreateHandler());
        byte[] file = new byte[12_000_000];
        new Random(4).NextBytes(file);
        string proof = Convert.ToBase64String(Proof(backend, holder, TestSwarm.Now + 600_000, 3)), signature = Convert.ToBase64String(holder.Sign(NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(file)));
        string withProof = $$$"""{"method":"POST","endpoint":"/file","headers":{"X-FS-Pro-Proof":"{{{proof}}}","X-FS-Pro-Signature":"{{{signature}}}"}}""";
        Assert.Contains("\"code\":413", await V4Async("""{"method":"POST","endpoint":"/file","headers":{}}"""), StringComparison.Ordinal);
        string uploaded = await V4Async(withProof);
        Assert.Contains("\"code\":200", uploaded, StringComparison.Ordinal);
        Assert.Contains("\"size\":12000000", uploaded, StringComparison.Ordinal);

        await File.WriteAllTextAsync(swarm.RevocationsFile, "nonsense", TestContext.Current.CancellationToken);
        Assert.False(swarm[0].Revocations!.Look());
        Assert.Contains("is no answer to get_pro_revocations", swarm[0].Trouble, StringComparison.Ordinal);
        await File.WriteAllTextAsync(swarm.RevocationsFile, $$$"""{"ticket":2,"items":[{"gen_index_hash":"{{{string.Concat(Enumerable.Repeat("03", 32))}}}","expiry_unix_ts_ms":1}]}""", TestContext.Current.CancellationToken);
        File.SetLastWriteTimeUtc(swarm.RevocationsFile, DateTime.UtcNow.AddMinutes(1));
        Assert.True(swarm[0].Revocations!.Look());
        file[0] ^= 1;
        Assert.Contains("\"code\":413", await V4Async(withProof.Replace(signature, Convert.ToBase64String(holder.Sign(NSec.Cryptography.HashAlgorithm.Blake2b_256.Hash(file))), StringComparison.Ordinal)), StringComparison.Ordinal);

        async Task<string> V4Async(string head)
        {
            var onion = new MiniOnion("xchacha20");
            byte[] payload = [.. Encoding.ASCII.GetBytes($"l{head.Length}:{head}{file.Length}:"), .. file, (byte)'e'];
            byte[] request = onion.BuildForServer(payload, swarm.Entries[0].Identity.X25519.ToArray(), "", [], []);
            using var content = new ByteArrayContent(request);
            using HttpResponseMessage reply = await http.PostAsync(new Uri($"https://127.0.0.1:{swarm[0].HttpsPort}/oxen/v4/lsrpc"), content, TestContext.Current.CancellationToken);
            Assert.Equal(System.Net.HttpStatusCode.OK, reply.StatusCode);
            return Encoding.UTF8.GetString(onion.OpenBytes(await reply.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)));
        }
    }

    private static byte[] Proof(MiniAccount backend, MiniAccount holder, long expiry, byte generation)
    {
        byte[] time = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(time, (ulong)expiry);
        byte[] body = [0, .. Enumerable.Repeat(generation, 32), .. holder.Ed25519, .. time];
        return [.. body, .. backend.Sign(Blake2bParameters.Hash(body, 32, [], "ProProof________"u8))];
    }

    private static ServerRequest Request(string method, string endpoint, byte[] body, params (string Name, string Value)[] headers) =>
        new(method, endpoint, headers.ToDictionary(h => h.Name, h => h.Value, StringComparer.OrdinalIgnoreCase), body);

    private static async Task<JsonNode> Json(FileServer server, string method, string endpoint, byte[] body, params (string Name, string Value)[] headers)
    {
        ServerReply reply = (await server.HandleAsync(Request(method, endpoint, body, headers)))!;
        string text = Encoding.UTF8.GetString(reply.Body);
        Assert.True(reply.Status == 200, $"{method} {endpoint}: {reply.Status} {text}");
        return JsonNode.Parse(text)!;
    }

    private FileServer Server(Func<FileServerOptions, FileServerOptions>? change = null, ProProof? pro = null)
    {
        var options = new FileServerOptions { Folder = _folder };
        return new FileServer(change?.Invoke(options) ?? options, pro, _clock);
    }
}
