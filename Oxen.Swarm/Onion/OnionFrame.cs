using System.Buffers.Binary;
using Oxen.Swarm.Wire;

namespace Oxen.Swarm.Onion;

//  0             4           4+N
//  +-------------+-----------+----------------+
//  | N           | blob (N)  | JSON           |     N little-endian
//  +-------------+-----------+----------------+

/// <summary>The frame of an onion request, before and after each decryption.</summary>
/// <param name="Blob">Ciphertext, or the request itself at the last hop.</param>
/// <param name="Json">What to do with it.</param>
internal sealed record OnionFrame(ReadOnlyMemory<byte> Blob, WireMap Json)
{
    /// <summary>Reads a frame; else a text that says what is wrong.</summary>
    public static (OnionFrame? Frame, string? Fault) Read(ReadOnlyMemory<byte> bytes)
    {
        if (bytes.Length < 4) return (null, "payload too short");
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span);
        if (size > (uint)(bytes.Length - 4)) return (null, "unexpected end of ciphertext");
        return JsonWire.TryRead(bytes[(4 + (int)size)..], out object? value) && value is WireMap map
            ? (new OnionFrame(bytes.Slice(4, (int)size), map), null) : (null, "invalid json");
    }

    public static byte[] Write(ReadOnlySpan<byte> blob, WireMap json)
    {
        byte[] length = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(length, (uint)blob.Length);
        return [.. length, .. blob, .. JsonWire.Write(json)];
    }
}

/// <summary>What a decrypted layer asks for.</summary>
internal abstract record OnionStep
{
    /// <summary>A request for this node's own API. `Json`: the result as JSON inside JSON; `Base64`: the reply as text.</summary>
    public sealed record Final(ReadOnlyMemory<byte> Body, bool Json, bool Base64) : OnionStep;

    /// <summary>To a server outside, the whole frame unchanged.</summary>
    public sealed record Server(string Host, string Target, string Protocol, int Port) : OnionStep;

    /// <summary>To another node.</summary>
    public sealed record Relay(byte[] Destination, byte[] EphemeralKey, string EncType, ReadOnlyMemory<byte> Blob) : OnionStep;

    /// <summary>Null if the layer makes no sense.</summary>
    public static OnionStep? Read(OnionFrame frame)
    {
        WireMap json = frame.Json;
        if (json.ContainsKey("headers")) return new Final(frame.Blob, json.GetValueOrDefault("json") is true, json.GetValueOrDefault("base64") is not false);
        if (json.GetValueOrDefault("host") is string host)
        {
            string protocol = json.GetValueOrDefault("protocol") as string ?? "https";
            long port = json.GetValueOrDefault("port") is long p ? p : 443;
            return json.GetValueOrDefault("target") is string target && port is > 0 and < 65536 && protocol is "http" or "https" ? new Server(host, target, protocol, (int)port) : null;
        }

        if (json.GetValueOrDefault("destination") is not string destination || json.GetValueOrDefault("ephemeral_key") is not string key) return null;
        return TryHex(destination, out byte[] node) && TryHex(key, out byte[] ephemeral) ? new Relay(node, ephemeral, json.GetValueOrDefault("enc_type") as string ?? "aes-gcm", frame.Blob) : null;
    }

    /// <summary>Targets that a proxy may reach: the onion doors of servers, and nothing else on them.</summary>
    public static bool IsTargetAllowed(string target) =>
        (target.StartsWith("/loki/", StringComparison.Ordinal) || target.StartsWith("/oxen/", StringComparison.Ordinal))
        && target.EndsWith("/lsrpc", StringComparison.Ordinal) && !target.AsSpan().ContainsAny("?#\\ ") && !target.Contains("..", StringComparison.Ordinal)
        && target.All(c => c is > ' ' and < (char)127);

    private static bool TryHex(string text, out byte[] bytes)
    {
        bytes = new byte[32];
        return text.Length == 64 && Convert.FromHexString(text, bytes, out _, out _) == System.Buffers.OperationStatus.Done;
    }
}
