namespace Oxen.Router.Transport;

/// <summary>What happens to names that are no hidden services.</summary>
public enum OtherNames
{
    /// <summary>They are resolved and reached by an exit of the network.</summary>
    ThroughExit = 0,

    /// <summary>They are refused: nothing but hidden services is reached.</summary>
    Refused = 1,
}

/// <summary>How an <see cref="OnionHttpHandler"/> connects.</summary>
public sealed class OnionHttpOptions
{
    /// <summary>Names that do not end with `.loki`: through the exit, unless it is said otherwise.</summary>
    public OtherNames OtherNames { get; set; }

    /// <summary>
    /// Requests of handlers with different texts share no path, no rendezvous and no session, so that nobody can tell that they are
    /// one person's. Null: they share what the process shares.
    /// </summary>
    public string? Isolation { get; set; }

    /// <summary>Time to find a service, meet it and be connected.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Changes the handler underneath before it is used: cookies, redirects, certificates. How it connects is set after this.</summary>
    public Action<SocketsHttpHandler>? Configure { get; set; }
}
