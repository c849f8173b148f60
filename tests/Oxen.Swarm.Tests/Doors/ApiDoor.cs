using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Oxen.Swarm.Api;
using Oxen.Swarm.Tests.Client;
using Oxen.Swarm.Tests.Cluster;

namespace Oxen.Swarm.Tests.Doors;

/// <summary>One way for a client's request to a node, and the answer's way back.</summary>
internal abstract class ApiDoor(TestSwarm swarm) : IAsyncDisposable
{
    protected TestSwarm Swarm => swarm;

    /// <summary>Bytes are raw here, so nothing can be badly encoded text.</summary>
    public virtual bool IsBt => false;

    /// <summary>What an unknown method is answered with.</summary>
    public virtual int UnknownMethod => 400;

    /// <summary>The longest retrieval that fits through.</summary>
    public virtual long MaxRetrieve => long.MaxValue;

    public static ApiDoor Open(string name, TestSwarm swarm) => name switch
    {
        "memory" => new MemoryDoor(swarm),
        "https" => new HttpsWay(swarm),
        "quic" => new QuicWay(swarm, bt: false),
        "quic bt" => new QuicWay(swarm, bt: true),
        "router" => new RouterWay(swarm),
        "onion by quic" => new OnionWay(swarm, "xchacha20", byQuic: true),
        _ => new OnionWay(swarm, name, byQuic: false),
    };

    public abstract Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;

    protected static byte[] Call(string method, JsonObject parameters) => Encoding.UTF8.GetBytes(MiniRequests.Call(method, (JsonObject)parameters.DeepClone()).ToJsonString());

    protected static (int Status, JsonNode? Json, string Text) Read(int status, string text) => (status, text.StartsWith('{') ? JsonNode.Parse(text) : null, text);

    private sealed class MemoryDoor(TestSwarm swarm) : ApiDoor(swarm)
    {
        public override Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters) => Swarm.AskAsync(node, method, parameters);
    }

    /// <summary>What the router hands to the plug-in.</summary>
    private sealed class RouterWay(TestSwarm swarm) : ApiDoor(swarm)
    {
        public override long MaxRetrieve => 900_000;

        public override async Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters)
        {
            ApiResult result = await SwarmPlugin.AnswerAsync(Swarm[node], Call(method, parameters), CancellationToken.None);
            byte[] bytes = result.ToBytes(bt: false);
            Assert.True(bytes.Length < 1 << 20, $"{bytes.Length} bytes do not go through the router");
            return Read(result.Status, Encoding.UTF8.GetString(bytes));
        }
    }

    private class HttpsWay(TestSwarm swarm) : ApiDoor(swarm)
    {
        private readonly HttpClient _http = new(Oxen.Swarm.Peers.HttpsPeerTransport.CreateHandler());

        public override async Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters)
        {
            (int status, byte[] body) = await PostAsync(node, "/storage_rpc/v1", Call(method, parameters));
            return Read(status, Encoding.UTF8.GetString(body));
        }

        public override ValueTask DisposeAsync()
        {
            _http.Dispose();
            return base.DisposeAsync();
        }

        protected async Task<(int Status, byte[] Body)> PostAsync(int node, string path, byte[] body)
        {
            using var content = new ByteArrayContent(body);
            using HttpResponseMessage reply = await _http.PostAsync(new Uri(string.Create(CultureInfo.InvariantCulture, $"https://127.0.0.1:{Swarm[node].HttpsPort}{path}")), content);
            return ((int)reply.StatusCode, await reply.Content.ReadAsByteArrayAsync());
        }
    }

    private sealed class QuicWay(TestSwarm swarm, bool bt) : ApiDoor(swarm)
    {
        private readonly Dictionary<int, MiniQuic> _clients = [];

        public override bool IsBt => bt;

        public override int UnknownMethod => 404;

        public override async Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters)
        {
            (char kind, byte[] answer) = await AskBytesAsync(node, method, bt ? MiniBt.Write(parameters) : Encoding.UTF8.GetBytes(parameters.ToJsonString()));
            string text = Encoding.UTF8.GetString(answer);
            if (kind == 'E')
            {
                int words = answer.AsSpan().IndexOf("\n\n"u8) + 2, status = int.Parse(text.AsSpan(0, 3), CultureInfo.InvariantCulture);
                bool dictionary = bt && answer.Length > words + 1 && answer[words] == 'd' && char.IsAsciiDigit((char)answer[words + 1]);
                return dictionary ? (status, MiniBt.Read(answer[words..]), "") : Read(status, Encoding.UTF8.GetString(answer[words..]));
            }

            JsonArray pair = (bt ? MiniBt.Read(answer) : JsonNode.Parse(text)!).AsArray();
            return ((int)pair[0]!, pair[1], text);
        }

        public override async ValueTask DisposeAsync()
        {
            foreach (MiniQuic client in _clients.Values) await client.DisposeAsync();
            await base.DisposeAsync();
        }

        public async Task<(char Kind, byte[] Body)> AskBytesAsync(int node, string endpoint, byte[] body)
        {
            if (!_clients.TryGetValue(node, out MiniQuic? client)) _clients[node] = client = await MiniQuic.ConnectAsync(Swarm, node);
            return await client.AskBytesAsync(endpoint, body);
        }
    }

    /// <summary>Through two relays to the node.</summary>
    private sealed class OnionWay(TestSwarm swarm, string cipher, bool byQuic) : HttpsWay(swarm)
    {
        private readonly QuicWay _quic = new(swarm, bt: false);

        // The encrypted answer is base64, and has to fit into a message of the QUIC door.
        public override long MaxRetrieve => byQuic ? 6_000_000 : long.MaxValue;

        public override async Task<(int Status, JsonNode? Json, string Text)> AskAsync(int node, string method, JsonObject parameters)
        {
            int[] path = [(node + 1) % Swarm.Entries.Count, (node + 2) % Swarm.Entries.Count, node];
            var onion = new MiniOnion(cipher);
            byte[] request = onion.Build(Call(method, parameters), [.. path.Select(i => Swarm.Entries[i].Identity.Ed25519.ToArray())], [.. path.Select(i => Swarm.Entries[i].Identity.X25519.ToArray())]);
            byte[] answer;
            if (byQuic)
            {
                (char kind, answer) = await _quic.AskBytesAsync(path[0], "onion_req", request);
                Assert.Equal('R', kind);
            }
            else
            {
                (int status, answer) = await PostAsync(path[0], "/onion_req/v2", request);
                Assert.Equal(200, status);
            }

            JsonNode reply = JsonNode.Parse(onion.Open(answer))!;
            return Read((int)reply["status"]!, (string)reply["body"]!);
        }

        public override async ValueTask DisposeAsync()
        {
            await _quic.DisposeAsync();
            await base.DisposeAsync();
        }
    }
}
