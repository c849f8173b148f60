using System.Buffers;
using System.Buffers.Binary;
using Oxen.Router.Core.Paths;

namespace Oxen.Router.Core.Links;

// Requests on a link: one bidirectional stream each. The first byte is the kind; message and reply end with the stream.
internal sealed partial class LinkManager
{
    /// <summary>
    /// Sends a request; the answer comes as <see cref="ILinkEvents.OnReply"/> or <see cref="ILinkEvents.OnRequestFailed"/>.
    /// A link that is still being made sends it as soon as it is up.
    /// </summary>
    /// <param name="message">The kind and what follows; owned by the manager from now on.</param>
    public LinkRequest? Send(Link link, byte[] message, int replyBytes, Instant now)
    {
        if (link.State == LinkState.Closed || link.Current is not { } connection || connection.Unopened.Count >= _options.MaxWaitingRequests) return null;
        var request = new LinkRequest
        {
            Id = ++_nextRequest,
            Outgoing = true,
            Connection = connection,
            Output = message,
            Input = new byte[replyBytes],
            Deadline = now + _options.RequestTimeout,
        };
        connection.Unopened.Enqueue(request);
        Due(request.Deadline);
        if (link.State == LinkState.Up) OpenWaitingRequests(connection, now);
        return request;
    }

    /// <summary>Answers an incoming request. False: nobody waits for the answer any more.</summary>
    public bool Reply(LinkRequest request, byte[] message)
    {
        if (request.Connection.Closed || request.Output.Length != 0) return false;
        if (!request.Connection.Requests.TryGetValue(request.Stream, out LinkRequest? waiting) || waiting != request) return false;
        request.Output = message;
        Flush(request);
        return true;
    }

    /// <summary>Refuses an incoming request without an answer.</summary>
    public void Refuse(LinkRequest request)
    {
        if (request.Connection.Closed) return;
        request.Connection.Quic.Reset(request.Stream, LinkError.Busy);
        request.Connection.Requests.Remove(request.Stream);
    }

    private void OpenWaitingRequests(LinkConnection connection, Instant now)
    {
        while (connection.KeysInstalled && connection.Unopened.TryPeek(out LinkRequest? request))
        {
            if (!connection.Quic.TryOpenStream(bidirectional: true, out long stream)) return;
            connection.Unopened.Dequeue();
            request.Stream = stream;
            connection.Requests.Add(stream, request);
            request.PacketsAtStart = connection.Quic.Stats.PacketsReceived;
            request.SilenceDeadline = now + _options.SilenceTimeout;
            Due(Instant.Earlier(request.Deadline, request.SilenceDeadline));
            Flush(request);
        }
    }

    private void OnStreamOpened(LinkConnection connection, long stream, Instant now)
    {
        if (connection.ControlStream < 0 && !connection.Initiator)
        {
            connection.ControlStream = stream;
        }
        else if (!connection.KeysInstalled)
        {
            connection.Waiting.Add(stream);
        }
        else
        {
            Accept(connection, stream, now);
        }

        OnStreamReadable(connection, stream, now);
    }

    private void StartWaitingRequests(LinkConnection connection, Instant now)
    {
        foreach (long stream in connection.Waiting.ToArray())
        {
            Accept(connection, stream, now);
            OnStreamReadable(connection, stream, now);
        }

        connection.Waiting.Clear();
    }

    private void Accept(LinkConnection connection, long stream, Instant now)
    {
        // Who does not finish his request in time loses the stream, and we its buffer.
        var request = new LinkRequest { Id = ++_nextRequest, Outgoing = false, Connection = connection, Stream = stream, Input = new byte[1024], Deadline = now + _options.RequestTimeout };
        connection.Requests.Add(stream, request);
        Due(request.Deadline);
    }

    private void OnStreamReadable(LinkConnection connection, long stream, Instant now)
    {
        if (stream == connection.ControlStream)
        {
            ReadControl(connection, now);
            return;
        }

        if (!connection.Requests.TryGetValue(stream, out LinkRequest? request) || request.Delivered) return;
        while (true)
        {
            if (request.InputLength == request.Input.Length && !TryGrow(request))
            {
                // Longer than any message of its kind may be.
                connection.Quic.StopSending(stream, LinkError.ProtocolViolation);
                connection.Quic.Reset(stream, LinkError.ProtocolViolation);
                connection.Requests.Remove(stream);
                if (request.Outgoing) _events.OnRequestFailed(connection.Link!, request, now);
                return;
            }

            int read = connection.Quic.Read(stream, request.Input.AsSpan(request.InputLength), out bool finished);
            request.InputLength += read;
            if (finished)
            {
                Complete(request, now);
                return;
            }

            if (read == 0) return;
        }
    }

    /// <summary>Makes room up to the cap of the message's kind, and one byte more so that an overlong one shows itself.</summary>
    private bool TryGrow(LinkRequest request)
    {
        if (request.Outgoing) return false;
        int cap = request.Input[0] switch
        {
            (byte)RequestKind.Build => BuildMessage.RequestBytes + 1,
            (byte)RequestKind.Plugin => _options.MaxPluginBytes + 1,
            (byte)RequestKind.Directory => _options.MaxDirectoryBytes + 1,
            _ => 0,
        };
        if (request.Input.Length >= cap) return false;
        byte[] larger = new byte[Math.Min(cap, Math.Max(4096, 2 * request.Input.Length))];
        request.Input.AsSpan(0, request.InputLength).CopyTo(larger);
        request.Input = larger;
        return true;
    }

    private void Complete(LinkRequest request, Instant now)
    {
        if (request.Delivered) return;
        request.Delivered = true;
        Link link = request.Connection.Link!;
        ReadOnlySpan<byte> message = request.Input.AsSpan(0, request.InputLength);
        if (request.Outgoing)
        {
            request.Connection.Requests.Remove(request.Stream);
            _events.OnReply(link, request, message, now);
        }
        else
        {
            request.Deadline = Instant.Never; // from here on it is ours to answer
            _events.OnRequest(link, request, message, now);
            request.Input = [];
        }
    }

    private void OnStreamWritable(LinkConnection connection, long stream)
    {
        if (stream == connection.ControlStream) FlushControl(connection);
        else if (connection.Requests.TryGetValue(stream, out LinkRequest? request)) Flush(request);
    }

    private static void Flush(LinkRequest request)
    {
        if (request.OutputFinished || request.Stream < 0 || request.Output.Length == 0) return;
        request.OutputSent += request.Connection.Quic.Write(request.Stream, request.Output.AsSpan(request.OutputSent));
        if (request.OutputSent < request.Output.Length) return;
        request.Connection.Quic.Finish(request.Stream);
        request.OutputFinished = true;
        if (!request.Outgoing) request.Connection.Requests.Remove(request.Stream);
    }

    private void OnStreamEnded(LinkConnection connection, long stream, Instant now)
    {
        if (stream == connection.ControlStream)
        {
            Abandon(connection, LinkError.ProtocolViolation, "the peer reset the control stream", now);
            return;
        }

        if (!connection.Requests.Remove(stream, out LinkRequest? request)) return;
        connection.Quic.Reset(stream, LinkError.None);
        if (request.Outgoing && !request.Delivered) _events.OnRequestFailed(connection.Link!, request, now);
    }

    private void ExpireRequests(LinkConnection connection, Instant now)
    {
        List<LinkRequest>? late = null;
        foreach (LinkRequest request in connection.Requests.Values)
        {
            if (request.Deadline <= now) (late ??= []).Add(request);
            if (!request.Outgoing) continue;
            if (request.SilenceDeadline > now) continue;
            request.SilenceDeadline = Instant.Never;
            if (connection.Quic.Stats.PacketsReceived > request.PacketsAtStart) continue;

            // Not even an acknowledgement: the peer is dead or has forgotten us. The next request makes a new link.
            Abandon(connection, LinkError.None, "the peer does not answer", now);
            return;
        }

        foreach (LinkRequest request in late ?? [])
        {
            connection.Requests.Remove(request.Stream);
            connection.Quic.StopSending(request.Stream, LinkError.None);
            connection.Quic.Reset(request.Stream, LinkError.None);
            if (request.Outgoing) _events.OnRequestFailed(connection.Link!, request, now);
        }

        // In the order of their deadlines: a peer that gives us no stream keeps no request, and no path behind it.
        while (!connection.Closed && connection.Unopened.TryPeek(out LinkRequest? waiting) && waiting.Deadline <= now)
        {
            connection.Unopened.Dequeue();
            _events.OnRequestFailed(connection.Link!, waiting, now);
        }
    }

    private void FailRequests(LinkConnection connection, Instant now)
    {
        LinkRequest[] open = [.. connection.Requests.Values.Where(r => r.Outgoing && !r.Delivered), .. connection.Unopened];
        connection.Requests.Clear();
        connection.Unopened.Clear();
        foreach (LinkRequest request in open) _events.OnRequestFailed(connection.Link!, request, now);
    }

    // ---- the control stream ----

    private static void SendControl(LinkConnection connection, byte[] message)
    {
        connection.ControlOutput.Enqueue(message);
        FlushControl(connection);
    }

    private static void FlushControl(LinkConnection connection)
    {
        while (connection.ControlOutput.TryPeek(out byte[]? message))
        {
            connection.ControlOutputSent += connection.Quic.Write(connection.ControlStream, message.AsSpan(connection.ControlOutputSent));
            if (connection.ControlOutputSent < message.Length) return;
            connection.ControlOutput.Dequeue();
            connection.ControlOutputSent = 0;
        }
    }

    private void ReadControl(LinkConnection connection, Instant now)
    {
        byte[] buffer = connection.ControlInput;
        while (!connection.Closed)
        {
            int read = connection.Quic.Read(connection.ControlStream, buffer.AsSpan(connection.ControlInputLength), out bool finished);
            connection.ControlInputLength += read;
            int at = 0;
            while (connection.ControlInputLength - at >= 3)
            {
                int length = BinaryPrimitives.ReadUInt16BigEndian(buffer.AsSpan(at + 1));
                if (3 + length > buffer.Length)
                {
                    Abandon(connection, LinkError.ProtocolViolation, "a control message is too long", now);
                    return;
                }

                if (connection.ControlInputLength - at < 3 + length) break;
                HandleControlMessage(connection, (LinkMessageType)buffer[at], buffer.AsSpan(at + 3, length), now);
                if (connection.Closed) return;
                at += 3 + length;
            }

            buffer.AsSpan(at, connection.ControlInputLength - at).CopyTo(buffer);
            connection.ControlInputLength -= at;
            if (finished)
            {
                Abandon(connection, LinkError.None, "the peer ended the link", now);
                return;
            }

            if (read == 0) return;
        }
    }
}
