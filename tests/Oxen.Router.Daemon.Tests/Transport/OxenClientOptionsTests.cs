using Oxen.Router.Hosting;
using Oxen.Router.Transport;

namespace Oxen.Router.Daemon.Tests.Transport;

public sealed class OxenClientOptionsTests
{
    private static readonly string Key = new('a', 64);

    private static OxenClientOptions From(params (string Name, string Value)[] settings) =>
        OxenClientOptions.From(settings.Select(s => new KeyValuePair<string, string?>(s.Name, s.Value)), "/base");

    [Fact]
    public void Settings_are_taken_by_their_names_and_paths_begin_at_the_base()
    {
        OxenClientOptions options = From(("contacts", "net/contacts.list"), ("ContactsKey", Key), ("NETWORK", "test"), ("Hops", "3"), ("Spares", "0"), ("State", "/var/state"));
        Assert.Equal(("/base/net/contacts.list", Key, "test", 3, 0, "/var/state"), (options.Contacts, options.ContactsKey, options.Network, options.Hops, options.Spares, options.State));
        Assert.Equal("/var/state", options.StateDirectory());
        Assert.Equal("", From(("State", "")).StateDirectory());
        Assert.Equal(new Dictionary<string, string> { ["a.loki"] = "/base/1.key", ["b.loki"] = "/2.key" }, From(("ServiceKeys", "a.loki: 1.key ; b.loki: /2.key;")).ServiceKeys);
    }

    [Theory]
    [InlineData("Contact", "x", "Oxen:Contact is no setting")]
    [InlineData("Hops", "many", "expected a number")]
    [InlineData("ServiceKeys", "client.key", "Oxen:ServiceKeys")]
    [InlineData("ServiceKeys", "a.loki: 1.key; a.loki: 2.key", "Oxen:ServiceKeys")]
    public void A_setting_that_is_none_is_refused(string name, string value, string words)
    {
        OxenException e = Assert.Throws<OxenException>(() => From((name, value)));
        Assert.Equal("OXN2004", e.Code);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Contacts", "", "Oxen:Contacts is missing")]
    [InlineData("ContactsKey", "", "Oxen:ContactsKey is missing")]
    [InlineData("ContactsKey", "xyz", "64 hexadecimal digits")]
    [InlineData("Network", "a b", "Oxen:Network")]
    [InlineData("Hops", "9", "2 to 8")]
    [InlineData("Exit", "near", "Oxen:Exit")]
    [InlineData("ServiceKeys", "near.loki: client.key", "Oxen:ServiceKeys")]
    public async Task A_client_says_what_is_wrong_before_it_opens_anything(string name, string value, string words)
    {
        OxenClientOptions options = From(("Contacts", "none.list"), ("ContactsKey", Key), (name, value));
        OxenException e = await Assert.ThrowsAsync<OxenException>(() => OxenClient.StartAsync(options, cancel: TestContext.Current.CancellationToken));
        Assert.Equal("OXN2004", e.Code);
        Assert.Contains(words, e.Message, StringComparison.Ordinal);
        Assert.NotEmpty(e.Remedy);
    }

    [Fact]
    public async Task A_contact_list_that_is_not_there_is_named()
    {
        OxenException e = await Assert.ThrowsAsync<OxenException>(() => OxenClient.StartAsync(From(("Contacts", "none.list"), ("ContactsKey", Key), ("State", "")), cancel: TestContext.Current.CancellationToken));
        Assert.Equal("OXN3004", e.Code);
        Assert.Contains("/base/none.list", e.Message, StringComparison.Ordinal);
    }
}
