using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;

namespace Oxen.Swarm.Wire;

// Requests on a stream of the QUIC door (docs/protocol/swarm.md#quic):
//
//   <length in decimal> ":" <bt list>      ["C", id, endpoint, body]    ["R", id, body]    ["E", id, body]

/// <summary>One message of a request stream.</summary>
/// <param name="Kind">`C` a command, `R` its answer, `E` its error.</param>
/// <param name="Id">Which command.</param>
/// <param name="Endpoint">Of a command; else empty.</param>
/// <param name="Body">What it carries.</param>
internal sealed record BtMessage(char Kind, long Id, string Endpoint, byte[] Body);

/// <summary>Reads and writes request streams.</summary>
internal static class BtRequests
{
    public const int MaxBytes = 10_000_000;
    private const int MaxPrefix = 9;

    /// <summary>The next message; null at the stream's end.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static async Task<BtMessage?> ReadAsync(PipeReader from, CancellationToken cancel)
    {
        while (true)
        {
            ReadResult read = await from.ReadAsync(cancel).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = read.Buffer;
            if (TryTake(ref buffer, out byte[]? message))
            {
                from.AdvanceTo(buffer.Start);
                return Parse(message);
            }

            bool empty = buffer.IsEmpty;
            from.AdvanceTo(buffer.Start, buffer.End);
            if (!read.IsCompleted) continue;
            return empty ? null : throw new InvalidDataException("the stream ends within a message");
        }
    }

    public static byte[] Write(BtMessage message)
    {
        string endpoint = message.Kind == 'C' ? $"{message.Endpoint.Length}:{message.Endpoint}" : "";
        string head = string.Create(CultureInfo.InvariantCulture, $"l1:{message.Kind}i{message.Id}e{endpoint}{message.Body.Length}:");
        string length = string.Create(CultureInfo.InvariantCulture, $"{head.Length + message.Body.Length + 1}:");
        byte[] bytes = new byte[length.Length + head.Length + message.Body.Length + 1];
        Encoding.ASCII.GetBytes(length + head, bytes);
        message.Body.CopyTo(bytes, length.Length + head.Length);
        bytes[^1] = (byte)'e';
        return bytes;
    }

    private static bool TryTake(ref ReadOnlySequence<byte> buffer, out byte[] message)
    {
        message = [];
        var reader = new SequenceReader<byte>(buffer);
        int length = 0, digits = 0;
        while (reader.TryRead(out byte b))
        {
            if (b == ':' && digits > 0)
            {
                if (length > MaxBytes) throw new InvalidDataException("a message is too long");
                if (reader.Remaining < length) return false;
                message = buffer.Slice(reader.Position, length).ToArray();
                buffer = buffer.Slice(buffer.GetPosition(length, reader.Position));
                return true;
            }

            if (b is < (byte)'0' or > (byte)'9' || ++digits > MaxPrefix) throw new InvalidDataException("a message does not begin with its length");
            length = (length * 10) + (b - '0');
        }

        return false;
    }

    private static BtMessage Parse(byte[] bytes)
    {
        if (!BtEncoding.TryRead(bytes, out object? value) || value is not List<object> list || list is not [byte[] { Length: 1 } kind, long id, ..]) throw new InvalidDataException("a message is no list of a kind and a number");
        return ((char)kind[0], list) switch
        {
            ('C', [_, _, byte[] endpoint, byte[] body]) when endpoint.Length <= 64 => new BtMessage('C', id, Encoding.ASCII.GetString(endpoint), body),
            ('C', [_, _, byte[] endpoint]) when endpoint.Length <= 64 => new BtMessage('C', id, Encoding.ASCII.GetString(endpoint), []),
            ('R' or 'E', [_, _, byte[] body]) => new BtMessage((char)kind[0], id, "", body),
            _ => throw new InvalidDataException("a message has a shape that no message has"),
        };
    }
}
