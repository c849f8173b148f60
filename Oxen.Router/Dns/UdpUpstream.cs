using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Oxen.Router.Dns;

/// <summary>
/// DNS over UDP from this machine: a fresh socket and so a fresh port for each attempt, a random id, and an ear for nothing but
/// the server's own address, the id and the question (RFC 5452). What was cut off is asked again by TCP.
/// </summary>
internal sealed class UdpUpstream(IReadOnlyList<IPEndPoint> servers, StreamUpstream streams, UpstreamOptions options, AddressMap map, TimeProvider time, DnsCounters counters) : IDnsUpstream
{
    private int _preferred;

    public async ValueTask<UpstreamResult> AskAsync(DnsQuery query, CancellationToken cancel)
    {
        UpstreamResult last = UpstreamResult.Failed(DnsCount.UpstreamFailed, "the resolver did not answer in time");
        int first = Volatile.Read(ref _preferred);
        for (int attempt = 0; attempt < options.UdpAttempts; attempt++)
        {
            int server = (first + attempt) % servers.Count;
            UpstreamResult result = await AttemptAsync(servers[server], query, cancel).ConfigureAwait(false);
            if (!result.IsAnswer && result.Failure != DnsCount.RebindBlocked)
            {
                last = result;
                continue;
            }

            Volatile.Write(ref _preferred, server);
            return result.Answer is { IsTruncated: true } ? await streams.AskServerAsync(server, query, cancel).ConfigureAwait(false) : result;
        }

        return last;
    }

    private async ValueTask<UpstreamResult> AttemptAsync(IPEndPoint server, DnsQuery query, CancellationToken cancel)
    {
        ushort id = (ushort)RandomNumberGenerator.GetInt32(0x10000);
        using var socket = new Socket(server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        using var limit = new CancellationTokenSource(options.UdpTime, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancel, limit.Token);
        try
        {
            // Connected: the kernel draws the port, hands on nothing from elsewhere, and tells when nobody listens there.
            await socket.ConnectAsync(server, linked.Token).ConfigureAwait(false);
            await socket.SendAsync(DnsComposer.WriteQuestion(query, id, options.UdpBytes), SocketFlags.None, linked.Token).ConfigureAwait(false);
            byte[] buffer = new byte[ushort.MaxValue];
            while (true)
            {
                int length = await socket.ReceiveAsync(buffer, SocketFlags.None, linked.Token).ConfigureAwait(false);
                if (ForwardedAnswer.TryTake(buffer.AsSpan(0, length), query, id, options.Ttl, map, out ForwardedAnswer? answer, out DnsCount why)) return UpstreamResult.Of(answer);
                if (why == DnsCount.RebindBlocked) return UpstreamResult.Failed(why, "the answer has an address that stands for a hidden service");
                counters.Add(why); // forged or late: the true one may still come
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return UpstreamResult.Failed(DnsCount.UpstreamFailed, "the resolver did not answer in time");
        }
        catch (SocketException e)
        {
            return UpstreamResult.Failed(DnsCount.UpstreamFailed, $"the resolver cannot be reached ({e.SocketErrorCode})");
        }
    }
}
