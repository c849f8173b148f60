using System.Buffers.Binary;
using System.Net;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;

namespace Oxen.Router.Tests.Dns;

/// <summary>The door and the form of answers.</summary>
public class DnsMessageTests
{
    private readonly DnsRig _rig = new();

    [Fact]
    public async Task An_answer_echoes_the_question_letter_by_letter_even_letters_that_are_not_ASCII()
    {
        byte[] question = DnsRig.Question("wWw.ExAmPlE.cOm", DnsNumbers.A);
        byte[] answer = (await _rig.AskBytesAsync(question))!;
        Assert.Equal(question[12..33], answer[12..33]);

        byte[] odd = DnsRig.Question("caf\u00e9.Lan", DnsNumbers.A);
        answer = (await _rig.AskBytesAsync(odd))!;
        Assert.Equal(odd[12..26], answer[12..26]);
        Assert.Contains((byte)0xE9, answer);
    }

    [Fact]
    public async Task Id_and_recursion_bits_are_right()
    {
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("localhost", DnsNumbers.A, id: 0xBEEF)))!;
        Assert.Equal(0xBEEF, BinaryPrimitives.ReadUInt16BigEndian(answer));
        Assert.Equal(0x8580, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2))); // response, authoritative, RD as asked, RA
        answer = (await _rig.AskBytesAsync(DnsRig.Question("localhost", DnsNumbers.A, flags: 0x0010)))!;
        Assert.Equal(0x8490, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2))); // no RD; CD copied
        answer = (await _rig.AskBytesAsync(DnsRig.Question("example.com", DnsNumbers.A)))!;
        Assert.Equal(0x8180, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2)));

        var closed = new DnsRig(forwards: false);
        answer = (await closed.AskBytesAsync(DnsRig.Question("localhost", DnsNumbers.A)))!;
        Assert.Equal(0x8500, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2))); // recursion is not available
    }

    [Fact]
    public async Task An_answer_or_a_runt_is_dropped()
    {
        Assert.Null(await _rig.AskBytesAsync(DnsRig.Question("example.com", DnsNumbers.A, flags: 0x8180)));
        Assert.Null(await _rig.AskBytesAsync(new byte[11]));
        Assert.Null(await _rig.AskBytesAsync([]));
        Assert.Equal(3, _rig.Counters[DnsCount.NotAQuery]);
        Assert.Empty(_rig.Outside.Asked);
    }

    public static TheoryData<string, byte[]> Malformed()
    {
        byte[] good = DnsRig.Question("www.example.com", DnsNumbers.A);
        byte[] two = [.. good];
        two[5] = 2;
        byte[] none = [.. good];
        none[5] = 0;
        byte[] answers = [.. good];
        (answers[7], answers[11]) = (1, 0);
        byte[] pointer = [.. good];
        pointer[12] = 0xC0;
        byte[] label = [.. good];
        label[12] = 0x41;
        byte[] twoOptions = [.. good, .. good[^11..]];
        twoOptions[11] = 2;
        byte[] named = [.. good[..^11], 1, (byte)'a', .. good[^11..]];
        return new TheoryData<string, byte[]>
        {
            { "two questions", two },
            { "no question", none },
            { "a record in the answer section", answers },
            { "a pointer in the question", pointer },
            { "a label type of old", label },
            { "cut off", good[..^1] },
            { "bytes behind the end", [.. good, 0] },
            { "two OPT records", twoOptions },
            { "OPT with a name", named },
            { "an option that is longer than its record", DnsRig.Question("a.b", 1, options: [0, 12, 0, 9, 1]) },
            { "a client subnet of no family", DnsRig.Question("a.b", 1, options: [0, 8, 0, 4, 0, 9, 24, 0]) },
        };
    }

    [Theory]
    [MemberData(nameof(Malformed))]
    public async Task A_malformed_question_is_answered_with_FORMERR(string what, byte[] message)
    {
        byte[]? answer = await _rig.AskBytesAsync(message);
        Assert.True(answer is { Length: 12 }, what);
        Assert.Equal(message[..2], answer[..2]);
        Assert.Equal(0x8181, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2)));
        Assert.Equal(1, _rig.Counters[DnsCount.Malformed]);
        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task Another_operation_is_not_implemented()
    {
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("example.com", DnsNumbers.Soa, flags: 0x2800)))!; // UPDATE
        Assert.Equal(0xA884, BinaryPrimitives.ReadUInt16BigEndian(answer.AsSpan(2)));
    }

    [Fact]
    public async Task A_newer_EDNS_version_hears_which_is_spoken_here()
    {
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("example.com", DnsNumbers.A, version: 1)))!;
        Assert.Equal(0, answer[3] & 15);
        Assert.Equal<byte>([0, 0, 41, 0x04, 0xD0, 1, 0, 0, 0, 0, 0], answer[^11..]); // extended code 1 << 4 = BADVERS, version 0
    }

    [Fact]
    public async Task An_answer_has_EDNS_only_if_the_question_had_it()
    {
        Assert.Equal(0, (await _rig.AskBytesAsync(DnsRig.Question("localhost", DnsNumbers.A, udpBytes: 0)))![11]);
        DnsMessage with = DnsMessage.Parse((await _rig.AskBytesAsync(DnsRig.Question("localhost", DnsNumbers.A, dnssec: true)))!);
        Assert.Equal(1232, with.EDnsOptions!.UdpPayloadSize);
        Assert.True(with.IsDnsSecOk);
    }

    [Fact]
    public async Task A_class_of_others_is_refused_and_ANY_gets_one_small_record()
    {
        byte[] chaos = (await _rig.AskBytesAsync(DnsRig.Question("version.bind", DnsNumbers.Txt, cls: 3)))!;
        Assert.Equal(DnsNumbers.Refused, chaos[3] & 15);
        DnsMessage any = await _rig.AskAsync("example.com", RecordType.Any);
        Assert.Equal("RFC8482", Assert.IsType<HInfoRecord>(Assert.Single(any.AnswerRecords)).Cpu);
        DnsMessage transfer = await _rig.AskAsync("loki", RecordType.Axfr);
        Assert.Equal(ReturnCode.Refused, transfer.ReturnCode);
        Assert.Empty(_rig.Outside.Asked);
    }

    [Theory]
    [InlineData(0, 512)]
    [InlineData(100, 512)]
    [InlineData(900, 900)]
    [InlineData(4096, 1232)]
    public async Task An_answer_that_does_not_fit_says_so_and_is_whole_by_TCP(ushort clientTakes, int limit)
    {
        OnionAddress service = DnsRig.Service(9);
        _rig.Services.Records[service] = new ServiceRecords([], [.. Enumerable.Range(0, 8).Select(i => new string((char)('a' + i), 200))]);
        byte[] question = DnsRig.Question(service.ToString(), DnsNumbers.Txt, udpBytes: clientTakes);
        byte[] cut = (await _rig.AskBytesAsync(question))!;
        DnsMessage read = DnsMessage.Parse(cut);
        Assert.True(read.IsTruncated);
        Assert.Empty(read.AnswerRecords);
        Assert.True(cut.Length <= limit);
        Assert.Equal(1, _rig.Counters[DnsCount.Truncated]);
        DnsMessage whole = DnsMessage.Parse((await _rig.AskBytesAsync(question, DnsTransport.Tcp))!);
        Assert.False(whole.IsTruncated);
        Assert.Equal(9, whole.AnswerRecords.Count);
    }

    [Fact]
    public void A_name_is_the_same_in_any_case_and_only_whole_labels_make_a_zone()
    {
        Assert.Equal(DnsName.Parse("A.b.LOKI"), DnsName.Parse("a.B.loki."));
        Assert.Equal(DnsName.Parse("A.b.LOKI").GetHashCode(), DnsName.Parse("a.B.loki").GetHashCode());
        Assert.True(DnsName.Parse("a.b.LOKI").IsWithin(DnsName.Parse("loki")));
        Assert.True(DnsName.Parse("loki").IsWithin(DnsName.Parse("Loki")));
        Assert.False(DnsName.Parse("aloki").IsWithin(DnsName.Parse("loki")));
        Assert.False(DnsName.Parse("loki.com").IsWithin(DnsName.Parse("loki")));
        Assert.True(DnsName.Parse("x").IsWithin(DnsName.Root));
        Assert.True(DnsName.TryRead([1, 97, 3, 98, 46, 99, 0], 0, out DnsName? odd)); // the second label has a dot in it
        Assert.Equal("a.b\\046c.", odd.ToString());
        Assert.False(odd.IsWithin(DnsName.Parse("c")));
        Assert.Null(DnsName.Parse(string.Join('.', Enumerable.Repeat("aaaaaaaaa", 20))).Before(DnsName.Parse(DnsRig.Service(1).ToString()), 20));
    }

    [Fact]
    public void A_key_has_one_text_and_a_text_one_key()
    {
        for (int seed = 0; seed < 50; seed++)
        {
            OnionAddress address = DnsRig.Service(seed);
            string text = address.KeyText();
            Assert.Equal(52, text.Length);
            Assert.True(OnionAddress.TryParseKey(System.Text.Encoding.ASCII.GetBytes(text), OnionKind.Service, out OnionAddress back));
            Assert.Equal(address, back);
            // The other 15 endings that would give the same 256 bits are no keys.
            Assert.Equal(1, "ybndrfg8ejkmcpqxot1uwisza345h769".Count(c => OnionAddress.TryParseKey(System.Text.Encoding.ASCII.GetBytes(text[..51] + c), OnionKind.Service, out OnionAddress other) && other == address));
        }

        byte[] field = [.. Enumerable.Repeat((byte)0xFF, 31), 0x7F];
        field[0] = 0xED; // 2^255 - 19 itself: not below
        Assert.False(OnionAddress.TryParseKey(System.Text.Encoding.ASCII.GetBytes(new OnionAddress(OnionKind.Service, field).KeyText()), OnionKind.Service, out _));
        field[0] = 0xEC;
        Assert.True(OnionAddress.TryParseKey(System.Text.Encoding.ASCII.GetBytes(new OnionAddress(OnionKind.Service, field).KeyText()), OnionKind.Service, out _));
    }

    // The z-base-32 text of a key as the reference implementation prints it: 32 bytes 00..1f.
    [Fact]
    public void A_key_is_written_five_bits_a_character_most_significant_first()
    {
        byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];
        string text = new OnionAddress(OnionKind.Service, key).KeyText();
        var bits = string.Concat(key.Select(b => Convert.ToString(b, 2).PadLeft(8, '0'))) + "0000";
        string slow = string.Concat(Enumerable.Range(0, 52).Select(i => "ybndrfg8ejkmcpqxot1uwisza345h769"[Convert.ToInt32(bits.Substring(5 * i, 5), 2)]));
        Assert.Equal(slow, text);
    }
}
