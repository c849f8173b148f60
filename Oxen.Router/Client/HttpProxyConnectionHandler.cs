using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>
/// The HTTP door. `CONNECT host:port` becomes a tunnel; `GET http://host/path` is rewritten to origin form and forwarded,
/// one exchange a connection (both sides are told `Connection: close`). What is refused comes back as a page that says
/// why and what to do. `Proxy-Authorization` isolates like a SOCKS5 user name and password.
/// </summary>
internal sealed class HttpProxyConnectionHandler(IOnionStreams streams, IsolationKeys keys, ProxyDoorOptions options, TimeProvider time, ServiceReach? services = null) : ConnectionHandler
{
    internal const int MaxHeadBytes = 32 * 1024;
    private const int MaxExtraBytes = 64 * 1024;

    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        IDuplexPipe client = ProxyDoor.Transport(connection);
        try
        {
            HttpHead? request;
            HttpRefusal refusal;
            using (var limit = new CancellationTokenSource(options.HandshakeTime, time))
            {
                (byte[]? head, refusal) = await ReadHeadAsync(client.Input, MaxHeadBytes, limit.Token).ConfigureAwait(false);
                if (head is null && refusal.IsNone) return; // closed without a word
                request = null;
                if (head is not null) refusal = HttpHead.TryParseRequest(head, out request);
            }

            if (request is null)
            {
                await RefuseAsync(client, refusal.Status, refusal.Cause, "The program that sent it is at fault; nothing was forwarded.", false).ConfigureAwait(false);
                return;
            }

            await ServeAsync(connection, client, request).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException or ConnectionResetException or InvalidOperationException)
        {
            // The client went away or was too slow.
        }
        finally
        {
            await client.Output.CompleteAsync().ConfigureAwait(false);
            await client.Input.CompleteAsync().ConfigureAwait(false);
        }
    }

    private async Task ServeAsync(ConnectionContext connection, IDuplexPipe client, HttpHead request)
    {
        bool isHead = request.First == "HEAD";
        if (!TryIsolate(request, out IsolationKey isolation))
        {
            await RefuseAsync(client, 407, "this proxy wants a user name and password", "Set them in your program's proxy settings; they stand in the [client] users of the configuration.", isHead).ConfigureAwait(false);
            return;
        }

        bool tunnel = request.First == "CONNECT";
        string path = "", authority = "";
        ProxyDestination target;
        if (tunnel ? !TryAuthority(request.Second, 0, out target) : !TryAbsolute(request.Second, out target, out authority, out path))
        {
            (string cause, string remedy) = Explain(request.Second, tunnel);
            await RefuseAsync(client, 400, cause, remedy, isHead).ConfigureAwait(false);
            return;
        }

        if (tunnel && request.BodyKind != HttpBodyKind.None)
        {
            await RefuseAsync(client, 400, "a CONNECT request has no body", "The program that sent it is at fault.", false).ConfigureAwait(false);
            return;
        }

        ProxyConnection through = await ProxyDoor.ConnectAsync(streams, services, isolation, target, options.ConnectTime, time, CancellationToken.None).ConfigureAwait(false);
        if (through.Stream is null)
        {
            (int status, string cause, string remedy) = Explain(through);
            await RefuseAsync(client, status, cause, remedy, isHead).ConfigureAwait(false);
            return;
        }

        await using (through.Stream.ConfigureAwait(false))
        {
            try
            {
                if (tunnel)
                {
                    await client.Output.WriteAsync("HTTP/1.1 200 Connection established\r\n\r\n"u8.ToArray()).ConfigureAwait(false);
                    await ProxyDoor.JoinAsync(connection, client, through.Stream, CancellationToken.None).ConfigureAwait(false);
                }
                else
                {
                    await ForwardAsync(client, through.Stream, request, authority, path).ConfigureAwait(false);
                }
            }
            catch (Exception e)
            {
                through.Stream.Abort(e);
                throw;
            }
        }
    }

    private static async Task ForwardAsync(IDuplexPipe client, OnionStream stream, HttpHead request, string authority, string path)
    {
        request.RemoveHopFields();
        request.Fields.RemoveAll(f => f.Name.Equals("Host", StringComparison.OrdinalIgnoreCase));
        request.Fields.Insert(0, ("Host", authority)); // RFC 9112 section 3.2.2: the target's, whatever was sent
        request.Fields.Add(("Connection", "close"));
        await stream.Transport.Output.WriteAsync(request.Format(request.First, path, request.Third)).ConfigureAwait(false);

        using var answered = new CancellationTokenSource();
        Task upload = UploadAsync(client.Input, stream, new HttpBody(request.BodyKind, request.BodyBytes), answered.Token);
        try
        {
            await AnswerAsync(client, stream.Transport.Input, request.First == "HEAD").ConfigureAwait(false);
        }
        finally
        {
            await answered.CancelAsync().ConfigureAwait(false);
            await upload.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            stream.Abort();
        }
    }

    private static async Task UploadAsync(PipeReader client, OnionStream stream, HttpBody body, CancellationToken cancel)
    {
        PipeWriter output = stream.Transport.Output;
        long extra = 0;
        try
        {
            while (extra < MaxExtraBytes)
            {
                ReadResult read = await client.ReadAsync(cancel).ConfigureAwait(false);
                foreach (ReadOnlyMemory<byte> part in read.Buffer)
                {
                    int take = body.Take(part.Span);
                    output.Write(part.Span[..take]);
                    extra += part.Length - take;
                }

                bool gone = false;
                if (output.UnflushedBytes > 0 || !output.CanGetUnflushedBytes) gone = (await output.FlushAsync(cancel).ConfigureAwait(false)).IsCompleted;
                client.AdvanceTo(read.Buffer.End);
                if (gone) return; // the server has heard enough; its answer follows
                if (body.IsBroken || (read.IsCompleted && !body.IsDone)) throw new IOException("the request's body is broken");
                if (!read.IsCompleted) continue;
                await output.CompleteAsync().ConfigureAwait(false);
                return;
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            stream.Abort(e);
        }
    }

    private static async Task AnswerAsync(IDuplexPipe client, PipeReader server, bool isHead)
    {
        while (true)
        {
            byte[]? head = null;
            try
            {
                (head, _) = await ReadHeadAsync(server, 2 * MaxHeadBytes, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or InvalidOperationException)
            {
                // Told below, like an answer that is none.
            }

            if (head is null || !HttpHead.TryParseResponse(head, out HttpHead? response, out int status) || status == 101)
            {
                await RefuseAsync(client, 502, "the server's answer is not HTTP, or it ended too early", "Try again; if it stays so, the server is at fault.", isHead).ConfigureAwait(false);
                return;
            }

            response!.RemoveHopFields();
            if (status >= 200) response.Fields.Add(("Connection", "close"));
            await client.Output.WriteAsync(response.Format(response.First, response.Second, response.Third)).ConfigureAwait(false);
            if (status < 200) continue;
            await PipeBridge.PumpAsync(server, client.Output, CancellationToken.None).ConfigureAwait(false);
            return;
        }
    }

    private bool TryIsolate(HttpHead request, out IsolationKey isolation)
    {
        isolation = default;
        string? given = request.Field("Proxy-Authorization");
        if (given is null) return options.Users.Count == 0;
        if (!given.StartsWith("Basic ", StringComparison.OrdinalIgnoreCase)) return false;
        byte[] plain = new byte[given.Length];
        if (!Convert.TryFromBase64String(given[6..].Trim(), plain, out int length)) return false;
        ReadOnlySpan<byte> pair = plain.AsSpan(0, length);
        int colon = pair.IndexOf((byte)':');
        if (colon < 0) return false;
        isolation = keys.Derive(options.Listener, pair[..colon], pair[(colon + 1)..]);
        return options.Accepts(pair[..colon], pair[(colon + 1)..]);
    }

    // RFC 9112 section 3.2.3: host and port; the port may only be left out where the scheme gives one.
    private static bool TryAuthority(ReadOnlySpan<char> authority, ushort defaultPort, out ProxyDestination target)
    {
        target = default;
        int colon = authority.LastIndexOf(':');
        ushort port = defaultPort;
        ReadOnlySpan<char> host = authority;
        if (colon >= 0 && !authority[(colon + 1)..].Contains(']'))
        {
            host = authority[..colon];
            ReadOnlySpan<char> digits = authority[(colon + 1)..];
            if (digits.IsEmpty ? defaultPort == 0 : !ushort.TryParse(digits, System.Globalization.NumberStyles.None, null, out port)) return false;
        }

        if (port == 0 || (host.Contains(':') && host is not ['[', .., ']'])) return false;
        return ProxyDestination.TryFromHost(host, port, out target);
    }

    private static bool TryAbsolute(string uri, out ProxyDestination target, out string authority, out string path)
    {
        target = default;
        authority = "";
        path = "";
        if (!uri.StartsWith("http://", StringComparison.OrdinalIgnoreCase)) return false;
        int end = uri.AsSpan(7).IndexOfAny('/', '?', '#');
        end = end < 0 ? uri.Length : end + 7;
        authority = uri[7..end];
        int fragment = uri.IndexOf('#', end);
        path = fragment < 0 ? uri[end..] : uri[end..fragment];
        if (!path.StartsWith('/')) path = "/" + path;
        return TryAuthority(authority, 80, out target);
    }

    private static (string Cause, string Remedy) Explain(string target, bool tunnel)
    {
        if (tunnel) return ("the target of CONNECT is not `host:port`", "An IPv6 address stands in brackets: [2001:db8::1]:443.");
        if (target.StartsWith('/')) return ("this is a proxy, not a web server", "Set this address as the HTTP proxy of your program; do not open it as a page.");
        if (target.StartsWith("https://", StringComparison.OrdinalIgnoreCase)) return ("https goes through a proxy by CONNECT, not as a request to read", "Set this proxy for https as well; every current program then uses CONNECT.");
        return ("the target is not an http:// address", "Only http:// requests and CONNECT are served.");
    }

    private static (int Status, string Cause, string Remedy) Explain(ProxyConnection through) => through.Unavailable is { } reason
        ? (503, "no connection through the onion network", reason)
        : through.Refusal is { } refusal ? (through.Status switch { ProxyStatus.PolicyRefused => 403, ProxyStatus.TimedOut => 504, ProxyStatus.Limit => 503, _ => 502 }, refusal, "The hidden service itself said so.")
        : through.Status switch
        {
            ProxyStatus.NotAdmitted => (403, "the exit serves only who shows a token", "Ask its operator for one, and set `token` in [[client.exits]]."),
            ProxyStatus.PolicyRefused => (403, "the exit's policy refuses this destination", "Private and local addresses are never reached through an exit; for other ports choose an exit that allows them."),
            ProxyStatus.NameNotResolved => (502, "the exit could not resolve the name", "Check the spelling of the name."),
            ProxyStatus.ConnectionRefused => (502, "the destination refused the connection", "Nothing listens on that port; check it, or try later."),
            ProxyStatus.NetworkUnreachable => (502, "the exit cannot reach that network", "It may lack IPv6; try another exit."),
            ProxyStatus.HostUnreachable => (502, "the exit cannot reach that host", "Try later, or another exit."),
            ProxyStatus.TimedOut => (504, "the destination did not answer in time", "Try later, or another exit."),
            ProxyStatus.Limit => (503, "the exit has too many connections open", "Close some, or try again in a moment."),
            _ => (502, "the exit could not connect", "Try again, or another exit."),
        };

    private static async ValueTask RefuseAsync(IDuplexPipe client, int status, string cause, string remedy, bool isHead)
    {
        string reason = status switch
        {
            400 => "Bad Request",
            403 => "Forbidden",
            407 => "Proxy Authentication Required",
            431 => "Request Header Fields Too Large",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "Error",
        };
        string body = $"oxen: {cause}.\n{remedy}\n";
        string challenge = status == 407 ? "Proxy-Authenticate: Basic realm=\"oxen\", charset=\"UTF-8\"\r\n" : "";
        string head = $"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n{challenge}Cache-Control: no-store\r\nConnection: close\r\n\r\n";
        await client.Output.WriteAsync(Encoding.UTF8.GetBytes(isHead ? head : head + body)).ConfigureAwait(false);
    }

    /// <summary>Takes bytes up to and including the empty line, none behind it. Null without a refusal: the stream ended before its first byte.</summary>
    private static async ValueTask<(byte[]? Head, HttpRefusal Refusal)> ReadHeadAsync(PipeReader input, int limit, CancellationToken cancel)
    {
        byte[] head = new byte[1024];
        int have = 0;
        while (true)
        {
            ReadResult read = await input.ReadAsync(cancel).ConfigureAwait(false);
            int take = (int)Math.Min(read.Buffer.Length, limit - have);
            if (have + take > head.Length) Array.Resize(ref head, Math.Min(limit, Math.Max(have + take, head.Length * 2)));
            read.Buffer.Slice(0, take).CopyTo(head.AsSpan(have));

            // Only the new bytes are searched, and the three before them.
            int from = Math.Max(0, have - 3);
            int end = head.AsSpan(from, have + take - from).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
            {
                int length = from + end + 4;
                input.AdvanceTo(read.Buffer.GetPosition(length - have));
                return (head[..length], default);
            }

            have += take;
            input.AdvanceTo(read.Buffer.GetPosition(take));
            if (have == limit) return (null, new HttpRefusal(431, "the head is larger than this proxy takes"));
            if (!read.IsCompleted && !read.IsCanceled) continue;
            return (null, have == 0 ? default : new HttpRefusal(400, "the head ends before its empty line"));
        }
    }
}
