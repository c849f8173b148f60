using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Testing;

namespace Oxen.Router.Tests.Core.Directory;

/// <summary>A router of a test network: identity, onion key, contact.</summary>
internal sealed record TestRouter(RouterIdentity Identity, OnionKeyPair OnionKey, RouterContact Contact) : IDisposable
{
    public void Dispose()
    {
        Identity.Dispose();
        OnionKey.Dispose();
    }
}

internal static class DirectoryMaker
{
    public const long Now = SimClock.StartUnixNanoseconds / 1_000_000_000;
    public const long Day = 24 * 3600;

    public static TestRouter MakeRouter(
        SeededEntropy entropy,
        int number,
        RouterCapabilities capabilities = RouterCapabilities.Relay,
        string operatorLabel = "",
        UdpAddress[]? addresses = null,
        long from = Now - Day,
        long until = Now + Day)
    {
        RouterIdentity identity = RouterIdentity.Create(entropy);
        OnionKeyPair onionKey = OnionKeyPair.Create(entropy);
        addresses ??= [UdpAddress.FromBytes([127, (byte)number, 0, 1], 1090)];
        RouterContact contact = RouterContact.Create(identity, onionKey, capabilities, addresses, "test-1", operatorLabel, from, until);
        return new TestRouter(identity, onionKey, contact);
    }

    public static NodeDirectory Directory(SeededEntropy entropy, IEnumerable<TestRouter> routers)
    {
        using RouterIdentity listKey = RouterIdentity.Create(entropy);
        byte[] network = new byte[32];
        ContactList list = ContactList.Create(listKey, network, routers.Select(r => r.Contact), Now - Day, Now + Day);
        Assert.Equal(ContactFault.None, ContactList.TryOpen(list.Encoded, listKey.Id, network, Now, out ContactList? opened));
        return NodeDirectory.From(opened!, Now);
    }
}
