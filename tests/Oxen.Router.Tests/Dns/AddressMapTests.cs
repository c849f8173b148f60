using System.Net;
using Microsoft.Extensions.Time.Testing;
using Oxen.Router.Core;
using Oxen.Router.Dns;
using Oxen.Testing;

namespace Oxen.Router.Tests.Dns;

public class AddressMapTests
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Both_families_stand_for_the_same_service_and_stay()
    {
        AddressMap map = Make(100);
        OnionAddress one = DnsRig.Service(1), router = DnsRig.Service(1, OnionKind.Router);
        Assert.True(map.TryAssign(one, out MappedAddresses first));
        Assert.True(map.TryAssign(router, out MappedAddresses second));
        Assert.Equal(new MappedAddresses(IPAddress.Parse("10.99.0.2"), IPAddress.Parse("fd6f:7865:6e00:3::2")), first);
        Assert.Equal(new MappedAddresses(IPAddress.Parse("10.99.0.3"), IPAddress.Parse("fd6f:7865:6e00:3::3")), second);
        Assert.True(map.TryAssign(one, out MappedAddresses again));
        Assert.Equal(first, again);
        foreach (IPAddress address in new[] { first.IPv4!, first.IPv6! })
        {
            Assert.True(map.TryFind(address, out OnionAddress found));
            Assert.Equal(one, found);
        }

        Assert.True(map.TryFind(second.IPv6!, out OnionAddress other));
        Assert.Equal(router, other);
    }

    [Theory]
    [InlineData("10.99.0.0")]
    [InlineData("10.99.0.1")]
    [InlineData("10.99.0.3")]
    [InlineData("10.99.255.255")]
    [InlineData("10.98.0.2")]
    [InlineData("fd6f:7865:6e00:3::1")]
    [InlineData("fd6f:7865:6e00:4::2")]
    [InlineData("fd6f:7865:6e00:3:1::2")]
    [InlineData("192.0.2.1")]
    public void An_address_that_was_not_given_stands_for_nothing(string address)
    {
        AddressMap map = Make(100);
        Assert.True(map.TryAssign(DnsRig.Service(1), out _));
        Assert.False(map.TryFind(IPAddress.Parse(address), out _));
    }

    [Fact]
    public void Services_that_take_packets_have_the_upper_half()
    {
        var map = new AddressMap(new AddressMapOptions { Packets = true, Capacity = 2, Lifetime = Hour }, _time);
        Assert.Equal((IPNetwork.Parse("10.99.128.0/17"), IPNetwork.Parse("fd6f:7865:6e00:3:8000::/65")), (map.PacketsIPv4!.Value, map.PacketsIPv6!.Value));
        for (int i = 0; i < 2; i++)
        {
            Assert.True(map.TryAssign(DnsRig.Service(i), out MappedAddresses low));
            Assert.True(map.TryAssign(DnsRig.Service(10 + i), out MappedAddresses high, packets: true));
            Assert.Equal(($"10.99.0.{2 + i}", $"fd6f:7865:6e00:3::{2 + i}"), (low.IPv4!.ToString(), low.IPv6!.ToString()));
            Assert.Equal(($"10.99.128.{2 + i}", $"fd6f:7865:6e00:3:8000::{2 + i}"), (high.IPv4!.ToString(), high.IPv6!.ToString()));
            foreach (IPAddress address in new[] { high.IPv4!, high.IPv6! })
            {
                Assert.True(map.TryFind(address, out OnionAddress found));
                Assert.Equal(DnsRig.Service(10 + i), found);
            }

            Assert.True(map.TryAssign(DnsRig.Service(10 + i), out MappedAddresses again)); // it keeps what it has
            Assert.Equal(high, again);
        }

        foreach (string none in (string[])["10.99.128.0", "10.99.128.1", "10.99.128.4", "10.99.127.255", "10.99.255.255", "fd6f:7865:6e00:3:8000::1", "fd6f:7865:6e00:3:8000::4", "fd6f:7865:6e00:3:7fff:ffff:ffff:ffff"]) Assert.False(map.TryFind(IPAddress.Parse(none), out _), none);

        // Each half is full by itself, and frees its own.
        Assert.False(map.TryAssign(DnsRig.Service(3), out _));
        Assert.False(map.TryAssign(DnsRig.Service(13), out _, packets: true));
        _time.Advance(Hour);
        Assert.True(map.TryAssign(DnsRig.Service(13), out MappedAddresses freed, packets: true));
        Assert.Equal("10.99.128.2", freed.IPv4!.ToString());
        Assert.False(map.Has(DnsRig.Service(10)));
        Assert.True(map.Has(DnsRig.Service(0)));
        Assert.Throws<ArgumentException>(() => Make(3).TryAssign(DnsRig.Service(1), out _, packets: true));
    }

    [Fact]
    public void A_full_map_reuses_the_address_that_was_used_longest_ago_and_only_after_its_lifetime()
    {
        AddressMap map = Make(3);
        for (int i = 0; i < 3; i++)
        {
            Assert.True(map.TryAssign(DnsRig.Service(i), out _));
            _time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.True(map.TryAssign(DnsRig.Service(0), out MappedAddresses of0)); // used again: now 1 is the oldest
        _time.Advance(TimeSpan.FromMinutes(30));
        Assert.False(map.TryAssign(DnsRig.Service(3), out _));
        _time.Advance(TimeSpan.FromMinutes(28));
        Assert.True(map.TryAssign(DnsRig.Service(3), out MappedAddresses of3));
        Assert.Equal("10.99.0.3", of3.IPv4!.ToString());
        Assert.True(map.TryFind(of3.IPv6!, out OnionAddress found));
        Assert.Equal(DnsRig.Service(3), found);
        Assert.True(map.TryAssign(DnsRig.Service(0), out MappedAddresses still));
        Assert.Equal(of0, still);
        Assert.Equal(3, map.Count);
    }

    [Fact]
    public void A_packet_to_an_address_is_use_of_it()
    {
        AddressMap map = Make(1);
        Assert.True(map.TryAssign(DnsRig.Service(0), out MappedAddresses given));
        for (int i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(50));
            Assert.True(map.TryFind(given.IPv4!, out _));
            Assert.False(map.TryAssign(DnsRig.Service(1), out _));
        }

        _time.Advance(Hour);
        Assert.True(map.TryAssign(DnsRig.Service(1), out _));
    }

    [Fact]
    public void A_held_address_is_never_given_away()
    {
        AddressMap map = Make(1);
        Assert.True(map.TryAssign(DnsRig.Service(0), out MappedAddresses given));
        UdpAddress address = UdpAddress.From(new IPEndPoint(given.IPv4!, 0));
        Assert.True(map.TryHold(address, out OnionAddress held));
        Assert.True(map.TryHold(address, out _));
        _time.Advance(TimeSpan.FromDays(30));
        Assert.False(map.TryAssign(DnsRig.Service(1), out _));
        map.Release(held);
        _time.Advance(TimeSpan.FromDays(30));
        Assert.False(map.TryAssign(DnsRig.Service(1), out _));
        map.Release(held);
        Assert.False(map.TryAssign(DnsRig.Service(1), out _)); // its lifetime begins now
        _time.Advance(Hour);
        Assert.True(map.TryAssign(DnsRig.Service(1), out _));
        Assert.Throws<ArgumentException>(() => map.Release(held));
    }

    [Fact]
    public void A_small_IPv4_range_bounds_the_map()
    {
        var map = new AddressMap(new AddressMapOptions { IPv4 = IPNetwork.Parse("10.1.2.0/29") }, _time);
        Assert.Equal(5, map.Capacity);
        for (int i = 0; i < 5; i++) Assert.True(map.TryAssign(DnsRig.Service(i), out _));
        Assert.False(map.TryAssign(DnsRig.Service(5), out _));
        Assert.True(map.TryFind(IPAddress.Parse("10.1.2.6"), out OnionAddress last));
        Assert.Equal(DnsRig.Service(4), last);
        Assert.False(map.TryFind(IPAddress.Parse("10.1.2.7"), out _));
    }

    [Theory]
    [InlineData("10.0.0.0/30", null)]
    [InlineData("8.8.0.0/16", null)]
    [InlineData("10.0.0.0/7", null)]
    [InlineData(null, "2001:db8::/64")]
    [InlineData(null, "fd00::/65")]
    [InlineData(null, null)]
    public void A_range_that_is_too_small_or_somebodys_is_refused(string? v4, string? v6)
        => Assert.ThrowsAny<ArgumentException>(() => new AddressMap(
            new AddressMapOptions { IPv4 = v4 is null ? null : IPNetwork.Parse(v4), IPv6 = v6 is null ? null : IPNetwork.Parse(v6) }, _time));

    // The model: a list, and every rule said in the plainest way.
    [Theory]
    [InlineData(1UL)]
    [InlineData(2UL)]
    [InlineData(3UL)]
    [InlineData(4UL)]
    [InlineData(5UL)]
    public void The_map_does_what_a_naive_model_does(ulong seed)
    {
        const int Capacity = 7, Services = 20, Steps = 20_000;
        var random = new SeededEntropy(seed);
        AddressMap map = Make(Capacity);
        var model = new List<(int Service, long Used, int Holds)>(); // index is the slot
        long now = 0;
        int refused = 0, reused = 0;
        for (int step = 0; step < Steps; step++)
        {
            int advance = random.Next(20) == 0 ? random.Next(120) : 1;
            _time.Advance(TimeSpan.FromSeconds(advance));
            now += advance;
            int pick = random.Next(Services);
            switch (random.Next(8))
            {
                case < 3:
                    int expected = model.FindIndex(m => m.Service == pick);
                    if (expected < 0 && model.Count < Capacity)
                    {
                        model.Add(default);
                        expected = model.Count - 1;
                        model[expected] = (pick, now, 0);
                    }
                    else if (expected < 0)
                    {
                        (int _, long used, int slot) = model.Select((m, i) => (m.Holds, m.Used, i)).Where(m => m.Holds == 0).OrderBy(m => m.Used).Append((0, long.MaxValue, -1)).First();
                        if (slot >= 0 && now - used >= 60)
                        {
                            expected = slot;
                            model[slot] = (pick, now, 0);
                            reused++;
                        }
                    }

                    bool given = map.TryAssign(DnsRig.Service(pick), out MappedAddresses addresses);
                    Assert.True(given == expected >= 0, $"step {step}: the model says slot {expected}, the map {(given ? addresses.IPv4 : "none")}");
                    if (!given)
                    {
                        refused++;
                        break;
                    }

                    model[expected] = model[expected] with { Used = now };
                    Assert.Equal($"10.99.0.{2 + expected}", addresses.IPv4!.ToString());
                    Assert.Equal($"fd6f:7865:6e00:3::{2 + expected:x}", addresses.IPv6!.ToString());
                    break;
                case < 6:
                    int at = random.Next(Capacity + 2);
                    IPAddress address = random.Next(2) == 0 ? IPAddress.Parse($"10.99.0.{2 + at}") : IPAddress.Parse($"fd6f:7865:6e00:3::{2 + at:x}");
                    bool found = map.TryFind(address, out OnionAddress service);
                    Assert.Equal(at < model.Count, found);
                    if (!found) break;
                    Assert.Equal(DnsRig.Service(model[at].Service), service);
                    model[at] = model[at] with { Used = now };
                    break;
                case 6:
                    int hold = random.Next(Capacity);
                    bool held = map.TryHold(UdpAddress.FromBytes([10, 99, 0, (byte)(2 + hold)], 0), out OnionAddress of);
                    Assert.Equal(hold < model.Count, held);
                    if (!held) break;
                    Assert.Equal(DnsRig.Service(model[hold].Service), of);
                    model[hold] = (model[hold].Service, now, model[hold].Holds + 1);
                    break;
                default:
                    int release = model.FindIndex(m => m.Holds > 0);
                    if (release < 0) break;
                    map.Release(DnsRig.Service(model[release].Service));
                    model[release] = (model[release].Service, now, model[release].Holds - 1);
                    break;
            }

            Assert.Equal(model.Count, map.Count);
        }

        Assert.True(refused > 100 && reused > 100, $"seed {seed}: {refused} refused, {reused} reused; the story was too tame");
    }

    [Fact]
    public async Task Readers_without_a_lock_see_a_service_that_was_at_that_address()
    {
        var map = new AddressMap(new AddressMapOptions { IPv4 = IPNetwork.Parse("10.1.2.0/29"), Lifetime = TimeSpan.FromSeconds(1) }, _time);
        var services = Enumerable.Range(0, 200).Select(i => DnsRig.Service(i)).ToHashSet();
        using var stop = new CancellationTokenSource();
        Task<int>[] readers = [.. Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            int seen = 0;
            while (!stop.IsCancellationRequested)
            {
                for (byte i = 2; i < 7; i++)
                {
                    if (!map.TryFind(UdpAddress.FromBytes([10, 1, 2, i], 0), out OnionAddress found)) continue;
                    if (!services.Contains(found)) return -1;
                    seen++;
                }
            }

            return seen;
        }))];
        foreach (OnionAddress service in services.Concat(services).Concat(services))
        {
            _time.Advance(TimeSpan.FromSeconds(2));
            map.TryAssign(service, out _);
        }

        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(readers), seen => Assert.NotEqual(-1, seen));
    }

    private AddressMap Make(int capacity) => new(new AddressMapOptions { Capacity = capacity, Lifetime = capacity == 7 ? TimeSpan.FromSeconds(60) : Hour }, _time);
}
