using System.Net;
using System.Text;
using Oxen.Swarm.Api;
using Oxen.Swarm.Duties;
using Oxen.Swarm.Nodes;
using Oxen.Swarm.Replication;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Onion;

// An onion request at one node: open the layer with the node's key, and see what it asks for.
//
//   final    the API's answer, encrypted for the client                     always status 200 outside
//   relay    to the next node as it is; its answer goes back untouched
//   server   the whole frame to a server's onion door; its answer goes back untouched, the server has encrypted it
//
// Texts of errors in clear are those that clients look for: "Next node not found: <key>" makes them drop that node.

/// <summary>Answers and forwards onion requests.</summary>
internal sealed class OnionService(NodeCore core, SwarmApi api, IOnionProxy? proxy, OnionLimits? limits)
{
    public const int MaxHops = 15;
    public const int MaxBytes = 10 * 1024 * 1024;
    private static readonly TimeSpan RelayLimit = TimeSpan.FromSeconds(30);

    /// <summary>A request at the guard: the body of `POST /onion_req/v2`.</summary>
    public async Task<(int Status, byte[] Body)> HandleAsync(ReadOnlyMemory<byte> body, CancellationToken cancel = default)
    {
        (OnionFrame? frame, string? fault) = OnionFrame.Read(body);
        if (frame is null) return Clear(400, "Error parsing onion request: " + fault);
        if (frame.Json.GetValueOrDefault("ephemeral_key") is not string hex || !TryKey(hex, out byte[] key)) return Clear(400, "Error parsing onion request: invalid ephemeral_key");
        string type = frame.Json.GetValueOrDefault("enc_type") as string ?? "aes-gcm";
        long hop = frame.Json.GetValueOrDefault("hop_no") is long h ? Math.Max(0, h) : 0;
        return await HandleHopAsync(new OnionHop(frame.Blob.ToArray(), type, key, (int)Math.Min(hop, 1000)), cancel).ConfigureAwait(false);
    }

    /// <summary>One hop of a request.</summary>
    public async Task<(int Status, byte[] Body)> HandleHopAsync(OnionHop hop, CancellationToken cancel = default)
    {
        core.Counters.CountOnion();
        if (hop.Hop > MaxHops) return Clear(400, "onion request max path length exceeded");
        if (limits?.Take(hop.From) == false) return Clear(429, "Too many requests, try again later");
        if (!ChannelCipher.TryParse(hop.EncType, out EncryptType type)) return Clear(400, $"Error parsing onion request: invalid encryption type {hop.EncType}");
        using ChannelCipher? cipher = ChannelCipher.ForServer(core.Identity, hop.EphemeralKey, type);
        if (cipher?.Decrypt(hop.Data) is not { } plain) return Clear(400, "Invalid ciphertext");
        (OnionFrame? frame, _) = OnionFrame.Read(plain);
        switch (frame is null ? null : OnionStep.Read(frame))
        {
            case OnionStep.Final final:
                ApiResult result = await api.HandleJsonAsync(final.Body, limits, cancel).ConfigureAwait(false);
                return Reply(cipher, result, final.Json, final.Base64);
            case OnionStep.Relay relay: return await RelayAsync(relay, hop.Hop + 1, cancel).ConfigureAwait(false);
            case OnionStep.Server server when proxy is not null && OnionStep.IsTargetAllowed(server.Target):
                core.Counters.CountProxied();
                return await proxy.PostAsync(server, plain, cancel).ConfigureAwait(false);
            case OnionStep.Server: return Reply(cipher, ApiResult.Error(400, "Invalid url"), false, true);
            default: return Reply(cipher, ApiResult.Error(400, "Invalid json"), false, true);
        }
    }

    // {"status", "body"}: the body is text, JSON as text too unless the client wants it embedded.
    private static (int Status, byte[] Body) Reply(ChannelCipher cipher, ApiResult result, bool json, bool base64)
    {
        object body = result.Body switch
        {
            byte[] bytes => Convert.ToBase64String(bytes),
            WireMap map when !json => Encoding.UTF8.GetString(JsonWire.Write(map)),
            object other => other,
        };
        byte[] box = cipher.Encrypt(JsonWire.Write(new WireMap { ["body"] = body, ["status"] = (long)result.Status }));
        return (200, base64 ? Encoding.ASCII.GetBytes(Convert.ToBase64String(box)) : box);
    }

    private static (int Status, byte[] Body) Clear(int status, string text) => (status, Encoding.UTF8.GetBytes(text));

    private async Task<(int Status, byte[] Body)> RelayAsync(OnionStep.Relay relay, int hop, CancellationToken cancel)
    {
        string hex = Convert.ToHexStringLower(relay.Destination);
        if (core.View.Find(relay.Destination) is not { } next) return Clear(502, $"Next node not found: {hex}");
        if (next.Address is null || next.HttpsPort == 0) return Clear(502, $"Next node is currently unreachable: {hex}");
        if (hop > MaxHops) return Clear(400, "onion request max path length exceeded");
        if (next.Hex == core.Hex) return await HandleHopAsync(new OnionHop(relay.Blob.ToArray(), relay.EncType, relay.EphemeralKey, hop, core.Hex), cancel).ConfigureAwait(false);
        var message = new WireMap { ["d"] = relay.Blob, ["h"] = (long)hop, ["k"] = "onion", ["x"] = relay.EphemeralKey, ["y"] = relay.EncType };
        long begun = core.Clock.Provider.GetTimestamp();
        byte[]? reply = await core.Transport.CallAsync(next, BtEncoding.Write(new List<object> { message }), RelayLimit, cancel).ConfigureAwait(false);
        if (reply is null) return core.Clock.Provider.GetElapsedTime(begun) >= RelayLimit ? Clear(504, "Request time out") : Clear(502, $"Next node is currently unreachable: {hex}");
        return BtEncoding.TryRead(reply, out object? value) && value is List<object> { Count: 1 } list && list[0] is WireMap map
            && map.GetValueOrDefault("c") is long status and >= 100 and <= 599 && map.GetValueOrDefault("d") is byte[] body
            ? ((int)status, body) : Clear(500, "Invalid response from snode");
    }

    private static bool TryKey(string hex, out byte[] key)
    {
        key = new byte[32];
        return hex.Length == 64 && Convert.FromHexString(hex, key, out _, out _) == System.Buffers.OperationStatus.Done;
    }
}

/// <summary>Posts to a server outside for a client that stays unknown to it.</summary>
internal interface IOnionProxy
{
    Task<(int Status, byte[] Body)> PostAsync(OnionStep.Server server, byte[] body, CancellationToken cancel);
}

/// <summary>The proxy over HTTP and HTTPS. Hosts must be public addresses unless a list of hosts allows them.</summary>
internal sealed class HttpOnionProxy : IOnionProxy, IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(25);
    private readonly IReadOnlySet<string>? _hosts;
    private readonly HttpClient _http;

    /// <param name="hosts">The only hosts that may be reached; null: every host with public addresses.</param>
    /// <param name="trustAnyCertificate">For servers with certificates of their own making; what they answer is encrypted for the client anyway.</param>
    public HttpOnionProxy(IReadOnlySet<string>? hosts, bool trustAnyCertificate)
    {
        _hosts = hosts;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseProxy = false, UseCookies = false, ConnectTimeout = TimeSpan.FromSeconds(10),
            ConnectCallback = ConnectAsync,
        };
#pragma warning disable CA5359 // asked for by the caller; what such a server answers is encrypted for the client
        if (trustAnyCertificate) handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
#pragma warning restore CA5359
        _http = new HttpClient(handler) { Timeout = Limit, MaxResponseContentBufferSize = OnionService.MaxBytes };
    }

    public async Task<(int Status, byte[] Body)> PostAsync(OnionStep.Server server, byte[] body, CancellationToken cancel)
    {
        if (_hosts?.Contains(server.Host) == false) return (502, "Host is not allowed"u8.ToArray());
        if (Uri.CheckHostName(server.Host) == UriHostNameType.Unknown) return (502, "Couldn't resolve host name"u8.ToArray());
        try
        {
            using var content = new ByteArrayContent(body);
            using HttpResponseMessage response = await _http.PostAsync(new UriBuilder(server.Protocol, server.Host, server.Port, server.Target).Uri, content, cancel).ConfigureAwait(false);
            return ((int)response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            return (504, "Timeout was reached"u8.ToArray());
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UriFormatException)
        {
            return (502, "Couldn't connect to server"u8.ToArray());
        }
    }

    public void Dispose() => _http.Dispose();

    // Resolve here and judge the addresses, so that a name cannot lead into the node's own network.
    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        IPAddress[] addresses = await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancel).ConfigureAwait(false);
        if (_hosts is null) addresses = [.. addresses.Where(IsPublic)];
        if (addresses.Length == 0) throw new HttpRequestException("no public address");
        var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancel).ConfigureAwait(false);
            return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Not loopback, private, link-local, carrier-grade, multicast, documentation or reserved.</summary>
    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        byte[] b = address.GetAddressBytes();
        if (b.Length == 4)
        {
            return !(b[0] is 0 or 10 or 127 or >= 224 || (b[0] == 100 && (b[1] & 0xC0) == 64) || (b[0] == 169 && b[1] == 254) || (b[0] == 172 && (b[1] & 0xF0) == 16)
                || (b[0] == 192 && (b[1] == 168 || (b[1] == 0 && b[2] is 0 or 2) || (b[1] == 88 && b[2] == 99))) || (b[0] == 198 && (b[1] is 18 or 19 || (b[1] == 51 && b[2] == 100))) || (b[0] == 203 && b[1] == 0 && b[2] == 113));
        }

        // Global unicast without documentation, 6to4 and Teredo, which can wrap private addresses.
        return (b[0] & 0xE0) == 0x20 && !(b[0] == 0x20 && b[1] == 0x01 && ((b[2] == 0x0D && b[3] == 0xB8) || (b[2] == 0 && b[3] == 0))) && !(b[0] == 0x20 && b[1] == 0x02);
    }
}
