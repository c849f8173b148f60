using System.Buffers.Binary;
using Oxen.Router.Dns;
using Oxen.Testing;

namespace Oxen.Fuzz;

public class DnsFuzz
{
    private static readonly AddressMap Map = new(new AddressMapOptions(), TimeProvider.System);

    // Questions as programs send them, with every option that the library reads.
    private static readonly byte[][] Questions =
    [
        Question("www.example.com", 1),
        Question("a.b.c.d.e.f.g.hello.loki", 28),
        Question("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.0.e.6.5.6.8.7.f.6.d.f.ip6.arpa", 12),
        Question("x.example", 65, [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]),
        Question("x.example", 16, [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 12, 0, 4, 0, 0, 0, 0]),
        Question("x.example", 1, [0, 3, 0, 0, 0, 11, 0, 2, 0, 9, 0, 9, 0, 0, 0, 5, 0, 2, 8, 13, 0, 6, 0, 1, 2, 0, 7, 0, 1, 1]),
        Question("x.example", 1, [0, 1, 0, 18, 0, 1, 0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 2, 0, 4, 0, 0, 0, 9, 0, 4, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7]),
    ];

    [Fact]
    public void A_million_hostile_questions_pass_or_are_malformed_and_never_throw()
        => ParserFuzz.Run(
            "the DNS door",
            1_000_000,
            Questions,
            allocation: 128 * 1024,
            input => DnsDoor.Read(input.ToArray(), out _) is DnsVerdict.Answer or DnsVerdict.BadVersion ? Fate.Accepted : input.Length >= 12 ? Fate.Past : Fate.Refused,
            leastAccepted: 0.15);

    [Fact]
    public void Hostile_answers_of_other_resolvers_are_taken_or_refused_and_what_is_taken_can_be_written()
    {
        Assert.Equal(DnsVerdict.Answer, DnsDoor.Read(Question("www.example.com", 1), out DnsQuery? query));
        var bounds = new DnsTtlBounds();
        ParserFuzz.Run(
            "answers",
            1_000_000,
            [Answer(0), Answer(1), Answer(2), Answer(3)],
            allocation: 64 * 1024,
            input =>
            {
                if (!ForwardedAnswer.TryTake(input, query!, 0x1234, bounds, Map, out ForwardedAnswer? answer, out _)) return input.Length >= 12 ? Fate.Past : Fate.Refused;
                byte[] written = answer.Write(query!, 7, 1232, ushort.MaxValue, out bool truncated);
                // Whatever we say in other's words must be a message again.
                Assert.True(DnsFrame.TryRead(written, 4096, out DnsFrame frame) && frame.IsResponse && frame.Id == query!.Id);
                Assert.True(truncated || answer.Seconds >= 0);
                return Fate.Accepted;
            },
            leastAccepted: 0.1);
    }

    [Fact]
    public async Task The_whole_resolver_answers_or_drops_whatever_comes()
    {
        var counters = new DnsCounters();
        var zones = new OnionZones(Map, null, null, new OnionZoneOptions(), TimeProvider.System, counters);
        var resolver = new DnsResolver(zones, null, new DnsOptions(), TimeProvider.System, counters);
        var random = new SeededEntropy(5);
        int answered = 0;
        for (int round = 0; round < 100_000; round++)
        {
            byte[] message = [.. Questions[random.Next(Questions.Length)]];
            for (int n = random.Next(4); n > 0; n--) message[random.Next(message.Length)] = (byte)random.Next(256);
            if (random.Next(10) == 0) message = message[..random.Next(message.Length)];
            byte[]? answer = await resolver.AnswerAsync(message, round % 2 == 0 ? DnsTransport.Udp : DnsTransport.Tcp, CancellationToken.None);
            if (answer is null)
            {
                Assert.True(message.Length < 12 || (message[2] & 0x80) != 0, "a question got no answer");
                continue;
            }

            answered++;
            Assert.Equal(message[..2], answer[..2]);
            Assert.True((answer[2] & 0x80) != 0 && answer.Length <= 1232);
        }

        Assert.Equal(0, counters[DnsCount.InternalError]);
        Assert.True(answered > 50_000);
    }

    private static byte[] Question(string name, ushort type, byte[]? options = null)
    {
        options ??= [];
        byte[] head = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        byte[] rest = [(byte)(type >> 8), (byte)type, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, (byte)(options.Length >> 8), (byte)options.Length];
        return [.. head, .. DnsName.Parse(name).Wire, .. rest, .. options];
    }

    private static byte[] Answer(int kind)
    {
        byte[] head = [0x12, 0x34, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
        var bytes = new List<byte>([.. head, .. DnsName.Parse("www.example.com").Wire, 0, 1, 0, 1]);
        void Record(int section, byte[] owner, ushort type, byte[] data)
        {
            head[7 + 2 * section]++;
            bytes.AddRange(owner);
            bytes.AddRange([(byte)(type >> 8), (byte)type, 0, 1, 0, 0, 1, 44, (byte)(data.Length >> 8), (byte)data.Length]);
            bytes.AddRange(data);
        }

        if (kind == 0) Record(0, [0xC0, 12], 1, [192, 0, 2, 1]);
        if (kind is 1 or 3) Record(0, [0xC0, 16], 5, [1, (byte)'a', 0xC0, 12]);
        if (kind is 1 or 2) Record(1, [0xC0, 24], 6, [0xC0, 12, 0xC0, 12, .. new byte[20]]);
        if (kind == 3) Record(0, [0xC0, 12], 65, [0, 1, 0, 0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2, 0, 6, 0, 16, .. new byte[16]]);
        if (kind != 0) Record(2, [0], 41, []);
        byte[] message = [.. bytes];
        head.CopyTo(message, 0);
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(4), 1);
        return message;
    }
}
