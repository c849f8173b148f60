using Oxen.Router.Core;
using Oxen.Router.Core.Directory;
using Oxen.Router.Daemon.Configuration;
using Oxen.Router.Hosting.Files;
using Oxen.Router.Daemon.Keys;
using Oxen.Router.Daemon.Terminal;

namespace Oxen.Router.Daemon.Run;

/// <summary>A relay's secrets, loaded and found to be what the contact list publishes.</summary>
internal sealed class RouterKeys : IDisposable
{
    private RouterKeys(RouterIdentity identity, OnionKeyRing onionKeys)
    {
        Identity = identity;
        OnionKeys = onionKeys;
    }

    public RouterIdentity Identity { get; }

    public OnionKeyRing OnionKeys { get; }

    /// <exception cref="UserException">A file is missing, open or damaged, or the list says something else of this router.</exception>
    public static RouterKeys Load(RouterConfig config, NodeDirectory directory, DateTimeOffset now)
    {
        RouterIdentity identity = IdentityFile.Load(config.IdentityFile, IdentityFile.RelayRole);
        OnionKeyPair? onion = null, previous = null;
        try
        {
            TimeSpan age;
            (onion, previous, age) = OnionKeyFile.LoadRing(config.OnionKeyFile, now);
            Compare(config, directory, identity, onion);
            return new RouterKeys(identity, new OnionKeyRing(onion, Instant.Zero - age, previous));
        }
        catch
        {
            onion?.Dispose();
            previous?.Dispose();
            identity.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        OnionKeys.Dispose();
        Identity.Dispose();
    }

    // A relay that is not what the list says of it would be dialled in vain, or could open no path build: better to know now.
    private static void Compare(RouterConfig config, NodeDirectory directory, RouterIdentity identity, OnionKeyPair onion)
    {
        const string Anew = "Write the contact anew with `oxen contact`, and have the list signed again.";
        // With gossip the list says who is a relay, and the relay itself, by contacts of its own, where and with which key.
        if (config.Directory.Gossip && directory.IsMember(identity.Id)) return;

        // A registry says who is a relay, and registers nobody who does not run yet.
        if (config.Directory.Nodes != NodesFrom.List) return;
        if (!directory.TryGet(identity.Id, out RouterContact? contact))
        {
            foreach ((RouterId id, ContactFault fault) in directory.Refused)
            {
                if (id == identity.Id) throw UserException.NotOnList($"the contact list has this router, but its contact is refused: {ContactWords.Of(fault)}", Anew);
            }

            throw UserException.NotOnList($"this router is not on the contact list (its id is {identity.Id})", "Give its contact (`oxen contact`) to whoever signs the list, or check `identity`.");
        }

        UdpAddress own = UdpAddress.From(config.ReachedAt);
        if (contact.Addresses.IndexOf(own) < 0) throw UserException.NotOnList($"the contact list says that this router is at {contact.Addresses[0]}, the configuration says {own}", $"Set `listen` or `address` to the published one. If it moved: {Lower(Anew)}");
        if (contact.OnionKeyId != onion.Id) throw UserException.NotOnList($"the contact list has another onion key of this router than {config.OnionKeyFile}", $"Restore the key file that the contact was made with. If it is lost: {Lower(Anew)}");
        bool exit = config.Roles.HasFlag(RouterRoles.Exit);
        if (contact.IsExit != exit) throw UserException.NotOnList($"the contact list says that this router is {(contact.IsExit ? "an exit" : "no exit")}, the configuration's `roles` say otherwise", $"Change `roles`. If the list is to change: {Lower(Anew)}");
    }

    private static string Lower(string sentence) => char.ToLowerInvariant(sentence[0]) + sentence[1..];
}
