using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Oxen.Router.Core;
using Oxen.Router.Core.Packets;
using Oxen.Router.Core.Wire;

namespace Oxen.Router.Client;

/// <summary>
/// The SOCKS5 door (RFC 1928, RFC 1929). In reading order: greeting, password, request, then CONNECT (joined with a
/// stream through the path) or UDP ASSOCIATE (a <see cref="Socks5UdpRelay"/>). BIND is refused. A name stays a name:
/// it is resolved at the exit. User name and password isolate: another pair, another path.
/// </summary>
internal sealed class Socks5ConnectionHandler(
    IOnionStreams streams, IOnionDatagrams datagrams, IsolationKeys keys, ProxyDoorOptions options, TimeProvider time, SharedDropCounters drops, ServiceReach? services = null) : ConnectionHandler
{
    private static readonly byte[] NotHttp =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nThis is a SOCKS5 proxy, not an HTTP proxy. Set it as SOCKS5 in your program, or use the HTTP proxy's address instead.\n"u8.ToArray();

    private enum Step
    {
        Greeting,
        Password,
        Request,
    }

    public override async Task OnConnectedAsync(ConnectionContext connection)
    {
        ArgumentNullException.ThrowIfNull(connection);
        IDuplexPipe client = ProxyDoor.Transport(connection);
        try
        {
            Opening opening;
            using (var limit = new CancellationTokenSource(options.HandshakeTime, time))
            {
                opening = await OpenAsync(client, limit.Token).ConfigureAwait(false);
            }

            if (!opening.Valid) return;
            if (opening.Command == Socks5Command.UdpAssociate) await AssociateAsync(connection, client, opening).ConfigureAwait(false);
            else await ConnectAsync(connection, client, opening).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException or ConnectionResetException or InvalidOperationException)
        {
            // The client went away or was too slow. It is not told: nothing was promised yet.
        }
        finally
        {
            await client.Output.CompleteAsync().ConfigureAwait(false);
            await client.Input.CompleteAsync().ConfigureAwait(false);
        }
    }

    private readonly record struct Opening(bool Valid, Socks5Command Command, ProxyDestination Destination, IsolationKey Isolation);

    /// <summary>What the bytes at hand call for: an answer, a next step, or the end.</summary>
    private struct Progress
    {
        public WireResult Result;
        public int Consumed;
        public byte[]? Answer;
        public Step Next;
        public bool Refused;
        public Opening Opening;
        public IsolationKey Isolation;
    }

    private async ValueTask<Opening> OpenAsync(IDuplexPipe client, CancellationToken cancel)
    {
        var step = Step.Greeting;
        IsolationKey isolation = default;
        while (true)
        {
            ReadResult read = await client.Input.ReadAsync(cancel).ConfigureAwait(false);
            Progress progress = Judge(read.Buffer, step, isolation);
            if (progress.Result == WireResult.Incomplete)
            {
                client.Input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                if (read.IsCompleted || read.IsCanceled) return default;
                continue;
            }

            client.Input.AdvanceTo(read.Buffer.GetPosition(progress.Consumed));
            if (progress.Answer is { } answer)
            {
                await client.Output.WriteAsync(answer, cancel).ConfigureAwait(false);
            }

            if (progress.Result == WireResult.Malformed || progress.Refused) return default;
            if (progress.Opening.Valid) return progress.Opening;
            step = progress.Next;
            isolation = progress.Isolation;
        }
    }

    private Progress Judge(in ReadOnlySequence<byte> buffer, Step step, IsolationKey isolation)
    {
        // No message is longer than this, so "incomplete" can never last.
        Span<byte> bytes = stackalloc byte[Socks5Wire.MaxMessageBytes];
        int n = (int)Math.Min(bytes.Length, buffer.Length);
        buffer.Slice(0, n).CopyTo(bytes);
        ReadOnlySpan<byte> source = bytes[..n];
        var progress = new Progress { Isolation = isolation };
        switch (step)
        {
            case Step.Greeting:
                progress.Result = Socks5Wire.ReadGreeting(source, out ReadOnlySpan<byte> methods, out progress.Consumed);
                if (progress.Result == WireResult.Malformed) progress.Answer = AnswerToStranger(source);
                if (progress.Result != WireResult.Complete) break;

                // A password is asked for whenever the client has one: it isolates.
                byte method = methods.Contains(Socks5Wire.UserPassword) ? Socks5Wire.UserPassword
                    : options.Users.Count == 0 && methods.Contains(Socks5Wire.NoAuthentication) ? Socks5Wire.NoAuthentication
                    : Socks5Wire.NoAcceptableMethod;
                progress.Answer = [Socks5Wire.Version, method];
                progress.Refused = method == Socks5Wire.NoAcceptableMethod;
                progress.Next = method == Socks5Wire.UserPassword ? Step.Password : Step.Request;
                break;

            case Step.Password:
                progress.Result = Socks5Wire.ReadPassword(source, out ReadOnlySpan<byte> user, out ReadOnlySpan<byte> password, out progress.Consumed);
                if (progress.Result != WireResult.Complete) break;
                bool accepted = options.Accepts(user, password);
                progress.Answer = [1, accepted ? (byte)0 : (byte)1];
                progress.Refused = !accepted;
                progress.Isolation = keys.Derive(options.Listener, user, password);
                progress.Next = Step.Request;
                bytes.Clear();
                break;

            default:
                progress.Result = Socks5Wire.ReadRequest(source, out Socks5Command command, out ProxyDestination destination, out Socks5Reply refusal, out progress.Consumed);
                if (progress.Result == WireResult.Complete && command == Socks5Command.Connect && destination.Port == 0)
                {
                    progress.Result = WireResult.Malformed;
                }

                if (progress.Result == WireResult.Malformed) progress.Answer = Reply(refusal, default);
                else if (progress.Result == WireResult.Complete) progress.Opening = new Opening(true, command, destination, isolation);
                break;
        }

        return progress;
    }

    private static byte[]? AnswerToStranger(ReadOnlySpan<byte> source) => source[0] switch
    {
        4 => [0, 0x5B, 0, 0, 0, 0, 0, 0], // SOCKS4: "request rejected or failed"
        >= (byte)'A' and <= (byte)'Z' => NotHttp,
        _ => null,
    };

    private async Task ConnectAsync(ConnectionContext connection, IDuplexPipe client, Opening opening)
    {
        ProxyConnection through = await ProxyDoor.ConnectAsync(streams, services, opening.Isolation, opening.Destination, options.ConnectTime, time, CancellationToken.None).ConfigureAwait(false);
        if (through.Stream is null)
        {
            await client.Output.WriteAsync(Reply(Socks5Wire.From(through.Status), default)).ConfigureAwait(false);
            return;
        }

        await using (through.Stream.ConfigureAwait(false))
        {
            try
            {
                await client.Output.WriteAsync(Reply(Socks5Reply.Succeeded, through.Bound)).ConfigureAwait(false);
            }
            catch
            {
                through.Stream.Abort();
                throw;
            }

            await ProxyDoor.JoinAsync(connection, client, through.Stream, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task AssociateAsync(ConnectionContext connection, IDuplexPipe client, Opening opening)
    {
        // The relay's socket stands where the client's TCP connection arrived, and listens to that client only.
        var local = connection.LocalEndPoint as IPEndPoint ?? new IPEndPoint(IPAddress.Loopback, 0);
        var remote = connection.RemoteEndPoint as IPEndPoint ?? new IPEndPoint(IPAddress.Loopback, 0);
        IOnionAssociation association;
        try
        {
            using var limit = new CancellationTokenSource(options.ConnectTime, time);
            association = services is null
                ? await datagrams.AssociateAsync(opening.Isolation, limit.Token).ConfigureAwait(false)
                : new MixedAssociation(datagrams, services, opening.Isolation, time, drops);
        }
        catch (Exception e) when (e is OnionUnavailableException or OperationCanceledException)
        {
            await client.Output.WriteAsync(Reply(Socks5Reply.NetworkUnreachable, default)).ConfigureAwait(false);
            return;
        }

        using (association)
        {
            ushort clientPort = opening.Destination.IsName ? (ushort)0 : opening.Destination.Port;
            using Socks5UdpRelay? relay = Socks5UdpRelay.TryBind(local.Address, remote.Address, clientPort, association, drops);
            if (relay is null)
            {
                await client.Output.WriteAsync(Reply(Socks5Reply.GeneralFailure, default)).ConfigureAwait(false);
                return;
            }

            await client.Output.WriteAsync(Reply(Socks5Reply.Succeeded, ProxyDestination.FromEndPoint(relay.LocalEndPoint))).ConfigureAwait(false);
            using var ended = new CancellationTokenSource();
            Task work = relay.RunAsync(ended.Token);
            try
            {
                // The association lives as long as this connection (RFC 1928 section 7).
                Task drained = DrainAsync(client.Input, ended.Token);
                await Task.WhenAny(work, drained).ConfigureAwait(false);
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
                await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static async Task DrainAsync(PipeReader input, CancellationToken cancel)
    {
        try
        {
            while (true)
            {
                ReadResult read = await input.ReadAsync(cancel).ConfigureAwait(false);
                input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted || read.IsCanceled) return;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ConnectionAbortedException or InvalidOperationException)
        {
            // The end of the connection, said less politely.
        }
    }

    private static byte[] Reply(Socks5Reply reply, in ProxyDestination bound)
    {
        Span<byte> bytes = stackalloc byte[3 + ProxyWire.MaxDestinationBytes];
        return bytes[..Socks5Wire.WriteReply(reply, bound, bytes)].ToArray();
    }
}
