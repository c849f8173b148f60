using System.Net;
using ARSoft.Tools.Net.Dns;
using Oxen.Router.Dns;

namespace Oxen.Router.Tests.Dns;

public class OnionZoneTests
{
    private static readonly OnionAddress Hello = DnsRig.Service(1);

    private readonly DnsRig _rig = new();

    [Fact]
    public async Task A_key_has_an_address_of_each_family_and_the_address_has_the_key()
    {
        string name = Hello.ToString();
        var a = Assert.IsType<ARecord>(Assert.Single((await _rig.AskAsync(name, RecordType.A)).AnswerRecords));
        DnsMessage six = await _rig.AskAsync(name.ToUpperInvariant(), RecordType.Aaaa);
        var aaaa = Assert.IsType<AaaaRecord>(Assert.Single(six.AnswerRecords));
        Assert.Equal("10.99.0.2", a.Address.ToString());
        Assert.Equal("fd6f:7865:6e00:3::2", aaaa.Address.ToString());
        Assert.Equal(60, a.TimeToLive);
        Assert.True(six.IsAuthoritiveAnswer);
        Assert.True(_rig.Map.TryFind(a.Address, out OnionAddress found));
        Assert.Equal(Hello, found);
        Assert.Empty(_rig.Names.Asked);

        DnsMessage four = await _rig.AskAsync("2.0.99.10.in-addr.arpa", RecordType.Ptr);
        Assert.Equal(name + ".", Assert.IsType<PtrRecord>(Assert.Single(four.AnswerRecords)).PointerDomainName.ToString());
        DnsMessage reverse6 = await _rig.AskAsync("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.3.0.0.0.0.0.E.6.5.6.8.7.F.6.D.F.ip6.arpa", RecordType.Ptr);
        Assert.Equal(name + ".", Assert.IsType<PtrRecord>(Assert.Single(reverse6.AnswerRecords)).PointerDomainName.ToString());
    }

    [Fact]
    public async Task An_address_that_stands_for_nothing_yet_is_denied_for_a_second_only()
    {
        DnsMessage answer = await _rig.AskAsync("9.0.99.10.in-addr.arpa", RecordType.Ptr);
        Assert.Equal(ReturnCode.NxDomain, answer.ReturnCode);
        Assert.Equal(1, Assert.IsType<SoaRecord>(Assert.Single(answer.AuthorityRecords)).NegativeCachingTTL);
        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task A_router_is_found_by_its_id()
    {
        OnionAddress router = DnsRig.Service(4, OnionKind.Router);
        var a = Assert.IsType<ARecord>(Assert.Single((await _rig.AskAsync(router.ToString(), RecordType.A)).AnswerRecords));
        Assert.True(_rig.Map.TryFind(a.Address, out OnionAddress found));
        Assert.Equal(router, found);
        Assert.Equal(router + ".", Assert.IsType<PtrRecord>(Assert.Single((await _rig.AskAsync("2.0.99.10.in-addr.arpa", RecordType.Ptr)).AnswerRecords)).PointerDomainName.ToString());
        Assert.Equal(ReturnCode.NxDomain, (await _rig.AskAsync("hello.snode", RecordType.A)).ReturnCode);
        Assert.Empty(_rig.Names.Asked);
    }

    [Fact]
    public async Task A_short_name_is_an_alias_with_its_own_lifetime()
    {
        _rig.Names.Add("hello", Hello, TimeSpan.FromSeconds(90));
        DnsMessage answer = await _rig.AskAsync("Hello.LOKI", RecordType.A);
        var alias = Assert.IsType<CNameRecord>(answer.AnswerRecords[0]);
        Assert.Equal("Hello.LOKI.", alias.Name.ToString());
        Assert.Equal(90, alias.TimeToLive);
        Assert.Equal(Hello + ".", alias.CanonicalName.ToString(), ignoreCase: true); // the zone points into the question
        var a = Assert.IsType<ARecord>(answer.AnswerRecords[1]);
        Assert.Equal(alias.CanonicalName, a.Name);
        Assert.Equal(2, answer.AnswerRecords.Count);
        Assert.Equal(["hello"], _rig.Names.Asked);
        Assert.IsType<CNameRecord>(Assert.Single((await _rig.AskAsync("hello.loki", RecordType.CName)).AnswerRecords));
    }

    [Fact]
    public async Task The_longest_name_that_is_registered_wins_and_what_stands_before_it_goes_along()
    {
        OnionAddress shop = DnsRig.Service(2);
        _rig.Names.Add("hello", Hello);
        _rig.Names.Add("shop.hello", shop);
        Assert.Equal($"www.{Hello}.", ((CNameRecord)(await _rig.AskAsync("www.hello.loki", RecordType.A)).AnswerRecords[0]).CanonicalName.ToString());
        Assert.Equal(["www.hello", "hello"], _rig.Names.Asked);
        Assert.Equal($"a.b.{shop}.", ((CNameRecord)(await _rig.AskAsync("a.b.shop.hello.loki", RecordType.A)).AnswerRecords[0]).CanonicalName.ToString());
        _rig.Names.Asked.Clear();
        Assert.Equal($"1.2.3.4.5.6.{Hello}.", ((CNameRecord)(await _rig.AskAsync("1.2.3.4.5.6.hello.loki", RecordType.A)).AnswerRecords[0]).CanonicalName.ToString());
        Assert.Equal(["4.5.6.hello", "5.6.hello", "6.hello", "hello"], _rig.Names.Asked); // a long name costs no more than four questions
        DnsMessage below = await _rig.AskAsync($"www.{Hello}", RecordType.A);
        Assert.Equal("10.99.0.2", Assert.IsType<ARecord>(Assert.Single(below.AnswerRecords)).Address.ToString());
    }

    [Fact]
    public async Task A_name_that_is_not_there_is_denied_with_the_lifetime_of_the_no()
    {
        DnsMessage answer = await _rig.AskAsync("nobody.loki", RecordType.A);
        Assert.Equal(ReturnCode.NxDomain, answer.ReturnCode);
        var start = Assert.IsType<SoaRecord>(Assert.Single(answer.AuthorityRecords));
        Assert.Equal(30, start.TimeToLive);
        Assert.Equal(30, start.NegativeCachingTTL);
        Assert.Equal("loki.", start.Name.ToString());
        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task A_source_that_cannot_tell_is_a_failure_with_its_reason_and_not_a_no()
    {
        _rig.Names.Break("hello", "no oracle was reached");
        DnsMessage answer = await _rig.AskAsync("hello.loki", RecordType.A);
        Assert.Equal(ReturnCode.ServerFailure, answer.ReturnCode);
        byte[] error = Assert.IsType<UnknownOption>(Assert.Single(answer.EDnsOptions!.Options)).Data!;
        Assert.Equal("no oracle was reached", System.Text.Encoding.ASCII.GetString(error[2..]));
        Assert.Equal(1, _rig.Counters[DnsCount.NameUnavailable]);
        Assert.Equal(ReturnCode.ServerFailure, (await _rig.AskAsync("www.hello.loki", RecordType.A)).ReturnCode);

        _rig.Names.Break("long", new string('x', 5000));
        byte[] fits = (await _rig.AskBytesAsync(DnsRig.Question("long.loki", 1, udpBytes: 512)))!;
        Assert.Equal(0x8182, fits[2] << 8 | fits[3]); // not cut off
    }

    [Theory]
    [InlineData("he_llo.loki")]
    [InlineData("h\u00e9llo.loki")]
    [InlineData("hel lo.loki")]
    public async Task A_name_with_letters_of_no_name_asks_nobody(string name)
    {
        DnsMessage answer = await _rig.AskAsync(name, RecordType.A);
        Assert.Equal(ReturnCode.NxDomain, answer.ReturnCode);
        Assert.Empty(_rig.Names.Asked);
        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task An_alias_whose_target_would_be_too_long_is_denied()
    {
        _rig.Names.Add("hello", Hello);
        string name = string.Join('.', Enumerable.Repeat("aaaaaaaaa", 22)) + ".hello.loki";
        Assert.Equal(ReturnCode.NxDomain, (await _rig.AskAsync(name, RecordType.A)).ReturnCode);
        Assert.Equal(0, _rig.Counters[DnsCount.InternalError]);
    }

    [Fact]
    public async Task Text_tells_the_full_address_the_lifetime_and_what_the_service_says()
    {
        _rig.Names.Add("hello", Hello);
        _rig.Services.Records[Hello] = new ServiceRecords([], ["v=1 hi", "", new string('x', 256), "caf\u00e9"]);
        DnsMessage answer = await _rig.AskAsync("hello.loki", RecordType.Txt);
        Assert.Equal(3, answer.AnswerRecords.Count);
        Assert.Equal([$"address={Hello}", "lifetime=3600"], ((TxtRecord)answer.AnswerRecords[1]).TextParts);
        Assert.Equal(["v=1 hi"], ((TxtRecord)answer.AnswerRecords[2]).TextParts);
        Assert.Equal(0, _rig.Map.Count); // asking for text gives no address
    }

    [Fact]
    public async Task Ports_that_a_service_announces_are_SRV_records()
    {
        _rig.Names.Add("hello", Hello);
        _rig.Services.Records[Hello] = new ServiceRecords([new("http", "tcp", 1, 2, 8080), new("http", "tcp", 2, 2, 8081), new("http", "udp", 0, 0, 1), new("imap", "tcp", 0, 0, 143)], []);
        DnsMessage answer = await _rig.AskAsync("_http._tcp.hello.loki", RecordType.Srv);
        Assert.Equal($"_http._tcp.{Hello}.", ((CNameRecord)answer.AnswerRecords[0]).CanonicalName.ToString());
        SrvRecord[] ports = [.. answer.AnswerRecords.OfType<SrvRecord>()];
        Assert.Equal([(1, 2, 8080), (2, 2, 8081)], ports.Select(p => ((int)p.Priority, (int)p.Weight, (int)p.Port)));
        Assert.All(ports, p => Assert.Equal(Hello + ".", p.Target.ToString()));
        Assert.Equal(["hello"], _rig.Names.Asked);

        foreach (string name in new[] { $"_xmpp._tcp.{Hello}", $"_http._tcp.{DnsRig.Service(3)}", $"{Hello}", $"_tcp.{Hello}" })
        {
            DnsMessage none = await _rig.AskAsync(name, RecordType.Srv);
            Assert.Equal(ReturnCode.NoError, none.ReturnCode);
            Assert.Empty(none.AnswerRecords);
            Assert.IsType<SoaRecord>(Assert.Single(none.AuthorityRecords));
        }
    }

    [Theory]
    [InlineData(RecordType.Mx)]
    [InlineData(RecordType.Https)]
    [InlineData(RecordType.Ns)]
    [InlineData((RecordType)65400)]
    public async Task Other_types_of_a_name_that_is_there_are_no_data(RecordType type)
    {
        DnsMessage answer = await _rig.AskAsync(Hello.ToString(), type);
        Assert.Equal(ReturnCode.NoError, answer.ReturnCode);
        Assert.Empty(answer.AnswerRecords);
        Assert.IsType<SoaRecord>(Assert.Single(answer.AuthorityRecords));
        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task The_zones_themselves_exist()
    {
        foreach (string zone in new[] { "loki", "snode" })
        {
            Assert.IsType<SoaRecord>(Assert.Single((await _rig.AskAsync(zone, RecordType.Soa)).AnswerRecords));
            DnsMessage a = await _rig.AskAsync(zone, RecordType.A);
            Assert.Equal(ReturnCode.NoError, a.ReturnCode);
            Assert.Empty(a.AnswerRecords);
        }

        Assert.Empty(_rig.Outside.Asked);
    }

    [Fact]
    public async Task The_own_service_is_on_this_machine()
    {
        var rig = new DnsRig(zones: new OnionZoneOptions { OwnService = Hello, OwnIPv4 = IPAddress.Parse("10.99.0.1"), OwnIPv6 = null });
        DnsMessage answer = await rig.AskAsync("localhost.loki", RecordType.A);
        Assert.Equal(Hello + ".", ((CNameRecord)answer.AnswerRecords[0]).CanonicalName.ToString());
        Assert.Equal("10.99.0.1", ((ARecord)answer.AnswerRecords[1]).Address.ToString());
        Assert.Equal("10.99.0.1", ((ARecord)Assert.Single((await rig.AskAsync(Hello.ToString(), RecordType.A)).AnswerRecords)).Address.ToString());
        DnsMessage six = await rig.AskAsync("localhost.loki", RecordType.Aaaa);
        Assert.IsType<CNameRecord>(Assert.Single(six.AnswerRecords));
        Assert.Equal(Hello + ".", ((PtrRecord)Assert.Single((await rig.AskAsync("1.0.99.10.in-addr.arpa", RecordType.Ptr)).AnswerRecords)).PointerDomainName.ToString());
        Assert.Equal([$"address={Hello}", "lifetime=3600"], ((TxtRecord)(await rig.AskAsync("localhost.loki", RecordType.Txt)).AnswerRecords[1]).TextParts);
        Assert.Equal(0, rig.Map.Count);

        var none = new DnsRig();
        Assert.Equal("127.0.0.1", ((ARecord)Assert.Single((await none.AskAsync("localhost.loki", RecordType.A)).AnswerRecords)).Address.ToString());
        Assert.Equal("::1", ((AaaaRecord)Assert.Single((await none.AskAsync("LOCALHOST.loki", RecordType.Aaaa)).AnswerRecords)).Address.ToString());
        Assert.Empty(none.Names.Asked);
    }

    [Fact]
    public async Task When_all_addresses_are_in_use_the_answer_is_a_failure_that_says_so()
    {
        var rig = new DnsRig(map: new AddressMapOptions { Capacity = 1 });
        await rig.AskAsync(DnsRig.Service(1).ToString(), RecordType.A);
        DnsMessage full = await rig.AskAsync(DnsRig.Service(2).ToString(), RecordType.A);
        Assert.Equal(ReturnCode.ServerFailure, full.ReturnCode);
        Assert.Equal(1, rig.Counters[DnsCount.MapFull]);
        rig.Time.Advance(TimeSpan.FromHours(1));
        Assert.Single((await rig.AskAsync(DnsRig.Service(2).ToString(), RecordType.A)).AnswerRecords);
    }

    [Fact]
    public async Task Services_that_take_packets_get_addresses_of_their_half_and_unknown_ones_none()
    {
        var rig = new DnsRig(map: new AddressMapOptions { Packets = true });
        OnionAddress packets = DnsRig.Service(1), streams = DnsRig.Service(2), unknown = DnsRig.Service(3);
        rig.Services.Records[packets] = new ServiceRecords([], [], TakesPackets: true);
        rig.Services.Records[streams] = new ServiceRecords([], []);
        Assert.Equal("10.99.128.2", await AddressAsync(packets));
        Assert.Equal("10.99.0.2", await AddressAsync(streams));
        Assert.Equal("10.99.0.3", await AddressAsync(DnsRig.Service(1, OnionKind.Router))); // routers take none, and are not asked
        DnsMessage failed = await rig.AskAsync(unknown.ToString(), RecordType.A);
        Assert.Equal(ReturnCode.ServerFailure, failed.ReturnCode);
        Assert.False(rig.Map.Has(unknown));

        // What it has it keeps, also when it is not found for a while.
        rig.Services.Records.Clear();
        Assert.Equal("10.99.128.2", await AddressAsync(packets));

        async Task<string> AddressAsync(OnionAddress service) => ((ARecord)Assert.Single((await rig.AskAsync(service.ToString(), RecordType.A)).AnswerRecords)).Address.ToString();
    }

    [Fact]
    public async Task A_family_without_a_range_is_no_data()
    {
        var rig = new DnsRig(map: new AddressMapOptions { IPv6 = null });
        Assert.Single((await rig.AskAsync(Hello.ToString(), RecordType.A)).AnswerRecords);
        DnsMessage six = await rig.AskAsync(Hello.ToString(), RecordType.Aaaa);
        Assert.Equal(ReturnCode.NoError, six.ReturnCode);
        Assert.Empty(six.AnswerRecords);
    }

    [Fact]
    public void An_answer_may_not_outlive_its_address()
        => Assert.Throws<ArgumentException>(() => new DnsRig(map: new AddressMapOptions { Lifetime = TimeSpan.FromSeconds(30) }));

    [Fact]
    public async Task Without_a_source_a_short_name_does_not_exist()
    {
        var rig = new DnsRig(withNames: false);
        Assert.Equal(ReturnCode.NxDomain, (await rig.AskAsync("hello.loki", RecordType.A)).ReturnCode);
    }
}
