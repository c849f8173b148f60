using System.Buffers.Binary;
using System.Net;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;

namespace Oxen.Router.Tests.Dns;

/// <summary>Answers of others: how they are taken, kept and given on.</summary>
public class ForwardingTests
{
    private readonly DnsRig _rig = new();

    [Fact]
    public async Task An_answer_is_kept_for_its_lifetime_and_grows_old_meanwhile()
    {
        Assert.Equal(300, (await _rig.AskAsync("example.com", RecordType.A)).AnswerRecords[0].TimeToLive);
        _rig.Time.Advance(TimeSpan.FromSeconds(100.9));
        DnsMessage kept = await _rig.AskAsync("EXAMPLE.com", RecordType.A);
        Assert.Equal(200, kept.AnswerRecords[0].TimeToLive);
        Assert.Equal("EXAMPLE.com.", kept.AnswerRecords[0].Name.ToString());
        Assert.Single(_rig.Outside.Asked);
        Assert.Equal(1, _rig.Counters[DnsCount.AnsweredFromCache]);
        _rig.Time.Advance(TimeSpan.FromSeconds(200));
        await _rig.AskAsync("example.com", RecordType.A);
        Assert.Equal(2, _rig.Outside.Asked.Count);
    }

    [Fact]
    public async Task Another_type_and_the_two_bits_are_another_answer()
    {
        await _rig.AskAsync("example.com", RecordType.A);
        await _rig.AskAsync("example.com", RecordType.Aaaa);
        await _rig.AskBytesAsync(DnsRig.Question("example.com", 1, dnssec: true));
        await _rig.AskBytesAsync(DnsRig.Question("example.com", 1, flags: 0x0110));
        Assert.Equal(4, _rig.Outside.Asked.Count);
        Assert.Equal(4, _rig.Resolver.Cache.Count);
    }

    [Fact]
    public async Task A_no_is_kept_as_long_as_its_start_of_authority_says()
    {
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id, 0x8183).Start(600, 40).ToArray();
        Assert.Equal(ReturnCode.NxDomain, (await _rig.AskAsync("nobody.example", RecordType.A)).ReturnCode);
        _rig.Time.Advance(TimeSpan.FromSeconds(30));
        DnsMessage kept = await _rig.AskAsync("nobody.example", RecordType.A);
        Assert.Equal(ReturnCode.NxDomain, kept.ReturnCode);
        Assert.Equal(10, kept.AuthorityRecords[0].TimeToLive);
        Assert.Single(_rig.Outside.Asked);
        _rig.Time.Advance(TimeSpan.FromSeconds(10));
        await _rig.AskAsync("nobody.example", RecordType.A);
        Assert.Equal(2, _rig.Outside.Asked.Count);
    }

    [Fact]
    public async Task A_no_without_a_start_of_authority_and_a_failure_are_not_kept()
    {
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id, 0x8183).ToArray();
        await _rig.AskAsync("nobody.example", RecordType.A);
        await _rig.AskAsync("nobody.example", RecordType.A);
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id, 0x8182).Start(600, 600).ToArray();
        Assert.Equal(ReturnCode.ServerFailure, (await _rig.AskAsync("broken.example", RecordType.A)).ReturnCode);
        await _rig.AskAsync("broken.example", RecordType.A);
        Assert.Equal(4, _rig.Outside.Asked.Count);
        Assert.Equal(0, _rig.Resolver.Cache.Count);
    }

    [Theory]
    [InlineData(0, 30)]
    [InlineData(10, 30)]
    [InlineData(100, 100)]
    [InlineData(1_000_000, 7200)]
    [InlineData(0x80000001, 30)] // the highest bit: counts as 0 (RFC 2181)
    public async Task Lifetimes_stay_within_bounds(uint ttl, int expected)
    {
        _rig.Outside.Bounds = new DnsTtlBounds { Least = TimeSpan.FromSeconds(30), Most = TimeSpan.FromHours(2) };
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id).Record(0, [0xC0, 12], 1, ttl, [192, 0, 2, 1]).ToArray();
        Assert.Equal(expected, (await _rig.AskAsync("example.com", RecordType.A)).AnswerRecords[0].TimeToLive);
        _rig.Time.Advance(TimeSpan.FromSeconds(expected - 1));
        Assert.Equal(1, (await _rig.AskAsync("example.com", RecordType.A)).AnswerRecords[0].TimeToLive);
        Assert.Single(_rig.Outside.Asked);
    }

    [Fact]
    public async Task What_we_do_not_know_goes_through_unchanged()
    {
        // A text that is not ASCII, a type of tomorrow, and an owner in letters of its own.
        byte[] text = [5, (byte)'c', (byte)'a', (byte)'f', 0xC3, 0xA9];
        byte[] unknown = [1, 2, 3, 0xFF];
        byte[] owner = [3, (byte)'W', (byte)'w', 0xE9, 0xC0, 12];
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id).Record(0, [0xC0, 12], 16, 60, text).Record(0, owner, 65400, 60, unknown).Options().ToArray();
        byte[] answer = (await _rig.AskBytesAsync(DnsRig.Question("example.com", 16)))!;
        byte[] expected = new AnswerBytes("example.com", 16, 0x1234).Record(0, [0xC0, 12], 16, 60, text).Record(0, owner, 65400, 60, unknown).Options().ToArray();
        Assert.Equal(expected, answer);
    }

    [Fact]
    public async Task The_options_of_the_other_resolver_and_what_stands_behind_them_end_here()
    {
        _rig.Outside.Answer = (q, id) => new AnswerBytes(q.Name.Wire, q.Type, id, 0x85A0).Record(0, [0xC0, 12], 1, 60, [192, 0, 2, 1])
            .Record(2, [0xC0, 12], 1, 60, [192, 0, 2, 2]).Options(4096).Record(2, [0], 250, 0, [9, 9], 255).ToArray();
        byte[] plain = (await _rig.AskBytesAsync(DnsRig.Question("example.com", 1, udpBytes: 0)))!;
        Assert.Equal(1, plain[11]);
        Assert.Equal(0x8180, BinaryPrimitives.ReadUInt16BigEndian(plain.AsSpan(2))); // not authoritative, not authentic
        DnsMessage with = DnsMessage.Parse((await _rig.AskBytesAsync(DnsRig.Question("example.com", 1)))!);
        Assert.Equal(2, with.AdditionalRecords.Count);
        Assert.Equal(1232, with.EDnsOptions!.UdpPayloadSize);
    }

    [Fact]
    public async Task A_large_answer_is_cut_for_UDP_and_whole_for_TCP()
    {
        _rig.Outside.Answer = (q, id) =>
        {
            var answer = new AnswerBytes(q.Name.Wire, q.Type, id);
            for (byte i = 0; i < 100; i++) answer.Record(0, [0xC0, 12], 1, 60, [192, 0, 2, i]);
            return answer.ToArray();
        };
        DnsMessage cut = await _rig.AskAsync("example.com", RecordType.A);
        Assert.True(cut.IsTruncated);
        Assert.Empty(cut.AnswerRecords);
        DnsMessage whole = await _rig.AskAsync("example.com", RecordType.A, DnsTransport.Tcp);
        Assert.False(whole.IsTruncated);
        Assert.Equal(100, whole.AnswerRecords.Count);
        Assert.Single(_rig.Outside.Asked);
    }

    [Fact]
    public async Task The_same_question_is_asked_once_while_it_is_open()
    {
        _rig.Outside.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<DnsMessage>[] waiting = [.. Enumerable.Range(0, 20).Select(i => _rig.AskAsync(i % 2 == 0 ? "example.com" : "Example.COM", RecordType.A))];
        Assert.Single(_rig.Outside.Asked);
        _rig.Outside.Gate.SetResult();
        DnsMessage[] answers = await Task.WhenAll(waiting);
        Assert.All(answers, a => Assert.Single(a.AnswerRecords));
        Assert.Equal("Example.COM.", answers[1].Questions[0].Name.ToString());
        Assert.Equal(19, _rig.Counters[DnsCount.Joined]);
    }

    [Fact]
    public async Task Only_so_many_questions_are_forwarded_at_one_time()
    {
        var rig = new DnsRig(options: new DnsOptions { MaxForwarding = 3 });
        rig.Outside.Gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<DnsMessage>[] open = [.. Enumerable.Range(0, 3).Select(i => rig.AskAsync($"n{i}.example.com", RecordType.A))];
        Assert.Equal(ReturnCode.ServerFailure, (await rig.AskAsync("n3.example.com", RecordType.A)).ReturnCode);
        Assert.Equal(1, rig.Counters[DnsCount.Busy]);
        rig.Outside.Gate.SetResult();
        await Task.WhenAll(open);
        Assert.Equal(ReturnCode.NoError, (await rig.AskAsync("n3.example.com", RecordType.A)).ReturnCode);
    }

    [Fact]
    public async Task A_failure_is_told_for_a_second_without_asking_again()
    {
        _rig.Outside.Failure = UpstreamResult.Failed(DnsCount.UpstreamFailed, "no path");
        for (int i = 0; i < 5; i++) Assert.Equal(ReturnCode.ServerFailure, (await _rig.AskAsync("example.com", RecordType.A)).ReturnCode);
        Assert.Single(_rig.Outside.Asked);
        _rig.Outside.Failure = null;
        _rig.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(ReturnCode.NoError, (await _rig.AskAsync("example.com", RecordType.A)).ReturnCode);
    }

    [Fact]
    public async Task An_answer_to_another_question_is_no_answer()
    {
        _rig.Outside.Answer = (q, id) => new AnswerBytes("other.com", q.Type, id).Record(0, [0xC0, 12], 1, 60, [192, 0, 2, 1]).ToArray();
        Assert.Equal(ReturnCode.ServerFailure, (await _rig.AskAsync("example.com", RecordType.A)).ReturnCode);
        Assert.Equal(1, _rig.Counters[DnsCount.UpstreamMismatch]);
    }

    [Fact]
    public void The_cache_holds_so_many_entries_and_so_many_bytes()
    {
        var map = new AddressMap(new AddressMapOptions(), _rig.Time);
        ForwardedAnswer Take(string name)
        {
            byte[] question = DnsRig.Question(name, 1);
            Assert.Equal(DnsVerdict.Answer, DnsDoor.Read(question, out DnsQuery? query));
            Assert.True(ForwardedAnswer.TryTake(RecordingUpstream.Default(query!, 5), query!, 5, new DnsTtlBounds(), map, out ForwardedAnswer? answer, out _));
            return answer;
        }

        CacheKey Key(int i) => new(DnsName.Parse($"n{i:D3}.example"), 1, false, false);
        var few = new AnswerCache(10, 1 << 20, _rig.Time);
        for (int i = 0; i < 25; i++)
        {
            few.Add(Key(i), Take($"n{i:D3}.example"));
            Assert.True(few.TryGet(Key(0), out _, out _)); // used each time: it stays
        }

        Assert.Equal(10, few.Count);
        Assert.False(few.TryGet(Key(15), out _, out _));
        Assert.True(few.TryGet(Key(24), out _, out _));

        int each = Take("n000.example").Bytes + 256;
        var small = new AnswerCache(1000, 5 * each, _rig.Time);
        for (int i = 0; i < 25; i++) small.Add(Key(i), Take($"n{i:D3}.example"));
        Assert.Equal(5, small.Count);
        Assert.Equal(5 * each, small.Bytes);
        _rig.Time.Advance(TimeSpan.FromHours(1));
        for (int i = 0; i < 25; i++) Assert.False(small.TryGet(Key(i), out _, out _));
        Assert.Equal(0, small.Bytes);
    }
}
