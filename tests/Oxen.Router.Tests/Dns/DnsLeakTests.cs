using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;
using Oxen.Testing;

namespace Oxen.Router.Tests.Dns;

/// <summary>What reaches the outside, by a list that the outside keeps.</summary>
public class DnsLeakTests
{
    private readonly DnsRig _rig = new();

    public static TheoryData<string> Kept =>
    [
        "hello.loki", "HELLO.LOKI", "hElLo.lOkI.", "a.b.c.d.e.f.loki", "loki", "Loki.", "_http._tcp.hello.loki", "caf\u00e9.loki", "a b.loki",
        "x.snode", "X.SNODE.", "snode",
        "hello", "printer", "localhost", "a.localhost", "foo.invalid", "foo.test", "duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion",
        "printer.local", "router.home.arpa", "nas.lan", "x.corp", "x.internal", "x.alt", "_dns.resolver.arpa", "use-application-dns.net",
        "1.0.0.10.in-addr.arpa", "10.in-addr.arpa", "1.1.168.192.in-addr.arpa", "1.0.16.172.in-addr.arpa", "1.0.31.172.in-addr.arpa", "1.0.0.127.in-addr.arpa",
        "1.2.64.100.in-addr.arpa", "1.2.127.100.in-addr.arpa", "1.1.254.169.in-addr.arpa", "255.255.255.255.in-addr.arpa", "99.10.in-addr.arpa", "2.0.99.10.in-addr.arpa",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", "f.0.0.d.f.ip6.arpa", "0.0.0.0.8.e.f.ip6.arpa",
    ];

    [Theory]
    [MemberData(nameof(Kept))]
    public async Task A_name_of_this_machine_never_leaves_it(string name)
    {
        foreach (ushort type in new ushort[] { 1, 28, 12, 16, 33, 5, 15, 64, 65, 255, 257 })
        {
            foreach (DnsTransport transport in new[] { DnsTransport.Udp, DnsTransport.Tcp })
            {
                Assert.NotNull(await _rig.AskBytesAsync(DnsRig.Question(name, type), transport));
            }
        }

        Assert.Empty(_rig.Outside.Asked);
    }

    [Theory]
    [InlineData("foo.loki.example.com")]
    [InlineData("loki.example.com")]
    [InlineData("aloki")]
    [InlineData("hello.lokis.example")]
    [InlineData("hello.xloki.org")]
    [InlineData("test.example.com")]
    [InlineData("onion.example.com")]
    [InlineData("1.0.0.8.in-addr.arpa")]
    [InlineData("1.0.15.172.in-addr.arpa")]
    [InlineData("1.0.32.172.in-addr.arpa")]
    [InlineData("1.2.63.100.in-addr.arpa")]
    [InlineData("1.2.128.100.in-addr.arpa")]
    public async Task A_name_of_others_is_asked_as_it_is(string name)
    {
        await _rig.AskAsync(name, name == "aloki" ? RecordType.Ns : RecordType.A);
        Assert.Equal(DnsName.Parse(name), Assert.Single(_rig.Outside.Asked).Name);
    }

    [Fact]
    public async Task One_label_alone_is_no_data_and_denies_nothing_below_it()
    {
        DnsMessage answer = await _rig.AskAsync("com", RecordType.A);
        Assert.Equal(ReturnCode.NoError, answer.ReturnCode);
        Assert.Empty(answer.AnswerRecords);
        Assert.Empty(_rig.Outside.Asked);
        await _rig.AskAsync("com", RecordType.Ds);
        Assert.Single(_rig.Outside.Asked);
    }

    [Theory]
    [InlineData(11UL)]
    [InlineData(12UL)]
    public async Task No_spelling_of_any_name_in_our_zones_gets_out(ulong seed)
    {
        var random = new SeededEntropy(seed);
        for (int round = 0; round < 3000; round++)
        {
            // Labels of any bytes, and the zone's letters in any case.
            var wire = new List<byte>();
            int labels = random.Next(5);
            for (int i = 0; i < labels; i++)
            {
                int length = 1 + random.Next(12);
                wire.Add((byte)length);
                for (int b = 0; b < length; b++) wire.Add((byte)random.Next(256));
            }

            string zone = random.Next(2) == 0 ? "loki" : "snode";
            wire.Add((byte)zone.Length);
            foreach (char c in zone) wire.Add((byte)(random.Next(2) == 0 ? char.ToUpperInvariant(c) : c));
            wire.Add(0);
            byte[] plain = DnsRig.Question("x", (ushort)random.Next(300));
            byte[] question = [.. plain[..12], .. wire, .. plain[15..]];
            Assert.NotNull(await _rig.AskBytesAsync(question, random.Next(2) == 0 ? DnsTransport.Udp : DnsTransport.Tcp));
        }

        Assert.Empty(_rig.Outside.Asked);
        Assert.Equal(0, _rig.Counters[DnsCount.InternalError]);
        Assert.Equal(0, _rig.Counters[DnsCount.Malformed]);
    }

    [Fact]
    public async Task What_the_client_says_of_itself_stays_here()
    {
        // Client subnet 192.0.2.0/24 and a cookie.
        byte[] options = [0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        await _rig.AskBytesAsync(DnsRig.Question("example.com", 1, options: options));
        byte[] sent = DnsComposer.WriteQuestion(Assert.Single(_rig.Outside.Asked), 1, 1232);
        Assert.Equal(12 + 13 + 4 + 11, sent.Length);
        Assert.Equal(-1, sent.AsSpan().IndexOf(new byte[] { 192, 0, 2 }));
    }

    [Fact]
    public async Task Without_an_outside_everything_else_is_refused()
    {
        var closed = new DnsRig(forwards: false);
        Assert.Equal(ReturnCode.Refused, (await closed.AskAsync("example.com", RecordType.A)).ReturnCode);
        Assert.Equal(ReturnCode.NoError, (await closed.AskAsync(DnsRig.Service(1).ToString(), RecordType.A)).ReturnCode);
        Assert.Equal(1, closed.Counters[DnsCount.RefusedNotConfigured]);
    }

    [Fact]
    public async Task Nobody_reads_in_the_cache_what_others_asked()
    {
        await _rig.AskAsync("example.com", RecordType.A);
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("example.com", 1, flags: 0)))!;
        Assert.Equal(DnsNumbers.Refused, answer[3] & 15);
        Assert.Single(_rig.Outside.Asked);
    }

    [Theory]
    [InlineData(1, new byte[] { 10, 99, 200, 1 })]
    [InlineData(28, new byte[] { 0xfd, 0x6f, 0x78, 0x65, 0x6e, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 9 })]
    [InlineData(28, new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 99, 0, 2 })]
    [InlineData(65, new byte[] { 0, 1, 0, 0, 4, 0, 8, 192, 0, 2, 1, 10, 99, 0, 2 })]
    public async Task An_answer_of_the_outside_cannot_name_a_hidden_service(ushort type, byte[] data)
    {
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id).Record(0, [0xC0, 12], type, 60, data).ToArray();
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("evil.example", type)))!;
        Assert.Equal(DnsNumbers.ServFail, answer[3] & 15);
        Assert.Equal(1, _rig.Counters[DnsCount.RebindBlocked]);
    }
}
