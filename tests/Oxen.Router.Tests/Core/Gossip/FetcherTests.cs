using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Core.Gossip;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Gossip;

/// <summary>How a client learns who is a relay: by a signed list, or by relays that agree.</summary>
public sealed class FetcherTests : IDisposable
{
    private const int Relays = 12;

    private readonly GossipModel _model = new(SimWorld.SeedOr(940));
    private readonly GossipNode[] _relays;
    private readonly GossipNode _newcomer;
    private readonly GossipNode _client;

    public FetcherTests()
    {
        _relays = [.. Enumerable.Range(0, Relays).Select(i => _model.AddRelay($"operator-{i}"))];
        _newcomer = _model.AddRelay("operator-new");
        _client = _model.AddClient();
        _client.Candidates = () => [.. _relays.Take(8).Select(r => r.Id)];

        // The relays' registry has the newcomer, and one relay of the client's old list is gone from it.
        RelayRoster roster = _model.RosterOf([.. _relays.Skip(1), _newcomer]);
        foreach (GossipNode relay in _relays.Append(_newcomer)) relay.Start(new DirectoryOptions { Roster = roster, Contacts = [.. _relays.Append(_newcomer).Select(r => r.Contact!)] });
        _model.Run(TimeSpan.FromMinutes(2));
    }

    private RelayRoster OldList => _model.RosterOf(_relays);

    public void Dispose() => _model.Dispose();

    [Fact]
    public void A_client_with_an_expired_list_learns_who_is_a_relay_from_those_that_agree()
    {
        StartClient(expired: true);
        _model.Until(() => _client.Core.Fetch!.CurrentAsOfUnixSeconds > 0, TimeSpan.FromMinutes(2), "a round");
        _model.Check(_client.Core.Store.Roster.Contains(_newcomer.Id), "the newcomer is known");
        _model.Check(_client.Core.Store.TryGet(_newcomer.Id, out _), "and where it is found");
        _model.Check(!_client.Core.Store.Roster.Contains(_relays[0].Id), "the one that left is not");
        _model.Check(_client.Core.Store.Roster.TryGetOperator(_newcomer.Id, out string? name) && name == "operator-new", "its operator is the registry's");
        _model.Check(_client.Core.Trouble.Length == 0, "no trouble");
    }

    [Fact]
    public void While_the_list_is_valid_nobody_else_says_who_is_a_relay()
    {
        StartClient(expired: false);
        _model.Until(() => _client.Core.Fetch!.CurrentAsOfUnixSeconds > 0, TimeSpan.FromMinutes(2), "a round");
        _model.Check(!_client.Core.Store.Roster.Contains(_newcomer.Id), "not on the list");
        _model.Check(_client.Core.Store.Roster.Contains(_relays[0].Id), "on the list");
        _model.Check(_client.Core.Store.TryGet(_relays[3].Id, out RouterContact? contact) && contact.PublishedUnixSeconds > _relays[3].Contact!.PublishedUnixSeconds, "but contacts are fresh");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Fewer_liars_than_must_agree_neither_hide_nor_invent_nor_rename(int liars)
    {
        GossipNode invented = _model.AddRelay("mallory"), hidden = _relays[5];
        RelayRoster lie = new(
            [
                .. _relays.Skip(1).Append(_newcomer).Where(r => r != hidden).Select(r => new RosterEntry(r.Id, r == _relays[6] ? "mallory" : r.Operator)),
                new RosterEntry(invented.Id, "mallory"),
            ]);
        for (int i = 1; i <= liars; i++) _relays[i].Do((core, now) => core.SetRoster(lie, long.MaxValue, now));
        StartClient(expired: true);
        _model.Until(() => _client.Core.Fetch!.CurrentAsOfUnixSeconds > 0, TimeSpan.FromMinutes(2), "a round");
        RelayRoster believed = _client.Core.Store.Roster;
        _model.Check(!believed.Contains(invented.Id), "nobody was invented");
        _model.Check(believed.Contains(hidden.Id), "nobody was hidden");
        _model.Check(believed.TryGetOperator(_relays[6].Id, out string? name) && name == "operator-6", "nobody was renamed");
        _model.Check(believed.Contains(_newcomer.Id), "and the truth is learnt all the same");
    }

    [Fact]
    public void One_source_that_hides_and_replays_contacts_does_not_keep_fresh_ones_from_a_client()
    {
        // The first that is asked says that it has nothing, and gives what is old.
        byte[] stale = DirectoryMessages.Give([.. _relays.Select(r => r.Contact!)])[DirectoryMessages.HeaderBytes..];
        _relays[1].Lie = (request, honest) => request[1] switch
        {
            (byte)DirectoryOperation.Fetch => stale,
            (byte)DirectoryOperation.Compare when request[2] == (byte)DirectorySet.Contacts => [(byte)RangeMode.Same, 0],
            _ => honest,
        };
        StartClient(expired: true);
        _model.Until(() => _client.Core.Fetch!.CurrentAsOfUnixSeconds > 0, TimeSpan.FromMinutes(2), "a round");
        foreach (GossipNode relay in _relays.Skip(1))
            _model.Check(_client.Core.Store.TryGet(relay.Id, out RouterContact? contact) && contact.PublishedUnixSeconds > relay.Contact!.PublishedUnixSeconds, $"the fresh contact of {relay.Name}");
    }

    [Fact]
    public void When_too_few_answer_nothing_changes_and_the_reason_is_said()
    {
        foreach (GossipNode relay in _relays.Skip(2)) relay.Stop();
        StartClient(expired: true);
        _model.Until(() => _client.Core.Fetch!.Rounds > 0, TimeSpan.FromMinutes(10), "a round");
        Assert.Contains("3 relays must agree", _client.Core.Trouble, StringComparison.Ordinal);
        Assert.Contains("give it a current contact list", _client.Core.Trouble, StringComparison.Ordinal);
        _model.Check(!_client.Core.Store.Roster.Contains(_newcomer.Id), "two are not enough");

        // And when the network is back, it goes by itself.
        foreach (GossipNode relay in _relays.Skip(2)) relay.Start(new DirectoryOptions { Roster = _relays[1].Core.Store.Roster, Contacts = [.. _relays.Append(_newcomer).Select(r => r.Contact!)] });
        _model.Until(() => _client.Core.Store.Roster.Contains(_newcomer.Id), TimeSpan.FromMinutes(12), "the newcomer is learnt");
        _model.Until(() => _client.Core.Trouble.Length == 0, TimeSpan.FromMinutes(2), "the round ends well");
    }

    [Fact]
    public void A_client_that_was_started_from_its_cache_needs_no_list()
    {
        StartClient(expired: true);
        _model.Until(() => _client.Core.Fetch!.CurrentAsOfUnixSeconds > 0, TimeSpan.FromMinutes(2), "a round");
        byte[] network = new byte[32];
        byte[] written = _client.Core.Export(network, _model.Now);
        Assert.True(DirectoryCache.TryRead(written, network, out DirectoryCache? cache));
        foreach (GossipNode relay in _relays) relay.Stop();
        _client.Stop();
        _client.Start(new DirectoryOptions { Roster = cache!.Roster, RosterUntilUnixSeconds = 0, Contacts = cache.Contacts });
        Assert.Equal(Relays, _client.Directory.MemberCount);
        Assert.Equal(Relays, _client.Directory.Relays.Count); // fresh enough to build with at once
    }

    [Fact]
    public void Contacts_that_are_too_old_find_their_router_but_build_no_path()
    {
        _model.Run(TimeSpan.FromHours(60));
        StartClient(expired: true);
        Assert.Empty(_client.Directory.Relays);
        Assert.Equal(Relays, _client.Directory.Known.Count);
        Assert.True(_client.Directory.TryGet(_relays[4].Id, out _));
        Assert.False(_client.Directory.TryGetUsable(_relays[4].Id, out _));
        _model.Until(() => _client.Directory.Relays.Count == Relays, TimeSpan.FromMinutes(2), "fresh ones were fetched");
    }

    private void StartClient(bool expired) => _client.Start(new DirectoryOptions
    {
        Roster = OldList,
        RosterUntilUnixSeconds = expired ? _model.NowUnix - 1000 : _model.NowUnix + 86_400,
        Contacts = [.. _relays.Select(r => r.Contact!)],
    });
}
