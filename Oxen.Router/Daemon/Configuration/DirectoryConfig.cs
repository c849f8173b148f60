namespace Oxen.Router.Daemon.Configuration;

/// <summary>How a router learns of the network.</summary>
internal sealed record DirectoryConfig
{
    /// <summary>False: the contact list is all there is, and onion keys stay as long as it does.</summary>
    public bool Gossip { get; init; } = true;

    /// <summary>Where what was learnt is kept between runs. Absolute.</summary>
    public string StateDirectory { get; init; } = "";

    /// <summary>Relays that a client asks, and how many of them must agree on who is a relay.</summary>
    public int Sources { get; init; } = 5;

    public int Agree { get; init; } = 3;

    /// <summary>A table of networks, autonomous systems and countries; empty: none.</summary>
    public string NetworksFile { get; init; } = "";

    /// <summary>Who says which routers are relays.</summary>
    public NodesFrom Nodes { get; init; }

    /// <summary>With <see cref="NodesFrom.Server"/>: whom to ask.</summary>
    public Uri? NodesServer { get; init; }
}
