using System.Globalization;
using System.Text;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Onion;

/// <summary>A request to a server's own application, as it arrived inside an onion request.</summary>
internal sealed record ServerRequest(string Method, string Endpoint, IReadOnlyDictionary<string, string> Headers, byte[] Body);

/// <summary>The application's answer.</summary>
internal sealed record ServerReply(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public static ServerReply Json(int status, WireMap map) => new(status, new Dictionary<string, string> { ["content-type"] = "application/json" }, JsonWire.Write(map));

    public static ServerReply Code(int status) => Json(status, new WireMap { ["status_code"] = (long)status });
}

// The server's end of onion requests. The body of POST /oxen/v4/lsrpc (or v3) is the frame that the last node sent on:
//
//   frame   blob = ciphertext for the server, JSON with ephemeral_key and enc_type
//   v4      l<len>:{"method","endpoint","headers"}[<len>:<body>]e     ->     l<len>:{"code","headers"}<len>:<body>e      binary
//   v3      {"endpoint","method","body","headers"}                    ->     the raw body, base64; errors {"status_code":N}

/// <summary>Opens requests, lets an application answer, seals the answers.</summary>
internal sealed class ServerOnion(SwarmIdentity identity, Func<ServerRequest, Task<ServerReply>> application)
{
    /// <summary>`version` is 3 or 4. Status and body of the HTTP response.</summary>
    public async Task<(int Status, byte[] Body)> HandleAsync(ReadOnlyMemory<byte> body, int version)
    {
        (OnionFrame? frame, _) = OnionFrame.Read(body);
        if (frame?.Json.GetValueOrDefault("ephemeral_key") is not string { Length: 64 } hex) return (400, "Invalid onion request"u8.ToArray());
        byte[] key = new byte[32];
        if (Convert.FromHexString(hex, key, out _, out _) != System.Buffers.OperationStatus.Done || !ChannelCipher.TryParse(frame.Json.GetValueOrDefault("enc_type") as string ?? "aes-gcm", out EncryptType type))
            return (400, "Invalid onion request"u8.ToArray());
        using ChannelCipher? cipher = ChannelCipher.ForServer(identity, key, type);
        if (cipher?.Decrypt(frame.Blob.Span) is not { } plain) return (400, "Invalid ciphertext"u8.ToArray());
        if (version == 4)
        {
            ServerReply reply = ReadV4(plain) is { } request ? await application(request).ConfigureAwait(false) : new ServerReply(400, new Dictionary<string, string>(), "Invalid v4 onion request"u8.ToArray());
            return (200, cipher.Encrypt(WriteV4(reply)));
        }

        byte[] answer;
        if (ReadV3(plain) is { } old)
        {
            ServerReply reply = await application(old).ConfigureAwait(false);
            answer = reply.Status == 200 ? reply.Body : JsonWire.Write(new WireMap { ["status_code"] = (long)reply.Status });
        }
        else
        {
            answer = JsonWire.Write(new WireMap { ["status_code"] = 400L });
        }

        return (200, Encoding.ASCII.GetBytes(Convert.ToBase64String(cipher.Encrypt(answer))));
    }

    /// <summary>Null if the bytes are no v4 request.</summary>
    public static ServerRequest? ReadV4(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 2 || bytes[0] != 'l' || bytes[^1] != 'e') return null;
        int at = 1;
        ReadOnlySpan<byte> inner = bytes[..^1];
        if (!BtEncoding.TryReadString(inner, ref at, out Range json)) return null;
        byte[] body = [];
        if (at < inner.Length)
        {
            if (!BtEncoding.TryReadString(inner, ref at, out Range content) || at != inner.Length) return null;
            body = inner[content].ToArray();
        }

        if (!JsonWire.TryRead(inner[json].ToArray(), out object? value) || value is not WireMap map) return null;
        return map.GetValueOrDefault("method") is string method && map.GetValueOrDefault("endpoint") is string endpoint ? new ServerRequest(method, endpoint, Headers(map), body) : null;
    }

    public static byte[] WriteV4(ServerReply reply)
    {
        var headers = new WireMap();
        foreach ((string name, string value) in reply.Headers)
        {
            if (!name.Equals("content-length", StringComparison.OrdinalIgnoreCase)) headers[name.ToLowerInvariant()] = value;
        }

        byte[] head = JsonWire.Write(new WireMap { ["code"] = (long)reply.Status, ["headers"] = headers });
        return [(byte)'l', .. Prefix(head.Length), .. head, .. Prefix(reply.Body.Length), .. reply.Body, (byte)'e'];
    }

    private static byte[] Prefix(int length) => Encoding.ASCII.GetBytes(length.ToString(CultureInfo.InvariantCulture) + ":");

    private static ServerRequest? ReadV3(byte[] bytes)
    {
        if (!JsonWire.TryRead(bytes, out object? value) || value is not WireMap map) return null;
        if (map.GetValueOrDefault("endpoint") is not string endpoint || map.GetValueOrDefault("method") is not string method) return null;
        // Bare names of the oldest clients.
        if (!endpoint.StartsWith('/')) endpoint = "/legacy/" + endpoint;
        byte[] body = map.GetValueOrDefault("body") switch
        {
            string text => Encoding.UTF8.GetBytes(text),
            WireMap or List<object> => JsonWire.Write(map["body"]),
            _ => [],
        };
        return new ServerRequest(method, endpoint, Headers(map), body);
    }

    private static Dictionary<string, string> Headers(WireMap map) =>
        map.GetValueOrDefault("headers") is WireMap headers
            ? headers.Where(h => h.Value is string or long).GroupBy(h => h.Key, StringComparer.OrdinalIgnoreCase).ToDictionary(h => h.Key, h => $"{h.First().Value}", StringComparer.OrdinalIgnoreCase)
            : new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}
