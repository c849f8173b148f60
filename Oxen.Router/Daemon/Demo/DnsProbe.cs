using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Core.Directory;
using Oxen.Router.Dns;

namespace Oxen.Router.Daemon.Demo;

/// <summary>Asks a resolver as a program's library does: one question by UDP, asked again when there is no answer.</summary>
/// <param name="open">Makes a UDP socket where the asking program is to be.</param>
internal sealed class DnsProbe(IPEndPoint resolver, Func<Socket> open)
{
    private const int Attempts = 4, Header = 12;
    private const ushort In = 1;
    private static readonly TimeSpan AttemptTime = TimeSpan.FromSeconds(8);

    /// <summary>What a check without trouble has seen.</summary>
    public const string Words = "A, AAAA, PTR and TXT of a service; localhost.loki; no such name; a name of the outside through the exit";

    /// <summary>The `.loki` name of a service with this key.</summary>
    public static string NameOf(RouterId key)
    {
        Span<byte> bytes = stackalloc byte[OnionAddress.KeyBytes];
        key.CopyTo(bytes);
        return new OnionAddress(OnionKind.Service, bytes).ToString();
    }

    /// <summary>The answer; null: none came.</summary>
    public async Task<DnsMessage?> AskAsync(string name, RecordType type, CancellationToken cancel)
    {
        byte[] question = Question(name, type), buffer = new byte[4096];
        using Socket socket = open();
        await socket.ConnectAsync(resolver, cancel).ConfigureAwait(false);
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            limit.CancelAfter(AttemptTime);
            try
            {
                await socket.SendAsync(question, limit.Token).ConfigureAwait(false);
                while (true)
                {
                    int length = await socket.ReceiveAsync(buffer, limit.Token).ConfigureAwait(false);
                    if (length >= Header && buffer[0] == question[0] && buffer[1] == question[1]) return DnsMessage.Parse(buffer[..length]);
                }
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // Once more.
            }
            catch (SocketException)
            {
                return null; // nobody listens
            }
        }

        return null;
    }

    /// <summary>All that the demo's resolver must be able to do. Gives what is wrong; empty: nothing.</summary>
    /// <param name="service">A service's full name.</param>
    /// <param name="outside">What the outside's only name stands for.</param>
    public async Task<string> CheckAsync(string service, IPAddress outside, CancellationToken cancel)
    {
        IPAddress? four = await AddressAsync(service, RecordType.A, cancel).ConfigureAwait(false), six = await AddressAsync(service, RecordType.Aaaa, cancel).ConfigureAwait(false);
        if (four is null || six is null) return "the service's name has no address of one family";
        foreach (IPAddress address in new[] { four, six })
        {
            DnsMessage? back = await AskAsync(ReverseOf(address), RecordType.Ptr, cancel).ConfigureAwait(false);
            if (back?.AnswerRecords.OfType<PtrRecord>().FirstOrDefault()?.PointerDomainName.ToString().TrimEnd('.') != service) return $"{address} does not stand for its service";
        }

        DnsMessage? text = await AskAsync(service, RecordType.Txt, cancel).ConfigureAwait(false);
        if (text?.AnswerRecords.OfType<TxtRecord>().Any(t => t.TextParts.Contains($"address={service}")) != true) return "the service's name has no TXT record with its address";
        if (!Equals(await AddressAsync("localhost.loki", RecordType.A, cancel).ConfigureAwait(false), IPAddress.Loopback)) return "localhost.loki is not this machine";
        if ((await AskAsync("nobody-has-this-name.loki", RecordType.A, cancel).ConfigureAwait(false))?.ReturnCode != ReturnCode.NxDomain) return "a name of .loki that nobody has is not refused";
        IPAddress? found = await AddressAsync(DemoNames.Name, RecordType.A, cancel).ConfigureAwait(false);
        return Equals(found, outside) ? "" : $"{DemoNames.Name} was not found through the exit";
    }

    /// <summary>The address of a name; null: it has none.</summary>
    public async Task<IPAddress?> AddressAsync(string name, RecordType type, CancellationToken cancel) =>
        (await AskAsync(name, type, cancel).ConfigureAwait(false))?.AnswerRecords.Select(r => r switch { ARecord a => a.Address, AaaaRecord a => a.Address, _ => null }).FirstOrDefault(a => a is not null);

    private static string ReverseOf(IPAddress address)
    {
        byte[] bytes = address.GetAddressBytes();
        Array.Reverse(bytes);
        return address.AddressFamily == AddressFamily.InterNetwork
            ? string.Join('.', bytes) + ".in-addr.arpa"
            : string.Join('.', bytes.Select(b => $"{b & 15:x}.{b >> 4:x}")) + ".ip6.arpa";
    }

    private static byte[] Question(string name, RecordType type)
    {
        using var message = new MemoryStream();
        Span<byte> header = stackalloc byte[Header];
        header.Clear();
        RandomNumberGenerator.Fill(header[..2]);
        header[2] = 1; // recursion desired
        header[5] = 1; // one question
        message.Write(header);
        foreach (string label in name.Split('.'))
        {
            message.WriteByte((byte)label.Length);
            message.Write(Encoding.ASCII.GetBytes(label));
        }

        message.Write([0, (byte)((ushort)type >> 8), (byte)type, 0, (byte)In]);
        return message.ToArray();
    }
}
